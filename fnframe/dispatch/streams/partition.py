"""One partition of a stream, while this process has it: read, handled in lanes, committed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from ..retry import ENGINE_POLICY
from .checkpoint import Checkpoint, Committer, checkpoint_of
from .lane import Lane
from .tumbling import Tumbling

if TYPE_CHECKING:
    from ...clock import Clock
    from ...engine.protocol import Claim, Record, Stream
    from ...outcome import Report
    from ..selection import Admits
    from ..settled.records import LostCondition
    from .stream_function import StreamFunction

log = logging.getLogger("fnframe.poller")

IDLE_READ = 5.0
"""Seconds that a read waits for records."""
READ_AT_ONCE = 8 * 1024 * 1024
"""Bytes that are read in one step, by the size of the records so far."""
ASSUMED_SIZE = 64 * 1024
RELEASE = 2.0
"""Seconds for the last checkpoint, and for giving the partition back, where it is ended at once."""


class Partition:
    """`starting` is the position behind which a function begins that was not there before; `changed` is called when
    all that there was is done."""

    def __init__(
        self, claim: Claim, stream: Stream, function: StreamFunction, clock: Clock, starting: int,
        admits: Admits | None, changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.claim = claim
        self._stream = stream
        self._function = function
        self._clock = clock
        self._admits = admits
        self._changed = changed
        checkpoint = checkpoint_of(claim, starting)
        seconds = function.trigger.tumbling_window
        self._tumbling = Tumbling(seconds, checkpoint) if seconds else None
        self._read_to = checkpoint.position
        self._has_begun = bool(claim.checkpoint)
        """Whether the function was told of records before: else what the stream does not keep is no loss to it."""
        self._caught_up = -1.0
        self._lanes = [
            Lane(
                function,
                claim.partition,
                clock,
                self._tumbling,
                finished=self._finished,
                caught_up=lambda: self._caught_up,
            )
            for _ in range(function.trigger.lanes)
        ]
        self._what = f"{function.source}: partition {claim.partition}"
        self._committer = Committer(claim, self._current, clock, self._what, changed)
        self._reading = anyio.CancelScope()
        self._scope = anyio.CancelScope()
        self._room = anyio.Event()
        self._mean = float(ASSUMED_SIZE)
        self.stopping = False

    async def run(self) -> None:
        """Work until stopped, or until the partition is not ours any more; then give it back."""
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._commit)
                    async with anyio.create_task_group() as lanes:
                        for lane in self._lanes:
                            lanes.start_soon(lane.run)
                        with self._reading:
                            await self._read()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(RELEASE, shield=True):
                await self._committer.flush()
                await self._give_back()
            self._changed()

    async def _give_back(self) -> None:
        try:
            await self.claim.release()
        except Exception as error:
            told = "%s could not be given back (%s: %s): another consumer gets it when its claim is over"
            log.warning(told, self._what, type(error).__name__, error)

    def lose(self) -> None:
        """It is another consumer's now, who begins at the checkpoint: what runs here is for nobody."""
        log.warning("%s went to another consumer", self._what)
        self.stopping = True
        self._scope.cancel()

    def stop(self) -> None:
        """Begin nothing more: what runs ends, and what is done by then is committed."""
        self.stopping = True
        self._reading.cancel()
        for lane in self._lanes:
            lane.stop()

    async def is_idle(self) -> bool:
        """Whether all that the partition holds is done."""
        bounds = await self._stream.bounds(self.claim.partition)
        return self._current().position >= bounds.last and self._committer.is_done

    def _current(self) -> Checkpoint:
        first = min(lane.first for lane in self._lanes)
        position = self._read_to if first > self._read_to else int(first) - 1
        if self._tumbling is None:
            return Checkpoint(position)
        return Checkpoint(position, self._tumbling.start, self._tumbling.state)

    def _finished(self, reports: Sequence[Report]) -> None:
        self._committer.add(reports)
        self._room.set()

    async def _commit(self) -> None:
        await self._committer.run()
        self.lose()

    # In.

    async def _read(self) -> None:
        failures = 0
        while True:
            while (room := self._capacity()) <= 0:
                self._room = anyio.Event()
                await self._room.wait()
            most = max(1, min(room, int(READ_AT_ONCE / self._mean)))
            try:
                records = await self._stream.read(self.claim.partition, self._read_to, most, wait=self._patience())
                await self._take(records)
                failures = 0
            except Exception as error:
                failures += 1
                delay = ENGINE_POLICY.delay(failures)
                told = "%s cannot be read (%s: %s); trying again in %.1f s"
                log.error(told, self._what, type(error).__name__, error, delay)  # noqa: TRY400
                await self._clock.wait(anyio.Event(), self._clock.monotonic() + delay)

    def _capacity(self) -> int:
        """How many records more may be held: a batch that runs, and the next, for each lane."""
        if sum(lane.size for lane in self._lanes) >= 2 * self._function.largest:
            return 0
        return 2 * len(self._lanes) * self._function.trigger.batch_size - sum(lane.held for lane in self._lanes)

    def _patience(self) -> float:
        """Seconds to wait for records: a window that is over ends when there are none."""
        closes = self._tumbling.closes if self._tumbling is not None else None
        if closes is None or closes <= self._caught_up:
            return IDLE_READ
        return min(IDLE_READ, max(0.0, closes - self._clock.time()))

    async def _take(self, records: Sequence[Record]) -> None:
        if not records:
            self._caught_up = self._clock.time()
            for lane in self._lanes:
                lane.look()
            return
        self._tell_gap(records[0].position)
        admitted = records if self._admits is None else await self._admitted(records, self._admits)
        self._read_to = records[-1].position
        self._mean = (self._mean + sum(len(record.body) for record in records) / len(records)) / 2
        if not admitted:
            self._committer.add()  # It is done with them.
        elif len(self._lanes) == 1:
            self._lanes[0].put(admitted)
        else:
            self._spread(admitted)

    async def _admitted(self, records: Sequence[Record], admits: Admits) -> Sequence[Record]:
        """The records that fit the filter. One at which the filter itself fails is given up on: no other attempt would
        find it otherwise."""
        admitted = []
        for record in records:
            try:
                if admits(record):
                    admitted.append(record)
            except Exception as error:
                event = self._function.bare_event(self.claim.partition, [record])
                failure = self._function.raised(event, error, 1)
                condition: LostCondition = "RetryAttemptsExhausted"
                await self._function.give_up(self.claim.partition, [record], condition, event, 1, failure, failure)
        return admitted

    def _tell_gap(self, first: int) -> None:
        """Say so where the stream let records go that the function had yet to be told of."""
        if self._has_begun and first > self._read_to + 1:
            told = "%s: function %r is so far behind that records %d-%d were gone before it came to them: see %s"
            settings = "stream_retention and stream_records"
            log.error(told, self._what, self._function.name, self._read_to + 1, first - 1, settings)
        self._has_begun = True

    def _spread(self, records: Sequence[Record]) -> None:
        """What has one key goes into one lane."""
        by_lane: dict[int, list[Record]] = {}
        for record in records:
            by_lane.setdefault(hash(record.key) % len(self._lanes), []).append(record)
        for number, some in by_lane.items():
            self._lanes[number].put(some)
