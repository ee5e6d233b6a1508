"""Rows about speed.  Each returns lines for the table: see Bench.line."""

import json
import subprocess
import time

import measure
from measure import Alone, Series
from system import ROOT, wait_for
from world import (MEASURED, OTHER, PROGRAMS, SERVERS, Load, Nginx, World, linger_ms, settle,
                   stub_alone)

# About 720 and 2,048 bytes of answer.
SMALL, LARGE = "lat=0:pad=440", "lat=0:pad=1760"


def per_cpu_s(report, pid):
    used = report["cpu_s"][str(pid)]
    return report["good"] / used if used > 0 else None


def check_all_good(report, what):
    bad = {code: count for code, count in report["statuses"].items()
           if not code.startswith("2")}
    if bad or report["cut"] or report["refused"] or report["left"]:
        print(f"  {what}: statuses {report['statuses']}, {report['cut']} cut, "
              f"{report['refused']} refused, {report['left']} without an answer", flush=True)


def bare_producer(world, window, seconds, core=MEASURED):
    """librdkafka alone, on the measured core; records per CPU-second."""
    linger = linger_ms()
    done = subprocess.run(
        ["taskset", "-c", str(core), str(ROOT / "build/bench/producer"),
         world.environment["SYNQ_KAFKA"], "bench.bare", str(window), str(seconds), linger],
        capture_output=True, text=True, timeout=60 + 2 * seconds)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    report = json.loads(done.stdout)
    return report["measured"] / report["cpu_s"]


# ---- accept ----------------------------------------------------------------


def accept(bench):
    """One intake on a core of its own, everything else on the other."""
    with World() as world, Nginx() as nginx:
        world.place(OTHER)
        world.place(MEASURED, "intake")
        world.warm(bench)
        world.scale("dispatcher", 0)
        world.scale("recorder", 0)
        world.place(OTHER)
        world.place(MEASURED, "intake")
        [intake] = world.pids("intake")
        rounds = {count: {"nginx": [], "synq": [], "ratio": [], "per_s": [], "p50": [],
                          "p99": [], "nginx_p99": [], "bare": []} for count in (64, 1000)}
        others = []
        seconds = bench.seconds(5)
        for number in bench.rounds():
            for count, seen in rounds.items():
                alone = Alone(MEASURED, [nginx.process.pid])
                report = Load([nginx.port], nginx.keys, connections=count, seconds=seconds,
                              pids=[nginx.worker]).wait()
                others.append(alone.others())
                reference = per_cpu_s(report, nginx.worker)
                seen["nginx"].append(reference)
                seen["nginx_p99"].append(report["latency_ms"]["p99"])
                alone = Alone(MEASURED, [intake])
                report = world.load(connections=count, seconds=seconds, pids=[intake]).wait()
                others.append(alone.others())
                check_all_good(report, f"accept {count}")
                ours = per_cpu_s(report, intake)
                seen["synq"].append(ours)
                seen["ratio"].append(ours / reference)
                seen["per_s"].append(report["per_s"])
                seen["p50"].append(report["latency_ms"]["p50"])
                seen["p99"].append(report["latency_ms"]["p99"])
                seen["bare"].append(bare_producer(world, count, min(seconds, 3)))
                bench.say(f"round {number} {count} connections: nginx {reference:,.0f}, "
                          f"intake {ours:,.0f} per CPU-s ({ours / reference:.3f}), "
                          f"{report['per_s']:,.0f}/s, busy "
                          f"{report['cpu_s'][str(intake)] / report['window_s']:.2f}, "
                          f"librdkafka alone {seen['bare'][-1]:,.0f}, others {others[-1]}")
                settle()
        bench.profile(world, intake, lambda: world.load(
            connections=64, seconds=bench.seconds(8)))
    lines = []
    for count, seen in rounds.items():
        least = 0.4 if count == 64 else 0.5
        ratio = Series(seen["ratio"])
        lines.append(bench.line(
            f"accept-{count}", f"accept: requests per CPU-second of one intake, {count} connections",
            target=f"≥ {least} of nginx", bar="Go with franz-go, no key, no check: ≈ 46,000",
            value=Series(seen["synq"]), reference=("nginx return 202", Series(seen["nginx"])),
            ratio=ratio, met=ratio.median >= least, others=others,
            note=[("requests/s", Series(seen["per_s"])), ("p50 ms", Series(seen["p50"])),
                  ("p99 ms", Series(seen["p99"])), ("nginx p99 ms", Series(seen["nginx_p99"])),
                  ("librdkafka alone, records per CPU-s", Series(seen["bare"]))]))
    return lines


