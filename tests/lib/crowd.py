"""Many organizations that send many jobs at once, and the books that must
agree afterwards: what the client holds, what PostgreSQL holds, what the
provider saw."""

import asyncio
import collections
import itertools
import json
import random
import time
import uuid

from wire import Connection

# Crockford's alphabet, as job ids use it.
DIGITS = {c: n for n, c in enumerate("0123456789abcdefghjkmnpqrstvwxyz")}


def uuid_of(job_id):
    """The uuid in a job id: its first 16 of 25 bytes."""
    number = 0
    for digit in job_id.removeprefix("job_"):
        number = number * 32 + DIGITS[digit]
    return str(uuid.UUID(bytes=number.to_bytes(25, "big")[:16]))


class Job:
    def __init__(self, number, organization):
        self.number = number
        self.organization = organization
        self.text = f"job {number} of {organization.name}"
        self.key = f"crowd-{number}"
        self.id = None  # once accepted
        self.answers = []  # bodies, as the client saw them
        self.is_fetched = False
        self.last = None  # why it was repeated


class Crowd:
    """Sends ${total} jobs of ${model}, every ${sync_share}-th synchronously.
    ${keyed}: each with an Idempotency-Key; what failed or was cut off is
    repeated with it at the next intake.  Without keys nothing may fail."""

    def __init__(self, ports, organizations, total, model, *, keyed, width=64, sync_share=5):
        self.ports = ports
        self.model = model
        self.keyed = keyed
        self.width = width
        self.sync_share = sync_share
        self.jobs = [Job(n, organizations[n % len(organizations)]) for n in range(total)]
        self.accepted = 0
        self.repeated = collections.Counter()  # status or error: how often
        self.submitted_s = 0.0
        self.took_s = 0.0

    def run(self, limit_s=150, *, fetch=True):
        """Submit all and fetch every result."""
        began = time.monotonic()
        try:
            asyncio.run(asyncio.wait_for(self._run(fetch), limit_s))
        except asyncio.TimeoutError:
            raise AssertionError(f"not done in {limit_s} s: {self.where()}") from None
        self.took_s = time.monotonic() - began

    def where(self):
        """How far it is, with some of those that are left."""
        left = [job for job in self.jobs if not job.is_fetched]
        return (f"{self.accepted} of {len(self.jobs)} accepted, {len(left)} not fetched, "
                f"repeated {dict(self.repeated)}; such as "
                + ", ".join(f"{job.key} {job.id} ({job.last})" for job in left[:5]))

    async def _run(self, fetch):
        began = time.monotonic()
        await self._each(self._submit)
        self.submitted_s = time.monotonic() - began
        if fetch:
            await self._each(self._fetch)

    async def _each(self, step):
        queue = iter(self.jobs)

        async def work(number):
            connections = {}
            for job in queue:
                await self._until_done(step, job, connections, number)
            for one in connections.values():
                one.close()
        await asyncio.gather(*(work(n) for n in range(self.width)))

    async def _until_done(self, step, job, connections, number):
        for turn in itertools.count(number):
            port = self.ports[turn % len(self.ports)]
            connection = connections.get(port)
            if connection is None:
                connection = connections[port] = Connection(port, None)
            connection.key = job.organization.key
            try:
                why = await step(job, connection)
            except (OSError, asyncio.TimeoutError) as error:
                assert self.keyed or job.id, f"{job.text}: {error!r}"
                why = type(error).__name__
            if why is None:
                return
            self.repeated[why] += 1
            job.last = why
            await asyncio.sleep(random.uniform(0.02, 0.2))

    def _body(self, job):
        return {"model": self.model, "messages": [{"role": "user", "content": job.text}]}

    async def _submit(self, job, connection):
        headers = {"idempotency-key": job.key} if self.keyed else {}
        if job.number % self.sync_share == 0:
            answer = await connection.request(
                "POST", "/v1/chat/completions", json.dumps(self._body(job)).encode(), headers)
            if answer.status == 200:
                self._is_accepted(job, answer.headers["x-synq-job-id"])
                self._is_answered(job, answer)
                return None
        else:
            answer = await connection.request("POST", "/v1/jobs", json.dumps(
                {"endpoint": "/v1/chat/completions", "body": self._body(job)}).encode(), headers)
            if answer.status == 202:
                self._is_accepted(job, answer.json()["id"])
                return None
        return self._may_repeat(answer)

    def _is_accepted(self, job, job_id):
        assert job.id in (None, job_id), f"{job.key}: {job.id} and {job_id}"
        self.accepted += job.id is None
        job.id = job_id

    def _is_answered(self, job, answer):
        content = answer.json()["choices"][0]["message"]["content"]
        assert content == ("stub:" + job.text)[:45], (job.text, content)
        job.answers.append(answer.body)

    def _may_repeat(self, answer):
        """What a client repeats; anything else is a failure."""
        assert self.keyed, answer
        assert answer.status in (409, 429, 503, 504), answer
        return answer.status

    async def _fetch(self, job, connection):
        answer = await connection.request("GET", f"/v1/jobs/{job.id}/result?wait=30")
        if answer.status == 200:
            self._is_answered(job, answer)
            job.is_fetched = True
            return None
        if answer.status == 202:
            return 202
        return self._may_repeat(answer)


