"""What the harness spoils a system with does what it is told."""

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from stub import free_port
from world import TOOLS, Proxy, Switches


# ---- the library ----

@pytest.fixture
def switches(tmp_path):
    one = Switches(tmp_path / "switches", ["dispatcher-1", "dispatcher-2"])
    yield one
    one.close()


class Child:
    """A Python that runs lines in the library, under a program's name."""

    def __init__(self, tmp_path, name):
        loop = ("import sys, os, time, socket, threading\n"
                "for line in sys.stdin:\n"
                "    try: print(repr(eval(line)), flush=True)\n"
                "    except OSError as error: print(repr(error.errno), flush=True)\n")
        self.process = subprocess.Popen(
            [sys.executable, "-c", loop, "--name", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "LD_PRELOAD": str(TOOLS / "interpose.so"),
                 "SYNQ_FAULT_SWITCHES": str(tmp_path / "switches")})

    def eval(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return eval(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


WRITE = "os.write(os.open('file', os.O_CREAT | os.O_WRONLY), b'x')"
SYNC = "os.fsync(os.open('file', os.O_CREAT | os.O_WRONLY))"


def test_a_full_disk_refuses_files_and_only_files(tmp_path, switches):
    with Child(tmp_path, "dispatcher-1") as child:
        assert child.eval(WRITE) == 1
        switches.fill_disk("dispatcher-1", True)
        assert child.eval(WRITE) == 28
        assert child.eval(SYNC) == 28
        assert child.eval("os.write(os.pipe()[1], b'x')") == 1
        switches.fill_disk("dispatcher-1", False)
        assert child.eval(WRITE) == 1


def test_a_step_moves_the_wall_clock_and_no_other(tmp_path, switches):
    with Child(tmp_path, "dispatcher-1") as child:
        for seconds in (3600, -300):
            switches.step_clock("dispatcher-1", seconds)
            assert abs(child.eval("time.time()") - time.time() - seconds) < 30
            assert abs(child.eval("time.monotonic()") - time.monotonic()) < 30


@pytest.mark.parametrize("kind", ["pthread", "thrd"])
def test_a_step_does_not_lengthen_a_wait(tmp_path, switches, kind):
    """Python waits for locks by the monotonic clock: C says it better."""
    source = tmp_path / "wait.c"
    source.write_text("""
        #include <pthread.h>
        #include <threads.h>
        #include <time.h>
        static int pthread_waits(const struct timespec *until)
        {
            pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
            pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
            pthread_mutex_lock(&mutex);
            return pthread_cond_timedwait(&cond, &mutex, until) == 0;
        }
        static int thrd_waits(const struct timespec *until)
        {
            mtx_t mutex;
            cnd_t cond;
            mtx_init(&mutex, mtx_plain);
            cnd_init(&cond);
            mtx_lock(&mutex);
            return cnd_timedwait(&cond, &mutex, until) == thrd_success;
        }
        int main(void)
        {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += 1;
            while (KIND_waits(&until))
                ;
            return 0;
        }""".replace("KIND", kind))
    subprocess.run(["cc", "-pthread", "-o", str(tmp_path / "wait"), str(source)], check=True)
    for seconds in (600, -600):
        switches.step_clock("dispatcher-1", seconds)
        began = time.monotonic()
        subprocess.run(
            [str(tmp_path / "wait"), "--name", "dispatcher-1"], check=True, timeout=60,
            env={**os.environ, "LD_PRELOAD": str(TOOLS / "interpose.so"),
                 "SYNQ_FAULT_SWITCHES": str(tmp_path / "switches")})
        assert 0.9 < time.monotonic() - began < 30


def test_a_connection_is_led_astray(tmp_path, switches):
    with socket.create_server(("127.0.0.1", 0)) as there:
        switches.route("dispatcher-1", 9, there.getsockname()[1])
        with Child(tmp_path, "dispatcher-1") as child:
            assert child.eval("socket.create_connection(('127.0.0.1', 9)).getpeername()[1]") \
                == there.getsockname()[1]


def test_others_are_left_alone(tmp_path, switches):
    switches.fill_disk("dispatcher-1", True)
    switches.step_clock("dispatcher-1", 3600)
    for name in ("dispatcher-2", "nobody"):
        with Child(tmp_path, name) as child:
            assert child.eval(WRITE) == 1
            assert abs(child.eval("time.time()") - time.time()) < 30


# ---- the proxy ----

class Echo:
    """Sends back what it gets; counts connections, notes their ends."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                while data := client.recv(65536):
                    client.sendall(data)
                self.ended.set()
                # The other direction goes on.
                time.sleep(0.2)
                client.sendall(b"bye")
            except OSError:
                pass

    def close(self):
        self.server.close()


@pytest.fixture
def echo():
    one = Echo()
    yield one
    one.close()


@pytest.fixture
def proxy():
    one = Proxy()
    yield one
    one.stop()


@pytest.fixture
def client(proxy, echo):
    port = proxy.link("link", echo.port)
    with socket.create_connection(("127.0.0.1", port), 20) as one:
        assert ask(one, b"hello") == b"hello"
        yield one


def ask(client, data):
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        more = client.recv(65536)
        assert more, "it has ended"
        got += more
    return got


def test_much_passes_whole(client):
    data = os.urandom(3_000_000)
    sender = threading.Thread(target=client.sendall, args=[data])
    sender.start()
    got = b""
    while len(got) < len(data):
        got += client.recv(1 << 20)
    sender.join()
    assert got == data


def test_latency_delays_each_way(proxy, client):
    proxy.command("latency", "link", 150)
    began = time.monotonic()
    assert ask(client, b"late") == b"late"
    assert time.monotonic() - began >= 0.3
    proxy.command("clear", "link")


def test_slices_change_nothing(proxy, client):
    proxy.command("slice", "link", 1)
    data = os.urandom(5000)
    assert ask(client, data) == data


def test_a_black_hole_swallows_nothing_for_ever(proxy, client):
    proxy.command("blackhole", "link")
    client.sendall(b"later")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(10)
    proxy.command("clear", "link")
    client.settimeout(20)
    assert client.recv(10) == b"later"


def test_a_cut_resets_all_and_whoever_comes(proxy, client):
    there = client.getpeername()
    proxy.command("cut", "link")
    with pytest.raises(ConnectionError):
        client.recv(10)
        client.sendall(b"x")
        client.recv(10)
    with pytest.raises(ConnectionError):
        with socket.create_connection(there, 20) as again:
            again.sendall(b"x")
            if not again.recv(10):
                raise ConnectionResetError
    proxy.command("clear", "link")
    with socket.create_connection(there, 20) as again:
        assert ask(again, b"back") == b"back"


def test_the_client_half_ends(proxy, client, echo):
    proxy.command("half", "link", "up")
    assert echo.ended.wait(20)
    assert client.recv(10) == b"bye", "the other direction goes on"


def test_the_server_half_ends(proxy, client, echo):
    proxy.command("half", "link", "down")
    assert client.recv(10) == b""
    client.shutdown(socket.SHUT_WR)
    assert echo.ended.wait(20), "the other direction goes on"


def test_a_link_to_nowhere_is_reset(proxy):
    port = proxy.link("nowhere", free_port())
    with pytest.raises(ConnectionError):
        with socket.create_connection(("127.0.0.1", port), 20) as one:
            one.sendall(b"x")
            if not one.recv(10):
                raise ConnectionResetError


def test_wrong_commands_are_refused(proxy, echo):
    proxy.link("one", echo.port)
    for words in (("what", "one"), ("cut", "two"), ("cut",),
                  ("link", "one", free_port(), echo.port)):
        with pytest.raises(RuntimeError):
            proxy.command(*words)
