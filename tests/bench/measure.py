"""What a process and a core have used, and what a series of rounds says."""

import os
import pathlib
import statistics
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    """CPU time of all threads of a process, those that ended too."""
    return time.clock_gettime((~pid << 3) | 2)


def threads(pid):
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def tree(pid):
    """The process and all below it."""
    found = [pid]
    for parent in found:
        for thread in threads(parent):
            try:
                children = pathlib.Path(f"/proc/{parent}/task/{thread}/children").read_text()
            except OSError:
                continue
            found += [int(child) for child in children.split()]
    return found


def tree_cpu_s(pid):
    """A server of many processes; those that ended count through their parent."""
    total = 0.0
    for one in tree(pid):
        try:
            total += cpu_s(one)
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(fields[13]) + int(fields[14])) / TICKS
        except OSError:
            continue
    return total


def pin(pid, *cores):
    """All threads and children; what they make later follows them."""
    for _ in range(2):  # one may be made meanwhile
        for process in tree(pid):
            for thread in threads(process):
                try:
                    os.sched_setaffinity(thread, cores)
                except OSError:
                    continue


def core_busy_s(core):
    """What a core has worked since the start, for whomever."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{core} "):
            user, nice, system, _, _, irq, soft, steal = map(int, line.split()[1:9])
            return (user + nice + system + irq + soft + steal) / TICKS
    return 0.0


def private_kib(pid):
    """Memory that is this process's own: its share of anonymous pages, and
    what it has changed of files."""
    sums = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Pss_Anon", "Private_Dirty", "Anonymous"):
            sums[name] = sums.get(name, 0) + int(rest.split()[0])
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    for line in rollup.splitlines():
        if line.startswith("Pss_Anon:"):
            sums["Pss_Anon"] = int(line.split()[1])
    # Private_Dirty holds anonymous pages too, which are counted already.
    return sums["Pss_Anon"] + max(0, sums["Private_Dirty"] - sums["Anonymous"])


class Series:
    """The same figure of several rounds."""

    def __init__(self, values):
        self.values = [value for value in values if value is not None]

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

    def as_json(self):
        return {"median": self.median, "min": min(self.values, default=None),
                "max": max(self.values, default=None), "values": self.values}


class Alone:
    """How much of a core others used while something was measured.
    ${mine}: the processes that belong to the measurement."""

    def __init__(self, core, mine):
        self.core = core
        self.mine = list(mine)
        self.began = time.monotonic()
        self.busy_s = core_busy_s(core)
        self.mine_s = self._mine()

    def _mine(self):
        total = 0.0
        for pid in self.mine:
            try:
                total += tree_cpu_s(pid)
            except OSError:
                continue
        return total

    def others(self):
        took = time.monotonic() - self.began
        used = core_busy_s(self.core) - self.busy_s - (self._mine() - self.mine_s)
        return max(0.0, round(used / took, 3))
