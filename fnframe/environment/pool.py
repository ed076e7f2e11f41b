"""The pool: which environment takes which invocation, how many there are, and when one ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread

from ..clock import Clock, SystemClock
from ..errors import ConfigurationError
from ..function import Function, Limits
from ..outcome import MemoryMethod
from .alarm import Alarm
from .gauge import TICK
from .invocation import NOTHING, Deliver, Ended, Invocation, Rejected
from .lane import Lane
from .process import EXIT_TIMEOUT, Owner, ProcessEnvironment, Reason
from .slot import Slot, remove

log = logging.getLogger("fnframe")

PATIENCE = 0.05
"""Seconds that a function without any environment waits for room while another function is busy in all of them."""
INIT_BACKOFF = 5.0
"""Seconds until another environment is provisioned where one could not start."""
IDLE_TICK = 0.1
"""Seconds between two looks at the memory of idle environments."""
QUIET_TICKS = 20
"""After so many looks with nothing running, wait to be woken: a wake-up for each invocation costs more."""


class Pool(Owner):
    """All process environments of an app in this host process.

    At most `max_environments` live at once; past it invocations wait, those of one function in order, at most
    `max_waiting` in all. An idle environment of another function makes room, and a busy one after a moment.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_environments: int,
        max_waiting: int,
        idle_timeout: float,
        clock: Clock | None = None,
    ) -> None:
        self._root = root
        self._clock = clock or SystemClock()
        """For idle ends alone: handlers' deadlines are real time."""
        self.max_environments = max_environments
        self._max_waiting = max_waiting
        self._idle_timeout = idle_timeout
        self.hear: Callable[[Invocation | None, Function, bytes], None] | None = None
        """Hears output: the invocation it belongs to, the function, and the bytes."""
        self.memory_method: MemoryMethod = "unavailable"
        self._lanes: dict[str, Lane] = {}
        self._live: set[ProcessEnvironment] = set()
        self._dying: set[ProcessEnvironment] = set()
        self._waiting = 0
        self._limits = Limits()
        self._asleep: anyio.Event | None = None
        self._lost = anyio.Event()
        self._rubbish: list[str] = []
        self._dropped = anyio.Event()
        self._closed = False
        self._refusal = ""
        """Why no invocation can be served, if none can."""
        self._lends = False
        """Whether callers' threads have environments at all."""

    def statistics(self) -> dict[str, int]:
        """Counts of this moment: live, idle and dying environments, and waiting invocations."""
        idle = sum(len(lane.idle) + len(lane.direct) for lane in self._lanes.values())
        return {"live": len(self._live), "idle": idle, "dying": len(self._dying), "waiting": self._waiting}

    def ready(self, function: str) -> int:
        """How many environments of a function have begun, and are idle or at work."""
        lane = self._lanes.get(function)
        return 0 if lane is None else sum(each.ready and lane.holds(each) for each in self._live)

    def pids_of(self, function: str) -> list[int]:
        """The processes that run an invocation of this function now."""
        busy = [each for each in self._live if each.function == function and (each.in_flight or each.direct)]
        return [each.pid for each in busy if each.pid is not None]

    def open(self, lanes: dict[str, Lane], limits: Limits) -> None:
        """Serve these functions from now on. A lane that was served before goes on; environments of the others end as
        they become free."""
        provisioned = sum(lane.function.provisioned_concurrency for lane in lanes.values())
        if provisioned >= self.max_environments:
            raise ConfigurationError(
                f"provisioned_concurrency asks for {provisioned} environments in all, and max_environments is "
                f"{self.max_environments}: raise it to at least {provisioned + 1} in fnframe.toml"
            )
        old, self._lanes = self._lanes, lanes
        self._refusal = ""
        self._limits = limits
        for lane in lanes.values():
            self.memory_method = lane.templates.template.memory_method
            lane.live = sum(lane.holds(environment) for environment in self._live)
        for name, lane in old.items():
            if lanes.get(name) is lane:  # Nothing changed for it.
                continue
            for environment in [*lane.idle, *lane.direct]:
                if lane.claim(environment):
                    environment.kill("idle")
            for invocation in lane.waiting:
                self._waiting -= 1
                self.place(invocation)
            lane.waiting.clear()
            for slot in lane.slots:
                self._drop(slot)
            lane.slots.clear()
        for lane in lanes.values():
            self._provision(lane)
        for templates in {id(lane.templates): lane.templates for lane in lanes.values()}.values():
            templates.keep_spare()

    async def run(self) -> None:
        """Hold deadlines, memory limits and idle ends, until cancelled."""
        alarm = Alarm()
        try:
            await self._watch(alarm)
        finally:
            alarm.close()

    async def _watch(self, alarm: Alarm) -> None:
        quiet, idle_look = 0, 0.0
        while True:
            now = time.monotonic()
            wake = math.inf
            quiet += 1
            if now >= idle_look:
                self._look_at_idle(now)
                idle_look = now + IDLE_TICK
            for environment in [*self._live, *self._dying]:
                if environment.deadline <= now:
                    environment.expire()
                elif environment.in_flight or environment.direct is not None:
                    quiet = 0
                    wake = min(wake, environment.sample(now))
                wake = min(wake, environment.deadline)
            if quiet < QUIET_TICKS or self._dying:
                if wake < now + TICK:
                    await alarm.sleep_until(wake)
                else:
                    await anyio.sleep(TICK)
                continue
            self._asleep = anyio.Event()
            if not any(environment.direct for environment in self._live):  # A thread may have begun one just now.
                until, pause = self._end_idle(), self._provision_again(now)
                if any(environment.is_restless for environment in self._idle()):
                    pause = min(pause, IDLE_TICK)
                with anyio.move_on_after(pause):
                    await self._clock.wait(self._asleep, until)
            quiet = 0 if self._asleep.is_set() else QUIET_TICKS
            self._asleep = None

    def _look_at_idle(self, now: float) -> None:
        """End idle environments whose memory passes its limit: threads that a handler left may do that."""
        for environment in self._idle():
            environment.sample(now)
            if environment.reason == "memory":
                log.warning(
                    "an idle environment of function %r passed its memory and is ended: its handler left threads "
                    "running, and they allocate",
                    environment.function,
                )

    def _idle(self) -> list[ProcessEnvironment]:
        return [environment for lane in self._lanes.values() for environment in (*lane.idle, *lane.direct)]

    async def sweep(self) -> None:
        """Remove what handlers left in temporary directories, until cancelled: 200,000 files take seconds."""
        while True:
            while self._rubbish:
                await anyio.to_thread.run_sync(remove, self._rubbish.pop())
            self._dropped = anyio.Event()
            await self._dropped.wait()

    async def left(self) -> None:
        """Wait until no environment of an earlier template is there."""
        current = {id(lane.templates.template) for lane in self._lanes.values()}
        while any(id(environment.template) not in current for environment in (*self._live, *self._dying)):
            await self._lost.wait()

    async def close(self) -> None:
        """End all environments. Their temporary directories go with the root."""
        self._closed = True
        self.refuse("the app has ended")
        for environment in list(self._live):
            environment.kill("idle")
        with anyio.move_on_after(EXIT_TIMEOUT, shield=True):
            while self._dying:
                await self._lost.wait()

    async def exchange(self, invocation: Invocation, deliver: Deliver) -> None:
        """Run an invocation: afterwards `invocation.reply` is there. `deliver` hands over what the handler enqueues."""
        self.place(invocation)
        try:
            while invocation.reply is None:
                if invocation.unsent and invocation.environment is not None:
                    await invocation.environment.send_rest(invocation)
                elif invocation.requests:
                    ack = await deliver(invocation, invocation.requests.pop(0))
                    if invocation.environment is not None:
                        invocation.environment.answer(ack)
                else:
                    await invocation.news()
        except BaseException:
            self.withdraw(invocation)
            raise

    # An invocation finds its environment.

    def place(self, invocation: Invocation) -> None:
        """Send an invocation to an environment, now or when one is free."""
        self.wake()
        if self._refusal:
            return self._reject(invocation, self._refusal)
        lane = self._lanes.get(invocation.function.name)
        if lane is None:
            return self._reject(invocation, _gone(invocation.function.name))
        # Where others wait, there is none for this one either; whoever becomes free serves them in order.
        if lane.waiting:
            return self._wait(lane, invocation)
        environment = self._take_idle(lane)
        if environment is not None:
            return environment.send(invocation)
        if self._can_start(lane):
            self._start(lane, invocation)
            return None
        self._wait(lane, invocation)
        if self._lends:  # A thread may have given one back without seeing this one wait.
            given_back = lane.borrow()
            if given_back is not None:
                self.retrieve(given_back)
            self._serve_starving()
        if lane.waiting and lane.is_short:
            self._send_ahead(lane)
        return None

    def _wait(self, lane: Lane, invocation: Invocation) -> None:
        if self._waiting >= self._max_waiting:
            return self._reject(
                invocation,
                f"Rate Exceeded. {self._waiting} invocations wait for an environment already (`max_waiting`)",
            )
        self._waiting += 1
        lane.waiting.append(invocation)
        return None

    def _take_idle(self, lane: Lane) -> ProcessEnvironment | None:
        while lane.idle:
            environment = lane.idle.pop()
            if environment.reason is None:
                return environment
        lent = lane.borrow()
        if lent is not None:
            lent.take_back()
        return lent

    def lend(self, function: str) -> None:
        """Lend an idle environment of this function to callers' threads, if there is one."""
        lane = self._lanes.get(function)
        self._lends = True
        if lane is not None and lane.idle and not self._waiting:
            environment = lane.idle.pop()
            environment.lend()
            lane.direct.append(environment)

    def borrow(self, function: str) -> ProcessEnvironment | None:
        """An idle environment for a caller's thread to run an invocation in, or None. From any thread."""
        lane = self._lanes.get(function)
        return lane.borrow() if lane is not None else None

    def give_back(self, environment: ProcessEnvironment) -> bool:
        """Give back what was borrowed, from any thread; True if the event loop must `retrieve` it instead."""
        lane = self._lanes.get(environment.function)
        if lane is None or self._waiting or environment.reason is not None or not lane.holds(environment):
            return True
        environment.idle_since = self._clock.monotonic()
        lane.direct.append(environment)
        # Somebody may have begun to wait just now, and have looked for an environment in vain.
        return bool(self._waiting) and lane.claim(environment)

    def retrieve(self, environment: ProcessEnvironment) -> None:
        """Take back an environment that was borrowed: somebody waits for one, or it is to end."""
        if environment.reason is None:
            environment.take_back()
            self.free(environment)

    async def settle(self, environment: ProcessEnvironment, invocation: Invocation, reason: Reason) -> None:
        """End an environment that a caller's thread used, and wait for what its exit tells: the reply."""
        environment.kill(reason)
        while invocation.reply is None:
            await invocation.news()

    def wake(self) -> None:
        """Watch deadlines and memory from now on."""
        if self._asleep is not None:
            self._asleep.set()

    @property
    def is_asleep(self) -> bool:
        """Whether nobody watches deadlines and memory, since nothing runs."""
        return self._asleep is not None

    def withdraw(self, invocation: Invocation) -> None:
        """Nobody awaits this invocation any more. It ends, and its reply tells what it used."""
        invocation.withdrawn = True
        environment = invocation.environment
        if environment is None:
            lane = self._lanes.get(invocation.function.name)
            if lane is not None and invocation in lane.waiting:
                lane.waiting.remove(invocation)
                self._waiting -= 1
            _cancel(invocation)
        elif environment.in_flight and environment.in_flight[0] is invocation:
            # Its late reply would answer the next invocation, and its work is for nobody. One that was sent ahead
            # ends the same way when it comes to the head.
            environment.kill("cancelled")

    def _start(self, lane: Lane, invocation: Invocation | None) -> bool:
        """Start an environment, for this invocation; whether there is one."""
        try:
            if not lane.slots:
                lane.slots.append(Slot(self._root))
            lane.slots[-1].restore()
            environment = lane.templates.take()
        except OSError as error:  # No descriptor, no space: others may still be served.
            if invocation is not None:
                self._reject(invocation, f"no environment could start: {error}")
            return False
        if environment is None:  # The template died just now; its successor will serve what waits.
            if invocation is not None:
                self._waiting += 1
                lane.waiting.appendleft(invocation)
            return False
        slot = lane.slots.pop()
        self._live.add(environment)
        lane.live += 1
        again = None if invocation is None else invocation.again
        environment.bind(lane.function, slot, self, self._limits, again=again)
        if invocation is not None:
            environment.send(invocation)
        lane.templates.keep_spare()
        return True

    def _make_room(self, lane: Lane) -> bool:
        """End the environment that has been idle longest, of another function."""
        idle = [
            environment
            for other in self._lanes.values()
            if other is not lane and other.live > other.function.provisioned_concurrency
            for environment in (*other.idle, *other.direct)
        ]
        for environment in sorted(idle, key=lambda environment: environment.idle_since):
            if self._lanes[environment.function].claim(environment):
                environment.kill("idle")
                return True
        return False

    def _send_ahead(self, lane: Lane) -> None:
        for environment in self._live:
            if lane.holds(environment) and environment.takes_ahead(lane.waiting[0]):
                self._waiting -= 1
                environment.send(lane.waiting.popleft())
                return

    def _end_idle(self) -> float:
        """End what has been idle too long; when, by the clock, the next one will have been."""
        now = self._clock.monotonic()
        soonest = now + self._idle_timeout
        for lane in self._lanes.values():
            for environment in [*lane.direct, *lane.idle]:
                end = environment.idle_since + self._idle_timeout
                if lane.live > lane.function.provisioned_concurrency and end <= now:
                    if lane.claim(environment):
                        environment.kill("idle")
                elif end > now:
                    soonest = min(soonest, end)
            for slot in list(lane.slots):
                end = slot.empty_since + self._idle_timeout
                if end <= now:
                    lane.slots.remove(slot)
                    self._drop(slot)
                else:
                    soonest = min(soonest, end)
        return soonest

    def _provision_again(self, now: float) -> float:
        """Start environments that are to be kept and are not there; seconds until that is worth another try."""
        pause = math.inf
        for lane in self._lanes.values():
            if lane.live < lane.function.provisioned_concurrency:
                self._provision(lane)
                pause = min(pause, max(lane.provision_after - now, INIT_BACKOFF))
        return pause

    def _can_start(self, lane: Lane) -> bool:
        if lane.templates.template.ended.is_set() or self._closed:
            return False
        return len(self._live) < self.max_environments or self._make_room(lane)

    def refuse(self, problem: str) -> None:
        """Answer all that wait and will come, until `open` is called: there will be no environment."""
        self._refusal = problem
        for lane in self._lanes.values():
            while lane.waiting:
                self._waiting -= 1
                self._reject(lane.waiting.popleft(), problem)

    def _reject(self, invocation: Invocation, problem: str) -> None:
        invocation.reply = Rejected(problem)
        invocation.wake()

    # What environments tell.

    def free(self, environment: ProcessEnvironment, duration: float | None = None) -> None:
        lane = self._lanes.get(environment.function)
        if lane is None or not lane.holds(environment):
            if not environment.in_flight:  # Else it has begun the one that was sent ahead.
                self._end_for_others(environment)
            return
        if duration is not None:
            lane.learn(duration)
        if self._waiting > len(lane.waiting) and not environment.in_flight and self._yields(lane):
            self._end_for_others(environment)
            return
        while (
            lane.waiting
            and environment.reason is None
            and (not environment.in_flight or (lane.is_short and environment.takes_ahead(lane.waiting[0])))
        ):
            self._waiting -= 1
            environment.send(lane.waiting.popleft())
        if not environment.in_flight and environment.reason is None:
            environment.idle_since = self._clock.monotonic()
            lane.idle.append(environment)
            if self._waiting:
                self._serve_starving()

    def gone(self, environment: ProcessEnvironment, unstarted: list[Invocation]) -> None:
        self.wake()  # Somebody must see to it that it dies.
        lane = self._lanes.get(environment.function)
        self._live.discard(environment)
        self._dying.add(environment)
        if lane is not None:
            for idle in (lane.idle, lane.direct):
                if environment in idle:
                    idle.remove(environment)
            if lane.holds(environment):
                lane.live -= 1
        for invocation in reversed(unstarted):
            self._take_back(lane, invocation)
        if environment.reason != "idle":  # Whoever ended an idle one knows what the room is for.
            if lane is not None:
                if not environment.ready and environment.reason != "cancelled":
                    lane.provision_after = time.monotonic() + INIT_BACKOFF
                self._provision(lane)
            self._serve_starving()

    def _take_back(self, lane: Lane | None, invocation: Invocation) -> None:
        """Let an invocation that its environment did not begin wait for another, first of all."""
        invocation.environment, invocation.unsent = None, NOTHING
        if invocation.withdrawn:
            _cancel(invocation)
        elif self._refusal or lane is None:
            self._reject(invocation, self._refusal or _gone(invocation.function.name))
        else:
            self._waiting += 1
            lane.waiting.appendleft(invocation)

    def vacated(self, environment: ProcessEnvironment) -> None:
        slot, environment.slot = environment.slot, None
        lane = self._lanes.get(environment.function)
        if slot is not None:
            if lane is not None and environment.reason != "idle" and not self._closed:
                slot.empty_since = self._clock.monotonic()
                lane.slots.append(slot)
            else:
                self._drop(slot)

    def lost(self, environment: ProcessEnvironment) -> None:
        self._dying.discard(environment)
        self.vacated(environment)
        again, environment.again = environment.again, None
        if again is not None:  # Only now, so that it gets the same temporary directory.
            self._take_back(self._lanes.get(environment.function), again)
            self._serve_starving()
        self._lost.set()  # For all who wait, each of whom looks for himself.
        self._lost = anyio.Event()

    def output(self, environment: ProcessEnvironment, invocation: Invocation | None, data: bytes) -> None:
        if self.hear is not None and environment.configuration is not None:
            self.hear(invocation, environment.configuration, data)

    def _end_for_others(self, environment: ProcessEnvironment) -> None:
        environment.kill("idle")
        self._serve_starving()

    def _yields(self, lane: Lane) -> bool:
        """Whether a free environment of this function makes room for another function that has none and waits."""
        if len(self._live) < self.max_environments or lane.live <= lane.function.provisioned_concurrency:
            return False
        # Its own come first where they came first: else its room would go back to it.
        earliest = min([time.monotonic() - PATIENCE, *(waiting.accepted for waiting in lane.waiting)])
        return any(
            other.waiting and not other.live and other.waiting[0].accepted < earliest for other in self._lanes.values()
        )

    def _drop(self, slot: Slot) -> None:
        if not slot.close():
            self._rubbish.append(slot.directory)
            self._dropped.set()

    def _serve_starving(self) -> None:
        """Start environments for functions whose invocations wait, longest first, as far as there is room."""
        starving = [lane for lane in self._lanes.values() if lane.waiting]
        for lane in sorted(starving, key=lambda lane: lane.waiting[0].accepted):
            while lane.waiting and self._may_serve(lane):
                self._waiting -= 1
                self._start(lane, lane.waiting.popleft())

    def _may_serve(self, lane: Lane) -> bool:
        if lane.live and len(self._live) >= self.max_environments:
            return False  # Its own environments will take what waits; only a function without any may push others out.
        return self._can_start(lane)

    def _provision(self, lane: Lane) -> None:
        while lane.live < lane.function.provisioned_concurrency and lane.provision_after <= time.monotonic():
            if lane.templates.template.ended.is_set() or not self._start(lane, None):
                return


def _cancel(invocation: Invocation) -> None:
    """End an invocation that nobody awaits and no environment began."""
    invocation.finished = time.monotonic()
    invocation.reply = Ended("cancelled", None, None, None)
    invocation.wake()


def _gone(function: str) -> str:
    return f"the function {function!r} is gone after a reload"
