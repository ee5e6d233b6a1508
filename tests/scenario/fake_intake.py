"""A small stand-in for synq-intake whose misbehaviour tests choose."""

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "synq_test_" + "k" * 66


class Intake:
    """What the server has seen; tests replace on_post and on_poll.

    Both are called with the number of the call (from 1) and what it is about,
    and return None (behave), "drop" (close the connection before anything is
    done), "cut" (do it, then close without an answer), or a tuple of status,
    error code and headers.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.jobs = {}  # id => the submitted envelope
        self.keys = {}  # idempotency key => (id, body bytes)
        self.posts = []  # idempotency keys, every call
        self.polls = []  # job ids, every call
        self.on_post = lambda number, key: None
        self.on_poll = lambda number, job: None
        self.answer = lambda job: (200, {"echo": job["body"]})

    def accept(self, key, body):
        with self.lock:
            if key in self.keys:
                known, first = self.keys[key]
                return known if first == body else None
            job_id = f"job_{len(self.jobs):040d}"
            self.jobs[job_id] = json.loads(body)
            self.keys[key] = (job_id, body)
            return job_id


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def send(self, status, value, headers=()):
        # An odd form on purpose: results must be put on one line.
        body = json.dumps(value, indent=1).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", "req_fake")
        for name, text in headers:
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code, headers=()):
        error = {"message": f"made up: {code}", "type": "t", "param": None, "code": code}
        self.send(status, {"error": error}, headers)

    def cut(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def misbehave(self, what):
        if what in ("drop", "cut"):
            self.cut()
        else:
            self.refuse(*what)

    def may_come_in(self):
        if self.headers.get("Authorization") == f"Bearer {KEY}":
            return True
        self.refuse(401, "invalid_api_key")
        return False

    def do_POST(self):
        intake = self.server.intake
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers.get("Idempotency-Key")
        with intake.lock:
            intake.posts.append(key)
            number = len(intake.posts)
        if not self.may_come_in():
            return
        what = intake.on_post(number, key)
        if what is not None and what != "cut":
            self.misbehave(what)
            return
        job_id = intake.accept(key, body)
        if what == "cut":
            self.cut()
        elif job_id is None:
            self.refuse(422, "idempotency_key_reused")
        else:
            self.send(202, {"id": job_id, "object": "job", "status": "queued"})

    def do_GET(self):
        intake = self.server.intake
        job_id = self.path.split("/")[3].split("?")[0]
        with intake.lock:
            intake.polls.append(job_id)
            number = len(intake.polls)
            job = intake.jobs.get(job_id)
        if not self.may_come_in():
            return
        what = intake.on_poll(number, job_id)
        if what is not None:
            self.misbehave(what)
        elif job is None:
            self.refuse(404, "job_not_found")
        elif "/result" in self.path:
            status, value = intake.answer(job)
            if status == 202:
                self.send(202, {"id": job_id, "status": "queued"})
            else:
                self.send(status, value, [("x-synq-job-id", job_id)])
        else:
            self.send(200, {"id": job_id, "status": "queued", "model": "m"})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def running():
    """A server on a port of its own; gives its Intake, whose url is set."""
    server = Server(("127.0.0.1", 0), Handler)
    server.intake = Intake()
    server.intake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.intake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
