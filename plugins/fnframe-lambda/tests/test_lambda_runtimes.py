"""Functions in any language, by the Runtime API: AWS's own client for Python, a loop in Node, a loop in a shell."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from pathlib import Path

import anyio
import pytest
from facts import live_pids
from fnframe_lambda.origin import EVENT_TYPE, Origin, encode_origin

from fnframe import Event, Failure
from fnframe.event import now
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio
MB = 1024 * 1024
LANGUAGES = ["python", "node", "shell"]


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def heard(kit, anyio_backend):
    return kit.Heard()


@pytest.fixture(scope="module")
async def running(kit, heard, anyio_backend):
    async with run_target(str(kit.APPS / "shop" / "runtimes.py"), plugins=(heard,)) as running:
        yield running


def called(data, **fields):
    origin = Origin(**{"function_arn": "arn:aws:lambda:eu-west-1:1:function:about:live", **fields})
    return Event(
        id="1", source="test", type=EVENT_TYPE, time=now(), data=json.dumps(data).encode(),
        origin=encode_origin(origin), traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )  # fmt: skip


async def warm(running, function):
    """Let its environment begin: that takes longer than some of the timeouts here."""
    return await running.invoke(function, "count")


@pytest.mark.parametrize("language", LANGUAGES)
async def test_events_and_results_go_through(running, heard, language):
    await warm(running, language)
    if language == "python":
        assert (await running.invoke("ric", {"a": "ü"})).unwrap() == {"a": "ü"}
        return
    outcome = await running.invoke(language, {"a": "ü"})
    assert outcome.unwrap() == {"a": "ü"}
    assert re.fullmatch(r"got +\d+\n", heard.of(outcome))


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_environment_is_kept(running, language):
    first, second = [(await running.invoke(language, "count")) for _ in range(2)]
    assert second.report.environment_id == first.report.environment_id
    assert second.unwrap()[0] == first.unwrap()[0] + 1
    assert second.report.init_duration_ms is None
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", second.unwrap()[-1])


@pytest.mark.parametrize("language", LANGUAGES)
async def test_an_error_passes_untouched_and_the_environment_stays(running, language):
    before = await running.invoke(language, "count")
    outcome = await running.invoke(language, "raise")
    assert isinstance(outcome, Failure)
    assert outcome.message == "no luck ü"
    payload = outcome.payload()
    assert outcome.error_type == payload["errorType"] == {
        "python": "Custom", "node": "TypeError", "shell": "Shell.Error",
    }[language]  # fmt: skip
    assert set(payload) == {"errorType", "errorMessage"} | {
        "python": {"requestId", "stackTrace"}, "node": {"trace"}, "shell": set(),
    }[language]  # fmt: skip
    after = await running.invoke(language, "count")
    assert after.report.environment_id == before.report.environment_id


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("event", "text"),
    [
        (["exit", 0], "Runtime exited without providing a reason"),
        (["exit", 3], "Runtime exited with error: exit status 3"),
        (["kill", signal.SIGKILL], "Runtime exited with error: signal: killed"),
        (["kill", signal.SIGSEGV], "Runtime exited with error: signal: segmentation fault"),
    ],
)
async def test_a_runtime_that_ends_tells_how(running, language, event, text):
    await warm(running, language)
    outcome = await running.invoke(language, event)
    assert outcome.payload() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {outcome.report.request_id} Error: {text}",
    }
    assert (await warm(running, language)).unwrap()[0] == 1


@pytest.mark.parametrize("language", LANGUAGES)
async def test_a_timeout_ends_it_and_the_next_one_begins_anew(running, language):
    brief = f"{language}_brief"
    await warm(running, brief)
    outcome = await running.invoke(brief, "sleep" if language == "python" else "spin")
    assert outcome.payload() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {outcome.report.request_id} Error: Task timed out after 2.00 seconds",
    }
    assert outcome.report.duration_ms == 2000.0
    again = await warm(running, brief)
    assert again.unwrap()[0] == 1
    assert again.report.init_duration_ms > 0


@pytest.mark.parametrize("language", ["python", "node"])
async def test_memory_is_limited_and_measured(running, language):
    small = await warm(running, language)
    assert small.report.memory_method == "peak-rss-reset"
    assert 5 < small.report.max_memory_used_mb < 128
    outcome = await running.invoke(language, "allocate")
    assert outcome.report.outcome == "Runtime.OutOfMemory"
    assert outcome.payload()["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert outcome.report.max_memory_used_mb > 256


async def test_processor_time_is_the_runtimes(running):
    await warm(running, "node_brief")
    outcome = await running.invoke("node_brief", "spin")
    assert outcome.report.outcome == "Sandbox.Timedout"
    busy = await warm(running, "node_brief")
    assert 0 < busy.report.cpu_ms < 400


@pytest.mark.parametrize("language", LANGUAGES)
async def test_payloads_up_to_the_limits(running, language):
    await warm(running, language)
    limit = 6 * MB + 100
    assert len((await running.invoke(language, ["sized", limit - 2])).payload) == limit
    outcome = await running.invoke(language, ["sized", limit - 1])
    assert outcome.payload() == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    await warm(running, language)
    if language != "python":
        payload = json.dumps("x" * (6 * MB - 2)).encode()
        assert (await running.invoke(language, payload=payload)).payload == payload


async def test_awss_client_shows_the_same_as_our_own(running, kit):
    """One handler, once in AWS's runtime and once in ours."""
    context = json.dumps({"custom": {"k": "v"}, "client": {"app_title": "T"}, "w3c": {"baggage": "b"}})
    origin_arn = "arn:aws:lambda:eu-west-1:1:function:about:live"
    event = called(1, client_context=context, function_arn=origin_arn)
    theirs = (await running.invoke("about", event=event)).unwrap()
    async with run_target(kit.SHOP) as others:
        ours = (await others.invoke("about", event=event)).unwrap()
    assert set(theirs) == set(ours)
    for name in ("custom", "client", "identity", "w3c", "function_name", "function_version", "tenant_id", "cwd"):
        assert theirs[name] == ours[name], name
    assert (
        theirs["invoked_function_arn"]
        == ours["invoked_function_arn"]
        == "arn:aws:lambda:eu-west-1:1:function:about:live"
    )
    different = {
        "AWS_LAMBDA_RUNTIME_API", "AWS_EXECUTION_ENV", "_HANDLER", "PATH", "LC_CTYPE", "AWS_LAMBDA_LOG_STREAM_NAME",
        "FNFRAME_ENVIRONMENT", "FNFRAME_TEMPLATE", "PYTEST_CURRENT_TEST", "TMPDIR", "RED", "COLOUR",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    }  # fmt: skip
    for name in set(theirs["variables"]) - different:
        assert theirs["variables"][name] == ours["variables"][name], name
    unstable = r"aws_request_id=[^,]*|log_stream_name=[^,]*|memory_limit_in_mb=[^,]*"
    assert re.sub(unstable, "", theirs["repr"]) == re.sub(unstable, "", ours["repr"])
    assert 4000 < theirs["remaining"] <= 5000


