"""Requests and responses as values: for unit tests of handlers, and over the boundary."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fnframe_http import Request, Response
from fnframe_http.description import RESPONSE, Description, decode_answer, decode_description, encode
from fnframe_http.values import Headers, Values
from hypothesis import given
from hypothesis import strategies as st

from fnframe import Event
from fnframe.event import now
from fnframe.schema import InvalidEvent


class Order(msgspec.Struct):
    id: int


def test_a_request_for_a_unit_test() -> None:
    request: Request[Any] = Request(
        "PUT",
        "/orders/5",
        path_params={"id": 5},
        query={"a": "x y"},
        headers={"Cookie": "a=1", "Content-Type": "Application/JSON; charset=utf-8"},
        body=b'{"id": 1}',
    )
    assert request.path_params["id"] == 5
    assert (request.query["a"], request.query_string) == ("x y", "a=x+y")
    assert request.headers["cookie"] == request.headers["COOKIE"] == "a=1"
    assert request.content_type == "application/json"
    assert request.cookies == {"a": "1"}
    assert request.data == {"id": 1}
    assert request.json(Order) == Order(1)
    assert request.text() == '{"id": 1}'
    assert repr(request) == "<Request PUT /orders/5>"
    with pytest.raises(InvalidEvent, match=r"Expected `str`, got `int` - at `\$\[\.\.\.\]`"):
        request.json(dict[str, str])


def test_an_event_that_no_request_made_is_a_post_of_its_data() -> None:
    event = Event(id="1", source="direct", type="t", time=now(), data=b'{"id": 1}')
    request: Request[Any] = Request.from_event(event, Order)
    assert (request.method, request.path, request.data) == ("POST", "/", Order(1))


def test_values_that_come_several_times() -> None:
    values = Values([("a", "1"), ("b", "2"), ("a", "3")])
    assert (values["a"], values.all("a"), values.all("c"), values.get("c")) == ("1", ["1", "3"], [], None)
    assert values == {"a": "1", "b": "2"}
    assert "A" not in values
    headers = Headers([("Accept", "a"), ("accept", "b")])
    assert (headers["ACCEPT"], headers.all("Accept"), list(headers)) == ("a, b", ["a", "b"], ["accept"])


NAMES = st.text("abcdefgh-", min_size=1).map(str.encode)
DESCRIPTIONS = st.builds(
    Description,
    method=st.sampled_from(["GET", "POST"]),
    path=st.text(),
    prefix=st.text(),
    scheme=st.sampled_from(["http", "https"]),
    query=st.binary(),
    headers=st.lists(st.tuples(NAMES, st.binary())),
    client=st.text(),
    parameters=st.lists(st.tuples(st.text(), st.just("str"), st.text()), unique_by=lambda parameter: parameter[0]),
    no_body=st.booleans(),
)


@given(DESCRIPTIONS, st.binary())
def test_a_request_crosses_the_boundary_unchanged(description: Description, body: bytes) -> None:
    origin = encode(description)
    assert decode_description(origin) == description
    event = Event(
        id="1", source="s", type="t", time=now(), data=b"null" if description.no_body else body, origin=origin
    )
    request: Request[Any] = Request.from_event(event)
    assert request.method == description.method
    assert (request.path, request.root_path) == (description.path, description.prefix)
    assert request.path_params == {name: text for name, _, text in description.parameters}
    assert request.query_string.encode("latin-1") == description.query
    assert len(request.headers.pairs()) == len(description.headers)
    assert request.body == (b"" if description.no_body else body)
    assert all(name in request.query for name in request.query)
    assert isinstance(request.cookies, dict)


@given(st.binary(), st.integers(200, 599), st.dictionaries(st.text("ab-", min_size=1), st.text("xyz é\t")))
def test_a_response_crosses_the_boundary_unchanged(body: bytes, status: int, headers: dict[str, str]) -> None:
    content_type, payload = Response(body, status, headers).to_payload()
    answer = decode_answer(payload)
    assert content_type == RESPONSE
    assert (answer.status, answer.body) == (status, body)
    fields = [("content-type", "application/octet-stream"), *headers.items()]
    assert answer.headers == [(name.encode(), value.encode("latin-1")) for name, value in fields]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"status": 99}, "a status must lie between 200 and 599"),
        ({"status": True}, "a status must lie between 200 and 599"),
        ({"headers": {"a": "b\r\nc: d"}}, "such as line breaks"),
        ({"headers": {"a": "b\nc"}}, "such as line breaks"),
        ({"headers": {"a b": "c"}}, "does not allow"),
        ({"headers": {"": "c"}}, "does not allow"),
        ({"headers": {"Content-Length": "1"}}, "is the server's to set"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "is the server's to set"),
        ({"headers": {"a": "☃"}}, "outside of ASCII"),
        ({"headers": {"a": 1}}, "must be text"),
        ({"content_type": "text/html\r\na: b"}, "such as line breaks"),
    ],
)
def test_what_http_does_not_allow_is_refused_at_the_line(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        Response("x", **arguments)
