"""Which function a request names."""

from __future__ import annotations

from typing import NamedTuple

from .names import LATEST, NAME, QUALIFIER, Account
from .wire import ApiError, invalid, not_found, violated

LONGEST_NAME = 64
LONGEST_WHOLE = 256


class Named(NamedTuple):
    """A function by its bare name, and the qualifier if one was given."""

    name: str
    qualifier: str | None


def named(text: str, qualifier: str | None, account: Account) -> Named:
    """What a path's function name and the query's qualifier say. Raises `ApiError` for what is no name."""
    found = NAME.fullmatch(text)
    if found is None or len(text) > LONGEST_WHOLE:
        pattern = "Member must satisfy regular expression pattern: " + _AS_SHOWN
        raise violated((text, "functionName", pattern))
    if len(found["name"]) > LONGEST_NAME:
        raise violated((text, "functionName", f"Member must have length less than or equal to {LONGEST_NAME}"))
    if qualifier is not None and not QUALIFIER.fullmatch(qualifier):
        pattern = "Member must satisfy regular expression pattern: (|[a-zA-Z0-9$_-]+)"
        raise violated((qualifier, "qualifier", pattern))
    within = found["qualifier"]
    if within is not None and qualifier is not None and within != qualifier:
        raise invalid("The derived qualifier from the function name does not match the specified qualifier.")
    _check_place(text, account)
    return Named(found["name"], within or qualifier)


def _check_place(text: str, account: Account) -> None:
    if not text.startswith("arn:"):
        return
    region = text.split(":")[3]
    if region != account.region:
        problem = f"Functions from '{region}' are not reachable in this region ('{account.region}')"
        raise not_found(problem)


def missing(account: Account, name: str, qualifier: str | None = LATEST) -> ApiError:
    """The error for a function, a version or an alias that is not there."""
    return not_found(f"Function not found: {account.function_arn(name, qualifier)}")


_AS_SHOWN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
