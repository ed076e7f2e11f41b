"""`fnframe invoke`: one invocation, from a shell."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import ConfigurationError
from .errors import FAILED, UsageError
from .options import Assignments, Flag, Target, settings_of
from .signals import Stop, run_async
from .standard_output import written

if TYPE_CHECKING:
    from ..event import Event
    from ..outcome import Success

EVENT = '{"specversion": "1.0", "id": "1", "source": "me", "type": "test"}'


def invoke(
    target: Target,
    function: Annotated[str, Parameter(help="The function's name.")],
    /,
    *,
    data: Annotated[
        str,
        Parameter(help="The event's data: JSON, @FILE, or - for standard input.", allow_leading_hyphen=True),
    ] = "null",
    event: Annotated[Flag, Parameter(help="The data is a whole event: a CloudEvent in JSON.")] = False,
    set_: Assignments = (),
) -> int:
    """Run one function once and print what it returns.

    The result goes to standard output; the function's own output and its
    report go to standard error. The exit status is 0, 1 if the function
    failed, or 2 if it could not be called.
    """
    return run_async(partial(_invoke, target, function, json_of(data), event, settings_of(set_)))


def json_of(data: str) -> bytes:
    """What `--data` means, as JSON. Raises `UsageError` that tells what is wrong with it, and where."""
    payload = payload_of(data)
    _check_json(payload, f"--data {data}" if data.startswith(("@", "-")) else "--data")
    return payload


def payload_of(data: str) -> bytes:
    """What `--data` means: itself, the bytes of `@FILE`, or `-` for standard input. Raises `UsageError`."""
    if data == "-":
        return sys.stdin.buffer.read()
    if data.startswith("@"):
        try:
            return Path(data[1:]).read_bytes()
        except OSError as error:
            raise UsageError(f"--data {data}: {error.strerror}") from None
    return data.encode("utf-8", "surrogateescape")


def _check_json(payload: bytes, source: str) -> None:
    from ..event import UNDECODABLE, decode_json

    try:
        decode_json(payload)
    except UNDECODABLE as error:
        raise UsageError(f"{source} is not JSON: {_place(payload) or error}") from None


def _place(payload: bytes) -> str | None:
    """What is wrong, the line and a mark below it; msgspec tells a byte only."""
    import json

    try:
        json.loads(payload)
    except json.JSONDecodeError as error:
        line = error.doc.splitlines()[error.lineno - 1] if error.doc.strip() else ""
        before = max(0, error.colno - 40)
        mark = " " * (error.colno - 1 - before)
        place = f"{error.msg[0].lower()}{error.msg[1:]}, line {error.lineno}, column {error.colno}"
        return f"{place}\n\n  {line[before : before + 76]}\n  {mark}^"
    except UnicodeDecodeError as error:
        return f"it is no UTF-8 ({error})"
    except RecursionError:
        return "it is nested too deep"
    return None


async def _invoke(
    target: str, function: str, payload: bytes, is_event: bool, settings: dict[str, object], _: Stop
) -> int:
    from ..outcome import Success
    from ..runtime.logs import LogLines
    from ..runtime.run import run_target

    event = _event_of(payload) if is_event else None
    lines = LogLines(sys.stderr, "text")
    async with run_target(target, settings=settings, serve="calls", plugins=(lines,)) as running:
        outcome = await running.invoke(function, event=event, payload=None if is_event else payload)
    if not isinstance(outcome, Success):
        return FAILED
    _print_result(outcome)
    return 0


def _event_of(payload: bytes) -> "Event":
    from ..cloudevents import from_structured

    try:
        return from_structured(payload)
    except ConfigurationError as error:
        raise UsageError(f"--event: {error.problem}\n\n  The least that an event has: {EVENT}") from None


def _print_result(success: "Success") -> None:
    """As it is for a program; laid out for a person, who gets no binary data on the terminal."""
    from ..event import JSON

    payload = success.payload
    if sys.stdout.isatty():
        if success.content_type == JSON:
            import msgspec

            payload = msgspec.json.format(payload, indent=2)
        elif not success.content_type.startswith("text/"):
            size = f"{len(payload):,} bytes of {success.content_type}"
            print(f"the result is {size}; send standard output to a file to keep them", file=sys.stderr)
            return
    is_text = success.content_type == JSON or success.content_type.startswith("text/")
    with written():
        sys.stdout.buffer.write(payload + b"\n" if is_text else payload)
