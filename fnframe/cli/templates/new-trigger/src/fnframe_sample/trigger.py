"""The trigger: its configuration, and what feeds its events.

Every environment is forked from a process that imported this module: what is heavy is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe import ConfigurationError, Trigger

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from fnframe import Mapping


class Sample(Trigger, frozen=True):
    """Lines that arrive at a port: `Sample(port=7000)`; the handler gets the text. Port 0 takes one that is free.

    A client gets `ok` for a line that was accepted, and `busy` for one that it has to send again. Raises
    `ConfigurationError` for what is no port.
    """

    port: int

    def __post_init__(self) -> None:
        if not isinstance(self.port, int) or not 0 <= self.port <= 65_535:
            raise ConfigurationError(f"Sample: port must be a number from 0 to 65535, found {self.port!r}")

    async def run(self, mapping: Mapping, *, task_status: TaskStatus[str]) -> None:
        from .serving import serve

        await serve(mapping, self.port, task_status)
