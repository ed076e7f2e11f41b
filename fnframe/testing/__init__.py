"""For tests: an app in the test's own process or in real environments, time that is turned by hand, faults, events; and
the conformance kits for who writes triggers, engines and environments.

`pytest` finds the fixtures `app_client` and `nothing_left` by itself; docs/testing.md tells how all of it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AppClient, open_client
    from .clock import ManualClock
    from .engines import check_engine, engine_obligations
    from .environments import check_environment, environment_obligations
    from .environments.obligation import EnvironmentCase
    from .events import batch_event, event
    from .faults import Faults
    from .heard import Heard, Settled
    from .obligation import Obligation, ObligationBroken
    from .triggers import check_trigger, trigger_obligations
    from .triggers.obligation import TriggerCase

_HOMES = {
    "AppClient": "client",
    "EnvironmentCase": "environments.obligation",
    "Faults": "faults",
    "Heard": "heard",
    "ManualClock": "clock",
    "Obligation": "obligation",
    "ObligationBroken": "obligation",
    "Settled": "heard",
    "TriggerCase": "triggers.obligation",
    "batch_event": "events",
    "check_engine": "engines",
    "check_environment": "environments",
    "check_trigger": "triggers",
    "engine_obligations": "engines",
    "environment_obligations": "environments",
    "event": "events",
    "open_client": "client",
    "trigger_obligations": "triggers",
}

__all__ = (
    "AppClient",
    "EnvironmentCase",
    "Faults",
    "Heard",
    "ManualClock",
    "Obligation",
    "ObligationBroken",
    "Settled",
    "TriggerCase",
    "batch_event",
    "check_engine",
    "check_environment",
    "check_trigger",
    "engine_obligations",
    "environment_obligations",
    "event",
    "open_client",
    "trigger_obligations",
)


def __getattr__(name: str) -> Any:
    # Lazy: pytest imports this package in every project in which fnframe is installed.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe.testing' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
