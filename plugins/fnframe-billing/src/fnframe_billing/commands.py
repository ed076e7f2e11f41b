"""`fnframe bill`, `fnframe top` and `fnframe advise`."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from fnframe.commands import Assignments, Stop, Target, UsageError, run_async, settings_of, tell, terminal

Price = Annotated[str | None, Parameter(help="A price book, or a file that ends in .toml.")]


def bill(
    target: Target = ".",
    /,
    *,
    month: Annotated[str | None, Parameter(help="Such as 2026-11; by default this month, in UTC.")] = None,
    by: Annotated[
        str, Parameter(help="function, trigger, tenant, tag, tag:NAME, day, memory or outcome.")
    ] = "function",
    price: Price = None,
    format: Annotated[  # noqa: A002
        Literal["table", "json", "csv", "focus"], Parameter(help="For people, or for programs.")
    ] = "table",
    focus: Annotated[Literal["1.2", "1.4"] | None, Parameter(help="Which version of FOCUS; 1.2 by default.")] = None,
    what_if: Annotated[
        tuple[str, ...],
        Parameter(negative=(), show_default=False, help="price=BOOK, memory=MB or memory=FUNCTION:MB."),
    ] = (),
    chart: Annotated[Path | None, Parameter(help="Draw it into a file, .html or .svg.")] = None,
    set_: Assignments = (),
) -> int:
    """Tell what an app's functions cost, and who caused it.

    The app is not imported, and need not run. The cost of each line is at
    list price: what of it is free, and what is to pay, stands below.
    """
    from .asked import ledger_of, month_of, today
    from .compare import comparison_lines, other_bill
    from .compare import what_if as assumed_by
    from .export import to_csv, to_json
    from .table import bill_lines

    _check_together(format, focus, by, what_if, chart)
    days, assumed = month_of(month), assumed_by(what_if)
    with ledger_of(target, settings_of(set_, {"billing.price": price})) as asked:
        found = asked.bill(days, by)
        if chart is not None:
            from .chart import draw

            draw(chart, asked.app, asked.bill(days, "function"), asked.cells(days, "function"))
            tell(f"drawn: {chart}")
        elif what_if:
            then = other_bill(asked, days, by, assumed)
            _print(comparison_lines(found, then, assumed, asked.app, asked.largest_peaks(days)))
        elif format == "json":
            tell(to_json(found, asked.app))
        elif format == "csv":
            tell(to_csv(found))
        elif format == "focus":
            tell(asked.focus(days, focus or "1.2"))
        else:
            _print(bill_lines(found, asked.app, today(), asked.extent()))
    return 0


def _check_together(form: str, focus: str | None, by: str, what_if: tuple[str, ...], chart: Path | None) -> None:
    """Refuse options of which one would be left out without a word."""
    if chart is not None and (what_if or by != "function" or form != "table"):
        raise UsageError("--chart draws the bill by function, and goes with none of --by, --format and --what-if")
    if what_if and form != "table":
        raise UsageError("--what-if is told as a table: leave out --format")
    if focus is not None and form != "focus":
        raise UsageError(f"--focus {focus} goes with --format focus")
    if form == "focus" and by != "function":
        raise UsageError("--format focus has a row for each day, function, tenant and set of tags: leave out --by")


def top(
    target: Target = ".",
    /,
    *,
    window: Annotated[float, Parameter(help="How many seconds back the figures tell.", validator=Number(gt=0))] = 10.0,
    interval: Annotated[float, Parameter(help="Seconds between two looks.", validator=Number(gte=0.1))] = 1.0,
    price: Price = None,
    set_: Assignments = (),
) -> int:
    """Watch what an app's functions do, until Ctrl-C.

    It reads the ledger, into which the running app writes. Where standard
    output is no terminal, it tells the figures once.
    """
    return run_async(partial(_top, target, window, interval, settings_of(set_, {"billing.price": price})))


async def _top(target: str, window: float, interval: float, settings: dict[str, object], stop: Stop) -> int:
    import anyio
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from .asked import ledger_of, now
    from .top import Window, screen

    with ledger_of(target, settings) as asked:
        seen = Window(asked, window)
        console = terminal(stop.lose_output)
        if not console.is_terminal:
            _print(screen(asked, seen, window, now(), 1_000_000))
            return 0

        def picture() -> Group:
            lines = screen(asked, seen, window, now(), console.height)
            return Group(*[Text(line, style) for line, style in lines])

        with Live(picture(), console=console, screen=True, auto_refresh=False) as live:
            stop.in_order()
            while not stop.asked.is_set():
                with anyio.move_on_after(interval):
                    await stop.asked.wait()
                live.update(picture(), refresh=True)
        _print(screen(asked, seen, window, now(), console.height))
    return 0


def advise(
    target: Target = ".",
    /,
    *,
    days: Annotated[int, Parameter(help="How far to look back.", validator=Number(gte=1, lte=36_500))] = 30,
    price: Price = None,
    set_: Assignments = (),
) -> int:
    """Tell which functions have more memory than they need.

    From the measured peak of each invocation, as far as the ledger keeps
    their rows.
    """
    from .advice import advice_lines
    from .asked import ledger_of

    with ledger_of(target, settings_of(set_, {"billing.price": price})) as asked:
        _print(advice_lines(asked.advice(days), asked.app, days))
    return 0


def _print(lines: Iterable[tuple[str, str]]) -> None:
    console = terminal()
    for line, style in lines:
        console.print(line, style=style or None, soft_wrap=True)
