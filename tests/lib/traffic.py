"""Jobs sent at a steady pace whatever becomes of them, and what must be true
of them in the end."""

import asyncio
import collections
import contextlib
import json
import threading
import time

import psycopg

from crowd import uuid_of
from jobs import order
from system import wait_for
from wire import Connection


class Traffic(threading.Thread):
    """While it is entered, submits a job every ${pause_s}: number n at
    ${ports}[n % len] by ${organizations}[n % len], of the model that
    ${model} names for n."""

    def __init__(self, ports, organizations, *, pause_s=0.02, model=lambda number: "fast"):
        super().__init__()
        self.ports = ports
        self.organizations = organizations
        self.pause_s = pause_s
        self.model = model
        self.ends = threading.Event()
        self.answers = []  # (began, took, answer or None)
        self.long = set()  # ids of those that are not fast
        self.idle = collections.defaultdict(list)

    def run(self):
        asyncio.run(self._run())

    async def _run(self):
        tasks = []
        while not self.ends.is_set():
            tasks.append(asyncio.create_task(self._one(len(tasks))))
            await asyncio.sleep(self.pause_s)
        await asyncio.gather(*tasks)

    async def _one(self, number):
        port = self.ports[number % len(self.ports)]
        idle = self.idle[port]
        connection = idle.pop() if idle else Connection(port, None)
        connection.key = self.organizations[number % len(self.organizations)].key
        model = self.model(number)
        began = time.monotonic()
        answer = None
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            answer = await connection.request("POST", "/v1/jobs", json.dumps(
                order(model, text=f"traffic {number}")).encode())
            idle.append(connection)
        self.answers.append((began, time.monotonic() - began, answer))
        if answer is not None and answer.status == 202 and model != "fast":
            self.long.add(answer.json()["id"])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()

    def accepted(self):
        return [answer.json()["id"] for _, _, answer in self.answers
                if answer is not None and answer.status == 202]

    def since(self, at):
        return [one for one in self.answers if one[0] >= at]


def with_result(system, ids):
    """State by uuid of those of ${ids} that have a result; none while
    PostgreSQL is away."""
    with contextlib.suppress(psycopg.OperationalError), system.pg() as pg:
        return dict(pg.execute(
            "SELECT j.id::text, j.state FROM operations.job j"
            " JOIN operations.result r ON r.job_id = j.id WHERE j.id = ANY(%s)",
            [list(ids)]))
    return {}


def check_ended_once(system, ids, limit_s=60):
    """Each job has succeeded, with one result and one call of the provider,
    which is on record as its only attempt."""
    ids = {uuid_of(one) for one in ids}
    wait_for(f"{len(ids)} have a result", limit_s,
             lambda: len(with_result(system, ids)) == len(ids), 0.3)
    assert set(with_result(system, ids).values()) <= {"succeeded"}
    calls = collections.Counter(
        call["job_id"] for call in system.stub.calls() if call["job_id"] in ids)
    repeated = [job for job, count in calls.items() if count > 1]
    assert repeated == [], f"{len(repeated)} of {len(ids)} were called again: {repeated[:5]}"
    assert set(calls) == ids
