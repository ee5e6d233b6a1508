"""Starting and stopping an installation, and what is said when it cannot be.

Real servers, one installation for most of it: the tests at the top share it in
their order, those below have folders of their own.
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYNQ = ROOT / "build" / "synq"
SERVERS = ["kafka", "postgresql", "redis"]
PROGRAMS = ["intake-1", "dispatcher-1", "recorder-1"]


class Installation:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="synq-up-"))
        # The servers may run under another account.
        self.folder.chmod(0o755)
        self.dir = self.folder / "var"

    def start(self, *words, env=None):
        return subprocess.Popen(
            [str(SYNQ), "--dir", str(self.dir), *words],
            env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words, env=None, limit_s=150):
        child = self.start(*words, env=env)
        out, err = child.communicate(timeout=limit_s)
        return subprocess.CompletedProcess(words, child.returncode, out, err)

    def up(self, *words, **options):
        done = self.run("up", *words, **options)
        assert done.returncode == 0, done.stderr
        return done

    def refused(self, *words, code=1, **options):
        """What `up` says when it fails."""
        done = self.run("up", *words, **options)
        assert done.returncode == code, done.stderr
        return done.stderr

    def rows(self):
        done = self.run("status", "-o", "json")
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    def pids(self):
        return {name: row["pid"] for name, row in self.rows().items()}

    def supervisor(self):
        return int((self.dir / "run" / "lock").read_text())

    def wait(self, what, question, limit_s=60):
        until = time.monotonic() + limit_s
        while not question():
            assert time.monotonic() < until, f"after {limit_s} s still not: {what}"
            time.sleep(0.05)

    def processes(self):
        """Every process that has this folder on its command line."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in words:
                found.append(f"{entry.name} {words[:120]!r}")
        return found

    def remove(self):
        try:
            if (self.dir / "run").exists():
                done = self.run("down")
                assert done.returncode == 0, done.stderr
            self.wait("no process left", lambda: not self.processes(), 20)
        finally:
            note = self.dir / "run" / "data"
            data = note.read_text().strip() if note.exists() else ""
            if data.startswith("/var/lib/synq/"):
                shutil.rmtree(data, ignore_errors=True)
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared():
    installation = Installation()
    try:
        yield installation
    finally:
        installation.remove()


@pytest.fixture
def fresh():
    installation = Installation()
    try:
        yield installation
    finally:
        installation.remove()


def environment_of(installation):
    text = installation.run("status", "-o", "env").stdout
    return dict(shlex.split(line)[1].split("=", 1) for line in text.splitlines())


def is_ready(installation, name, but_not=None):
    row = installation.rows().get(name)
    return row is not None and row["health"] == "ready" and row["pid"] != but_not


# ---- one installation, in this order ---------------------------------------


def test_up_starts_everything(shared):
    shared.up()

    rows = shared.rows()
    assert list(rows) == SERVERS + PROGRAMS
    for row in rows.values():
        assert row["health"] == "ready", row
        assert row["restarts"] == 0
        assert row["memory_bytes"] > 500_000, row
        os.kill(row["pid"], 0)


def test_status_gives_addresses_to_a_shell(shared):
    env = environment_of(shared)

    port = shared.rows()["intake-1"]["port"]
    assert env["SYNQ_URL"] == f"http://127.0.0.1:{port}"
    assert re.fullmatch(r"127\.0\.0\.1:2[0-9]{4}", env["SYNQ_KAFKA"])
    assert re.fullmatch(r"redis://:[0-9a-f]{64}@127\.0\.0\.1:2[0-9]{4}",
                        env["SYNQ_REDIS"])
    assert "password=" in env["SYNQ_PG"]
    assert env["SYNQ_KEY"].startswith("synq_")


def test_up_keeps_secrets_private(shared):
    secrets = shared.dir / "secrets"

    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    names = {path.name for path in secrets.iterdir()}
    assert names >= {"pepper.1", "kek.1", "idkey.1", "redis.password", "pg.synq_app",
                     "pg.synq_owner", "pg.synq_admin", "pg.synq_recorder",
                     "pg.synq_dispatcher"}
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    password = (secrets / "redis.password").read_text()
    for row in shared.rows().values():
        line = pathlib.Path(f"/proc/{row['pid']}/cmdline").read_bytes()
        assert password.encode() not in line


def test_servers_do_not_run_as_root(shared):
    for name in SERVERS:
        pid = shared.rows()[name]["pid"]
        assert pathlib.Path(f"/proc/{pid}").stat().st_uid != 0, name


