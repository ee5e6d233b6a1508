"""One long call at the head of a partition and many fast ones behind it, of
its own organization and of others: they pass it, it is never repeated, and
what the group commits and the dispatcher holds stays small.

The installation has one partition, so that everything hashes to it.
"""

import pathlib
import re
import threading
import time

import pytest

from committed import committed
from conftest import client
from crowd import Crowd, uuid_of
from jobs import result, submit
from system import System, wait_for
from traffic import check_ended_once, with_result

MAP_MAX_CHARS = 3500
TOPIC = "synq.requests.interactive"
# A call in flight is waited for beyond the drain limit.
SETTINGS = ("kafka.partitions=1", "service.drain_limit_ms=1000")
# Between two calls of the provider while more are waiting, on a busy machine.
PAUSE_MAX_S = 5
# After the first quarter, what private memory may still grow by.
GROWTH_MAX_KIB = 6 * 1024


def private_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text).group(1))


class Watch(threading.Thread):
    """Looks at the commits, the calls and the dispatcher's memory until the
    straggler's result is there."""

    def __init__(self, system, head):
        super().__init__()
        self.system = system
        self.head = uuid_of(head["id"])
        self.brokers = system.environment["SYNQ_KAFKA"]
        self.pid = system.pid("dispatcher-1")
        self.commits = []
        self.calls = []  # (time, how many)
        self.memory = []  # KiB
        self.error = None

    def run(self):
        try:
            while True:
                commit = committed(self.brokers, f"synq-dispatcher.{TOPIC}", TOPIC, 0)
                calls = self.system.stub.totals()["calls"]
                memory = private_kib(self.pid)
                if with_result(self.system, [self.head]):
                    return
                # All that was just seen is of a time when it was out.
                self.commits.append(commit)
                self.calls.append((time.monotonic(), calls))
                self.memory.append(memory)
                time.sleep(0.2)
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.join()
        if self.error is not None:
            raise self.error

    def longest_pause_s(self, count):
        """Between two calls, until ${count} were made."""
        busy = [(at, calls) for at, calls in self.calls if calls < count]
        moved = [at for (at, calls), (_, before) in zip(busy[1:], busy) if calls > before]
        moments = [busy[0][0], *moved, busy[-1][0]]
        return max(after - at for at, after in zip(moments, moments[1:]))


def run(straggler_s, count):
    """The straggler first, then ${count} others; then a second straggler and
    a restart in the middle of it."""
    models = {"fast": "lat=1-10", "straggler": f"lat={straggler_s * 1000}"}
    with System(models, SETTINGS) as system:
        owner = system.organization("owner")
        others = [owner, *(system.organization(f"org {n}") for n in range(7))]
        with client(system.urls[0], owner.key) as api:
            head = submit(api, "straggler", text="at the head")
            wait_for("it is called", 20, lambda: has_call(system, head))
            passed(system, others, count, head)
            assert result(api, head, 280).status_code == 200
            check_ended_once(system, [head["id"]])

            second = submit(api, "straggler", text="across a restart")
            wait_for("it is called", 20, lambda: has_call(system, second))
            restart = threading.Thread(
                target=system.synq, args=("restart", "dispatcher-1"),
                kwargs={"limit_s": straggler_s + 90})
            restart.start()
            later = submit(api, text="behind the restart")
            assert result(api, second, 280).status_code == 200
            assert result(api, later, 280).status_code == 200
            restart.join()
            check_ended_once(system, [second["id"], later["id"]])


def has_call(system, job):
    """The stub keeps a call's line until it has answered: what tells is the
    attempt on record."""
    with system.pg() as pg:
        return pg.execute("SELECT count(*) FROM operations.attempt WHERE job_id = %s",
                          [uuid_of(job["id"])]).fetchone()[0] == 1


def passed(system, organizations, count, head):
    crowd = Crowd(system.ports, organizations, count, "fast", keyed=False, sync_share=count + 1)
    before, _ = committed(system.environment["SYNQ_KAFKA"], f"synq-dispatcher.{TOPIC}", TOPIC, 0)
    with Watch(system, head) as watch:
        crowd.run(600, fetch=False)
    check_ended_once(system, [job.id for job in crowd.jobs], 600)

    called = watch.calls[-1][1] - watch.calls[0][1]
    pause_s = watch.longest_pause_s(watch.calls[0][1] + count)
    longest = max(len(metadata) for _, metadata in watch.commits)
    quarter = len(watch.memory) // 4
    settled, most = max(watch.memory[:quarter]), max(watch.memory[quarter:])
    print(f"submitted in {crowd.submitted_s:.1f} s; {called} of {count} called while it was out, "
          f"longest pause {pause_s:.1f} s; map at most {longest} characters; "
          f"private memory {settled} KiB in the first quarter, then at most {most}")
    # How many is the machine's business; that they go on all the time is not.
    assert called >= min(count, 500)
    assert pause_s < PAUSE_MAX_S
    # It holds the offset, and the map tells of what is done behind it.
    assert {offset for offset, _ in watch.commits} <= {before, 0, -1}
    assert 0 < longest <= MAP_MAX_CHARS
    assert most - settled <= GROWTH_MAX_KIB


@pytest.mark.timeout(240)
def test_fast_calls_pass_a_straggler():
    run(12, 1500)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_fifty_thousand_pass_a_straggler():
    run(60, 50000)
