"""Many changes at once, in any order, and more than the system remembers."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from fnframe_files import Files, ObjectCreated
from hypothesis import given, settings
from hypothesis import strategies as st

BOTH = ("created", "removed")


@pytest.mark.anyio
async def test_a_burst_of_files_and_each_is_told_of_once(kit: Any, uploads: Path) -> None:
    mapping = kit.Recorder(Files("uploads"), uploads.parent)
    script = (
        "d=$1; for i in $(seq 500); do mkdir -p $d/$((i % 7))/$((i % 3)); echo $i > $d/$((i % 7))/$((i % 3))/$i; done"
    )
    async with kit.serving(mapping):
        async with await anyio.open_process(["sh", "-c", script, "sh", str(uploads)]) as process:
            await process.wait()
        await kit.until(lambda: len(mapping.created) >= 500)
        await kit.Fence(mapping, uploads)()
    told = {found.key: found.etag for found in mapping.objects}
    assert len(mapping.created) == len(told) == 501
    assert told == {key: kit.etag_of(uploads / key) for key in told}


@pytest.mark.anyio
async def test_what_the_system_forgot_to_tell_is_found(
    kit: Any, uploads: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The system remembers 16,384 changes; here the reader is stalled while more than that happen."""
    remembered = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if remembered > 100_000:
        pytest.skip("it would take long to make more happen than this system remembers")
    mapping = kit.Recorder(Files("uploads", events=BOTH), uploads.parent)
    (uploads / "changed").write_text("x")
    (uploads / "removed").write_text("x")
    (uploads / ".1").write_text("x")
    with caplog.at_level(logging.WARNING):
        async with kit.serving(mapping):
            for _ in range(remembered // 4 + 1):
                (uploads / ".1").rename(uploads / ".2")
                (uploads / ".2").rename(uploads / ".1")
            (uploads / "changed").write_text("more")
            (uploads / "removed").unlink()
            (uploads / "deep" / "er").mkdir(parents=True)
            (uploads / "deep" / "er" / "new").write_text("x")
            await kit.until(lambda: len(mapping.events) >= 5)
            (uploads / "deep" / "er" / "newer").write_text("x")
            await kit.until(lambda: "deep/er/newer" in mapping.created)
    assert sorted(mapping.created) == ["changed", "changed", "deep/er/new", "deep/er/newer", "removed"]
    assert mapping.removed == ["removed"]
    assert "more happened in the folders than the system remembers" in caplog.text


# Any order of what people and programs do to files. `a` to `c` are folders, `x` to `z` files in them.
folders = st.sampled_from(["", "a/", "b/", "a/c/"])
files = st.builds(str.__add__, folders, st.sampled_from(["x", "y", "z"]))
contents = st.binary(max_size=3)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("write"), files, contents),
        st.tuples(st.just("append"), files, contents),
        st.tuples(st.just("open"), files, contents),
        st.tuples(st.just("close"), files),
        st.tuples(st.just("replace"), files, contents),
        st.tuples(st.just("rename"), files, files),
        st.tuples(st.just("link"), files, files),
        st.tuples(st.just("delete"), files),
        st.tuples(st.just("move"), folders, folders),
        st.tuples(st.just("move in"), folders, contents),
        st.tuples(st.just("move out"), folders),
        st.tuples(st.just("move back")),
        st.tuples(st.just("pause")),
    ),
    max_size=25,
)


