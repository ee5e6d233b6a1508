"""Rows about what happens when something ends, and about memory."""

import os
import select
import signal
import time
import uuid

import psycopg

import measure
from crowd import uuid_of
from measure import Series
from rows_speed import SMALL, check_all_good
from system import wait_for
from world import MEASURED, OTHER, PROGRAMS, SERVERS, World

FINAL = "('succeeded', 'failed', 'cancelled', 'expired')"
# Calls that take a while, so that some are in flight at every moment.
SLOW = "lat=50"


def wait_gone(pid, limit_s):
    """Until a process has ended; the seconds that took."""
    began = time.monotonic()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0.0
    try:
        ready, _, _ = select.select([descriptor], [], [], limit_s)
        if not ready:
            raise AssertionError(f"{pid} has not ended in {limit_s} s")
        return time.monotonic() - began
    finally:
        os.close(descriptor)


class Story:
    """The jobs that a load generator was told are accepted: when, and which of
    them have no final row yet."""

    def __init__(self, path):
        self.accepted = {}  # uuid: wall time in s
        for line in path.read_text().splitlines():
            at_us, status, job = line.split(" ")
            if status == "202":
                self.accepted[uuid_of(job)] = int(at_us) / 1e6

    def before(self, moment):
        return {job for job, at in self.accepted.items() if at <= moment}


class Watch:
    """Sees from outside when each final row is there: a connection that reads
    the jobs that were made since the watch began, made again when PostgreSQL
    goes.  By the primary key, whose version 7 ids begin with the time in ms: a
    watch that reads the table takes a core from what it times."""

    def __init__(self, world):
        self.world = world
        self.first = uuid.UUID(int=int(time.time() * 1000) << 80)
        self.pg = None
        self.seen = {}  # uuid: wall time in s when it was first seen

    def look(self):
        try:
            if self.pg is None:
                self.pg = self.world.pg()
            now = time.time()
            for (job,) in self.pg.execute(
                    "SELECT job.id::text FROM identity.organization"
                    " CROSS JOIN LATERAL (SELECT id FROM operations.job"
                    " WHERE organization_id = organization.id AND id >= %s"
                    f" AND state IN {FINAL}) AS job", [self.first]):
                self.seen.setdefault(job, now)
        except psycopg.Error:
            if self.pg is not None:
                self.pg.close()
            self.pg = None

    def close(self):
        if self.pg is not None:
            self.pg.close()


def end_one(world, name, *, rate, before_s, after_s, act):
    """Load, then ${act} on the process ${name}, then more load.  Returns how
    many seconds after that the last result came of what was accepted before, and
    how many of all accepted jobs have no result in the end.  ${act} returns the
    moment of its signal, for a few ms later the last results are there."""
    log = world.folder / f"log-{time.monotonic_ns()}"
    watch = Watch(world)
    load = world.load(connections=32, rate=rate, warmup=0, seconds=before_s + after_s,
                      log=log, drain=20)
    time.sleep(before_s)
    watch.look()
    at = act(world, name)
    while load.process.poll() is None:
        watch.look()
        time.sleep(0.1)
    report = load.wait()
    story = Story(log)
    before = story.before(at)

    def question():
        watch.look()
        return not set(story.accepted) - set(watch.seen)
    try:
        wait_for("every accepted job has its result", 90, question, 0.1)
    except AssertionError:
        pass
    watch.close()
    lost = set(story.accepted) - set(watch.seen)
    late = max((watch.seen[job] - at for job in before if job in watch.seen), default=0.0)
    return max(0.0, late), len(lost), len(before), report


def say_end(bench, number, name, what):
    late, lost, before, report = what
    bench.say(f"round {number} {name}: last result after {late:.2f} s, {before:,} accepted "
              f"before, {report['good_total']:,} in all, {lost} lost, answers "
              f"{report['statuses']}, {report['cut']} cut")


def kill_now(pid):
    at = time.time()
    os.kill(pid, signal.SIGKILL)
    return at


def kill_again(world, name):
    return kill_now(world.pid(name))


def series_of_ends(bench, world, names, act, shape):
    """name: Series of seconds, and the sum of what was lost."""
    late, lost = {name: [] for name in names}, 0
    for number in bench.rounds():
        for name in names:
            wait_for("all is ready", 60, lambda: all(
                row["health"] == "ready" for row in world.processes()), 0.2)
            what = end_one(world, name, act=act, **shape)
            say_end(bench, number, name, what)
            late[name].append(what[0])
            lost += what[1]
    return {name: Series(values) for name, values in late.items()}, lost


