"""Which request is which operation: the one table of the API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..wire import Answer
from . import account, aliases, concurrency, event_invoke, functions, mappings, tags, urls, versions

if TYPE_CHECKING:
    pass

Operation = Callable[..., Awaitable[Answer]]
"""Takes the plane, the request, and what its path names. Raises `ApiError`."""

FUNCTIONS = "/2015-03-31/functions"
ALIASES = f"{FUNCTIONS}/*/aliases"
RESERVED = "/2017-10-31/functions/*/concurrency"
PROVISIONED = "/2019-09-30/functions/*/provisioned-concurrency"
EVENTS = "/2019-09-25/functions/*/event-invoke-config"
MAPPINGS = "/2015-03-31/event-source-mappings"
URL = "/2021-10-31/functions/*/url"
TAGS = "/2017-03-31/tags/*"

TABLE: tuple[tuple[str, str, Operation], ...] = (
    ("POST", FUNCTIONS, functions.create),
    ("GET", FUNCTIONS, functions.list_),
    ("GET", f"{FUNCTIONS}/*", functions.get),
    ("DELETE", f"{FUNCTIONS}/*", functions.delete),
    ("GET", f"{FUNCTIONS}/*/configuration", functions.get_configuration),
    ("PUT", f"{FUNCTIONS}/*/configuration", functions.update_configuration),
    ("PUT", f"{FUNCTIONS}/*/code", functions.update_code),
    ("GET", "/lambda-code/*", functions.get_code),
    ("POST", f"{FUNCTIONS}/*/versions", versions.publish_version),
    ("GET", f"{FUNCTIONS}/*/versions", versions.list_versions),
    ("POST", ALIASES, aliases.create),
    ("GET", ALIASES, aliases.list_),
    ("GET", f"{ALIASES}/*", aliases.get),
    ("PUT", f"{ALIASES}/*", aliases.update),
    ("DELETE", f"{ALIASES}/*", aliases.delete),
    ("PUT", RESERVED, concurrency.put),
    ("DELETE", RESERVED, concurrency.delete),
    ("GET", "/2019-09-30/functions/*/concurrency", concurrency.get),
    ("PUT", PROVISIONED, concurrency.put_provisioned),
    ("GET", PROVISIONED, concurrency.get_provisioned),
    ("DELETE", PROVISIONED, concurrency.delete_provisioned),
    ("PUT", EVENTS, event_invoke.put),
    ("POST", EVENTS, event_invoke.update),
    ("GET", EVENTS, event_invoke.get),
    ("DELETE", EVENTS, event_invoke.delete),
    ("GET", f"{EVENTS}/list", event_invoke.list_),
    ("POST", MAPPINGS, mappings.create),
    ("GET", MAPPINGS, mappings.list_),
    ("GET", f"{MAPPINGS}/*", mappings.get),
    ("PUT", f"{MAPPINGS}/*", mappings.update),
    ("DELETE", f"{MAPPINGS}/*", mappings.delete),
    ("POST", URL, urls.create),
    ("GET", URL, urls.get),
    ("PUT", URL, urls.update),
    ("DELETE", URL, urls.delete),
    ("GET", f"{URL}s", urls.list_),
    ("POST", TAGS, tags.tag),
    ("DELETE", TAGS, tags.untag),
    ("GET", TAGS, tags.list_),
    ("GET", "/2016-08-19/account-settings", account.settings),
)

_PATTERNS = [
    (method, re.compile(path.replace("*", "([^/]+)").encode() + b"/?"), operation) for method, path, operation in TABLE
]


def find(method: str, path: bytes) -> tuple[Operation, tuple[bytes, ...]] | None:
    """The operation of a request, and the parts of its path that name something."""
    for known, pattern, operation in _PATTERNS:
        if known == method and (found := pattern.fullmatch(path)) is not None:
            return operation, found.groups()
    return None
