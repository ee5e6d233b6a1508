"""What enemies and mistaken clients send in well-formed HTTP; test_http.py has
the rest.  Every refusal has a status, the error's four members and a request
id; afterwards the service serves on, and no job was made."""

import json
import time

import httpx
import openai
import pytest

from system import wait_for
from wire import Raw, build

CHAT = {"model": "fast", "messages": [{"role": "user", "content": "x"}]}
JOB = {"endpoint": "/v1/chat/completions", "body": CHAT}
GOOD = json.dumps(CHAT).encode()


@pytest.fixture(scope="module")
def port(system):
    return system.ports[0]


@pytest.fixture(scope="module")
def auth(organization):
    return {"authorization": f"Bearer {organization.key}"}


@pytest.fixture(scope="module", autouse=True)
def nothing_half_done(system, api):
    """All that these tests sent was refused or is accounted for."""
    yield
    with system.pg() as pg:
        assert pg.execute(
            "SELECT count(*) FROM operations.job WHERE model NOT IN ("
            "SELECT name FROM platform.model)").fetchone() == (0,)
    time.sleep(1)
    found = api.get("/v1/jobs?limit=100&metadata[bad]=yes").json()
    assert found["data"] == []
    listed = api.get("/v1/jobs?limit=100").json()
    assert listed["data"] == [], "a refused request became a job"


def check(answer, status, param=None, code=None):
    assert answer is not None, "closed without an answer"
    assert answer.status == status, answer
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str) and len(error["message"]) > 5
    assert isinstance(error["type"], str) and error["type"]
    assert error["param"] is None or isinstance(error["param"], str)
    assert error["code"] is None or isinstance(error["code"], str)
    if param is not None:
        assert error["param"] == param, error
    if code is not None:
        assert error["code"] == code, error
    return error


def still_serves(raw, auth):
    """The same connection takes a good request."""
    raw.send(build("GET", "/v1/models", auth))
    answer = raw.answer()
    assert answer is not None and answer.status == 200, answer


def post(port, auth, path, body, status, param=None, code=None):
    """Send ${body}, expect a refusal on a connection that stays usable."""
    with Raw(port) as raw:
        raw.send(build("POST", path, auth, body))
        error = check(raw.answer(), status, param, code)
        still_serves(raw, auth)
        return error


# Not JSON, or JSON with faults.


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/jobs"])
@pytest.mark.parametrize("body", [
    b"hello", b"{", b"}", b'{"model":"fast",}', b"{'model':'fast'}", b"[1,2",
    GOOD + b"x", GOOD + GOOD, b"\xef\xbb\xbf" + GOOD, b'{"model":NaN}', b'{"model":01}',
    b'{"a":"\x01"}', b'{"a":"\\x"}', b'{"a":"\\ud800"}', b"\x00" * 10, b"",
    b"   ", b"nul", b'{"a":1e}', b"/**/{}",
], ids=repr)
def test_not_json(port, auth, path, body):
    post(port, auth, path, body, 400)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"], ids=repr)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/jobs"])
def test_not_an_object(port, auth, path, body):
    post(port, auth, path, body, 400)


@pytest.mark.parametrize("bytes_", [
    b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80",
], ids=repr)
def test_wrong_utf8(port, auth, bytes_):
    body = b'{"model":"fast","messages":[{"role":"user","content":"' + bytes_ + b'"}]}'
    error = post(port, auth, "/v1/chat/completions", body, 400)

    assert "UTF-8" in error["message"]


@pytest.mark.parametrize("body", [
    b'{"model":"fast","model":"fast","messages":[{"role":"user","content":"x"}]}',
    b'{"model":"fast","messages":[{"role":"user","role":"user","content":"x"}]}',
    b'{"model":"fast","m\\u006fdel":"slow","messages":[{"role":"user","content":"x"}]}',
    b'{"model":"fast","messages":[{"role":"user","content":"x"}],"v":{"a":1,"b":2,"a":3}}',
], ids=range(4))
def test_duplicate_keys(port, auth, body):
    error = post(port, auth, "/v1/chat/completions", body, 400)

    assert "twice" in error["message"] or "duplicate" in error["message"].lower()


@pytest.mark.parametrize("opening,closing", [(b"[", b"]"), (b'{"a":', b"}")], ids=["[", "{"])
@pytest.mark.parametrize("depth", [1000, 100000])
def test_depth(port, auth, opening, closing, depth):
    body = (b'{"model":"fast","messages":[{"role":"user","content":"x"}],"deep":'
            + opening * depth + b"1" + closing * depth + b"}")
    post(port, auth, "/v1/chat/completions", body, 400)


def test_many_members_are_no_trouble(port, auth):
    """A hundred thousand different names are checked in time."""
    names = b",".join(b'"k%d":1' % n for n in range(60000))
    began = time.monotonic()
    post(port, auth, "/v1/chat/completions", b"{" + names + b"}", 400)
    assert time.monotonic() - began < 3


# Sizes.


