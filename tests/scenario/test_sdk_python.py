"""The official OpenAI SDK, unmodified, against a running installation."""

import time

import openai
import pytest

from system import wait_for


@pytest.fixture(scope="module")
def sdk(system, organization):
    with openai.OpenAI(base_url=system.urls[0] + "/v1", api_key=organization.key) as one:
        yield one


@pytest.fixture(scope="module")
def hasty(sdk):
    """The same without retries of its own."""
    return sdk.with_options(max_retries=0)


def say(text):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]


def test_chat(sdk):
    answer = sdk.chat.completions.create(model="fast", messages=say("what is a broker"))

    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].message.content == "stub:what is a broker"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == (
        answer.usage.prompt_tokens + answer.usage.completion_tokens) > 0


def test_text_outside_ascii_comes_back_as_it_went(sdk):
    text = 'é "\\" 🙂 \u2028 中文'
    answer = sdk.chat.completions.create(model="fast", messages=say(text))

    assert answer.choices[0].message.content == "stub:" + text


def test_chat_takes_what_it_does_not_know(sdk):
    answer = sdk.chat.completions.create(
        model="fast", messages=say("x"), temperature=0.3, seed=7, logit_bias={"50256": -100},
        extra_body={"x_vendor": {"deep": [1, 2.50, None]}})

    assert answer.choices[0].message.content == "stub:x"


def test_completions(sdk):
    answer = sdk.completions.create(model="fast", prompt="once upon", max_tokens=5)

    assert answer.object == "text_completion"
    assert answer.choices[0].text == "stub:once upon"


def test_embeddings_default_and_float_agree(sdk):
    by_default = sdk.embeddings.create(model="fast", input=["one", "two"])
    as_floats = sdk.embeddings.create(
        model="fast", input=["one", "two"], encoding_format="float")
    on_the_wire = sdk.embeddings.with_raw_response.create(
        model="fast", input="one", encoding_format="base64").http_response.json()

    assert [one.index for one in by_default.data] == [0, 1]
    assert len(by_default.data[0].embedding) >= 8
    for a, b in zip(by_default.data, as_floats.data):
        assert a.embedding == pytest.approx(b.embedding, rel=1e-5)
    assert by_default.data[0].embedding != by_default.data[1].embedding
    assert isinstance(on_the_wire["data"][0]["embedding"], str)


def test_models(sdk):
    names = [model.id for model in sdk.models.list()]

    assert names == sorted(names)
    assert {"fast", "acme/nested-model"} <= set(names)
    for name in ("fast", "acme/nested-model"):
        model = sdk.models.retrieve(name)
        assert (model.id, model.object) == (name, "model")
        assert isinstance(model.created, int) and model.owned_by


def test_unknown_model_is_not_found(hasty):
    for call in (lambda: hasty.models.retrieve("nobody/knows"),
                 lambda: hasty.chat.completions.create(model="nobody", messages=say("x"))):
        with pytest.raises(openai.NotFoundError) as caught:
            call()
        assert caught.value.code == "model_not_found"
        assert caught.value.request_id


def test_request_ids(sdk, hasty):
    good = sdk.chat.completions.create(model="fast", messages=say("x"))
    again = sdk.chat.completions.create(model="fast", messages=say("x"))

    assert good._request_id and again._request_id
    assert good._request_id != again._request_id
    with pytest.raises(openai.BadRequestError) as caught:
        hasty.chat.completions.create(model="fast", messages=[])
    assert caught.value.request_id
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]


def test_400_names_the_parameter(hasty):
    with pytest.raises(openai.BadRequestError) as caught:
        hasty.chat.completions.create(model="fast", messages="not a list")

    assert caught.value.param == "messages"
    assert caught.value.type == "invalid_request_error"
    assert "messages" in caught.value.message


def test_stream_is_refused_until_it_exists(hasty):
    with pytest.raises(openai.BadRequestError) as caught:
        hasty.chat.completions.create(model="fast", messages=say("x"), stream=True)

    assert caught.value.param == "stream"


def test_401_wrong_key(system):
    key = "synq_live_" + "A" * 16 + "_" + "B" * 49
    with openai.OpenAI(base_url=system.urls[0] + "/v1", api_key=key) as sdk:
        with pytest.raises(openai.AuthenticationError) as caught:
            sdk.models.list()

    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


@pytest.mark.parametrize("model,kind,status", [
    ("refuses", openai.BadRequestError, 400),
    ("unprocessable", openai.UnprocessableEntityError, 422),
    ("broken", openai.InternalServerError, None),
    ("cut", openai.InternalServerError, None),
    ("cut-body", openai.InternalServerError, None),
    ("limited", openai.RateLimitError, 429),
])
def test_a_providers_failure_has_its_class(hasty, model, kind, status):
    with pytest.raises(kind) as caught:
        hasty.chat.completions.create(model=model, messages=say("x"))

    assert status is None or caught.value.status_code == status
    assert caught.value.request_id
    assert caught.value.message and caught.value.type


