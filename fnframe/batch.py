"""Several records in one event: what a function that a queue or a stream feeds gets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Generic, Self

import msgspec

from .batch_event import BYTES, TEXT, Item, Origin, Span, bodies_of, made_up, moment, origin_of, state_of
from .event import Event, decode_json, encode_json, now
from .schema import InvalidEvent, decoder_for

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", default=Any)
else:
    from typing import TypeVar

    Data = TypeVar("Data")

FAILURES, ITEM = "batchItemFailures", "itemIdentifier"
"""Lambda's names in a handler's answer; ours are `batch_item_failures`, a list of ids."""


class Window(msgspec.Struct, frozen=True):
    """The tumbling window of a batch: its bounds, by when records were accepted, and what the invocations so far left.

    `is_final` says that this is the window's last invocation: its `batch` may be empty. `is_terminated_early`, that it
    is the last one since the state had become too large.
    """

    start: dt.datetime
    end: dt.datetime
    state: Any
    is_final: bool = False
    is_terminated_early: bool = False


class Record(Generic[Data]):
    """A message of a queue or a record of a stream, with its decoded `data`.

    `body` is the data as it was sent. `attempt` counts deliveries from 1. `accepted` is when the queue or stream
    accepted it. `key` is the group of a message, or the key of a stream's record, whose `position` in its partition
    counts from 1; in a queue there is none. The constructor is for tests of handlers: `Record(Order(...), id="a")`.
    """

    __slots__ = ("_accepted", "attempt", "body", "data", "id", "key", "position", "traceparent")

    def __init__(
        self,
        data: Data,
        *,
        id: str = "",  # noqa: A002  its name everywhere
        body: bytes | None = None,
        attempt: int = 1,
        accepted: dt.datetime | float | None = None,
        key: str | None = None,
        position: int | None = None,
        traceparent: str | None = None,
    ) -> None:
        self.data = data
        self.id = id
        self.body = encode_json(data) if body is None else body
        self.attempt = attempt
        self._accepted = now() if accepted is None else accepted
        self.key = key
        self.position = position
        self.traceparent = traceparent

    def __repr__(self) -> str:
        return f"<Record {self.name} attempt {self.attempt}>"

    @property
    def accepted(self) -> dt.datetime:
        """When the queue or the stream accepted it."""
        return moment(self._accepted) if isinstance(self._accepted, (int, float)) else self._accepted

    @property
    def name(self) -> str:
        """By what a handler's answer names it: its position in a stream, its id in a queue."""
        return str(self.position) if self.position else self.id


class Misfit(msgspec.Struct, frozen=True):
    """A record whose data does not fit the type that the handler asked for, and why."""

    record: Record[Any]
    problem: str


class Batch(Generic[Data]):
    """Records, in order: annotate a handler's parameter with `Batch[Order]`.

    Iterating gives the records whose data fits. One that does not is in `misfits` and counts as failed by itself,
    whatever the handler returns; in a stream, and in a group of a queue, nothing behind it is in the batch, since it
    must be done first. Where no record fits, the handler does not run and the invocation fails.

    A handler says of a record that it failed by `fail(record)`, or by returning
    `{"batch_item_failures": [record.name, ...]}`; Lambda's form works too. All others are done then. A handler that
    raises fails the whole batch. `source` is the queue or stream (`"queue:orders"`), `partition` that of a stream.
    The constructor is for tests of handlers.
    """

    def __init__(
        self,
        records: Iterable[Record[Data]] = (),
        *,
        source: str = "",
        partition: int | None = None,
        window: Window | None = None,
        misfits: Sequence[Misfit] = (),
    ) -> None:
        self.records: Sequence[Record[Data]] = list(records)
        self.source = source
        self.partition = partition
        self.window = window
        self.misfits = misfits
        self._failed: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"<Batch of {len(self.records)} from {self.source or 'nowhere'}>"

    def __iter__(self) -> Iterator[Record[Data]]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Record[Data]:
        return self.records[index]

    @cached_property
    def data(self) -> list[Data]:
        """The data of the records alone."""
        return [record.data for record in self.records]

    def fail(self, record: Record[Data]) -> None:
        """This record failed: it shall come again. In a stream, so will all that lie behind it."""
        self._failed[record.name] = None

    @property
    def failed(self) -> list[str]:
        """The names of the records that failed so far: those that do not fit, and those of `fail`."""
        return [*(misfit.record.name for misfit in self.misfits), *self._failed]

    def complete(self, value: Any) -> Any:
        """The handler's answer together with the records that failed here."""
        if not self.failed:
            return value
        answer = dict(value) if isinstance(value, dict) else {}
        named = answer.get(FAILURES) or []
        if isinstance(named, list):  # Anything else fails the whole batch.
            answer[FAILURES] = [*named, *({ITEM: name} for name in self.failed)]
        return answer

    @classmethod
    def from_event(cls, event: Event, type_: Any = Any) -> Self:
        """The batch that an event carries; the data of one that no queue or stream made is its records.

        Raises `fnframe.schema.InvalidEvent` where no record fits `type_`.
        """
        origin = origin_of(event) if event.origin else made_up(event)
        records, misfits = _fitting(origin, bodies_of(event, origin), type_)
        if misfits and not records:
            raise InvalidEvent("; ".join(f"record {misfit.record.name}: {misfit.problem}" for misfit in misfits[:3]))
        return cls(
            records,
            source=origin.source,
            partition=None if origin.partition < 0 else origin.partition,
            window=None if origin.span is None else _window(event, origin.span),
            misfits=misfits,
        )


def _fitting(origin: Origin, bodies: list[bytes], type_: Any) -> tuple[list[Record[Any]], list[Misfit]]:
    """The records that fit, and those that do not; not those that must wait until one of these is done."""
    decode = _plain if type_ is Any else _decoder(type_)
    in_stream = origin.partition >= 0
    records: list[Record[Any]] = []
    misfits: list[Misfit] = []
    blocked: set[str] = set()
    for item, body in zip(origin.items, bodies, strict=True):
        if item.key is not None and item.key in blocked and not in_stream:
            continue
        try:
            data, problem = decode(body, item), ""
        except InvalidEvent as error:
            data, problem = None, str(error)
        record = Record(
            data,
            id=item.id,
            body=body,
            attempt=item.attempt,
            accepted=item.accepted,
            key=item.key,
            position=item.position or None,
            traceparent=item.traceparent,
        )
        if not problem:
            records.append(record)
            continue
        misfits.append(Misfit(record, problem))
        if in_stream:
            break
        if item.key is not None:
            blocked.add(item.key)
    return records, misfits


def _plain(body: bytes, item: Item) -> Any:
    """What a record without a type decodes to: anything fits but a number that is too large."""
    if item.content_type == BYTES:
        return body
    try:
        return body.decode() if item.content_type == TEXT else decode_json(body)
    except msgspec.DecodeError as error:
        raise InvalidEvent(str(error)) from None


@lru_cache(maxsize=256)
def _decoder(type_: Any) -> Any:
    decode = decoder_for(type_)
    return lambda body, item: decode(Event(id=item.id, source="", type="", time=_NEVER, data=body))


_NEVER = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _window(event: Event, span: Span) -> Window:
    state = decode_json(state_of(event))
    return Window(moment(span.start), moment(span.end), state, span.is_final, span.is_terminated_early)
