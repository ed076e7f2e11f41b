"""What a call takes by name: a name that it does not take is refused at the user's line, with the nearest that it
does."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import msgspec

from .errors import ConfigurationError, nearest

P = ParamSpec("P")
R = TypeVar("R")


class Options(msgspec.StructMeta):
    """The type of a Struct that users make with options of its own: a trigger, limits."""

    if not TYPE_CHECKING:  # Type checkers know the fields, and would know them no more.

        def __call__(cls, *values: Any, **named: Any) -> Any:
            _refuse_unknown(cls.__name__, named, cls.__struct_fields__)
            return super().__call__(*values, **named)


def named_only(what: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function refuse what it does not take by name, as `what` to a person."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        known = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]

        @functools.wraps(function)
        def call(*values: P.args, **named: P.kwargs) -> R:
            _refuse_unknown(what, named, known, named.get("where"))  # A declaration may be for another line.
            return function(*values, **named)

        return call

    return decorate


def _refuse_unknown(what: str, named: Collection[str], known: Collection[str], where: object = None) -> None:
    """Raises `ConfigurationError`, by default at the line that made the call."""
    for name in named:
        if name not in known:
            frame = sys._getframe(2)
            problem = f"{what} has no option {name!r}{nearest(name, known)}; it has: {', '.join(known)}"
            raise ConfigurationError(problem, where=str(where or f"{frame.f_code.co_filename}:{frame.f_lineno}"))