def test_our_credential_refused_is_not_the_clients_fault(hasty):
    with pytest.raises(openai.InternalServerError):
        hasty.chat.completions.create(model="locked", messages=say("x"))


def test_unknown_job_is_not_found(hasty):
    with pytest.raises(openai.NotFoundError):
        hasty.get("/jobs/job_" + "0" * 40, cast_to=object)


def test_409_conflict(hasty):
    accepted = hasty.post("/jobs", cast_to=object, body={
        "endpoint": "/v1/chat/completions", "body": {"model": "fast", "messages": say("x")}})
    wait_for("it has succeeded", 10, lambda: hasty.get(
        f"/jobs/{accepted['id']}", cast_to=object)["status"] == "succeeded")

    with pytest.raises(openai.ConflictError) as caught:
        hasty.post(f"/jobs/{accepted['id']}/cancel", cast_to=object)
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_idempotency_key_and_another_body(hasty):
    headers = {"Idempotency-Key": f"sdk-{time.time_ns()}"}
    first = hasty.chat.completions.with_raw_response.create(
        model="fast", messages=say("one"), extra_headers=headers)
    second = hasty.chat.completions.with_raw_response.create(
        model="fast", messages=say("one"), extra_headers=headers)

    assert first.headers["x-synq-job-id"] == second.headers["x-synq-job-id"]
    assert first.parse().id == second.parse().id
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        hasty.chat.completions.create(
            model="fast", messages=say("two"), extra_headers=headers)
    assert caught.value.request_id


def test_prefer_respond_async(hasty):
    raw = hasty.chat.completions.with_raw_response.create(
        model="slow", messages=say("x"), extra_headers={"Prefer": "respond-async"})

    assert raw.http_response.status_code == 202
    job = raw.http_response.json()
    assert raw.headers["location"] == f"/v1/jobs/{job['id']}"
    assert raw.headers["preference-applied"] == "respond-async"


def test_timeout_cancels_a_job_that_has_not_begun(system, sdk):
    """One call in flight per organization would be needed to hold a job back
    for sure; a job that waits for its next attempt has not begun it either."""
    began = time.monotonic()
    with pytest.raises(openai.APITimeoutError):
        sdk.with_options(max_retries=0, timeout=0.7).chat.completions.create(
            model="slow", messages=say("timed out"))
    assert time.monotonic() - began < 5


def test_a_429_is_obeyed(sdk):
    """The dispatcher tries three times and waits as the provider asks; then
    the client sees the 429 and waits itself."""
    began = time.monotonic()
    with pytest.raises(openai.RateLimitError) as caught:
        sdk.with_options(max_retries=1).chat.completions.create(
            model="limited", messages=say("x"))

    assert caught.value.response.headers.get("retry-after")
    assert 1 <= float(caught.value.response.headers["retry-after"]) <= 60
    # Twice two waits of a second, and one between.
    assert 5 <= time.monotonic() - began < 20


def test_a_429_that_passes_is_not_seen(sdk, system):
    for number in range(4):
        answer = sdk.chat.completions.create(
            model="sometimes", messages=say(f"number {number}"))
        assert answer.choices[0].message.content == f"stub:number {number}"


def test_raw_response(sdk):
    raw = sdk.chat.completions.with_raw_response.create(model="fast", messages=say("raw"))

    assert raw.headers["x-request-id"]
    assert raw.headers["x-synq-job-id"].startswith("job_")
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.parse().choices[0].message.content == "stub:raw"


def test_large_answer(sdk):
    """Above 64 KiB the answer comes out of the row."""
    answer = sdk.chat.completions.create(model="large", messages=say("x"))

    assert len(answer.choices[0].message.content) >= 200000


def test_too_large_an_answer_fails_and_is_not_asked_for_again(sdk, system):
    before = len([c for c in system.stub.calls() if c["model"] == "huge"])
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.with_options(max_retries=0).chat.completions.create(
            model="huge", messages=say("x"))

    assert caught.value.code == "result_too_large"
    assert len([c for c in system.stub.calls() if c["model"] == "huge"]) == before + 1


def test_many_at_once(system, organization):
    import asyncio

    async def run():
        async with openai.AsyncOpenAI(
                base_url=system.urls[1] + "/v1", api_key=organization.key) as sdk:
            return await asyncio.gather(*(
                sdk.chat.completions.create(model="fast", messages=say(f"number {n}"))
                for n in range(50)))

    answers = asyncio.run(run())
    assert [a.choices[0].message.content for a in answers] == [
        f"stub:number {n}" for n in range(50)]
