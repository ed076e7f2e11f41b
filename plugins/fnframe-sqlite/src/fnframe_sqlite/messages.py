"""What happens to messages, as SQL: each function is one request, or a part of it, within a transaction.

A message has a `turn` (it can be had), is `due` at a moment (delayed), is lent `until` one, or has none of the three:
then it waits for others of its group. Of a group only the first may have a turn, and only while none of it is lent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from fnframe.engine.protocol import DUPLICATE_WINDOW, DeadLetter, Message, QueueStatistics
from fnframe.errors import QueueFull

from .records import keep_report
from .schema import SPAN

if TYPE_CHECKING:
    from fnframe.outcome import Report

    from .transaction import QueueRow, Transaction


class Sent(NamedTuple):
    """A message on its way in; `file` holds its body if that is large."""

    message: Message
    file: str | None


class Taken(NamedTuple):
    """A message on its way out; where its body is in a file, it is read later."""

    place: int
    message: Message
    file: str | None


class Moments(NamedTuple):
    """When a delay will be over, in seconds since the epoch, and a lease, on the monotonic scale: leases hold whatever
    somebody sets the clock to, delays outlive the machine's start. Infinity where there is none."""

    due: float
    over: float


NEVER = Moments(math.inf, math.inf)

Held = tuple[int, int]
"""What settles a message: its place, and the number of the lease."""

COLUMNS = "place, id, body, file, grp, accepted, attempt, lost"


def send(tx: Transaction, name: str, messages: Sequence[Sent], delay: float) -> list[bool]:
    queue = tx.queue(name)
    for _, file in messages:
        if file is not None:
            tx.bodies.check(file)
    new: dict[str, Sent] = {}
    accepted = []
    for sent in messages:
        message, file = sent
        is_new = message.id not in new and (message.fresh or not _is_known(tx, queue, message.id))
        accepted.append(is_new)
        if is_new:
            new[message.id] = sent
        elif file is not None:
            tx.unneeded.append(file)
    _accept(tx, queue, new.values(), delay)
    return accepted


def take(tx: Transaction, name: str, most: int, seconds: float, lease: int) -> list[Taken]:
    queue = tx.queue(name)
    reserved = _reserved(tx, queue)
    sql = f"SELECT {COLUMNS} FROM message WHERE turn > ? AND turn < ? ORDER BY turn LIMIT ? OFFSET ?"
    rows: list[Any] = []
    for row in tx.rows(sql, (*queue.span, most, reserved)):
        if len(rows) < most:
            rows.append(row)
            if row[4] is not None:
                rows += _followers(tx, queue, row, most - len(rows))
    if not rows and reserved and tx.one("SELECT 1 FROM message WHERE turn > ? AND turn < ?", queue.span):
        tx.holds_back = True
    if rows:
        sql = "UPDATE message SET turn = NULL, until = ?, lease = ? WHERE place IN (SELECT value FROM json_each(?))"
        places = msgspec.json.encode([row[0] for row in rows]).decode()
        tx.execute(sql, (tx.monotonic + seconds, lease, places))
    return [Taken(row[0], _message(row), row[3]) for row in rows]


def ack(tx: Transaction, held: Sequence[Held], report: Report | None) -> None:
    sql = "DELETE FROM message WHERE place = ? AND lease = ? AND until > ? RETURNING place, grp, file"
    settled = [row for place, lease in held for row in tx.rows(sql, (place, lease, tx.monotonic))]
    for place, group, file in settled:
        _settle(tx, place, group)
        if file is not None:
            tx.unneeded.append(file)
    if settled:
        keep_report(tx, report)


def release(
    tx: Transaction, place: int, lease: int, delay: float, counted: bool, lost: bool, report: Report | None
) -> None:
    due = tx.now + delay if delay > 0 else None
    row = tx.one(
        "UPDATE message SET until = NULL, lease = NULL, due = ?, attempt = attempt + ?, lost = lost + ? "
        "WHERE place = ? AND lease = ? AND until > ? RETURNING grp",
        (due, counted, lost, place, lease, tx.monotonic),
    )
    if row is not None:
        _offer(tx, place, row[0], now=due is None)
        keep_report(tx, report)


def bury(tx: Transaction, place: int, lease: int, reason: str, error: bytes, report: Report | None) -> None:
    sql = f"DELETE FROM message WHERE place = ? AND lease = ? AND until > ? RETURNING {COLUMNS}"
    row = tx.one(sql, (place, lease, tx.monotonic))
    if row is None:
        return
    _, id_, body, file, group, accepted, attempt, lost = row
    queue = _settle(tx, place, group)
    for (old,) in tx.rows("DELETE FROM dead WHERE queue = ? AND id = ? RETURNING file", (queue.number, id_)):
        if old is not None:
            tx.unneeded.append(old)
    tx.execute(
        "INSERT INTO dead (queue, id, body, file, grp, accepted, attempt, lost, died, reason, error) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (queue.number, id_, body, file, group, accepted, attempt, lost, tx.now, reason, error),
    )
    keep_report(tx, report)


