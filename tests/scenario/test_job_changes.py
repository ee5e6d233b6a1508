"""What happens around a job: its client leaves, operators change things."""

import json
import time

from jobs import FINAL, content, ended, order, pages, result, submit
from system import wait_for
from wire import Raw, build


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
