"""Finding the handler that a configuration names, and the errors where it is not there, in Lambda's words."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = str(Path(__file__).parent)


class Fault(Exception):
    """What Lambda's runtime itself finds wrong."""

    def __init__(self, error_type: str, message: str, stack_trace: list[str] | None = None) -> None:
        self.error_type = error_type
        self.stack_trace = stack_trace or []
        super().__init__(message)


def find(name: str) -> Callable[[Any, Any], Any]:
    """Import the handler `package.module.function`. Raises `Fault`, and whatever its module raises."""
    module_name, dot, attribute = name.rpartition(".")
    if not dot:
        problem = f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", problem)
    if module_name.split(".")[0] in sys.builtin_module_names:
        problem = f"Cannot use built-in module {module_name} as a handler module"
        raise Fault("Runtime.BuiltInModuleConflict", problem)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        problem = f"Unable to import module '{module_name}': {error}"
        raise Fault("Runtime.ImportModuleError", problem) from None
    except SyntaxError as error:
        place = f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'
        problem = f"Syntax error in module '{module_name}': {error}"
        raise Fault("Runtime.UserCodeSyntaxError", problem, [place]) from None
    handler: Any = getattr(module, attribute, None)
    if handler is None and not hasattr(module, attribute):
        raise Fault("Runtime.HandlerNotFound", f"Handler '{attribute}' missing on module '{module_name}'")
    return handler  # type: ignore[no-any-return]


def payload_of(error: Exception, request_id: str) -> dict[str, Any]:
    """An error as Lambda's runtime tells it to the caller, without its own frames."""
    if isinstance(error, Fault):
        kind, stack = error.error_type, error.stack_trace
    else:
        kind, stack = type(error).__name__, _stack(error)
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": stack}


def _stack(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)
    first = next((place for place, frame in enumerate(frames) if not frame.filename.startswith(HERE)), 0)
    return traceback.format_list([(f.filename, f.lineno or 0, f.name, f.line) for f in frames[first:]])
