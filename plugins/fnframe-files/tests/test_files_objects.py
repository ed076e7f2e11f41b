from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from fnframe_files import Bucket, ObjectCreated, ObjectRemoved


def test_the_path_is_that_of_the_file(uploads: Path) -> None:
    (uploads / "2026").mkdir()
    (uploads / "2026" / "a b.jpg").write_text("x")
    event = ObjectCreated(bucket=Bucket("uploads", str(uploads)), key="2026/a b.jpg")
    assert event.path.read_text() == "x"


def test_a_name_that_is_not_text_can_be_opened(uploads: Path) -> None:
    Path(os.fsdecode(os.fsencode(uploads) + b"/caf\xe9.jpg")).write_text("x")
    assert ObjectCreated(bucket=Bucket("uploads", str(uploads)), key="caf%E9.jpg").path.read_text() == "x"


def test_an_event_made_by_hand_needs_bucket_and_key_only(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(uploads.parent)
    event = msgspec.json.decode(b'{"bucket": {"name": "uploads"}, "key": "a.jpg"}', type=ObjectCreated)
    assert event.path == uploads.resolve() / "a.jpg"


@pytest.mark.parametrize("key", ["../secret", "a/../../secret", "/etc/passwd", "", ".", "a/..", "link", "inner/secret"])
def test_a_key_that_leads_outside_is_refused(uploads: Path, key: str) -> None:
    (uploads.parent / "secret").write_text("secret")
    (uploads / "a").mkdir()
    (uploads / "link").symlink_to(uploads.parent / "secret")
    (uploads / "inner").symlink_to(uploads.parent)
    event = ObjectCreated(bucket=Bucket("uploads", str(uploads)), key=key)
    with pytest.raises(ValueError, match="leads outside of the folder"):
        _ = event.path


def test_created_and_removed_are_told_apart() -> None:
    either = ObjectCreated | ObjectRemoved
    removed = ObjectRemoved(bucket=Bucket("uploads"), key="a.jpg")
    assert msgspec.json.decode(msgspec.json.encode(removed), type=either) == removed
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(removed), type=ObjectCreated)
