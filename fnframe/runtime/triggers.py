"""The running triggers of an app, one service for each kind."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from ..environment import failure
from ..errors import ConfigurationError, FnframeError, TriggerFailed
from ..lifespan import Serves
from ..polled import PolledTrigger
from ..trigger import Trigger, kind_of
from .mapping import BoundMapping

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

    from ..function import Manifest
    from .running import Running

log = logging.getLogger("fnframe")

PATIENCE = 10.0
"""Seconds after which somebody is told of a trigger that is not ready."""
LINGER = 2.0
"""Seconds after which somebody is told of one that does not end."""


class Triggers:
    """Starts, restarts and stops triggers. Those whose kind is in `mounted` are served by somebody else."""

    def __init__(self, running: Running, tasks: TaskGroup, mounted: frozenset[str]) -> None:
        self._running = running
        self._tasks = tasks
        self._mounted = mounted
        self._which: Serves = "none"
        self._services: dict[str, _Service] = {}
        self.companions: list[tuple[Callable[..., Any], bool]] = []
        """What plugins run beside the triggers, and whether it polls; begun with those that are served."""

    @property
    def started(self) -> list[tuple[str, str]]:
        """Function and what its trigger said when it was ready, for each mapping that is served."""
        return [each for service in self._services.values() for each in service.started]

    def mappings(self, kind: type[Trigger]) -> list[BoundMapping]:
        """The event source mappings of one type of trigger, in the order of the app's declarations."""
        return [
            self.mapping(function.name, msgspec.json.decode(spec.fields, type=kind))
            for function in self._running.manifest.functions
            for spec in function.triggers
            if spec.kind == kind_of(kind)
        ]

    def mapping(self, function: str, trigger: Trigger) -> BoundMapping:
        """A trigger and a function, bound together with the settings of the trigger's type."""
        settings = self._running.settings.tables.get(kind_of(trigger)) or trigger.Settings()
        return BoundMapping(self._running, function, trigger, settings)

    async def serve(self, which: Serves) -> None:
        """Start the triggers: all, or those whose events can wait outside. Returns when they are ready."""
        self._which = which
        kinds = sorted(_specs_by_kind(self._running.manifest), key=lambda kind: (self._has_backlog(kind), kind))
        for kind in kinds:
            await self._start(kind)
        for number, (run, polls) in enumerate(self.companions):
            if which == "all" or (which == "backlog" and polls):
                told = await self._tasks.start(self._run_companion, f"companion {number}", run, polls)
                if told is not None:
                    self._services[f"companion {number}"].started = [told]

    async def serve_anew(self, old: Manifest) -> None:
        """Restart the triggers of the kinds whose mappings a reload changed."""
        before, after = _specs_by_kind(old), _specs_by_kind(self._running.manifest)
        for kind in sorted({*before, *after}):
            service = self._services.get(kind)
            if service is not None and before.get(kind) == after.get(kind):
                continue
            if service is not None:
                service.scope.cancel()
                await service.ended.wait()  # What it holds, a port say, its successor needs.
            if kind in after:
                await self._start(kind)

    async def stop(self, which: Literal["fed", "all"]) -> None:
        """Stop them, or those alone that bring in what is new (not what polls), and wait until they have ended what
        they accepted."""
        services = [service for service in self._services.values() if which == "all" or not service.polls]
        for service in services:
            service.scope.cancel()
        for service in services:
            await service.ended.wait()

    async def tell_who_does_not_end(self) -> None:
        """Name the triggers that have not ended a moment after they were cancelled: the app cannot end before them."""
        with anyio.move_on_after(LINGER, shield=True):
            for service in list(self._services.values()):
                await service.ended.wait()
        told = "%s has not ended although it was cancelled, and the end of the app waits for it: it must let that pass"
        for kind in self._services:
            log.error(told, self._named(kind))

    def _named(self, kind: str) -> str:
        """The triggers of a kind, with their functions; what a plugin runs beside them by its own name."""
        named = [
            f"{spec.text} of function {function.name!r}"
            for function in self._running.manifest.functions
            for spec in function.triggers
            if spec.kind == kind
        ]
        return f"the trigger {', '.join(named)}" if named else f"what a plugin runs ({kind})"

    def _has_backlog(self, kind: str) -> bool:
        """Those begin last: when a port is taken, no file was handled in vain."""
        return kind not in self._mounted and self._type_of(kind).has_backlog

    async def _start(self, kind: str) -> None:
        if kind in self._mounted:
            return
        type_ = self._type_of(kind)
        if self._which == "all" or (self._which == "backlog" and type_.has_backlog):
            starting = anyio.CancelScope()
            self._tasks.start_soon(self._tell_who_is_late, kind, starting)
            try:
                await self._tasks.start(self._run, type_)
            finally:
                starting.cancel()

    async def _tell_who_is_late(self, kind: str, starting: anyio.CancelScope) -> None:
        """One that looks through a large folder may take its time; one that never says a word would never be found."""
        with starting:
            while True:
                await anyio.sleep(PATIENCE)
                told = "%s did not say within %g s that it is ready, and the app waits for it (`task_status.started()`)"
                log.warning(told, self._named(kind), PATIENCE)

    async def _run(self, type_: type[Trigger], *, task_status: TaskStatus[None]) -> None:
        kind = kind_of(type_)
        mappings = self.mappings(type_)
        self._services[kind] = service = _Service(polls=issubclass(type_, PolledTrigger))
        try:
            with service.scope:
                async with anyio.create_task_group() as tasks:
                    texts = await tasks.start(_run_all, type_, mappings)
                    service.started = _by_function(mappings, texts)
                    task_status.started()
        except BaseExceptionGroup as group:
            error = only(group)
            if isinstance(error, FnframeError) or not isinstance(error, Exception):
                raise error from None
            raise _failed(error, mappings) from error
        finally:
            if self._services.get(kind) is service:
                del self._services[kind]
            service.ended.set()

    async def _run_companion(
        self, name: str, run: Callable[..., Any], polls: bool, *, task_status: TaskStatus[Any]
    ) -> None:
        self._services[name] = service = _Service(polls=polls)
        try:
            with service.scope:
                await run(task_status=task_status)
        finally:
            del self._services[name]
            service.ended.set()

    def _type_of(self, kind: str) -> type[Trigger]:
        registered = self._running.plugins.trigger_types
        type_ = registered.get(kind) or self._running.embedded_trigger(kind)
        if type_ is not None:
            return type_
        function = next(f for f in self._running.manifest.functions for spec in f.triggers if spec.kind == kind)
        raise ConfigurationError(
            f"function {function.name!r} has a trigger of the kind {kind!r}, which no installed plugin registers "
            f"(registered: {', '.join(sorted(registered)) or 'none'}). Install its plugin; for a trigger of your own, "
            "register it in fnframe_plugins.py beside the app: def fnframe_register_triggers(): return [YourTrigger]",
            where=function.where,
        )