def test_doctor_finds_nothing(shared):
    done = shared.run("doctor")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_second_up_finds_the_first(shared):
    before = shared.pids()

    done = shared.up()

    assert "it runs already" in done.stderr
    assert shared.pids() == before


@pytest.mark.parametrize("name", SERVERS + PROGRAMS)
def test_what_is_killed_is_started_again(shared, name):
    before = shared.rows()[name]

    os.kill(before["pid"], signal.SIGKILL)
    shared.wait(f"{name} is back", lambda: is_ready(shared, name, before["pid"]))

    after = shared.rows()[name]
    times = after["restarts"] - before["restarts"]
    # While its orphans have not noticed that they are, PostgreSQL refuses to
    # start on their shared memory.
    assert times == 1 or name == "postgresql" and times > 1
    assert after["port"] == before["port"]
    for other in SERVERS + PROGRAMS:
        shared.wait(f"{other} is ready", lambda: is_ready(shared, other))


def test_scale_adds_and_removes(shared):
    assert shared.run("scale", "dispatcher", "2").returncode == 0
    assert is_ready(shared, "dispatcher-2")
    assert shared.run("scale", "intake", "2").returncode == 0
    env = environment_of(shared)
    assert env["SYNQ_URL_2"] != env["SYNQ_URL"]

    assert shared.run("scale", "dispatcher", "1").returncode == 0
    assert shared.run("scale", "intake", "1").returncode == 0

    assert list(shared.rows()) == SERVERS + PROGRAMS
    assert "SYNQ_URL_2" not in environment_of(shared)


def test_scale_and_restart_refuse_what_is_not_there(shared):
    assert shared.run("scale", "dispatchers", "2").returncode == 5
    assert shared.run("scale", "dispatcher", "many").returncode == 2
    assert shared.run("scale", "dispatcher", "900").returncode == 2
    assert shared.run("restart", "nobody").returncode == 5


def test_restart_gives_a_new_process(shared):
    before = shared.pids()

    for name in ("redis", "recorder-1"):
        assert shared.run("restart", name).returncode == 0
        assert is_ready(shared, name, before[name])
        assert shared.rows()[name]["restarts"] == 1


def test_all_end_with_their_supervisor(shared):
    pids = shared.pids()
    os.kill(shared.supervisor(), signal.SIGKILL)

    def gone():
        return not any(is_alive(pid) for pid in pids.values())

    def is_alive(pid):
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        return text.rsplit(")", 1)[1].split()[0] not in "ZX"

    shared.wait("everything has ended", gone)
    done = shared.run("status")
    assert done.returncode == 6
    assert "start it with: synq up" in done.stderr


def test_up_after_a_crash_keeps_ports_and_data(shared):
    ports = json.loads((shared.dir / "run" / "ports.json").read_text())

    shared.up()

    assert json.loads((shared.dir / "run" / "ports.json").read_text()) == ports
    for name in SERVERS:
        assert shared.rows()[name]["port"] == ports[name]


def test_down_stops_everything(shared):
    pids = shared.pids()

    done = shared.run("down")

    assert done.returncode == 0, done.stderr
    for pid in pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert shared.processes() == []


def test_down_twice_is_fine(shared):
    done = shared.run("down")

    assert done.returncode == 0
    assert "nothing runs" in done.stderr


def test_up_says_who_has_the_port(shared):
    ports = json.loads((shared.dir / "run" / "ports.json").read_text())
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports["postgresql"]))
        other.listen()

        text = shared.refused()

    assert (f"port {ports['postgresql']}, kept for postgresql, is in use by another "
            f"program (pid {os.getpid()}, ") in text
    assert f"rm {shared.dir}/run/ports.json" in text


def test_stale_files_are_no_hindrance(shared):
    run = shared.dir / "run"
    (run / "lock").write_text(f"{os.getpid()}\n")
    (run / "intake-1.json").write_text('{"pid":1,"health_port":1,"port":1}\n')
    (run / "children.json").write_text(
        f'[{{"name":"kafka","pid":{os.getpid()},"ticks":1}}]\n')

    shared.up()

    assert is_ready(shared, "intake-1")


