"""A running app for synchronous programs: its event loop lives in a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from .running import Running, run_app

if TYPE_CHECKING:
    from ..app import App
    from ..event import Event
    from ..function import Manifest
    from ..outcome import Outcome


class RunningInThread:
    """The verbs of `Running`, blocking; may be used from any number of threads."""

    def __init__(self, running: Running, portal: BlockingPortal) -> None:
        self._running = running
        self._portal = portal

    @property
    def manifest(self) -> Manifest:
        """The app's functions and triggers."""
        return self._running.manifest

    def invoke(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> Outcome:
        """Run a function and wait for its outcome; see `Running.invoke`."""
        return self._portal.call(lambda: self._running.invoke(function, data, event=event, payload=payload))

    def enqueue(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> str:
        """Accept an event for an asynchronous invocation; see `Running.enqueue`."""
        return self._portal.call(lambda: self._running.enqueue(function, data, event=event, payload=payload))

    def drained(self) -> None:
        """Wait until no asynchronous event waits or runs."""
        self._portal.call(self._running.drained)


@contextmanager
def run_app_in_thread(app: App, *, target: str | None, settings: Mapping[str, Any]) -> Iterator[RunningInThread]:
    """See `App.run_in_thread`."""
    with start_blocking_portal("asyncio") as portal:
        running = run_app(app, target=target, mounted=(), settings=settings)
        with portal.wrap_async_context_manager(running) as inside:
            yield RunningInThread(inside, portal)