async def test_what_comes_with_an_event(running):
    event = called([1], client_context='{\n"custom": {"k": "ü"}}', tenant_id="blue")
    before = time.time()
    outcome = await running.invoke("node_about", event=event)
    headers = outcome.unwrap()["headers"]
    assert headers["content-type"] == "application/json"
    assert headers["lambda-runtime-aws-request-id"] == outcome.report.request_id
    assert headers["lambda-runtime-invoked-function-arn"].endswith(":about:live")
    assert before + 4 < int(headers["lambda-runtime-deadline-ms"]) / 1000 < time.time() + 5.1
    trace = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
    assert headers["lambda-runtime-trace-id"] == trace
    assert json.loads(headers["lambda-runtime-client-context"].encode("latin-1")) == {"custom": {"k": "ü"}}
    assert headers["lambda-runtime-aws-tenant-id"] == "blue"
    plain = (await running.invoke("node_about", 1)).unwrap()["headers"]
    assert not {"lambda-runtime-client-context", "lambda-runtime-aws-tenant-id"} & set(plain)


@pytest.mark.parametrize(
    ("function", "error_type", "message"),
    [
        ("no_module", "Runtime.ImportModuleError", "Unable to import module 'nowhere': No module named 'nowhere'"),
        ("node_no_handler", "Runtime.HandlerNotFound", "it is undefined"),
        ("not_there", "Runtime.InvalidEntrypoint", "fork/exec ./nowhere: no such file or directory"),
        ("no_bootstrap", "Runtime.InvalidEntrypoint", "Couldn't find valid bootstrap(s): ["),
        ("no_client", "Runtime.InvalidEntrypoint", "Lambda's client for Node is not installed: run `npm install"),
    ],
)
async def test_what_fails_at_init(running, function, error_type, message):
    outcome = await running.invoke(function, 1)
    assert outcome.error_type == outcome.payload()["errorType"] == error_type
    assert outcome.message.startswith(message)
    assert outcome.report.init_duration_ms is None


