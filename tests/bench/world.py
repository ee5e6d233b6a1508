"""What a row measures in: an installation with its processes on the cores that
the row says, many organizations, a load generator, and nginx beside it."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

import measure
from stub import Stub, free_port
from system import ROOT, System, wait_for

PROGRAMS = ("intake", "dispatcher", "recorder")
SERVERS = ("kafka", "postgresql", "redis")
ORGANIZATIONS = 64
# What System sets for other tests goes back to the default.
DEFAULTS = ("dispatcher.backoff_first_ms=500", "dispatcher.backoff_max_ms=30000")
# A broker that runs for long: its Java compiles what is hot as well as it can.
BROKER = "kafka.java_options=-XX:TieredStopAtLevel=4 -Xmx512m"
# One core for what is measured, the other for what is not.
MEASURED, OTHER = 0, 1


class Load:
    """The load generator on its core; its report is a dictionary."""

    def __init__(self, ports, keys, *, core=OTHER, log=None, **options):
        words = ["taskset", "-c", str(core), str(ROOT / "build/bench/load")]
        for port in ports:
            words += ["--port", str(port)]
        words += ["--keys", str(keys)]
        if log is not None:
            words += ["--log", str(log)]
        for pid in options.pop("pids", ()):
            words += ["--pid", str(pid)]
        for name, value in options.items():
            words += ["--" + name, str(value)]
        self.pids = None
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)

    def wait(self, limit_s=600):
        out, _ = self.process.communicate(timeout=limit_s)
        if self.process.returncode != 0:
            raise RuntimeError(f"load ended with {self.process.returncode}")
        return json.loads(out)

    @property
    def pid(self):
        return self.process.pid


class Nginx:
    """One worker that answers 202 to everything."""

    ANSWER = '{"id":"job_0000000000000000000000000000000000000000","object":"job"}'

    def __init__(self, core=MEASURED):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="synq-bench-nginx-"))
        self.port = free_port()
        temporary = "\n".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in
                              ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (self.folder / "nginx.conf").write_text(f"""
