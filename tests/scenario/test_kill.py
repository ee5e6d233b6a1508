"""Thousands of jobs of many organizations through two of everything: first in
peace, then with SIGKILL in the middle of the work, one program after the other;
the supervisor starts each again.  Nothing is lost, nothing is answered twice,
all books agree, and only the calls that were in flight are made again, on
record.

SYNQ_TEST_JOBS sets how many jobs (10,000), SYNQ_TEST_ORGANIZATIONS of whom (64).
"""

import os
import threading

import pytest

from crowd import Books, Crowd
from system import System, wait_for

JOBS = int(os.environ.get("SYNQ_TEST_JOBS", "10000"))
ORGANIZATIONS = int(os.environ.get("SYNQ_TEST_ORGANIZATIONS", "64"))
MODELS = {"fast": "lat=1-20"} | dict.fromkeys(("killed", "restarted", "servers"), "lat=20-60")


@pytest.fixture(scope="module")
def pair():
    """Two intakes, two dispatchers, two recorders."""
    with System(MODELS) as system:
        for program in ("intake", "dispatcher", "recorder"):
            system.scale(program, 2)
        system.organizations = [
            system.organization(f"org {n}") for n in range(ORGANIZATIONS)]
        yield system


class Killer(threading.Thread):
    """Kills each of ${names} when the share of accepted jobs beside it is
    reached and it is up."""

    def __init__(self, system, crowd, plan):
        super().__init__()
        self.system = system
        self.crowd = crowd
        self.plan = plan
        self.error = None

    def run(self):
        try:
            for name, share in self.plan:
                wait_for(f"{share:.0%} are accepted", 120,
                         lambda: self.crowd.accepted >= share * len(self.crowd.jobs), 0.005)
                pid = self.system.kill(name)
                # Kafka's start is seconds of processor time.
                wait_for(f"{name} runs again", 60, lambda: any(
                    row["name"] == name and row["health"] == "ready" and row["pid"] != pid
                    for row in self.system.processes()))
        except BaseException as error:
            self.error = error


@pytest.mark.timeout(240)
def test_every_job_ends_once_and_the_books_agree(pair):
    crowd = Crowd(pair.ports, pair.organizations, JOBS, "fast", keyed=False)
    crowd.run()
    print(f"{JOBS} jobs in {crowd.submitted_s:.1f} of {crowd.took_s:.1f} s, repeated: {dict(crowd.repeated)}")

    books = Books(pair, crowd)
    books.check_all_succeeded_once()
    books.check_calls_are_on_record()
    assert books.repeats() == 0
    assert books.unsent() == set()
    assert set(crowd.repeated) <= {202}, "nothing was to be refused"
    assert {row[2] for row in books.attempts.values()} == {"succeeded"}
    assert [row["restarts"] for row in pair.processes()] == [0] * 9


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_repeat_only_what_was_in_flight(pair):
    crowd = Crowd(pair.ports, pair.organizations, JOBS, "killed", keyed=True)
    killer = Killer(pair, crowd, [
        ("dispatcher-1", 0.2), ("recorder-1", 0.4), ("intake-1", 0.6)])
    killer.start()
    crowd.run(120)
    killer.join()
    if killer.error is not None:
        raise killer.error
    print(f"{JOBS} jobs in {crowd.submitted_s:.1f} of {crowd.took_s:.1f} s, repeated: {dict(crowd.repeated)}")

    books = Books(pair, crowd)
    books.check_all_succeeded_once()
    books.check_calls_are_on_record()

    # In flight is what was sent and has no end on the log: how long an answer
    # was on its way there does not matter.
    in_flight = books.without_end()
    again = {job for job, calls in books.calls_of.items() if calls > 1}
    print(f"{len(again)} jobs called again, {books.repeats()} calls more, "
          f"{len(in_flight)} in flight, {len(books.unsent())} unsent")
    assert again <= in_flight, f"{len(again - in_flight)} repeated that were not in flight"
    assert books.repeats() <= len(in_flight)
    assert books.settled_and_repeated() == {}
    # An attempt on record that was never sent can only be the dead one's.
    assert len(books.unsent()) <= 1000
    restarts = {row["name"]: row["restarts"] for row in pair.processes() if row["restarts"]}
    assert restarts == {"dispatcher-1": 1, "recorder-1": 1, "intake-1": 1}


@pytest.mark.timeout(120)
def test_a_planned_restart_of_a_dispatcher_repeats_no_call(pair):
    """Its calls are finished, however it goes (promise 3)."""
    crowd = Crowd(pair.ports, pair.organizations, min(JOBS, 4000), "restarted", keyed=False)
    restarter = threading.Thread(target=lambda: (
        wait_for("a quarter", 60, lambda: crowd.accepted >= len(crowd.jobs) / 4, 0.01),
        pair.restart("dispatcher-2")))
    restarter.start()
    crowd.run(90)
    restarter.join()

    books = Books(pair, crowd)
    books.check_all_succeeded_once()
    books.check_calls_are_on_record()
    assert books.repeats() == 0
    assert books.unsent() == set()


@pytest.mark.timeout(180)
def test_servers_killed_in_the_middle_lose_nothing(pair):
    """Redis, PostgreSQL and the broker come back with what they promised."""
    crowd = Crowd(pair.ports, pair.organizations, min(JOBS, 4000), "servers", keyed=True)
    for job in crowd.jobs:
        job.key = "server-" + job.key
    killer = Killer(pair, crowd, [("redis", 0.2), ("postgresql", 0.4), ("kafka", 0.6)])
    killer.start()
    crowd.run(120)
    killer.join()
    if killer.error is not None:
        raise killer.error
    print(f"{len(crowd.jobs)} jobs in {crowd.took_s:.1f} s, repeated: {dict(crowd.repeated)}")

    books = Books(pair, crowd)
    books.check_all_succeeded_once()
    books.check_calls_are_on_record()
    assert books.repeats() == 0, "the dispatchers lived on"
    # A recorder begins anew where PostgreSQL lost what it had confirmed.
    restarts = {row["name"]: row["restarts"] for row in pair.processes()}
    assert restarts["intake-2"] == restarts["dispatcher-2"] == 0
