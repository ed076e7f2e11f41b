"""What a handler's answer says of its batch: the table of Lambda, and our own form."""

from __future__ import annotations

import datetime as dt

import pytest

from fnframe import Report, Success
from fnframe.dispatch.answer import InvalidAnswer, failures, state_of

REPORT = Report(
    "r", "f", "queue", "polled", 1, "success", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 0.0, None, 0.0, 128, None,
    "unavailable", None, "", "e",
)  # fmt: skip
NAMES = {"a": 0, "b": 1, "c": 2, "7": 2}


def answer(payload: bytes, content_type: str = "application/json") -> Success:
    return Success(payload, REPORT, content_type)


@pytest.mark.parametrize(
    "payload",
    [
        b"null", b"{}", b'""', b'{"batchItemFailures":null}', b'{"batchItemFailures":[]}',
        b'{"batch_item_failures":null}', b'{"batch_item_failures":[]}', b'"done"', b"3", b"[1]", b'{"thumbnail":"x"}',
    ],
)  # fmt: skip
def test_all_is_done(payload):
    assert failures(answer(payload), lambda: NAMES) == []


@pytest.mark.parametrize(
    ("payload", "failed"),
    [
        (b'{"batchItemFailures":[{"itemIdentifier":"b"}]}', [1]),
        (b'{"batchItemFailures":[{"itemIdentifier":"c"},{"itemIdentifier":"a"},{"itemIdentifier":"c"}]}', [0, 2]),
        (b'{"batch_item_failures":["b",7]}', [1, 2]),
        (b'{"batch_item_failures":[{"item_identifier":"a"}]}', [0]),
        (b'{"batch_item_failures":["a"],"batchItemFailures":[{"itemIdentifier":"7"}]}', [0, 2]),
    ],
)
def test_only_these_failed(payload, failed):
    assert failures(answer(payload), lambda: NAMES) == failed


@pytest.mark.parametrize(
    "payload",
    [
        b'{"batchItemFailures":[{"foo":"a"}]}', b'{"batchItemFailures":[{"foo":null}]}',
        b'{"batchItemFailures":[{"itemIdentifier":""}]}', b'{"batchItemFailures":[{"itemIdentifier":null}]}',
        b'{"batchItemFailures":[{"itemIdentifier":"d"}]}', b'{"batchItemFailures":["a"]}', b'{"batchItemFailures":"a"}',
        b'{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"d"}]}',
        b'{"batch_item_failures":[true]}', b'{"batch_item_failures":[null]}', b'{"batch_item_failures":{"a":1}}',
    ],
)  # fmt: skip
def test_the_whole_batch_failed(payload):
    with pytest.raises(InvalidAnswer):
        failures(answer(payload), lambda: NAMES)


def test_an_answer_that_is_no_json_fails_the_whole_batch():
    with pytest.raises(InvalidAnswer, match="expected JSON, found application/octet-stream"):
        failures(answer(b"\xff", "application/octet-stream"), lambda: NAMES)
    for payload in (b"", b"{", b"1e999", b'"\xff"', b"[" * 100_000 + b"]" * 100_000):
        with pytest.raises(InvalidAnswer, match="expected JSON: "):
            failures(answer(payload), lambda: NAMES)


def test_a_window_needs_a_state():
    assert state_of(answer(b'{"state": {"sum":1}, "batchItemFailures": []}')) == b'{"sum":1}'
    for payload in (b"null", b"{}", b"[]", b'"x"', b"", b'{"state": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        with pytest.raises(InvalidAnswer, match=r'must return \{"state": \.\.\.\}'):
            state_of(answer(payload))
