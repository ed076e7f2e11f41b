"""`fnframe cron`."""

import datetime as dt
import sys
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

app = App(name="cron", help="Tell when a schedule fires, and where clocks are set.")


@app.command
def explain(
    expression: Annotated[str, Parameter(help="As in Cron(...), quoted: '30 2 * * *'.")],
    /,
    *,
    tz: Annotated[str, Parameter(help="An IANA time zone.")] = "UTC",
    count: Annotated[int, Parameter(help="How many firings to tell.", validator=Number(gte=1))] = 10,
    after: Annotated[dt.datetime | None, Parameter(help="Since when, on the zone's clocks; now by default.")] = None,
) -> int:
    """Tell the next firings of a schedule, and those next to where clocks are set."""
    from .explain import explained
    from .trigger import Cron

    for line in explained(Cron(expression, tz=tz), after, count):
        print(line)
    sys.stdout.flush()
    return 0
