"""The control plane inside a program: the ASGI application alone, on asyncio and trio, with an engine in memory."""

from __future__ import annotations

import base64
import logging

import anyio
import httpx2
import pytest
from fnframe_lambda.control.bodies import CreateFunction
from fnframe_lambda.control.code import LARGEST_REQUEST
from fnframe_lambda.request import Request
from fnframe_lambda.wire import ApiError
from lambda_client import ROLE, zipped

from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("embedded")


@app.function()
def own(event):
    return event
"""
FUNCTIONS = "/2015-03-31/functions"


def described(name, source="def handler(event, context):\n    return [event]\n", **options):
    code = {"ZipFile": base64.b64encode(zipped(made=source)).decode()}
    return {
        "FunctionName": name,
        "Runtime": "python3.13",
        "Role": ROLE,
        "Handler": "made.handler",
        "Code": code,
    } | options


def client_of(running):
    transport = httpx2.ASGITransport(app=running.aws_lambda.asgi)
    return httpx2.AsyncClient(transport=transport, base_url="http://here")


@pytest.fixture
def write_app(tmp_path):
    def write(source):
        (tmp_path / "app.py").write_text(source)
        return str(tmp_path)

    return write


@pytest.fixture
async def running(write_app):
    async with run_target(write_app(APP)) as running:
        yield running


async def test_made_called_and_deleted(running):
    async with client_of(running) as http:
        made = await http.post(FUNCTIONS, json=described("made"))
        assert (made.status_code, made.json()["FunctionName"]) == (201, "made")
        assert (await http.post(f"{FUNCTIONS}/made/invocations", content=b"1")).json() == [1]
        assert (await running.invoke("made", 2)).unwrap() == [2], "it is a function of the app like any other"
        assert {function.name for function in running.manifest.functions} == {"own", "made"}
        assert (await http.delete(f"{FUNCTIONS}/made")).status_code == 204
        assert (await http.post(f"{FUNCTIONS}/made/invocations", content=b"1")).status_code == 404


async def test_it_outlives_a_reload_of_the_app(running):
    async with client_of(running) as http:
        await http.post(FUNCTIONS, json=described("made"))
        await running.reload()
        assert (await http.post(f"{FUNCTIONS}/made/invocations", content=b"1")).json() == [1]
        await http.put(f"{FUNCTIONS}/made/configuration", json={"Timeout": 9})
        assert (await http.post(f"{FUNCTIONS}/made/invocations", content=b"1")).json() == [1]


async def test_what_waits_for_a_mapping_is_worked_off_at_the_end(write_app, tmp_path):
    """With an engine in memory it would be lost otherwise."""
    kept = tmp_path / "kept"
    source = f"def handler(event, context):\n    open({str(kept)!r}, 'a').write('x' * len(event['Records']))\n"
    async with run_target(write_app(APP), settings={"engine": "memory:"}) as running, client_of(running) as http:
        await http.post(FUNCTIONS, json=described("made", source))
        mapping = {"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q", "FunctionName": "made", "BatchSize": 1}
        assert (await http.post("/2015-03-31/event-source-mappings", json=mapping)).status_code == 202
        await anyio.wait_all_tasks_blocked()
        for number in range(40):
            await running.queue("q").send(number)
    assert kept.read_text() == "x" * 40


async def test_an_archive_of_what_could_not_be_made_is_not_kept(running):
    async with client_of(running) as http:
        for wrong in ({"Runtime": "java21"}, {"MemorySize": 1}, {"FunctionName": "own"}):
            answer = await http.post(FUNCTIONS, json=described("made") | wrong)
            assert answer.status_code in (400, 409)
        store = running.aws_lambda.plane.store
        await http.post(FUNCTIONS, json=described("good", Publish=True))
        put = await http.put(
            "/2019-09-30/functions/good/provisioned-concurrency?Qualifier=1",
            json={"ProvisionedConcurrentExecutions": 1_000},
        )
        assert put.status_code == 400
        kept = await running.state("lambda-code").items()
        assert [digest for digest, _ in kept] == [store.functions["good"].latest.code]
        await http.put(f"{FUNCTIONS}/good/code", json={"ZipFile": described("x", "x = 1")["Code"]["ZipFile"]})
        assert len(await running.state("lambda-code").items()) == 2, "version 1 needs the old one"
        await http.delete(f"{FUNCTIONS}/good?Qualifier=1")
        assert len(await running.state("lambda-code").items()) == 1
        await http.delete(f"{FUNCTIONS}/good")
        assert await running.state("lambda-code").items() == []


def sent(megabytes):
    """A request with so much of an archive in it, as a server hands it on."""
    parts = [b'{"Code": {"ZipFile": "', *[b"A" * 1_000_000] * megabytes, b'"}}']

    async def receive():
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    return Request({"method": "POST", "path": "/", "headers": [], "query_string": b""}, receive, "id")


async def test_a_request_up_to_the_largest(monkeypatch):
    with pytest.raises(
        ApiError, match="must be smaller than 69905067 bytes for the CreateFunction operation"
    ) as caught:
        await sent(70).members(LARGEST_REQUEST, CreateFunction, "CreateFunction")
    assert (caught.value.status, caught.value.code) == (413, "RequestEntityTooLargeException")
    # One that is not too large is not cut off where one that is would be.
    monkeypatch.setattr("fnframe_lambda.request.MOST_DISCARDED", 1_000)
    with pytest.raises(ApiError, match="missing required field"):
        await sent(2).members(LARGEST_REQUEST, CreateFunction, "CreateFunction")


async def test_a_page_in_a_browser_makes_no_functions(running):
    """What a browser sends for any page that asks it to: no preflight, and a content type that is no JSON's."""
    async with client_of(running) as http:
        headers = {"origin": "https://any.test", "content-type": "text/plain"}
        for method, path in (("POST", FUNCTIONS), ("GET", FUNCTIONS), ("POST", f"{FUNCTIONS}/own/invocations")):
            answer = await http.request(method, path, json=described("made"), headers=headers)
            assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")
        assert len(running.manifest.functions) == 1


