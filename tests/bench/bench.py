"""Runs rows, keeps what they say and writes the table: see tests/bench/run."""

import datetime
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
import traceback

import report
import rows_faults
import rows_speed
from system import ROOT
from world import OTHER, linger_ms

ROWS = {
    "accept": rows_speed.accept,
    "accept-one-core": rows_speed.accept_one_core,
    "dispatch": rows_speed.dispatch,
    "recorder": rows_speed.recorder,
    "system": rows_speed.system,
    "idle": rows_speed.idle,
    "chat": rows_speed.chat,
    "kill": rows_faults.kill,
    "takeover": rows_faults.takeover,
    "inflight": rows_faults.inflight,
    "memory": rows_faults.memory,
    "stop": rows_faults.stop,
}


def first_line(*words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20)
    except OSError:
        return "?"
    return ((done.stdout + done.stderr).strip() or "?").splitlines()[0]


def last_number(text):
    """The first word of a version line that begins with a digit."""
    words = [word.strip("v(),=").removeprefix("v=").removeprefix("nginx/")
             for word in text.split()]
    return next((word for word in words if word[:1].isdigit()), text)


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "?"


def kafka_version():
    for jar in (ROOT / "build/kafka/lib").glob("kafka-clients-*.jar"):
        return jar.stem.rsplit("-", 1)[1]
    return "?"


def conditions():
    """Where and with what a row was measured."""
    changed = subprocess.run(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"],
                             capture_output=True, text=True).stdout.strip()
    postgres = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return {
        "cores": os.cpu_count(),
        "CPU": cpu_model(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 30} GB",
        "kernel": platform.release(),
        "gcc": first_line("gcc", "-dumpfullversion"),
        "librdkafka": first_line("pkg-config", "--modversion", "rdkafka"),
        "Kafka": kafka_version(),
        "Java": last_number(first_line("java", "-version").replace('"', "")),
        "PostgreSQL": last_number(first_line(str(postgres[-1]) if postgres else "postgres",
                                             "--version")),
        "Redis": last_number(first_line("redis-server", "--version")),
        "nginx": last_number(first_line("/usr/sbin/nginx", "-v")),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"),
        "commit": first_line("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
        + ("+" if changed else ""),
        "nice": os.environ.get("NICE", "0"),
        "linger.ms": linger_ms(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


class Bench:
    """How much is measured, and what came out so far."""

    def __init__(self, row):
        self.row = row
        self.quick = os.environ.get("QUICK") == "1"
        self.is_long = os.environ.get("LONG") == "1"
        self.wants_profile = os.environ.get("PROFILE") not in (None, "", "0")
        self.count = int(os.environ.get("ROUNDS", "1" if self.quick else "5"))
        self.conditions = conditions()

    def rounds(self):
        return range(1, self.count + 1)

    def seconds(self, full):
        return min(full, 2) if self.quick else full

    def amount(self, full, quick):
        return quick if self.quick else full

    def say(self, text):
        print(f"  {text}", flush=True)

    def line(self, name, what, *, target, bar, value, met, ratio=None, reference=None, note=(),
             others=()):
        """One line of the table.  ${note}: (label, series or number) pairs."""
        def plain(one):
            return one.as_json() if hasattr(one, "as_json") else one
        return {
            "name": name, "row": self.row, "what": what, "target": target, "bar": bar,
            "met": bool(met), "value": plain(value), "ratio": plain(ratio) if ratio else None,
            "reference": [reference[0], plain(reference[1])] if reference else None,
            "note": [[label, plain(one)] for label, one in note],
            "others": max(others, default=None), "rounds": self.count, "quick": self.quick,
            "conditions": self.conditions,
        }

    def profile(self, world, pid, load):
        """${pid} under perf while ${load} runs, or for five seconds."""
        if not self.wants_profile:
            return
        folder = ROOT / "build/bench"
        data = folder / f"profile-{self.row}.data"
        running = load() if load else None
        time.sleep(1.5 if running else 0.5)
        subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-g", "-p",
                        str(pid), "-o", str(data), "--", "sleep", "4"],
                       check=True, capture_output=True)
        if running:
            running.wait()
        text = [f"{self.row}: {self.conditions['commit']}, {self.conditions['date']}\n"]
        for title, flags in (("own time, by function", ["--no-children", "-g", "none"]),
                             ("with what it calls", ["--children", "-g", "none"]),
                             ("by thread", ["--no-children", "-g", "none", "--sort", "tid"])):
            done = subprocess.run(["perf", "report", "--stdio", "-i", str(data), *flags],
                                  capture_output=True, text=True)
            lines = [line for line in done.stdout.splitlines()
                     if line.strip() and line[0] != "#"]
            text += [f"\n== {title}\n", *(line + "\n" for line in lines[:45])]
        path = folder / f"profile-{self.row}.txt"
        path.write_text("".join(text))
        self.say(f"profile: {path.relative_to(ROOT)}")


def run(names):
    failed = []
    for name in names:
        bench = Bench(name)
        began = time.monotonic()
        print(f"== {name}", flush=True)
        try:
            lines = ROWS[name](bench)
        except Exception:  # the other rows are still wanted
            traceback.print_exc()
            failed.append(name)
            continue
        for line in lines:
            print("  " + report.plain(line), flush=True)
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
        report.keep(lines, bench.quick)
        report.write(bench.quick)
    return failed


def main():
    names = sys.argv[1:]
    if names == ["--list"]:
        print("\n".join(ROWS))
        return 0
    if names == ["--report"]:
        report.write(os.environ.get("QUICK") == "1")
        return 0
    unknown = [name for name in names if name not in ROWS]
    if unknown:
        print(f"no such row: {' '.join(unknown)} (there are: {' '.join(ROWS)})", file=sys.stderr)
        return 2
    # What runs is taken down whatever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # What this starts runs beside the measured core unless it is placed there.
    os.sched_setaffinity(0, {OTHER})
    if os.environ.get("NICE"):
        os.setpriority(os.PRIO_PROCESS, 0, int(os.environ["NICE"]))
    failed = run(names or list(ROWS))
    if failed:
        print(f"failed: {' '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