class _Service:
    """The running triggers of one kind, or what a plugin runs beside them."""

    def __init__(self, *, polls: bool = False) -> None:
        self.polls = polls
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.started: list[tuple[str, str]] = []


async def _run_all(type_: type[Trigger], mappings: list[BoundMapping], *, task_status: TaskStatus[Any]) -> None:
    await type_.run_all(mappings, task_status=task_status)


def _by_function(mappings: list[BoundMapping], texts: Any) -> list[tuple[str, str]]:
    if not isinstance(texts, (list, tuple)) or len(texts) != len(mappings):
        raise TypeError(f"run_all must call task_status.started() with {len(mappings)} text(s), one for each mapping")
    return [(mapping.function.name, str(text)) for mapping, text in zip(mappings, texts, strict=True)]


def _failed(error: Exception, mappings: list[BoundMapping]) -> TriggerFailed:
    """What a trigger's own code raised, with the trigger's name and the line."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    triggers = ", ".join(f"{mapping.trigger.describe()} of function {mapping.function.name!r}" for mapping in mappings)
    stack = [*failure.stack_of(error), *traceback.format_exception_only(error)]
    return TriggerFailed(
        f"the trigger {triggers}",
        f"{type(error).__name__}: {failure.text_of(error)}",
        where=failure.where_of(error, mappings[0].directory),
        traceback="".join(stack),
    )


def _specs_by_kind(manifest: Manifest) -> dict[str, list[tuple[str, bytes]]]:
    specs: dict[str, list[tuple[str, bytes]]] = {}
    for function in manifest.functions:
        for spec in function.triggers:
            specs.setdefault(spec.kind, []).append((function.name, spec.fields))
    return specs


def only(error: BaseException) -> BaseException:
    """The one exception of a group of one: the caller's own, or a trigger's, as it was raised."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
