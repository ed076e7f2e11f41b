"""As many functions as the environment says: does the rate depend on how many are registered?"""

from __future__ import annotations

import os
from typing import Any

from fnframe import App

VARIABLE = "BENCH_FUNCTIONS"
COUNT = int(os.environ.get(VARIABLE, "10000"))

app = App("many")


def echo(event: Any) -> Any:
    return event


async def echo_inline(event: Any) -> Any:
    return event


# Half of them inline, half isolated.
for number in range(max(1, COUNT // 2)):
    app.function(name=f"inline{number}", isolation="inline")(echo_inline)
    app.function(name=f"echo{number}")(echo)
