"""Redis, PostgreSQL and Kafka away: each alone and all together, at the start
and in the middle, refusing connections ("gone") and silent on open ones
("mute").  What can go on goes on, what cannot says so at once, and nothing
that was accepted is lost.
"""

import concurrent.futures
import re
import signal
import subprocess
import time

import pytest

from conftest import client
from crowd import uuid_of
from jobs import content, error, order, result, submit
from outage import STORES, Health, Outage
from stub import PROGRAMS, free_port
from system import System, wait_for
from traffic import Traffic, check_ended_once

MODES = ("gone", "mute")
long = pytest.mark.long
# Keys are read again after a second, so that a cached one is soon an old one;
# the limits are shorter, so that the tests are.
SETTINGS = ("intake.key_refresh_s=1", "pg.limit_ms=2000", "kafka.ack_limit_ms=5000")
# The machine may be busy with other things; without a fault these take
# milliseconds.
AT_ONCE_S = 2.0
# Two seconds on a quiet machine (printed by the tests).
BACK_S = 6.0


@pytest.fixture(scope="module")
def system():
    with System({"fast": "lat=1", "slow": "lat=1500"}, SETTINGS) as one:
        one.one = one.organization("known")
        one.unseen = one.organization("never seen")
        one.port = one.ports[0]
        yield one


@pytest.fixture
def api(system):
    with client(f"http://127.0.0.1:{system.port}", system.one.key) as one:
        assert one.get("/v1/models").status_code == 200
        yield one


@pytest.fixture
def outage(system):
    one = Outage(system)
    yield one
    one.give_back()
    wait_for("all is well again", 60, lambda: all(
        row["health"] == "ready" for row in system.processes()))


def pids(system):
    """Of the programs, not of the servers."""
    return {row["name"]: row["pid"] for row in system.processes() if "-" in row["name"]}


def traffic_of(system):
    return Traffic([system.port], [system.one])


