"""The host's end of one environment: what goes into it, what comes out, and how it ends.

Everything that happens to an environment happens in one of its methods, which never wait: the pool decides, the
template tells of births and deaths, and the awaiting invocation is woken when its reply is there.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import anyio
import msgspec

from ..event import new_id
from ..provider import FirstTry
from . import children
from .gauge import TICK, Gauge
from .invocation import NOTHING, Ended, Invocation, Rejected, Reply
from .memory import descendants, threads, used
from .wire import Ack, Bind, Drained, Exited, Frame, Invoke, Raised, Reader, Ready, Reaped, Result, Send, encode

if TYPE_CHECKING:
    from ..function import Function, Limits
    from .readiness import Readiness
    from .slot import Slot
    from .template import Template

log = logging.getLogger("fnframe")

RECEIVE = 64 * 1024
MOST_AHEAD = 2
"""Invocations that wait in a socket behind the one that runs: with two, half of the sends wake nobody."""
LARGEST_AHEAD = 32 * 1024
"""Bytes of data with which an invocation surely fits into a socket, which holds 200 KB."""
MOST_HELD = 8 * 1024
"""Bytes of frames that are held to go out together."""
LARGEST_PIPE = 1024 * 1024
"""Bytes that a pipe can hold at the most: all that is left of an environment's output when it is dead."""
EXIT_TIMEOUT = 2.0
"""Seconds to wait for the exit status of an environment that was killed."""
ANSWER_TIMEOUT = 0.25
"""Seconds after which the template is late with a birth or a death: perhaps somebody stopped it."""
CORPSE_TIMEOUT = 0.008
"""Seconds that the caller of what was ended at a limit waits for it: what was killed with 1 GB takes 150 ms to die."""
ROOM = 2 * 1024 * 1024
"""Bytes that a frame may have beyond the largest payload: names, a stack trace."""

Reason = Literal["timeout", "init", "memory", "exit", "spent", "idle", "cancelled", "template"]
"""`init`: it had not begun in time. One that says itself that it cannot is as one that ends: `exit`."""


