"""What a handler may say in its environment's name: it is answered for it, and its host lives on."""

from __future__ import annotations

from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import given, settings
from hypothesis import strategies as st

from fnframe.environment.wire import Raised, Ready, Result, Send, encode
from fnframe.runtime.run import run_target

from .test_wire import values

APP = str(Path(__file__).parent.parent / "apps" / "hostile.py")
SAID = st.lists(st.one_of([values(frame) for frame in (Raised, Ready, Result, Send)]), min_size=1, max_size=3)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def call(request):
    """Invoke a function of a host that lives as long as these tests."""
    with (
        start_blocking_portal(request.param) as portal,
        portal.wrap_async_context_manager(run_target(APP)) as running,
    ):
        yield lambda function, data: portal.call(running.invoke, function, data)


@given(frames=SAID)
@settings(max_examples=40)
def test_whatever_it_says(call, frames):
    outcome = call("writes", b"".join(bytes(encode(frame)) for frame in frames).hex())
    assert outcome.report.function == "writes"
    assert call("echo", "after").unwrap() == "after"


@pytest.mark.parametrize("name", ["", "fnframe:deadline", "a\nb", "queue:x"])
def test_a_function_that_cannot_be_enqueued_is_the_handlers_mistake(call, name):
    """It was raised at whoever had invoked the handler, an error of the host's."""
    assert call("enqueues", name).error_type == "FnframeError"
    assert call("echo", "after").unwrap() == "after"