def extend(tx: Transaction, held: Sequence[Held], seconds: float) -> list[bool]:
    sql = "UPDATE message SET until = ? WHERE place = ? AND lease = ? AND until > ? RETURNING place"
    until = tx.monotonic + seconds
    return [tx.one(sql, (until, place, lease, tx.monotonic)) is not None for place, lease in held]


def holds(tx: Transaction, name: str, id_: str) -> bool:
    row = tx.one(
        "SELECT place FROM seen WHERE owner = (SELECT number FROM queue WHERE name = ?) AND id = ?", (name, id_)
    )
    return row is not None and _is_there(tx, row[0])


def statistics(tx: Transaction, name: str) -> QueueStatistics:
    row = tx.one("SELECT number, held FROM queue WHERE name = ?", (name,))
    if row is None:
        return QueueStatistics(0, 0, 0, 0, None)
    number, held = row
    span = (number * SPAN, (number + 1) * SPAN)
    within = "place > ? AND place < ?"
    (delayed,) = tx.one(f"SELECT count(*) FROM message WHERE due > ? AND {within}", (tx.now, *span))
    (leased,) = tx.one(f"SELECT count(*) FROM message WHERE until > ? AND {within}", (tx.monotonic, *span))
    (dead,) = tx.one("SELECT count(*) FROM dead WHERE queue = ?", (number,))
    oldest = tx.one(f"SELECT accepted FROM message WHERE {within} ORDER BY place LIMIT 1", span)
    return QueueStatistics(held - delayed - leased, delayed, leased, dead, oldest[0] if oldest else None)


def dead_letters(tx: Transaction, name: str, most: int, after: str) -> list[tuple[DeadLetter, str | None]]:
    """Dead letters, with the files of those whose body is in one."""
    rows = tx.rows(
        f"SELECT number, {COLUMNS.removeprefix('place, ')}, died, reason, error FROM dead "
        "WHERE queue = (SELECT number FROM queue WHERE name = ?1) AND number > coalesce((SELECT number FROM dead "
        "WHERE queue = (SELECT number FROM queue WHERE name = ?1) AND id = ?2), 0) ORDER BY number LIMIT ?3",
        (name, after, most),
    )
    return [(DeadLetter(_message(row), *row[8:]), row[3]) for row in rows]


def redrive(tx: Transaction, name: str, ids: Sequence[str]) -> int:
    queue = tx.queue(name)
    letters = {}
    for id_ in ids:
        sql = f"SELECT number, {COLUMNS.removeprefix('place, ')} FROM dead WHERE queue = ? AND id = ?"
        row = tx.one(sql, (queue.number, id_))
        if row is not None and not _is_held(tx, queue, id_):
            letters[id_] = Sent(_message(row), row[3])
    _accept(tx, queue, letters.values(), 0.0)
    for id_ in letters:
        tx.execute("DELETE FROM dead WHERE queue = ? AND id = ?", (queue.number, id_))
    return len(letters)


def purge(tx: Transaction, name: str, ids: Sequence[str]) -> int:
    queue = tx.queue(name)
    sql = "DELETE FROM dead WHERE queue = ? AND id = ? RETURNING file"
    rows = [row for id_ in ids for row in tx.rows(sql, (queue.number, id_))]
    tx.unneeded += [file for (file,) in rows if file is not None]
    return len(rows)


def queues(tx: Transaction) -> list[str]:
    sql = "SELECT name FROM queue WHERE held > 0 OR EXISTS (SELECT 1 FROM dead WHERE dead.queue = queue.number)"
    return [name for (name,) in tx.rows(sql)]


def turn_over(tx: Transaction) -> None:
    """Do what has come: delays and leases that are over, a thousand of each at the most."""
    sql = "SELECT place, grp FROM message WHERE due <= ? ORDER BY due LIMIT 1000"
    for place, group in tx.rows(sql, (tx.now,)):
        tx.execute("UPDATE message SET due = NULL WHERE place = ?", (place,))
        _offer(tx, place, group)
    sql = "SELECT place, grp FROM message WHERE until <= ? ORDER BY until LIMIT 1000"
    for place, group in tx.rows(sql, (tx.monotonic,)):
        tx.execute("UPDATE message SET until = NULL, lease = NULL, lost = lost + 1 WHERE place = ?", (place,))
        _offer(tx, place, group)


def next_moments(tx: Transaction) -> Moments:
    """When the next delay and the next lease will be over."""
    (due,) = tx.one("SELECT min(due) FROM message WHERE due IS NOT NULL")
    (until,) = tx.one("SELECT min(until) FROM message WHERE until IS NOT NULL")
    return Moments(math.inf if due is None else due, math.inf if until is None else until)


def end_leases(tx: Transaction) -> None:
    """Whoever held a message is not there any more."""
    tx.execute("UPDATE message SET until = 0 WHERE until IS NOT NULL")


