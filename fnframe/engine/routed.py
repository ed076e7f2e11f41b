"""An engine of which some queues and streams lie in others: the table `[engines]` of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from ..trigger import State
    from .protocol import Engine, Queue, Stream


class RoutedEngine:
    """`home` keeps what no other engine is named for; `others` are by `queue:NAME` and `stream:NAME`.

    It is as durable as `home`, and as shared. Each engine keeps the reports of what it settles: `engines` are all.
    """

    def __init__(self, home: Engine, others: Mapping[str, Engine]) -> None:
        self.durable = home.durable
        self.shared = home.shared
        self.engines = list(dict.fromkeys([home, *others.values()]))
        self._home = home
        self._others = others
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for engine in self.engines:
                await stack.enter_async_context(engine)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def by_name(self) -> dict[str, Engine]:
        """Each engine once, by the first that is named for it; the home first."""
        named = {"home": self._home}
        for name, engine in self._others.items():
            if engine not in named.values():
                named[name] = engine
        return named

    def queue(self, name: str) -> Queue:
        return self._engine_of("queue", name).queue(name)

    def stream(self, name: str) -> Stream:
        return self._engine_of("stream", name).stream(name)

    def state(self, name: str) -> State:
        return self._home.state(name)

    async def queues(self) -> list[str]:
        """What an engine holds under a name for which another is named now is not served, and not listed."""
        return [name for engine in self.engines for name in await engine.queues() if self._is_in(engine, "queue", name)]

    async def streams(self) -> list[str]:
        found = [(engine, name) for engine in self.engines for name in await engine.streams()]
        return [name for engine, name in found if self._is_in(engine, "stream", name)]

    def _engine_of(self, kind: str, name: str) -> Engine:
        return self._others.get(f"{kind}:{name}", self._home)

    def _is_in(self, engine: Engine, kind: str, name: str) -> bool:
        return self._engine_of(kind, name) is engine
