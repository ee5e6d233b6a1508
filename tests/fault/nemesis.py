"""Faults, drawn from one seed and then done.

plan() is pure: the same seed gives the same rounds, so that a failed run can
be had again.  A round is one fault, or two at once on different targets; the
next one begins when the system has recovered.
"""

import json
import os
import pathlib
import random
import signal
import threading
import time

from system import wait_for
from world import MOST, SERVERS

PROGRAMS = [f"{program}-{number}" for program in MOST for number in (1, 2)]
# How many of each program run while no fault changes it.
USUAL = 2

# Longer than a member of the group may be silent (6 s), and not.
STOP_S = (2.0, 7.5, 9.0)
STEPS_S = (-3600, -300, -30, -2, 2, 30, 300, 3600)
SLICES = (1, 3, 50)
LATENCIES_MS = (20, 100, 400)

# Each turn of the deck holds every one of these, in an order of the seed.
DECK = (
    [("kill", name) for name in PROGRAMS + list(SERVERS)]
    + [("stop", name) for name in PROGRAMS + list(SERVERS)]
    + [("restart", name) for name in list(SERVERS) + ["dispatcher-1", "recorder-1", "intake-1"]]
    + [("scale", program) for program in MOST] + [("scale", "dispatcher")]
    + [("net", kind) for kind in ("latency", "cut", "blackhole", "slice", "half") * 3]
    + [("disk", program) for program in MOST]
    + [("clock", program) for program in MOST]
)


class Fault:
    """kind and target as in DECK, with what else the seed has chosen."""

    def __init__(self, number, kind, target, hold_s, **detail):
        self.number = number
        self.kind = kind
        self.target = target
        self.hold_s = hold_s
        self.detail = detail

    def words(self):
        detail = " ".join(f"{name}={value}" for name, value in self.detail.items())
        return f"{self.kind} {self.target} {detail}".strip()

    def __repr__(self):
        return f"<{self.number} {self.words()} {self.hold_s} s>"

    def __eq__(self, other):
        return repr(self) == repr(other)


def links():
    """Between any two of what usually runs."""
    found = [f"client>{name}" for name in PROGRAMS if name.startswith("intake")]
    found += [f"{name}>{server}" for name in PROGRAMS for server in SERVERS]
    return found + [f"{name}>stub" for name in PROGRAMS if name.startswith("dispatcher")]


def _draw(rand, number, kind, target):
    if kind == "kill":
        return Fault(number, kind, target, 0.0)
    if kind == "stop":
        return Fault(number, kind, target, rand.choice(STOP_S))
    if kind == "restart":
        return Fault(number, kind, target, 0.0)
    if kind == "scale":
        counts = [n for n in range(1, MOST[target] + 1) if n != USUAL]
        return Fault(number, kind, target, round(rand.uniform(2, 6), 1), to=rand.choice(counts))
    if kind == "net":
        detail = {}
        if target == "latency":
            detail["ms"] = rand.choice(LATENCIES_MS)
        elif target == "slice":
            detail["bytes"] = rand.choice(SLICES)
        elif target == "half":
            detail["side"] = rand.choice(("up", "down"))
        return Fault(number, target, rand.choice(links()), round(rand.uniform(1, 9), 1), **detail)
    instance = f"{target}-{rand.choice((1, 2))}"
    if kind == "disk":
        return Fault(number, kind, instance, round(rand.uniform(2, 6), 1),
                     dies=rand.random() < 0.5)
    return Fault(number, kind, instance, round(rand.uniform(2, 6), 1),
                 seconds=rand.choice(STEPS_S))


def plan(seed, count, together=0.2):
    """${count} faults in rounds of one or two."""
    rand = random.Random(seed)
    deck, rounds, number = [], [], 0
    while number < count:
        size = 2 if rand.random() < together and number + 2 <= count else 1
        one = []
        for _ in range(size):
            if not deck:
                deck = list(DECK)
                rand.shuffle(deck)
            one.append(_draw(rand, number, *deck.pop()))
            number += 1
        # Two that scale the same, or kill what is stopped, are one fault.
        if size == 2 and _base(one[0].target) == _base(one[1].target):
            rounds += [[fault] for fault in one]
        else:
            rounds.append(one)
    return rounds


def _base(target):
    """The program that is hit."""
    return target.split(">")[0].split("-")[0]


def tree(pid):
    """${pid} and all that it has started."""
    parents = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found


class Stopped:
    """SIGSTOP to a process and all that it has started; PostgreSQL is many."""

    def __init__(self, pid):
        self.pids = tree(pid)
        for one in self.pids:
            self._signal(one, signal.SIGSTOP)

    def go_on(self):
        for one in self.pids:
            self._signal(one, signal.SIGCONT)

    @staticmethod
    def _signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def now_us():
    return time.time_ns() // 1000


