"""A process of the system, as /proc shows it."""

import os
import pathlib
import re


class Process:
    def __init__(self, pid):
        self.pid = pid
        self.proc = pathlib.Path("/proc") / str(pid)
        self.began = self._stat()[19]

    def _stat(self):
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        assert fields[0] not in "ZX", f"process {self.pid} died"
        return fields

    def check_alive(self):
        assert self._stat()[19] == self.began, f"process {self.pid} is another one"

    def descriptors(self):
        return len(list((self.proc / "fd").iterdir()))

    def memory_kib(self):
        text = (self.proc / "smaps_rollup").read_text()
        return int(re.search(r"^Pss_Anon:\s+(\d+)", text, re.M)[1])

    def processor_s(self):
        """Of all its threads, since it began."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
