"""What a handler's answer says of its batch: which records failed, and a window's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..event import JSON, UNDECODABLE, decode_json
from ..outcome import Success

LAMBDA, OWN = "batchItemFailures", "batch_item_failures"
"""The member that names failures: Lambda's, a list of objects with `itemIdentifier`; ours, a list of ids."""

INVALID = "Runtime.InvalidBatchResponse"
"""The error type of an answer that cannot be understood, which fails the whole batch."""


class InvalidAnswer(Exception):
    """The answer names failures in a form that says nothing, so all of the batch counts as failed."""


def failures(success: Success, names: Callable[[], Mapping[str, int]]) -> list[int]:
    """The places of the records that the answer says failed; `names` gives those of the batch, with their places.

    Anything that has none of the two members says that all is done: null, `{}`, an empty text, any other value.
    Raises `InvalidAnswer` for what is no JSON, and for an id that is empty or none of the batch's.
    """
    answer = _decoded(success)
    if not isinstance(answer, dict):
        return []
    found = [_lambdas(item) for item in _listed(answer, LAMBDA)] + [_own(item) for item in _listed(answer, OWN)]
    known = names() if found else {}
    return sorted({_place(name, known) for name in found})


def state_of(success: Success) -> bytes:
    """The state that a function with a tumbling window leaves, as JSON. Raises `InvalidAnswer` where there is none."""
    try:
        return bytes(msgspec.json.decode(success.payload, type=dict[str, msgspec.Raw])["state"])
    except (*UNDECODABLE, KeyError):
        raise InvalidAnswer('a function with a tumbling window must return {"state": ...}') from None


def _decoded(success: Success) -> Any:
    if success.content_type != JSON:
        raise InvalidAnswer(f"expected JSON, found {success.content_type}")
    try:
        return decode_json(success.payload)
    except UNDECODABLE as error:  # What speaks the Runtime API may send anything.
        raise InvalidAnswer(f"expected JSON: {error}") from None


def _listed(answer: dict[str, Any], member: str) -> list[Any]:
    items = answer.get(member) or []
    if not isinstance(items, list):
        raise InvalidAnswer(f"{member} must be a list, found {items!r}")
    return items


def _lambdas(item: Any) -> Any:
    if not isinstance(item, dict) or "itemIdentifier" not in item:
        raise InvalidAnswer(f"{LAMBDA} must hold objects with the member itemIdentifier, found {item!r}")
    return item["itemIdentifier"]


def _own(item: Any) -> Any:
    return item.get("item_identifier") if isinstance(item, dict) else item


def _place(name: Any, names: Mapping[str, int]) -> int:
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name:
        raise InvalidAnswer(f"expected the id of a record that failed, found {name!r}")
    if name not in names:
        raise InvalidAnswer(f"{name!r} is no record of this batch")
    return names[name]
