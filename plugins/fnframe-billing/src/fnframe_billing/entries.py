"""Rows of the ledger, made of reports."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import apsw

from .figures import FIRST_CHUNK, is_billed, requests_of
from .rows import last_row
from .statements import ADD_KIND, INSERTIONS, KIND, ROW, SUM_UP

if TYPE_CHECKING:
    from fnframe import Report

log = logging.getLogger("fnframe.billing")

MOST_KINDS = 10_000
"""Kinds whose numbers are remembered."""


class Entries:
    """Adds rows within a step that the ledger has begun, and remembers the numbers of kinds."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[Any, ...], int] = {}

    def forget(self) -> None:
        """Some kinds were numbered in what is undone."""
        self._kinds.clear()

    def add(self, connection: apsw.Connection, reports: Sequence[Report]) -> None:
        """Add those that were not refused, each once, and what they sum up to."""
        billed = [report for report in reports if is_billed(report)]
        if not billed:
            return
        last = last_row(connection)
        try:
            self._insert(connection, billed)
        except apsw.ConstraintError:  # Some are there: that is rare, and they are looked for only then.
            self._insert(connection, _new(connection, billed))
        connection.execute(SUM_UP, (last,))

    def add_each(self, connection: apsw.Connection, reports: Sequence[Report]) -> None:
        """The same, where one of them may be none that can be kept: the others are."""
        try:
            with connection:  # Within the step, this is a step of its own.
                self.add(connection, reports)
        except apsw.Error:
            raise
        except Exception as error:
            self.forget()
            if len(reports) > 1:
                for report in reports:
                    self.add_each(connection, [report])
            else:
                tell_unfit(reports[0], error)

    def kind(self, connection: apsw.Connection, key: tuple[Any, ...]) -> int:
        """The number of a kind, which comes into being with its first row."""
        number = self._kinds.get(key)
        if number is None:
            connection.execute(ADD_KIND, key)
            number = connection.execute(KIND, key).get
            assert number is not None
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.clear()
            self._kinds[key] = number
        return number

    def _insert(self, connection: apsw.Connection, reports: Sequence[Report]) -> None:
        values: list[Any] = []
        for report in reports:
            init, peak, cpu = report.init_duration_ms, report.max_memory_used_mb, report.cpu_ms
            values += (
                report.request_id,
                report.attempt,
                self._kind_of(connection, report),
                int(report.started_at.timestamp() * 1000),
                round(report.queued_ms * 1000),
                None if init is None else round(init * 1000),
                round(report.duration_ms * 1000),
                1 if report.event_bytes <= FIRST_CHUNK else requests_of(report),
                None if peak is None else round(peak * 1024),
                None if cpu is None else round(cpu * 1000),
                report.trace_id,
            )
        begin = 0
        for size, statement in INSERTIONS:
            while begin + size * len(ROW) <= len(values):
                end = begin + size * len(ROW)
                connection.execute(statement, values[begin:end])
                begin = end

    def _kind_of(self, connection: apsw.Connection, report: Report) -> int:
        key = (
            report.function, report.trigger, report.invocation_type, report.outcome, report.memory_size_mb,
            report.ephemeral_storage_mb, report.provisioned, report.memory_method, report.tenant or "",
            tags_text(report.tags) if report.tags else "{}", report.node, report.version,
        )  # fmt: skip
        return self._kinds.get(key) or self.kind(connection, key)


def _new(connection: apsw.Connection, reports: Sequence[Report]) -> list[Report]:
    """Those that are not in the ledger yet, each once."""
    known = "SELECT 1 FROM invocations WHERE request_id = ? AND attempt = ?"
    first = {(report.request_id, report.attempt): report for report in reversed(reports)}
    return [report for key, report in first.items() if not connection.execute(known, key).get]


def tags_text(tags: Mapping[str, str]) -> str:
    """Tags as the ledger keeps them: the same for the same ones."""
    return json.dumps(tags, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def tell_unfit(report: Report, error: Exception) -> None:
    """Say that a report is none that can be kept."""
    told = "request %s of function %r is not billed, since it cannot be written: %r"
    log.error(told, report.request_id, report.function, error)
