"""Open-loop load: so many submissions a second, whatever becomes of them, by
many organizations, and everything that a client sees put on record.

Some are keyed and repeated until they are accepted, the others are left alone
when their fate is unknown; some wait for the result, some are cancelled, some
ids are shown to a stranger.
"""

import asyncio
import hashlib
import json
import random
import threading
import time

from crowd import uuid_of
from nemesis import now_us
from wire import Connection

# What the stub does under each name, and how often it is asked for.
MODELS = {
    "fast": ("lat=1", 50),
    "middle": ("lat=100-300", 25),
    "slow": ("lat=1000-4000", 5),
    "shaky": ("lat=20:err=0.1:status=500", 10),
    "limited": ("lat=20:429=0.1:ra=1", 6),
    "torn": ("lat=20:cut=0.05:cutbody=0.05", 4),
}

SUBMIT_LIMIT_S = 20
SYNC_LIMIT_S = 40
KEYED_LIMIT_S = 90
WAIT_S = 10
# A client that runs out of memory proves nothing; what is above is not sent.
MOST_AT_ONCE = 4000


def digest(status, body):
    return hashlib.sha256(b"%d " % status + body).hexdigest()[:16]


def text_of(body):
    """What the model said in ${body}, without the stub's word; or None."""
    try:
        return json.loads(body)["choices"][0]["message"]["content"].removeprefix("stub:")
    except (ValueError, KeyError, IndexError, TypeError):
        return None


class Pool:
    """Kept-alive connections to one intake, not more than needed at once."""

    def __init__(self, port):
        self.port = port
        self.free = []

    async def request(self, key, *args, **more):
        connection = self.free.pop() if self.free else Connection(self.port, None)
        connection.key = key
        answer = await connection.request(*args, **more)
        self.free.append(connection)
        return answer

    def close(self):
        for one in self.free:
            one.close()


class Load:
    def __init__(self, ports, organizations, rate, seed):
        self.pools = [Pool(port) for port in ports]
        self.organizations = organizations
        self.rate = rate
        self.random = random.Random(f"load {seed}")
        self.submits = []
        self.reads = []
        self.skipped = 0
        self.stopping = threading.Event()
        self.accepted = 0
        self.tasks = set()
        self.error = None
        self.thread = threading.Thread(target=self._run)

    # ---- from other threads ----

    def start(self):
        self.thread.start()

    def stop(self):
        """Send no more, and wait for the answers of what was sent."""
        self.stopping.set()
        self.thread.join()
        if self.error is not None:
            raise self.error

    # ---- its own loop ----

    def _run(self):
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.error = error

    async def _main(self):
        began, number = time.monotonic(), 0
        while not self.stopping.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while number < due:
                number += 1
                if len(self.tasks) >= MOST_AT_ONCE:
                    self.skipped += 1
                    continue
                task = asyncio.create_task(self._one(number))
                self.tasks.add(task)
                task.add_done_callback(self._ended)
            await asyncio.sleep(0.005)
        while self.tasks:
            await asyncio.wait(self.tasks)
        for pool in self.pools:
            pool.close()

    def _ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.error = self.error or task.exception()
            self.stopping.set()

    async def _ask(self, organization, *args, pool=None, **more):
        """An answer, or None if there is none."""
        pool = pool or self.random.choice(self.pools)
        try:
            return await pool.request(organization.key, *args, **more)
        except (OSError, asyncio.TimeoutError, ValueError):
            return None

    async def _one(self, number):
        chance = self.random
        organization = self.organizations[number % len(self.organizations)]
        [model] = chance.choices(list(MODELS), [share for _, share in MODELS.values()])
        is_sync = chance.random() < 0.1
        submit = {
            "number": number, "organization": organization.name,
            "text": f"c{number} {organization.name}", "model": model,
            "key": f"k{number}" if chance.random() < 0.5 else None,
            "job": None, "accepted": False, "cancelled": False, "at_us": now_us()}
        self.submits.append(submit)
        later = chance.random()
        job_id = await self._submit(submit, organization, is_sync)
        if job_id is None or is_sync:
            return
        if later < 0.12:
            await self._wait(organization, job_id)
        elif later < 0.15:
            await self._cancel(submit, organization, job_id)
        elif later < 0.19:
            await self._look(organization, job_id)
        elif later < 0.21:
            stranger = self.organizations[(number + 1) % len(self.organizations)]
            await self._look(stranger, job_id)

    async def _submit(self, submit, organization, is_sync):
        """The job's id once it is accepted."""
        until = time.monotonic() + KEYED_LIMIT_S
        while True:
            answer = await self._send(submit, organization, is_sync)
            job_id = self._judge(submit, answer, is_sync)
            if job_id is not None or submit["key"] is None \
                    or time.monotonic() > until:
                return job_id
            await asyncio.sleep(self.random.uniform(0.1, 0.5))

    async def _send(self, submit, organization, is_sync):
        body = {"model": submit["model"],
                "messages": [{"role": "user", "content": submit["text"]}]}
        if not is_sync:
            body = {"endpoint": "/v1/chat/completions", "body": body}
        headers = {"idempotency-key": submit["key"]} if submit["key"] else {}
        return await self._ask(
            organization, "POST", "/v1/chat/completions" if is_sync else "/v1/jobs",
            json.dumps(body).encode(), headers,
            limit_s=SYNC_LIMIT_S if is_sync else SUBMIT_LIMIT_S)

    def _judge(self, submit, answer, is_sync):
        """Note what ${answer} promises; the job's id if it is accepted."""
        if answer is None:
            return None
        job_id = None
        if is_sync and "x-synq-job-id" in answer.headers:
            job_id = answer.headers["x-synq-job-id"]
        elif answer.status in (202, 504) and "location" in answer.headers:
            job_id = answer.headers["location"].rpartition("/")[2]
        elif answer.status not in (409, 429, 503):
            raise AssertionError(f"submission {submit['number']}: {answer!r}")
        if job_id is None:
            return None
        submit["id"] = job_id
        submit["job"] = uuid_of(job_id)
        submit["accepted"] = True
        self.accepted += 1
        if is_sync and "x-synq-job-id" in answer.headers:
            self._note(submit["organization"], submit["job"], answer)
        return job_id

    def _note(self, organization, job, answer):
        """A look at a job or its result, as it was answered."""
        read = {"job": job, "organization": organization, "status": answer.status,
                "at_us": now_us()}
        if "x-synq-job-id" in answer.headers:
            read["digest"] = digest(answer.status, answer.body)
            read["text"] = text_of(answer.body)
        elif answer.status == 200:
            read["state"] = answer.json()["status"]
        self.reads.append(read)

    async def _wait(self, organization, job_id):
        for _ in range(6):
            answer = await self._ask(
                organization, "GET", f"/v1/jobs/{job_id}/result?wait={WAIT_S}",
                limit_s=WAIT_S + SUBMIT_LIMIT_S)
            if answer is not None:
                self._note(organization.name, uuid_of(job_id), answer)
                if "x-synq-job-id" in answer.headers:
                    return
            await asyncio.sleep(0.2)

    async def _cancel(self, submit, organization, job_id):
        # From now on: it may arrive without an answer.
        submit["cancelled"] = True
        await asyncio.sleep(self.random.uniform(0, 0.3))
        answer = await self._ask(organization, "POST", f"/v1/jobs/{job_id}/cancel",
                                 limit_s=SUBMIT_LIMIT_S)
        if answer is not None and answer.status != 202:
            # 202 carries a state that may be old, and so does a refusal none.
            self._note(organization.name, uuid_of(job_id), answer)

    async def _look(self, organization, job_id):
        answer = await self._ask(organization, "GET", f"/v1/jobs/{job_id}",
                                 limit_s=SUBMIT_LIMIT_S)
        if answer is not None:
            self._note(organization.name, uuid_of(job_id), answer)