async def test_what_was_made_is_there_again(write_app, tmp_path):
    """With its code, versions, alias, tags, mapping, URL, and an event that waits."""
    settings = {"engine": "sqlite:///engine.db", "lambda.retry_delays": "[]"}
    kept = tmp_path / "kept"
    source = f"""
def handler(event, context):
    if context.function_name == "hears":
        open({str(kept)!r}, "a").write("heard ")
    return context.function_version
"""
    queue = "arn:aws:sqs:us-east-1:000000000000:lasting"
    async with run_target(write_app(APP), settings=settings) as running, client_of(running) as http:
        await http.post(FUNCTIONS, json=described("lasting", source, Publish=True, Tags={"a": "b"}))
        await http.post(f"{FUNCTIONS}/lasting/aliases", json={"Name": "live", "FunctionVersion": "1"})
        await http.post("/2021-10-31/functions/lasting/url", json={"AuthType": "NONE"})
        await http.post(FUNCTIONS, json=described("hears", source))
        await http.post("/2015-03-31/event-source-mappings", json={"FunctionName": "hears", "EventSourceArn": queue})
        await http.post(FUNCTIONS, json=described("forgotten"))
        await http.delete(f"{FUNCTIONS}/forgotten")
        paths = [
            f"{FUNCTIONS}/lasting", f"{FUNCTIONS}/lasting/aliases", "/2021-10-31/functions/lasting/url",
            "/2015-03-31/event-source-mappings", FUNCTIONS,
        ]  # fmt: skip
        before = [(await http.get(path)).json() for path in paths]
    async with run_target(str(tmp_path), settings=settings, serve="none") as running:
        await running.queue("lasting").send("while nobody polls")
    assert not kept.exists()
    async with run_target(str(tmp_path), settings=settings) as running, client_of(running) as http:
        assert [(await http.get(path)).json() for path in paths] == before
        assert before[0]["Tags"] == {"a": "b"}
        assert (await http.post(f"{FUNCTIONS}/lasting:live/invocations")).json() == "1"
        url = before[2]["FunctionUrl"].removeprefix("http://here")
        assert (await http.get(url)).text == "$LATEST"
        with anyio.fail_after(10):
            while not kept.exists() or kept.read_text() != "heard ":
                await anyio.sleep(0.005)