def set_topic(world, setting):
    """With Kafka's own tool: the other settings of the topic stay."""
    jars = ROOT / "build/kafka/lib"
    for flag in (["--add-config", setting] if "=" in setting else ["--delete-config", setting],):
        done = subprocess.run(
            ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*",
             "kafka.admin.ConfigCommand", "--bootstrap-server",
             world.environment["SYNQ_KAFKA"], "--alter", "--entity-type", "topics",
             "--entity-name", "synq.requests.interactive", *flag],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)


def accept_one_core(bench):
    """Intake and broker share the measured core."""
    with World() as world:
        world.place(OTHER)
        world.place(MEASURED, "intake")
        world.warm(bench)
        world.scale("dispatcher", 0)
        world.scale("recorder", 0)
        world.place(OTHER)
        world.place(MEASURED, "intake", "kafka")
        mine = world.pids("intake", "kafka")
        [intake], [kafka] = world.pids("intake"), world.pids("kafka")
        seen = {"page cache": [], "fsync": []}
        parts = {"intake": [], "kafka": []}
        latency = {"page cache": [], "fsync": []}
        others = []
        for number in bench.rounds():
            for kind, found in seen.items():
                set_topic(world, "flush.messages=1" if kind == "fsync" else "flush.messages")
                settle()
                alone = Alone(MEASURED, mine)
                report = world.load(connections=64, seconds=bench.seconds(5),
                                    pids=mine).wait()
                others.append(alone.others())
                check_all_good(report, "accept-one-core")
                found.append(report["per_s"])
                latency[kind].append(report["latency_ms"]["p50"])
                if kind != "fsync":
                    parts["intake"].append(report["cpu_s"][str(intake)] / report["window_s"])
                    parts["kafka"].append(report["cpu_s"][str(kafka)] / report["window_s"])
                bench.say(f"round {number} {kind}: {report['per_s']:,.0f}/s, others {others[-1]}")
    plain, synced = Series(seen["page cache"]), Series(seen["fsync"])
    return [bench.line(
        "accept-one-core", "accept with the broker on the same core: requests/s, 64 connections",
        target="≥ 20,000/s",
        bar="Redis list: fsync each second 8,224, each write 5,992; Restate 342",
        value=plain, met=plain.median >= 20000, others=others,
        note=[("with flush.messages=1, requests/s", synced),
              ("p50 ms", Series(latency["page cache"])),
              ("p50 ms with flush.messages=1", Series(latency["fsync"])),
              ("share of the core: intake", Series(parts["intake"])),
              ("share of the core: broker", Series(parts["kafka"]))])]


# ---- dispatch --------------------------------------------------------------


def fill(world, count):
    """So many requests on the log, nobody reads yet."""
    report = world.load(connections=256, count=count).wait()
    check_all_good(report, "filling the topic")
    return report["good_total"]


def wait_produced(world, name, topic, wanted, limit_s):
    wait_for(f"{wanted:,} records of {topic} acknowledged to {name}", limit_s,
             lambda: world.produced(name, topic) >= wanted, 0.1)


