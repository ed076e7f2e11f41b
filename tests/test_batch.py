"""Batches: what travels in an event arrives as it was sent, and a record that does not fit harms no other."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnframe import Batch, Event, InvalidEvent, Record
from fnframe.batch_event import Item, Origin, Span, batch_event, bodies_of, origin_of
from fnframe.event import now
from fnframe.schema import is_one_value, signature_of


class Order(msgspec.Struct):
    n: int


class Strange:
    """No type that data can be decoded to."""


def item(number: int, key: str | None = None, position: int = 0) -> Item:
    return Item(f"m{number}", 1, 1_800_000_000.0 + number, key, position)


def queue_event(*bodies: bytes, keys: tuple[str | None, ...] = (), single: bool = False) -> Event:
    keys = keys or (None,) * len(bodies)
    items = tuple(item(number, key) for number, key in enumerate(keys))
    return batch_event("e", "fnframe.queue.batch", Origin("queue:orders", items, single=single), bodies)


def stream_event(*bodies: bytes, span: Span | None = None, state: bytes = b"{}") -> Event:
    items = tuple(item(number, "k", number + 1) for number in range(len(bodies)))
    return batch_event("e", "fnframe.stream.batch", Origin("stream:clicks", items, 3, span=span), bodies, state=state)


BODIES = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.text(max_size=20).map(str.encode),
        st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(
            lambda v: json.dumps(v).encode()
        ),
        st.sampled_from([b"[1", b"2]", b"1,2", b"", b"\xc1", b'{"a":1} ', b"[" * 3000, b"NaN"]),
    ),
    max_size=6,
)


@given(BODIES)
def test_whatever_was_sent_arrives_as_it_was(bodies):
    event = queue_event(*bodies)
    assert len(json.loads(event.data)) == len(bodies)
    found = bodies_of(event, origin_of(event))
    # White space around JSON is no part of it.
    assert [body.strip() if is_json(body) else body for body in bodies] == found
    assert [record.body for record in Batch.from_event(event)] == found


@given(st.binary(max_size=20) | st.text(max_size=20).map(str.encode))
def test_a_batch_of_one_is_its_data(body):
    event = queue_event(body, single=True)
    assert event.data == body
    (record,) = Batch.from_event(event)
    assert record.body == body
    assert (event.datacontenttype == "application/json") == is_json(body)


def is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body.decode())
    except (ValueError, RecursionError):
        return False
    return True


def test_plain_data_is_json_or_text_or_bytes():
    batch = Batch.from_event(queue_event(b'{"n":1}', "wörter".encode(), b"\xff\x00"))
    assert batch.data == [{"n": 1}, "wörter", b"\xff\x00"]


def test_a_record_says_what_is_known_of_it():
    (record,) = Batch.from_event(stream_event(b'{"n":1}'), Order)
    assert (record.data, record.id, record.attempt, record.key, record.position) == (Order(1), "m0", 1, "k", 1)
    assert record.accepted == dt.datetime.fromtimestamp(1_800_000_000, dt.UTC)
    assert (record.body, record.name) == (b'{"n":1}', "1")
    (message,) = Batch.from_event(queue_event(b"1", keys=("g",)))
    assert (message.position, message.name, message.key) == (None, "m0", "g")


def test_what_does_not_fit_fails_by_itself():
    batch = Batch.from_event(queue_event(b'{"n":1}', b'{"n":"x"}', b"no json", b'{"n":4}'), Order)
    assert [record.data.n for record in batch] == [1, 4]
    assert [(misfit.record.id, misfit.problem.partition(" - ")[2]) for misfit in batch.misfits] == [
        ("m1", "at `$.n`"),
        ("m2", ""),
    ]
    named = {"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m2"}]}
    assert batch.complete(None) == named
    assert batch.complete("done") == named
    assert batch.complete({"state": {}}) == {"state": {}, **named}


def test_a_number_that_is_too_large_fails_by_itself():
    """It is JSON, and no number of Python's; without a type, anything else fits."""
    batch = Batch.from_event(queue_event(b'{"n":1}', b'{"n":1e999}', b"1" * 5000, b"no json"))
    assert batch.data == [{"n": 1}, "no json"]
    assert batch.failed == ["m1", "m2"]


