"""The power of a machine with one copy of everything goes, and Kafka comes back
with partitions that are SHORTER than what the group of the dispatchers had
committed and what PostgreSQL says is recorded.

What was lost with the log is lost.  But whatever is accepted from then on gets
offsets that were given before, and all of it is run, by one call each, and
recorded; of what was accepted before, only the call that was out is made again.
"""

import collections
import json
import os
import pathlib
import signal
import struct

import pytest

from committed import committed, end_of, reach
from conftest import client
from crowd import uuid_of
from jobs import content, result, submit
from outage import Outage, family, is_running, send
from stub import Stub
from system import System, wait_for
from traffic import check_ended_once, with_result

PARTITIONS = 4
ORGANIZATIONS = 6
REQUESTS = ("synq.requests.interactive", "synq.requests.batch")
RESULTS = ("synq.results",)
ALL = REQUESTS + RESULTS
# Which third of what a test wrote is the first to be cut off: what is left of
# the requests has its results.
FIRST_LOST = {topic: 1 for topic in REQUESTS} | {topic: 2 for topic in RESULTS}
# Of each organization, in turns interactive and batch.
BEFORE = 12
AFTER = 3
# More than what is cut off.
AFTER_MORE = 12
MOST_RESTARTS = 1
# Each test has its own, for their calls end after it.
STRAGGLERS = ("straggler-1", "straggler-2", "straggler-3")
# Of a record batch: its first offset and how many bytes follow; behind 23 bytes
# the last offset less the first.
BATCH = struct.Struct(">qi")
BATCH_SPAN = struct.Struct(">23xi")


@pytest.fixture(scope="module")
def systems():
    made = []
    yield made
    for one in made:
        stop(one)


def stop(system):
    """A call that is out would be waited for."""
    system.stub.stop()
    system.stop()


@pytest.fixture
def system(systems):
    """The same one until a test fails."""
    if systems and systems[-1].failed:
        stop(systems.pop())
    if not systems:
        models = {"fast": "lat=1", **dict.fromkeys(STRAGGLERS, "lat=600000")}
        one = System(models, [f"kafka.partitions={PARTITIONS}"])
        systems.append(one)
        one.organizations = [one.organization(f"org {n}") for n in range(ORGANIZATIONS)]
    return systems[-1]


# Where everything stands, by partition; those without records are left out.


def ends(system, topics):
    """The offset of the next record."""
    brokers = system.environment["SYNQ_KAFKA"]
    found = {(topic, partition): end_of(brokers, topic, partition)
             for topic in topics for partition in range(PARTITIONS)}
    return {place: end for place, end in found.items() if end > 0}


def recorded(system):
    """Where the recorder goes on, as PostgreSQL says."""
    with system.pg() as pg:
        return {(topic, partition): offset for topic, partition, offset in pg.execute(
            "SELECT topic, partition, next FROM platform.consumer_offset"
            " WHERE consumer = 'recorder' AND next > 0")}


def wait_until_kept(system):
    """By PostgreSQL, come what may: the recorder does not wait for that."""
    with system.pg() as pg:
        [shown] = pg.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
        wait_for("it is on the disk", 20, lambda: pg.execute(
            "SELECT pg_current_wal_flush_lsn() >= %s", [shown]).fetchone()[0])


def dispatched(system):
    """Where a dispatcher goes on, as its group has committed, and the end of
    what the map there tells of."""
    found = {}
    for place in ends(system, REQUESTS):
        offset, metadata = committed(
            system.environment["SYNQ_KAFKA"], f"synq-dispatcher.{place[0]}", *place)
        found[place] = offset, offset + reach(metadata)
    return found


def is_recorded(system):
    return recorded(system) == ends(system, ALL)


def is_dispatched(system, besides=None):
    """Whether nothing is open but in ${besides}, where something is done."""
    return {place: told if place == besides else offset
            for place, (offset, told) in dispatched(system).items()} == ends(system, REQUESTS)


# What is accepted before and after.


