"""What a trigger is: its own configuration, with one method that feeds events to a function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from .destination import masked
from .options import Options
from .outcome import InvocationType

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from anyio.abc import TaskStatus

    from .clock import Clock
    from .engine.protocol import Queue, Stream
    from .event import Event
    from .function import Function
    from .outcome import Outcome


class NoSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of a trigger type that has none."""


class Mapping(Protocol):
    """An event source mapping: a trigger and a function bound together, and the two ways to hand an event over."""

    @property
    def trigger(self) -> Any:
        """The trigger, as the user configured it."""

    @property
    def function(self) -> Function:
        """The function's configuration."""

    @property
    def app(self) -> str:
        """The app's name."""

    @property
    def directory(self) -> Path:
        """The folder of the app's file: relative paths in a trigger's configuration count from here."""

    @property
    def settings(self) -> Any:
        """The settings of this trigger's type, an instance of its `Settings`."""

    @property
    def state(self) -> State:
        """Where this mapping keeps what it must remember; as durable as the app's engine."""

    @property
    def shared(self) -> bool:
        """Whether other processes may share the engine: what is accepted or set there then counts for all of them."""

    @property
    def clock(self) -> Clock:
        """The app's time: whatever waits for a moment asks it, so that tests can turn it by hand."""

    @property
    def grace(self) -> float:
        """Seconds that a trigger which is cancelled may take to answer what it accepted."""

    @property
    def debug(self) -> bool:
        """True under `fnframe dev`: whoever calls may see a stack trace."""

    async def invoke(self, event: Event, *, fresh: bool = False) -> Outcome:
        """Run the function and wait. The caller retries, if anybody does.

        What the trigger's filter does not let through is not run: a `Success` of nothing, whose report says `filtered`.

        `fresh` promises that the event's id is a UUID made for this event alone: then it is the request's id too.
        """

    async def enqueue(self, event: Event, *, group: str | None = None, fresh: bool = False) -> bool:
        """Accept the event for an asynchronous invocation: fnframe runs it and retries.

        `fresh` is as for `invoke`. Events of one `group` run in their order, each when the one before has come to its
        end. Returns when the engine has it, or when the trigger's filter did not let it through; False if an event with
        this id was accepted before (within the engine's window for duplicates). Raises `QueueFull`, `PayloadTooLarge`
        or `RecursionStopped` when it was not accepted.
        """

    def passes(self, event: Event) -> bool:
        """Whether the trigger's filter lets the event through; `invoke` and `enqueue` ask it themselves.

        For a trigger that gathers events before it hands them over. Observers are told of what does not pass.
        """

    def queue(self, name: str) -> Queue:
        """The queue of this name in the app's engine."""

    def stream(self, name: str) -> Stream:
        """The stream of this name in the app's engine."""

    async def poll(self, source: Queue | Stream, *, task_status: TaskStatus[str]) -> None:
        """Feed the function from a queue or a stream until cancelled: for a `QueueTrigger` or `StreamTrigger`.

        The source may be the app's own, or any that implements `fnframe.engine.protocol`. Batches, retries, order,
        checkpoints and the end in order are the core's. `task_status.started` is called with a line for a person.
        """

    async def is_pending(self, source: str, event_id: str) -> bool:
        """Whether the event of this source and id was enqueued and has not come to its end: it waits, runs or will be
        tried again."""


class State(Protocol):
    """Named values that outlive an invocation; part of an engine."""

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""

    async def put(self, key: str, value: bytes) -> None:
        """Set the value."""

    async def compare_and_set(self, key: str, expected: bytes | None, value: bytes) -> bool:
        """Set the value if it is `expected` now (None: absent); whether it was set."""

    async def delete(self, key: str) -> None:
        """Remove the value, if there is one."""

    async def items(self, prefix: str = "") -> list[tuple[str, bytes]]:
        """The keys that begin with `prefix` and their values, in the keys' order."""


