from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from fnframe_files import Files, ObjectCreated, ObjectRemoved, notifier  # noqa: F401  while it may be read: some tests are nobody
from fnframe_files.version import Version, version_of

from fnframe import Event, Function, QueueFull

Object = ObjectCreated | ObjectRemoved


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


class Values:
    """`fnframe.State` in a dictionary."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> None:
        key.encode()
        self.values[key] = value

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        if self.values.get(key) != expected:
            return False
        self.values[key] = value
        return True

    async def delete(self, key: str) -> None:
        self.values.pop(key, None)

    async def items(self, prefix: str = "") -> list[tuple[str, bytes]]:
        return sorted(item for item in self.values.items() if item[0].startswith(prefix))


class Recorder:
    """`fnframe.Mapping` that notes what is enqueued: accepts `bound` events, and each id once."""

    settings = Files.Settings()
    app = "test"
    debug = False

    def __init__(
        self, trigger: Files, directory: Path, *, function: str = "thumbnail", state: Values | None = None
    ) -> None:
        self.trigger = trigger
        self.directory = directory
        self.function = Function(name=function, where="test")
        self.state = state or Values()
        self.bound = 1_000_000
        self.refused = 0
        self.events: list[Event] = []
        self.texts = ""

    async def enqueue(self, event: Event) -> bool:
        await anyio.lowlevel.checkpoint()
        if len(self.events) >= self.bound:
            self.refused += 1
            raise QueueFull("function:thumbnail", self.bound)
        new = event.id not in {known.id for known in self.events[-1000:]}
        if new:
            self.events.append(event)
        return new

    async def invoke(self, event: Event) -> Any:
        raise AssertionError("files are enqueued")

    @property
    def objects(self) -> list[Object]:
        return [msgspec.json.decode(event.data, type=Object) for event in self.events]

    @property
    def created(self) -> list[str]:
        return [found.key for found in self.objects if isinstance(found, ObjectCreated)]

    @property
    def removed(self) -> list[str]:
        return [found.key for found in self.objects if isinstance(found, ObjectRemoved)]


@asynccontextmanager
async def serving(*mappings: Recorder) -> AsyncIterator[Any]:
    """Run the triggers of these mappings, as the running app does."""
    async with anyio.create_task_group() as tasks:
        texts = await tasks.start(_run, mappings)
        for mapping, text in zip(mappings, texts, strict=True):
            mapping.texts = text
        yield texts
        tasks.cancel_scope.cancel()


async def _run(mappings: tuple[Recorder, ...], *, task_status: Any) -> None:
    await Files.run_all(mappings, task_status=task_status)


async def until(fact: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a fact; tells on failure what was there instead."""
    with anyio.move_on_after(seconds):
        while not fact():
            await anyio.sleep(0.002)
        return
    raise AssertionError(f"did not come true in {seconds} s")


class Fence:
    """Shows that all that happened before has been dealt with."""

    def __init__(self, mapping: Recorder, folder: Path) -> None:
        self._mapping = mapping
        self._folder = folder
        self._number = 0

    async def __call__(self) -> None:
        self._number += 1
        name = f"fence-{self._number}.jpg"
        (self._folder / name).write_text("fence")
        await until(lambda: name in self._mapping.created)


def etag_of(path: Path) -> str:
    version: Version = version_of(path.stat())
    return version.etag()


class Kit:
    """What the tests share, since test modules cannot import each other."""

    Recorder = Recorder
    Values = Values
    Fence = Fence
    serving = staticmethod(serving)
    until = staticmethod(until)
    etag_of = staticmethod(etag_of)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder
