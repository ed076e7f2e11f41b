"""An event source mapping, as the running app hands it to a trigger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..event import new_id
from ..trigger import State, Trigger, kind_of

if TYPE_CHECKING:
    import msgspec

    from ..event import Event
    from ..function import Function
    from ..outcome import Outcome
    from .running import Running


class BoundMapping:
    """See `fnframe.Mapping`."""

    def __init__(self, running: Running, function: Function, trigger: Trigger, settings: msgspec.Struct) -> None:
        self._running = running
        self._kind = kind_of(trigger)
        self._name = function.name
        self.trigger = trigger
        self.settings = settings
        self.app = running.manifest.app
        self.directory = Path(running.manifest.directory)
        self.grace = running.settings.grace
        self.debug = running.debug
        # Named by what it does, not by its place: a mapping that moves in the file keeps what it remembers.
        self.state: State = running.engine.state(f"mapping:{function.name}:{trigger.identity()}")

    def __repr__(self) -> str:
        return f"<Mapping {self.trigger.describe()} to {self._name}>"

    @property
    def function(self) -> Function:
        return self._running.dispatcher.function(self._name)

    async def invoke(self, event: Event) -> Outcome:
        return await self._running.dispatcher.invoke(self._name, event, new_id(), trigger=self._kind)

    async def enqueue(self, event: Event) -> bool:
        return await self._running.accept(self._name, event, trigger=self._kind)
