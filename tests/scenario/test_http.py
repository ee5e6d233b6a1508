"""The vectors of http_vectors.py against a running intake, each whole and byte
by byte.  After every one of them the next good request works, on a connection
of its own and on one that was there before; in the end nothing has died, and
neither memory nor descriptors have grown."""

import email.utils
import secrets
import socket
import threading
import time
import zlib

import pytest

from http_vectors import VECTORS
from proc import Process
from system import wait_for
from wire import Answer, Raw, build, parse_head

# Above this, pieces are larger than a byte: a head has ten seconds.
BYTEWISE_MAX = 4096
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SAFETY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


class Intake(Process):
    def __init__(self, system):
        row = min(system.processes("intake"), key=lambda one: one["name"])
        super().__init__(row["pid"])
        self.port = row["port"]


class Wire(Raw):
    """Reads answers without a body too, and half closes."""

    def head_only(self, bodyless):
        """The next answer of any status; None at the end."""
        while b"\r\n\r\n" not in self.rest:
            if not self._more():
                assert self.rest == b"", f"torn answer: {self.rest!r}"
                return None
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        status, headers = parse_head(head + b"\r\n\r\n")
        wanted = 0 if bodyless or status < 200 else int(headers["content-length"])
        while len(self.rest) < wanted:
            assert self._more(), "torn body"
        body, self.rest = self.rest[:wanted], self.rest[wanted:]
        return Answer(status, headers, body)


@pytest.fixture(scope="module")
def intake(system):
    return Intake(system)


@pytest.fixture(scope="module")
def good(intake, organization):
    """A client that was there before the enemies."""
    with Raw(intake.port) as raw:
        yield raw, build("GET", "/v1/models/fast",
                         {"authorization": f"Bearer {organization.key}"})


@pytest.fixture(scope="module")
def slow(intake, organization):
    """Those that take as long as they are let; they run beside the vectors."""
    with Slow(intake.port, organization.key) as one:
        yield one


def unknown_key():
    """A well-formed key that no cache has seen."""
    public = "".join(secrets.choice(ALPHABET) for _ in range(16))
    secret = "".join(secrets.choice(ALPHABET) for _ in range(43))
    text = f"synq_live_{public}_{secret}"
    crc, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        digits = ALPHABET[crc % 62] + digits
        crc //= 62
    return text + digits


def check_answer(answer, closes):
    headers = answer.headers
    assert email.utils.parsedate_to_datetime(headers["date"])
    assert "server" not in headers
    assert headers["x-request-id"].startswith("req_")
    for name, value in SAFETY.items():
        assert headers[name] == value, name
    assert ("connection" in headers) == closes, headers
    if answer.status == 204:
        assert "content-length" not in headers and "transfer-encoding" not in headers
    if answer.status == 405 or answer.status == 204:
        allow = [one.strip() for one in headers["allow"].split(",")]
        assert "OPTIONS" in allow and ("HEAD" in allow) == ("GET" in allow), allow
    if answer.status == 401:
        assert headers["www-authenticate"] == "Bearer"
    if answer.status < 400 or answer.body == b"":
        return
    assert headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"]) > 5
    assert error["type"] == {401: "authentication_error"}.get(
        answer.status, "server_error" if answer.status >= 500 else "invalid_request_error")


def read_answer(raw, expected, closes, whole):
    """The answer that ${expected} says, checked."""
    bodyless = expected.endswith("-")
    status = int(expected.rstrip("-"))
    answer = raw.head_only(bodyless)
    # Byte by byte a body may be late enough to be asked for.
    while answer is not None and answer.status == 100 and status != 100 and not whole:
        answer = raw.head_only(bodyless)
    assert answer is not None, f"closed instead of {status}"
    assert answer.status == status, answer
    if status != 100:
        check_answer(answer, closes)
    return answer


def send_in_pieces(raw, data, step):
    for at in range(0, len(data), step):
        if not raw.send(data[at:at + step]):
            return


def play(port, vector, key, follower, whole):
    """Send ${vector}, and ${follower} behind it; check what comes back."""
    words = vector.expect.split()
    [end] = [at for at, word in enumerate(words) if word in ("open", "close")]
    expected, closes, param = words[:end], words[end] == "close", words[end + 1:]
    says_so = closes and b"@FIN@" not in vector.raw
    if not closes:
        expected = [*expected, "200"]
    data = vector.raw.replace(b"@KEY@", key.encode()).replace(b"@BADKEY@", unknown_key().encode())
    parts = data.split(b"@WAIT@")
    if b"@FIN@" not in data:
        parts[-1] += follower
    step = 1 if len(data) <= BYTEWISE_MAX else 16
    answers = []

    with Wire(port) as raw:
        for at, part in enumerate(parts):
            part, fin, _ = part.partition(b"@FIN@")
            if at > 0:
                answers.append(read_answer(raw, expected.pop(0), says_so and not expected, whole))
            if part:
                send_in_pieces(raw, part, len(part) if whole else step)
            if fin:
                raw.socket.shutdown(socket.SHUT_WR)
        while expected:
            status = expected.pop(0)
            answers.append(read_answer(raw, status, says_so and not expected, whole))
        if param:
            last = answers[-1 if closes else -2]
            assert last.json()["error"]["param"] == param[0], last
        if closes:
            assert raw.head_only(False) is None, "what followed was taken for a request"


