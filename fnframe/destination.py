"""Where a record of what happened may go: to a function, a queue, a stream, a file of JSON lines, or a URL."""

from __future__ import annotations

import re

from .sending import check_name

FORMS = "'function:NAME', 'queue:NAME', 'stream:NAME', 'file:PATH' (JSON lines) or a URL ('https://...')"

_SCHEMES = ("function:", "queue:", "stream:", "file:")
_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?")
_URLS = ("https://", "http://")


def check_destination(destination: object) -> None:
    """Raises `ValueError` for what is no destination; the text goes on from the option's name."""
    if not isinstance(destination, str):
        raise ValueError(f"must be {FORMS}, found {destination!r}")  # noqa: TRY004  one kind for the caller
    if is_url(destination):
        return _check_url(destination)
    scheme, colon, target = destination.partition(":")
    if not destination.startswith(_SCHEMES) or not target or "\0" in target:
        hint = f"; did you mean 'function:{destination}'?" if destination and not colon else ""
        raise ValueError(f"must be {FORMS}, found {masked(destination)!r}{hint}")
    if scheme in ("queue", "stream"):
        try:
            check_name(target)
        except ValueError as error:
            raise ValueError(f"names no {scheme} of yours: {error}") from None
    return None


def is_url(destination: str) -> bool:
    """Whether records go there by HTTP."""
    return destination.lower().startswith(_URLS)


def masked(destination: str) -> str:
    """A destination as it may stand in a log: of a URL, whose path may be as secret as its password, the host alone."""
    scheme, slashes, rest = destination.partition("://")
    if not slashes or destination.startswith(_SCHEMES):
        return destination
    authority = rest
    for end in "/?#":
        authority = authority.partition(end)[0]
    host = authority.rpartition("@")[2]
    if not _HOST.fullmatch(host):  # A password with a slash in it, say.
        return f"{scheme}://..."
    return f"{scheme}://{host}{'' if host == rest else '/...'}"


def _check_url(url: str) -> None:
    from urllib.parse import urlsplit  # Few destinations are one.

    found = f"found {masked(url)!r}"
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"must be a URL of printable ASCII characters without spaces, {found}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # Its text may hold a part of the password.
        raise ValueError(f"must be a URL, {found}") from None
    if not host:
        raise ValueError(f"must be a URL with a host, {found}")
    if parts.fragment:
        raise ValueError(f"must be a URL without a fragment, {found}")
