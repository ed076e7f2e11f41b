"""Which functions have more memory than they need, from measured peaks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from fnframe.commands import aligned, counted

from .amounts import change
from .pricing import list_price
from .table import short
from .usage import Usage

if TYPE_CHECKING:
    from .book import PriceBook
    from .rows import Peaks
    from .table import Styled

LEAST, STEP = 128, 64
"""MB that a function has at least, and in which steps memory is advised."""
HEADROOM = 1.2
"""So many times of what nearly all invocations need is advised, and never less than any of them took."""
NEARLY_ALL = 0.99
CLOSE = 0.9
"""The share of its memory from which on a function has too little."""
ENOUGH = 100
"""Invocations from which on a peak says something."""


class Advice(NamedTuple):
    """What a function might have instead: its cost before and after, in whatever unit."""

    peaks: Peaks
    usual: int
    memory_mb: int
    before: int
    after: int

    @property
    def is_founded(self) -> bool:
        """Whether enough invocations stand behind it."""
        return self.peaks.measured >= ENOUGH


def advised(found: Iterable[Peaks], used: Mapping[tuple[str, int], Usage], book: PriceBook) -> list[Advice]:
    """What each function might have; what saves most comes first. `used` is what each used, with which memory."""
    advice = []
    for peaks in found:
        usual = peaks.quantile(NEARLY_ALL)
        needed = max(usual * HEADROOM, peaks.largest)
        size = max(LEAST, STEP * -(-int(needed + 0.999) // STEP))
        if peaks.exhausted:
            size = max(size, 2 * peaks.memory_mb)
        usage = used.get((peaks.function, peaks.memory_mb), Usage())
        before, after = (round(list_price(book, each)) for each in (usage, _resized(usage, peaks.memory_mb, size)))
        advice.append(Advice(peaks, usual, size, before, after))
    return sorted(advice, key=lambda each: (each.after - each.before, each.peaks.function))


def _resized(usage: Usage, before: int, after: int) -> Usage:
    """The same use with other memory, whose times stay as they were."""
    fields = ("mb_ms", "provisioned_mb_ms", "reserved_mb_ms")
    sizes = {name: getattr(usage, name) // before * after for name in fields}
    return Usage(requests=usage.requests, storage_mb_ms=usage.storage_mb_ms, **sizes)


def advice_lines(advice: list[Advice], app: str, days: int) -> Iterator[Styled]:
    """What to say of each function."""
    yield f"{app}: what its functions need of their memory, by the last {counted(days, 'day')}", "bold"
    yield "", ""
    if not advice:
        yield "no invocation's memory was measured", ""
        return
    rows = [["function", "has", "p99", "most", "invocations", ""]]
    for each in advice:
        peaks = each.peaks
        figures = [f"{mb:,} MB" for mb in (peaks.memory_mb, each.usual, peaks.largest)]
        rows.append([short(peaks.function), *figures, f"{peaks.measured:,}", _text(each)])
    head, *body = aligned(rows, right=(1, 2, 3, 4))
    yield head, "bold"
    for row, each in zip(body, advice, strict=True):
        yield row, "bold red" if each.peaks.exhausted else ""
    yield "", ""
    if not all(each.is_founded for each in advice):
        yield f"*  fewer than {ENOUGH} invocations: wait for more before you rely on it", "dim"
    yield "what is advised holds what any invocation took, and a fifth more than 99 % did;", "dim"
    yield "times are taken as they were: on Lambda, less memory is also less processor time", "dim"


def _text(advice: Advice) -> str:
    peaks = advice.peaks
    doubt = "" if advice.is_founded else " *"
    if peaks.exhausted:
        return f"{peaks.exhausted:,} ran out of it: {advice.memory_mb:,} MB"
    if peaks.largest > CLOSE * peaks.memory_mb and advice.memory_mb > peaks.memory_mb:
        return f"close to its limit: {advice.memory_mb:,} MB{doubt}"
    if advice.memory_mb >= peaks.memory_mb:
        return f"as it should be{doubt}"
    saved = change(advice.before, advice.after).removeprefix("-")
    return f"{advice.memory_mb:,} MB would save {saved}{doubt}"
