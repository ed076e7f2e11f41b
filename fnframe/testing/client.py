"""An app under test: the line that runs it in production, with its clock in the test's hand."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ..app import App
from ..destination import masked
from ..dispatch.acceptance import PREFIX
from ..engine.memory import MemoryEngine
from ..environment.target import load_app
from ..errors import ConfigurationError
from ..hookspecs import hookimpl
from ..runtime.bundle import start_bundle
from ..runtime.run import run_app
from ..trigger import kind_of
from .clock import ManualClock
from .faults import Faults, FaultyEngine
from .heard import Heard
from .in_process import start_in_process
from .turns import all_waiting

if TYPE_CHECKING:
    from ..engine.protocol import DeadLetter, Engine, EngineFactory, EngineOptions
    from ..event import Event
    from ..outcome import Outcome
    from ..runtime.running import Running
    from ..trigger import Trigger

SCHEME = "testing"
LEASE = 3600.0
"""Seconds: leases are extended three times in each, and a month has 86,400 times thirty seconds."""
PATIENCE = 10.0
"""Seconds of real time for what other processes do."""
LONGEST = 30 * 86_400.0


class AppClient:
    """A running app in a test; made by the fixture `app_client`, or by `open_client`.

    `app` is the app, `running` what `app.run()` gives, `clock` its time, `heard` what it told, and `faults` what shall
    go wrong. Time stands still unless `pass_time` or `drained` turns it: what is delayed or tried again waits for that.
    """

    def __init__(self, app: App, running: Running, clock: ManualClock, heard: Heard, faults: Faults) -> None:
        self.app = app
        self.running = running
        self.clock = clock
        self.heard = heard
        self.faults = faults

    async def invoke(self, function: str, data: Any = None, *, event: Event | None = None) -> Outcome:
        """Run a function and wait for its outcome; see `Running.invoke`."""
        return await self.running.invoke(function, data, event=event)

    async def enqueue(self, function: str, data: Any = None, *, event: Event | None = None) -> str:
        """Accept an event for an asynchronous invocation, and return its id; see `Running.enqueue`."""
        return await self.running.enqueue(function, data, event=event)

    async def send(self, queue: str, data: Any, **options: Any) -> str:
        """Send a message to a queue, and return its id; see `QueueProducer.send` for the options."""
        return await self.running.queue(queue).send(data, **options)

    async def publish(self, stream: str, data: Any, *, key: str) -> bool:
        """Publish a record to a stream; see `StreamProducer.publish`."""
        return await self.running.stream(stream).publish(data, key=key)

    async def trigger(self, function: str, event: Event, *, kind: str | None = None) -> Outcome | bool:
        """Hand an event over as the function's trigger does, its filter included.

        The outcome where somebody waits for the answer; else whether it was accepted, and `drained` runs it. `kind`
        says which trigger is meant, where the function has several.
        """
        mapping = self.running.mapping(function, self._trigger_of(function, kind))
        return await (mapping.invoke(event) if mapping.trigger.is_awaited() else mapping.enqueue(event))

    async def at_rest(self) -> None:
        """Return when no function runs, and nothing goes on before the clock does."""
        await all_waiting(lambda: self.heard.in_progress > 0)

    async def pass_time(self, seconds: float | dt.timedelta) -> None:
        """Let time pass, from each moment that somebody waits for to the next, with all that happens there done."""
        end = self.clock.time() + (seconds.total_seconds() if isinstance(seconds, dt.timedelta) else seconds)
        await self.at_rest()
        while (moment := self.clock.next_moment()) is not None and moment <= end:
            self.clock.turn_to(moment)
            await self.at_rest()
        self.clock.turn_to(end)
        await self.at_rest()

    async def drained(self, *, within: float = LONGEST) -> None:
        """Let time pass until every event has come to its end, retries included; fail after `within` seconds of it."""
        end = self.clock.time() + within
        await self.at_rest()
        while not await self.running.is_idle():
            moment = self.clock.next_moment()
            if moment is None or moment > end:
                raise AssertionError(
                    f"after {within:g} seconds there is still work: {await self._left()}\n{self.heard}"
                )
            self.clock.turn_to(moment)
            await self.at_rest()

    async def kill(self, function: str) -> None:
        """Kill, with SIGKILL, the environment in which the function runs now; waits until one does.

        Fails where none does within ten seconds, and where functions run in the test's own process.
        """
        if any(each.isolation == "inline" for each in self.running.manifest.functions if each.name == function):
            raise AssertionError(
                f"function {function!r} runs in the test's own process: open the client with environments=True"
            )
        with anyio.move_on_after(PATIENCE):
            while not (pids := self.running.pool.pids_of(function)):  # noqa: ASYNC110  another process begins it
                await anyio.sleep(0.001)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return
        raise AssertionError(f"function {function!r} did not run within {PATIENCE:g} s: there is nothing to kill")

    async def dead_letters(self, source: str) -> Sequence[DeadLetter]:
        """What a function's own queue, or `"queue:orders"`, gave up on."""
        name = source.removeprefix("queue:") if source.startswith("queue:") else f"{PREFIX}{source}"
        return await self.running.engine.queue(name).dead_letters()

    async def forgotten(self) -> list[str]:
        """What a test should not leave behind, as sentences: work that nobody looked at, faults that were not met."""
        await self.at_rest()
        left = [] if await self.running.is_idle() else [f"{await self._left()}: call `await client.drained()`"]
        return [*left, *self.faults.unmet()]

    async def _left(self) -> str:
        counts = {name: (await self.running.engine.queue(name).statistics()).total for name in await self._queues()}
        waiting = [f"{count} in {name.removeprefix(PREFIX)!r}" for name, count in counts.items() if count]
        return f"what is not done yet is {', '.join(waiting) or 'in a stream'}"

    async def _queues(self) -> list[str]:
        return await self.running.engine.queues()

    def _trigger_of(self, function: str, kind: str | None) -> Trigger:
        definition = self.app.definitions[self.running.dispatcher.function(function).name]
        found = [trigger for trigger in definition.triggers if kind in (None, kind_of(trigger))]
        if len(found) != 1:
            kinds = ", ".join(kind_of(trigger) for trigger in definition.triggers) or "none"
            raise AssertionError(f"function {function!r} has the triggers {kinds}: say which one by kind=...")
        return found[0]


