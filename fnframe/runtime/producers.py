"""What a program sends with: messages to a queue, records to a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dispatch.carried import Carried
from ..event import encode_json
from ..sending import check_name, sendable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..dispatch.acceptance import Acceptance


class QueueProducer:
    """A queue, to send to: made by `running.queue(name)`."""

    def __init__(self, name: str, acceptance: Acceptance) -> None:
        check_name(name)
        self.name = name
        self._acceptance = acceptance

    def __repr__(self) -> str:
        return f"<QueueProducer {self.name}>"

    async def send(
        self, data: Any, *, id: str | None = None, group: str | None = None, delay: float = 0.0  # noqa: A002
    ) -> str:  # fmt: skip
        """Send a message, anything that encodes to JSON; its id. Returns when the engine has it.

        An `id` that was sent before, within an hour at least, is accepted once. Messages of one `group` are handled in
        order; `delay` is in seconds. Raises `PayloadTooLarge`, `QueueFull`, `ValueError` for an id or group that is no
        text and a delay that is none, and `NotRunning` after the end.
        """
        sendable(f"queue:{self.name}", group=group, id=id, delay=delay)
        return await self._acceptance.send(self.name, Carried(encode_json(data)), id_=id, group=group, delay=delay)


class StreamProducer:
    """A stream, to publish to: made by `running.stream(name)`."""

    def __init__(self, name: str, acceptance: Acceptance) -> None:
        check_name(name)
        self.name = name
        self._acceptance = acceptance

    def __repr__(self) -> str:
        return f"<StreamProducer {self.name}>"

    async def publish(self, data: Any, *, key: str, id: str = "") -> bool:  # noqa: A002
        """Publish a record, anything that encodes to JSON. Returns when the engine has it.

        Records of one `key` are handled in order. An `id` that was published before, within an hour at least, is
        accepted once: False then. Raises `PayloadTooLarge`, `ValueError` for a key or id that is no text, and
        `NotRunning` after the end.
        """
        sendable(f"stream:{self.name}", key=key, id=id)
        return await self._acceptance.publish(self.name, Carried(encode_json(data)), key=key, id_=id or "")


class QueueInThread:
    """A queue, to send to from any thread: made by `running.queue(name)` in a synchronous program."""

    def __init__(self, producer: QueueProducer, call: Callable[..., Any]) -> None:
        self.name = producer.name
        self._producer = producer
        self._call = call

    def send(
        self, data: Any, *, id: str | None = None, group: str | None = None, delay: float = 0.0  # noqa: A002
    ) -> str:  # fmt: skip
        """Send a message; see `QueueProducer.send`."""
        sent: str = self._call(lambda: self._producer.send(data, id=id, group=group, delay=delay))
        return sent


class StreamInThread:
    """A stream, to publish to from any thread: made by `running.stream(name)` in a synchronous program."""

    def __init__(self, producer: StreamProducer, call: Callable[..., Any]) -> None:
        self.name = producer.name
        self._producer = producer
        self._call = call

    def publish(self, data: Any, *, key: str, id: str = "") -> bool:  # noqa: A002
        """Publish a record; see `StreamProducer.publish`."""
        is_new: bool = self._call(lambda: self._producer.publish(data, key=key, id=id))
        return is_new
