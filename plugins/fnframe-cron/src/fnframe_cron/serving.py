"""All mappings of the type together: what `Cron.run_all` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import checkpoint

from .agenda import Agenda
from .alone import alone
from .entry import Entry
from .progress import Ledger

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping

    from .trigger import Cron

TOLD = 500
"""So many schedules are planned before the app counts as started; the others right afterwards, while it serves."""
SLICE = 100


async def serve(mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
    """Fire the schedules of all mappings until cancelled."""
    clock = mappings[0].clock
    agenda = Agenda(clock)
    entries = []
    for number, mapping in enumerate(mappings, 1):
        entry = _entry(mapping, int(clock.time()))
        entries.append(entry)
        agenda.add(entry)
        if number % SLICE == 0:
            await checkpoint()
    await agenda.plan(TOLD)
    with alone(mappings):
        now = clock.time()
        task_status.started([_text(entry, now, told=place < TOLD) for place, entry in enumerate(entries)])
        await agenda.run()


def _entry(mapping: Mapping, since: int) -> Entry:
    cron: Cron = mapping.trigger
    return Entry(
        cron,
        mapping.function.name,
        mapping,
        Ledger(mapping.state, "progress"),
        title=cron.title(),
        identity=cron.identity(),
        since=since,
    )


def _text(entry: Entry, now: float, *, told: bool) -> str:
    zone = f" in {entry.cron.tz}" if entry.cron.tz != "UTC" else ""
    return f"{entry.title}{zone}, {entry.outlook(now)}" if told else f"{entry.title}{zone}"
