"""A running app for synchronous programs: its event loop lives in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from ..environment.process import ProcessEnvironment, is_spent
from .producers import QueueInThread, StreamInThread
from .run import run_app
from .running import Running, asked

if TYPE_CHECKING:
    from ..app import App
    from ..environment.invocation import Invocation
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

    def __getattr__(self, name: str) -> Any:
        """What a plugin's lifespan offers, with blocking verbs."""
        return _Blocking(self._running.service(name), self._portal)

    def invoke(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> Outcome:
        """Run a function and wait for its outcome; see `Running.invoke`."""
        running = self._running
        running.check_running()
        environment = running.pool.borrow(function)
        if environment is None:
            outcome: Outcome = self._portal.call(self._invoke_and_lend, function, data, event, payload)
            return outcome
        try:
            outcome = running.dispatcher.invoke_blocking(
                function, *asked(data, event, payload), lambda invocation: self._exchange(environment, invocation)
            )
        finally:
            if running.pool.give_back(environment):
                self._portal.call(running.pool.retrieve, environment)
        if running.dispatcher.hold is not None:
            self._portal.call(running.dispatcher.hold, outcome.report)
        return outcome

    async def _invoke_and_lend(self, function: str, data: Any, event: Event | None, payload: bytes | None) -> Outcome:
        """The way through the event loop; afterwards an environment is there for this thread's next invocation."""
        outcome = await self._running.invoke(function, data, event=event, payload=payload)
        self._running.pool.lend(function)
        return outcome

    def _exchange(self, environment: ProcessEnvironment, invocation: Invocation) -> None:
        """Run the invocation in this thread: a hop through the loop's thread would cost more than the rest."""
        portal, pool = self._portal, self._running.pool
        environment.begin_blocking(invocation)
        if pool.is_asleep:
            portal.call(pool.wake)
        try:
            answered = environment.exchange_blocking(
                invocation,
                lambda send: portal.call(self._running.deliver, invocation, send),
                lambda pending: portal.call(environment.drain_output, pending),
            )
        except BaseException:  # Ctrl-C in the caller's thread.
            portal.call(pool.settle, environment, invocation, "cancelled")
            raise
        if not answered:
            portal.call(pool.settle, environment, invocation, "exit")
        elif is_spent(invocation.reply):
            portal.call(environment.kill, "spent")

    def enqueue(
        self, function: str, data: Any = None, *, event: Event | None = None, payload: bytes | None = None
    ) -> str:
        """Accept an event for an asynchronous invocation; see `Running.enqueue`."""
        event_id: str = self._call(lambda: self._running.enqueue(function, data, event=event, payload=payload))
        return event_id

    def queue(self, name: str) -> QueueInThread:
        """The queue of this name; see `Running.queue`."""
        return QueueInThread(self._running.queue(name), self._call)

    def stream(self, name: str) -> StreamInThread:
        """The stream of this name; see `Running.stream`."""
        return StreamInThread(self._running.stream(name), self._call)

    def drained(self) -> None:
        """Wait until nothing waits or runs; see `Running.drained`."""
        self._call(self._running.drained)

    def _call(self, verb: Callable[[], Any]) -> Any:
        """Run it in the event loop's thread. Raises `NotRunning` after the end, where that has gone."""
        self._running.check_running()
        return self._portal.call(verb)


class _Blocking:
    """A plugin's service, whose verbs run in the event loop's thread and block the caller's."""

    def __init__(self, service: Any, portal: BlockingPortal) -> None:
        self._service = service
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._service, name)
        if not callable(value):
            return value
        return lambda *args, **kwargs: self._portal.call(partial(value, *args, **kwargs))


@contextmanager
def run_app_in_thread(
    app: App, *, target: str | None, plugins: Sequence[object], settings: Mapping[str, Any]
) -> Iterator[RunningInThread]:
    """See `App.run_in_thread`."""
    with start_blocking_portal("asyncio") as portal:
        running = run_app(app, target=target, mounted=(), plugins=plugins, settings=settings)
        with portal.wrap_async_context_manager(running) as inside:
            yield RunningInThread(inside, portal)
