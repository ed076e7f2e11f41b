"""Small files in a watched folder, written by another process, until the callback that tells of each.

`burst:` 10,000 as fast as one process can. `steady:` 1,000 in a second, for five seconds. `lost` counts files that
nobody was told of within ten seconds. The folder is on tmpfs where there is one, to keep the disk out of it.

fnframe tells of a file once it is complete, and of each version once; `watchdog` of each time that a file was closed
(`as it comes`: without its filter, which few know of); `watchfiles` that something changed, complete or not; `inotify`
is the limit for Python: a thread that reads the system's own news of closed files, and nothing else.
"""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .harness import ENDINGS, Figures, Goal, case, main

BURST, STEADY, SECONDS = 10_000, 1_000, 5
PATIENCE = 10.0
MEMORY = "/dev/shm"

GOALS = [
    Goal("burst: fnframe, asyncio", "per_s", at_least=20_000, unit="files/s"),
    Goal("burst: fnframe, asyncio", "lost_max", at_most=0, unit="files"),
    Goal("burst: fnframe, trio", "lost_max", at_most=0, unit="files"),
    Goal("steady: fnframe, asyncio", "p99_ms", at_most=5, unit="ms"),
    Goal("steady: fnframe, asyncio", "lost_max", at_most=0, unit="files"),
]

Tell = Callable[[str], None]


def folder() -> Path:
    """A folder that is gone when the case is over."""
    where = tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None)
    ENDINGS.append(where.cleanup)
    uploads = Path(where.name, "uploads")
    uploads.mkdir()
    return uploads


def figures(written: list[float], seen: dict[str, float], twice: int) -> Figures:
    from .filedrop import milliseconds_late

    late = milliseconds_late(seen, written)
    return {
        "per_s": len(seen) / (max(seen.values()) - written[0]),
        "lost_max": float(len(written) - 1 - len(seen)),
        "twice_max": float(twice),
        "p50_ms": late[len(late) // 2],
        "p99_ms": late[len(late) * 99 // 100],
    }


def fnframe(backend: str, count: int, gap: float) -> Figures:
    import anyio
    from fnframe_files import notifier, serving  # noqa: F401  imported late as a rule, which is not measured here

    from .filedrop import Counting, Writer, serve

    uploads = folder()

    async def measure() -> Figures:
        mapping = Counting(uploads.parent, count)
        writer = Writer(uploads, count, gap)
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve, mapping)
            writer.go()
            with anyio.move_on_after(PATIENCE + count * gap):
                await mapping.full.wait()
            tasks.cancel_scope.cancel()
        return figures(writer.moments(), mapping.moments, mapping.twice)

    return anyio.run(measure, backend=backend)


def peer(start: Callable[[Path, Tell], Any], count: int, gap: float) -> Figures:
    """A library that tells from a thread of its own; `start` returns when it listens."""
    from .filedrop import Writer

    uploads = folder()
    seen: dict[str, float] = {}
    told = 0
    full = threading.Event()

    def tell(path: str) -> None:
        nonlocal told
        told += 1
        if (name := path.rpartition("/")[2]) not in seen:
            seen[name] = time.time()
            if len(seen) == count:
                full.set()

    start(uploads, tell)
    writer = Writer(uploads, count, gap)
    writer.go()
    written = writer.moments()
    full.wait(PATIENCE)
    return figures(written, dict(seen), told - len(seen))


def watchdog(uploads: Path, tell: Tell, *, narrow: bool = True) -> None:
    from watchdog.events import FileClosedEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_closed(self, event: Any) -> None:
            tell(event.src_path)

    observer = Observer()
    observer.schedule(Handler(), str(uploads), event_filter=[FileClosedEvent] if narrow else None)
    observer.start()


def watchfiles(uploads: Path, tell: Tell) -> None:
    from watchfiles import watch

    listening = threading.Event()

    def listen() -> None:
        changes = watch(uploads, raise_interrupt=False, debounce=50, step=10, yield_on_timeout=True, rust_timeout=50)
        for some in changes:
            listening.set()
            for _, path in some:
                tell(path)

    threading.Thread(target=listen, daemon=True).start()
    listening.wait()


def inotify(uploads: Path, tell: Tell) -> None:
    from inotify_simple import INotify, flags, parse_events

    notify = INotify()
    notify.add_watch(uploads, flags.CLOSE_WRITE | flags.MOVED_TO)

    def listen() -> None:
        while True:
            for _, _, _, name in parse_events(os.read(notify.fileno(), 1 << 18)):
                tell(name)

    threading.Thread(target=listen, daemon=True).start()


PEERS: dict[str, Callable[[Path, Tell], None]] = {
    "watchdog": watchdog,
    "watchdog, as it comes": functools.partial(watchdog, narrow=False),
    "watchfiles": watchfiles,
    "inotify": inotify,
}


def register(group: str, count: int, gap: float) -> None:
    for backend in ("asyncio", "trio"):
        case(f"{group}: fnframe, {backend}")(lambda backend=backend: fnframe(backend, count, gap))
    for name, start in PEERS.items():
        case(f"{group}: {name}")(lambda start=start: peer(start, count, gap))


register("burst", BURST, 0.0)
register("steady", STEADY * SECONDS, 1 / STEADY)

if __name__ == "__main__":
    columns = {
        "per_s": "files/s",
        "lost_max": "lost",
        "twice_max": "told again",
        "p50_ms": "p50 ms",
        "p99_ms": "p99 ms",
    }
    main(__spec__, GOALS, columns)
