"""synq job against an API that misbehaves: nothing doubled, nothing lost."""

import collections
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

import fake_intake

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYNQ = os.environ.get("SYNQ_PROGRAM", str(ROOT / "build" / "synq"))


@pytest.fixture
def intake():
    with fake_intake.running() as running:
        yield running


@pytest.fixture
def environment(intake, tmp_path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SYNQ_")}
    return clean | {
        "SYNQ_URL": intake.url,
        "SYNQ_KEY": fake_intake.KEY,
        "SYNQ_DIR": str(tmp_path / "none"),
    }


@pytest.fixture
def synq(environment, tmp_path):
    def run(*args, stdin=None, **variables):
        return subprocess.run(
            [SYNQ, *args],
            cwd=tmp_path,
            env=environment | variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def request(custom_id, text="hello"):
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return {
        "custom_id": custom_id,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body,
    }


def write_lines(path, lines):
    path.write_text("".join(json.dumps(x) + "\n" for x in lines))


@pytest.fixture
def fifty(tmp_path):
    write_lines(tmp_path / "in.jsonl", [request(f"r{i}", f"text {i}") for i in range(50)])
    return tmp_path / "in.jsonl"


def results(tmp_path, name="out.jsonl"):
    return [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]


def submit(synq, *more, **variables):
    return synq(
        "job", "submit", "--file", "in.jsonl", "--out", "out.jsonl", *more, **variables
    )


def assert_whole(tmp_path, count):
    """Each of r0... once, with the answer to its own text."""
    lines = {line["custom_id"]: line for line in results(tmp_path)}
    assert len(results(tmp_path)) == count
    assert set(lines) == {f"r{i}" for i in range(count)}
    for i in range(count):
        response = lines[f"r{i}"]["response"]
        assert response["status_code"] == 200
        assert response["body"]["echo"]["messages"][0]["content"] == f"text {i}"
        assert lines[f"r{i}"]["error"] is None


def test_results_are_in_openai_form(synq, fifty, intake, tmp_path):
    done = submit(synq, "-o", "json")

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 50)
    line = results(tmp_path)[0]
    assert set(line) == {"id", "custom_id", "response", "error"}
    assert line["id"].startswith("job_")
    assert line["response"]["request_id"] == "req_fake"
    summary = json.loads(done.stdout)
    assert (summary["lines"], summary["succeeded"], summary["failed"]) == (50, 50, 0)
    assert summary["p50_ms"] <= summary["p95_ms"] <= summary["p99_ms"]
    assert summary["p99_ms"] <= summary["max_ms"]


def test_jobs_are_batch_jobs_with_the_metadata_given(synq, fifty, intake):
    submit(synq, "--metadata", "team=a", "--metadata", 'q="x=y', "--priority", "batch")

    for job in intake.jobs.values():
        assert job["endpoint"] == "/v1/chat/completions"
        assert job["priority"] == "batch"
        assert job["metadata"] == {"team": "a", "q": '"x=y'}


def test_refusals_for_now_are_repeated_under_the_same_key(synq, fifty, intake, tmp_path):
    # Retry-After: 0 keeps the test short.
    later = [("Retry-After", "0")]
    intake.on_post = lambda n, key: (503, "server_is_overloaded", later) if n <= 3 else None
    intake.on_poll = lambda n, job: (429, "slow_down", later) if n <= 3 else None

    done = submit(synq, "-o", "json")

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 50)
    assert len(intake.jobs) == 50
    assert json.loads(done.stdout)["calls_repeated"] >= 6


def test_retry_after_is_obeyed(synq, intake, tmp_path):
    write_lines(tmp_path / "in.jsonl", [request("r0", "text 0")])
    times = []

    def on_post(number, key):
        times.append(time.monotonic())
        return (429, "slow_down", [("Retry-After", "2")]) if number == 1 else None

    intake.on_post = on_post
    assert submit(synq).returncode == 0
    assert 2.0 <= times[1] - times[0] < 4.0


def test_connection_cut_after_the_post_makes_no_second_job(synq, fifty, intake, tmp_path):
    seen = collections.Counter()

    def on_post(number, key):
        with intake.lock:
            seen[key] += 1
            return "cut" if seen[key] == 1 and number % 7 == 0 else None

    intake.on_post = on_post
    done = submit(synq)

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 50)
    assert len(intake.jobs) == 50
    assert len(intake.posts) > 50


def test_connections_that_drop_are_made_anew(synq, fifty, intake, tmp_path):
    intake.on_post = lambda n, key: "drop" if n % 11 == 0 else None
    intake.on_poll = lambda n, job: "drop" if n % 13 == 0 else None

    done = submit(synq)

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 50)
    assert len(intake.jobs) == 50


def test_key_in_use_is_asked_again(synq, fifty, intake, tmp_path):
    seen = set()

    def on_post(number, key):
        with intake.lock:
            if key in seen or number % 5:
                return None
            seen.add(key)
        return (409, "idempotency_key_in_use", [("Retry-After", "1")])

    intake.on_post = on_post
    assert submit(synq).returncode == 0
    assert_whole(tmp_path, 50)


def test_jobs_that_take_long_are_asked_for_again(synq, fifty, intake, tmp_path):
    asked = collections.Counter()

    def answer(job):
        text = job["body"]["messages"][0]["content"]
        with intake.lock:
            asked[text] += 1
            if asked[text] < 3:
                return 202, None
        return 200, {"echo": job["body"]}

    intake.answer = answer
    assert submit(synq).returncode == 0
    assert_whole(tmp_path, 50)


def test_two_addresses_share_the_work_and_one_may_die(synq, fifty, tmp_path, intake):
    with fake_intake.running() as other:
        # One store behind both, as in an installation.
        other.jobs, other.keys, other.lock = intake.jobs, intake.keys, intake.lock
        other.on_post = lambda n, key: "drop" if n > 5 else None
        other.on_poll = lambda n, job: "drop" if n > 5 else None
        done = submit(synq, SYNQ_URL_2=other.url + "/v1/")
        assert len(other.posts) >= 5

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 50)


def test_existing_results_are_kept_and_their_lines_passed_over(synq, fifty, intake, tmp_path):
    assert submit(synq).returncode == 0
    lines = (tmp_path / "out.jsonl").read_text().splitlines(keepends=True)
    # Killed in the middle of a line.
    (tmp_path / "out.jsonl").write_text("".join(lines[:20]) + lines[20][:30])
    posts = len(intake.posts)

    done = submit(synq, "-o", "json")

    assert done.returncode == 0, done.stderr
    assert "torn" in done.stderr
    assert_whole(tmp_path, 50)
    assert (tmp_path / "out.jsonl").read_text().startswith("".join(lines[:20]))
    assert len(intake.posts) - posts == 30
    assert len(intake.jobs) == 50, "a resumed line is the job that was there"
    summary = json.loads(done.stdout)
    assert (summary["done_before"], summary["succeeded"]) == (20, 30)


def test_a_finished_run_repeated_does_nothing(synq, fifty, intake, tmp_path):
    assert submit(synq).returncode == 0
    before = (tmp_path / "out.jsonl").read_bytes()
    posts = len(intake.posts)

    assert submit(synq).returncode == 0
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert len(intake.posts) == posts


def test_another_run_name_makes_other_jobs(synq, fifty, intake, tmp_path):
    assert submit(synq).returncode == 0
    (tmp_path / "out.jsonl").unlink()
    assert submit(synq, "--run", "second").returncode == 0
    assert len(intake.jobs) == 100


def test_other_flags_for_a_line_in_hand_end_the_run(synq, fifty, intake, tmp_path):
    assert submit(synq).returncode == 0
    (tmp_path / "out.jsonl").unlink()

    done = submit(synq, "--priority", "interactive")

    assert done.returncode == 2
    assert "in.jsonl:" in done.stderr and "--run" in done.stderr
    assert len(intake.jobs) == 50