def dispatch(bench):
    """The topic is full before the dispatcher starts; it has a core of its own."""
    count = bench.amount(100000, 20000)
    with World(models={"bench": SMALL}) as world:
        world.scale("dispatcher", 0)
        world.scale("recorder", 0)
        world.place(OTHER)
        world.place(MEASURED, "intake")
        world.place_new(MEASURED)
        alone_stub = stub_alone(world.folder, {"bench": SMALL})
        stub_keys = world.folder / "stub-keys"
        stub_keys.write_text(f"{alone_stub.key}\n")
        seen = {"synq": [], "per_s": [], "stub": []}
        others = []
        try:
            for number in bench.rounds():
                report = Load([alone_stub.port], stub_keys, core=MEASURED, kind="chat",
                              seconds=bench.seconds(3)).wait()
                seen["stub"].append(report["per_s"])
                filled = fill(world, count)
                settle()
                before = time.monotonic()
                alone = Alone(MEASURED, [])
                world.scale("dispatcher", 1)
                [dispatcher] = world.pids("dispatcher")
                wait_produced(world, "dispatcher-1", "synq.results", 2 * filled, 300)
                used = measure.cpu_s(dispatcher)
                took = time.monotonic() - before
                others.append(max(0.0, round(alone.others() - used / took, 3)))
                seen["synq"].append(filled / used)
                seen["per_s"].append(filled / took)
                bench.say(f"round {number}: {filled / used:,.0f} per CPU-s, {filled / took:,.0f}/s, "
                          f"busy {used / took:.2f}, stub alone {seen['stub'][-1]:,.0f}/s, "
                          f"others {others[-1]}")
                world.scale("dispatcher", 0)
            if bench.wants_profile:
                fill(world, count)
                world.scale("dispatcher", 1)
                [dispatcher] = world.pids("dispatcher")
                bench.profile(world, dispatcher, None)
        finally:
            alone_stub.stop()
    value = Series(seen["synq"])
    return [bench.line(
        "dispatch", "dispatcher: requests per CPU-second, from Kafka to result acknowledged, "
        "attempts on the log, stub at 0 ms",
        target="≥ 8,000", bar="llm-d-async 3,930; onwards as a bare proxy 15,156",
        value=value, met=value.median >= 8000, others=others,
        reference=("stub alone, calls/s", Series(seen["stub"])),
        note=[("requests/s", Series(seen["per_s"])), ("requests a round", count)])]


# ---- recorder --------------------------------------------------------------


def recorder(bench):
    """Requests and results are on the log before the recorder starts."""
    count = bench.amount(60000, 15000)
    with World(models={"bench": LARGE}) as world, world.pg() as pg:
        world.scale("recorder", 0)
        world.place(OTHER)
        world.place(MEASURED, "postgresql")
        world.place_new(MEASURED)
        [postgresql] = world.pids("postgresql")
        seen = {"jobs": [], "recorder": [], "postgresql": []}
        others = []
        total = int(world.produced("dispatcher-1", "synq.results")) // 2
        for number in bench.rounds():
            total += fill(world, count)
            wait_produced(world, "dispatcher-1", "synq.results", 2 * total, 300)
            settle()
            before_jobs = rows(pg)
            world.scale("recorder", 1)
            [pid] = world.pids("recorder")
            # Without its start: from the first rows that it has written.
            wait_for("the first rows", 60, lambda: world.recorded(pg) > 2 * before_jobs, 0.02)
            began, began_at = world.recorded(pg), time.monotonic()
            alone = Alone(MEASURED, [pid, postgresql])
            server_s, own_s = measure.tree_cpu_s(postgresql), measure.cpu_s(pid)
            wait_for("all rows", 300, lambda: world.recorded(pg) >= 2 * total, 0.1)
            took = time.monotonic() - began_at
            jobs = (2 * total - began) / 2
            others.append(alone.others())
            seen["jobs"].append(jobs / took)
            seen["recorder"].append((measure.cpu_s(pid) - own_s) / took)
            seen["postgresql"].append((measure.tree_cpu_s(postgresql) - server_s) / took)
            bench.say(f"round {number}: {jobs / took:,.0f} jobs/s, recorder "
                      f"{seen['recorder'][-1]:.2f}, PostgreSQL {seen['postgresql'][-1]:.2f} of the "
                      f"core, others {others[-1]}")
            world.scale("recorder", 0)
            assert rows(pg) == total, f"{rows(pg)} results of {total}"
    value = Series(seen["jobs"])
    return [bench.line(
        "recorder", "recorder and PostgreSQL on one core: jobs/s to final rows, 2 KB results",
        target="≥ 6,000", bar="-", value=value, met=value.median >= 6000, others=others,
        note=[("share of the core: recorder", Series(seen["recorder"])),
              ("share of the core: PostgreSQL", Series(seen["postgresql"])),
              ("jobs a round", count)])]