class Nemesis:
    """Does the faults of a plan to ${world} and notes them for the checker.
    ${recovered}() comes back when the system works again."""

    def __init__(self, world, rounds, recovered, tell=print, until=None):
        self.world = world
        self.rounds = rounds
        self.recovered = recovered
        self.tell = tell
        self.until = until  # monotonic; begin no round after it
        self.record = []
        self.recoveries = []  # (seconds, words)
        self.errors = []
        self.done = 0

    def run(self):
        for one in self.rounds:
            if self.until is not None and time.monotonic() > self.until:
                break
            self._round(one)
            if self.errors:
                raise self.errors[0]

    def _round(self, faults):
        threads = [threading.Thread(target=self._guard, args=[fault]) for fault in faults]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lasted = time.monotonic() - began
        if self.errors:
            return
        words = " + ".join(fault.words() for fault in faults)
        try:
            self._settle()
            took = self.recovered()
        except AssertionError as error:
            raise AssertionError(f"after {words}: {error}") from None
        self.recoveries.append((took, words))
        # Who was thrown out of the group learns of it only afterwards.
        for note in self.record[-len(faults):]:
            if note.get("lasts"):
                note["end_us"] = now_us()
        self.done += len(faults)
        self.tell(f"{faults[-1].number + 1:4d}  {words:60s} {lasted:5.1f} s, "
                  f"recovered in {took:.2f} s")

    def _guard(self, fault):
        try:
            getattr(self, f"_do_{fault.kind}")(fault)
        except BaseException as error:
            error.args = (f"fault {fault!r}: {error}",)
            self.errors.append(error)

    def _note(self, fault, begin_us, **flags):
        self.record.append({
            "number": fault.number, "kind": fault.kind, "target": fault.target,
            "detail": fault.detail, "begin_us": begin_us, "end_us": now_us(), **flags})
        return self.record[-1]

    @staticmethod
    def _flags(name):
        """What a fault of a whole process may cost."""
        if name.startswith("dispatcher"):
            return {"repeats": True, "instance": name}
        if name == "kafka":
            return {"repeats": True, "lasts": True}
        return {}

    def _pid(self, name):
        """It may just be on its way up again, because of the fault beside."""
        def question():
            rows = [row for row in self.world.processes() if row["name"] == name]
            return rows and rows[0]["pid"]
        return wait_for(f"{name} runs", 60, question)

    def _is_back(self, name, pid):
        def question():
            return any(row["name"] == name and row["health"] == "ready" and row["pid"] != pid
                       for row in self.world.processes())
        wait_for(f"{name} is back", 60, question)

    def _settle(self):
        """Everything that should run is ready."""
        def question():
            rows = self.world.processes()
            return len(rows) == len(SERVERS) + USUAL * len(MOST) and \
                all(row["health"] == "ready" for row in rows)
        try:
            wait_for("all are ready", 90, question)
        except AssertionError:
            rows = {row["name"]: row["health"] for row in self.world.processes()}
            raise AssertionError(f"not ready after 90 s: {json.dumps(rows)}") from None

    # ---- one fault each; they come back when it is over ----

    def _do_kill(self, fault):
        pid = self._pid(fault.target)
        begin_us = now_us()
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the fault beside was faster
        note = self._note(fault, begin_us, **self._flags(fault.target))
        self._is_back(fault.target, pid)
        if fault.target in SERVERS:
            note["end_us"] = now_us()

    def _do_stop(self, fault):
        pid = self._pid(fault.target)
        begin_us = now_us()
        stopped = Stopped(pid)
        try:
            time.sleep(fault.hold_s)
        finally:
            stopped.go_on()
        self._note(fault, begin_us, **self._flags(fault.target))

    def _do_restart(self, fault):
        begin_us = now_us()
        self.world.synq("restart", fault.target, limit_s=120)
        # Planned: a dispatcher finishes its calls, so none may be made again.
        flags = self._flags(fault.target) if fault.target in SERVERS else {}
        self._note(fault, begin_us, **flags)

    def _do_scale(self, fault):
        begin_us = now_us()
        self.world.synq("scale", fault.target, str(fault.detail["to"]), limit_s=120)
        time.sleep(fault.hold_s)
        self.world.synq("scale", fault.target, str(USUAL), limit_s=120)
        self._note(fault, begin_us)

    def _net(self, fault, verb, *words):
        begin_us = now_us()
        self.world.proxy.command(verb, fault.target, *words)
        try:
            time.sleep(fault.hold_s)
        finally:
            self.world.proxy.command("clear", fault.target)
        source, server = fault.target.split(">")
        flags = {}
        if source.startswith("dispatcher") and server == "kafka":
            flags = {"repeats": True, "instance": source, "lasts": True}
        self._note(fault, begin_us, **flags)

    def _do_latency(self, fault):
        self._net(fault, "latency", fault.detail["ms"])

    def _do_slice(self, fault):
        self._net(fault, "slice", fault.detail["bytes"])

    def _do_cut(self, fault):
        self._net(fault, "cut")

    def _do_blackhole(self, fault):
        self._net(fault, "blackhole")

    def _do_half(self, fault):
        self._net(fault, "half", fault.detail["side"])

    def _do_disk(self, fault):
        begin_us = now_us()
        self.world.switches.fill_disk(fault.target, True)
        flags = {}
        try:
            time.sleep(fault.hold_s / 2)
            if fault.detail["dies"]:
                os.kill(self._pid(fault.target), signal.SIGKILL)
                flags = self._flags(fault.target)
            time.sleep(fault.hold_s / 2)
        finally:
            self.world.switches.fill_disk(fault.target, False)
        self._note(fault, begin_us, **flags)

    def _do_clock(self, fault):
        begin_us = now_us()
        self.world.switches.step_clock(fault.target, fault.detail["seconds"])
        try:
            time.sleep(fault.hold_s)
        finally:
            self.world.switches.step_clock(fault.target, 0)
        self._note(fault, begin_us)
