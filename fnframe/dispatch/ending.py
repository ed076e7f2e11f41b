"""What kind of end an invocation came to: what queues and streams ask of an outcome."""

from __future__ import annotations

import logging

from ..event import encode_json
from ..outcome import EXITED, OUT_OF_MEMORY, REFUSED, THROTTLED, Failure, Outcome

log = logging.getLogger("fnframe.poller")


def tell_raised(what: str, error: Exception) -> str:
    """Log an exception that was none of the handler's, with its stack; what is told of it elsewhere."""
    log.error("%s: handling it raised, which counts as a failed attempt", what, exc_info=error)
    return f"handling it raised {type(error).__name__}: {error}"


def was_throttled(outcome: Outcome) -> bool:
    """It never ran, since too much else did: no attempt."""
    return isinstance(outcome, Failure) and outcome.kind == "rejected" and outcome.error_type == THROTTLED


def was_refused(outcome: Outcome) -> bool:
    """It never ran, since a plugin refused it for good."""
    return isinstance(outcome, Failure) and outcome.kind == "rejected" and outcome.error_type == REFUSED


def ended_environment(outcome: Outcome) -> bool:
    """It took its environment along, by memory or exit. A timeout is no such end: it is the host's own."""
    return isinstance(outcome, Failure) and outcome.kind == "ended" and outcome.error_type in (OUT_OF_MEMORY, EXITED)


def error_of(failure: Failure) -> bytes:
    """Lambda's error payload, as JSON: what a dead letter keeps."""
    return encode_json(failure.payload())


def attempts_text(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count:,} attempts"


def poison_text(lost: int) -> str:
    """Why something is given up on before its attempts are spent."""
    return f"its environment or its host ended {lost} times while it ran"