async def test_a_runtime_that_ends_at_init(running, heard):
    outcome = await running.invoke("ends", 1)
    assert outcome.payload()["errorMessage"].endswith("Error: Runtime exited with error: exit status 7")
    begun = heard.of_init("ends").splitlines()
    assert begun[0].startswith("INIT_START Runtime Version: provided.v")
    assert begun[1].endswith("Phase: init\tStatus: error\tError Type: Runtime.ExitError")
    assert heard.of(outcome).endswith("Phase: invoke\tStatus: error\tError Type: Runtime.ExitError\n")


async def test_powertools_in_awss_client(running):
    record = {"messageId": "m1", "body": '{"good": false}', "attributes": {}, "messageAttributes": {}}
    records = [record, record | {"messageId": "m2", "body": '{"good": true}'}]
    outcome = await running.invoke("tools", {"Records": records})
    assert outcome.unwrap() == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


async def test_log_lines_of_awss_client(running, heard):
    outcome = await running.invoke("logs", 1)
    lines = heard.of(outcome).replace("\r", "\n").splitlines()
    assert lines[0] == "printed"
    assert re.fullmatch(rf"\[INFO\]\t[^\t]+Z\t{outcome.report.request_id}\thello you", lines[1])
    assert "[ERROR] Custom: out" in lines[-4] or "[ERROR] Custom: out" in heard.of(outcome)


async def test_a_runtime_may_stream_its_response(running):
    assert (await running.invoke("streams", {"a": 1})).unwrap() == {"a": 1}
    outcome = await running.invoke("streams", {"errorType": "Late", "errorMessage": "late"})
    assert (outcome.error_type, outcome.message) == ("Late", "late")


async def test_wrong_answers_of_a_runtime_are_refused(running, heard):
    outcome = await running.invoke("stubborn", 1)
    assert outcome.payload == b'400 {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}'
    assert "twice: 403" in heard.of(outcome)
    assert (
        "State transition from RuntimeResponseSentState to InvocationResponse failed for runtime. Error: State "
        "transition is not allowed"
    ) in heard.of(outcome)
    assert (await running.invoke("stubborn", 1)).report.environment_id == outcome.report.environment_id


@pytest.mark.parametrize(
    ("event", "error_type", "answered"),
    [
        ("mode", "Runtime.InvalidResponseModeHeader", '400, \'{"errorMessage":"Invalid response mode'),
        ("trailer", "Late", "HTTP/1.1 202 Accepted"),
    ],
)
async def test_odd_answers_fail_the_invocation_alone(running, heard, event, error_type, answered):
    """A mode that there is none of, and an error that is no base64."""
    outcome = await running.invoke("odd", event)
    assert outcome.error_type == error_type
    assert answered in heard.of(outcome)
    assert (await running.invoke("odd", "bytes")).report.environment_id == outcome.report.environment_id


@pytest.mark.parametrize(
    ("event", "status", "error_type"),
    [
        ("half", "HTTP/1.1 400", "TruncatedHTTPRequest"),
        ("length", "HTTP/1.1 400", "TruncatedHTTPRequest"),
        ("chunk", "HTTP/1.1 400", "TruncatedHTTPRequest"),
        ("bytes", "HTTP/1.1 400", "TruncatedHTTPRequest"),
        ("init", "403", "State transition from Running to InitError failed for runtime."),
        ("path", "404", "NotFound"),
        ("method", "404", "NotFound"),
    ],
)
async def test_odd_requests_are_refused_and_harm_nothing(running, event, status, error_type):
    outcome = await running.invoke("odd", event)
    told = str(outcome.unwrap())
    assert status in told
    assert error_type in told