async def test_two_processes_do_not_undo_what_the_other_did(write_app, tmp_path):
    """Who was overtaken is told so, and goes on with what the other made. It went on with its own view, so that its
    second try put that in the other's place."""
    settings = {"engine": "sqlite:///engine.db"}
    folder = write_app(APP)
    made = f"{FUNCTIONS}/made"
    async with run_target(folder, settings=settings) as one, run_target(folder, settings=settings) as two:
        async with client_of(one) as first, client_of(two) as second:
            assert (await first.post(FUNCTIONS, json=described("made"))).status_code == 201
            theirs = described("made", "def handler(event, context):\n    return 'theirs'\n")
            refused = await second.post(FUNCTIONS, json=theirs)
            assert refused.status_code == 409
            assert refused.json()["message"] == (
                "The operation cannot be performed at this time. An update is in progress for resource: "
                "arn:aws:lambda:us-east-1:000000000000:function:made"
            )
            again = await second.post(FUNCTIONS, json=theirs)
            assert (again.status_code, again.json()["message"]) == (409, "Function already exist: made")
            assert (await second.post(f"{made}/invocations", content=b"1")).json() == [1]

            await first.put(f"{made}/configuration", json={"Timeout": 7})
            for status in (409, 200):
                update = await second.put(f"{made}/configuration", json={"MemorySize": 256})
                assert update.status_code == status
            assert (update.json()["Timeout"], update.json()["MemorySize"]) == (7, 256)

            await second.delete(made)
            update = await first.put(f"{made}/configuration", json={"Timeout": 8})
            assert update.status_code == 409
            assert (await first.post(f"{made}/invocations", content=b"1")).status_code == 404
            assert {function.name for function in one.manifest.functions} == {"own"}


async def test_an_archive_that_another_process_needs_is_kept(write_app, tmp_path):
    """Both made a function of the same archive, and one of them deleted its own: the other's did not start again."""
    settings = {"engine": "sqlite:///engine.db"}
    folder = write_app(APP)
    async with run_target(folder, settings=settings) as one, run_target(folder, settings=settings) as two:
        async with client_of(one) as first, client_of(two) as second:
            stays = described("stays")
            await first.post(FUNCTIONS, json=stays)
            await second.post(FUNCTIONS, json=stays | {"FunctionName": "goes"})
            assert (await second.delete(f"{FUNCTIONS}/goes")).status_code == 204
    async with run_target(folder, settings=settings) as running, client_of(running) as http:
        assert (await http.post(f"{FUNCTIONS}/stays/invocations", content=b"1")).json() == [1]


async def test_an_app_that_changed_while_it_was_away(write_app, tmp_path, caplog):
    """Of what was made before, that which cannot be served any more is told of, and the rest is served."""
    settings = {"engine": "sqlite:///engine.db", "max_environments": 3}
    async with run_target(write_app(APP), settings=settings) as running, client_of(running) as http:
        for name in ("one", "two", "three"):
            await http.post(FUNCTIONS, json=described(name, Publish=True))
        path = "/2019-09-30/functions/two/provisioned-concurrency?Qualifier=1"
        put = await http.put(path, json={"ProvisionedConcurrentExecutions": 2})
        assert put.status_code == 202
    write_app(APP.replace("def own", "def three"))
    with caplog.at_level(logging.ERROR):
        async with run_target(str(tmp_path), settings=settings | {"max_environments": 2}) as running:
            service = running.aws_lambda
            assert service.target("one", "1").function == "one@1"
            assert service.target("three", None).function == "three", "the app's own"
            with pytest.raises(ApiError, match="Function not found"):
                service.target("two", None)
            assert {function.name for function in running.manifest.functions} == {"three", "one", "one@1"}
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "function 'two', made by Lambda's API, is not served: provisioned_concurrency asks for 2" in told
    assert "function 'three', made by Lambda's API, is not served: function 'three' is declared twice" in told


async def test_an_address_that_others_reach_is_warned_of(write_app, caplog, anyio_backend):
    if anyio_backend != "asyncio":
        return  # uvicorn's alone.
    settings = {"lambda.host": "0.0.0.0", "lambda.port": 0}  # noqa: S104  what it warns of
    async with run_target(write_app(APP), settings=settings):
        assert "whoever reaches it can make functions" in caplog.text
    caplog.clear()
    async with run_target(write_app(APP), settings=settings | {"lambda.keys": '{"AKID": "secret"}'}):
        assert "whoever reaches it" not in caplog.text
    assert "secret" not in caplog.text
