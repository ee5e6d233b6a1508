"""Jobs through the API: made, waited for, listed; refusals checked."""

from system import wait_for

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


def forged(job_id):
    """The same with another last character."""
    return job_id[:-1] + ("0" if job_id[-1] != "0" else "1")


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
