"""Frames: cut anywhere and joined anywhere, they come out as they went in; what is no frame is refused."""

from __future__ import annotations

import datetime as dt
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fnframe.environment import wire
from fnframe.environment.wire import AnyFrame, Drained, Fork, Frame, Invoke, Reader, Result, Usage, encode

FRAMES: tuple[type[Frame], ...] = get_args(AnyFrame)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PLAIN = {
    str: TEXTS,
    bytes: st.binary(max_size=50),
    int: st.integers(-(2**63), 2**64 - 1),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    type(None): st.none(),
    dt.datetime: st.datetimes(timezones=st.just(dt.UTC)),
}


def values(type_: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as the fields of frames have them."""
    origin, arguments = get_origin(type_), get_args(type_)
    if type_ in PLAIN:
        return PLAIN[type_]
    if origin is Annotated:
        return st.integers(arguments[1].ge, arguments[1].le)
    if origin in (Union, types.UnionType):
        return st.one_of([values(part) for part in arguments])
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is tuple:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    fields = {field.name: values(field.type) for field in msgspec.structs.fields(type_)}
    return st.builds(type_, **fields)


ANY = {frame: values(frame) for frame in FRAMES}
SOME = st.lists(st.one_of(list(ANY.values())), max_size=5)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


def fed(*pieces: bytes) -> list[Any]:
    reader = Reader()
    return [frame for piece in pieces for frame in reader.feed(piece)]


@pytest.mark.parametrize("frame_type", FRAMES)
@given(data=st.data())
def test_every_frame_there_and_back(frame_type, data):
    frame = data.draw(ANY[frame_type])
    (again,) = fed(bytes(encode(frame)))
    assert type(again) is frame_type
    assert again == frame


def test_every_frame_is_in_the_union_and_has_a_number_of_its_own():
    defined = [
        value
        for value in vars(wire).values()
        if isinstance(value, type) and issubclass(value, Frame) and value is not Frame
    ]
    assert set(defined) == set(FRAMES)
    tags = [frame.__struct_config__.tag for frame in FRAMES]
    assert len(set(tags)) == len(tags)


@given(SOME, st.data())
def test_cut_anywhere_and_joined_anywhere(frames, data):
    stream = b"".join(bytes(encode(frame)) for frame in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert fed(*pieces) == frames


@given(SOME)
def test_byte_by_byte(frames):
    stream = b"".join(bytes(encode(frame)) for frame in frames)
    assert fed(*[bytes([byte]) for byte in stream]) == frames


@given(st.one_of(list(ANY.values())), st.one_of(list(ANY.values())))
def test_a_whole_frame_after_half_of_one(first, second):
    """One frame that arrives whole is read the short way, but only where nothing waits before it."""
    reader, begun, whole = Reader(), bytes(encode(first)), bytes(encode(second))
    for cut in range(1, min(len(begun), 12)):
        assert list(reader.feed(begun[:cut])) == []
        assert list(reader.feed(begun[cut:])) == [first]
        assert list(reader.feed(whole)) == [second]
        assert list(reader.feed(whole + begun[:cut])) == [second]
        assert list(reader.feed(begun[cut:] + whole)) == [first, second]


def test_nothing_makes_nothing():
    assert fed(b"", b"", b"") == []


def test_a_large_payload():
    payload = bytes(range(256)) * 40_000
    frame = Result(payload, "application/octet-stream", Usage(1, 2, 3, 0, False))
    stream = bytes(encode(frame))
    assert fed(*[stream[start : start + 65_536] for start in range(0, len(stream), 65_536)]) == [frame]


def test_a_reader_takes_bytearrays_and_keeps_none_of_the_callers():
    """Who receives into one buffer again and again must be able to change it afterwards."""
    reader = Reader()
    buffer = bytearray(encode(Fork(1)) + encode(Fork(2)))[:-1]
    assert list(reader.feed(buffer)) == [Fork(1)]
    buffer[:] = b"\xff" * len(buffer)
    assert list(reader.feed(bytes(encode(Fork(2)))[-1:])) == [Fork(2)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\xc0",
        b"garbage",
        msgspec.msgpack.encode({}),
        msgspec.msgpack.encode([]),
        msgspec.msgpack.encode([99]),
        msgspec.msgpack.encode(["Invoke"]),
        msgspec.msgpack.encode([2, "r-1"]),
        msgspec.msgpack.encode([33, "no pid"]),
        msgspec.msgpack.encode([33, -1.5]),
        bytes(encode(Drained())[4:]) + b"\x00",
        bytes(encode(Fork(1))[4:-1]),
        b"\x91" * 5000,
        b"\x93\x03\xa1\xff\xc0",  # A text that is no UTF-8.
    ],
)
def test_what_is_no_frame_is_a_decode_error(body):
    with pytest.raises(msgspec.DecodeError):
        fed(framed(body))


@given(st.binary(max_size=60))
def test_random_bodies_are_frames_or_decode_errors(body):
    try:
        frames = fed(framed(body))
    except msgspec.DecodeError:
        return
    assert all(isinstance(frame, FRAMES) for frame in frames)


@given(st.one_of(list(ANY.values())), st.data())
@example(Fork(1), None)
def test_a_damaged_frame_is_a_frame_or_a_decode_error(frame, data):
    body = bytearray(encode(frame)[4:])
    if data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        frames = fed(framed(bytes(body)))
    except msgspec.DecodeError:
        return
    assert all(isinstance(found, FRAMES) for found in frames)


@pytest.mark.parametrize("figure", [-1, 2**53 + 1, 2**64 - 1])
def test_figures_that_nothing_can_have_are_refused(figure):
    """A handler that forges them must not end the ledger that they are added up in."""
    with pytest.raises(msgspec.DecodeError):
        fed(bytes(encode(Result(b"", "application/json", Usage(figure, 1, 1, 0, False)))))


def test_unknown_fields_at_the_end_are_ignored():
    """A newer side may say more: the version in the first frame is what refuses a mixture."""
    body = msgspec.msgpack.encode([32, 7, "more"])
    assert fed(framed(body)) == [Fork(7)]


def test_the_payload_is_not_touched():
    """JSON stays the bytes that it was: no value is decoded and encoded on the way."""
    assert Invoke.__struct_fields__[-1] == "event"
    body = b'{"a" : 1.0, "a": 2 }'
    frame = Result(body, "application/json", Usage(1, 2, None, 0, True))
    assert fed(bytes(encode(frame)))[0].payload == body
