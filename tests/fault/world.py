"""A System whose programs can be spoiled while they run: every connection of
theirs goes through the proxy, and the library of interpose.c stands in front
of their C library.  The servers know nothing of it: connect() is led astray
inside the programs, so that Kafka may tell its own address."""

import json
import mmap
import os
import shutil
import struct
import subprocess
import threading

from stub import ROOT, free_port
from system import System

TOOLS = ROOT / "build" / "fault"

# As in switches.h.
HEAD = struct.Struct("<Q")
PROGRAM = struct.Struct("<32sqII" + "HH" * 8)
MAGIC = 0x31746C756166
PROGRAMS = 32

# The most that a plan scales to.
MOST = {"intake": 3, "dispatcher": 4, "recorder": 3}
SERVERS = ("kafka", "postgresql", "redis")


# The servers' and the intakes' ports are kept while they are down; above them
# everybody takes what is free at the moment.
KEPT_PORTS = range(20000, 26000)
HEALTH_PORTS = range(26000, 32000)


def pick_port(among):
    while True:
        port = free_port()
        if port in among:
            return port


def distinct_ports(count):
    ports = set()
    while len(ports) < count:
        ports.add(pick_port(KEPT_PORTS))
    return list(ports)


class Switches:
    """The file that the programs' library looks at."""

    def __init__(self, path, names):
        self.names = list(names)
        self.state = {name: {"step_us": 0, "full": 0, "routes": {}} for name in self.names}
        size = HEAD.size + PROGRAMS * PROGRAM.size
        with open(path, "wb") as file:
            file.write(HEAD.pack(MAGIC).ljust(size, b"\0"))
        os.chmod(path, 0o644)
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), size)
        for name in self.names:
            self._write(name)

    def _write(self, name):
        state = self.state[name]
        routes = [port for pair in state["routes"].items() for port in pair]
        at = HEAD.size + self.names.index(name) * PROGRAM.size
        self.map[at:at + PROGRAM.size] = PROGRAM.pack(
            name.encode(), state["step_us"], state["full"], 0,
            *routes, *[0] * (16 - len(routes)))

    def route(self, name, port, to_port):
        self.state[name]["routes"][port] = to_port
        self._write(name)

    def step_clock(self, name, seconds):
        self.state[name]["step_us"] = int(seconds * 1_000_000)
        self._write(name)

    def fill_disk(self, name, is_full):
        self.state[name]["full"] = int(is_full)
        self._write(name)

    def close(self):
        self.map.close()
        self.file.close()


class Proxy:
    """proxy.c as a child; links have names, faults are its commands."""

    def __init__(self):
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [str(TOOLS / "proxy")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def command(self, *words):
        with self.lock:
            self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"proxy: {words}: {answer or 'it has ended'}")

    def link(self, name, to_port, port=None):
        port = port or pick_port(HEALTH_PORTS)
        self.command("link", name, port, to_port)
        return port

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class World(System):
    """Links are named PROGRAM>SERVER, DISPATCHER>stub and client>INTAKE."""

    def prepare(self):
        self.proxy = Proxy()
        self.links = []
        self.client_ports = {}  # of the intakes, as clients reach them
        names = [f"{program}-{number}" for program, most in MOST.items()
                 for number in range(1, most + 1)]
        # Another account must be able to load it.
        library = self.folder / "interpose.so"
        shutil.copy(TOOLS / "interpose.so", library)
        library.chmod(0o755)
        switches = self.folder / "switches"
        self.switches = Switches(switches, names)
        self.variables = {"LD_PRELOAD": str(library), "SYNQ_FAULT_SWITCHES": str(switches)}
        self._choose_ports(names)
        for name in names:
            for server in SERVERS:
                self._lead(name, server, self.server_ports[server])
            if name.startswith("intake"):
                self.client_ports[name] = self._link(
                    f"client>{name}", self.server_ports[name])

    def _choose_ports(self, names):
        """As synq up would have chosen them at an earlier start."""
        wanted = [*SERVERS, "kafka-controller"] + [
            name for name in names if name.startswith("intake")]
        self.server_ports = dict(zip(wanted, distinct_ports(len(wanted))))
        run = self.dir / "run"
        run.mkdir(mode=0o755, parents=True)
        (run / "ports.json").write_text(json.dumps(self.server_ports) + "\n")

    def _link(self, name, port):
        self.links.append(name)
        return self.proxy.link(name, port)

    def _lead(self, name, server, port):
        self.switches.route(name, port, self._link(f"{name}>{server}", port))

    def _start(self):
        super()._start()
        for number in range(1, MOST["dispatcher"] + 1):
            self._lead(f"dispatcher-{number}", "stub", self.stub.port)

        self._let_the_broker_date("synq.results")

    def _let_the_broker_date(self, topic):
        """Its clock is the stub's: what stood on the log when a call arrived
        can then be told."""
        subprocess.run(
            ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             f"-Dlog4j2.configurationFile={ROOT}/compose/kafka/log4j2.properties",
             "-cp", f"{ROOT}/build/kafka/lib/*", "kafka.admin.ConfigCommand",
             "--bootstrap-server", self.environment["SYNQ_KAFKA"], "--entity-type", "topics",
             "--entity-name", topic, "--alter",
             "--add-config", "message.timestamp.type=LogAppendTime"],
            check=True, timeout=120, stdout=subprocess.DEVNULL)

    def log(self):
        """What the topic of results holds, in its order."""
        done = subprocess.run([str(TOOLS / "results"), self.environment["SYNQ_KAFKA"]],
                              check=True, timeout=180, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def stop(self):
        try:
            # What is stopped or deaf would not hear that it is over.
            for link in self.links:
                self.proxy.command("clear", link)
            super().stop()
        finally:
            self.proxy.stop()
            self.switches.close()

    def _keep_or_remove(self):
        if not self.failed:
            shutil.rmtree(self.folder, ignore_errors=True)
