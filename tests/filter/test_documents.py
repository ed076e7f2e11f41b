"""What a filter sees: of an event, and of a record in Lambda's wrapping."""

from __future__ import annotations

import datetime as dt

import pytest

from fnframe import Event
from fnframe.filter.documents import compile_event_filter, event_document, payload_value
from fnframe.filter.patterns import compile_patterns

NAMES = ["id", "source", "type", "time", "subject", "datacontenttype", "dataschema", "traceparent", "tracestate",
         "data", "region", "attempt"]  # fmt: skip


def event_of(data: bytes, **attributes) -> Event:
    time = dt.datetime(2026, 11, 24, 8, 30, tzinfo=dt.UTC)
    return Event(id="7", source="shop", type="order", time=time, data=data, **attributes)


def test_an_event_is_its_attributes_its_extensions_and_its_data():
    event = event_of(b'{"total": 5}', subject="a/b", traceparent="00-x", extensions={"region": "eu", "attempt": 2})
    assert event_document(event, NAMES) == {
        "id": "7", "source": "shop", "type": "order", "time": "2026-11-24T08:30:00Z", "subject": "a/b",
        "datacontenttype": "application/json", "traceparent": "00-x", "data": {"total": 5}, "region": "eu",
        "attempt": 2,
    }  # fmt: skip


def test_what_an_event_does_not_have_is_absent():
    assert set(event_document(event_of(b"1"), NAMES)) == {"id", "source", "type", "time", "datacontenttype", "data"}


@pytest.mark.parametrize(
    ("data", "content_type", "value"),
    [
        (b"null", "application/json", None),
        (b'"text"', "application/json", "text"),
        (b"[1]", "application/vnd.shop+json; charset=utf-8", [1]),
        (b"no json", "application/json", "no json"),
        (b"[" * 5000, "application/json", "[" * 5000),
        (b'{"a": 1}', "text/plain", '{"a": 1}'),
        (b"", "application/json", ""),
    ],
)
def test_data_is_what_its_content_type_says(data, content_type, value):
    assert event_document(event_of(data, datacontenttype=content_type), ["data"]) == {"data": value}


def test_data_that_is_no_text_is_absent():
    for content_type in ("application/json", "image/png"):
        assert event_document(event_of(b"\x89PNG\xff", datacontenttype=content_type), ["data"]) == {}


def test_data_is_decoded_for_those_filters_only_that_look_at_it():
    fits = compile_event_filter({"type": ["order"], "subject": [{"prefix": "a/"}]})
    assert fits(event_of(b"\xff", subject="a/b"))
    assert not fits(event_of(b"\xff", subject="b/b"))


DATA = {"data": {"total": [{"numeric": [">", 3]}]}}
NO_DISCOUNT = {"data": {"discount": [{"exists": False}]}}
PLAIN = {"data": ["stop", "go"]}


@pytest.mark.parametrize(
    ("pattern", "data", "expected"),
    [
        (DATA, b'{"total": 5}', True),
        (DATA, b'[{"total": 1}, {"total": 5}]', True),
        (DATA, b"plain", False),
        (NO_DISCOUNT, b'{"total": 5}', True),
        (NO_DISCOUNT, b"plain", False),
        (NO_DISCOUNT, b'"plain"', False),
        (NO_DISCOUNT, b"null", False),
        ({"type": ["order"], "$or": [NO_DISCOUNT, {"subject": ["s"]}]}, b"plain", False),
        ({"type": ["order"], "$or": [NO_DISCOUNT, {"subject": [{"exists": False}]}]}, b"plain", True),
        (PLAIN, b"stop", True),
        (PLAIN, b'"stop"', True),
        (PLAIN, b'{"stop": 1}', False),
        ({"type": ["order"]}, b"\xff", True),
    ],
)
def test_a_pattern_that_looks_into_data_fits_no_plain_data(pattern, data, expected):
    assert compile_event_filter(pattern)(event_of(data)) is expected


def sqs(body: str) -> dict:
    """A record as Lambda shows it to the filter of a queue."""
    return {"messageId": "1", "body": payload_value(body.encode()), "messageAttributes": {"k": {"stringValue": "v"}}}


@pytest.mark.parametrize(
    ("pattern", "body", "expected"),
    [
        ({"body": {"total": [5]}}, '{"total": 5}', True),
        ({"body": {"total": [6]}}, '{"total": 5}', False),
        ({"body": {"total": [5]}}, "text", False),
        ({"body": {"total": [{"exists": False}]}}, "text", False),
        ({"body": ["text"]}, "text", True),
        ({"body": ["text"]}, '{"text": 1}', False),
        ({"messageAttributes": {"k": {"stringValue": ["v"]}}}, "text", True),
        ({"messageAttributes": {"k": {"stringValue": ["v"]}}}, '{"a": 1}', True),
    ],
)
def test_the_same_rules_hold_in_lambdas_wrapping(pattern, body, expected):
    assert compile_patterns(pattern, payload="body")(sqs(body)) is expected
