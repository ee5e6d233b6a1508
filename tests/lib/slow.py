"""Slow connections in their thousands (tests/bench/slow/slow.c), and what they
cost a good client: measured with and without them, in turns."""

import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "bench" / "slow" / "slow.c"


def build():
    """The program, made anew when its source is newer."""
    program = ROOT / "build" / "test" / "slow"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror",
                        "-o", str(program), str(SOURCE)], check=True)
    return program


class Crowd:
    """${count} slow connections while it is open."""

    def __init__(self, port, key, count, drip_s=5):
        self.process = subprocess.Popen(
            [build(), "hold", str(port), key, str(count), str(drip_s)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.opened = self.ended = self.not_let_in = self.open = 0

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n", "the crowd did not come in"
        return self

    def __exit__(self, *_):
        try:
            said = self.process.communicate("", timeout=30)[0]
        finally:
            self.process.kill()
            self.process.wait()
        numbers = [int(one) for one in re.findall(r"\d+", said)]
        self.open, self.opened, self.ended, self.not_let_in = numbers


def probe(port, key, count=2000, interval_us=1000):
    """How long each of ${count} good requests took, in µs, in order of size."""
    done = subprocess.run([build(), "probe", str(port), key, str(count), str(interval_us)],
                          check=True, capture_output=True, text=True, timeout=120)
    return sorted(int(line) / 1000 for line in done.stdout.split())


def quantile(ordered, part):
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Cost:
    """Quantiles of the good client, in µs, of each round."""

    def __init__(self):
        self.rounds = {"without": [], "with": []}

    def add(self, name, times):
        self.rounds[name].append({part: quantile(times, part) for part in (0.5, 0.9, 0.99)})

    def median(self, name, part):
        return statistics.median(one[part] for one in self.rounds[name])

    def ratio(self, part):
        return self.median("with", part) / self.median("without", part)

    def span(self, name, part):
        values = [one[part] for one in self.rounds[name]]
        return f"{min(values):.0f}-{max(values):.0f}"


def measure(port, key, count, rounds, requests=2000, on_crowd=None):
    """The cost of ${count} slow connections in ${rounds} rounds, each without
    and then with them; on_crowd is called while they are there."""
    cost = Cost()
    probe(port, key, requests)
    for _ in range(rounds):
        cost.add("without", probe(port, key, requests))
        with Crowd(port, key, count) as crowd:
            cost.add("with", probe(port, key, requests))
            if on_crowd is not None:
                on_crowd()
        assert crowd.not_let_in == 0, f"{crowd.not_let_in} were not let in"
        assert crowd.open >= count * 0.8, f"only {crowd.open} of {count} were held"
    return cost
