"""Environments of handlers that were written for Lambda keep the obligations of environments."""

from __future__ import annotations

import pytest

from fnframe.testing import EnvironmentCase, environment_obligations

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("conformance")
for name in ("echo", "fails", "exits", "speaks"):
    app.lambda_function(name, handler=f"handlers.{name}")
app.lambda_function("hangs", handler="handlers.hangs", timeout=0.3)
app.lambda_function("grows", handler="handlers.grows", timeout=20)
"""

HANDLERS = """
import os
import time


def echo(event, context):
    return event


def fails(event, context):
    raise ValueError(event)


def hangs(event, context):
    time.sleep(60)


def grows(event, context):
    kept = []
    while True:
        kept.append(b"x" * 10_000_000)


def exits(event, context):
    os._exit(3)


def speaks(event, context):
    print(event)
"""

PARTS = {name: name for name in ("echo", "fails", "hangs", "grows", "exits", "speaks")}


@pytest.mark.parametrize("obligation", environment_obligations(EnvironmentCase("", **PARTS)), ids=str)
async def test_lambda(obligation, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    await obligation.check(EnvironmentCase(str(tmp_path / "app.py"), **PARTS))
