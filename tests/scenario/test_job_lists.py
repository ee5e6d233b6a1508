"""Lists of jobs: pages, filters, as_of."""

import datetime

import pytest

from jobs import ended, error, pages, submit
from system import wait_for


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
