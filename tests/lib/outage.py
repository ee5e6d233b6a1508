"""Stores that go away and come back, for tests on a System.

A store is "gone" (killed and not started again: connections are refused) or
"mute" (stopped by a signal: connections stay open, nobody answers).  While one
is gone the supervisor is stopped too, so that `synq` answers nothing: what a
program says of itself is asked at its own health port.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import time
import urllib.error
import urllib.request

from committed import committed
from system import wait_for

STORES = ("redis", "postgresql", "kafka")


def family(pid):
    """${pid} and all below it, itself first."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def send(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_running(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


class Health:
    """What one program says at its health port, without the supervisor."""

    def __init__(self, system, name):
        self.note = system.dir / "run" / f"{name}.json"

    def read(self, path):
        """Status and text; 0 while it cannot be asked."""
        try:
            port = json.loads(self.note.read_text())["health_port"]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, ValueError, KeyError):
            return 0, ""

    def ready(self):
        """Whether it is in rotation, and every check's line."""
        status, text = self.read("/readyz?verbose")
        return status == 200, text

    def number(self, name):
        """The sum of a metric over its labels; None if it is not shown."""
        _, text = self.read("/metrics")
        found = [line.rsplit(" ", 1)[1] for line in text.splitlines()
                 if line.split("{")[0].split(" ")[0] == name]
        return sum(map(float, found)) if found else None


class Outage:
    """Takes stores of ${system} away and brings them back."""

    def __init__(self, system):
        self.system = system
        self.supervisor = int((system.dir / "run" / "lock").read_text())
        self.ports = {row["name"]: row["port"] for row in system.processes()
                      if row["name"] in STORES}
        self.gone = set()
        self.muted = {}

    def take(self, name, mode):
        if mode == "mute":
            pids = family(self.pid(name))
            send(pids, signal.SIGSTOP)
            # One may have been born meanwhile.
            self.muted[name] = family(pids[0])
            send(self.muted[name], signal.SIGSTOP)
            return
        pid = self.pid(name)
        if not self.gone:
            os.kill(self.supervisor, signal.SIGSTOP)
        self.gone.add(name)
        # PostgreSQL's others end with it only if it tells them.
        os.kill(pid, signal.SIGQUIT if name == "postgresql" else signal.SIGKILL)
        wait_for(f"{name} is gone", 20, lambda: not is_running(pid))

    def pid(self, name):
        """Read where the supervisor's children are, since it may be stopped."""
        if name in self.muted:
            return self.muted[name][0]
        wanted = {"redis": "redis-server", "postgresql": "postgres", "kafka": "java"}[name]
        for child in family(self.supervisor)[1:]:
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if wanted in words[0].decode().rsplit("/", 1)[-1] and is_running(child):
                    return child
        raise AssertionError(f"{name} does not run")

    def give_back(self, *names):
        """All of ${names}, or all there are, at the same time.  Those that
        were gone come back together."""
        for name in names or list(self.muted):
            send(reversed(self.muted.pop(name, [])), signal.SIGCONT)
        if self.gone and (not names or self.gone & set(names)):
            self.gone.clear()
            os.kill(self.supervisor, signal.SIGCONT)

    def wait_until_back(self, *names, limit_s=60):
        """Until each works for a client of its own; returns when the last
        one did."""
        for name in names:
            wait_for(f"{name} is back", limit_s, lambda: self._is_back(name), 0.01)
        return time.monotonic()

    def _is_back(self, name):
        if name == "kafka":
            with contextlib.suppress(OSError, AssertionError, struct.error):
                committed(f"127.0.0.1:{self.ports[name]}",
                          "synq-dispatcher.synq.requests.interactive",
                          "synq.requests.interactive", 0)
                return True
            return False
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.ports[name])) == 0

    @contextlib.contextmanager
    def away(self, mode, *names):
        try:
            for name in names:
                self.take(name, mode)
            yield
        finally:
            self.give_back()
