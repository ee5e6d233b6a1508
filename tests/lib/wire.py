"""HTTP/1.1 by hand: an asyncio client that is fast enough for tens of
thousands of requests, and raw sockets that may send anything."""

import asyncio
import json
import socket
import time


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # names in lower case
        self.body = body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


def parse_head(head):
    """Status and headers of an answer's head, its blank line included."""
    lines = head.decode("latin-1").split("\r\n")
    version, status = lines[0].split(" ", 2)[:2]
    if version != "HTTP/1.1":
        raise ValueError(f"not an HTTP/1.1 answer: {lines[0]!r}")
    headers = {}
    for line in lines[1:]:
        if line:
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
    return int(status), headers


def build(method, path, headers=(), body=None):
    lines = [f"{method} {path} HTTP/1.1", "host: synq"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    if body is not None:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


class Connection:
    """One kept-alive connection, opened again when it was lost.  A request
    whose fate is unknown raises OSError: repeating it is the caller's choice."""

    def __init__(self, port, key):
        self.port = port
        self.key = key
        self.reader = self.writer = None

    async def request(self, method, path, body=None, headers=(), limit_s=60):
        try:
            return await asyncio.wait_for(
                self._request(method, path, body, headers), limit_s)
        except (asyncio.IncompleteReadError, EOFError) as error:
            self.close()
            raise ConnectionResetError("closed before the answer") from error
        except BaseException:
            self.close()
            raise

    async def _request(self, method, path, body, headers):
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", self.port)
        self.writer.write(build(
            method, path, {"authorization": f"Bearer {self.key}", **dict(headers)}, body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        status, fields = parse_head(head)
        content = await self.reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, fields, content)

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Raw:
    """A blocking socket that sends bytes as given and reads answers."""

    def __init__(self, port, limit_s=20):
        self.socket = socket.create_connection(("127.0.0.1", port), limit_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """Send what can be sent; the other side may refuse to read on."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def _more(self):
        data = self.socket.recv(65536)
        self.rest += data
        return bool(data)

    def answer(self, skip_interim=True):
        """The next answer, None at the end of the connection."""
        while True:
            while b"\r\n\r\n" not in self.rest:
                if not self._more():
                    assert self.rest == b"", f"torn answer: {self.rest!r}"
                    return None
            head, self.rest = self.rest.split(b"\r\n\r\n", 1)
            status, headers = parse_head(head + b"\r\n\r\n")
            if status >= 200:
                break
            if not skip_interim:
                return Answer(status, headers, b"")
        wanted = int(headers["content-length"])
        while len(self.rest) < wanted:
            assert self._more(), "torn body"
        body, self.rest = self.rest[:wanted], self.rest[wanted:]
        return Answer(status, headers, body)

    def is_closed(self, within_s=5):
        """Whether the other side has closed, or does so in time."""
        until = time.monotonic() + within_s
        while True:
            left = until - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                if not self._more():
                    return True
            except TimeoutError:
                return False
            except ConnectionError:
                return True
