"""HTTP/1.1 as runtimes speak it to the Runtime API: few requests, one after the other, over loopback.

A server library would bring an event loop, and take most of the time of a short invocation.
"""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

RECEIVE = 64 * 1024
"""Bytes of one look. A buffer of more than 128 KB is one that the C library may map and unmap each time: 40 us where a
short request takes 60."""
LONGEST_HEAD = 2 * 1024 * 1024
"""Bytes: a cause for X-Ray may be a megabyte."""
LINE = b"\r\n"
HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")


class BadRequest(Exception):
    """What came is no HTTP that is understood here; the connection is of no use any more."""


class Request(NamedTuple):
    """A whole request. `head` is its first line and its headers, with the trailers behind them; `lower` is the same in
    lower case."""

    method: bytes
    path: bytes
    head: bytes
    lower: bytes
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """A header's or trailer's value; `name` is in lower case."""
        return _value(self.head, self.lower, name)


class Connection:
    """One connection of a runtime. `limit` is the largest body that is kept: of a larger one the rest is dropped."""

    def __init__(self, connection: socket.socket, limit: int) -> None:
        self._socket = connection
        self._limit = limit
        self._data = bytearray()
        self._head: bytes | None = None
        self._lower = b""

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    @property
    def is_amid_request(self) -> bool:
        """Whether a request has begun and is not whole."""
        return self._head is not None or bool(self._data)

    def receive(self) -> bool:
        """Take what is there; False at the end."""
        try:
            data = self._socket.recv(RECEIVE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._data += data
        return bool(data)

    def request(self) -> Request | None:
        """The next request that is whole. Raises `BadRequest`."""
        if self._head is None:
            if not self._data:
                return None
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > LONGEST_HEAD:
                    raise BadRequest("its head does not end")
                return None
            self._head = bytes(self._data[: end + 2])
            self._lower = self._head.lower()
            del self._data[: end + 4]
            if b"\r\nexpect:" in self._lower and _value(self._lower, self._lower, b"expect") == b"100-continue":
                self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        head, lower = self._head, self._lower
        if b"\r\ntransfer-encoding:" in lower:
            body, trailers = self._chunked()
            head, lower = head + trailers, lower + trailers.lower()
        else:
            body = self._of_length(_value(head, lower, b"content-length") or b"0")
        if body is None:
            return None
        self._head = None
        words = head[: head.index(LINE)].split(b" ")
        if len(words) != 3:
            raise BadRequest(f"its first line is {words!r}")
        return Request(words[0], words[1], head, lower, body)

    def answer(self, status: bytes, body: bytes, headers: bytes = b"") -> None:
        """Send a response. A runtime that is gone is found out elsewhere."""
        head = b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, len(body), headers)
        try:
            if len(body) > RECEIVE:
                self._socket.sendall(head)
                self._socket.sendall(body)
            else:
                self._socket.sendall(head + body)
        except OSError:
            pass

    def _of_length(self, text: bytes) -> bytes | None:
        if not text.isdigit():
            raise BadRequest("its length is no number")
        length = int(text)
        if len(self._data) < length:
            return None
        body = bytes(self._data[: min(length, self._limit + 1)])
        del self._data[:length]
        return body

    def _chunked(self) -> tuple[bytes | None, bytes]:
        """The body, once it is whole, and its trailers."""
        parts, place = [], 0
        while True:
            end = self._data.find(LINE, place)
            if end < 0:
                return None, b""
            digits = bytes(self._data[place:end].partition(b";")[0]).strip()
            if not HEX.fullmatch(digits):
                raise BadRequest("a chunk has no size")
            size = int(digits, 16)
            place = end + 2
            if size == 0:
                break
            if len(self._data) < place + size + 2:
                return None, b""
            parts.append(bytes(self._data[place : place + size]))
            place += size + 2
        end = self._data.find(b"\r\n\r\n", place - 2)
        if end < 0:
            return None, b""
        trailers = bytes(self._data[place : end + 2])
        del self._data[: end + 4]
        return b"".join(parts)[: self._limit + 1], trailers


def _value(head: bytes, lower: bytes, name: bytes) -> bytes | None:
    """The value of a header; a search in all of them costs less than taking them apart."""
    start = lower.find(b"\r\n%b:" % name)
    if start < 0:
        return None
    start += len(name) + 3
    return head[start : head.index(LINE, start)].strip()
