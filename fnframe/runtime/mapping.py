"""An event source mapping, as the running app hands it to a trigger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..event import new_id, now
from ..filter.documents import compile_event_filter
from ..outcome import FILTERED, Report, Success
from ..trigger import State, Trigger, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec
    from anyio.abc import TaskStatus

    from ..engine.protocol import Queue, Stream
    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome
    from .running import Running


class BoundMapping:
    """See `fnframe.Mapping`."""

    def __init__(self, running: Running, function: str, trigger: Trigger, settings: msgspec.Struct) -> None:
        self._running = running
        self._kind = kind_of(trigger)
        self._name = function
        self.trigger = trigger
        self.settings = settings
        self.app = running.manifest.app
        self.directory = Path(running.manifest.directory)
        self.grace = running.settings.grace
        self.debug = running.debug
        self.shared = running.shared
        self.clock = running.clock
        self._fits: Callable[[Event], bool] | None = None
        if trigger.filter is not None:
            self._fits = compile_event_filter(trigger.filter, trigger.document)
        # Named by what it does, not by its place: a mapping that moves in the file keeps what it remembers, and so does
        # one of another version of the function.
        title = running.dispatcher.function(function).title if running.dispatcher.serves(function) else function
        self.state: State = running.engine.state(f"mapping:{title}:{trigger.identity()}")

    def __repr__(self) -> str:
        return f"<Mapping {self.trigger.describe()} to {self._name}>"

    @property
    def function(self) -> Function:
        return self._running.dispatcher.function(self._name)

    async def invoke(self, event: Event, *, fresh: bool = False) -> Outcome:
        if not self.passes(event):
            return Success(b"null", self._filtered(event))
        request_id = event.id if fresh else new_id()
        return await self._running.dispatcher.invoke(self._name, event, request_id, trigger=self._kind)

    async def enqueue(self, event: Event, *, group: str | None = None, fresh: bool = False) -> bool:
        if not self.passes(event):
            return True
        return await self._running.accept(self._name, event, trigger=self._kind, group=group, fresh=fresh)

    def passes(self, event: Event) -> bool:
        if self._fits is None or self._fits(event):
            return True
        if self._running.filtered is not None:
            self._running.filtered(self.function, event, self._kind)
        return False

    async def is_pending(self, source: str, event_id: str) -> bool:
        return await self._running.is_pending(self._name, source, event_id)

    def queue(self, name: str) -> Queue:
        return self._running.engine.queue(name)

    def stream(self, name: str) -> Stream:
        return self._running.engine.stream(name)

    async def poll(self, source: Queue | Stream, *, task_status: TaskStatus[str]) -> None:
        await self._running.delivery.poll(self, source, task_status=task_status)

    def _filtered(self, event: Event) -> Report:
        """Nothing ran and nothing was used; nobody is billed for it, since no observer hears this report."""
        return Report(
            request_id=new_id(),
            function=self._name,
            trigger=self._kind,
            invocation_type="synchronous",
            attempt=1,
            outcome=FILTERED,
            started_at=now(),
            queued_ms=0.0,
            init_duration_ms=None,
            duration_ms=0.0,
            memory_size_mb=self.function.memory,
            max_memory_used_mb=None,
            memory_method="unavailable",
            cpu_ms=None,
            environment_id="",
            event_id=event.id,
        )
