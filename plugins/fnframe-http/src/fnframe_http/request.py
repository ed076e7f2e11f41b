"""The request, as a function sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, Self

from fnframe import Event
from fnframe.event import new_id, now
from fnframe.schema import decoder_for

from .description import Description, decode_description
from .values import Headers, Values

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Body = TypeVar("Body", default=Any)
else:
    from typing import TypeVar

    Body = TypeVar("Body")

Pairs = Mapping[str, str] | Iterable[tuple[str, str]]


class Request(Generic[Body]):
    """An HTTP request: annotate a handler's parameter with it.

    With `Request[Order]` the body is decoded and checked before the handler runs; `data` has it. The constructor is
    for tests of handlers: `photo(Request("GET", "/photos/a", path_params={"name": "a"}))`.

    `path` is what the route was matched against, decoded, without the prefix under which the application is mounted
    (`root_path`). `path_params` are the route's parameters, converted to their kinds. `query` and `headers` map
    names to values; `.all(name)` tells every value of what came several times. `client` is the peer's address, or
    empty.
    """

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        path_params: Mapping[str, Any] | None = None,
        query: str | Pairs = "",
        headers: Pairs | None = None,
        body: bytes = b"",
        root_path: str = "",
        scheme: str = "http",
        client: str = "",
    ) -> None:
        from urllib.parse import urlencode

        self.method = method
        self.path = path
        self.root_path = root_path
        self.scheme = scheme
        self.client = client
        self.path_params: Mapping[str, Any] = dict(path_params or {})
        self.body = body
        self._query = query if isinstance(query, str) else urlencode(_pairs(query))
        self._headers: Iterable[tuple[str, str]] = _pairs(headers or ())
        self._type: Any = Any

    @classmethod
    def from_event(cls, event: Event, type_: Any = Any) -> Self:
        """The request that an event came of; one that no request made is a POST of its data.

        `type_` is what the body must decode to. Raises `fnframe.schema.InvalidEvent`, and `ValueError` for a path
        parameter that cannot be converted.
        """
        if not event.origin:
            request = cls("POST", body=event.data)
        else:
            request = cls._described(decode_description(event.origin), event)
        request._type = type_
        if type_ is not Any:
            request.__dict__["data"] = request.json(type_)
        return request

    @classmethod
    def _described(cls, description: Description, event: Event) -> Self:
        request = cls.__new__(cls)
        request.method = description.method
        request.path = description.path
        request.root_path = description.prefix
        request.scheme = description.scheme
        request.client = description.client
        request.path_params = {name: _convert(kind, text) for name, kind, text in description.parameters}
        request.body = b"" if description.no_body else event.data
        request._query = description.query.decode("latin-1")
        request._headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in description.headers)
        return request

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.root_path}{self.path}>"

    @cached_property
    def data(self) -> Body:
        """The decoded body: of the type that `Request[...]` names, or plain JSON. Raises as `json` does."""
        value: Body = self.json(self._type)
        return value

    @cached_property
    def query(self) -> Values:
        """The parameters of the query, decoded; empty values are kept."""
        from urllib.parse import parse_qsl

        return Values(parse_qsl(self._query, keep_blank_values=True))

    @cached_property
    def headers(self) -> Headers:
        """The header fields; names are case-insensitive."""
        return Headers(self._headers)

    @cached_property
    def cookies(self) -> dict[str, str]:
        """The cookies; of two with one name the first, which is the more specific (RFC 6265, section 5.4)."""
        cookies: dict[str, str] = {}
        for field in self.headers.all("cookie"):
            for cookie in field.split(";"):
                name, equals, value = cookie.strip().partition("=")
                if equals:
                    cookies.setdefault(name.strip(), value.strip().strip('"'))
        return cookies

    @property
    def query_string(self) -> str:
        """The query as it was sent."""
        return self._query

    @property
    def content_type(self) -> str:
        """The body's media type in lower case without parameters; empty if the client did not tell."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self, type_: Any = Any) -> Any:
        """The body decoded to a type that a handler's parameter may have.

        Raises `fnframe.schema.InvalidEvent`, which the client sees as 400 with the path of the bad field.
        """
        return _decoder(type_)(_event_of(self.body))

    def text(self, encoding: str = "utf-8") -> str:
        """The body as text. Raises `UnicodeDecodeError`."""
        return self.body.decode(encoding)


_decoder = lru_cache(maxsize=256)(decoder_for)


def _event_of(body: bytes) -> Event:
    return Event(id=new_id(), source="http", type="fnframe.http.request", time=now(), data=body)


def _pairs(values: Pairs) -> list[tuple[str, str]]:
    return list(values.items()) if isinstance(values, Mapping) else list(values)


def _convert(kind: str, text: str) -> Any:
    if kind == "int":
        return int(text)
    if kind == "float":
        return float(text)
    if kind == "uuid":
        from uuid import UUID

        return UUID(text)
    return text
