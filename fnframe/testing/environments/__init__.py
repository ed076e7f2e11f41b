"""The conformance kit of execution environments, for who writes an environment provider (`fnframe.provider`).

A case names functions of an app that run in such environments, each of which does something certain:

    CASE = EnvironmentCase("app.py", echo="echo", fails="fails", hangs="hangs")


    @pytest.mark.anyio
    @pytest.mark.parametrize("obligation", environment_obligations(CASE), ids=str)
    async def test_my_environments(obligation):
        await obligation.check(CASE)
"""

from __future__ import annotations

from ..obligation import check_all
from . import answers, limits  # noqa: F401
from .obligation import OBLIGATIONS, EnvironmentCase, EnvironmentObligation, World

__all__ = ("EnvironmentCase", "EnvironmentObligation", "World", "check_environment", "environment_obligations")


def environment_obligations(case: EnvironmentCase) -> list[EnvironmentObligation]:
    """The obligations that can be checked with this case: all, or those that need no more than it has."""
    parts = {name for name, value in case._asdict().items() if value}
    return [obligation for obligation in OBLIGATIONS if obligation.needs <= parts]


async def check_environment(case: EnvironmentCase) -> list[str]:
    """Check every obligation that can be checked with this case and return their names.

    Raises `ObligationBroken` that lists all that are broken, each with its reason.
    """
    return await check_all(environment_obligations(case), lambda each: each.check(case))
