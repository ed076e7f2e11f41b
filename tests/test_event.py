"""The event, and ids that are one of a kind."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnframe import Event
from fnframe.event import decode_json, encode_json, new_id, now

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
EVENTS = st.builds(
    Event,
    id=TEXTS,
    source=TEXTS,
    type=TEXTS,
    time=st.datetimes(min_value=dt.datetime(1970, 1, 1), max_value=dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),
    data=st.binary(),
    datacontenttype=TEXTS,
    subject=st.none() | TEXTS,
    dataschema=st.none() | TEXTS,
    traceparent=st.none() | TEXTS,
    tracestate=st.none() | TEXTS,
    extensions=st.dictionaries(TEXTS, TEXTS | st.integers(-(2**63), 2**63 - 1) | st.booleans()),
    origin=st.binary(),
    depth=st.integers(0, 100),
)


def test_four_attributes_are_enough():
    event = Event(id="1", source="/s", type="t", time=now())
    assert (event.data, event.datacontenttype, event.value()) == (b"null", "application/json", None)
    assert (event.subject, event.dataschema, event.traceparent, event.tracestate) == (None,) * 4
    assert (event.extensions, event.origin, event.depth) == ({}, b"", 0)


def test_a_missing_attribute_and_an_unknown_one_are_refused():
    with pytest.raises(TypeError, match="type"):
        Event(id="1", source="/s", time=now())
    with pytest.raises(TypeError, match="subjet"):
        Event(id="1", source="/s", type="t", time=now(), subjet="x")
    with pytest.raises(TypeError):
        Event("1", "/s", "t", now())


def test_it_does_not_change():
    event = Event(id="1", source="/s", type="t", time=now())
    with pytest.raises(AttributeError):
        event.id = "2"


def test_two_events_share_no_extensions():
    first, second = [Event(id=name, source="/s", type="t", time=now()) for name in "ab"]
    first.extensions["shop"] = "berlin"
    assert second.extensions == {}


def test_value_decodes_json_and_refuses_what_is_none():
    event = Event(id="1", source="/s", type="t", time=now(), data=b'{"a": [1, 2.5, null, "\xc3\xbc"]}')
    assert event.value() == {"a": [1, 2.5, None, "ü"]}
    with pytest.raises(msgspec.DecodeError):
        msgspec.structs.replace(event, data=b"\x00").value()


@given(EVENTS)
def test_it_comes_out_of_a_queue_as_it_went_in(event):
    for codec in (msgspec.msgpack, msgspec.json):
        assert codec.decode(codec.encode(event), type=Event) == event


@given(EVENTS)
def test_it_travels_as_an_array_in_a_fixed_order(event):
    """Fields may only be added at the end: queues keep events from one release to the next."""
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(event))
    assert fields[:3] == [event.id, event.source, event.type]
    assert fields[4:6] == [event.data, event.datacontenttype]
    assert msgspec.structs.fields(Event)[-1].name == "depth"


def test_an_event_of_an_older_release_gets_the_defaults_of_new_fields():
    old = msgspec.msgpack.encode(["1", "/s", "t", now(), b"[1]"])
    assert msgspec.msgpack.decode(old, type=Event).value() == [1]


def test_now_knows_its_zone():
    assert now().utcoffset() == dt.timedelta(0)


@given(st.recursive(st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS, st.lists, max_leaves=5))
def test_json_there_and_back(value):
    assert decode_json(encode_json(value)) == value


def test_an_id_is_a_uuid():
    for _ in range(100):
        text = new_id()
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert (parsed.version, parsed.variant) == (8, uuid.RFC_4122)


def test_ids_of_many_threads_are_different():
    ids: list[list[str]] = [[] for _ in range(8)]
    begin = threading.Barrier(len(ids))

    def make(mine: list[str]) -> None:
        begin.wait()
        mine.extend(new_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set().union(*ids)) == 8 * 2000


def printed(source: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True, timeout=30)
    return done.stdout.split()


def test_ids_of_many_processes_are_different():
    source = "from fnframe.event import new_id\nfor _ in range(50): print(new_id())"
    ids = [name for _ in range(3) for name in printed(source)]
    assert len(set(ids)) == len(ids) == 150


def test_ids_of_forked_processes_are_different():
    """A server that loads its application before it forks its workers (gunicorn --preload), or multiprocessing's
    fork, would have each child go on with the parent's ids: two requests of one id, and an event that is taken for
    a duplicate and never runs."""
    source = """
import os, sys
from fnframe.event import new_id
print(new_id(), flush=True)
for _ in range(3):
    if os.fork() == 0:
        print(*[new_id() for _ in range(10)], flush=True)
        if os.fork() == 0:
            print(*[new_id() for _ in range(10)], flush=True)
        else:
            os.wait()
        os._exit(0)
    os.wait()
print(*[new_id() for _ in range(10)])
"""
    ids = printed(source)
    assert len(set(ids)) == len(ids) == 1 + 3 * 20 + 10
