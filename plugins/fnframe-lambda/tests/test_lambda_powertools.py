"""Powertools for AWS Lambda inside, as its documentation uses it."""

from __future__ import annotations

import json

import pytest

from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def heard(kit, anyio_backend):
    return kit.Heard()


@pytest.fixture(scope="module")
async def running(kit, heard, anyio_backend):
    async with run_target(kit.SHOP, plugins=(heard,)) as running:
        yield running


async def test_logger_metrics_and_tracer(running, heard):
    first, second = [await running.invoke("observed", {"order": 7}) for _ in range(2)]
    assert first.unwrap() == second.unwrap() == [None, 7]
    records = [json.loads(line) for line in heard.of(first).splitlines()]
    cold = [record for record in records if "ColdStart" in record]
    [working] = [record for record in records if record.get("message") == "working"]
    [orders] = [record for record in records if "Orders" in record]
    assert working["function_name"] == "observed"
    assert working["function_memory_size"] == "512"
    assert working["function_request_id"] == first.report.request_id
    assert (working["cold_start"], working["order"], working["service"]) == (True, 7, "shop")
    assert (orders["_aws"]["CloudWatchMetrics"][0]["Namespace"], orders["Orders"]) == ("Shop", [1.0])
    assert cold[0]["function_name"] == "observed"
    warm = [json.loads(line) for line in heard.of(second).splitlines()]
    assert [record["cold_start"] for record in warm if record.get("message") == "working"] == [False]
    assert not [record for record in warm if "ColdStart" in record]


async def test_a_partial_batch_names_what_failed(running, kit):
    record = {
        "messageId": "m", "receiptHandle": "r", "body": "", "attributes": {}, "messageAttributes": {}, "md5OfBody": "",
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q", "awsRegion": "us-east-1",
    }  # fmt: skip
    bodies = [json.dumps({"good": good}) for good in (True, False, True)]
    event = {"Records": [record | {"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies)]}
    outcome = await running.invoke("batch", event)
    assert outcome.unwrap() == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


async def test_idempotency_with_a_store_in_the_temporary_directory(running):
    answers = [(await running.invoke("once", {"order": order})).unwrap() for order in (1, 1, 2, 1)]
    assert [answer["calls"] for answer in answers] == [1, 1, 2, 1]


async def test_the_event_handler_routes(running):
    event = {
        "version": "2.0", "routeKey": "$default", "rawPath": "/orders/7", "rawQueryString": "wanted=yes",
        "headers": {}, "queryStringParameters": {"wanted": "yes"},
        "requestContext": {"http": {"method": "GET", "path": "/orders/7"}, "stage": "$default"},
        "isBase64Encoded": False,
    }  # fmt: skip
    answer = (await running.invoke("http", event)).unwrap()
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, {"number": "7", "wanted": "yes"})
    event["requestContext"]["http"]["path"] = event["rawPath"] = "/fails"
    answer = (await running.invoke("http", event)).unwrap()
    assert (answer["statusCode"], json.loads(answer["body"])) == (422, {"refused": "not that"})


async def test_the_parser_checks_the_event(running):
    assert (await running.invoke("parsed", {"order": 1, "names": ["a"]})).unwrap() == {"order": 2, "names": ["a"]}
    outcome = await running.invoke("parsed", {"order": "no"})
    assert outcome.error_type == "ValidationError"
    assert "order" in outcome.message
