"""fnframe: the AWS Lambda programming model as an embeddable Python library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import App
    from .batch import Batch, Record, Window
    from .context import Context
    from .errors import (
        ConfigurationError,
        EngineFailed,
        FnframeError,
        FunctionError,
        FunctionNotFound,
        ImportFailed,
        NotRunning,
        PayloadTooLarge,
        QueueFull,
        RecursionStopped,
        TriggerFailed,
    )
    from .event import Event
    from .function import Function, Limits, Manifest
    from .hookspecs import hookimpl
    from .outcome import Failure, Outcome, Report, Success
    from .polled import QueueTrigger, StreamTrigger
    from .schema import InvalidEvent
    from .trigger import Mapping, State, Trigger

_HOMES = {
    "App": "app",
    "Batch": "batch",
    "ConfigurationError": "errors",
    "Context": "context",
    "EngineFailed": "errors",
    "Event": "event",
    "Failure": "outcome",
    "FnframeError": "errors",
    "Function": "function",
    "FunctionError": "errors",
    "FunctionNotFound": "errors",
    "ImportFailed": "errors",
    "InvalidEvent": "schema",
    "Limits": "function",
    "Manifest": "function",
    "Mapping": "trigger",
    "NotRunning": "errors",
    "Outcome": "outcome",
    "PayloadTooLarge": "errors",
    "QueueFull": "errors",
    "QueueTrigger": "polled",
    "Record": "batch",
    "RecursionStopped": "errors",
    "Report": "outcome",
    "State": "trigger",
    "StreamTrigger": "polled",
    "Success": "outcome",
    "Trigger": "trigger",
    "TriggerFailed": "errors",
    "Window": "batch",
    "hookimpl": "hookspecs",
}

__all__ = (
    "App",
    "Batch",
    "ConfigurationError",
    "Context",
    "EngineFailed",
    "Event",
    "Failure",
    "FnframeError",
    "Function",
    "FunctionError",
    "FunctionNotFound",
    "ImportFailed",
    "InvalidEvent",
    "Limits",
    "Manifest",
    "Mapping",
    "NotRunning",
    "Outcome",
    "PayloadTooLarge",
    "QueueFull",
    "QueueTrigger",
    "Record",
    "RecursionStopped",
    "Report",
    "State",
    "StreamTrigger",
    "Success",
    "Trigger",
    "TriggerFailed",
    "Window",
    "hookimpl",
)


def __getattr__(name: str) -> Any:
    # Lazy, so that a worker pays only for what its app uses: no pluggy, anyio or asyncio for a plain handler.
    if name not in _HOMES:
        raise AttributeError(f"module 'fnframe' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value
