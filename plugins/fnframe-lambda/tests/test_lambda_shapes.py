"""Events of our triggers in AWS's shapes, read by Powertools' event classes, and the answers to them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import uuid
from urllib.parse import unquote_plus

import anyio
import httpx2
import msgspec
import pytest
from aws_lambda_powertools.utilities import data_classes
from fnframe_cron import Tick
from lambda_client import read

from fnframe import Event, hookimpl
from fnframe.batch_event import Item, Origin, batch_event
from fnframe.event import now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
ACCOUNT = "000000000000"


class Seen:
    """A plugin object that keeps what functions returned."""

    def __init__(self):
        self.values = {}

    @hookimpl
    def fnframe_invocation_reported(self, report, outcome):
        if report.outcome == "success":
            self.values.setdefault(report.function, []).append(outcome.unwrap())

    async def of(self, function, count=1):
        with anyio.fail_after(15):
            while len(self.values.get(function, [])) < count:
                await anyio.sleep(0.005)
        return self.values[function]


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def seen(anyio_backend):
    return Seen()


@pytest.fixture(scope="module")
async def running(kit, seen, tmp_path_factory, anyio_backend):
    folder = tmp_path_factory.mktemp("shapes")
    shutil.copytree(kit.APPS / "shapes", folder / "shapes")
    shutil.copytree(kit.APPS / "shop", folder / "shop")
    (folder / "shapes" / "uploads").mkdir()
    settings = {"http.port": 0, "lambda.region": "eu-west-1"}
    async with run_target(str(folder / "shapes"), settings=settings, plugins=(seen,)) as running:
        yield running


@pytest.fixture(scope="module")
async def http(running, anyio_backend):
    [url] = {re.search(r"http://[^/]+", text)[0] for _, text in running.started if "http://" in text}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as client:
        yield client


async def test_a_request(http):
    answer = await http.post(
        "/any/a%20b/ü?parameter1=value1&parameter1=value2&empty=&parameter2=a+b",
        content=b'{"a": "\xc3\xbc"}',
        headers=[
            ("Cookie", "cookie1=1; cookie2=2"), ("Header1", "value1"), ("Header2", "value1"), ("Header2", "value2"),
            ("Content-Type", "application/json"), ("User-Agent", "agent"),
        ],
    )  # fmt: skip
    event = answer.json()
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert event["rawPath"] == "/any/a%20b/%C3%BC"
    assert event["rawQueryString"] == "parameter1=value1&parameter1=value2&empty=&parameter2=a+b"
    assert event["queryStringParameters"] == {"parameter1": "value1,value2", "empty": "", "parameter2": "a b"}
    assert event["cookies"] == ["cookie1=1", "cookie2=2"]
    assert event["headers"]["header2"] == "value1,value2"
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert event["headers"]["x-forwarded-proto"] == "http"
    assert event["pathParameters"] == {"rest": "a b/ü"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"a": "ü"}', False)
    context = event["requestContext"]
    assert context["requestId"] == answer.headers["x-request-id"]
    assert context["http"] == {
        "method": "POST", "path": event["rawPath"], "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
        "userAgent": "agent",
    }  # fmt: skip
    assert (context["stage"], context["accountId"]) == ("$default", ACCOUNT)
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context["time"])
    for kind in (data_classes.APIGatewayProxyEventV2, data_classes.LambdaFunctionUrlEvent):
        wrapped = kind(event)
        read(wrapped)
        assert (wrapped.path, wrapped.http_method, wrapped.json_body) == (event["rawPath"], "POST", {"a": "ü"})
        assert wrapped.cookies == event["cookies"]


async def test_requests_with_little_in_them_and_with_binary_bodies(http):
    event = (await http.get("/any/x")).json()
    assert event["rawQueryString"] == ""
    assert not {"cookies", "queryStringParameters", "body"} & set(event)
    assert event["isBase64Encoded"] is False
    form = (await http.post("/any/x", data={"a": "b c"})).json()
    assert (base64.b64decode(form["body"]), form["isBase64Encoded"]) == (b"a=b+c", True)
    raw = await http.post("/any/x", content=b"\x00\xff", headers={"content-type": "application/octet-stream"})
    assert base64.b64decode(raw.json()["body"]) == b"\x00\xff"
    broken = await http.post("/any/x", content=b"\xff", headers={"content-type": "text/plain"})
    assert (broken.json()["body"], broken.json()["isBase64Encoded"]) == ("/w==", True)


@pytest.mark.parametrize(
    ("result", "status", "kind", "body"),
    [
        ({"a": [1, "ü"]}, 200, "application/json", '{"a":[1,"ü"]}'),
        ("hello", 200, "application/json", "hello"),
        ([1, 2], 200, "application/json", "[1,2]"),
        (1.5, 200, "application/json", "1.5"),
        (True, 200, "application/json", "true"),
        (None, 200, "application/json", "null"),
        ({"statusCode": 201, "body": "text"}, 201, "application/json", "text"),
        ({"statusCode": 201, "body": {"a": 1}}, 201, "application/json", '{"a":1}'),
        ({"statusCode": "404", "headers": {"Content-Type": "text/html"}, "body": "<p>"}, 404, "text/html", "<p>"),
        ({"statusCode": 200, "body": "aGVsbG8=", "isBase64Encoded": True}, 200, "application/json", "hello"),
    ],
)
async def test_answers(http, result, status, kind, body):
    answer = await http.post("/answers", content=json.dumps(result), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (status, kind, body)


async def test_answers_with_more_in_them(http):
    result = {"statusCode": 200, "headers": {"X-One": 1, "content-length": "9"}, "cookies": ["a=1", "b=2; Secure"]}
    answer = await http.post("/answers", json=result)
    assert answer.headers["x-one"] == "1"
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2; Secure"]
    assert (answer.content, "content-type" in answer.headers) == (b"", False)
    for wrong in ({"statusCode": "no"}, {"statusCode": 99}, {"statusCode": 200, "headers": {"a\n": "b"}}):
        assert (await http.post("/answers", json=wrong)).status_code == 500


async def test_a_runtime_of_its_own_behind_a_route(http):
    answer = await http.post("/node", content=b"x")
    assert answer.status_code == 200
    assert answer.json()["requestContext"]["http"]["method"] == "POST"


async def test_data_alone(http):
    assert (await http.post("/plain", json={"a": 1})).json() == {"a": 1}


async def test_starlette_behind_mangum_answers_as_if_it_were_served_directly(http, kit):
    import importlib.util

    spec = importlib.util.spec_from_file_location("web_of_shapes", kit.APPS / "shapes" / "web.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    direct = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=module.application), base_url=http.base_url)
    requests = [
        ("GET", "/web/echo/a%20b?x=1&x=2&y=a%20b", {"headers": {"cookie": "c=d; e=f", "x-asked": "why"}}),
        ("POST", "/web/echo/n", {"json": {"a": "ü"}}),
        ("PUT", "/web/echo/n", {"content": b"\x00\xff\x80"}),
        ("POST", "/web/binary", {"content": bytes(range(256)), "headers": {"content-type": "image/png"}}),
        ("GET", "/web/cookies", {}),
        ("DELETE", "/web/nothing", {}),
        ("GET", "/web/nowhere", {}),
        ("POST", "/web/cookies", {}),
    ]
    clean = httpx2.AsyncClient(base_url=http.base_url, trust_env=False)  # Without the cookies of other tests.
    for method, path, options in requests:
        here, there = await clean.request(method, path, **options), await direct.request(method, path, **options)
        assert here.status_code == there.status_code, path
        assert here.content == there.content, path
        assert here.headers.get_list("set-cookie") == there.headers.get_list("set-cookie")
        for name in ("content-type", "x-answered"):
            if name == "content-type" and there.status_code == 204:
                continue  # Mangum says JSON where the application said nothing.
            assert here.headers.get(name) == there.headers.get(name), (path, name)
    await clean.aclose()
    await direct.aclose()


async def test_an_event_of_a_bus(http):
    headers = {"ce-specversion": "1.0", "ce-id": "7", "ce-source": "/shop", "ce-type": "order.made", "ce-subject": "s"}
    event = (await http.post("/bus", json={"a": 1}, headers=headers)).json()
    assert (event["detail-type"], event["source"], event["detail"]) == ("order.made", "/shop", {"a": 1})
    assert event["resources"] == ["s"]
    read(data_classes.EventBridgeEvent(event))


async def test_files(running, seen):
    folder = running.manifest.directory + "/uploads"
    (await anyio.Path(folder, "a b+ü.txt").write_bytes(b"hello"))
    [event] = await seen.of("files")
    wrapped = data_classes.S3Event(event)
    read(wrapped)
    record = wrapped.record
    assert unquote_plus(record.s3.get_object.key) == "a b+ü.txt"
    assert record.s3.get_object.key == "a+b%2B%C3%BC.txt"
    assert (record.s3.get_object.size, record.event_name, record.event_source) == (5, "ObjectCreated:Put", "aws:s3")
    assert (record.s3.bucket.name, record.s3.bucket.arn) == ("uploads", "arn:aws:s3:::uploads")
    assert re.fullmatch(r"[0-9A-F]+", record.s3.get_object.sequencer)
    assert (record.aws_region, record.event_version) == ("eu-west-1", "2.1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.event_time)


async def test_messages_of_a_queue(running, seen):
    ids = [await running.queue("orders").send(data, group="g") for data in ("good", "bad", {"a": "ü"})]
    with anyio.fail_after(15):
        while await running.engine.queues():
            await anyio.sleep(0.01)
    answers = await seen.of("queue")
    records = [record for answer in answers for record in answer["event"]["Records"]]
    for answer in answers:
        read(data_classes.SQSEvent(answer["event"]))
    first = {record["messageId"]: record for record in reversed(records)}
    assert list(first)[::-1] == ids or set(first) == set(ids)
    wrapped = data_classes.SQSRecord(first[ids[2]])
    assert wrapped.json_body == {"a": "ü"}
    assert wrapped.attributes.message_group_id == "g"
    assert wrapped.attributes.approximate_receive_count == "1"
    assert abs(int(wrapped.attributes.sent_timestamp) / 1000 - now().timestamp()) < 60
    assert wrapped.md5_of_body == hashlib.md5('{"a":"ü"}'.encode(), usedforsecurity=False).hexdigest()
    assert wrapped.event_source_arn == f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"
    again = [record for record in records if record["messageId"] == ids[1]]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in again] == ["1", "2"]
    assert len([record for record in records if record["messageId"] == ids[0]]) == 1


async def test_a_notification(running, seen):
    id_ = await running.queue("news").send({"a": 1})
    [event] = await seen.of("topic")
    wrapped = data_classes.SNSEvent(event)
    read(wrapped)
    assert json.loads(wrapped.sns_message) == {"a": 1}
    assert wrapped.record.sns.message_id == id_
    assert wrapped.record.sns.topic_arn == f"arn:aws:sns:eu-west-1:{ACCOUNT}:news"


async def test_records_of_a_stream(running, seen):
    for number in range(3):
        await running.stream("clicks").publish({"n": number}, key="k")
    records = []
    with anyio.fail_after(15):
        while len(records) < 3:
            await anyio.sleep(0.01)
            records = [record for event in await seen.of("stream") for record in event["Records"]]
    wrapped = list(data_classes.KinesisStreamEvent({"Records": records}).records)
    read(data_classes.KinesisStreamEvent({"Records": records}))
    assert [record.kinesis.data_as_json() for record in wrapped] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [int(record.kinesis.sequence_number) for record in wrapped] == [1, 2, 3]
    assert wrapped[0].kinesis.partition_key == "k"
    assert re.fullmatch(r"shardId-\d{12}:1", wrapped[0].event_id)
    assert wrapped[0].event_source_arn == f"arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/clicks"
    assert abs(wrapped[0].kinesis.approximate_arrival_timestamp - now().timestamp()) < 60


async def test_changes_of_a_table(running, seen):
    keys = {"id": {"S": "a"}}
    changes = [
        {"Keys": keys, "NewImage": {"id": "a", "n": 1, "on": True, "no": None, "l": [1.5], "m": {"x": "y"}}},
        {"Keys": keys, "NewImage": {"id": {"S": "a"}, "n": {"N": "2"}}, "OldImage": {"id": "a", "n": 1}},
        {"Keys": keys, "OldImage": {"id": "a"}},
        {"only": "an image"},
    ]
    for change in changes:
        await running.stream("changes").publish(change, key="a")
    records = []
    with anyio.fail_after(15):
        while len(records) < 4:
            await anyio.sleep(0.01)
            records = [record for event in await seen.of("table") for record in event["Records"]]
    event = data_classes.DynamoDBStreamEvent({"Records": records})
    read(event)
    first, second, third, fourth = event.records
    assert [record.event_name.name for record in (first, second, third, fourth)] == [
        "INSERT", "MODIFY", "REMOVE", "INSERT",
    ]  # fmt: skip
    assert first.dynamodb.new_image == {
        "id": "a", "n": 1, "on": True, "no": None, "l": [pytest.approx(1.5)], "m": {"x": "y"},
    }  # fmt: skip
    assert (second.dynamodb.new_image["n"], second.dynamodb.old_image["n"]) == (2, 1)
    assert third.dynamodb.keys == {"id": "a"}
    assert fourth.dynamodb.keys == {"id": "a"}
    assert fourth.dynamodb.new_image == {"only": "an image"}


@pytest.mark.parametrize("function", ["table", "node_table"])
async def test_data_that_has_no_such_shape_fails_its_invocation_alone(running, function):
    """In an executable of its own, the environment ended with it, and told that the runtime had exited."""
    origin = Origin("stream:changes", (Item("1", 1, 0.0, "a", 1),), partition=0)
    bad = batch_event("1", "fnframe.stream.batch", origin, [b'{"Keys": 1}'])
    first, second = [await running.invoke(function, event=bad) for _ in range(2)]
    assert first.error_type == "Runtime.UnmarshalError"
    assert first.message.startswith("an event of stream:changes cannot be told in the format 'aws:dynamodb': ")
    assert second.report.environment_id == first.report.environment_id


async def test_a_schedule(running):
    tick = Tick(schedule="nightly", scheduled=now(), fired=now())

    def event(tick):
        return Event(id="abc", source="cron:x", type="fnframe.cron.tick", time=now(), data=msgspec.json.encode(tick))

    seen = (await running.invoke("tick", event=event(tick))).unwrap()
    wrapped = data_classes.EventBridgeEvent(seen)
    read(wrapped)
    assert (wrapped.detail_type, wrapped.source, wrapped.detail) == ("Scheduled Event", "aws.events", {})
    assert wrapped.resources == [f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/nightly"]
    assert uuid.UUID(wrapped.get_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", wrapped.time)
    constant = Tick(schedule="nightly", data={"my": "input"})
    assert (await running.invoke("tick", event=event(constant))).unwrap() == {"my": "input"}
