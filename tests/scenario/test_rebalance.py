"""Programs that join and leave under load, with long calls among fast ones: a
planned change loses nothing and repeats no call.

SYNQ_TEST_LONG_CALL_S sets how long (12; half a minute suits the long form),
SYNQ_TEST_SEED the order of events of the long form (printed).
"""

import collections
import json
import os
import random
import re
import signal
import threading
import time

import pytest

from system import System, wait_for
from traffic import Traffic, check_ended_once

LONG_S = int(os.environ.get("SYNQ_TEST_LONG_CALL_S", "12"))
ORGANIZATIONS = 32
STALL_MS = 2000
# A long call in so many requests.
LONG_SHARE = 25


@pytest.fixture(scope="module")
def system():
    with System({"fast": "lat=1-20", "long": f"lat={LONG_S * 1000}"}) as one:
        for program in ("intake", "recorder", "dispatcher"):
            one.scale(program, 2)
        one.organizations = [one.organization(f"org {n}") for n in range(ORGANIZATIONS)]
        yield one


class Churn:
    """Lets programs join and leave.  What waits for calls to end goes on in
    the background."""

    def __init__(self, system, rand):
        self.system = system
        self.rand = rand
        self.threads = []
        self.errors = []
        self.done = []

    def note(self, text):
        self.done.append(text)
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

    def background(self, *words):
        def work():
            try:
                self.system.synq(*words, limit_s=4 * LONG_S)
            except BaseException as error:
                self.errors.append(error)
        thread = threading.Thread(target=work)
        thread.start()
        self.threads.append(thread)
        self.note("synq " + " ".join(words))

    def running(self, program):
        return [row["name"] for row in self.system.processes(program) if row["health"] == "ready"]

    def end(self, program):
        """SIGTERM to one that is not alone; it is started again."""
        names = self.running(program)
        if len(names) > 1:
            name = self.rand.choice(names)
            self.system.kill(name, signal.SIGTERM)
            self.note(f"SIGTERM {name}")

    def scale(self, program, counts):
        self.background("scale", program, str(self.rand.choice(counts)))

    def any(self):
        program = self.rand.choice(("dispatcher",) * 4 + ("recorder", "intake"))
        if self.rand.random() < 0.5:
            self.end(program)
        elif program == "intake":
            self.scale(program, (2, 3))  # the first two are asked
        else:
            self.scale(program, (1, 2, 3, 4) if program == "dispatcher" else (1, 2, 3))

    def settle(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise self.errors[0]


def events(system, event):
    """How often the dispatchers and recorders logged ${event}."""
    return sum(json.loads(line)["event"] == event
               for log in system.logs() if log.name.startswith(("dispatcher", "recorder"))
               for line in log.read_text().splitlines() if line.startswith("{"))


def broker_stalls(system):
    """How often the broker itself says that it stood still for seconds: on a
    machine that starves it a session may end through no fault of a member."""
    found = re.findall(r"Exceptionally slow .* took (\d+) ms",
                       (system.dir / "log" / "kafka.log").read_text(errors="replace"))
    return sum(int(ms) >= STALL_MS for ms in found)


def traffic_of(system, pause_s):
    return Traffic(system.ports, system.organizations, pause_s=pause_s,
                   model=lambda n: "long" if n % LONG_SHARE == 0 else "fast")


def check(system, traffic, revoked_before):
    accepted = traffic.accepted()
    refusals = [answer for _, _, answer in traffic.answers
                if answer is not None and answer.status != 202]
    refused = [answer.status for answer in refusals]
    stalls = broker_stalls(system)
    print(f"{len(accepted)} accepted, {len(traffic.long)} of them long; {len(refused)} refused, "
          f"{len(traffic.answers) - len(accepted) - len(refused)} cut off; "
          f"the broker stood still {stalls} times")
    assert traffic.long
    check_ended_once(system, accepted, 4 * LONG_S)
    lost = events(system, "partition.lost")
    print(f"{lost} partitions lost; refused: {[answer.body[:200] for answer in refusals[:5]]}")
    assert stalls or (lost == 0 and refused == [])
    assert set(refused) <= {503}
    assert events(system, "service.drain_cut") == 0
    assert events(system, "partition.map_corrupt") == 0
    assert events(system, "partition.revoked") > revoked_before, "nothing changed hands"


def shares(system, name):
    """topic: how many partitions of it the dispatcher ${name} has."""
    held = {}
    for line in (system.dir / "log" / f"{name}.log").read_text().splitlines():
        entry = json.loads(line) if line.startswith("{") else {"event": ""}
        place = entry.get("topic"), entry.get("partition")
        if entry["event"] == "partition.active":
            held[place] = True
        elif entry["event"] in ("partition.revoked", "partition.lost"):
            held.pop(place, None)
    return collections.Counter(topic for topic, _ in held)


def test_a_dispatcher_that_joins_gets_half_of_each_topic(system):
    """Of all topics together would do for the assignor, not for the busy one."""
    half = {"synq.requests.interactive": 8, "synq.requests.batch": 8}
    for name in ("dispatcher-1", "dispatcher-2"):
        wait_for(f"{name} has half of each topic", 30, lambda name=name:
                 shares(system, name) == half)


@pytest.mark.timeout(240)
def test_members_that_join_and_leave_repeat_no_call(system):
    churn = Churn(system, random.Random(1))
    before = events(system, "partition.revoked")
    with traffic_of(system, 0.04) as traffic:
        time.sleep(2)
        churn.background("scale", "dispatcher", "4")
        time.sleep(6)
        churn.background("scale", "recorder", "3")
        churn.end("dispatcher")
        time.sleep(3)
        churn.end("recorder")
        churn.background("scale", "dispatcher", "3")
        time.sleep(3)
        churn.end("intake")
        time.sleep(2)
    churn.settle()
    check(system, traffic, before)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_five_minutes_of_joining_and_leaving(system):
    seed = int(os.environ.get("SYNQ_TEST_SEED", time.time_ns() % 1000000))
    print(f"SYNQ_TEST_SEED={seed}")
    churn = Churn(system, random.Random(seed))
    before = events(system, "partition.revoked")
    system.scale("dispatcher", 4)
    until = time.monotonic() + 300
    with traffic_of(system, 0.03) as traffic:
        while time.monotonic() < until:
            time.sleep(churn.rand.uniform(2, 8))
            churn.any()
    churn.settle()
    wait_for("all is well", 60, lambda: all(
        row["health"] == "ready" for row in system.processes()))
    check(system, traffic, before)
    assert len(churn.done) > 30
