"""Idempotency-Key: one key, one job, whoever is asked."""

import threading
import time

import pytest

from jobs import ended, error, order, submit


def key_of(name):
    return {"idempotency-key": f"{name}-{time.time_ns()}"}


def test_same_key_same_body_is_the_same_job(api, other_api, system):
    headers = key_of("same")
    ids = {submit(where, text="once", headers=headers)["id"]
           for where in (api, other_api, api, other_api)}

    assert len(ids) == 1
    ended(api, {"id": ids.pop()})


def test_same_key_after_the_end_is_the_same_job(api, other_api):
    headers = key_of("after")
    job = submit(api, headers=headers)
    ended(api, job)

    assert submit(other_api, headers=headers)["id"] == job["id"]


def test_same_key_other_body_is_refused(api, other_api):
    headers = key_of("other")
    submit(api, text="one", headers=headers)

    for where in (api, other_api):
        error(where.post("/v1/jobs", json=order(text="two"), headers=headers), 422)


def test_quoted_and_bare_keys_are_the_same(api):
    value = f"quoted-{time.time_ns()}"
    bare = submit(api, headers={"idempotency-key": value})
    quoted = submit(api, headers={"idempotency-key": f'"{value}"'})

    assert bare["id"] == quoted["id"]


def test_another_organization_has_its_own_keys(api, strange_api):
    headers = key_of("ours")

    assert submit(api, headers=headers)["id"] != submit(
        strange_api, text="other", headers=headers)["id"]


@pytest.mark.parametrize("value", ["", '""', "x" * 256])
def test_keys_are_checked(api, value):
    answer = api.post("/v1/jobs", json=order(), headers={"idempotency-key": value})

    error(answer, 400)


def test_the_longest_key_is_taken(api):
    value = f"{time.time_ns():0>255}"

    assert submit(api, headers={"idempotency-key": value})["id"] == submit(
        api, headers={"idempotency-key": value})["id"]


def test_two_intakes_at_the_same_time_make_one_job(api, other_api, system):
    for number in range(20):
        headers = key_of(f"race-{number}")
        answers = []
        barrier = threading.Barrier(8)

        def run(where):
            barrier.wait()
            answers.append(where.post("/v1/jobs", json=order(text="race"), headers=headers))

        threads = [threading.Thread(target=run, args=[where])
                   for where in (api, other_api) * 4]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        accepted = {a.json()["id"] for a in answers if a.status_code == 202}
        assert {a.status_code for a in answers} <= {202, 409}
        assert len(accepted) == 1
        for answer in answers:
            if answer.status_code == 409:
                error(answer, 409)
        job = submit(api, text="race", headers=headers)
        assert {job["id"]} == accepted
        ended(api, job)


def test_one_key_one_call_synchronously(api, other_api, system):
    """Both wait for the same answer, and the provider is called once."""
    headers = key_of("sync")
    text = headers["idempotency-key"]
    answers = []

    def run(where):
        for _ in range(50):
            answer = where.post("/v1/chat/completions", headers=headers,
                                json=order("later", text)["body"])
            if answer.status_code != 409:
                break
            time.sleep(0.02)
        answers.append(answer)

    threads = [threading.Thread(target=run, args=[where]) for where in (api, other_api)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [a.status_code for a in answers] == [200, 200], [a.text for a in answers]
    ids = {a.headers["x-synq-job-id"] for a in answers}
    assert len(ids) == 1
    assert answers[0].content == answers[1].content
    assert ended(api, {"id": ids.pop()})["attempts"] == 1
