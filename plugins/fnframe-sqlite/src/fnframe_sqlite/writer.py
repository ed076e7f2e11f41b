"""The one thread that uses the database: it does what waits in one transaction, and then wakes the callers."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.lowlevel
import apsw

from fnframe.errors import EngineFailed

from .bell import Bell
from .bodies import Bodies
from .database import Database, FileLost
from .line import Line, elsewhere, forget
from .messages import NEVER, Moments, end_leases, forget_ids, next_moments
from .pipes import Pipe, call
from .records import end_claims, is_anything_claimed
from .request import EventReply, Request
from .steps import STEP, follow_clock
from .transaction import Transaction

if TYPE_CHECKING:
    from fnframe.engine.protocol import EngineOptions

    from .place import Place
    from .request import Reply

log = logging.getLogger("fnframe.sqlite")

Answer = TypeVar("Answer")

TOGETHER = 1000
"""So many requests share a transaction at the most."""

GATHER = 0.001
"""Seconds for which requests that are not urgent wait for others, to share a commit."""

MANY = 64
"""So many of them wait for no more."""

LOOK = 0.5
"""Seconds after which those who wait are looked after, should another process have ended before it could call."""

TIDY, SWEEP = 1.0, 3600.0
"""Seconds between two times of forgetting ids, and of removing files that no row names."""


class Writer:
    """Owns the thread and the connection. What is public is for the event loop."""

    def __init__(self, place: Place, options: EngineOptions) -> None:
        self.bodies = Bodies(place.beside / "bodies")
        self.partitions: dict[str, int] = {}
        """So many partitions each stream has that is known here."""
        self._place = place
        self._options = options
        self._engine = uuid.uuid4().hex
        self._requests: deque[Request[Any]] = deque()
        self._urgent = False
        self._idle = self._gathering = False
        """Whether the thread waits for anything at all, or only for what is urgent."""
        self._closing = False
        self._look = False
        self._reply: Callable[[], Reply]
        self._failure: Exception | None = None
        self._failed = anyio.Event()
        clock = options.clock
        self._delays = Bell(clock.time, clock.wait_for_time, self._look_again)
        self._leases = Bell(clock.monotonic, clock.wait, self._look_again)
        # What follows belongs to the thread.
        self._line = Line()
        self._seen = 0
        self._dead: set[str] = set()
        self._tidied = self._swept = -math.inf
        self._offset = math.inf
        """How far ahead the clock was when it was looked at last."""

    def open(self) -> None:
        """Open the database; it may take a while. Raises `ConfigurationError`."""
        self._pipe = Pipe(self._place.beside, self._engine)
        try:
            self._database = Database(self._place)
            self._take_over()
        except BaseException:
            self._pipe.close()
            raise

    def start(self) -> None:
        """Begin to work for the event loop that runs here."""
        loop: Any = anyio.lowlevel.current_token().native_token
        if isinstance(loop, asyncio.AbstractEventLoop):
            self._post, self._reply = loop.call_soon_threadsafe, loop.create_future
        else:
            from .trio_reply import TrioReply

            self._post, self._reply = loop.run_sync_soon, TrioReply
        self._ended = anyio.Event()
        threading.Thread(target=self._work, name=f"fnframe-sqlite {self._place.file.name}", daemon=True).start()

    async def close(self) -> None:
        """Do what was asked for, then close the database."""
        self._closing = True
        self._wake()
        await self._ended.wait()

    async def ask(self, request: Request[Answer], *, wait: float = math.inf) -> Answer:
        """Have it done, and return its answer or raise its error; one that is patient waits so many seconds.

        Cancelled, it happens whole or not at all.
        """
        reply = request.reply = self._reply() if wait == math.inf else EventReply()
        self.tell(request)
        try:
            if isinstance(reply, EventReply):
                clock = self._options.clock
                await clock.wait(reply.event, clock.monotonic() + wait)
                if not reply.done():
                    request.patient = False
                    self._look_again()
            await reply
        except BaseException:
            request.abandon()
            if request.channel is not None and not request.finished:
                self._look_again()
            raise
        if request.error is not None:
            raise request.error
        return request.answer  # type: ignore[return-value]

    def tell(self, request: Request[Any]) -> None:
        """Have it done, without waiting."""
        if self._failure is not None:
            _refuse([request], self._failure)
        else:
            self._requests.append(request)
            if request.urgent or len(self._requests) >= MANY:
                self._urgent = True
                self._wake()
            elif self._idle:
                self._wake()

    async def watch(self) -> None:
        """Raises `EngineFailed` when the engine is of no use any more, which ends who uses it."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def keep_time(self) -> None:
        """Let those who wait look again when a delay or a lease is over, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._delays.run)
            tasks.start_soon(self._leases.run)

    def _look_again(self) -> None:
        self._look = True
        self._wake()

    def _wake(self) -> None:
        if self._idle or self._gathering:
            self._idle = self._gathering = False
            self._pipe.wake()

    def _finish(self, requests: list[Request[Any]], moments: Moments) -> None:
        """Wake the callers, and set the bells."""
        for request in requests:
            request.finish()
        self._delays.set(moments.due)
        self._leases.set(moments.over)

    @property
    def _moments(self) -> Moments:
        return Moments(self._delays.moment, self._leases.moment)

    def _fail(self, problem: Exception) -> None:
        """Nothing will be done any more."""
        self._failure = problem
        if not self._closing:
            self._failed.set()
        _refuse([*self._requests, *self._line], problem)
        self._ended.set()

    # From here on in the thread.

    def _work(self) -> None:
        problem: Exception = EngineFailed("the engine was closed", where=str(self._place.file))
        try:
            while self._wait():
                self._urgent = False  # Before they are taken: what comes meanwhile is seen now, or next time.
                requests = [self._requests.popleft() for _ in range(min(len(self._requests), TOGETHER))]
                self._do([request for request in requests if not request.abandoned])
            self._leave()
        except FileLost as error:
            problem = error
        except BaseException as error:
            log.exception("%s: the engine has failed", self._place.file)
            told = f"the engine has failed ({type(error).__name__}: {error})"
            problem = EngineFailed(told, where=str(self._place.file))
        finally:
            with suppress(apsw.Error, OSError):  # It may be what has failed.
                self._database.close()
            self._pipe.close()
            self._tell_loop(self._fail, problem)

    def _wait(self) -> bool:
        """Return when there is something to do; False when there never will be."""
        while not (self._requests or self._must_go_on()):
            self._idle = True
            if not (self._requests or self._must_go_on()):
                self._pipe.wait(self._time_to_look())
            self._idle = False
            if self._line and self._may_have_come():
                self._look = True
        if not self._must_go_on():
            self._gathering = True
            if not self._must_go_on():
                self._pipe.wait(GATHER)
            self._gathering = False
        return bool(self._requests) or not self._closing

    def _must_go_on(self) -> bool:
        return self._urgent or self._look or self._closing

    def _may_have_come(self) -> bool:
        """Whether there may be something for those who wait."""
        others_came = not self._pipe.alone and not self._line.is_told
        return others_came or self._database.changed() != self._seen or time.monotonic() >= self._line.yields_until

    def _time_to_look(self) -> float | None:
        return max(min(LOOK, self._line.yields_until - time.monotonic()), 0.0) if self._line else None

    def _do(self, requests: list[Request[Any]]) -> None:
        """Do these together; where that fails, one after the other, so that none fails because of another."""
        moments = before = self._moments
        try:
            finished, moments = self._transact(requests)
        except FileLost as error:
            self._tell_loop(_refuse, requests, error)
            raise
        except Exception as error:
            if len(requests) > 1:
                for request in requests:
                    self._do([request])
                return
            problem = self._database.failed(error)
            if not requests:
                log.warning("%s; trying again", problem)
                self._seen = -1
            for request in requests:
                request.error = problem
            finished = requests
        if finished or moments != before:
            self._tell_loop(self._finish, finished, moments)

    def _transact(self, requests: list[Request[Any]]) -> tuple[list[Request[Any]], Moments]:
        """Those that are finished, and when the next delay and lease are over, if anybody waits for it."""
        look = self._look
        if look:
            self._look = False  # Before what is looked at, so that no call gets lost.
        if not look and not any(request.writes for request in requests):
            with self._database.reading():
                tx = self._transaction(writes=False)
                for request in requests:
                    request.run(tx)
            return requests, self._moments
        self._pipe.wait(0.0)
        with self._database.writing(synced=any(request.synced for request in requests)):
            tx = self._transaction(writes=True)
            seen = self._database.changed()
            forget(tx, self._dead)
            offset = self._ahead()
            # Looked at twice: this thread may have been stopped between the two clocks.
            if abs(offset - self._offset) > STEP and abs((offset := self._ahead()) - self._offset) > STEP:
                follow_clock(tx, offset)
            finished = self._line.run(tx, requests, look=look or seen != self._seen)
            self._tidy(tx)
            called = elsewhere(tx)
            moments = next_moments(tx) if self._line.goes_on() else NEVER
            tx.end()
        self._line.keep()
        self._offset = offset
        self._seen = seen
        self._dead = {engine for engine in called if not call(self._place.beside, engine)}
        if self._dead:
            self._look = True
        self.bodies.remove(tx.unneeded)
        return finished, moments

    def _ahead(self) -> float:
        """How far the clock is ahead of the monotonic scale."""
        clock = self._options.clock
        return clock.time() - clock.monotonic()

    def _transaction(self, *, writes: bool) -> Transaction:
        connection = self._database.connection
        tx = Transaction(connection, self.bodies, self._options, self._engine, self.partitions, writes=writes)
        tx.alone = self._pipe.alone
        return tx

    def _tidy(self, tx: Transaction) -> None:
        now = time.monotonic()
        if now > self._tidied + TIDY:
            self._tidied = now
            self._pipe.look_round()
            forget_ids(tx)
        if now > self._swept + SWEEP:
            self._swept = now
            self.bodies.sweep(tx)

    def _take_over(self) -> None:
        """Where no other engine uses the file, whoever held something has ended: nobody has to wait for its leases."""
        # It need not be: where the file cannot be written now, leases end when they are over.
        with suppress(apsw.Error, OSError):
            if self._pipe.alone and self._is_anything_held():
                with self._database.writing(synced=False):
                    if not self._pipe.others():  # Looked for under the lock: who comes now cannot hold anything yet.
                        tx = self._transaction(writes=True)
                        end_leases(tx)
                        end_claims(tx)

    def _is_anything_held(self) -> bool:
        with self._database.reading():
            tx = self._transaction(writes=False)
            return next_moments(tx).over < math.inf or is_anything_claimed(tx)

    def _leave(self) -> None:
        """Stand in no line any more."""
        with suppress(Exception), self._database.writing(synced=False):
            forget(self._transaction(writes=True), {self._engine})

    def _tell_loop(self, *call_: Any) -> None:
        with suppress(RuntimeError):  # It has ended.
            self._post(*call_)


def _refuse(requests: list[Request[Any]], problem: Exception) -> None:
    for request in requests:
        request.error = problem
        request.finish()
