"""The jobs API: submit, get, list, result, cancel, at two intakes."""

import datetime
import json
import threading
import time

import pytest

from system import wait_for
from wire import Raw, build

FINAL = {"succeeded", "failed", "cancelled", "expired"}


def order(model="fast", text="x", **members):
    return {"endpoint": "/v1/chat/completions",
            "body": {"model": model, "messages": [{"role": "user", "content": text}]},
            **members}


def submit(api, *args, headers=None, **members):
    answer = api.post("/v1/jobs", json=order(*args, **members), headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def result(api, job, wait=20):
    return api.get(f"/v1/jobs/{job['id']}/result", params={"wait": wait})


def content(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def ended(api, job, limit_s=20):
    """The job once it is final."""
    def question():
        got = api.get(f"/v1/jobs/{job['id']}")
        assert got.status_code == 200, got.text
        return got.json() if got.json()["status"] in FINAL else None
    return wait_for(f"{job['id']} is final", limit_s, question)


def error(answer, status):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) >= {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return body["error"]


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


def forged(job_id):
    """The same with another last character."""
    return job_id[:-1] + ("0" if job_id[-1] != "0" else "1")


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


# Idempotency-Key.


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


# Lists.


@pytest.fixture(scope="module")
def listed(system, strange_api):
    """30 jobs of the stranger, oldest first; nobody else adds any meanwhile."""
    jobs = []
    for number in range(30):
        jobs.append(submit(
            strange_api, "acme/nested-model" if number % 3 == 0 else "fast", text="list",
            metadata={"n": str(number), "odd": str(number % 2), "it's \"ü\"": "a&b=c"}))
    jobs.append(submit(strange_api, "refuses", metadata={"n": "30"}))
    for job in jobs:
        ended(strange_api, job)
    return jobs


def pages(api, **query):
    """All pages, as the SDKs walk them."""
    found = []
    while True:
        answer = api.get("/v1/jobs", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["object"] == "list"
        assert isinstance(page["has_more"], bool)
        ids = [one["id"] for one in page["data"]]
        assert len(ids) <= int(query.get("limit", 20))
        assert page["first_id"] == (ids[0] if ids else None)
        assert page["last_id"] == (ids[-1] if ids else None)
        found += page["data"]
        if not page["has_more"]:
            return found
        assert ids
        query["after"] = ids[-1]


@pytest.mark.parametrize("limit", [1, 7, 31, 100])
def test_pages_have_everything_once_newest_first(strange_api, listed, limit):
    if limit == 1:
        found = pages(strange_api, limit=limit, created_after=listed[-5]["created_at"])
        assert len(found) >= 5
    else:
        found = [one["id"] for one in pages(strange_api, limit=limit)]
        wanted = [one["id"] for one in reversed(listed)]
        assert found[:len(wanted)] == wanted
        assert len(set(found)) == len(found)


def test_a_page_does_not_move_when_jobs_come(strange_api, listed):
    first = strange_api.get("/v1/jobs?limit=5").json()
    ended(strange_api, submit(strange_api))
    second = strange_api.get("/v1/jobs", params={"limit": 5, "after": first["last_id"]}).json()

    assert not {one["id"] for one in first["data"]} & {one["id"] for one in second["data"]}


def test_filter_by_state(strange_api, listed):
    failed = [one["id"] for one in pages(strange_api, state="failed")]

    assert listed[30]["id"] in failed
    assert not {one["id"] for one in listed[:30]} & set(failed)
    assert [one["id"] for one in pages(strange_api, status="failed")] == failed
    assert {one["status"] for one in pages(strange_api, state="succeeded")} == {"succeeded"}
    assert pages(strange_api, state="expired") == []


def test_filter_by_model(strange_api, listed):
    found = {one["id"] for one in pages(strange_api, model="acme/nested-model")}

    assert found == {one["id"] for one in listed[:30:3]}
    assert pages(strange_api, model="no such model") == []


def test_filter_by_metadata(strange_api, listed):
    odd = {one["id"] for one in pages(strange_api, **{"metadata[odd]": "1"})}
    one = pages(strange_api, **{"metadata[n]": "7", "metadata[odd]": "1"})
    strange = pages(strange_api, **{"metadata[it's \"ü\"]": "a&b=c", "limit": 50})

    assert odd == {job["id"] for job in listed[1:30:2]}
    assert [job["id"] for job in one] == [listed[7]["id"]]
    assert len(strange) == 30
    assert pages(strange_api, **{"metadata[n]": "7", "metadata[odd]": "0"}) == []


def test_filter_by_time(strange_api, listed):
    at = listed[30]["created_at"]
    rfc = datetime.datetime.fromtimestamp(at + 1, datetime.timezone.utc)

    def ids(**query):
        return {one["id"] for one in pages(strange_api, **query)}

    assert listed[30]["id"] in ids(created_after=at)
    assert listed[30]["id"] not in ids(created_after=at + 1)
    assert listed[30]["id"] in ids(created_before=rfc.isoformat().replace("+00:00", "Z"))
    assert listed[30]["id"] not in ids(created_before=at)
    assert ids(created_after=at + 3600) == set()


@pytest.mark.parametrize("query,param", [
    ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"),
    ("state=sleeping", "state"), ("created_after=yesterday", "created_after"),
    ("created_before=2026-02-30T00:00:00Z", "created_before"), ("after=x", "after"),
])
def test_filters_are_checked(api, query, param):
    assert error(api.get(f"/v1/jobs?{query}"), 400)["param"] == param


def test_an_after_of_somebody_else_is_refused_or_leads_to_nothing_of_theirs(api, listed):
    answer = api.get("/v1/jobs", params={"after": listed[5]["id"]})

    if answer.status_code == 200:
        theirs = {one["id"] for one in listed}
        assert not theirs & {one["id"] for one in answer.json()["data"]}
    else:
        error(answer, answer.status_code)


def test_as_of_says_what_the_list_holds(api):
    """Once as_of has passed a job's acceptance, the job is in the list."""
    jobs = [submit(api) for _ in range(20)]
    newest = jobs[-1]["created_at"]

    def question():
        page = api.get("/v1/jobs?limit=100").json()
        if page["as_of"] is None or page["as_of"] <= newest:
            return None
        return page
    page = wait_for("as_of passes the last job", 20, question)
    assert {one["id"] for one in jobs} <= {one["id"] for one in page["data"]}


# A client that leaves.


def test_a_client_that_leaves_between_attempts_stops_the_job(system, organization, api):
    """The call that was out has ended; no other begins."""
    body = json.dumps(order("limited", "leaves")["body"]).encode()
    since = int(time.time())
    with Raw(system.ports[0]) as raw:
        raw.send(build("POST", "/v1/chat/completions",
                       {"authorization": f"Bearer {organization.key}"}, body))
        time.sleep(0.4)

    def question():
        return [one for one in pages(api, model="limited", created_after=since - 1)
                if one["status"] in FINAL and one["attempts"] < 3]
    assert wait_for("it is cancelled", 10, question)[0]["status"] == "cancelled"


# What an operator does meanwhile.


def test_a_new_model_works_as_soon_as_it_is_known(system, api, other_api):
    """Whoever accepts a job for it has not told more than the dispatcher knows."""
    for number in range(5):
        name = f"new-{number}"
        system.synq("model", "add", name, "--provider", "stub", "--upstream", "fast")

        def accepted(where):
            answer = where.post("/v1/jobs", json=order(name, "new"))
            return answer.json() if answer.status_code == 202 else None
        for where in (api, other_api):
            job = wait_for(f"{name} is known", 5, lambda: accepted(where), 0.002)
            assert content(result(where, job)) == "stub:new"


def test_a_planned_restart_of_an_intake_breaks_no_answer(system, organization):
    """It finishes what it has taken, and nothing it accepted is gone."""
    head = {"authorization": f"Bearer {organization.key}"}
    body = json.dumps(order("later", "restart")["body"]).encode()
    with Raw(system.ports[1]) as raw:
        raw.send(build("POST", "/v1/chat/completions", head, body))
        time.sleep(0.2)
        system.restart("intake-2")
        answer = raw.answer()
        assert answer is not None and answer.status == 200, answer
        assert answer.json()["choices"][0]["message"]["content"] == "stub:restart"
        assert raw.is_closed()


def test_a_job_waits_for_a_dispatcher(system, api):
    system.scale("dispatcher", 0)
    try:
        job = submit(api, text="patience")
        time.sleep(0.5)
        assert api.get(f"/v1/jobs/{job['id']}").json()["status"] == "queued"
    finally:
        system.scale("dispatcher", 1)
    assert content(result(api, job)) == "stub:patience"
    assert ended(api, job)["attempts"] == 1


def test_a_job_is_cancelled_before_its_turn(system, api, other_api):
    before = len(system.stub.calls())
    system.scale("dispatcher", 0)
    try:
        job = submit(api, text="never")
        assert other_api.post(f"/v1/jobs/{job['id']}/cancel").status_code == 202
    finally:
        system.scale("dispatcher", 1)
    row = ended(api, job)
    assert row["status"] == "cancelled" and row["attempts"] == 0
    assert row["started_at"] is None
    assert len(system.stub.calls()) == before, "a cancelled job was called"


def test_a_deadline_passes_before_the_turn(system, api):
    system.scale("dispatcher", 0)
    try:
        job = submit(api, deadline=1)
        time.sleep(1.2)
    finally:
        system.scale("dispatcher", 1)
    row = ended(api, job)
    assert row["status"] == "expired" and row["attempts"] == 0


def test_a_client_that_leaves_cancels_what_has_not_begun(system, organization, api):
    since = int(time.time())
    before = len(system.stub.calls())
    system.scale("dispatcher", 0)
    try:
        body = json.dumps(order("fast", "left")["body"]).encode()
        with Raw(system.ports[0]) as raw:
            raw.send(build("POST", "/v1/chat/completions",
                           {"authorization": f"Bearer {organization.key}"}, body))
            time.sleep(0.3)
        time.sleep(0.3)
    finally:
        system.scale("dispatcher", 1)

    def question():
        found = pages(api, state="cancelled", created_after=since)
        return found and all(one["attempts"] == 0 for one in found)
    wait_for("it is cancelled", 10, question)
    assert len(system.stub.calls()) == before
