"""Environments of what was written for Lambda keep the obligations of environments: handlers, and executables that
speak the Runtime API, AWS's own client for Python and a loop in a shell."""

from __future__ import annotations

import pytest

from fnframe.testing import EnvironmentCase, environment_obligations
from fnframe.testing.environments import obligation as kit

pytestmark = pytest.mark.anyio

APP = """
import sys

from fnframe import App

app = App("conformance")
for name, options in {
    "echo": {}, "fails": {}, "exits": {}, "speaks": {}, "hangs": {"timeout": 1.0}, "grows": {"timeout": 20},
}.items():
    handler = f"handlers.{name}"
    app.lambda_function(f"python_{name}", handler=handler, **options)
    command = [sys.executable, "-m", "awslambdaric", handler]
    app.lambda_function(f"client_{name}", runtime="provided", command=command, **options)
    app.lambda_function(f"shell_{name}", runtime="provided", command=["sh", "runtime.sh", name], **options)
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

RUNTIME = r"""
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
  curl -sS -D "$TMPDIR/headers" -o "$TMPDIR/event" "$api/next" || exit 9
  id=$(sed -n 's/^lambda-runtime-aws-request-id: *\([^\r]*\).*/\1/ip' "$TMPDIR/headers")
  case $1 in
    fails)
      printf '{"errorType": "Shell.Error", "errorMessage": %s}' "$(cat "$TMPDIR/event")" >"$TMPDIR/error"
      curl -sS -o /dev/null --data-binary @"$TMPDIR/error" "$api/$id/error"
      continue ;;
    exits) exit 3 ;;
    hangs) sleep 60 ;;
    grows) tail /dev/zero ;;
    speaks) cat "$TMPDIR/event" ;;
  esac
  curl -sS -o /dev/null -H 'Content-Type: application/json' --data-binary @"$TMPDIR/event" "$api/$id/response"
done
"""

NAMES = ("echo", "fails", "hangs", "grows", "exits", "speaks")


@pytest.fixture
def case(runtime, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "handlers.py").write_text(HANDLERS)
    (tmp_path / "runtime.sh").write_text(RUNTIME)
    return EnvironmentCase(str(tmp_path / "app.py"), **{name: f"{runtime}_{name}" for name in NAMES})


OBLIGATIONS = environment_obligations(EnvironmentCase("", *NAMES))


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=str)
@pytest.mark.parametrize("runtime", ["python"])
async def test_handlers(case, obligation):
    await obligation.check(case)


@pytest.mark.parametrize("obligation", OBLIGATIONS, ids=str)
@pytest.mark.parametrize("runtime", ["client", "shell"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # What differs lies in the environment.
async def test_executables(case, obligation):
    await obligation.check(case)


def test_no_obligation_is_left_out():
    assert OBLIGATIONS == kit.OBLIGATIONS
