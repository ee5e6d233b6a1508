"""The jobs API: submit, get, result, cancel, at two intakes."""

import threading
import time

import pytest

from jobs import FINAL, content, ended, error, forged, order, result, submit
from system import wait_for


# Submit and get.


def test_submit_get_result(api):
    answer = api.post("/v1/jobs", json=order(
        text="hello", priority="batch", metadata={"run": "7"}, max_attempts=2, deadline=600))
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["object"] == "job" and job["status"] == "queued"
    assert abs(job["created_at"] - time.time()) < 30

    assert content(result(api, job)) == "stub:hello"
    row = ended(api, job)
    assert row["id"] == job["id"]
    assert row["status"] == "succeeded"
    assert (row["endpoint"], row["model"], row["priority"]) == (
        "/v1/chat/completions", "fast", "batch")
    assert row["metadata"] == {"run": "7"}
    assert row["deadline_at"] - row["created_at"] in (599, 600, 601)
    assert row["created_at"] <= row["started_at"] <= row["ended_at"]
    assert row["attempts"] == 1 and row["provider"] == "stub"
    assert row["answer_status"] == 200 and row["error"] is None
    assert row["usage"]["input_tokens"] > 0 and row["usage"]["output_tokens"] > 0
    assert row["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("endpoint,body,member", [
    ("/v1/completions", {"model": "fast", "prompt": "p"}, "choices"),
    ("/v1/embeddings", {"model": "fast", "input": "p"}, "data"),
])
def test_every_endpoint(api, endpoint, body, member):
    answer = api.post("/v1/jobs", json={"endpoint": endpoint, "body": body})
    assert answer.status_code == 202, answer.text

    got = result(api, answer.json())
    assert got.status_code == 200
    assert got.json()[member]


def test_result_is_the_same_at_every_intake_and_again(api, other_api):
    job = submit(api, text="same")

    first = result(api, job)
    second = result(other_api, job)
    third = result(other_api, job, 0)
    assert content(first) == "stub:same"
    assert first.content == second.content == third.content


def test_result_waits_and_no_longer_than_asked(api):
    job = submit(api, "slow")

    began = time.monotonic()
    early = result(api, job, 1)
    took = time.monotonic() - began
    assert early.status_code == 202, early.text
    assert early.json()["id"] == job["id"]
    assert 0.9 <= took < 2

    began = time.monotonic()
    assert result(api, job, 30).status_code == 200
    assert time.monotonic() - began < 10


def test_result_waits_two_seconds_by_default(api):
    job = submit(api, "slow")
    began = time.monotonic()
    answer = api.get(f"/v1/jobs/{job['id']}/result")

    assert answer.status_code == 202
    assert 1.8 <= time.monotonic() - began < 3


@pytest.mark.parametrize("wait", ["-1", "281", "x", "1.5", ""])
def test_wait_is_checked(api, wait):
    job = submit(api)
    answer = api.get(f"/v1/jobs/{job['id']}/result?wait={wait}")

    assert error(answer, 400)["param"] == "wait"


def test_a_failure_keeps_its_status_and_says_why(api, system):
    job = submit(api, "refuses")
    answer = result(api, job)
    row = ended(api, job)

    assert error(answer, 400)["message"]
    assert row["status"] == "failed"
    assert row["answer_status"] == 400
    assert row["attempts"] == 1, "a refusal is not tried again"
    assert row["error"]["code"]


def test_attempts_are_limited_and_on_record(api, system):
    job = submit(api, "broken", max_attempts=2)
    row = ended(api, job)

    assert row["status"] == "failed" and row["attempts"] == 2
    assert result(api, job).status_code >= 500
    with system.pg() as pg:
        rows = pg.execute(
            "SELECT a.id::text, a.state, a.http_status FROM operations.attempt a"
            " JOIN operations.job j ON (j.organization_id, j.id)"
            " = (a.organization_id, a.job_id)"
            " WHERE j.request_id = %s ORDER BY a.attempt", [row["request_id"]]).fetchall()
    calls = {call["attempt_id"] for call in system.stub.calls() if "attempt_id" in call}
    assert [one[1:] for one in rows] == [("failed", 500), ("failed", 500)]
    assert {one[0] for one in rows} <= calls


def test_deadline_expires_a_running_job(api):
    job = submit(api, "slow", deadline=1)
    row = ended(api, job)

    assert row["status"] == "expired" and row["attempts"] == 1
    assert row["ended_at"] - row["created_at"] <= 2
    assert error(result(api, job), 504)["code"]


def test_no_attempt_begins_after_the_deadline(api):
    """The next one would be too late, so the job ends with what it has."""
    job = submit(api, "limited", max_attempts=10, deadline=2)
    row = ended(api, job)

    assert row["status"] in ("failed", "expired")
    assert row["attempts"] <= 2 and row["ended_at"] - row["created_at"] <= 3
    error(result(api, job), row["answer_status"])


# Prefer.


def test_prefer_respond_async(api):
    body = order("later")["body"]
    answer = api.post("/v1/chat/completions", json=body, headers={"prefer": "respond-async"})

    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == f"/v1/jobs/{answer.json()['id']}"
    assert content(result(api, answer.json())) == "stub:x"


def test_prefer_wait_answers_in_time_or_accepts(api):
    quick = api.post("/v1/chat/completions", json=order("fast")["body"],
                     headers={"prefer": "respond-async, wait=10"})
    late = api.post("/v1/chat/completions", json=order("slow")["body"],
                    headers={"prefer": "respond-async, wait=1"})

    assert content(quick) == "stub:x"
    assert quick.headers["x-synq-job-id"].startswith("job_")
    assert late.status_code == 202
    assert late.headers["location"]