class Books:
    """What PostgreSQL and the provider hold of the jobs of ${crowd}."""

    def __init__(self, system, crowd):
        self.crowd = crowd
        self.accepted = [uuid_of(job.id) for job in crowd.jobs]
        with system.pg() as pg:
            self.states = dict(pg.execute(
                "SELECT id::text, state FROM operations.job WHERE model = %s", [crowd.model]))
            self.withdrawn = set(self.states) - set(self.accepted)
            wanted = {*self.accepted, *self.states}
            self.results = collections.Counter(
                row[0] for row in pg.execute("SELECT job_id::text FROM operations.result"))
            self.attempts = {
                row[0]: row for row in pg.execute(
                    "SELECT id::text, job_id::text, state, attempt FROM operations.attempt")
                if row[1] in wanted}
        self.calls = [c for c in system.stub.calls() if c["model"] == crowd.model]
        self.calls_of = collections.Counter(call["job_id"] for call in self.calls)

    def check_all_succeeded_once(self):
        """Client and PostgreSQL hold the same jobs, each with one result.  What
        nobody was promised (503: not acknowledged in time) may be there as
        withdrawn, or as done if it had begun before its cancel came."""
        assert len(set(self.accepted)) == len(self.accepted), "an id was given twice"
        assert {self.states[one] for one in self.withdrawn} <= {"cancelled", "succeeded"}
        assert len(self.withdrawn) <= self.crowd.repeated.total(), (
            f"{len(self.withdrawn)} jobs that the client does not know")
        lost = set(self.accepted) - set(self.states)
        assert not lost, f"{len(lost)} lost"
        assert {self.states[one] for one in self.accepted} == {"succeeded"}
        assert all(self.results[one] == 1 for one in self.accepted)
        for job in self.crowd.jobs:
            assert job.answers and len(set(job.answers)) == 1, f"{job.id}: two answers"

    def check_calls_are_on_record(self):
        """Each call of the provider is an attempt, once, whether or not its job
        was withdrawn."""
        ids = collections.Counter(call["attempt_id"] for call in self.calls)
        assert max(ids.values()) == 1, "an attempt was sent twice"
        missing = set(ids) - set(self.attempts)
        assert not missing, f"{len(missing)} calls are off the record"
        for call in self.calls:
            assert self.attempts[call["attempt_id"]][1] == call["job_id"]
        assert set(self.accepted) <= set(self.calls_of), "a job without a call"

    def unsent(self):
        """Attempts on record whose call the provider never saw."""
        return set(self.attempts) - {call["attempt_id"] for call in self.calls}

    def without_end(self):
        """Jobs with an attempt that began and whose end never came to the log."""
        return {job for _, job, state, _ in self.attempts.values() if state == "started"}

    def repeats(self):
        """How many calls there were beyond one for each job."""
        return len(self.calls) - len(self.calls_of)

    def settled_and_repeated(self):
        """Attempts that had succeeded on the log, of jobs called again."""
        again = {job for job, calls in self.calls_of.items() if calls > 1}
        by_job = collections.defaultdict(list)
        for attempt in self.attempts.values():
            if attempt[1] in again:
                by_job[attempt[1]].append(attempt[2])
        return {job: states for job, states in by_job.items()
                if states.count("succeeded") != 1}
