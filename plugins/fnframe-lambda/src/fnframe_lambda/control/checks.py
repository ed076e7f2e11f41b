"""What Lambda checks of a request's members, and how it says what is wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from ..declare import RESERVED
from ..spec import HANDLER, MOST_VARIABLES
from ..wire import invalid, not_here, violated

if TYPE_CHECKING:
    from .bodies import Configured

ROLE = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
ALIAS = r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)"
_VARIABLE = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_RESERVED = RESERVED | {
    "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN",
}  # fmt: skip

LARGEST_BODY = 1024 * 1024
"""Bytes of a control request that has no archive in it."""

_NOT_HERE = (
    "kms_key_arn", "vpc_config", "dead_letter_config", "layers", "file_system_configs", "image_config",
    "tenancy_config", "capacity_provider_config", "durable_config",
)  # fmt: skip

Violation = tuple[Any, str, str]


def between(value: float | None, member: str, low: float, high: float) -> list[Violation]:
    """What is wrong with a number; nothing where it is absent."""
    if value is None or low <= value <= high:
        return []
    bound = f"less than or equal to {high}" if value > high else f"greater than or equal to {low}"
    return [(value, member, f"Member must have value {bound}")]


def matching(value: str | None, member: str, pattern: str, most: int) -> list[Violation]:
    """What is wrong with a text; nothing where it is absent."""
    if value is None:
        return []
    if len(value) > most:
        return [(value, member, f"Member must have length less than or equal to {most}")]
    if not re.fullmatch(pattern, value, re.DOTALL):
        return [(value, member, f"Member must satisfy regular expression pattern: {pattern}")]
    return []


def refuse(violations: list[Violation]) -> None:
    """Raises `ApiError` where something is wrong."""
    if violations:
        raise violated(*violations)


def check_configured(body: Configured) -> None:
    """Whether the members of a function's configuration are in their bounds. Raises `ApiError`."""
    storage = body.ephemeral_storage
    refuse([
        *between(body.memory_size, "memorySize", 128, 10_240),
        *between(body.timeout, "timeout", 1, 900),
        *between(None if storage is None else storage.size, "ephemeralStorage.size", 512, 10_240),
        *matching(body.role, "role", ROLE, 10_000),
        *matching(body.handler, "handler", HANDLER.pattern, 128),
        *matching(body.description, "description", ".*", 256),
    ])  # fmt: skip
    if body.environment is not None:
        check_variables(body.environment.variables)
    for name in _NOT_HERE:
        if _says_something(getattr(body, name)):
            member = next(f.encode_name for f in msgspec.structs.fields(body) if f.name == name)
            raise not_here(member)
    if body.snap_start is not None and body.snap_start.apply_on != "None":
        raise not_here("SnapStart")


def check_variables(variables: dict[str, str]) -> None:
    """Raises `ApiError` for what cannot be a function's variables."""
    reserved = [name for name in variables if name in _RESERVED]
    text = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided"
    )
    if reserved:
        raise invalid(
            f"{text} contains reserved keys that are currently not supported for modification. Reserved keys used in "
            f"this request: {', '.join(reserved)}"
        )
    refuse([
        violation
        for name in variables
        for violation in matching(name, "environment.variables", _VARIABLE.pattern, MOST_VARIABLES)
    ])  # fmt: skip
    if sum(len(text.encode()) for pair in variables.items() for text in pair) > MOST_VARIABLES:
        measured = msgspec.json.encode(variables).decode()
        raise invalid(f"{text} exceeded the 4KB limit. String measured: {measured}")


def check_tags(tags: dict[str, str]) -> None:
    """Raises `ApiError` for more than Lambda takes, and for what it keeps for itself."""
    if len(tags) > 50:
        raise invalid("Number of tags exceeds resource tag limit.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise invalid(f"The tag {key!r} is not allowed: 1 to 128 characters, a value of at most 256, and no 'aws:'")


def moved_on(asked: str | None, revision: str) -> bool:
    """Whether a record has another revision than the caller asked for."""
    return asked is not None and asked != revision


def _says_something(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_says_something(member) for member in value.values())
    return bool(value)