worker_processes 1; daemon off; pid {self.folder}/pid; error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off; {temporary}
    keepalive_requests 1000000000; client_header_buffer_size 8k;
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        default_type application/json;
        location / {{ return 202 '{self.ANSWER}'; }}
    }}
}}
""")
        nginx = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), nginx, "-e", "stderr", "-c",
             str(self.folder / "nginx.conf")])
        wait_for("nginx listens", 10, lambda: listens(self.port))
        [self.worker] = wait_for("nginx works", 10,
                                 lambda: measure.tree(self.process.pid)[1:])
        self.keys = self.folder / "keys"
        self.keys.write_text("".join(f"synq_live_{n:016}_{n:049}\n" for n in range(64)))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def listens(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


class World(System):
    """${core}: where everything but the stub starts, beside a broker that runs
    for long; None: on any, with the broker as it comes.  ${models}: the stub's
    plans.  ${settings}: SECTION.NAME=VALUE beyond the defaults."""

    def __init__(self, models=None, settings=(), core=MEASURED):
        before = os.sched_getaffinity(0)
        linger = os.environ.get("LINGER")
        extra = (f"kafka.linger_ms={linger}",) if linger else ()
        if core is not None:
            os.sched_setaffinity(0, {core})
            extra += (BROKER,)
        try:
            super().__init__(models or {"bench": "lat=0"}, (*DEFAULTS, *extra, *settings))
        finally:
            os.sched_setaffinity(0, before)
        measure.pin(self.stub.process.pid, OTHER)
        self.keys = self.folder / "keys"
        self.keys.write_text("")
        try:
            self._make_organizations()
            self._warm()
        except BaseException:
            self.failed = True
            self.stop()
            raise

    def _make_organizations(self):
        names = [f"bench-{n}" for n in range(ORGANIZATIONS)]
        keys = []
        for name in names:
            keys.append(self.organization(name).key)
        self.keys.write_text("".join(key + "\n" for key in keys))

    def _warm(self):
        """Until the intake knows every model and an answer has come back."""
        self.sent = 0
        for name in self.models:
            body = json.dumps({"model": name, "messages": [{"role": "user", "content": "x"}]})
            if self.models[name].startswith("lat=0") or self.models[name].startswith("lat=1,"):
                path, wanted = "/v1/chat/completions", 200
            else:
                path, wanted = "/v1/models/" + name, 200
                body = None

            def question(path=path, body=body, wanted=wanted):
                return self.ask(path, body)[0] == wanted
            wait_for(f"the model {name} answers", 30, question, 0.2)
            self.sent += body is not None

    def ask(self, path, body=None):
        """Status and text of one request with the default key."""
        request = urllib.request.Request(
            self.urls[0] + path, data=body.encode() if body else None,
            headers={"Authorization": f"Bearer {self.default.key}",
                     "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    # ---- processes

    @property
    def supervisor(self):
        return int((self.dir / "run/lock").read_text())

    def pids(self, *names):
        """Pids by name of process; all of a program by its bare name."""
        return [row["pid"] for row in self.processes() if row["pid"] and (
            not names or row["name"] in names or re.sub(r"-\d+$", "", row["name"]) in names)]

    def place(self, core, *names):
        """Move processes to a core, ${names} empty: all of them."""
        for pid in self.pids(*names):
            measure.pin(pid, core)

    def place_new(self, core):
        """Where what is started from now on runs."""
        for thread in measure.threads(self.supervisor):
            os.sched_setaffinity(thread, {core})

    def scale(self, program, count):
        if count == 0:
            self.synq("scale", program, "0", limit_s=90)
            wait_for(f"no {program}", 60, lambda: not self.pids(program))
        else:
            super().scale(program, count)

    def warm(self, bench, core=OTHER):
        """A JVM that has just started runs its code by interpreting it, and
        compiles what is hot beside it, on any core, until that is over; then
        until all is done."""
        [kafka] = self.pids("kafka")
        before = os.sched_getaffinity(kafka)
        measure.pin(kafka, MEASURED, OTHER)
        report = self.load(connections=256, warmup=0, seconds=bench.amount(75, 60),
                           core=core).wait()
        measure.pin(kafka, *before)
        with self.pg() as pg:
            self.sent += report["good_total"]
            wait_for("the warm-up is done", 180, lambda: self.finished(pg) >= self.sent, 0.2)
        settle()

    # ---- figures

    def finished(self, pg):
        """Jobs that have ended, by what PostgreSQL holds of the log."""
        return self.recorded(pg) // 2

    def metrics(self, name):
        """All series of a program, by name with labels."""
        note = json.loads((self.dir / "run" / f"{name}.json").read_text())
        url = f"http://127.0.0.1:{note['health_port']}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {key: float(value) for key, value in
                (line.rsplit(" ", 1) for line in lines if line and line[0] != "#")}

    def produced(self, name, topic):
        """Records that Kafka acknowledged to a program."""
        try:
            series = self.metrics(name)
        except OSError:
            return 0
        return sum(value for key, value in series.items()
                   if key.startswith("synq_kafka_produced_total") and f'"{topic}"' in key)

    def recorded(self, pg, topic="synq.results"):
        """Records of a topic that PostgreSQL knows of; of results, two a job:
        begun and ended, as long as no call fails."""
        row = pg.execute("SELECT sum(next) FROM platform.consumer_offset WHERE topic = %s",
                         [topic]).fetchone()
        return int(row[0] or 0)

    def load(self, **options):
        options.setdefault("model", next(iter(self.models)))
        return Load(self.ports, self.keys, **options)



def linger_ms():
    """One value for every row: the default, unless the caller chose another."""
    sample = (ROOT / "docs/synq.yaml.sample").read_text()
    return os.environ.get("LINGER") or re.search(r"linger_ms: (\d+)", sample).group(1)


def stub_alone(folder, models):
    """A stub of its own, for a reference without anything before it."""
    stub = Stub(folder, models)
    measure.pin(stub.process.pid, OTHER)
    return stub


def settle(pause_s=0.5):
    """What was written goes to the disk now and not into the next round."""
    os.sync()
    time.sleep(pause_s)
