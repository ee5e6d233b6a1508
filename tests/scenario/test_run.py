"""make run: what it does, and that nothing outlives it, however it ends."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from stub import Stub
from system import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]


def processes_of(folder):
    """Command lines that name the folder, zombies left out."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in words:
                found[int(entry.name)] = words
    return found


@pytest.fixture
def folder():
    """Not below pytest's: the servers may run under another account, and every
    other pytest that starts makes its root private again."""
    parent = pathlib.Path(tempfile.mkdtemp(prefix="synq-run-"))
    parent.chmod(0o755)
    yield parent / "demo"
    for pid in processes_of(parent / "demo"):
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(parent, ignore_errors=True)


def start(folder, count, **variables):
    clean = {k: v for k, v in os.environ.items()
             if not k.startswith(("SYNQ_", "OPENAI_"))}
    log = open(folder.parent / "log", "wb")
    return subprocess.Popen(
        [str(ROOT / "compose" / "run")], stdin=subprocess.DEVNULL, stdout=log,
        stderr=log, start_new_session=True,
        # Bash cannot trap what was ignored when it began, as it is for what a
        # script starts in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=clean | {"SYNQ_RUN_DIR": str(folder),
                     "SYNQ_RUN_REQUESTS": str(count)} | variables)


def log_of(folder):
    return (folder.parent / "log").read_text()


def test_every_request_is_answered_and_nothing_runs_afterwards(folder):
    folder.parent.joinpath("calls").mkdir()
    provider = Stub(folder.parent / "calls", {"real/model": "lat=1"}, key="sk-real")
    try:
        run = start(folder, 400, OPENAI_API_KEY="sk-real",
                    OPENAI_BASE_URL=provider.url + "/v1", OPENAI_MODEL="real/model")
        assert run.wait(120) == 0, log_of(folder)
        called = len(provider.calls())
    finally:
        provider.stop()

    text = log_of(folder)
    assert "400 succeeded, 0 failed" in text
    assert re.search(r"\d+ retries in [\d.]+ s: \d+ requests/s", text)
    assert re.search(r'sample +\S+: 200 "stub:Package', text)
    assert processes_of(folder) == {}
    asked, answered = [], []
    for path in sorted((folder / "results").glob("re*.jsonl")):
        if "openai" in path.name:
            continue
        names = [json.loads(x)["custom_id"] for x in path.read_text().splitlines()]
        (asked if "requests" in path.name else answered).extend(names)
    assert len(asked) == 400
    assert sorted(asked) == sorted(answered)
    real = (folder / "results" / "results-openai.jsonl").read_text().splitlines()
    assert len(real) == 20
    # One more asks whether the model is there.
    assert called == 21


MOMENTS = [
    ("starting on", signal.SIGINT),
    ("database", signal.SIGTERM),
    ("organizations", signal.SIGKILL),
    ("done, ", signal.SIGINT),
    ("done, ", signal.SIGHUP),
    ("done, ", signal.SIGKILL),
]


@pytest.mark.parametrize("mark, signum", MOMENTS)
def test_nothing_outlives_an_interrupted_run(folder, mark, signum):
    run = start(folder, 6000)
    wait_for(f"{mark!r} in the log", 60, lambda: mark in log_of(folder) or run.poll() is not None)
    assert run.poll() is None, log_of(folder)
    if signum == signal.SIGINT:
        # As a terminal does it.
        os.killpg(run.pid, signum)
    else:
        os.kill(run.pid, signum)
    code = run.wait(60)
    if signum != signal.SIGKILL:
        assert code == 130, log_of(folder)
        # The script itself waits for the end.
        assert processes_of(folder) == {}
    wait_for("the end of every process", 60, lambda: not processes_of(folder), 0.2)


def test_a_folder_with_something_else_is_left_alone(folder):
    folder.mkdir()
    (folder / "precious").write_text("x")
    run = start(folder, 10)
    assert run.wait(30) == 1
    assert "holds something else" in log_of(folder)
    assert [x.name for x in folder.iterdir()] == ["precious"]


def test_two_runs_in_one_folder_do_not_meet(folder):
    first = start(folder, 6000)
    wait_for("the first to start", 30, lambda: "starting" in log_of(folder))
    began = time.monotonic()
    second = start(folder, 10)
    assert second.wait(30) == 1
    assert "another run uses" in log_of(folder)
    assert time.monotonic() - began < 10
    os.kill(first.pid, signal.SIGTERM)
    assert first.wait(60) == 130
    assert processes_of(folder) == {}
