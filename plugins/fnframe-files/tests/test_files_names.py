from __future__ import annotations

import os

import pytest
from fnframe_files.names import key_of, name_of
from hypothesis import example, given
from hypothesis import strategies as st

raw_names = st.binary(min_size=1).filter(lambda raw: b"\0" not in raw)


@given(raw_names)
@example(b"50%FF")
@example(b"%25")
@example(b"%\xff")
@example(b"%2\xff5")
@example("%é".encode() + b"\xc3")
def test_any_file_name_survives_being_a_key(raw: bytes) -> None:
    name = os.fsdecode(raw)
    key = key_of(name)
    key.encode()
    assert name_of(key) == name
    assert os.fsencode(name_of(key)) == raw


@given(raw_names, raw_names)
def test_two_names_never_share_a_key(one: bytes, other: bytes) -> None:
    assert (key_of(os.fsdecode(one)) == key_of(os.fsdecode(other))) == (one == other)


@pytest.mark.parametrize("name", ["a.jpg", "100%.jpg", "a%20b", "Grüße/日本.png", "50%2Foff"])
def test_ordinary_names_are_their_own_keys(name: str) -> None:
    assert key_of(name) == name


def test_bytes_that_are_not_text_are_shown_as_percent_escapes() -> None:
    assert key_of(os.fsdecode(b"caf\xe9.jpg")) == "caf%E9.jpg"