async def test_children_of_a_runtime_are_no_reason_to_end_it(running):
    first, second = [await running.invoke("strays", 1) for _ in range(2)]
    assert second.report.environment_id == first.report.environment_id


async def test_a_runtime_that_dies_between_two_invocations_is_replaced(running):
    first = await running.invoke("dies_idle", 1)
    pool = running.pool
    with anyio.fail_after(10):
        while any(environment.id == first.report.environment_id for environment in pool._live):
            await anyio.sleep(0.005)
    second = await running.invoke("dies_idle", 1)
    assert second.unwrap() == 1
    assert second.report.environment_id != first.report.environment_id


async def test_node_begins_with_lambdas_client_where_npm_put_it(kit, tmp_path):
    """Beside the code or above it, or where NODE_PATH leads; the loop of these tests is in the client's place."""
    app, far = tmp_path / "app", tmp_path / "far"
    for modules in (app / "node_modules", tmp_path / "global" / "node_modules"):
        client = modules / "aws-lambda-ric" / "bin"
        client.mkdir(parents=True)
        shutil.copy(kit.APPS / "shop" / "runtime.mjs", client / "index.mjs")
    (app / "near").mkdir()
    far.mkdir()
    (app / "app.py").write_text(
        "from fnframe import App\napp = App('node')\n"
        "options = {'runtime': 'nodejs20.x', 'handler': 'about', 'memory': 256, 'timeout': 30}\n"
        "app.lambda_function('near', code='near', **options)\n"
        f"app.lambda_function('far', code={str(far)!r}, variables={{'NODE_PATH': {str(modules)!r}}}, **options)\n"
    )
    async with run_target(str(app)) as running:
        near = (await running.invoke("near", 1)).unwrap()
        assert (near["cwd"], near["variables"]["_HANDLER"]) == (str(app / "near"), "about")
        assert near["variables"]["AWS_EXECUTION_ENV"] == "AWS_Lambda_nodejs20.x"
        assert (await running.invoke("far", 1)).unwrap()["cwd"] == str(far)


async def test_where_environments_are_spawned(kit, tmp_path):
    (tmp_path / "code").mkdir()
    source = "count = []\ndef handler(event, _):\n    count.append(1)\n    return [len(count)]\n"
    (tmp_path / "code" / "mine.py").write_text(source)
    (tmp_path / "app.py").write_text(
        "from fnframe import App\napp = App('spawned')\n"
        f"shell = ['sh', {str(kit.APPS / 'shop' / 'runtime.sh')!r}]\n"
        "app.lambda_function('runtime', runtime='provided', command=shell, timeout=30)\n"
        "app.lambda_function('code', handler='mine.handler', code='code')\n"
    )
    async with run_target(str(tmp_path), settings={"start_method": "spawn"}) as running:
        for function in ("runtime", "code"):
            first, second = [await running.invoke(function, "count") for _ in range(2)]
            assert (first.unwrap()[0], second.unwrap()[0]) == (1, 2)
            assert second.report.environment_id == first.report.environment_id
        await running.reload()
        assert (await running.invoke("code", "count")).unwrap() == [1]


async def test_nothing_is_left_at_the_end(kit):
    async with run_target(str(kit.APPS / "shop" / "runtimes.py")) as running:
        await warm(running, "shell")
        (pid,) = await live_pids(running, "shell")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert children
    with anyio.fail_after(10):
        while any(Path(f"/proc/{child}").exists() for child in children):
            await anyio.sleep(0.005)


def test_options_that_make_no_sense():
    from fnframe import App, ConfigurationError

    app = App("x")
    for options, problem in (
        ({"runtime": "provided", "command": ["a", 1]}, "command must be words"),
        ({"handler": "a.b", "command": ["a"]}, "command starts what is not Python"),
        ({"runtime": "nodejs"}, "handler must be as in Lambda"),
        ({"runtime": "ruby3.3", "handler": "a.b"}, "runtime must be one of"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            app.lambda_function("f", **options)
