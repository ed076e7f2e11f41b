import datetime as dt

import pytest
from fnframe import Context
from fnframe_http.testing import request_event

from app import Greeting, app, deliver

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_handler_is_a_plain_function() -> None:
    context = Context(request_id="1", function="deliver", memory=128, deadline=0.0)
    assert deliver(Greeting("cat"), context) == "cat"


async def test_a_greeting_is_accepted_and_delivered(app_client):
    client = await app_client(app)
    outcome = await client.trigger("greet", request_event("POST /greetings", {"name": "cat"}))
    assert outcome.unwrap() == {"accepted": "cat"}
    await client.drained()
    client.heard.assert_outcomes("deliver", "success")


async def test_data_that_does_not_fit_is_refused(app_client):
    client = await app_client(app)
    outcome = await client.trigger("greet", request_event("POST /greetings", {"name": 5}))
    assert "$.name" in outcome.message


async def test_a_week_of_reports(app_client):
    client = await app_client(app)
    await client.pass_time(dt.timedelta(days=7))
    client.heard.assert_outcomes("report", *["success"] * 7)


async def test_it_works_in_environments_of_its_own(app_client):
    client = await app_client("app.py", environments=True)
    route = "GET /greetings/{name}"
    outcome = await client.trigger("greeting_of", request_event("GET /greetings/cat", route=route))
    assert outcome.unwrap() == {"name": "cat", "words": "hello"}
    assert outcome.report.max_memory_used_mb > 0