class Hands:
    """Does the operations, and notes each version of a file that was there complete."""

    def __init__(self, root: Path, etag_of: Any) -> None:
        self.root = root / "uploads"
        self.aside = root / "aside"
        self.root.mkdir()
        self.aside.mkdir()
        self.opened: dict[str, Any] = {}
        self.whole: set[str] = set()
        self._etag_of = etag_of
        self._number = 0
        self._out: list[tuple[Path, str]] = []

    def do(self, operation: tuple[Any, ...]) -> None:
        name, *arguments = operation
        try:
            getattr(self, "_" + name.replace(" ", "_"))(*arguments)
        except OSError:
            pass  # No file of that name to remove, a folder where a file was meant: nothing happened.
        writing = {os.fstat(file.fileno()).st_ino for file in self.opened.values()}
        for path in self.root.rglob("*"):
            if path.is_file() and path.stat().st_ino not in writing:
                self.whole.add(self._etag_of(path))

    def close(self) -> None:
        for key in list(self.opened):
            self.do(("close", key))

    def present(self) -> dict[str, str]:
        return {str(p.relative_to(self.root)): self._etag_of(p) for p in self.root.rglob("*") if p.is_file()}

    def _path(self, key: str) -> Path:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _alone(self, key: str) -> Path:
        """A change through one of several links is told of that one only; the others are found by looking."""
        path = self._path(key)
        if path.exists() and path.stat().st_nlink > 1:
            raise FileExistsError(path)
        return path

    def _fresh(self) -> Path:
        self._number += 1
        return self.aside / str(self._number)

    def _write(self, key: str, content: bytes) -> None:
        self._alone(key).write_bytes(content)

    def _append(self, key: str, content: bytes) -> None:
        with self._alone(key).open("ab") as file:
            file.write(content)

    def _open(self, key: str, content: bytes) -> None:
        if key not in self.opened:
            self.opened[key] = self._alone(key).open("wb", buffering=0)
        self.opened[key].write(content)

    def _close(self, key: str) -> None:
        if key in self.opened:
            self.opened[key].write(b"end")
            self.opened.pop(key).close()

    def _replace(self, key: str, content: bytes) -> None:
        new = self._fresh()
        new.write_bytes(content)
        new.replace(self._path(key))

    def _rename(self, key: str, other: str) -> None:
        (self.root / key).rename(self._path(other))

    def _link(self, key: str, other: str) -> None:
        self._path(other).hardlink_to(self.root / key)

    def _delete(self, key: str) -> None:
        (self.root / key).unlink()

    def _move(self, folder: str, other: str) -> None:
        (self.root / folder).rename(self._path(other + "moved"))

    def _move_in(self, folder: str, content: bytes) -> None:
        new = self._fresh()
        (new / "deep").mkdir(parents=True)
        (new / "deep" / "x").write_bytes(content)
        (new / "y").write_bytes(content)
        new.rename(self._path(folder + "in"))

    def _move_out(self, folder: str) -> None:
        if folder:
            new = self._fresh()
            (self.root / folder).rename(new)
            self._out.append((new, folder))

    def _move_back(self) -> None:
        if self._out:
            new, folder = self._out.pop()
            new.rename(self._path(folder.rstrip("/")))


def _wrongly_told(mapping: Any, whole: set[str]) -> list[Any]:
    """Versions that never were complete, and those told of twice in a row."""
    last: dict[str, Any] = {}
    wrong = []
    for found in mapping.objects:
        before = last.get(found.key)
        twice = type(before) is type(found) and before.etag == found.etag
        if twice or found.etag not in whole or (before is None and not isinstance(found, ObjectCreated)):
            wrong.append((found, before))
        last[found.key] = found
    return wrong


def _told(mapping: Any) -> dict[str, str]:
    """What somebody believes to be there who believes the events."""
    present: dict[str, str] = {}
    for found in mapping.objects:
        if isinstance(found, ObjectCreated):
            present[found.key] = found.etag
        else:
            present.pop(found.key, None)
    return present


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(operations=operations, at_once=st.booleans())
@settings(max_examples=60)
def test_whatever_happens_the_events_tell_what_is_there(
    kit: Any, backend: str, operations: list[Any], at_once: bool
) -> None:
    """`at_once`: from a thread, while the trigger is at work; otherwise it sees what a few operations left."""

    async def scenario(root: Path) -> None:
        hands = Hands(root, kit.etag_of)
        mapping = kit.Recorder(Files("uploads", events=BOTH, settle=0.01), root)
        async with kit.serving(mapping):
            for operation in operations:
                if operation == ("pause",):
                    await anyio.wait_all_tasks_blocked()
                elif at_once:
                    await anyio.to_thread.run_sync(hands.do, operation)
                else:
                    hands.do(operation)
            hands.close()
            await kit.until(lambda: _told(mapping) == hands.present(), 5)
        assert _wrongly_told(mapping, hands.whole) == []
        again = kit.Recorder(mapping.trigger, root, state=mapping.state)
        async with kit.serving(again):
            assert again.events == []

    with tempfile.TemporaryDirectory() as folder:
        anyio.run(scenario, Path(folder).resolve(), backend=backend)
