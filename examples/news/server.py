"""A server for the feeds in `feeds/`, as others have them on the Internet: with ETags, and not always well."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).parent / "feeds"
TYPES = {".rss": "application/rss+xml", ".atom": "application/atom+xml", ".rdf": "application/rdf+xml"}
UNSTEADY, TIMES = "tides.rss", 2
"""A feed that the server fails to give at first, and how often."""


class FeedServer(ThreadingHTTPServer):
    """Listens on loopback. Raises `OSError` where the port is taken."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Answer)
        self.asked: Counter[str] = Counter()

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: FeedServer

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        # Only what is listed is served, so no name leads out of the folder.
        if name not in {path.name for path in FOLDER.iterdir()}:
            return self.send_error(HTTPStatus.NOT_FOUND)
        self.server.asked[name] += 1
        if name == UNSTEADY and self.server.asked[name] <= TIMES:
            return self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        body = (FOLDER / name).read_bytes()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            self.send_response(HTTPStatus.NOT_MODIFIED)
            return self.end_headers()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", TYPES.get(Path(name).suffix, "text/html"))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *_: object) -> None:
        """Nothing: the functions tell enough."""
