"""The conformance suite of engines: what the protocol promises, as named obligations, for whoever writes one.

All of them at once, for an engine that a plugin brings: `await check_engine("my:")`. With pytest, one by one:

    @pytest.mark.anyio
    @pytest.mark.parametrize("obligation", engine_obligations(durable=True, shared=False), ids=str)
    async def test_my_engine(obligation):
        await obligation.check(lambda options: MyEngine("my:", options))
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...engine.protocol import EngineOptions
from ..obligation import Obligation, ObligationBroken, check_all
from . import claims, dead_letters, durability, groups, queues, reports, sharing, states, streams  # noqa: F401
from .obligation import OBLIGATIONS, EngineObligation, MakeEngine

if TYPE_CHECKING:
    from ...engine.protocol import Engine

__all__ = ["MakeEngine", "Obligation", "ObligationBroken", "check_engine", "engine_obligations"]


def engine_obligations(*, durable: bool, shared: bool, virtual_time: bool = True) -> list[EngineObligation]:
    """The obligations of an engine that is durable, or shared by several processes, or not.

    `virtual_time`: it takes its time from the clock in its options. Without that, the obligations that need an hour to
    pass are left out, and the others wait in real time.
    """
    is_so = {"durable": durable, "shared": shared, "virtual time": virtual_time}
    return [obligation for obligation in OBLIGATIONS if all(is_so[need] for need in obligation.needs)]


async def check_engine(engine: str | MakeEngine, *, virtual_time: bool = True) -> list[str]:
    """Check every obligation that holds for this engine and return their names.

    `engine` is its URL, for one that the core or an installed plugin brings, or makes an engine for its options. What
    two engines with the same `options.directory` keep must be the same if the engine is durable or shared, and that
    directory is empty at first: so a relative path in the URL must count from there. Raises `ObligationBroken` that
    lists all that are broken, and `ConfigurationError` for a URL of no engine.
    """
    make_engine = _maker_of(engine) if isinstance(engine, str) else engine
    made: Engine = make_engine(EngineOptions(directory=Path()))
    obligations = engine_obligations(durable=made.durable, shared=made.shared, virtual_time=virtual_time)
    return await check_all(obligations, lambda each: each.check(make_engine, virtual_time=virtual_time))


def _maker_of(url: str) -> MakeEngine:
    from ...runtime.engines import engine_factories, factory_of
    from ...runtime.plugins import load_plugins

    plugins = load_plugins(Path())
    return partial(factory_of(url, engine_factories(plugins), plugins), url)
