"""What a handler's exception looks like to its caller: Lambda's error type, message and stack trace."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..outcome import INVALID_EVENT, INVALID_RESULT, RESPONSE_TOO_LARGE
from .wire import Raised

if TYPE_CHECKING:
    from ..provider import Problem

PACKAGE = str(Path(__file__).parent.parent)
INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
# What fnframe needs lies where msgspec does, also where that is no place of this interpreter's own.
MACHINERY = tuple(
    f"{path}/{name}/"
    for path in (*INSTALLED, str(Path(msgspec.__file__).parent.parent))
    for name in ("asyncio", "anyio", "importlib", "trio", "msgspec")
)
LONGEST_NAME = 256
LONGEST_TEXT = 64 * 1024
LONGEST_FRAME = 4096
MOST_FRAMES = 100


def raised(error: BaseException, usage: Any, *, init: bool = False) -> Raised:
    return Raised(name_of(error), text_of(error), stack_of(error), init, usage)


def refused(problem: Problem, usage: Any, largest: int) -> Raised:
    """What a provider tells of a failure, cut to what can be sent; its own payload whole or not at all."""
    stack = [frame[:LONGEST_FRAME] for frame in problem.stack_trace[:MOST_FRAMES]]
    body = problem.body if len(problem.body) <= largest else b""
    return Raised(problem.error_type[:LONGEST_NAME], problem.message[:LONGEST_TEXT], stack, False, usage, body)


def invalid_event(problem: Exception, usage: Any) -> Raised:
    return Raised(INVALID_EVENT, f"Unable to unmarshal input: {problem}", [], True, usage)


def invalid_result(problem: Exception, usage: Any) -> Raised:
    return Raised(INVALID_RESULT, f"Unable to marshal response: {text_of(problem)}", [], False, usage)


def too_large(limit: int, usage: Any) -> Raised:
    text = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    return Raised(RESPONSE_TOO_LARGE, text, [], False, usage)


def is_function_error(error: BaseException) -> bool:
    """Whether it is the function that failed. What else is no `Exception` ends the process, as in Lambda."""
    return isinstance(error, Exception) or type(error).__name__ in ("CancelledError", "BaseExceptionGroup")


def name_of(error: BaseException) -> str:
    """The name of its class, whatever a metaclass says of it."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name[:LONGEST_NAME]


def text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # Whatever a `__str__` raises is the function's own.
        text = f"<the text of this {type(error).__name__} cannot be made>"
    # Lone surrogates cannot be sent.
    return text[:LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()


def stack_of(error: BaseException) -> list[str]:
    """The frames from the first one that is the user's, as `traceback.format_list` writes them."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next((i for i, frame in enumerate(frames) if not _is_machinery(frame.filename)), len(frames))
    kept = frames[first:]
    if len(kept) > MOST_FRAMES:
        kept = traceback.StackSummary.from_list([*kept[: MOST_FRAMES // 2], *kept[-MOST_FRAMES // 2 :]])
    # A frame shows its line of source, which some program may have written.
    lines = [
        line if len(line) <= LONGEST_FRAME else f"{line[:LONGEST_FRAME]}\n" for line in traceback.format_list(kept)
    ]
    return [line.encode("utf-8", "backslashreplace").decode() for line in lines]


def where_of(error: BaseException, folder: Path | None = None) -> str | None:
    """`file:line` of the last frame that is the user's own, not that of a library which it called.

    What lies in `folder`, the app's, is the user's own, wherever libraries are installed.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return place_in(traceback.extract_tb(error.__traceback__), folder)


def place_in(stack: traceback.StackSummary, folder: Path | None) -> str | None:
    """See `where_of`."""
    frames = [frame for frame in stack if not _is_machinery(frame.filename)]
    own = [frame for frame in frames if not frame.filename.startswith(INSTALLED)] or frames
    own = [frame for frame in own if folder is not None and folder in Path(frame.filename).parents] or own
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def _is_machinery(filename: str) -> bool:
    return filename.startswith((PACKAGE, "<frozen", *MACHINERY))
