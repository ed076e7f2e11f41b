"""What the commands of `fnframe dlq` do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .engine import told_as_json
from .errors import FAILED, complain
from .letters import chosen, letters, moment, shortened, shown, to_json
from .output import aligned, counted, terminal
from .standard_output import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.protocol import Engine
    from .letters import Found

DONE = {"redrive": "redriven", "purge": "purged"}


async def list_letters(engine: Engine, *, queue: str | None, as_json: bool) -> int:
    """Print a table, two lines for each."""
    found = await letters(engine, queue)
    if as_json:
        return told_as_json([to_json(each) for each in found])
    console = terminal()
    if not found:
        console.print("no dead letters")
        return 0
    head, *lines = _table(found)
    console.print(head, style="bold", soft_wrap=True)
    for each, line in zip(found, lines, strict=True):
        console.print(line, soft_wrap=True)
        console.print(f"    {each.problem}", style="dim", no_wrap=True, overflow="ellipsis")
    console.print(f"\n{counted(len(found), 'dead letter')}; `fnframe dlq show` tells all of one")
    return 0


def _table(found: Sequence[Found]) -> list[str]:
    rows = [["id", "queue", "when", "attempts", "error"]]
    for each in found:
        when = moment(each.letter.died).strftime("%Y-%m-%d %H:%M")
        queue, error = shortened(each.queue, 23), shortened(each.error.get("errorType", ""), 17)
        rows.append([each.handle, queue, when, str(each.letter.message.attempt), error])
    return aligned(rows, right=(3,))


async def show_letter(engine: Engine, *, word: str, queue: str | None, as_json: bool) -> int:
    """Print all of one."""
    (found,) = chosen(await letters(engine, queue), [word])
    if as_json:
        return told_as_json(to_json(found, whole=True))
    tell(shown(found))
    return 0


async def move_letters(verb: str, engine: Engine, *, words: Sequence[str], queue: str | None) -> int:
    """Redrive or purge those that the words name, or all if there are none."""
    found = await letters(engine, queue)
    wanted = chosen(found, words) if words else found
    moved = 0
    for name in dict.fromkeys(each.queue for each in wanted):
        ids = [each.letter.message.id for each in wanted if each.queue == name]
        count = await getattr(engine.queue(name), verb)(ids)
        moved += count
        tell(f"{name}: {counted(count, 'dead letter')} {DONE[verb]}")
    if not wanted:
        tell("no dead letters")
    if moved < len(wanted):
        complain(f"{len(wanted) - moved} of them stay: their queue has a message of the same id, or they were gone")
    return FAILED if moved < len(wanted) else 0