async def probe(ports, organizations, limit_s):
    """Ask each intake for one answer for each organization, until all are
    there; the seconds that it took."""
    began = time.monotonic()

    async def one(port, organization):
        connection = Connection(port, organization.key)
        body = json.dumps({"model": "fast", "messages": [
            {"role": "user", "content": f"probe {organization.name}"}]}).encode()
        last = None
        try:
            while time.monotonic() - began < limit_s:
                try:
                    answer = await connection.request(
                        "POST", "/v1/chat/completions", body, limit_s=limit_s)
                    if answer.status == 200:
                        return
                    last = answer
                except (OSError, asyncio.TimeoutError) as error:
                    last = error
                await asyncio.sleep(0.05)
        finally:
            connection.close()
        raise AssertionError(f"no answer at port {port} in {limit_s} s: {last!r}")

    await asyncio.gather(*(one(port, organization)
                           for port in ports for organization in organizations))
    return time.monotonic() - began


async def read_all(ports, jobs, note, limit_s=300, width=48):
    """The result of each of ${jobs}, (organization, id), as clients see it at
    the end; ${note}(organization name, id, answer)."""
    queue = iter(jobs)
    until = time.monotonic() + limit_s
    missing = []

    async def work(number):
        pool = Pool(ports[number % len(ports)])
        for organization, job_id in queue:
            answer = None
            while time.monotonic() < until:
                try:
                    answer = await pool.request(
                        organization.key, "GET", f"/v1/jobs/{job_id}/result?wait=5",
                        limit_s=30)
                    note(organization.name, job_id, answer)
                    # 429 and 503 may be the answer of a provider as well.
                    if "x-synq-job-id" in answer.headers or \
                            answer.status not in (202, 429, 503):
                        break
                except (OSError, asyncio.TimeoutError):
                    await asyncio.sleep(0.1)
            if answer is None or "x-synq-job-id" not in answer.headers:
                missing.append(job_id)
        pool.close()

    await asyncio.gather(*(work(number) for number in range(width)))
    return missing