def forget_ids(tx: Transaction) -> None:
    """Forget ids that were accepted before the window for duplicates, some thousand at the most.

    Those of messages that are held still go behind the others, so that what is not old ends the search.
    """
    oldest = tx.one("SELECT moment FROM seen ORDER BY number LIMIT 1")
    if oldest is None or oldest[0] >= tx.now - DUPLICATE_WINDOW:
        return
    for number, moment, place in tx.rows("SELECT number, moment, place FROM seen ORDER BY number LIMIT 5000"):
        if moment >= tx.now - DUPLICATE_WINDOW:
            return
        if place is not None and _is_there(tx, place):
            tx.execute("UPDATE seen SET number = (SELECT max(number) + 1 FROM seen) WHERE number = ?", (number,))
        else:
            tx.execute("DELETE FROM seen WHERE number = ?", (number,))


def _is_known(tx: Transaction, queue: QueueRow, id_: str) -> bool:
    row = tx.one("SELECT moment, place FROM seen WHERE owner = ? AND id = ?", (queue.number, id_))
    return row is not None and (row[0] >= tx.now - DUPLICATE_WINDOW or _is_there(tx, row[1]))


def _is_held(tx: Transaction, queue: QueueRow, id_: str) -> bool:
    row = tx.one("SELECT place FROM seen WHERE owner = ? AND id = ?", (queue.number, id_))
    return row is not None and _is_there(tx, row[0])


def _is_there(tx: Transaction, place: int) -> bool:
    return tx.one("SELECT 1 FROM message WHERE place = ?", (place,)) is not None


def _accept(tx: Transaction, queue: QueueRow, messages: Iterable[Sent], delay: float) -> None:
    """Hold new messages, all or none."""
    new = list(messages)
    bound = tx.options.queue_bound
    if new and queue.held + len(new) > bound:
        raise QueueFull(queue.name, bound)
    for message, file in new:
        place = queue.next()
        if not message.fresh:
            sql = "INSERT OR REPLACE INTO seen (owner, id, moment, place) VALUES (?, ?, ?, ?)"
            tx.execute(sql, (queue.number, message.id, tx.now, place))
        due = tx.now + delay if delay > 0 else None
        blocked = message.group is not None and _of_group(tx, queue, message.group, "1") is not None
        turn = None if blocked or due is not None else place
        body = message.body if file is None else None
        tx.execute(
            "INSERT INTO message (place, id, body, file, grp, accepted, turn, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (place, message.id, body, file, message.group, tx.now, turn, due),
        )
    queue.hold(len(new))
    if new:
        tx.stirred.add(queue.number)


def _settle(tx: Transaction, place: int, group: str | None) -> QueueRow:
    """A message is not held any more."""
    queue = tx.queue_at(place)
    queue.hold(-1)
    if group is not None:
        _offer(tx, place, group)
    return queue


def _offer(tx: Transaction, place: int, group: str | None, *, now: bool = True) -> None:
    """Let a message that is free again be had, `now` or when it is due; of a group the first, if it is its turn."""
    queue = tx.queue_at(place)
    tx.stirred.add(queue.number)
    if group is not None:
        if _of_group(tx, queue, group, "1", "until IS NOT NULL") is not None:
            return
        first = _of_group(tx, queue, group, "place, turn, due")
        if first is None:
            return
        place, now = first[0], first[1] is None and first[2] is None
    if now:
        tx.execute("UPDATE message SET turn = ? WHERE place = ?", (queue.next(), place))


def _of_group(tx: Transaction, queue: QueueRow, group: str, columns: str, condition: str = "TRUE") -> Any:
    """The first of a group for which the condition holds."""
    sql = f"SELECT {columns} FROM message WHERE grp = ? AND place > ? AND place < ? AND {condition}"
    return tx.one(f"{sql} ORDER BY place LIMIT 1", (group, *queue.span))


def _followers(tx: Transaction, queue: QueueRow, first: Any, most: int) -> list[Any]:
    """Those of a group that may be lent together with its first."""
    sql = f"SELECT {COLUMNS}, due FROM message WHERE grp = ? AND place > ? AND place < ? ORDER BY place LIMIT ?"
    followers = []
    for row in tx.rows(sql, (first[4], first[0], queue.span[1], most)):
        if row[8] is not None:
            break
        followers.append(row)
    return followers


def _reserved(tx: Transaction, queue: QueueRow) -> int:
    """So many messages are for other engines, which stand before this one; none when they had their time."""
    if tx.alone:
        return 0
    if tx.pushes:
        tx.execute("DELETE FROM waiting WHERE channel = ? AND engine != ?", (queue.number, tx.engine))
        return 0
    (wanted,) = tx.one(
        "SELECT coalesce(sum(wanted), 0) FROM waiting WHERE channel = ?1 AND engine != ?2 AND number < coalesce("
        "(SELECT number FROM waiting WHERE channel = ?1 AND engine = ?2), 1 << 62)",
        (queue.number, tx.engine),
    )
    return int(wanted)


def _message(row: Any) -> Message:
    _, id_, body, _, group, accepted, attempt, lost = row[:8]
    return Message(id_, body or b"", group, accepted, attempt, lost)
