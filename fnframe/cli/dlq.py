"""`fnframe dlq`: what queues gave up on, and what becomes of it."""

from functools import partial
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from .dead_letters import list_letters, move_letters, show_letter
from .engine import with_engine
from .errors import UsageError
from .options import Assignments, Flag, Target

HELP = """Look at dead letters, let them begin anew, or forget them.

A dead letter is an event, message or record that its queue gave up on: a
function's own queue (named by the function), one of yours, or the outbox
of records for URLs. The app may run meanwhile."""

dlq = cyclopts.App(name="dlq", help=HELP, usage="Usage: fnframe dlq COMMAND TARGET", help_format="plaintext")

Queue = Annotated[str | None, Parameter(help="A queue, or a function whose own queue is meant; by default all.")]
InQueue = Annotated[str | None, Parameter(help="Of this queue alone, or of this function's own.")]
Id = Annotated[str, Parameter(help="A dead letter as `dlq list` names it, or its whole id.")]
All = Annotated[Flag, Parameter(name="--all", help="All of them, or all of the queue.")]
Json = Annotated[Flag, Parameter(name="--json", help="For programs.")]


@dlq.command(name="list", usage="Usage: fnframe dlq list [OPTIONS] TARGET [QUEUE]")
def list_(target: Target, queue: Queue = None, /, *, json: Json = False, set_: Assignments = ()) -> int:
    """List dead letters, the oldest of each queue first."""
    return with_engine(target, set_, partial(list_letters, queue=queue, as_json=json))


@dlq.command
def show(target: Target, id: Id, /, *, queue: InQueue = None, json: Json = False, set_: Assignments = ()) -> int:  # noqa: A002
    """Show one dead letter with its error and its data."""
    return with_engine(target, set_, partial(show_letter, word=id, queue=queue, as_json=json))


@dlq.command(usage="Usage: fnframe dlq redrive [OPTIONS] TARGET [ID...]")
def redrive(target: Target, /, *ids: Id, queue: InQueue = None, all_: All = False, set_: Assignments = ()) -> int:
    """Let dead letters begin anew, with their first attempt and age.

    The exit status is 1 if one of them stays, since its queue has a message of
    the same id again.
    """
    _check_choice("redrive", ids, everything=all_)
    return with_engine(target, set_, partial(move_letters, "redrive", words=ids, queue=queue))


@dlq.command(usage="Usage: fnframe dlq purge [OPTIONS] TARGET [ID...]")
def purge(target: Target, /, *ids: Id, queue: InQueue = None, all_: All = False, set_: Assignments = ()) -> int:
    """Forget dead letters for good."""
    _check_choice("purge", ids, everything=all_)
    return with_engine(target, set_, partial(move_letters, "purge", words=ids, queue=queue))


def _check_choice(verb: str, ids: tuple[str, ...], *, everything: bool) -> None:
    if bool(ids) == everything:
        raise UsageError(f"say which dead letters to {verb}: some by their ids, or --all")