def submit_all(system, count):
    """${count} jobs of each organization: owner, text and job of each."""
    made = []
    for owner in system.organizations:
        with client(system.urls[0], owner.key) as api:
            for number in range(count):
                text = f"{len(made)} of {owner.name}"
                priority = "batch" if number % 2 else "interactive"
                made.append((owner, text, submit(api, text=text, priority=priority)))
    return made


def ids_of(made):
    return [job["id"] for _, _, job in made]


def check_answers(system, made):
    """As their owners read them."""
    for owner in system.organizations:
        with client(system.urls[0], owner.key) as api:
            for _, text, job in [one for one in made if one[0] is owner]:
                assert content(result(api, job)) == f"stub:{text}"


def check_restarts(system):
    rows = system.processes()
    assert all(row["restarts"] <= MOST_RESTARTS for row in rows), rows


def wait_for_each(system, made, what, those):
    """Until ${those}() has the uuid of each, while no program dies again and
    again."""
    wanted = {uuid_of(one) for one in ids_of(made)}
    left = wanted

    def question():
        nonlocal left
        check_restarts(system)
        left = wanted - set(those())
        return not left
    try:
        wait_for(f"all {what}", 60, question, 0.3)
    finally:
        print(f"{len(wanted) - len(left)} of {len(wanted)} {what}")


def check_called(system, made):
    wait_for_each(system, made, "are called", lambda: [
        call["job_id"] for call in system.stub.calls()])


def check_recorded(system, made):
    wanted = [uuid_of(one) for one in ids_of(made)]
    wait_for_each(system, made, "are recorded", lambda: with_result(system, wanted))


class Before:
    """Jobs that have ended, everywhere; and one whose call is out, the first of
    this test in its partition: there the offset stays, and a map tells of what
    is done behind it."""

    def __init__(self, system, straggler):
        self.straggler = straggler
        self.begins = ends(system, ALL)
        with client(system.urls[0], system.organizations[0].key) as api:
            self.head = submit(api, straggler, text="at the head", priority="interactive")
        wait_for("its call is out", 20, lambda: system.stub.totals()["in_flight"] == 1)
        [place] = [place for place, end in ends(system, REQUESTS).items()
                   if end > self.begins.get(place, 0)]
        self.jobs = submit_all(system, BEFORE)
        wanted = {uuid_of(one) for one in ids_of(self.jobs)}
        wait_for("all have ended", 30, lambda: len(with_result(system, wanted)) == len(wanted))
        wait_for("all is recorded", 20, lambda: is_recorded(system))
        wait_for("all is committed", 20, lambda: is_dispatched(system, place))
        wait_until_kept(system)
        self.ends = ends(system, ALL)
        self.recorded = recorded(system)
        self.dispatched = dispatched(system)
        assert self.dispatched[place] == (self.begins.get(place, 0), self.ends[place])


# The power.


def take_power(system):
    """All die together.  PostgreSQL is told to end as it is, saving nothing:
    that is the end of all its processes."""
    outage = Outage(system)
    send([outage.supervisor], signal.SIGSTOP)
    postgresql = outage.pid("postgresql")
    spared = family(postgresql)
    pids = family(outage.supervisor)
    send([pid for pid in pids[1:] if pid not in spared], signal.SIGKILL)
    send([postgresql], signal.SIGQUIT)
    wait_for("all have died", 30, lambda: not any(map(is_running, pids[1:])))
    send(pids[:1], signal.SIGKILL)
    wait_for("the supervisor has died", 10, lambda: not is_running(pids[0]))


def batches(segment):
    """Of a segment: position, bytes, first and last offset of each."""
    data = segment.read_bytes()
    at = 0
    while at < len(data):
        first, size = BATCH.unpack_from(data, at)
        [span] = BATCH_SPAN.unpack_from(data, at)
        yield at, BATCH.size + size, first, first + span
        at += BATCH.size + size


