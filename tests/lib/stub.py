"""The stub provider as a child process, and what it has on record."""

import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Of a sanitizer's build, for tests/tsan/run.
PROGRAMS = pathlib.Path(os.environ.get("SYNQ_TEST_PROGRAMS", ROOT / "build"))


def free_port():
    """A port outside the ephemeral range that nobody listens on."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Stub:
    """models: name to plan, as `stub-provider --help` words it; ${port} of one
    that has stopped in the same folder: its record goes on."""

    def __init__(self, folder, models, key="sk-stub", port=None):
        self.record = pathlib.Path(folder) / "stub.jsonl"
        self.log = open(pathlib.Path(folder) / "stub.log", "ab")
        self.key = key
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        words = [str(PROGRAMS / "stub-provider")]
        words += ["--port", str(self.port), "--record", str(self.record), "--key", str(key)]
        for name, plan in models.items():
            words += ["--model", f"{name}:{plan}" if plan else name]
        self.process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.wait_until_ready()

    def wait_until_ready(self):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                self.totals()
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"stub-provider does not answer; see {self.log.name}")

    def totals(self):
        with urllib.request.urlopen(self.url + "/stub/calls", timeout=10) as answer:
            return json.load(answer)

    def lines(self):
        """Everything on record, once the gathered lines are written."""
        time.sleep(0.3)
        if not self.record.exists():
            return []
        with open(self.record, "rb") as file:
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    def calls(self):
        return [line for line in self.lines() if line["event"] == "call"]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
