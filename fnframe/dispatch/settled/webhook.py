"""A record on its way to a URL: a CloudEvent in binary mode, posted once."""

from __future__ import annotations

import http
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

import anyio

from ...cloudevents import to_binary
from ...destination import masked
from ...errors import ConfigurationError
from ...event import Event

if TYPE_CHECKING:
    import httpx2

INSTALL = "pip install 'fnframe[webhooks]'"

SECONDS = 30.0
"""For one request, from the connection to the answer's end."""

AGAIN = frozenset({408, 421, 425, 429})
"""Answers of the kind 4xx that may be others later."""

LONGEST_ANSWER = 64 * 1024
"""Bytes of an answer that is read to its end, for the sake of the connection."""

LONGEST_WAIT = 3600.0


_posting = ContextVar("fnframe_posting", default=False)


class Refused(Exception):
    """The record will never be taken there. The text says why, without the secrets that a URL may hold."""


class Unavailable(Exception):
    """The record was not taken now. `retry_after` is in seconds, where the other side told."""

    def __init__(self, problem: str, retry_after: float = 0.0) -> None:
        self.retry_after = min(retry_after, LONGEST_WAIT)
        super().__init__(problem)


def new_client(connections: int) -> httpx2.AsyncClient:
    """What posts records: through the environment's proxies, only to who has a valid certificate, after no redirects.

    Raises `ConfigurationError` where the library for it is not installed.
    """
    try:
        import httpx2  # 130 ms, and an extra.
    except ImportError:
        raise ConfigurationError(f"records wait for their way to a URL, which needs: {INSTALL}") from None
    logging.getLogger("httpx2").addFilter(_is_of_others)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx2.AsyncClient(timeout=SECONDS, limits=limits, follow_redirects=False)


async def post(client: httpx2.AsyncClient, url: str, record: Event) -> None:
    """Post a record to a URL. Raises `Refused` or `Unavailable`.

    `Idempotency-Key` is the record's id, the same whenever it is tried again.
    """
    import httpx2

    headers, body = to_binary(record)
    headers["idempotency-key"] = headers["ce-id"]
    place = masked(url)
    token = _posting.set(True)
    response: httpx2.Response | None = None
    try:
        with anyio.fail_after(SECONDS):
            async with client.stream("POST", url, content=body, headers=headers) as response:
                await _read(response)
    except TimeoutError:
        if response is None:
            raise Unavailable(f"{place} did not answer within {SECONDS:g} seconds") from None
    except httpx2.InvalidURL:
        raise Refused(f"{place} is no URL") from None
    except httpx2.HTTPError as error:
        # Its text may quote the URL. What goes wrong behind the status changes nothing: the record was taken, or not.
        if response is None:
            raise Unavailable(f"{place} cannot be reached ({type(error).__name__})") from None
    finally:
        _posting.reset(token)
    assert response is not None
    _judge(place, response)


def _is_of_others(_: logging.LogRecord) -> bool:
    """Whether a log line of the library's is not about our requests: it holds their whole URLs."""
    return not _posting.get()


async def _read(response: httpx2.Response) -> None:
    """Read a short answer, so that the connection can be used again. Nobody looks at it: its status says all."""
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) <= LONGEST_ANSWER:
        await response.aread()


def _judge(place: str, response: httpx2.Response) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    answer = f"{place} answered {status}{_phrase(status)}"
    if status in AGAIN or status >= 500:
        raise Unavailable(answer, _retry_after(response.headers.get("retry-after", "")))
    if 300 <= status < 400:
        raise Refused(f"{answer}: redirects are not followed, name the address where they lead")
    raise Refused(answer)


def _phrase(status: int) -> str:
    try:
        return f" {http.HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _retry_after(text: str) -> float:
    """Seconds; a date is not looked at, since clocks differ."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