def cut(system, topics, before):
    """Take the newer part of what this test wrote from the partitions of
    ${topics}, from the middle of a batch on; where each ends then."""
    data = pathlib.Path((system.dir / "run" / "data").read_text().strip())
    left = {}
    for place, end in before.ends.items():
        begin = before.begins.get(place, 0)
        if place[0] not in topics or begin == end:
            continue
        torn = begin + (end - begin) * FIRST_LOST[place[0]] // 3
        folder = data / "kafka" / "data" / "{}-{}".format(*place)
        segment = sorted(folder.glob("*.log"))[-1]
        [(at, size, first, _)] = [one for one in batches(segment) if one[2] <= torn <= one[3]]
        os.truncate(segment, at + size // 2)
        left[place] = first
    assert {topic for topic, _ in left} == set(topics)
    return left


def give_power(system, before, counts):
    """Start servers and as many of each program as ${counts} says; the straggler
    is no longer one."""
    system.models[before.straggler] = "lat=1"
    system.stub.stop()
    system.stub = Stub(system.folder, system.models, port=system.stub.port)
    # As synq scale leaves it.
    (system.dir / "run" / "scale.json").write_text(json.dumps(counts) + "\n")
    words = [word for one in system.settings for word in ("-X", one)]
    system.synq("up", *words, limit_s=150)


def check_shorter(system, before, left):
    """What the broker has is shorter than what others believe to know of it."""
    at_end = ends(system, ALL)
    for place, end in left.items():
        if place[0] in REQUESTS:
            assert at_end[place] == end
            assert before.dispatched[place][1] > end
        # Results may be on their way again.
        assert end <= at_end[place] < before.recorded[place]


# What must be true afterwards.


def check_after(system, before, after):
    check_called(system, after)
    check_recorded(system, after)
    check_ended_once(system, ids_of(after))
    check_answers(system, after)

    # The straggler's call was out; it is made again, once, and on record.
    head = uuid_of(before.head["id"])
    wait_for("the straggler has ended", 60, lambda: with_result(system, [head]))
    assert with_result(system, [head]) == {head: "succeeded"}
    calls = collections.Counter(call["job_id"] for call in system.stub.calls())
    assert calls[head] == 2
    check_ended_once(system, ids_of(before.jobs))

    wait_for("all is recorded", 20, lambda: is_recorded(system))
    wait_for("all is committed", 20, lambda: is_dispatched(system))
    rows = system.processes()
    assert all(row["health"] == "ready" for row in rows), rows
    check_restarts(system)


@pytest.mark.parametrize("topics, straggler", [
    (REQUESTS, STRAGGLERS[0]), (ALL, STRAGGLERS[1])], ids=["requests", "results_too"])
def test_a_shorter_log_is_gone_on_with(system, topics, straggler):
    before = Before(system, straggler)
    take_power(system)
    left = cut(system, topics, before)
    give_power(system, before, {"intake": 1, "dispatcher": 1, "recorder": 1})
    check_shorter(system, before, left)

    after = submit_all(system, AFTER)

    check_after(system, before, after)


def test_a_log_that_has_passed_its_old_end_again(system):
    """Dispatcher and recorder come when nothing looks short any more."""
    before = Before(system, STRAGGLERS[2])
    take_power(system)
    left = cut(system, ALL, before)
    give_power(system, before, {"intake": 1, "dispatcher": 0, "recorder": 0})
    check_shorter(system, before, left)
    assert recorded(system) == before.recorded
    assert dispatched(system) == before.dispatched

    after = submit_all(system, AFTER_MORE)
    at_end = ends(system, REQUESTS)
    assert all(at_end[place] > before.ends[place] for place in left if place[0] in REQUESTS)
    system.scale("dispatcher", 1)
    check_called(system, after)
    wait_for("the results have passed their old end", 60, lambda: all(
        end > before.ends[place] for place, end in ends(system, RESULTS).items()))
    assert recorded(system) == before.recorded
    system.scale("recorder", 1)

    check_after(system, before, after)