def test_what_lies_behind_a_misfit_in_order_waits_for_it():
    groups = Batch.from_event(queue_event(b'{"n":1}', b"1", b'{"n":3}', b'{"n":4}', keys=("a", "a", "a", "b")), Order)
    assert [record.data.n for record in groups] == [1, 4]
    stream = Batch.from_event(stream_event(b'{"n":1}', b"1", b'{"n":3}', b"1"), Order)
    assert [record.data.n for record in stream] == [1]
    assert stream.failed == ["2"]


def test_where_nothing_fits_the_handler_does_not_run():
    with pytest.raises(InvalidEvent, match=r"record m0: Expected `int`, got `str` - at `\$\.n`; record m1: "):
        Batch.from_event(queue_event(b'{"n":"x"}', b"[]"), Order)
    with pytest.raises(InvalidEvent, match="record 1: "):
        Batch.from_event(stream_event(b"1", b'{"n":2}'), Order)


def test_a_handler_says_what_failed_in_its_own_words_or_lambdas():
    batch = Batch.from_event(queue_event(b"1", b"2", b"3"))
    assert batch.complete({"batchItemFailures": [{"itemIdentifier": "m2"}]}) == {
        "batchItemFailures": [{"itemIdentifier": "m2"}]
    }
    batch.fail(batch[0])
    batch.fail(batch[0])
    assert batch.failed == ["m0"]
    assert batch.complete({"batchItemFailures": [{"itemIdentifier": "m2"}]}) == {
        "batchItemFailures": [{"itemIdentifier": "m2"}, {"itemIdentifier": "m0"}]
    }
    assert batch.complete({"batchItemFailures": "m2"}) == {"batchItemFailures": "m2"}, "the host refuses it"


def test_a_tumbling_window_has_lambdas_form():
    span = Span(1_800_000_000.0, 1_800_000_300.0, is_final=True)
    event = stream_event(b'{"n":1}', span=span, state=b'{"sum":5}')
    assert json.loads(event.data) == {
        "Records": [{"n": 1}],
        "window": {"start": "2027-01-15T08:00:00Z", "end": "2027-01-15T08:05:00Z"},
        "state": {"sum": 5},
        "shardId": "shardId-000000000003",
        "eventSourceARN": "stream:clicks",
        "isFinalInvokeForWindow": True,
        "isWindowTerminatedEarly": False,
    }
    batch = Batch.from_event(event, Order)
    assert (batch.partition, batch.data, batch.window.state) == (3, [Order(1)], {"sum": 5})
    assert batch.window.end - batch.window.start == dt.timedelta(minutes=5)
    assert (batch.window.is_final, batch.window.is_terminated_early) == (True, False)
    assert list(Batch.from_event(stream_event(span=span))) == []


def test_an_event_that_no_queue_made_is_a_batch_of_its_data():
    def event(data: Any) -> Event:
        return Event(id="e", source="direct", type="t", time=now(), data=json.dumps(data).encode())

    assert [(record.id, record.data) for record in Batch.from_event(event([{"n": 1}, {"n": 2}]), Order)] == [
        ("e:0", Order(1)),
        ("e:1", Order(2)),
    ]
    (record,) = Batch.from_event(event({"n": 1}), Order)
    assert (record.id, record.data) == ("e", Order(1))


def test_batches_for_tests_of_handlers():
    batch = Batch([Record(Order(1), id="a"), Record(Order(2), id="b", key="g")], source="queue:orders")
    assert (len(batch), batch[1].key, batch[0].body, batch.data) == (2, "g", b'{"n":1}', [Order(1), Order(2)])
    assert repr(batch) == "<Batch of 2 from queue:orders>"


def test_the_type_of_the_data_is_checked_when_the_handler_is_declared():
    def handler(batch: Batch[Strange]) -> None: ...

    with pytest.raises(TypeError, match="an event cannot be decoded to"):
        signature_of(handler)

    def good(batch: Batch[Order]) -> None: ...

    assert signature_of(good).complete is Batch.complete


@pytest.mark.parametrize("one", [Order, dict, dict[str, int], str, int, Order | None])
def test_what_takes_one_record(one):
    assert is_one_value(one)


@pytest.mark.parametrize("several", [Any, Event, bytes, list, list[Order], tuple[Order, ...], Batch, Batch[Order]])
def test_what_takes_several(several):
    assert not is_one_value(several)
