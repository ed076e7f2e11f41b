"""A server for records, in a thread of its own, that answers as it is told: well, badly, or not at all."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Takes the next of `answers` for each request, and 200 when there are no more.

    An answer is a status, a status with headers, or a word: `hang` (until the test ends), `drop` (the connection is
    closed without an answer), `garbage` (what is no HTTP), `flood` (a body without end).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []
        self.released = threading.Event()
        self._serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self._serving.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.shutdown()
        self._serving.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if isinstance(answer, str):
            self.close_connection = True
            return getattr(self, answer)()
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return self.tell(status, {"content-length": "0", **headers})

    def tell(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def hang(self):
        self.server.released.wait()

    def drop(self):
        pass

    def garbage(self):
        self.wfile.write(b"\x00\xff\r\n\r\n")

    def flood(self):
        self.tell(200, {"connection": "close"})
        try:
            while not self.server.released.is_set():
                self.wfile.write(b"x" * 65_536)
        except OSError:
            pass

    def log_message(self, *_):
        pass