def rows(pg):
    return pg.execute("SELECT count(*) FROM operations.result").fetchone()[0]


# ---- all of it -------------------------------------------------------------


def system(bench):
    """Everything on the measured core; load and stub on the other."""
    with World(models={"bench": SMALL}) as world, world.pg() as pg:
        world.place(MEASURED)
        world.warm(bench)
        mine = [world.supervisor]
        seen = {"jobs": [], "submits": [], "p50": [], "p99": [], "drain": []}
        shares = {name: [] for name in ("intake", "dispatcher", "recorder", "kafka",
                                        "postgresql", "redis")}
        others = []
        for number in bench.rounds():
            done_before = rows(pg)
            alone = Alone(MEASURED, mine)
            used = shares_of(world, shares)
            report = world.load(connections=1000, warmup=0, seconds=bench.seconds(8)).wait()
            check_all_good(report, "system")
            wanted = done_before + report["good_total"]
            wait_for(f"{wanted:,} results stored", 300,
                     lambda: world.recorded(pg) >= 2 * wanted and rows(pg) >= wanted, 0.1)
            ended_us = stored_until_us(pg)
            took = (ended_us - report["start_us"]) / 1e6
            others.append(alone.others())
            for name, now_s in shares_of(world, shares).items():
                shares[name].append((now_s - used[name]) / took)
            seen["jobs"].append(report["good_total"] / took)
            seen["submits"].append(report["per_s"])
            seen["p50"].append(report["latency_ms"]["p50"])
            seen["p99"].append(report["latency_ms"]["p99"])
            seen["drain"].append(took - report["window_s"])
            bench.say(f"round {number}: {seen['jobs'][-1]:,.0f} jobs/s end to end, "
                      f"{report['per_s']:,.0f} submits/s, then {seen['drain'][-1]:.1f} s; "
                      + ", ".join(f"{name} {share[-1]:.2f}" for name, share in shares.items())
                      + f", others {others[-1]}")
            settle()
    value = Series(seen["jobs"])
    return [bench.line(
        "system", "the whole system on one core: jobs/s from submit to stored result",
        target="≥ 2,600",
        bar="Redis list: fsync each second 2,521, each write 2,071; Bifrost 656; Doubleword 439; "
            "Restate 328; DeltaLLM 140",
        value=value, met=value.median >= 2600, others=others,
        note=[("submits/s", Series(seen["submits"])), ("submit p50 ms", Series(seen["p50"])),
              ("submit p99 ms", Series(seen["p99"])),
              ("s from the last submit to the last result", Series(seen["drain"])),
              *((f"share of the core: {name}", Series(share))
                for name, share in shares.items())])]


def shares_of(world, names):
    return {name: sum(measure.tree_cpu_s(pid) for pid in world.pids(name)) for name in names}


def stored_until_us(pg):
    """When the transaction of the last result began, by PostgreSQL's clock."""
    return pg.execute("SELECT (extract(epoch FROM max(recorded_at)) * 1e6)::bigint"
                      " FROM operations.result").fetchone()[0]


