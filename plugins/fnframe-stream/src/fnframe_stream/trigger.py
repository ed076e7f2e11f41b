"""The trigger: its configuration, checked where the user writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import ConfigurationError, StreamTrigger
from fnframe.sending import check_name

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping


class Stream(StreamTrigger, frozen=True):
    """A stream of the app's engine: `Stream("clicks", batch_size=500, lanes=4)`.

    `StreamTrigger` says what can be set. The handler takes a `Batch[Click]`, or with
    `batch_size=1` a `Click`. Raises `ConfigurationError` for what makes no sense.
    """

    name: str

    def __post_init__(self) -> None:
        try:
            check_name(self.name)
        except ValueError as error:
            raise ConfigurationError(f"Stream: {error}") from None
        super().__post_init__()

    def reads(self) -> str:
        return f"stream:{self.name}"

    async def run(self, mapping: Mapping, *, task_status: TaskStatus[str]) -> None:
        await mapping.poll(mapping.stream(self.name), task_status=task_status)
