"""What a function writes into the folder that it watches, and functions that feed each other through one."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from fnframe_files import Files
from fnframe_files.notes import KEPT

from fnframe import ConfigurationError, Function, RecursionStopped

pytestmark = pytest.mark.anyio

BOTH = ("created", "removed")


@pytest.fixture(params=[None, 0.01], ids=["inotify", "polling"])
def trigger(request: pytest.FixtureRequest) -> Files:
    return Files("uploads", events=BOTH, settle=0.02, poll=request.param)


async def test_a_function_is_not_told_of_what_it_wrote_but_others_are(kit: Any, trigger: Files, uploads: Path) -> None:
    writer = kit.Recorder(trigger, uploads.parent, function="writer")
    reader = kit.Recorder(trigger, uploads.parent, function="reader")
    fence = kit.Fence(writer, uploads)
    async with kit.serving(writer, reader):
        (uploads / "a").write_text("x")
        await kit.until(lambda: writer.created == reader.created == ["a"])
        bucket = writer.objects[0].bucket
        bucket.put("b", b"x")
        bucket.put("deep/c", b"x")
        bucket.put("a", b"new")
        await kit.until(lambda: sorted(reader.created) == ["a", "a", "b", "deep/c"])
        await fence()
        assert writer.created == ["a", "fence-1.jpg"]
        (uploads / "b").write_text("somebody else's")
        await kit.until(lambda: writer.created[2:] == ["b"])
        (uploads / "deep" / "c").rename(uploads / "d")
        await kit.until(lambda: "d" in writer.created)
        bucket.delete("a")
        await kit.until(lambda: "a" in writer.removed)


async def test_all_buckets_of_a_function_count_as_its_own(kit: Any, trigger: Files, uploads: Path) -> None:
    """One of them lies in the other."""
    (uploads / "raw").mkdir()
    outer = kit.Recorder(trigger, uploads.parent)
    inner = kit.Recorder(Files("uploads/raw", settle=0.02, poll=trigger.poll), uploads.parent)
    async with kit.serving(outer, inner):
        (uploads / "raw" / "a").write_text("x")
        await kit.until(lambda: outer.created == ["raw/a"] and inner.created == ["a"])
        outer.objects[0].bucket.put("raw/b", b"x")
        inner.objects[0].bucket.put("c", b"x")
        (uploads / "raw" / "end").write_text("x")
        await kit.until(lambda: outer.created[1:] == ["raw/end"] and inner.created[1:] == ["end"])


async def test_what_was_written_while_nobody_looked_is_known_too(kit: Any, trigger: Files, uploads: Path) -> None:
    (uploads / "a").write_text("x")
    first = kit.Recorder(trigger, uploads.parent)
    async with kit.serving(first):
        pass
    first.objects[0].bucket.put("b", b"x")
    second = kit.Recorder(trigger, uploads.parent, state=first.state)
    async with kit.serving(second):
        assert second.created == []
    assert set(second.state.values) == {"a", "b"}


@pytest.mark.parametrize(
    ("destination", "options", "loops"),
    [
        ("file:uploads/failed.jsonl", {}, True),
        ("file:other/../uploads/deep/failed.jsonl", {}, True),
        ("file:uploads/.failed.jsonl", {}, False),
        ("file:uploads/deep/failed.jsonl", {"recursive": False}, False),
        ("file:uploads/failed.jsonl", {"pattern": "*.jpg"}, False),
        ("file:uploads/failed.jsonl", {"filter": {"data": {"key": [{"suffix": ".jpg"}]}}}, False),
        ("file:uploads.jsonl", {}, False),
        ("queue:uploads", {}, False),
    ],
)
async def test_records_of_what_failed_are_no_objects_that_fail(
    kit: Any, uploads: Path, destination: str, options: dict[str, Any], loops: bool
) -> None:
    mapping = kit.Recorder(Files("uploads", **options), uploads.parent)
    mapping.function = Function(name="thumbnail", where="app.py:7", on_failure=destination)
    if not loops:
        async with kit.serving(mapping):
            return
    words = f"app.py:7: function 'thumbnail': on_failure='{destination}' is among the objects of its own Files"
    with pytest.raises(ConfigurationError, match=words):
        await Files.run_all([mapping], task_status=anyio.TASK_STATUS_IGNORED)


async def test_a_chain_through_a_folder_is_stopped(
    kit: Any, trigger: Files, uploads: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two functions that feed each other: each hop counts, as it does for functions that enqueue one another."""

    class Limited(kit.Recorder):
        async def enqueue(self, event: Any) -> bool:
            if event.depth > 4:
                raise RecursionStopped(self.function.name, event.depth)
            new = await super().enqueue(event)
            # What the function would do.
            self.objects[-1].bucket.put("a", str(event.depth).encode())
            return new

    ping = Limited(trigger, uploads.parent, function="ping")
    pong = Limited(trigger, uploads.parent, function="pong")
    with caplog.at_level(logging.ERROR):
        async with kit.serving(ping, pong):
            ping.events.clear()
            (uploads / "a").write_text("x")
            await kit.until(lambda: "is not delivered" in caplog.text)
    assert "'a' is not delivered: event for 'p" in caplog.text
    assert max(event.depth for event in [*ping.events, *pong.events]) == 4


async def test_notes_and_parts_are_swept_when_they_are_old(kit: Any, uploads: Path) -> None:
    mapping = kit.Recorder(Files("uploads"), uploads.parent)
    mapping.settings = Files.Settings(reconcile=0.05)
    notes = uploads / "deep" / ".fnframe-notes"
    (uploads / "a").write_text("x")
    async with kit.serving(mapping):
        mapping.objects[0].bucket.put("deep/b", b"x")
        await kit.until(lambda: "deep/b" in mapping.state.values)
        (note,) = notes.iterdir()
        old = notes.parent / ".fnframe-part-0123456789abcdef"
        young = notes.parent / ".fnframe-part-fedcba9876543210"
        kept = notes.parent / ".fnframe-settings"
        for path in (old, young, kept):
            path.write_text("x")
        long_ago = time.time() - KEPT - 1
        for path in (note, old, kept, notes):
            os.utime(path, (long_ago, long_ago))
        await kit.until(lambda: not old.exists() and not note.exists())
        os.utime(notes, (long_ago, long_ago))
        await kit.until(lambda: not notes.exists())
        assert young.exists()
        assert kept.exists()
        assert mapping.created == ["a"]


LOOPS = """
from fnframe import App
from fnframe_files import Files, ObjectCreated

app = App("loops")


@app.function(Files("uploads", "*.txt"))
def copy(event: ObjectCreated) -> None:
    event.bucket.put(f"copy-of-{event.key}", event.read())
    event.bucket.put(event.key, event.read() + b"!")
"""


def test_a_function_that_writes_into_its_own_folder_does_not_feed_itself(uploads: Path) -> None:
    """The real thing: the function runs in its environment, and it is idle when it did the one that was there."""
    (uploads.parent / "app.py").write_text(LOOPS)
    (uploads / "a.txt").write_text("x")
    command = [sys.executable, "-m", "fnframe.cli", "run", "app.py", "--until-idle"]
    for summary in ("1 event: 1 succeeded", "nothing new"):
        run = subprocess.run(command, cwd=uploads.parent, capture_output=True, text=True, timeout=150, check=False)
        assert summary in run.stdout, run.stdout + run.stderr
    assert {path.name: path.read_text() for path in uploads.glob("*.txt")} == {"a.txt": "x!", "copy-of-a.txt": "x"}
