"""A coroutine that can be given up, for what catches its cancellation and would never end."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

_given_up: list[Coroutine[Any, Any, Any]] = []
"""Not to be closed: what catches everything would catch that too."""


class Abandoned(Exception):
    """The coroutine was given up."""


@types.coroutine
def abandonable(coroutine: Coroutine[Any, Any, Any], is_late: Callable[[], bool]) -> Generator[Any, Any, Any]:
    """Await a coroutine until `is_late` says so. Raises `Abandoned` then: what was to be raised in it is not."""
    value: Any = None
    error: BaseException | None = None
    while True:
        try:
            wanted = coroutine.send(value) if error is None else coroutine.throw(error)
        except StopIteration as returned:
            return returned.value
        value = error = None
        try:
            value = yield wanted
        except BaseException as raised:
            error = raised
        if is_late():
            _given_up.append(coroutine)
            raise Abandoned