@asynccontextmanager
async def open_client(
    target: App | str,
    *,
    environments: bool = False,
    triggers: Collection[str] | Literal["waiting"] = "waiting",
    plugins: Sequence[object] = (),
    start: dt.datetime | None = None,
    **settings: Any,
) -> AsyncIterator[AppClient]:
    """Run an app for a test.

    `target` is the `App`, or what `fnframe run` takes. By default its functions run in this process: fast, and with
    the test's patches, but with no memory limit, and a `def` handler is not ended at its timeout. With `environments`
    they run in processes of their own, as in production.

    `triggers` are the kinds that are served (`["cron", "queue"]`); by default all but those whose callers wait for an
    answer, HTTP's say: a test calls those functions with `invoke` or `trigger`. The clock shows `start` and then stands
    (default: 2027-01-15 08:00 UTC). `settings` are as for `app.run()`, but that the engine is in memory always: to test
    with another, run the app as it is. Raises `ConfigurationError` where a queue or stream has an engine of its own.
    """
    if "engine" in settings:
        raise ConfigurationError(
            "the client keeps events in memory: to test with another engine, use app.run(engine=...)"
        )
    app = load_app(target) if isinstance(target, str) else target
    clock = ManualClock() if start is None else ManualClock(start.timestamp())
    heard, faults = Heard(), Faults(clock)
    used = {type(trigger) for definition in app.definitions.values() for trigger in definition.triggers}
    unserved = [
        type_
        for type_ in used
        if (type_.invocation_type == "synchronous" if triggers == "waiting" else kind_of(type_) not in triggers)
    ]
    async with run_app(
        app,
        target=target if isinstance(target, str) else None,
        mounted=tuple(unserved),
        plugins=(heard, faults, _Engines(faults), *plugins),
        settings={"lease": LEASE, "grace": 0.0, **settings, "engine": f"{SCHEME}:"},
        clock=clock,
        start=start_bundle if environments else start_in_process,
    ) as running:
        for name, url in running.settings.engines.items():
            if url != "memory:":
                problem = f"{name!r} lies in {masked(url)!r}, which a test should not touch"
                where = running.settings.sources.get(f"engines.{name}")
                raise ConfigurationError(f"{problem}: pass engines={{{name!r}: 'memory:'}}", where=where)
        yield AppClient(app, running, clock, heard, faults)


class _Engines:
    """A plugin object: the engine in memory, which meets faults."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    @hookimpl
    def fnframe_register_engines(self) -> dict[str, EngineFactory]:
        return {SCHEME: self._make}

    def _make(self, url: str, options: EngineOptions) -> Engine:
        return FaultyEngine(MemoryEngine(options), self._faults)  # type: ignore[return-value]
