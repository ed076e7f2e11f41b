"""The trigger: its configuration, checked where the user writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import ConfigurationError, QueueTrigger
from fnframe.sending import check_name

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping


class Queue(QueueTrigger, frozen=True):
    """A queue of the app's engine: `Queue("orders", batch_size=10, window=1.0)`.

    `QueueTrigger` says what can be set. The handler takes a `Batch[Order]`, or with
    `batch_size=1` an `Order`. Raises `ConfigurationError` for what makes no sense.
    """

    name: str

    def __post_init__(self) -> None:
        try:
            check_name(self.name)
        except ValueError as error:
            raise ConfigurationError(f"Queue: {error}") from None
        super().__post_init__()

    def reads(self) -> str:
        return f"queue:{self.name}"

    async def run(self, mapping: Mapping, *, task_status: TaskStatus[str]) -> None:
        await mapping.poll(mapping.queue(self.name), task_status=task_status)