def at_once(*questions):
    """The answers to ${questions}, which are asked at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(lambda question: question(), questions))


def chat(api, text, model="fast"):
    return api.post("/v1/chat/completions", json={
        "model": model, "messages": [{"role": "user", "content": text}]})


def says(health, check, word):
    """Whether it is in rotation while its ${check} says ${word}."""
    ready, text = health.ready()
    lines = [line for line in text.splitlines() if line[3:].startswith(check + " ")]
    return ready if any(word in line for line in lines) else None


def keyed(api, headers):
    """The job of a keyed request, repeated as SDKs do."""
    def question():
        answer = api.post("/v1/jobs", json=order(text="keyed"), headers=headers)
        assert answer.status_code in (202, 409), answer.text
        return answer.json()["id"] if answer.status_code == 202 else None
    return wait_for("the keyed request is answered", 10, question, 0.2)


# Redis.


@pytest.mark.parametrize("mode", MODES)
def test_without_redis_answers_come_by_the_recorder(system, api, outage, mode):
    intake, dispatcher = Health(system, "intake-1"), Health(system, "dispatcher-1")
    ids = []
    with outage.away(mode, "redis"):
        began = time.monotonic()
        assert content(chat(api, "by the row")) == "stub:by the row"
        assert time.monotonic() - began < 2 * AT_ONCE_S

        job = submit(api, text="waited")
        assert content(result(api, job)) == "stub:waited"
        headers = {"idempotency-key": f"no-redis-{mode}"}
        ids = [keyed(api, headers) for _ in range(2)]
        assert ids[0] == ids[1]

        # In rotation, and saying so.
        for one in (intake, dispatcher):
            assert wait_for("it says that Redis is away", 10,
                            lambda: says(one, "redis", "away") is not None)
            assert says(one, "redis", "away") is True
            wait_for("the metric says so", 10, lambda: one.number("synq_redis_up") == 0)
        if mode == "mute":
            [row] = [row for row in system.processes("intake")]
            assert row["health"].startswith("degraded: redis")
    for one in (intake, dispatcher):
        wait_for("Redis is there", 20, lambda: one.number("synq_redis_up") == 1)
    # The key was taken without Redis, which still knows nothing of it.
    assert keyed(api, headers) == ids[0]
    check_ended_once(system, [job["id"], ids[0]])
    began = time.monotonic()
    assert content(chat(api, "by Redis")) == "stub:by Redis"
    assert time.monotonic() - began < AT_ONCE_S


# PostgreSQL.


@pytest.mark.parametrize("mode", MODES)
def test_without_postgresql_known_keys_go_on(system, api, outage, mode):
    intake, dispatcher, recorder = (
        Health(system, name) for name in ("intake-1", "dispatcher-1", "recorder-1"))
    with outage.away(mode, "postgresql"):
        time.sleep(1.2)  # the cached key is due to be read again
        with traffic_of(system) as traffic:
            assert content(chat(api, "from the cache")) == "stub:from the cache"
            job = submit(api, text="accepted while away")
            refused = at_once(
                # Accepted, so never 404 (promise 9).
                lambda: api.get(f"/v1/jobs/{job['id']}"),
                # Nobody can say whether this one is known.
                lambda: api.get("/v1/models", headers={
                    "authorization": f"Bearer {system.unseen.key}"}),
                # Redis is younger than a day: is it a repeat?
                lambda: api.post("/v1/jobs", json=order(text="keyed"), headers={
                    "idempotency-key": f"no-pg-{mode}"}))
            for answer in refused:
                error(answer, 503)
                assert answer.headers["retry-after"]
            time.sleep(2)
        # Dispatched all the same.
        wait_for("the provider is called", 20, lambda: any(
            call["job_id"] == uuid_of(job["id"]) for call in system.stub.calls()))

        assert {answer.status for _, _, answer in traffic.answers} == {202}
        slowest_s = max(took for _, took, _ in traffic.answers)
        print(f"{mode}: {len(traffic.answers)} accepted, slowest {slowest_s:.2f} s")
        assert slowest_s < AT_ONCE_S

        for one in (intake, dispatcher):
            wait_for("it says that PostgreSQL is away", 10,
                     lambda: says(one, "postgresql", "away") is not None)
            assert says(one, "postgresql", "away") is True
            wait_for("the metric says so", 10, lambda: one.number("synq_pg_up") == 0)
        wait_for("the recorder is not ready", 10,
                 lambda: says(recorder, "postgresql", "failed") is False)
        if mode == "mute":
            health = {row["program"]: row["health"] for row in system.processes() if row["program"]}
            assert health["synq-intake"].startswith("degraded: postgresql")
            assert health["synq-dispatcher"].startswith("degraded: postgresql")
            assert health["synq-recorder"].startswith("not ready: postgresql")
    outage.wait_until_back("postgresql")
    check_ended_once(system, [*traffic.accepted(), job["id"]])
    for one in (intake, dispatcher, recorder):
        wait_for("PostgreSQL is there", 20, lambda: one.number("synq_pg_up") == 1)
    assert api.get(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded"


# Kafka.


@pytest.mark.parametrize("mode", MODES)
def test_without_kafka_new_requests_are_refused_at_once(system, api, outage, mode):
    intake = Health(system, "intake-1")
    programs = pids(system)
    before = submit(api, "slow", text="accepted before")
    with traffic_of(system) as traffic:
        time.sleep(1)
        away_at = time.monotonic()
        with outage.away(mode, "kafka"):
            taken_at = time.monotonic()
            wait_for("the intake says that Kafka is away", 10,
                     lambda: says(intake, "kafka", "failed") is False)
            known_at = time.monotonic()
            # Longer than the limit of those that wait for it, and than a
            # member's session with its group.
            time.sleep(6)
            # Nothing that needs no Kafka is held up.
            assert api.get(f"/v1/jobs/{before['id']}").status_code == 200
            until = time.monotonic()
        back_at = outage.wait_until_back("kafka")
        wait_for("accepted again", 30, lambda: any(
            answer is not None and answer.status == 202
            for _, _, answer in traffic.since(back_at)), 0.01)
        time.sleep(1)
    again = [began + took for began, took, answer in traffic.since(back_at)
             if answer is not None and answer.status == 202]
    during = [one for one in traffic.since(known_at) if one[0] < until - 0.5]
    print(f"{mode}: known after {known_at - taken_at:.2f} s, accepted again after "
          f"{min(again) - back_at:.2f} s, {len(during)} refused")
    assert known_at - taken_at < 5
    refused = [one for one in during if one[2] is not None and one[2].status == 503]
    assert len(refused) == len(during)
    assert max(took for _, took, _ in refused) < AT_ONCE_S
    assert all(int(answer.headers["retry-after"]) >= 1 for _, _, answer in refused)
    assert min(again) - back_at < BACK_S
    assert {answer.status for _, _, answer in traffic.since(0) if answer is not None} <= {202, 503}

    check_ended_once(system, [*traffic.accepted(), before["id"]])
    check_uncertain(system, traffic, away_at)
    assert pids(system) == programs, "nothing had to be started again"


def check_uncertain(system, traffic, away_at):
    """What was neither accepted nor surely refused was withdrawn: its job does
    not exist, or is cancelled, or had begun before the cancel came."""
    unsure = [answer for began, took, answer in traffic.since(away_at - 1)
              if answer is not None and answer.status == 503 and "job_" in answer.body.decode()]
    print(f"{len(unsure)} uncertain")
    accepted = {uuid_of(one) for one in traffic.accepted()}
    with system.pg() as pg:
        rows = dict(pg.execute("SELECT id::text, state FROM operations.job"))
    for answer in unsure:
        job = uuid_of(re.search(r"job_[0-9a-z]{40}", answer.body.decode()).group())
        assert job not in accepted
        assert rows.get(job) in (None, "cancelled", "succeeded")


# All together, and at the start.


@pytest.mark.parametrize("mode", ["gone", pytest.param("mute", marks=long)])
def test_all_away_together(system, api, outage, mode):
    """Everything is refused, nothing of what was accepted is lost."""
    before = submit(api, "slow", text="in hand when all went")
    with traffic_of(system) as traffic:
        time.sleep(1)
        with outage.away(mode, *STORES):
            time.sleep(4)
            known_at = time.monotonic()
            time.sleep(2)
            until = time.monotonic()
        back_at = outage.wait_until_back(*STORES)
        wait_for("accepted again", 30, lambda: any(
            answer is not None and answer.status == 202
            for _, _, answer in traffic.since(back_at)), 0.01)
        time.sleep(1)
    during = [one for one in traffic.since(known_at) if one[0] < until - 0.5]
    again = min(began + took for began, took, answer in traffic.since(back_at)
                if answer is not None and answer.status == 202)
    print(f"{mode}: {len(during)} refused, accepted again after {again - back_at:.2f} s")
    assert {answer.status for _, _, answer in during if answer is not None} == {503}
    assert max(took for _, took, _ in during) < AT_ONCE_S
    assert again - back_at < BACK_S
    check_ended_once(system, [*traffic.accepted(), before["id"]])
    print(f"{mode}: all have ended {time.monotonic() - back_at:.1f} s after")


class Own:
    """A program of ${system} that the test starts, not the supervisor."""

    def __init__(self, system, program, *words, number=9):
        self.name = f"{program}-{number}"
        self.health = Health(system, self.name)
        self.log = open(system.dir / "log" / f"{self.name}.log", "ab")
        words = [word for one in (*system.settings, *words) for word in ("-X", one)]
        self.process = subprocess.Popen(
            [PROGRAMS / f"synq-{program}", "--dir", system.dir, "--name", self.name, *words],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            self.log.close()


def start_all(system, port):
    return [Own(system, "intake", f"intake.port={port}"),
            Own(system, "dispatcher"), Own(system, "recorder")]


def wait_until_ready(programs, limit_s):
    try:
        wait_for("they are ready", limit_s, lambda: all(
            one.health.ready()[0] for one in programs))
    except AssertionError as error:
        said = "".join(f"\n{one.name}: {one.health.ready()[1]}" for one in programs)
        raise AssertionError(f"{error}{said}") from None


@pytest.mark.parametrize("mode,names", [
    ("gone", STORES),
    ("mute", ("redis",)),
    pytest.param("mute", ("kafka", "postgresql"), marks=long),
    pytest.param("gone", ("redis",), marks=long),
    pytest.param("gone", ("postgresql",), marks=long),
    pytest.param("gone", ("kafka",), marks=long),
    pytest.param("mute", ("postgresql",), marks=long),
    pytest.param("mute", ("kafka",), marks=long),
    pytest.param("mute", STORES, marks=long),
], ids=lambda value: value if isinstance(value, str) else "+".join(value))
def test_started_while_away(system, outage, mode, names):
    """Programs wait for what they cannot do without, and then are ready."""
    port = free_port()
    programs = []
    try:
        with outage.away(mode, *names):
            programs = start_all(system, port)
            wait_for("they can be asked", 20, lambda: all(
                one.health.read("/livez")[0] == 200 for one in programs))
            if names == ("redis",):
                wait_for("they are ready without Redis", 20, lambda: all(
                    one.health.ready()[0] for one in programs))
            else:
                time.sleep(3)
                assert not any(one.health.ready()[0] for one in programs)
        outage.wait_until_back(*names)
        wait_until_ready(programs, 30)
        with client(f"http://127.0.0.1:{port}", system.one.key) as api:
            assert content(chat(api, "after the start")) == "stub:after the start"
            job = submit(api, text="recorded")
            assert content(result(api, job)) == "stub:recorded"
            check_ended_once(system, [job["id"]])
        assert all(one.process.poll() is None for one in programs)
    finally:
        codes = [one.end() for one in programs]
    assert codes == [0] * len(programs)