class Trigger(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag=str.lower,
    tag_field="trigger",
    metaclass=Options,
):
    """Base of every trigger: a frozen Struct whose fields are its configuration, checked in `__post_init__`.

    Every trigger takes `filter=`, Lambda's filter patterns: one, or several of which one must fit. An event that does
    not fit is not run. A subclass has nothing to do for it.

    The kind (`"http"` for `class Http`) is the class's name in lower case. The module of a trigger imports only
    fnframe and msgspec, since every template imports it; heavy libraries are imported in `run`.
    """

    filter: dict[str, Any] | list[dict[str, Any]] | None = None

    invocation_type: ClassVar[InvocationType] = "asynchronous"
    """How events of this trigger come in, for the reports."""

    has_backlog: ClassVar[bool] = False
    """Whether events can wait outside before the app starts (files can, requests cannot): what
    `fnframe run --until-idle` works off. `started()` of such a trigger means that all of them are enqueued."""

    Settings: ClassVar[type[msgspec.Struct]] = NoSettings
    """Settings of the type as a whole (a port, say): the table of the kind's name in fnframe.toml."""

    async def run(self, mapping: Mapping, *, task_status: TaskStatus[Any]) -> None:
        """Feed events to `mapping` until cancelled. Stopping is cancellation; state is local variables.

        Call `task_status.started(text)` once ready, with what a person should know (an address, a folder).
        An exception ends the app: it means a wrong configuration or a bug.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `run` or `run_all`")

    @classmethod
    async def run_all(cls, mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
        """Feed events for all mappings of this type; for what they share. By default `run` for each.

        Call `task_status.started(texts)` once all are ready, with one text for each mapping, in order.
        """
        import anyio

        async with anyio.create_task_group() as tasks:
            texts = [await tasks.start(_run_one, mapping) for mapping in mappings]
            task_status.started(texts)

    def is_awaited(self) -> bool:
        """Whether somebody waits for the function's answer to an event: then no event may be filtered."""
        return self.invocation_type == "synchronous"

    @classmethod
    def header(cls, event: Event, name: str) -> str | None:
        """What came beside the data of an event of this type under a name; for `tenant="header:NAME"`.

        By default the extension attribute.
        """
        value = event.extensions.get(name.lower())
        return None if value is None else str(value)

    def check_handler(self, annotation: Any) -> None:
        """Raise `ConfigurationError` where a handler whose first parameter has this annotation (`Any` for none) cannot
        take the events of this trigger. Called when the function is declared."""

    def address(self) -> str | None:
        """Where its events are sent to, if what is sent there can have one function alone: a second trigger of this
        type and address is refused where it is declared. By default None: any number of functions may have it.
        """
        return None

    def document(self, event: Event, names: Collection[str]) -> dict[str, Any]:
        """What a filter sees of an event: of the members that the event has, these, as decoded JSON.

        By default the attributes of CloudEvents and `data`. Override it for what the trigger alone knows of its events.
        """
        from .filter.documents import event_document  # No business of a template.

        return event_document(event, names)

    def identity(self) -> str:
        """Under what name a mapping keeps its `state`: all fields but the filter, as JSON.

        Override it to leave out what else may change without beginning anew.
        """
        fields = msgspec.to_builtins(self)
        del fields["filter"]
        return msgspec.json.encode(fields).decode()

    def describe(self) -> str:
        """One line for a person, from the fields that are set; of a URL, which may hold a password, the host."""
        set_fields = [
            f"{field.name}={_shown(getattr(self, field.name))}"
            for field in msgspec.structs.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(set_fields)})"


def _shown(value: Any) -> str:
    return repr(masked(value) if isinstance(value, str) else value)


async def _run_one(mapping: Mapping, *, task_status: TaskStatus[Any]) -> None:
    await mapping.trigger.run(mapping, task_status=task_status)


def kind_of(trigger: Trigger | type[Trigger]) -> str:
    """The word by which manifests and settings call this type of trigger."""
    return str(trigger.__struct_config__.tag)
