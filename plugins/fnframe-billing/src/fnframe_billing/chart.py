"""A picture of a month: cost and GB-seconds by day and function, in one file that needs nothing else."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from fnframe.commands import UsageError

from .amounts import decimals_for, money, paid, percent, quantity, shown
from .pricing import list_price
from .table import period_text, short
from .usage import GB_S

if TYPE_CHECKING:
    from .bill import Bill, Cell
    from .usage import Usage

WIDTH, PLOT_HEIGHT, LEFT, RIGHT, TOP, BETWEEN = 960, 220, 76, 16, 96, 76
COLORS = ("#4e79a7", "#f28e2b", "#76b7b2", "#e15759", "#b07aa1", "#edc948", "#59a14f", "#9c9c9c")
"""Told apart by most eyes, on a light and on a dark ground. The last is for all others."""
OTHERS = "others"

SMALL, MILLIONTH = Fraction(1, 1000), Fraction(1, 10**6)
"""An axis whose steps are smaller is told in millionths, so that its figures stay short."""

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c1e21; --faint: #6b7280; --grid: #e3e5e8; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #16181c; --ink: #e8eaed; --faint: #9aa0a6; --grid: #33373d; }
}
"""
SVG_STYLE = """
svg { background: var(--ground); font: 13px system-ui, sans-serif; fill: var(--ink); }
.title { font-size: 18px; font-weight: 600; }
.faint { fill: var(--faint); }
.grid { stroke: var(--grid); stroke-width: 1; }
rect.bar:hover { opacity: 0.75; }
"""
PAGE_STYLE = """
body { margin: 2rem auto; padding: 0 1rem; max-width: 960px; background: var(--ground); color: var(--ink); }
body { font: 14px system-ui, sans-serif; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 2rem 0; }
th, td { padding: 0.35rem 0.75rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child { text-align: left; }
tfoot td { font-weight: 600; border-bottom: none; }
svg { width: 100%; height: auto; }
p { color: var(--faint); }
"""


class Plot(NamedTuple):
    """Bars of days, in each the functions on top of each other."""

    title: str
    values: dict[str, dict[dt.date, Fraction]]
    total: str


def draw(path: Path, app: str, bill: Bill, cells: Sequence[Cell]) -> None:
    """Write the picture of a bill by function. Raises `UsageError` where the file cannot be that."""
    if path.suffix not in (".html", ".svg"):
        raise UsageError(f"expected --chart FILE.html or FILE.svg, found {str(path)!r}")
    picture = svg(app, bill, cells)
    text = picture if path.suffix == ".svg" else page(app, bill, picture)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"--chart {path}: {error.strerror}") from None