class ProcessEnvironment:
    """One worker process, as the host sees it."""

    def __init__(self, connection: socket.socket, output: int, readiness: Readiness, template: Template) -> None:
        self.id = new_id()
        self.pid: int | None = None
        self.function = ""
        self.configuration: Function | None = None
        self.slot: Slot | None = None
        self.in_flight: deque[Invocation] = deque()
        self.again: Invocation | None = None
        """The invocation for which it failed to begin, and which gets another environment once this one is gone."""
        self.direct: Invocation | None = None
        """The invocation that a caller's thread runs here by itself; the event loop then leaves the socket alone."""
        self.ready = False
        self.deadline = math.inf
        self.idle_since = 0.0
        self.reason: Reason | None = None
        self._connection = connection
        self._output = output
        self._readiness = readiness
        self.template = template
        self._reader = Reader()
        self._watching = False
        self._sending = False
        self._holding = False
        """Whether frames are held, to go out together when the replies that made room for them are taken: each
        send wakes the environment, which costs the host more than the rest of an invocation."""
        self._held: list[Invocation] = []
        self._held_bytes = bytearray()
        self._lost = False
        self._bound = 0.0
        self._memory_kb = 0
        self._gauge: Gauge | None = None
        self._elsewhere = False
        """Whether it works in a child process: its own memory is none of the function's then."""
        self._cpu_us = 0
        """Processor time that was told already; the exit status tells of the whole life."""
        self._used: tuple[int, int] | None = None
        """Peak in KB and processor time in microseconds just before it was killed for what it was running."""
        self._exit: Exited | None = None
        self._urged = False
        self._owner = Owner()

    def __repr__(self) -> str:
        state = self.reason or ("idle" if not self.in_flight else f"{len(self.in_flight)} in flight")
        return f"<ProcessEnvironment {self.function or 'spare'} pid {self.pid}: {state}>"

    @property
    def _is_provided(self) -> bool:
        return self.configuration is not None and self.configuration.environment is not None

    @property
    def running(self) -> Invocation | None:
        """The invocation that it runs, or will first when it is ready."""
        return self.direct or (self.in_flight[0] if self.in_flight else None)

    # Into it.

    def bind(
        self, function: Function, slot: Slot, owner: Owner, limits: Limits, *, again: FirstTry | None = None
    ) -> None:
        """Make it an environment of a function. `owner` hears of what becomes free and what ends.

        `again` says how one failed to begin; the invocation which waits for this one is sent next.
        """
        self.function = function.name
        self.configuration = function
        self.slot = slot
        self._memory_kb = function.memory * 1024
        payloads = limits.response_payload, limits.asynchronous_payload
        self._reader.largest = max(payloads) + ROOM
        self._owner = owner
        self._readiness.watch(self._output, self._output_readable)
        self._readiness.watch(self._connection.fileno(), self._readable)
        self._watching = True
        self._bound = time.monotonic()
        self.deadline = self._bound + self.template.init_timeout
        provided = function if self._is_provided else None
        self._put(Bind(function.name, self.id, slot.directory, self._memory_kb, *payloads, provided, again))

    def send(self, invocation: Invocation) -> None:
        """Give it an invocation; a second one waits in its socket until the first is done."""
        invocation.environment = self
        self.in_flight.append(invocation)
        if len(self.in_flight) == 1 and (self.ready or invocation.again):
            self._head(invocation, time.monotonic())
        frame = encode(_frame(invocation))
        self._held.append(invocation)
        self._held_bytes = self._held_bytes + frame if self._held_bytes else frame
        if not self._holding or len(self._held_bytes) > MOST_HELD:
            self._send_held()

    def _send_held(self) -> None:
        """Send what is held, all of it in the order in which it is in flight."""
        invocations, frames = self._held, self._held_bytes
        self._held, self._held_bytes = [], bytearray()
        if not invocations or self.reason is not None:
            return
        try:
            sent = self._connection.send(frames, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:  # It is dead already, so it did not begin these.
            if self._is_provided and not self.ready:
                return  # It failed to begin, for these: what it said of that still waits in the socket.
            for invocation in invocations:
                self.in_flight.remove(invocation)
                invocation.environment = None
            self.kill("exit")
            for invocation in invocations:
                self._owner.place(invocation)
            return
        if sent < len(frames):
            invocations[-1].unsent = memoryview(frames)[sent:]
            invocations[-1].wake()

    def takes_ahead(self, invocation: Invocation) -> bool:
        """Whether this invocation may wait in the socket behind the one that is running.

        Only if all of it fits: what else is said meanwhile must not come into the middle of it.
        """
        if not self.ready or not 1 <= len(self.in_flight) <= MOST_AHEAD or self.in_flight[-1].unsent:
            return False
        return len(invocation.event.data) + len(invocation.event.origin) <= LARGEST_AHEAD

    async def send_rest(self, invocation: Invocation) -> None:
        """Send more of a large frame, as soon as the socket takes it."""
        if self._lost:
            return
        self._sending = True
        try:
            await anyio.wait_writable(self._connection)
        finally:
            self._sending = False
            if self._lost:
                self._connection.close()
        if invocation.environment is not self or self._lost:
            return
        try:
            sent = self._connection.send(invocation.unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:  # It is dead; its end answers the invocation.
            sent = len(invocation.unsent)
        invocation.unsent = invocation.unsent[sent:]

    def answer(self, ack: Ack) -> None:
        self._put(ack)

    def kill(self, reason: Reason) -> None:
        """End the whole process group now. What it was running becomes `Ended` once its exit status is known."""
        if self.reason is not None:
            return
        self.reason = reason
        self.deadline = time.monotonic() + ANSWER_TIMEOUT
        if reason in ("init", "exit", "memory") and self._may_begin_again():
            self.again = self.in_flight.popleft()
            self.again.environment, self.again.unsent = None, NOTHING
            took = (time.monotonic() - self._bound) * 1000
            self.again.again = FirstTry(overran=reason == "init", duration_ms=took)
        if self.pid is not None:
            if self.running is not None and reason in ("timeout", "memory", "cancelled"):
                self._used = used(self.pid)
                self.deadline = time.monotonic() + CORPSE_TIMEOUT
            # What left the group is the template's to end, which takes some milliseconds: here they are too many.
            detached = list(islice(descendants(self.pid), children.MOST_PROCESSES)) if reason == "memory" else []
            self._kill_group(self.pid)
            for pid in detached:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self._owner.gone(self, self._unstarted())

    def _kill_group(self, pid: int) -> None:
        """Kill its process group, and let its process id go: nobody will signal it again."""
        for kill in (os.killpg, os.kill):  # The group exists only once the child has made it.
            try:
                kill(pid, signal.SIGKILL)
                break
            except (ProcessLookupError, PermissionError):  # What became another user's is not ours to end.
                continue
        self.pid = None
        self.template.release(pid)

    def _may_begin_again(self) -> bool:
        """Whether it failed to begin, for the first time of the invocation that waits: what a provider runs gets
        another try."""
        return self._is_provided and not self.ready and bool(self.in_flight) and not self.in_flight[0].again

    def _unstarted(self) -> list[Invocation]:
        """Take back what it did not begin: all that was sent behind the first, which it may be running.

        After its last reply it waits for a word from us when it is spent, and begins nothing.
        """
        none_began = self.reason == "spent" or (self.reason == "template" and not self.ready)
        running = [self.in_flight.popleft()] if self.in_flight and not none_began else []
        unstarted = list(self.in_flight)
        self.in_flight = deque(running)
        return unstarted

    def expire(self) -> None:
        """Its deadline passed. A reply that is here already still counts: the host may have been late itself."""
        if self.reason is not None:
            if self._used is not None:
                self._answer_early()
            elif not self._urged:
                self._urge()
            else:
                self.lost(None)
            return
        if self._watching:
            self._readable()
        if self.reason is None and self.deadline <= time.monotonic():
            begun = self.ready or (self.running is not None and self.running.again)
            self.kill("timeout" if begun else "init")
        return

    @property
    def is_restless(self) -> bool:
        """Whether a handler left threads running: else an idle environment does nothing."""
        return self.pid is not None and threads(self.pid) > 1

    def sample(self, now: float) -> float:
        """End it if its resident memory, with that of its children, is over the limit, or if those are too many; when
        to look again."""
        if self.pid is None or self.reason is not None:
            if self.reason is None and not self._urged and now > self._bound + ANSWER_TIMEOUT:
                self._urge()
            return math.inf
        if self._gauge is None:
            self._gauge = Gauge(self.pid, self._memory_kb)
        self._gauge.elsewhere = self._elsewhere
        # A little before its time, together with others: each wake-up costs more than a look.
        if now >= self._gauge.next - TICK / 2:
            if self._gauge.is_over(self.running if self.ready else None, now, self.deadline):
                self.kill("memory")
            elif self._gauge.is_crowded:
                text = "an environment of function %r has started more than %d processes and is ended"
                log.warning(text, self.function, children.MOST_PROCESSES)
                self.kill("exit")
        return self._gauge.next

    # Out of it.

    def _readable(self) -> None:
        try:
            data = self._connection.recv(RECEIVE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._unwatch()
            self.kill("exit")
            return
        try:
            frames = self._reader.feed(data)
        except msgspec.DecodeError:  # A handler wrote into the descriptor of its own connection.
            self.kill("exit")
            return
        self._holding = True
        for frame in frames:
            if self.reason is None:
                self._take(frame)
        self._holding = False
        self._send_held()

    def _take(self, frame: Any) -> None:
        kind = type(frame)
        if kind is Ready:
            self._become_ready(frame)
        elif not self.in_flight:
            # It could not begin while nobody waits for it yet; or it answers what nobody asked, and what it says next
            # would be taken for somebody's.
            if kind is Raised or kind is Result:
                self.kill("exit")
        elif kind is Raised and self._may_begin_again():
            self.kill("exit")
        elif kind is Send:
            self.in_flight[0].requests.append(frame)
            self.in_flight[0].wake()
        elif kind is Result or kind is Raised:
            self._complete(frame)

    def _become_ready(self, ready: Ready) -> None:
        if ready.pending:
            self._read_output(self._heard(), ready.pending)
            self._put(Drained())
        self.ready = True
        self._elsewhere = ready.elsewhere
        self._cpu_us = ready.cpu_us
        now = time.monotonic()
        if not self.in_flight:
            self.deadline = math.inf
            self._owner.free(self)
        elif not self.in_flight[0].again:  # Else this was part of the invocation, which has begun.
            invocation = self.in_flight[0]
            # By the environment's own word: that this process heard it late is no part of it.
            invocation.init = max(0.0, min(now, ready.at) - max(self._bound, invocation.accepted))
            self._head(invocation, now)
            invocation.started = max(invocation.accepted, min(now, ready.at))

    def _head(self, invocation: Invocation, now: float) -> None:
        invocation.started = now
        self.deadline = now + invocation.function.timeout
        if invocation.withdrawn:
            self.kill("cancelled")

    def _complete(self, reply: Result | Raised) -> None:
        invocation = self.in_flight.popleft()
        usage = reply.usage
        if usage.pending:
            self._read_output(invocation, usage.pending)
            self._put(Drained())
        self._cpu_us += usage.cpu_us or 0
        invocation.reply = self._judged(invocation, reply)
        invocation.finished = now = time.monotonic()
        self.deadline = math.inf
        if is_spent(invocation.reply) or not self.ready:
            self.kill("spent")
        elif self.in_flight:
            self._head(self.in_flight[0], now)
        if self.reason is None:
            self._owner.free(self, now - invocation.started)
        invocation.wake()

    def _output_readable(self) -> None:
        """Read from the output pipe, once: one that writes without end must not keep the event loop.

        Twice would also be once too often where a provider's environment begins: the first leaves it free to go on, and
        the second may be an invocation's, which it has begun meanwhile.
        """
        if self._is_provided and not self.ready and self._watching:
            self._readable()  # It may have said meanwhile that what comes now is an invocation's.
        if not self._lost:
            self._read_once(self._heard(), RECEIVE)

    def _heard(self) -> Invocation | None:
        """Whose output it is: what a provider's environment writes while it begins is nobody's."""
        invocation = self.running
        begins = self._is_provided and not self.ready and not (invocation is not None and invocation.again)
        return None if begins else invocation

    def _read_output(self, invocation: Invocation | None, most: int) -> None:
        """Read what waits in the output pipe, so many bytes of it at most; it belongs to this invocation."""
        while most > 0 and (read := self._read_once(invocation, min(most, RECEIVE))):
            most -= read

    def _read_once(self, invocation: Invocation | None, most: int) -> int:
        """How many bytes were there to read."""
        try:
            data = os.read(self._output, most)
        except BlockingIOError:
            return 0
        except OSError:
            data = b""
        if data:
            self._owner.output(self, invocation, data)
        else:
            self._readiness.unwatch(self._output)
        return len(data)

    # Its birth and its end, as the template tells.

    def unborn(self, problem: str) -> None:
        """The template could not fork it."""
        for invocation in self.in_flight:
            invocation.reply = Rejected(f"no environment could start: {problem}")
            invocation.wake()
        self.in_flight.clear()
        self.kill("exit")
        self.lost(None)

    def born(self, pid: int) -> None:
        self.pid = pid
        self._urged = False
        if self.reason is not None:
            self._kill_group(pid)

    def exited(self, exit_: Exited) -> None:
        self._exit = exit_
        if self.reason is None:
            if self._watching:
                self._readable()  # What it said last may still wait in the socket.
            self.kill("exit")

    def _urge(self) -> None:
        """The template is late with its birth or its death."""
        self._urged = True
        self.template.urge()
        if self.reason is not None:
            self.deadline = time.monotonic() + EXIT_TIMEOUT

    def _answer_early(self) -> None:
        """It was killed and still is not dead: its caller need not wait for that."""
        assert self._used is not None
        peak_kb, cpu_us = self._used
        self._used = None
        self.deadline = time.monotonic() + ANSWER_TIMEOUT
        if self.direct is not None:
            self._connection.shutdown(socket.SHUT_RDWR)  # The end that its thread waits for.
        self._owner.vacated(self)
        self._answer(peak_kb, cpu_us)

    def _answer(self, peak_kb: int, cpu_us: int | None) -> None:
        """Tell that what it was running ended with it, and what it had used."""
        self._read_output(self._heard(), LARGEST_PIPE)
        if not peak_kb and self._gauge is not None:
            peak_kb = self._gauge.seen_kb
        cpu = None if cpu_us is None else max(0, cpu_us - self._cpu_us)
        for invocation in [*self.in_flight, *([self.direct] if self.direct is not None else [])]:
            peak = self._with_children(invocation, peak_kb)
            invocation.reply = Ended(self.reason or "exit", self._exit, peak or None, cpu, self.template.init_timeout)
            invocation.finished = time.monotonic()
            invocation.wake()
        self.in_flight.clear()
        self.direct = None

    def lost(self, reaped: Reaped | None) -> None:
        """It is gone, or the template is, or its exit status did not come in time: answer what it was running."""
        if self._lost:
            return
        self._lost = True
        self.reason = self.reason or "exit"
        self.deadline = math.inf
        self._unwatch()
        self._answer(reaped.peak_kb if reaped else 0, reaped.cpu_us if reaped else None)
        self._readiness.unwatch(self._output)
        os.close(self._output)
        if self._sending:  # An event loop must not watch what is closed: the end wakes who sends, and that one closes.
            self._connection.shutdown(socket.SHUT_RDWR)
        else:
            self._connection.close()
        if self._gauge is not None:
            self._gauge.close()
        self._owner.lost(self)

    # From a caller's thread, while nothing else is in flight: see `direct`.

    def lend(self) -> None:
        """Leave the socket to callers' threads from now on."""
        self._unwatch()

    def take_back(self) -> None:
        """Read the socket in the event loop again."""
        self._watching = True
        self._readiness.watch(self._connection.fileno(), self._readable)

    def begin_blocking(self, invocation: Invocation) -> None:
        """The deadline runs from now on."""
        invocation.environment = self
        self.direct = invocation
        self._head(invocation, time.monotonic())

    def exchange_blocking(
        self, invocation: Invocation, requests: Callable[[Send], Ack], drain: Callable[[int], None]
    ) -> bool:
        """Run an invocation in this thread; False when the environment ended instead of answering.

        Deadline and memory limit are the event loop's to hold, as for every busy environment: it ends the process
        group, and here the socket ends.
        """
        try:
            self._connection.sendall(encode(_frame(invocation)))
            while invocation.reply is None:
                data = self._connection.recv(RECEIVE)
                if not data:
                    return False
                for frame in self._reader.feed(data):
                    if type(frame) is Send:
                        self._connection.sendall(encode(requests(frame)))
                    elif type(frame) is Result or type(frame) is Raised:
                        self._answered(invocation, frame, drain)
        except (OSError, msgspec.DecodeError):
            return False
        return True

    def _answered(self, invocation: Invocation, reply: Result | Raised, drain: Callable[[int], None]) -> None:
        if reply.usage.pending:
            drain(reply.usage.pending)
            self._connection.sendall(encode(Drained()))
        self.deadline = math.inf
        self.direct = None
        self._cpu_us += reply.usage.cpu_us or 0
        invocation.finished = time.monotonic()
        invocation.reply = self._judged(invocation, reply)

    def drain_output(self, pending: int) -> None:
        """Read so many bytes that wait in the output pipe; in the event loop's thread."""
        if self.reason is None:
            self._read_output(self.direct, pending)

    def _judged(self, invocation: Invocation, reply: Result | Raised) -> Reply:
        usage = reply.usage
        peak = self._with_children(invocation, usage.peak_kb)
        if peak > self._memory_kb:
            return Ended("memory", None, peak, usage.cpu_us)
        if peak > usage.peak_kb:
            usage = msgspec.structs.replace(usage, peak_kb=peak)
            return msgspec.structs.replace(reply, usage=usage)
        return reply

    def _with_children(self, invocation: Invocation, peak_kb: int) -> int:
        """A peak that its process measured exactly, which knows nothing of its children: theirs was sampled."""
        gauge = self._gauge
        if gauge is None or gauge.of is not invocation or gauge.together_kb <= peak_kb:
            return peak_kb
        invocation.sampled = True
        return gauge.together_kb

    def _put(self, frame: Frame) -> None:
        message = encode(frame)
        try:
            sent = self._connection.send(message, socket.MSG_DONTWAIT)
        except OSError:
            sent = 0
        if sent < len(message):  # Dead; or it reads nothing of what it asked for, and nobody shall wait for it.
            self.kill("exit")

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._readiness.unwatch(self._connection.fileno())


class Owner:
    """What an environment tells the pool that owns it."""

    def place(self, invocation: Invocation) -> None:
        """It could not take this invocation: find another."""

    def free(self, environment: ProcessEnvironment, duration: float | None = None) -> None:
        """It can take another invocation; the one before took so many seconds."""

    def gone(self, environment: ProcessEnvironment, unstarted: list[Invocation]) -> None:
        """It takes no more, though it may still be dying; these invocations it did not begin."""

    def vacated(self, environment: ProcessEnvironment) -> None:
        """It was killed and its caller is answered: the next in its place may have its temporary directory."""

    def lost(self, environment: ProcessEnvironment) -> None:
        """It is dead and closed."""

    def output(self, environment: ProcessEnvironment, invocation: Invocation | None, data: bytes) -> None:
        """It wrote to its standard output or error."""


def is_spent(reply: Reply | None) -> bool:
    """Whether the environment must end after this reply: it passed its memory, or left a child, whose output would
    mix with the next invocation's."""
    return type(reply) is Ended or (reply is not None and reply.usage.children)  # type: ignore[union-attr]


def _frame(invocation: Invocation) -> Invoke:
    return Invoke(invocation.request_id, invocation.function.timeout, invocation.attempt, invocation.event)