def test_killed_runs_neither_lose_nor_double(environment, synq, intake, tmp_path):
    write_lines(tmp_path / "in.jsonl", [request(f"r{i}", f"text {i}") for i in range(400)])

    def answer(job):
        time.sleep(0.02)
        return 200, {"echo": job["body"]}

    intake.answer = answer
    for delay in (0.3, 0.5):
        child = subprocess.Popen(
            [SYNQ, "job", "submit", "--file", "in.jsonl", "--out", "out.jsonl"],
            cwd=tmp_path,
            env=environment,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        time.sleep(delay)
        child.kill()
        child.wait()
    done = submit(synq)

    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path, 400)
    assert len(intake.jobs) == 400


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_stops_cleanly_and_says_how_to_go_on(
    environment, synq, intake, tmp_path, signum
):
    write_lines(tmp_path / "in.jsonl", [request(f"r{i}", f"text {i}") for i in range(60)])
    intake.answer = lambda job: (
        (202, None)
        if int(job["body"]["messages"][0]["content"].split()[1]) >= 30
        else (200, {"echo": job["body"]})
    )
    child = subprocess.Popen(
        [SYNQ, "job", "submit", "--file", "in.jsonl", "--out", "out.jsonl"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        out = tmp_path / "out.jsonl"
        if out.exists() and out.read_text().count("\n") >= 30:
            break
        time.sleep(0.05)
    child.send_signal(signum)
    _, told = child.communicate(timeout=10)

    assert child.returncode == 7
    assert "interrupted after 30 of 60" in told
    assert "same command" in told
    intake.answer = lambda job: (200, {"echo": job["body"]})
    assert submit(synq).returncode == 0
    assert_whole(tmp_path, 60)
    assert len(intake.jobs) == 60


BAD = [
    "not json",
    '{"custom_id": "torn", "method": "POST"',
    json.dumps({**request("x"), "custom_id": None}),
    json.dumps({k: v for k, v in request("x").items() if k != "custom_id"}),
    json.dumps(request("r0")),
    json.dumps({**request("bad-url"), "url": "/v1/nothing"}),
    json.dumps({**request("bad-method"), "method": "GET"}),
    json.dumps({**request("bad-body"), "body": []}),
    '["custom_id"]',
    '{"custom_id": "\\ud800", "method": "POST"}',
    json.dumps({**request("long"), "body": {"model": "x" * (3 << 20)}}),
]


def test_lines_that_cannot_be_run_are_told_counted_and_written(synq, intake, tmp_path):
    good = [json.dumps(request(f"r{i}", f"text {i}")) for i in range(3)]
    text = good[0] + "\n\n" + "\n".join(BAD) + "\n  \n" + good[1] + "\r\n" + good[2]
    (tmp_path / "in.jsonl").write_text("\ufeff" + text)

    done = submit(synq, "-o", "json")

    assert done.returncode == 7
    for i in range(len(BAD)):
        assert f"in.jsonl:{i + 3}: " in done.stderr
    summary = json.loads(done.stdout)
    assert summary["lines"] == len(BAD) + 3
    assert (summary["succeeded"], summary["malformed"]) == (3, len(BAD))
    lines = results(tmp_path)
    codes = collections.Counter(x["error"]["code"] for x in lines if x["error"])
    assert codes == {
        "invalid_json_line": 4,
        "missing_required_parameter": 3,
        "duplicate_custom_id": 1,
        "invalid_url": 1,
        "invalid_value": 1,
        "line_too_long": 1,
    }
    named = {x["custom_id"] for x in lines if x["error"]} - {None}
    assert named == {"bad-url", "bad-method", "bad-body"}
    assert {x["custom_id"] for x in lines if x["response"]} == {"r0", "r1", "r2"}

    # A second run finds all of it done, and still says that some failed.
    before = (tmp_path / "out.jsonl").read_bytes()
    again = submit(synq)
    assert again.returncode == 7
    assert (tmp_path / "out.jsonl").read_bytes() == before
    assert len(intake.jobs) == 3


def test_refused_and_failed_requests_are_lines_with_their_status(synq, fifty, intake, tmp_path):
    refused = {}

    def on_post(number, key):
        if number == 1:
            refused["key"] = key
        return (404, "model_not_found") if key == refused["key"] else None

    def answer(job):
        if job["body"]["messages"][0]["content"] == "text 7":
            # The job's own end, not trouble of the API.
            return 503, {"error": {"message": "provider is down"}}
        return 200, {"echo": job["body"]}

    intake.on_post = on_post
    intake.answer = answer
    done = submit(synq, "--window", "1")

    assert done.returncode == 7
    statuses = {x["custom_id"]: x["response"]["status_code"] for x in results(tmp_path)}
    assert statuses["r0"] == 404
    assert statuses["r7"] == 503
    assert sorted(statuses.values())[:48] == [200] * 48
    assert all(x["error"] is None for x in results(tmp_path))


def test_a_wrong_key_ends_the_run(synq, fifty, tmp_path):
    done = submit(synq, SYNQ_KEY="synq_test_wrong")

    assert done.returncode == 4
    assert "invalid_api_key" in done.stderr
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_no_answer_ends_the_run_in_time(synq, fifty, intake):
    intake.on_post = lambda n, key: "drop"
    began = time.monotonic()
    done = submit(synq, "--patience", "2")

    assert done.returncode == 6
    assert "does not answer" in done.stderr
    assert time.monotonic() - began < 20


def test_nobody_there_is_unavailable(synq, fifty):
    done = submit(synq, "--patience", "1", SYNQ_URL="http://127.0.0.1:1")
    assert done.returncode == 6


def test_no_address_and_no_key_say_what_to_do(synq, fifty):
    done = submit(synq, SYNQ_URL="")
    assert (done.returncode, "synq up" in done.stderr) == (6, True)
    done = submit(synq, SYNQ_KEY="")
    assert (done.returncode, "SYNQ_KEY" in done.stderr) == (4, True)


def test_output_that_is_something_else_is_left_alone(synq, fifty, tmp_path):
    (tmp_path / "out.jsonl").write_text("precious\n")
    done = submit(synq)
    assert done.returncode == 1
    assert "out.jsonl:1" in done.stderr
    assert (tmp_path / "out.jsonl").read_text() == "precious\n"

    done = synq("job", "submit", "--file", "in.jsonl", "--out", "in.jsonl")
    assert done.returncode != 0
    assert len(fifty.read_text().splitlines()) == 50


def test_a_full_disk_ends_the_run(synq, fifty):
    done = synq("job", "submit", "--file", "in.jsonl", "--out", "/dev/full")
    assert done.returncode == 1
    assert "No space" in done.stderr


def test_progress_is_a_line_a_second_and_silent_on_request(synq, fifty, intake):
    def answer(job):
        slow = job["body"]["messages"][0]["content"] == "text 0"
        time.sleep(2.2 if slow else 0)
        return 200, {"echo": job["body"]}

    intake.answer = answer
    done = submit(synq)
    lines = [x for x in done.stderr.splitlines() if " done, " in x]
    assert 2 <= len(lines) <= 5
    assert lines[-1].startswith("50 of 50 done, 0 failed, ")
    assert "\033" not in done.stderr and "\r" not in done.stderr

    assert submit(synq, "--quiet", "--run", "again").stderr == ""


def test_one_job_prints_its_id_and_its_result(synq, intake, tmp_path):
    body = json.dumps(request("x")["body"])
    done = synq("job", "submit", "--body", "-", stdin=body)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in intake.jobs

    (tmp_path / "body.json").write_text(body)
    intake.on_post = lambda n, key: "cut" if n == 2 else None
    done = synq("job", "submit", "--body", "body.json", "--wait")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["echo"] == json.loads(body)
    assert len(intake.jobs) == 2, "a repeat after a lost answer is the same job"

    (tmp_path / "body.json").write_text("{\n oops }")
    done = synq("job", "submit", "--body", "body.json")
    assert done.returncode == 1
    assert "body.json:2:2" in done.stderr


def test_wrong_words_are_usage(synq, fifty):
    for words in (
        ["submit"],
        ["submit", "--file", "in.jsonl"],
        ["submit", "--file", "in.jsonl", "--body", "-"],
        ["submit", "--body", "-", "--endpoint", "/v1/chat/completion"],
        ["submit", "--file", "in.jsonl", "--out", "o", "--priority", "high"],
        ["submit", "--file", "in.jsonl", "--out", "o", "--metadata", "x"],
        ["submit", "--file", "in.jsonl", "--out", "o", "--window", "0"],
        ["get"],
    ):
        done = synq("job", *words, stdin="{}")
        assert done.returncode == 2, words
        assert done.stderr.startswith("synq: "), words
    done = synq("job", "submit", "--file", "missing.jsonl", "--out", "o")
    assert done.returncode == 5


def test_get_wait_and_result(synq, intake):
    done = synq("job", "submit", "--body", "-", stdin=json.dumps(request("x")["body"]))
    job = done.stdout.strip()

    assert json.loads(synq("job", "get", job, "-o", "json").stdout)["id"] == job
    assert "queued" in synq("job", "get", job).stdout
    assert synq("job", "get", "job_unknown").returncode == 5
    assert synq("job", "wait", job).stdout == f"{job} succeeded 200\n"
    assert "echo" in json.loads(synq("job", "result", job).stdout)

    intake.answer = lambda _: (202, None)
    assert synq("job", "result", job).returncode == 6
    assert synq("job", "wait", job, "--timeout", "1").returncode == 6
    intake.answer = lambda _: (400, {"error": {"message": "no"}})
    assert synq("job", "result", job).returncode == 1
    assert synq("job", "wait", job).returncode == 1