def test_two_at_once_give_one(shared):
    shared.run("down")

    children = [shared.start("up") for _ in range(3)]
    ends = [(child.communicate(timeout=150), child.returncode) for child in children]

    assert [code for _, code in ends] == [0, 0, 0], ends
    supervisors = [line for line in shared.processes() if b"up" in line.encode()
                   and "--dir" in line and "synq-" not in line.split("--dir")[0]]
    assert len(supervisors) == 1, supervisors


# ---- each with a folder of its own -----------------------------------------


def test_up_without_java_says_how_to_get_it(fresh):
    text = fresh.refused(env={"PATH": "/nonexistent", "JAVA_HOME": "/nonexistent"})

    assert "Java is missing" in text
    assert "apt-get install openjdk-17-jre-headless" in text
    assert "kafka.brokers" in text


def test_up_without_jars_says_how_to_get_them(fresh):
    text = fresh.refused(env={"SYNQ_JARS": str(fresh.folder)})

    assert f"Kafka's jars are not in {fresh.folder}" in text
    assert "compose/install run" in text


def test_up_shows_all_mistakes_of_the_configuration(fresh):
    fresh.dir.mkdir()
    (fresh.dir / "synq.yaml").write_text("kafka:\n  partitions: 0\n  brokrs: a:1\n")

    text = fresh.refused(code=3)

    assert "synq.yaml:2:15: kafka.partitions: \"0\" is not a whole number" in text
    assert "synq.yaml:3:3: there is no option kafka.brokrs; did you mean" in text


def test_up_with_an_unreachable_server_says_which(fresh):
    text = fresh.refused(
        "-X", "pg.url=host=127.0.0.1 port=1 dbname=synq",
        "-X", "kafka.brokers=127.0.0.1:1", "-X", "redis.address=127.0.0.1:1")

    assert "the database" in text
    assert not (fresh.dir / "data" / "kafka").exists()


def test_up_on_a_full_disk_says_so(fresh):
    disk = fresh.folder / "disk"
    disk.mkdir()
    script = (f"mount -t tmpfs -o size=20m tmpfs {disk} && "
              f"{SYNQ} --dir {disk}/var up; echo code=$?")
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script],
                          capture_output=True, text=True, timeout=60)
    if "code=" not in done.stdout or "mount" in done.stderr:
        pytest.skip("no file system can be mounted here")

    assert "code=1" in done.stdout
    assert "is full: " in done.stderr
    assert "make room there" in done.stderr


def test_up_shows_the_log_of_what_does_not_start(fresh):
    cluster = fresh.dir / "data" / "pg" / "cluster"
    cluster.mkdir(parents=True)
    for folder in (fresh.dir, fresh.dir / "data"):
        folder.chmod(0o711)

    text = fresh.refused()

    assert re.search(r"postgresql ended with exit code \d+ before it was ready; "
                     r"the end of \S+/log/postgresql.log:\n    .*postgres", text)
    assert fresh.processes() == []


@pytest.mark.parametrize("line", ["", "redis .*starting", "postgresql .*ready",
                                  "kafka .*starting", "recorder-1 .*starting"])
def test_ctrl_c_stops_what_was_started(fresh, line):
    child = fresh.start("up")
    if line:
        # Not after a time: on a quick machine all of it is up by then.
        assert any(re.search(line, said) for said in iter(child.stderr.readline, ""))
    else:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)

    assert child.returncode in (130, -signal.SIGINT), err
    fresh.wait("no process left", lambda: not fresh.processes(), 10)


def test_up_goes_on_where_ctrl_c_was_pressed(fresh):
    child = fresh.start("up")
    time.sleep(1.0)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)

    fresh.up()

    assert all(row["health"] == "ready" for row in fresh.rows().values())


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes accounts")
def test_a_folder_that_servers_cannot_reach_has_its_data_elsewhere(fresh):
    fresh.folder.chmod(0o700)

    fresh.up()

    data = (fresh.dir / "run" / "data").read_text().strip()
    assert data.startswith("/var/lib/synq/")
    assert (pathlib.Path(data) / "pg" / "cluster").is_dir()


def test_status_of_nothing_says_how_to_start(fresh):
    done = fresh.run("status")

    assert done.returncode == 6
    assert "start it with: synq up" in done.stderr
    assert not fresh.dir.exists()


def test_words_that_are_wrong_get_a_suggestion(fresh):
    done = fresh.run("statsu")
    assert done.returncode == 2
    assert 'did you mean "synq status"?' in done.stderr

    done = fresh.run("status", "--outptu", "json")
    assert done.returncode == 2
    assert "did you mean --output?" in done.stderr