def page(app: str, bill: Bill, picture: str) -> str:
    """The picture with its figures as a table below."""
    decimals = decimals_for(bill.list_cost)
    total, costs = shown(bill.list_cost, [line.list_cost for line in bill.lines], decimals)
    rows = [
        [
            escape(line.group), f"{line.usage.invocations:,}", f"{line.usage.failures:,}",
            quantity(line.usage.mb_ms + line.usage.provisioned_mb_ms), money(cost),
            percent(line.list_cost, bill.list_cost),
        ]
        for line, cost in zip(bill.lines, costs, strict=True)
    ]  # fmt: skip
    foot = [
        "", f"{bill.usage.invocations:,}", f"{bill.usage.failures:,}",
        quantity(bill.usage.mb_ms + bill.usage.provisioned_mb_ms), money(total), "",
    ]  # fmt: skip
    head = ["function", "invocations", "failed", "GB-s", f"cost, {bill.book.currency}", "share"]
    owed = paid(shown(bill.cost, [], decimals)[0])
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(app)}, {period_text(bill.begin, bill.end)}</title>
<style>{STYLE}{PAGE_STYLE}</style>
<body>
{picture}
<div><table>
<thead>{_row("th", head)}</thead>
<tbody>
{"".join(_row("td", row) for row in rows)}</tbody>
<tfoot>{_row("td", foot)}</tfoot>
</table></div>
<p>At list price. To pay, after the free tier: {owed} {bill.book.currency}.</p>
</body>
</html>
"""


def svg(app: str, bill: Bill, cells: Sequence[Cell]) -> str:
    """Two plots above each other, with one legend."""
    names = [line.group for line in bill.lines]
    if len(names) > len(COLORS):
        names = [*names[: len(COLORS) - 1], OTHERS]
    colors = dict(zip(names, COLORS, strict=False))
    days = [bill.begin + dt.timedelta(days=n) for n in range((bill.end - bill.begin).days)]
    decimals = decimals_for(bill.list_cost)
    costs = _sums(names, cells, lambda usage: list_price(bill.book, usage) / 10**12)
    compute = _sums(names, cells, lambda usage: Fraction(usage.mb_ms + usage.provisioned_mb_ms, GB_S))
    currency = bill.book.currency
    whole, owed = (shown(amount, [], decimals)[0] for amount in (bill.list_cost, bill.cost))
    plots = [
        Plot(f"cost by day, {currency}", costs, f"{money(whole)} {currency}, to pay {paid(owed)}"),
        Plot("GB-seconds by day", compute, f"{quantity(bill.usage.mb_ms + bill.usage.provisioned_mb_ms)} GB-s"),
    ]
    legend, top = _legend(colors)
    height = top + len(plots) * (PLOT_HEIGHT + BETWEEN)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<style>{STYLE}{SVG_STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="var(--ground)"/>',
        _text(LEFT, 32, f"{app}, {period_text(bill.begin, bill.end)}", "title"),
        _text(LEFT, 52, f"{bill.book.title} (price book {bill.book.name} {bill.book.version}), list price", "faint"),
        *legend,
    ]
    for number, plot in enumerate(plots):
        parts += _plot(plot, colors, days, top + 34 + number * (PLOT_HEIGHT + BETWEEN))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _sums(
    names: Sequence[str], cells: Iterable[Cell], value: Callable[[Usage], Fraction]
) -> dict[str, dict[dt.date, Fraction]]:
    """What each function comes to on each day; those that have no name of their own together."""
    sums: dict[str, dict[dt.date, Fraction]] = {name: defaultdict(Fraction) for name in names}
    for cell in cells:
        sums[cell.group if cell.group in sums else OTHERS][cell.day] += value(cell.usage)
    return sums


def _legend(colors: dict[str, str]) -> tuple[list[str], int]:
    """The colours' names in as many lines as they need, and where that ends."""
    x, y, parts = float(LEFT), TOP - 20, []
    for name, color in colors.items():
        label = short(name)
        width = 30 + 7.4 * cell_len(label)
        if x + width > WIDTH - RIGHT:
            x, y = float(LEFT), y + 20
        parts.append(f'<rect x="{x:.0f}" y="{y - 10}" width="12" height="12" rx="2" fill="{color}"/>')
        parts.append(_text(x + 18, y, label))
        x += width
    return parts, y + 20


def _plot(plot: Plot, colors: dict[str, str], days: Sequence[dt.date], top: int) -> Iterator[str]:
    bottom = top + PLOT_HEIGHT
    most = max((sum(values.get(day, 0) for values in plot.values.values()) for day in days), default=0)
    step = _nice(Fraction(most))
    unit, word = (Fraction(1), "") if step >= SMALL else (MILLIONTH, ", in millionths")
    yield _text(LEFT, top - 12, f"{plot.title}{word}")
    yield _text(WIDTH - RIGHT, top - 12, plot.total, anchor="end")
    ticks = max(1, math.ceil(most / step))
    scale = Fraction(PLOT_HEIGHT) / (ticks * step)
    for tick in range(ticks + 1):
        y = bottom - float(tick * step * scale)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 8, y + 4, _tick(tick * step / unit, step / unit), "faint", "end")
    slot = (WIDTH - LEFT - RIGHT) / len(days)
    for number, day in enumerate(days):
        x, y = LEFT + slot * number, float(bottom)
        yield _text(x + slot / 2, bottom + 18, str(day.day), "faint", "middle")
        for name, values in plot.values.items():
            value = values.get(day, Fraction(0))
            height = float(value * scale)
            y -= height
            if value:
                told = f"{day} {name}: {float(value):.6g}"
                yield (
                    f'<rect class="bar" x="{x + slot * 0.1:.1f}" y="{y:.2f}" width="{slot * 0.8:.1f}" '
                    f'height="{height:.2f}" fill="{colors[name]}"><title>{escape(told)}</title></rect>'
                )


def _nice(most: Fraction) -> Fraction:
    """A step of 1, 2, 2.5 or 5 and zeros, of which about four make the most."""
    if not most:
        return Fraction(1)
    power = Fraction(10) ** math.floor(math.log10(most / 4))
    return next(power * factor for factor in (1, 2, Fraction(5, 2), 5, 10) if power * factor * 4 >= most)


def _tick(value: Fraction, step: Fraction) -> str:
    decimals = next(n for n in range(30) if (step * 10**n).denominator == 1)
    return f"{float(value):,.{decimals}f}"


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(text)}</text>'


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>\n"