def test_64_mb_with_a_length(port, auth):
    with Raw(port) as raw:
        raw.send(build("POST", "/v1/jobs", {**auth, "content-type": "application/json",
                                            "content-length": 64 << 20}))
        check(raw.answer(), 413)
        assert raw.is_closed(15)


def test_64_mb_with_a_length_sent_whole(port, auth):
    """Whoever sends on before reading gets the answer all the same."""
    with Raw(port) as raw:
        raw.send(build("POST", "/v1/jobs", {**auth, "content-type": "application/json",
                                            "content-length": 64 << 20}))
        sent = raw.send(b"x" * (64 << 20))
        try:
            check(raw.answer(), 413)
        except ConnectionResetError:
            pytest.fail(f"the answer was lost with the connection (sent all: {sent})")
        assert raw.is_closed(15)


def test_64_mb_chunked(port, auth):
    with Raw(port) as raw:
        raw.send(build("POST", "/v1/jobs", {**auth, "content-type": "application/json",
                                            "transfer-encoding": "chunked"}))
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(1024):
            if not raw.send(chunk):
                break
        try:
            check(raw.answer(), 413)
        except ConnectionResetError:
            pytest.fail("the answer was lost with the connection")
        assert raw.is_closed(15)


def test_64_mb_from_the_sdk(system, organization):
    with openai.OpenAI(base_url=system.urls[0] + "/v1", api_key=organization.key,
                       max_retries=0) as sdk:
        with pytest.raises(openai.APIStatusError) as caught:
            sdk.chat.completions.create(
                model="fast", messages=[{"role": "user", "content": "x" * (64 << 20)}])
        assert caught.value.status_code == 413
        assert len(sdk.models.list().data) > 3


def test_a_little_too_large(port, auth):
    body = GOOD[:-1] + b',"pad":"' + b"x" * (1 << 20) + b'"}'
    with Raw(port) as raw:
        raw.send(build("POST", "/v1/chat/completions", auth, body))
        check(raw.answer(), 413)
        assert raw.is_closed(15)


# Who.


@pytest.mark.parametrize("path,method", [
    ("/v1/models", "GET"), ("/v1/jobs", "GET"), ("/v1/jobs", "POST"),
    ("/v1/chat/completions", "POST"), ("/v1/jobs/job_" + "0" * 40, "GET")])
def test_missing_key(port, auth, path, method):
    with Raw(port) as raw:
        raw.send(build(method, path, {}, GOOD if method == "POST" else None))
        check(raw.answer(), 401)
        still_serves(raw, auth)


def malformed_keys(key):
    mode, public, secret = key.split("_")[1:]
    other = "0" if key[-1] != "0" else "1"
    return {
        "empty": "Bearer ", "no scheme": key, "other scheme": f"Basic {key}",
        "short": "Bearer x", "cut": f"Bearer {key[:-1]}", "long": f"Bearer {key}0",
        "checksum": f"Bearer {key[:-1]}{other}",
        "prefix": f"Bearer sk-{key}", "mode": f"Bearer synq_best_{public}_{secret}",
        "characters": f"Bearer synq_{mode}_{'-' * 16}_{secret}",
        "two words": f"Bearer {key} {key}", "huge": "Bearer " + "A" * 8000,
        "quote": f"Bearer synq_{mode}_{public[:-5]}' OR'_{secret}",
    }


@pytest.mark.parametrize("name", list(malformed_keys("synq_live_a_b")))
def test_malformed_key(port, auth, organization, name):
    value = malformed_keys(organization.key)[name]
    with Raw(port) as raw:
        raw.send(build("GET", "/v1/models", {"authorization": value}))
        check(raw.answer(), 401)
        still_serves(raw, auth)


def test_two_keys(port, auth, organization):
    with Raw(port) as raw:
        raw.send(b"GET /v1/models HTTP/1.1\r\nhost: synq\r\n"
                 + f"authorization: Bearer {organization.key}\r\n".encode() * 2 + b"\r\n")
        answer = raw.answer()
        assert answer.status in (400, 401), answer


def test_revoked_key_is_refused_at_once_everywhere(system, organization):
    key = system.key(organization.name)
    for port in system.ports:
        with Raw(port) as raw:
            raw.send(build("GET", "/v1/models", {"authorization": f"Bearer {key}"}))
            assert raw.answer().status == 200
    system.revoke(key)
    # Every intake reads synq.control by itself; at once is well under the
    # 30 s after which a cached key is read again.
    time.sleep(0.3)
    for port in system.ports:
        with Raw(port) as raw:
            raw.send(build("POST", "/v1/jobs", {"authorization": f"Bearer {key}"},
                           json.dumps(JOB).encode()))
            check(raw.answer(), 401)


# What.


@pytest.mark.parametrize("path,body", [
    ("/v1/chat/completions", {**CHAT, "model": "nobody knows"}),
    ("/v1/completions", {"model": "nobody", "prompt": "x"}),
    ("/v1/embeddings", {"model": "FAST", "input": "x"}),
])
def test_unknown_model(port, auth, path, body):
    post(port, auth, path, json.dumps(body).encode(), 404, "model", "model_not_found")