def worst(series):
    """Of several processes: the one with the highest median."""
    return max(series.values(), key=lambda one: one.median)


def kill(bench):
    """SIGKILL of each process under load; the supervisor starts it again."""
    shape = {"rate": 300, "before_s": bench.amount(3, 2), "after_s": bench.amount(8, 6)}
    with World(models={"bench": SLOW}, core=None) as world:
        world.warm(bench)
        programs, lost_p = series_of_ends(
            bench, world, [f"{name}-1" for name in PROGRAMS], kill_again, shape)
        servers, lost_s = series_of_ends(bench, world, SERVERS, kill_again, shape)
    lines = []
    for name, found, lost, limit in (("kill-program", programs, lost_p, 5),
                                     ("kill-server", servers, lost_s, 10)):
        value = worst(found)
        lines.append(bench.line(
            name, f"SIGKILL of a {name[5:]} under {shape['rate']}/s, started again at once: last "
            "result of what was accepted before, s, the worst of them",
            target=f"≤ {limit} s",
            bar="Restate 4–19 s, Doubleword 26–32, BullMQ 61–64, DeltaLLM 355",
            value=value, met=value.median <= limit and lost == 0,
            note=[("accepted and lost", lost), *found.items()]))
    return lines


def kill_for_good(world, name):
    """The supervisor is stopped meanwhile, so that nobody starts it again."""
    os.kill(world.supervisor, signal.SIGSTOP)
    world.held = True
    return kill_now(world.pid_of[name])


def takeover(bench):
    """Two of each; one is killed and stays away."""
    shape = {"rate": 300, "before_s": bench.amount(3, 2), "after_s": bench.amount(14, 12)}
    late, lost = {f"{name}-1": [] for name in PROGRAMS}, 0
    with World(models={"bench": SLOW}, core=None) as world:
        for program in PROGRAMS:
            world.scale(program, 2)
        world.warm(bench)
        for number in bench.rounds():
            for name, found in late.items():
                wait_for("all is ready", 60, lambda: all(
                    row["health"] == "ready" for row in world.processes()), 0.2)
                world.pid_of = {row["name"]: row["pid"] for row in world.processes()}
                try:
                    what = end_one(world, name, act=kill_for_good, **shape)
                finally:
                    os.kill(world.supervisor, signal.SIGCONT)
                say_end(bench, number, name, what)
                found.append(what[0])
                lost += what[1]
    series = {name: Series(values) for name, values in late.items()}
    value = worst(series)
    return [bench.line(
        "takeover", "two of each program, one killed and not started again: last result of what "
        "was accepted before, s, the worst of them", target="≤ 10 s", bar="-", value=value,
        met=value.median <= 10 and lost == 0, note=[("accepted and lost", lost), *series.items()])]


def stop(bench):
    """SIGTERM under load: how long until the process has ended."""
    shape = {"rate": 300, "before_s": bench.amount(3, 2), "after_s": bench.amount(5, 4)}
    took = {}

    def terminate(world, name):
        pid = world.pid(name)
        os.kill(pid, signal.SIGTERM)
        took.setdefault(name, []).append(wait_gone(pid, 60))

    with World(models={"bench": SLOW}) as world:
        world.warm(bench)
        _, lost = series_of_ends(bench, world, [f"{name}-1" for name in PROGRAMS], terminate,
                                 shape)
    series = {name: Series(values) for name, values in took.items()}
    value = worst(series)
    limit = 2.05  # the calls in flight take 50 ms
    return [bench.line(
        "stop", f"SIGTERM under {shape['rate']}/s to exit, s, the worst program; calls of 50 ms",
        target="≤ 2.05 s", bar="-", value=value, met=value.median <= limit and lost == 0,
        note=[("accepted and lost", lost), *series.items()])]


# ---- memory ----------------------------------------------------------------


