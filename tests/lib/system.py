"""A private installation for tests, as an operator would make it: `synq up`
in a folder of its own, a stub provider, organizations with keys.

Scenario tests use no shared servers (SYNQ_TEST_KAFKA and the like): topics,
consumer groups and the database of an installation are its own, and these
tests kill what they belong to.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import psycopg

from stub import PROGRAMS, Stub

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYNQ = PROGRAMS / "synq"
KEY = re.compile(r"synq_(?:live|test)_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}")

# What tests would otherwise wait for.
SETTINGS = ("dispatcher.backoff_first_ms=50", "dispatcher.backoff_max_ms=1000")

MODELS = {"fast": "lat=1"}


class Organization:
    def __init__(self, name, key):
        self.name = name
        self.key = key


def wait_for(what, limit_s, question, pause_s=0.05):
    """Ask until the answer is true, and return it."""
    until = time.monotonic() + limit_s
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > until:
            raise AssertionError(f"after {limit_s} s still not: {what}")
        time.sleep(pause_s)


class System:
    """models: name as clients say it to the stub's plan for it."""

    def __init__(self, models=None, settings=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="synq-scenario-"))
        # The servers may run under another account.
        self.folder.chmod(0o755)
        self.dir = self.folder / "var"
        self.models = dict(models or MODELS)
        self.settings = [*SETTINGS, *settings]
        self.variables = {}  # of the environment of all that runs in it
        self.stub = None
        self.failed = False
        self.prepare()
        try:
            self._start()
        except BaseException:
            self.failed = True
            self.stop()
            raise

    def prepare(self):
        """What a kind of system does before its first start."""

    def _start(self):
        words = [word for one in self.settings for word in ("-X", one)]
        self.synq("up", *words, limit_s=150)
        self.environment = self._environment()
        self.default = Organization("default", self.environment["SYNQ_KEY"])
        self.stub = Stub(self.folder, self.models)
        key_file = self.folder / "stub.key"
        key_file.write_text(f"{self.stub.key}\n")
        self.synq("provider", "add", "stub", "--dialect", "openai",
                  "--url", self.stub.url + "/v1", "--key-file", str(key_file))
        for name in self.models:
            self.synq("model", "add", name, "--provider", "stub")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.failed = self.failed or kind is not None
        self.stop()

    def synq(self, *words, check=True, limit_s=60, stdin=None):
        """Run `synq` on this installation; its standard output."""
        done = subprocess.run(
            [str(SYNQ), "--dir", str(self.dir), *words], input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            env={**os.environ, **self.variables},
            capture_output=True, text=True, timeout=limit_s)
        if check and done.returncode != 0:
            raise AssertionError(
                f"synq {' '.join(words)} ended with {done.returncode}:\n"
                f"{done.stdout}{done.stderr}")
        return done

    def _environment(self):
        text = self.synq("status", "-o", "env").stdout
        done = subprocess.run(["env", "-i", "sh", "-c", f"set -a; {text}\nenv -0"],
                              capture_output=True, text=True, check=True)
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)

    def processes(self, program=None):
        """Rows of the status, of one program ("intake") or all of them."""
        rows = json.loads(self.synq("status", "-o", "json").stdout)
        return [row for row in rows
                if program is None or re.fullmatch(program + r"(-\d+)?", row["name"])]

    def is_ready(self, program, count):
        rows = self.processes(program)
        return len(rows) == count and all(row["health"] == "ready" for row in rows)

    def pid(self, name):
        [row] = [row for row in self.processes() if row["name"] == name]
        return row["pid"]

    def kill(self, name, number=signal.SIGKILL):
        """Signal one process; the supervisor starts it again.  Returns the
        pid that it had."""
        pid = self.pid(name)
        assert pid, f"{name} does not run"
        os.kill(pid, number)
        return pid

    def scale(self, program, count):
        self.synq("scale", program, str(count), limit_s=90)
        wait_for(f"{count} of {program}", 30, lambda: self.is_ready(program, count))

    def restart(self, name):
        self.synq("restart", name, limit_s=90)

    @property
    def ports(self):
        """Of the intakes, in order of their names."""
        rows = sorted(self.processes("intake"), key=lambda row: row["name"])
        return [row["port"] for row in rows]

    @property
    def urls(self):
        return [f"http://127.0.0.1:{port}" for port in self.ports]

    def organization(self, name):
        """A new one, with a key."""
        self.synq("org", "create", name)
        return Organization(name, self.key(name))

    def key(self, organization):
        found = KEY.search(self.synq("key", "create", "--org", organization).stdout)
        assert found, "key create prints no key"
        return found.group()

    def revoke(self, key):
        """By the public part of the key, as the lists show it."""
        self.synq("key", "revoke", key.split("_")[2], "--yes")

    def pg(self):
        """A connection that sees the rows of every organization."""
        return psycopg.connect(self.environment["SYNQ_PG"], autocommit=True)

    def logs(self):
        return sorted((self.dir / "log").glob("*.log"))

    def stop(self):
        try:
            if self.dir.exists():
                down = self.synq("down", check=False, limit_s=120)
                if down.returncode != 0:
                    self.failed = True
                    print(f"synq down: {down.returncode} {down.stderr}", file=sys.stderr)
        finally:
            if self.stub is not None:
                self.stub.stop()
        self._keep_or_remove()

    def _keep_or_remove(self):
        if self.failed:
            kept = ROOT / "build" / "test" / "scenario" / self.folder.name
            kept.mkdir(parents=True, exist_ok=True)
            for log in [*self.logs(), *self.folder.glob("stub.*")]:
                shutil.copy(log, kept)
            print(f"logs are kept in {kept}", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)