def test_unknown_model_in_a_job(port, auth):
    body = {**JOB, "body": {**CHAT, "model": "nobody"}}
    post(port, auth, "/v1/jobs", json.dumps(body).encode(), 404, "body.model",
         "model_not_found")


MESSAGES = CHAT["messages"]
FIELDS = [
    # path, body, the parameter that is named
    ("/v1/chat/completions", {"messages": MESSAGES}, "model"),
    ("/v1/chat/completions", {"model": "fast"}, "messages"),
    *(("/v1/chat/completions", {**CHAT, "model": value}, "model")
      for value in (None, 1, True, [], {}, "", "x" * 257)),
    *(("/v1/chat/completions", {**CHAT, "messages": value}, "messages")
      for value in (None, 1, "x", {}, [])),
    *(("/v1/chat/completions", {**CHAT, "messages": [value]}, "messages[0]")
      for value in (None, 1, "x", [])),
    *(("/v1/chat/completions", {**CHAT, "messages": [*MESSAGES, value]}, param)
      for value, param in (
          ({"content": "x"}, "messages[1].role"), ({"role": 1, "content": "x"}, "messages[1].role"),
          ({"role": "boss", "content": "x"}, "messages[1].role"),
          ({"role": "user", "content": 1}, "messages[1].content"),
          ({"role": "user", "content": {}}, "messages[1].content"))),
    *(("/v1/chat/completions", {**CHAT, "stream": value}, "stream")
      for value in (True, 1, "true")),
    ("/v1/completions", {"model": "fast"}, "prompt"),
    *(("/v1/completions", {"model": "fast", "prompt": value}, "prompt") for value in (1, {}, True)),
    ("/v1/embeddings", {"model": "fast"}, "input"),
    *(("/v1/embeddings", {"model": "fast", "input": value}, "input") for value in (1, {}, None)),
    *(("/v1/embeddings", {"model": "fast", "input": "x", "encoding_format": value},
       "encoding_format") for value in (1, "hex", [])),
    *(("/v1/embeddings", {"model": "fast", "input": "x", "dimensions": value}, "dimensions")
      for value in (0, -1, 1.5, "3", [])),
    ("/v1/jobs", {"body": CHAT}, "endpoint"),
    ("/v1/jobs", {"endpoint": "/v1/chat/completions"}, "body"),
    *(("/v1/jobs", {**JOB, "endpoint": value}, "endpoint")
      for value in (None, 1, "/v1/models", "", "chat", [])),
    *(("/v1/jobs", {**JOB, "body": value}, "body") for value in (None, "x", [], 1)),
    ("/v1/jobs", {**JOB, "body": {"model": "fast"}}, "body.messages"),
    ("/v1/jobs", {**JOB, "body": {**CHAT, "model": 1}}, "body.model"),
    ("/v1/jobs", {**JOB, "body": {**CHAT, "stream": True}}, "body.stream"),
    *(("/v1/jobs", {**JOB, "priority": value}, "priority") for value in (1, "urgent", [])),
    *(("/v1/jobs", {**JOB, "deadline": value}, "deadline")
      for value in (0, -1, 518401, 1.5, "tomorrow", "2020-01-01T00:00:00Z", [], True, 1e300)),
    *(("/v1/jobs", {**JOB, "max_attempts": value}, "max_attempts")
      for value in (0, 11, -1, "3", 1.5, [])),
    *(("/v1/jobs", {**JOB, "metadata": value}, "metadata") for value in (1, "x", [])),
    ("/v1/jobs", {**JOB, "metadata": {f"k{n}": "v" for n in range(17)}}, "metadata"),
    ("/v1/jobs", {**JOB, "metadata": {"bad": 1}}, "metadata"),
    ("/v1/jobs", {**JOB, "metadata": {"bad": "v" * 513}}, "metadata"),
    ("/v1/jobs", {**JOB, "metadata": {"k" * 65: "v"}}, None),
    ("/v1/jobs", {**JOB, "surprise": 1}, "surprise"),
    ("/v1/jobs", {**JOB, "Endpoint": "x"}, "Endpoint"),
]


@pytest.mark.parametrize(
    "path,body,param", FIELDS,
    ids=[f"{n}-{path.split('/')[2]}-{param}" for n, (path, _, param) in enumerate(FIELDS)])
def test_wrong_fields(port, auth, path, body, param):
    error = post(port, auth, path, json.dumps(body).encode(), 400)

    if param is not None:
        assert error["param"] == param, error


# Those that do not end what they began.


def test_a_body_that_ends_early_makes_no_job(port, auth):
    body = json.dumps({**JOB, "metadata": {"bad": "yes"}}).encode()
    for _ in range(20):
        with Raw(port) as raw:
            raw.send(build("POST", "/v1/jobs", auth, body)[:-1])


def test_nothing_died(system, api):
    wait_for("all are ready", 10, lambda: all(
        row["health"] == "ready" for row in system.processes()))
    assert [row["restarts"] for row in system.processes("intake")] == [0, 0]
    assert httpx.get(system.urls[0] + "/livez").status_code == 200