def check_good(intake, good):
    raw, request = good
    raw.send(request)
    answer = raw.answer()
    assert answer is not None and answer.status == 200, answer
    with Raw(intake.port) as fresh:
        fresh.send(request)
        assert fresh.answer().status == 200
    intake.check_alive()


def ids(vector):
    return vector.name


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_whole(intake, good, organization, slow, vector):
    play(intake.port, vector, organization.key, good[1], whole=True)
    check_good(intake, good)


@pytest.fixture(scope="module")
def warm(intake):
    """Memory and descriptors when all of it was seen once."""
    return intake.memory_kib(), intake.descriptors()


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_byte_by_byte(intake, good, organization, warm, vector):
    play(intake.port, vector, organization.key, good[1], whole=False)
    check_good(intake, good)


def test_vectors_leave_nothing_behind(intake, warm):
    memory_kib, descriptors = warm

    wait_for("descriptors are as before", 20, lambda: intake.descriptors() <= descriptors + 2)
    assert intake.memory_kib() <= memory_kib + 2048


# Semantics that need two requests.


HEADED = ["/v1/models", "/v1/models/fast", "/v1/models/none", "/v1/jobs", "/v1/jobs/job_x",
          "/v1/jobs/job_x/result", "/livez", "/readyz", "/metrics", "/v1/nothing"]


@pytest.mark.parametrize("path", HEADED)
def test_head_says_what_get_says(intake, organization, path):
    auth = {"authorization": f"Bearer {organization.key}"}
    with Wire(intake.port) as raw:
        raw.send(build("GET", path, auth))
        got = raw.head_only(False)
        raw.send(build("HEAD", path, auth))
        headed = raw.head_only(True)

    assert headed.status == got.status and headed.body == b""
    assert list(headed.headers) == list(got.headers)
    # Of a request's own, or counted on between the two.
    own = {"date", "x-request-id"} | ({"content-length"} if path == "/metrics" else set())
    for name in set(got.headers) - own:
        assert headed.headers[name] == got.headers[name], name


@pytest.mark.parametrize("path,allowed", [
    ("/v1/jobs", "GET, HEAD, POST, OPTIONS"), ("/v1/models", "GET, HEAD, OPTIONS"),
    ("/v1/chat/completions", "POST, OPTIONS"), ("/v1/jobs/job_x/cancel", "POST, OPTIONS"),
    ("/livez", "GET, HEAD, OPTIONS"), ("*", "GET, HEAD, POST, OPTIONS")])
def test_allow_is_the_same_of_options_and_405(intake, path, allowed):
    with Wire(intake.port) as raw:
        raw.send(build("OPTIONS", path))
        answer = raw.head_only(True)
        assert answer.status == 204 and answer.headers["allow"] == allowed
        if path != "*":
            raw.send(build("DELETE", path))
            answer = raw.head_only(False)
            assert answer.status == 405 and answer.headers["allow"] == allowed


def test_what_would_be_taken_is_said(intake, organization):
    auth = {"authorization": f"Bearer {organization.key}", "content-length": 2}
    with Wire(intake.port) as raw:
        raw.send(build("POST", "/v1/jobs", {**auth, "content-type": "text/plain"}) + b"{}")
        assert raw.head_only(False).headers["accept"] == "application/json"
        raw.send(build("POST", "/v1/jobs", {**auth, "content-encoding": "gzip"}) + b"{}")
        assert raw.head_only(False).headers["accept-encoding"] == "identity"
        raw.send(build("BREW", "/v1/jobs", auth) + b"{}")
        assert raw.head_only(False).headers["x-should-retry"] == "false"


# Those that take their time.


class Slow:
    """Clients in threads, and when and how each was ended."""

    def __init__(self, port, key):
        self.port = port
        self.key = key
        self.ends = {}  # name => (status or None, seconds)
        self.stopped = threading.Event()
        head = f"POST /v1/jobs HTTP/1.1\r\nhost: synq\r\nauthorization: Bearer {key}\r\n".encode()
        self.threads = [threading.Thread(target=self.run, args=row) for row in (
            # name, what is sent at once, what drips then
            ("silent", b"", b""),
            ("head that stops", head, b""),
            ("head that drips", head, b"x: y\r\n"),
            ("body that stops", head + b"content-length: 100\r\n\r\n", b""),
            ("body that drips", head + b"content-length: 1000\r\n\r\n", b"x"),
            ("chunks that drip", head + b"transfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
            ("chunk that drips", head + b"transfer-encoding: chunked\r\n\r\n3e8\r\n", b"x"),
            ("size that stops", head + b"transfer-encoding: chunked\r\n\r\n0", b""),
        )]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def run(self, name, first, drop):
        began = time.monotonic()
        with Wire(self.port, 0.25) as raw:
            raw.send(first)
            while not self.stopped.is_set():
                try:
                    answer = raw.head_only(False)
                except TimeoutError:
                    if drop:
                        raw.send(drop)
                    continue
                except ConnectionError:
                    answer = None
                self.ends[name] = (answer and answer.status, time.monotonic() - began)
                return


def test_deadlines_are_total(slow):
    """Ten seconds for a head, thirty and the time at the least rate for a
    body, however many bytes keep coming; who says nothing is told nothing."""
    wait_for("all slow clients are ended", 60, lambda: len(slow.ends) == len(slow.threads))

    for name, (status, seconds) in slow.ends.items():
        least, most = (9.5, 20) if "head" in name or name == "silent" else (29, 45)
        assert status == (None if name == "silent" else 408), (name, status)
        assert least <= seconds <= most, (name, seconds)