def inflight(bench):
    """10,000 calls of 10 s at once in one dispatcher."""
    wanted = 10000
    settings = (f"dispatcher.max_in_flight={wanted}",
                f"dispatcher.provider_in_flight={wanted}",
                "dispatcher.organization_in_flight=1000")
    each, reached, seconds = [], [], []
    with World(models={"quick": SMALL, "bench": "lat=10000"}, settings=settings) as world:
        world.place(OTHER)
        world.place(MEASURED, "dispatcher")
        world.place_new(MEASURED)
        for number in bench.rounds():
            # A new one: the heap keeps for a while what the last round's calls took.
            world.scale("dispatcher", 0)
            world.scale("dispatcher", 1)
            # What a dispatcher keeps for good once it has made calls.
            before_kib = warm_kib(world)
            world.scale("dispatcher", 0)
            done = calls(world)
            report = world.load(model="bench", connections=256, count=wanted + 2000).wait()
            check_all_good(report, "inflight")
            began = time.monotonic()
            world.scale("dispatcher", 1)
            [pid] = world.pids("dispatcher")
            most, most_kib = 0, before_kib
            while time.monotonic() < began + 30 and most < wanted:
                now = in_flight(world)
                if now > most:
                    most, most_kib = now, measure.private_kib(pid)
                time.sleep(0.1)
            seconds.append(time.monotonic() - began)
            most_kib = max(most_kib, measure.private_kib(pid))
            each.append((most_kib - before_kib) / max(most, 1))
            reached.append(most)
            bench.say(f"round {number}: {most:,} in flight after {seconds[-1]:.1f} s, "
                      f"{before_kib:,} KiB before, {most_kib:,} KiB then: {each[-1]:.1f} KiB each")
            wait_for("all calls are over", 300, lambda: in_flight(world) == 0 and
                     calls(world) - done >= report["good_total"], 0.5)
    value, most = Series(each), Series(reached)
    return [bench.line(
        "inflight", "memory of a call in flight with 10,000 in one dispatcher, stub at 10 s, KiB",
        target="≤ 24 KiB", bar="-", value=value,
        met=value.median <= 24 and most.median >= wanted,
        note=[("most in flight", most), ("s until then", Series(seconds))])]


def warm_kib(world):
    """The memory of a dispatcher that has made 2,000 calls and is idle again."""
    done = calls(world)
    report = world.load(model="quick", connections=64, count=2000).wait()
    check_all_good(report, "inflight")
    wait_for("warmed up", 120, lambda: calls(world) - done >= report["good_total"], 0.2)
    time.sleep(1)
    [pid] = world.pids("dispatcher")
    return measure.private_kib(pid)


def calls(world):
    return int(world.stub.totals()["calls"])


def in_flight(world):
    return int(world.stub.totals()["in_flight"])


# Requests a second that the programs keep up with: what waits takes memory too.
STEADY_RATE = 1500
# jemalloc's ten seconds, and a while for its thread.
RETURNED_S = 20


def memory(bench):
    """Idle, and after many requests through all programs."""
    total = 1000000 if bench.is_long else bench.amount(100000, 20000)
    warmup = bench.amount(20000, 5000)
    idle, growth = {}, {}
    with World(models={"bench": SMALL}) as world:
        world.place(OTHER, *SERVERS)
        names = {name: world.pids(name)[0] for name in PROGRAMS}
        time.sleep(2)
        for name, pid in names.items():
            idle[name] = measure.private_kib(pid) / 1024
        done = send_through(world, warmup, 0)
        before = {name: measure.private_kib(pid) / 1024 for name, pid in names.items()}
        done = send_through(world, total, done)
        for name, pid in names.items():
            growth[name] = measure.private_kib(pid) / 1024 - before[name]
            bench.say(f"{name}: idle {idle[name]:.1f} MiB, after {warmup:,} {before[name]:.1f}, "
                      f"after {total:,} more {before[name] + growth[name]:.1f}")
    most_idle, most_growth = max(idle.values()), max(growth.values())
    return [
        bench.line("memory-idle", "private memory of an idle program, MiB, the largest",
                   target="≤ 6 MB", bar="nginx 11, onwards 17 MB", value=Series([most_idle]),
                   met=most_idle * 1.048576 <= 6, note=list(idle.items())),
        bench.line("memory-growth", f"its growth over {total:,} requests after {warmup:,}, MiB, "
                   "the largest", target="≤ 2 MB", bar="-", value=Series([most_growth]),
                   met=most_growth * 1.048576 <= 2,
                   note=[*growth.items(), ("requests", total)])]


def send_through(world, count, done):
    """Until the results of ${count} more jobs are in PostgreSQL, and what they
    took for a moment has been returned."""
    report = world.load(connections=64, count=count, rate=STEADY_RATE).wait()
    check_all_good(report, "memory")
    done += report["good_total"]
    with world.pg() as pg:
        wait_for(f"{done:,} results", 900, lambda: world.recorded(pg) >= 2 * done, 0.5)
    time.sleep(RETURNED_S)
    return done
