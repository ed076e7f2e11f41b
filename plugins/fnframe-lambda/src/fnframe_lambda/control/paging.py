"""Lists in pages: `MaxItems` at once, and a `Marker` that says where the next page begins."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..wire import Answer, invalid, json_answer
from .checks import between, refuse

if TYPE_CHECKING:
    from ..request import Request

LARGEST_PAGE = 50
"""Items, whatever a request asks for."""

Item = TypeVar("Item")


def page(
    request: Request, member: str, items: Sequence[Item], key: Callable[[Item], str], view: Callable[[Item], Any],
    *, most: int = 10_000,
) -> Answer:  # fmt: skip
    """The page that a request asks for, as the member of an answer. Raises `ApiError`.

    The items are in the order of their keys, by which pages go on: what comes and goes meanwhile moves no other item
    from one page to another.
    """
    query = request.query()
    asked = query.get("MaxItems", str(LARGEST_PAGE))
    if not asked.isdigit():
        raise invalid(f"MaxItems must be a number, found {asked!r}")
    refuse(between(int(asked), "maxItems", 1, most))
    after = _position(query.get("Marker", ""))
    left = [item for item in items if after is None or key(item) > after]
    shown = left[: min(int(asked), LARGEST_PAGE)]
    told: dict[str, Any] = {member: [view(item) for item in shown]}
    if len(left) > len(shown):
        told["NextMarker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return json_answer(200, told)


def _position(marker: str) -> str | None:
    if not marker:
        return None
    try:
        return base64.b64decode(marker, b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise invalid("The marker is none that this server gave") from None