def idle(bench):
    """One client with one job at a time, which waits for its result by long
    poll; beside it the same when a job comes now and then."""
    with World(models={"bench": SMALL}) as world:
        world.place(MEASURED, *PROGRAMS)
        world.place(OTHER, *SERVERS)
        world.warm(bench)
        seen = {"p50": [], "p99": [], "rate": [], "rare": []}
        others = []
        for number in bench.rounds():
            alone = Alone(MEASURED, [world.supervisor])
            report = world.load(kind="result", connections=1, warmup=1,
                                seconds=bench.seconds(8)).wait()
            rare = world.load(kind="result", connections=2, rate=20,
                              seconds=bench.seconds(8)).wait()
            others.append(alone.others())
            check_all_good(report, "idle")
            check_all_good(rare, "idle")
            seen["p50"].append(report["latency_ms"]["p50"])
            seen["p99"].append(report["latency_ms"]["p99"])
            seen["rate"].append(report["per_s"])
            seen["rare"].append(rare["latency_ms"]["p50"])
            bench.say(f"round {number}: p50 {seen['p50'][-1]:.2f} ms, p99 {seen['p99'][-1]:.2f} ms, "
                      f"{seen['rate'][-1]:.0f}/s; at 20/s p50 {seen['rare'][-1]:.2f} ms, "
                      f"others {others[-1]}")
    value = Series(seen["p50"])
    return [bench.line(
        "idle", "idle system, one job at a time: submit to result ready by long poll, p50 ms",
        target="≤ 3 ms", bar="Bifrost 1.2 (not durable), Redis list 5.0, Restate 7.8, Doubleword 24",
        value=value, met=value.median <= 3, others=others,
        note=[("p99 ms", Series(seen["p99"])), ("jobs/s", Series(seen["rate"])),
              ("p50 ms at 20 jobs/s", Series(seen["rare"]))])]


def chat(bench):
    """The same open loop at the stub, at nginx and through Synq."""
    with World(models={"bench": SMALL}) as world, Nginx() as nginx:
        world.place(MEASURED, *PROGRAMS)
        world.place(OTHER, *SERVERS)
        world.warm(bench)
        stub_keys = world.folder / "stub-keys"
        stub_keys.write_text(f"{world.stub.key}\n")
        shape = {"kind": "chat", "connections": 32, "rate": 500, "seconds": bench.seconds(8)}
        seen = {name: {"p50": [], "p99": []} for name in ("stub", "nginx", "synq")}
        added, others = [], []
        for number in bench.rounds():
            for name, found in seen.items():
                alone = Alone(MEASURED, [world.supervisor, nginx.process.pid])
                if name == "synq":
                    report = world.load(**shape).wait()
                elif name == "stub":
                    report = Load([world.stub.port], stub_keys, model="bench", **shape).wait()
                else:
                    report = Load([nginx.port], nginx.keys, **shape).wait()
                others.append(alone.others())
                check_all_good(report, f"chat {name}")
                found["p50"].append(report["latency_ms"]["p50"])
                found["p99"].append(report["latency_ms"]["p99"])
            added.append(seen["synq"]["p50"][-1] - seen["stub"]["p50"][-1])
            bench.say(f"round {number}: p50 stub {seen['stub']['p50'][-1]:.3f}, synq "
                      f"{seen['synq']['p50'][-1]:.3f}, added {added[-1]:.3f} ms; p99 nginx "
                      f"{seen['nginx']['p99'][-1]:.2f}, synq {seen['synq']['p99'][-1]:.2f} ms, "
                      f"others {others[-1]}")
    value = Series(added)
    return [bench.line(
        "chat", "synchronous chat at 500/s: p50 added to the stub's own, ms", target="≤ 2.5 ms",
        bar="proxies without a log 0.2–0.4", value=value, met=value.median <= 2.5, others=others,
        reference=("stub alone p50 ms", Series(seen["stub"]["p50"])),
        note=[("p50 ms", Series(seen["synq"]["p50"])), ("p99 ms", Series(seen["synq"]["p99"])),
              ("nginx p50 ms", Series(seen["nginx"]["p50"])),
              ("nginx p99 ms", Series(seen["nginx"]["p99"]))])]