@pytest.mark.parametrize("value", ["handling=lenient", "respond-sync", "wait=x", ""])
def test_other_preferences_are_ignored(api, value):
    answer = api.post(
        "/v1/chat/completions", json=order()["body"], headers={"prefer": value})

    assert content(answer) == "stub:x"


# P9: an accepted id.


def test_an_accepted_id_is_known_at_once_everywhere(api, other_api):
    for number in range(200):
        job = submit(api, text=str(number))
        seen = other_api.get(f"/v1/jobs/{job['id']}")
        assert seen.status_code == 200, (number, seen.text)
        assert seen.json()["id"] == job["id"]
        assert seen.json()["status"] in FINAL | {"queued", "running"}
        assert seen.json()["created_at"] == job["created_at"]


def test_an_accepted_id_is_queued_while_no_recorder_runs(system, api, other_api, strange_api):
    system.scale("recorder", 0)
    try:
        job = submit(api, text="nobody has seen it")
        for where in (api, other_api):
            seen = where.get(f"/v1/jobs/{job['id']}")
            assert seen.status_code == 200, seen.text
            assert seen.json()["status"] == "queued"
            assert seen.json()["id"] == job["id"]
        error(strange_api.get(f"/v1/jobs/{job['id']}"), 404)
        error(api.get(f"/v1/jobs/{forged(job['id'])}"), 404)
        # The answer does not need the recorder.
        body = order(text="by redis")["body"]
        assert content(api.post("/v1/chat/completions", json=body)) == "stub:by redis"
    finally:
        system.scale("recorder", 1)
    assert ended(api, job)["status"] == "succeeded"


def test_forged_and_strange_ids_are_indistinguishable(api, strange_api):
    job = submit(api)
    ended(api, job)
    digits = job["id"].removeprefix("job_")
    bad = [forged(job["id"]), "job_" + "0" * 40, "job_" + digits[::-1], "job_" + digits[:-1],
           job["id"] + "0", "job_", "x", digits, job["id"].upper(),
           "job_" + digits[0:5] + ("1" if digits[5] != "1" else "2") + digits[6:],
           "job_" + "é" * 20]

    stranger = strange_api.get(f"/v1/jobs/{job['id']}")
    wanted = error(stranger, 404)
    for one in bad:
        answer = api.get(f"/v1/jobs/{one}")
        got = error(answer, 404)
        for member in ("type", "code", "param"):
            assert got[member] == wanted[member], one
        assert set(answer.headers) == set(stranger.headers)
    error(api.get("/v1/jobs/job_" + "%00" * 40), 404)
    assert (error(api.get(f"/v1/jobs/{bad[0]}"), 404)["message"].replace(bad[0], "ID")
            == wanted["message"].replace(job["id"], "ID"))


@pytest.mark.parametrize("method,tail", [("GET", ""), ("GET", "/result"), ("POST", "/cancel")])
def test_a_stranger_gets_404_everywhere(api, strange_api, method, tail):
    job = submit(api, "slow")
    mine = error(strange_api.request(method, f"/v1/jobs/{job['id']}{tail}"), 404)
    none = error(strange_api.request(method, f"/v1/jobs/{forged(job['id'])}{tail}"), 404)

    assert {**mine, "message": ""} == {**none, "message": ""}
    assert ended(api, job)["status"] == "succeeded", "a stranger cannot cancel"


def test_a_stranger_lists_nothing_of_ours(api, strange_api):
    job = submit(api)
    ended(api, job)

    ids = {one["id"] for one in strange_api.get("/v1/jobs?limit=100").json()["data"]}
    assert job["id"] not in ids


# Cancel.


def test_cancel_a_running_job(api, system):
    job = submit(api, "slow", text="cancel me")
    wait_for("it runs", 5, lambda: api.get(
        f"/v1/jobs/{job['id']}").json()["status"] == "running")

    answer = api.post(f"/v1/jobs/{job['id']}/cancel")
    assert answer.status_code == 202, answer.text
    row = ended(api, job, 3)
    assert row["status"] == "cancelled" and row["attempts"] == 1
    error(result(api, job), 409)


def test_cancel_at_the_other_intake_at_once(api, other_api):
    """Before anybody may have seen it."""
    for _ in range(20):
        job = submit(api, "slow")
        assert other_api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
        assert ended(api, job, 5)["status"] == "cancelled"


def test_cancel_between_attempts(api):
    job = submit(api, "limited", max_attempts=10)
    time.sleep(0.3)
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    assert ended(api, job, 5)["status"] == "cancelled"


def test_cancel_of_a_finished_job_conflicts(api):
    job = submit(api)
    ended(api, job)
    answer = api.post(f"/v1/jobs/{job['id']}/cancel")

    error(answer, 409)
    assert answer.headers["x-should-retry"] == "false"
    assert api.get(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded"


def test_cancel_twice(api):
    job = submit(api, "slow")
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    assert api.post(f"/v1/jobs/{job['id']}/cancel").status_code in (202, 409)
    assert ended(api, job)["status"] == "cancelled"


def test_a_waiting_result_hears_of_the_cancel(api, other_api):
    job = submit(api, "slow")
    answers = []
    waiter = threading.Thread(target=lambda: answers.append(result(other_api, job, 20)))
    waiter.start()
    time.sleep(0.3)
    began = time.monotonic()
    api.post(f"/v1/jobs/{job['id']}/cancel")
    waiter.join()

    assert time.monotonic() - began < 2.5
    error(answers[0], 409)
