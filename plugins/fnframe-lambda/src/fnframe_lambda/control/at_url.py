"""Which requests are ones of a function URL. Asked of every request, so it is light."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..request import Request

PREFIX = "/lambda-url/"

_PREFIX = PREFIX.encode()
_PATH = re.compile(_PREFIX + rb"([0-9a-z]{1,64})(/.*)?", re.DOTALL)
_HOST = re.compile(rb"([0-9a-z]{1,64})\.lambda-url\.")


class AtUrl(NamedTuple):
    """A request of a function URL: the URL's id, and the path below it."""

    id: str
    path: str


def url_of(request: Request) -> AtUrl | None:
    """Whether a request is one of a function URL: by its host, as on AWS, or by the path that the API tells."""
    if request.path.startswith(_PREFIX) and (found := _PATH.fullmatch(request.path)) is not None:
        return AtUrl(found[1].decode(), (found[2] or b"/").decode("latin-1"))
    by_host = _HOST.match(request.headers.get(b"host", b""))
    return None if by_host is None else AtUrl(by_host[1].decode(), request.path.decode("latin-1"))
