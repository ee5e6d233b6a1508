"""The official Node SDK, unmodified; sdk.cjs runs the calls."""

import json
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
NODE_PATH = HERE.parents[1] / "build" / "node" / "node_modules"


@pytest.fixture(scope="module")
def results(system, organization):
    done = subprocess.run(
        ["node", str(HERE / "sdk.cjs"), system.urls[1] + "/v1", organization.key],
        capture_output=True, text=True, timeout=90,
        env={**os.environ, "NODE_PATH": os.environ.get("NODE_PATH", str(NODE_PATH))})
    assert done.returncode == 0, done.stderr
    return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.fixture
def result(results):
    def of(name):
        assert "error" not in results[name], results[name]["error"]
        return results[name]["result"]
    return of


def test_chat(result):
    assert result("chat")["content"] == "stub:from node"
    assert result("chat")["requestID"]


def test_completions(result):
    assert result("completions") == {"text": "stub:once upon", "object": "text_completion"}


def test_embeddings_default_and_float_agree(result):
    got = result("embeddings")

    assert len(got["byDefault"]) == 2 and len(got["byDefault"][0]) >= 8
    for a, b in zip(got["byDefault"], got["floats"]):
        assert a == pytest.approx(b, rel=1e-5)


def test_models(result):
    assert {"fast", "acme/nested-model"} <= set(result("models")["names"])
    assert result("models")["one"]["id"] == "acme/nested-model"
    assert result("models")["one"]["object"] == "model"


def test_raw_response(result):
    raw = result("raw")

    assert raw["content"] == "stub:raw"
    assert raw["header"] and raw["request_id"] == raw["header"]
    assert raw["job"].startswith("job_")


def test_idempotency_key(result):
    one, two = result("idempotency")["jobs"]

    assert one == two and one.startswith("job_")
    assert result("idempotency")["other"]["kind"] == "UnprocessableEntityError"


def test_prefer_respond_async(result):
    got = result("respondAsync")

    assert got["status"] == 202
    assert got["location"] == f"/v1/jobs/{got['job']['id']}"


@pytest.mark.parametrize("name,kind,status", [
    ("badRequest", "BadRequestError", 400),
    ("stream", "BadRequestError", 400),
    ("notFound", "NotFoundError", 404),
    ("noSuchModel", "NotFoundError", 404),
    ("authentication", "AuthenticationError", 401),
    ("unprocessable", "UnprocessableEntityError", 422),
    ("conflict", "ConflictError", 409),
    ("limited", "RateLimitError", 429),
])
def test_errors_have_their_classes(result, name, kind, status):
    got = result(name)

    assert (got["kind"], got["status"]) == (kind, status)
    assert got["requestID"]
    assert got["message"].startswith(f"{status} ")
    assert got["type"]


def test_errors_name_the_parameter(result):
    assert result("badRequest")["param"] == "messages"
    assert result("stream")["param"] == "stream"
    assert result("noSuchModel")["code"] == "model_not_found"


def test_a_broken_provider_is_an_internal_server_error(result):
    assert result("broken")["kind"] == "InternalServerError"
    assert result("broken")["status"] >= 500


def test_a_429_is_obeyed(result):
    assert 1 <= float(result("limited")["retryAfter"]) <= 60
    assert 5000 <= result("limited")["took_ms"] < 20000


def test_timeout(result):
    assert result("timeout")["kind"] == "APIConnectionTimeoutError"
