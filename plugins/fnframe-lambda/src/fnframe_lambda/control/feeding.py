"""Polling for event source mappings, as long as the app serves its triggers."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import anyio

from fnframe import FunctionNotFound

from .served import served_name

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from .plane import Plane
    from .records import EventSource

log = logging.getLogger("fnframe.lambda")

Wanted = tuple[str, "EventSource"]
"""What is polled for: the function as it is served, and the mapping."""


class Feeding:
    """Has a poller for each mapping that is enabled and whose function is there."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._changed = anyio.Event()
        self._pollers: dict[str, _Poller] = {}

    def changed(self) -> None:
        """Look again what is to be polled."""
        self._changed.set()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Poll until cancelled; ready when it polls for the mappings that there are.

        What a poller holds in the end is finished, or given back.
        """
        is_ready = False
        async with anyio.create_task_group() as tasks:
            while True:
                self._changed = changed = anyio.Event()
                wanted = self._wanted()
                for uuid, poller in list(self._pollers.items()):
                    if wanted.get(uuid) != poller.wanted:
                        poller.scope.cancel()
                        await poller.ended.wait()  # Its successor would compete with it for the same messages.
                        del self._pollers[uuid]
                for uuid, each in wanted.items():
                    if uuid not in self._pollers:
                        self._pollers[uuid] = poller = _Poller(each)
                        tasks.start_soon(partial(poller.run, self._plane))
                if not is_ready:
                    is_ready = True
                    for poller in self._pollers.values():
                        await poller.begun.wait()
                    task_status.started()
                await changed.wait()

    def _wanted(self) -> dict[str, Wanted]:
        wanted: dict[str, Wanted] = {}
        for mapping in self._plane.store.mappings.values():
            name = self._served(mapping)
            if mapping.enabled and name is not None:
                wanted[mapping.uuid] = name, mapping
        return wanted

    def _served(self, mapping: EventSource) -> str | None:
        record = self._plane.store.functions.get(mapping.function)
        if record is None:
            return mapping.function if self._plane.declared(mapping.function) is not None else None
        configuration = record.version(mapping.qualifier)
        return None if configuration is None else served_name(record, configuration.version)


class _Poller:
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.scope = anyio.CancelScope()
        self.begun = anyio.Event()
        self.ended = anyio.Event()

    async def run(self, plane: Plane) -> None:
        from .sources import FromQueue, trigger_of  # Few apps have any: their start shall not take longer for it.

        function, event_source = self.wanted
        trigger = trigger_of(event_source)
        mapping = plane.running.mapping(function, trigger)
        source = mapping.queue(trigger.name) if isinstance(trigger, FromQueue) else mapping.stream(trigger.name)
        try:
            with self.scope:
                async with anyio.create_task_group() as tasks:
                    await tasks.start(partial(mapping.poll, source))
                    self.begun.set()
        except* FunctionNotFound:  # It was deleted just now.
            log.info("event source mapping %s: its function is gone", event_source.uuid)
        finally:
            self.begun.set()  # Where there is no function: nobody waits for it.
            self.ended.set()
