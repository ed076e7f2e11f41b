"""Handlers that were written for Lambda, unmodified, in real environments."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import sys
from pathlib import Path

import anyio
import pytest
from fnframe_lambda.origin import EVENT_TYPE, Origin, encode_origin

from fnframe import ConfigurationError, Event, Failure, hookimpl
from fnframe.event import now
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def heard(kit, anyio_backend):
    return kit.Heard()


@pytest.fixture(scope="module")
async def running(kit, heard, anyio_backend):
    async with run_target(kit.SHOP, plugins=(heard,)) as running:
        yield running


def called(data, **fields):
    """An event as the Invoke API makes it."""
    origin = Origin(**{"function_arn": "arn:aws:lambda:eu-west-1:1:function:about:live", **fields})
    return Event(
        id="1",
        source="test",
        type=EVENT_TYPE,
        time=now(),
        data=json.dumps(data).encode(),
        origin=encode_origin(origin),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


async def test_the_context_has_all_that_lambdas_has(running):
    outcome = await running.invoke("about", 1)
    seen, request_id = outcome.unwrap(), outcome.report.request_id
    assert seen["aws_request_id"] == request_id
    assert (seen["function_name"], seen["function_version"]) == ("about", "$LATEST")
    assert seen["memory_limit_in_mb"] == "256"
    assert seen["invoked_function_arn"] == "arn:aws:lambda:us-east-1:000000000000:function:about"
    assert seen["log_group_name"] == "/aws/lambda/about"
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", seen["log_stream_name"])
    assert 4000 < seen["remaining"] <= 5000
    assert (seen["client"], seen["tenant_id"], seen["identity"], seen["w3c"]) == (None, None, [None, None], {})
    assert seen["repr"] == (
        f"LambdaContext([aws_request_id={request_id},log_group_name=/aws/lambda/about,"
        f"log_stream_name={seen['log_stream_name']},function_name=about,memory_limit_in_mb=256,"
        f"function_version=$LATEST,invoked_function_arn={seen['invoked_function_arn']},client_context=None,"
        "identity=CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None]),tenant_id=None])"
    )


async def test_what_a_caller_sends_beside_the_payload_is_in_the_context(running):
    client = {
        "custom": {"k": "v"},
        "env": {"e": "1"},
        "client": {"app_title": "T"},
        "w3c": {"traceparent": "p", "x": 1},
    }
    outcome = await running.invoke("about", event=called(1, client_context=json.dumps(client), tenant_id="blue"))
    seen = outcome.unwrap()
    assert (seen["custom"], seen["tenant_id"], seen["w3c"]) == ({"k": "v"}, "blue", {"traceparent": "p"})
    assert "app_title=T" in seen["client"]
    assert seen["invoked_function_arn"] == "arn:aws:lambda:eu-west-1:1:function:about:live"
    trace = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
    assert seen["variables"]["_X_AMZN_TRACE_ID"] == trace
    again = (await running.invoke("about", 1)).unwrap()
    own = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0"
    assert re.fullmatch(own, again["variables"]["_X_AMZN_TRACE_ID"])
    assert again["invoked_function_arn"] == "arn:aws:lambda:us-east-1:000000000000:function:about"
    bad = await running.invoke("about", event=called(1, client_context="{"))
    assert bad.error_type == "Runtime.LambdaContextUnmarshalError"


async def test_the_variables_are_lambdas_and_the_functions_own(running, kit):
    seen = (await running.invoke("about", 1)).unwrap()
    variables = seen["variables"]
    folder = str(kit.APPS / "shop")
    assert variables["COLOUR"] == "blue"
    assert seen["cwd"] == variables["LAMBDA_TASK_ROOT"] == folder
    assert variables["_HANDLER"] == "handlers.about"
    assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-east-1"
    assert variables["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")
    assert (variables["TZ"], variables["LANG"], variables["LC_CTYPE"]) == (":UTC", "en_US.UTF-8", "C.UTF-8")
    assert variables["PWD"] == folder
    assert Path(variables["LAMBDA_RUNTIME_DIR"]).is_dir()
    host, port = variables["_AWS_XRAY_DAEMON_ADDRESS"], variables["_AWS_XRAY_DAEMON_PORT"]
    assert variables["AWS_XRAY_DAEMON_ADDRESS"] == f"{host}:{port}"
    assert not {"FNFRAME_LAMBDA_ACCOUNT", "AWS_LAMBDA_LOG_FORMAT"} & set(variables)
    other = (await running.invoke("does", "count")).unwrap()
    assert other[2] != seen["log_stream_name"]


async def test_events_and_results_are_what_awss_runtime_makes_of_them(running):
    for value in ({"a": [1, 2.5, None, "ü"]}, None, "text", 3):
        assert (await running.invoke("echo", value)).unwrap() == value
    escaped = sys.version_info < (3, 12)
    assert (await running.invoke("does", "text")).payload.decode() == (r'"\u00fc"' if escaped else '"ü"')
    assert (await running.invoke("does", "none")).payload == b"null"
    assert (await running.invoke("does", "nan")).payload == b"NaN"
    assert (await running.invoke("does", "decimal")).payload == b'{"a": 1.10, "b": NaN}'
    assert (await running.invoke("does", "tuple")).payload == b'{"x": 1, "y": 2}'
    raw = await running.invoke("does", "bytes")
    assert (raw.payload, raw.content_type) == (b"\x00raw", "application/unknown")
    refused = await running.invoke("does", "set")
    assert refused.payload() == {
        "errorMessage": "Unable to marshal response: Object of type set is not JSON serializable",
        "errorType": "Runtime.MarshalError",
        "requestId": refused.report.request_id,
        "stackTrace": [],
    }
    unread = await running.invoke("echo", payload=b"{not json")
    assert unread.error_type == "Runtime.UnmarshalError"
    assert unread.message.startswith("Unable to unmarshal input: ")


async def test_an_exception_is_told_to_the_caller_and_the_environment_stays(running, heard, kit):
    before = (await running.invoke("does", "count")).unwrap()[0]
    outcome = await running.invoke("does", "raise")
    file = kit.APPS / "shop" / "handlers.py"
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "no luck" in text)
    assert list(outcome.payload().items()) == [
        ("errorMessage", "no luck ü"),
        ("errorType", "Custom"),
        ("requestId", outcome.report.request_id),
        ("stackTrace", [f'  File "{file}", line {line}, in does\n    raise Custom("no luck ü")\n']),
    ]
    assert heard.of(outcome) == (
        "[ERROR] Custom: no luck ü\nTraceback (most recent call last):\n"
        f'\u00a0\u00a0File "{file}", line {line}, in does\n\u00a0\u00a0\u00a0\u00a0raise Custom("no luck ü")\n'
    )
    empty = await running.invoke("does", "raise_empty")
    assert (empty.error_type, empty.message) == ("ValueError", "")
    assert heard.of(empty).startswith("[ERROR] ValueError\nTraceback")
    assert (await running.invoke("does", "count")).unwrap()[0] == before + 3


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (["exit", 0], "Runtime exited without providing a reason"),
        (["exit", 3], "Runtime exited with error: exit status 3"),
        (["kill", signal.SIGKILL], "Runtime exited with error: signal: killed"),
        (["kill", signal.SIGSEGV], "Runtime exited with error: signal: segmentation fault"),
    ],
)
async def test_a_process_that_goes_away_tells_how(running, event, text):
    outcome = await running.invoke("does", event)
    assert outcome.payload() == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {outcome.report.request_id} Error: {text}",
    }


async def test_a_reset_keeps_the_temporary_directory_and_not_the_globals(running):
    count, marked, stream = (await running.invoke("does", "count")).unwrap()
    outcome = await running.invoke("does", "sleep")
    assert outcome.payload() == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {outcome.report.request_id} Error: Task timed out after 1.00 seconds",
    }
    assert outcome.report.duration_ms == 1000.0
    count, marked, other = (await running.invoke("does", "count")).unwrap()
    assert (count, marked) == (1, True)
    assert other != stream


async def test_memory_is_limited_as_everywhere(running):
    outcome = await running.invoke("does", "allocate")
    assert outcome.report.outcome == "Runtime.OutOfMemory"
    assert outcome.payload()["errorType"] == "Runtime.ExitError"
    assert outcome.payload()["errorMessage"].endswith("Runtime exited with error: signal: killed")


async def test_results_up_to_lambdas_limit(running):
    limit = 6 * 1024 * 1024 + 100
    assert len((await running.invoke("does", ["sized", limit - 2])).payload) == limit
    outcome = await running.invoke("does", ["sized", limit - 1])
    assert outcome.error_type == "Function.ResponseSizeTooLarge"
    assert outcome.message == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."


@pytest.mark.parametrize(
    ("function", "error_type", "message"),
    [
        ("no_module", "Runtime.ImportModuleError", "Unable to import module 'nowhere': No module named 'nowhere'"),
        ("no_handler", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'handlers'"),
        (
            "no_dot",
            "Runtime.MalformedHandlerName",
            "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
        ),
        ("builtin", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        ("broken", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken': "),
        ("raises_at_import", "RuntimeError", "not today"),
    ],
)
async def test_what_fails_at_init_fails_each_invocation(running, heard, function, error_type, message):
    for _ in range(2):
        outcome = await running.invoke(function)
        assert isinstance(outcome, Failure)
        payload = outcome.payload()
        assert list(payload) == ["errorMessage", "errorType", "requestId", "stackTrace"]
        assert (payload["errorType"], payload["requestId"]) == (error_type, "")
        assert payload["errorMessage"].startswith(message)
        assert outcome.report.init_duration_ms is None
        assert outcome.report.duration_ms > 0
        assert "LAMBDA_WARNING: Unhandled exception." in heard.of(outcome)
        assert f"[ERROR] {error_type}: {message}" in heard.of(outcome)
    # Twice for each invocation: once as init, once within it.
    assert heard.of_init(function).count(f"[ERROR] {error_type}") == 2
    shown = error_type if error_type.startswith("Runtime.") else "Runtime.Unknown"
    for log, phase, count in ((heard.of_init(function), "init", 2), (heard.of(outcome), "invoke", 1)):
        failed = rf"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: {phase}\tStatus: error\tError Type: {shown}\n"
        assert len(re.findall(failed, log)) == count
        assert log.count("INIT_START Runtime Version: ") == (count if phase == "init" else 0)
    assert (await running.invoke("echo", 1)).unwrap() == 1


async def test_init_that_failed_is_tried_once_more_within_the_invocation(running, heard):
    outcome = await running.invoke("second_try", 1)
    assert outcome.unwrap() == "once"  # In the same temporary directory.
    assert outcome.report.init_duration_ms is None
    assert outcome.report.duration_ms >= 20, "the second try is part of it"
    assert "RuntimeError: the first time" in heard.of_init("second_try")
    warm = await running.invoke("second_try", 1)
    assert warm.report.environment_id == outcome.report.environment_id


async def test_what_the_first_invocation_prints_is_its_own_however_slow_the_host_is(kit, tmp_path, monkeypatch):
    """Its environment waits for the host only until the host has read what it printed while it began."""
    app = "from fnframe import App\napp = App('quiet')\napp.lambda_function('quiet', handler='quiet.handler')\n"
    (tmp_path / "app.py").write_text(app)
    (tmp_path / "quiet.py").write_text("def handler(event, context):\n    print('its own')\n")
    heard, read, chunks = kit.Heard(), os.read, []

    def slow(descriptor, most):
        chunks.append(read(descriptor, most))
        # What was printed first of all: the environment goes on to its handler. Unless the host asked for just so much,
        # as it does where it was told of it: then the environment waits to hear that it was read.
        if len(chunks) == 1 and len(chunks[0]) < most:
            assert select.select([descriptor], [], [], 10)[0]
        return chunks[-1]

    async with run_target(str(tmp_path / "app.py"), plugins=(heard,)) as running:
        monkeypatch.setattr(os, "read", slow)
        outcome = await running.invoke("quiet")
    assert heard.of(outcome) == "its own\n"


async def test_the_second_try_is_under_the_functions_timeout(running):
    outcome = await running.invoke("slow_start", 1)
    assert outcome.error_type == "Sandbox.Timedout"
    assert outcome.message.endswith("Task timed out after 0.30 seconds")
    assert outcome.report.duration_ms == 300.0


@pytest.mark.parametrize(
    ("ends", "log_format", "told"),
    [
        ("signal.pause()", "Text", r"INIT_REPORT Init Duration: \d{3,}\.\d\d ms\tPhase: init\tStatus: timeout\n"),
        ("signal.pause()", "JSON", r'.*"status": "timeout", "metrics": {"durationMs": \d{3,}\.\d+}}}\n'),
        (
            "os._exit(3)",
            "Text",
            r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n",
        ),
        (
            "sys.exit(4)",
            "Text",
            r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError\n",
        ),
    ],
)
async def test_init_that_does_not_end_well_is_told_once_and_tried_once_more(
    kit, tmp_path, monkeypatch, ends, log_format, told
):
    """Of one that takes too long (ten seconds, as on Lambda; fewer here), or dies, the second try tells."""
    monkeypatch.setattr("fnframe.environment.template.INIT_TIMEOUT", 0.5)
    (tmp_path / "app.py").write_text(
        "from fnframe import App\napp = App('slow')\n"
        f"app.lambda_function('once', handler='slow.handler', timeout=20, log_format={log_format!r})\n"
    )
    (tmp_path / "slow.py").write_text(
        "import os, signal, sys\nmark = os.environ['TMPDIR'] + '/began'\n"
        "first = not os.path.exists(mark)\nopen(mark, 'w').close()\n"
        f"if first:\n    {ends}\n"
        "def handler(event, context):\n    return os.listdir(os.environ['TMPDIR'])\n"
    )
    heard = kit.Heard()
    async with run_target(str(tmp_path), plugins=(heard,)) as running:
        outcome = await running.invoke("once")
    assert outcome.unwrap() == ["began"]
    assert outcome.report.init_duration_ms is None
    log = heard.of_init("once") + heard.of(outcome)
    assert len(re.findall(told, log)) == 1, log


async def test_a_runtime_that_exits_at_init_is_told_once_and_tried_once_more(kit, tmp_path):
    begins = f"test -e $TMPDIR/began && exec sh {kit.APPS / 'shop' / 'runtime.sh'}; touch $TMPDIR/began; exit 3"
    (tmp_path / "app.py").write_text(
        "from fnframe import App\napp = App('shop')\n"
        f"app.lambda_function('once', runtime='provided', command=['sh', '-c', {begins!r}], timeout=20, memory=256)\n"
    )
    heard = kit.Heard()
    async with run_target(str(tmp_path), plugins=(heard,)) as running:
        outcome = await running.invoke("once", 7)
    assert outcome.unwrap() == 7
    log = heard.of_init("once") + heard.of(outcome)
    assert log.count("Status: error\tError Type: Runtime.ExitError\n") == 1, log


async def test_init_time_is_in_the_report_of_the_cold_invocation(running, heard):
    cold = await running.invoke("nested", 1)
    assert cold.unwrap() == "other"
    assert cold.report.init_duration_ms > 0
    assert (await running.invoke("nested", 1)).report.init_duration_ms is None


TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"


async def test_log_lines_are_those_of_lambdas_runtime(running, heard):
    outcome = await running.invoke("logs")
    lines = heard.of(outcome).splitlines()
    request_id = outcome.report.request_id
    assert lines[0] == "printed"
    assert re.fullmatch(rf"\[INFO\]\t{TIME}\.\d{{3}}Z\t{request_id}\thello you", lines[1])
    assert re.fullmatch(rf"\[WARNING\]\t{TIME}\.\d{{3}}Z\t{request_id}\tcareful", lines[2])
    assert lines[3] == "as it is"
    assert lines[4].endswith("it failed")
    assert lines[-1] == "ValueError: inner"
    first, printed = heard.of_init("logs").splitlines()
    version = ".".join(map(str, sys.version_info[:2]))
    arn = r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}"
    assert re.fullmatch(rf"INIT_START Runtime Version: python:{version}\.v\d+\tRuntime Version ARN: {arn}", first)
    assert printed == "imported handlers"


async def test_log_lines_in_json(running, heard):
    outcome = await running.invoke("logs_json", 1)
    begun = [json.loads(line) for line in heard.of_init("logs_json").splitlines() if line.startswith("{")]
    assert [(record["type"], record["record"].get("status")) for record in begun] == [
        ("platform.initStart", None), ("platform.initRuntimeDone", "success"), ("platform.initReport", "success"),
    ]  # fmt: skip
    assert begun[0]["record"]["initializationType"] == "on-demand"
    assert begun[2]["record"]["metrics"]["durationMs"] > 0
    printed, info, careful, plain, failed, error = heard.of(outcome).splitlines()
    assert (printed, plain) == ("printed", "as it is")
    record = json.loads(info)
    assert re.fullmatch(rf"{TIME}Z", record.pop("timestamp"))
    request_id = outcome.report.request_id
    assert record == {
        "level": "INFO", "message": "hello you", "logger": "root", "requestId": request_id, "order": 7,
    }  # fmt: skip
    assert json.loads(careful)["logger"] == "a.b"
    failed = json.loads(failed)
    assert (failed["errorType"], failed["errorMessage"]) == ("ValueError", "inner")
    assert re.fullmatch(r".*handlers\.py:logs:\d+", failed["location"])
    error = json.loads(error)
    assert list(error) == ["timestamp", "level", "errorMessage", "errorType", "requestId", "stackTrace"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"handler": "a b"}, "handler must be as in Lambda"),
        ({"handler": "a.b", "runtime": "pyton"}, "runtime must be one of"),
        ({"handler": "a.b", "event_format": "azure"}, "event_format must be one of"),
        ({"handler": "a.b", "variables": {"_HANDLER": "x"}}, "'_HANDLER' is Lambda's own"),
        ({"handler": "a.b", "variables": {"1X": "x"}}, "'1X' is no name for a variable"),
        ({"handler": "a.b", "variables": {"X1": "x" * 4096}}, "4,098 bytes together"),
        ({"handler": "a.b", "memory": 64}, "memory must lie between 128"),
        ({"handler": "a.b", "timeout": 901}, "timeout must lie between"),
        ({"handlr": "a.b"}, "app.lambda_function has no option 'handlr', did you mean 'handler'?; it has: handler, "),
    ],
)
def test_what_is_wrong_is_refused_at_the_users_line(options, problem):
    from fnframe import App

    app = App("x")
    line = test_what_is_wrong_is_refused_at_the_users_line.__code__.co_firstlineno
    with pytest.raises(ConfigurationError, match=re.escape(problem)) as caught:
        app.lambda_function("f", **options)
    file, _, number = caught.value.where.rpartition(":")
    assert file == __file__
    assert int(number) > line


async def test_functions_may_be_declared_in_settings(tmp_path):
    (tmp_path / "app.py").write_text("from fnframe import App\napp = App('x')\n@app.function()\ndef f(): return 1\n")
    (tmp_path / "code.py").write_text(
        "import os\ndef handler(event, context):\n    return [event, os.environ['WHO']]\n"
    )
    (tmp_path / "fnframe.toml").write_text(
        "[lambda]\nregion = 'eu-west-1'\n[lambda.functions.g]\nhandler = 'code.handler'\nmemory = 256\n"
        "variables = {WHO = 'me'}\n"
    )
    async with run_target(str(tmp_path)) as running:
        outcome = await running.invoke("g", 2)
        assert outcome.unwrap() == [2, "me"]
        assert outcome.report.memory_size_mb == 256
        assert (await running.invoke("f")).unwrap() == 1
    (tmp_path / "app.py").write_text("from fnframe import App\napp = App('x')\n")
    async with run_target(str(tmp_path)) as running:
        assert [function.name for function in running.manifest.functions] == ["g"], "it needs none of its own"
    (tmp_path / "app.py").write_text("from fnframe import App\napp = App('x')\n@app.function()\ndef f(): return 1\n")
    (tmp_path / "fnframe.toml").write_text("[lambda.functions.f]\nhandler = 'code.handler'\n")
    with pytest.raises(ConfigurationError, match="function 'f' is declared twice"):
        async with run_target(str(tmp_path)):
            pass
    (tmp_path / "fnframe.toml").write_text("[lambda.functions.g]\nhandlr = 'code.handler'\n")
    with pytest.raises(ConfigurationError, match=r"fnframe\.toml:1"):
        async with run_target(str(tmp_path)):
            pass


async def test_bundles_of_code_do_not_see_each_other(tmp_path):
    """Two directories and a zip with a module of one name, and each with a version of a library of its own."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "library.py").write_text(f"VERSION = {name!r}")
        (tmp_path / name / "code.py").write_text(
            "import os, library\n"
            "def handler(event, context):\n"
            "    return [library.VERSION, os.environ.get('WHO'), os.getcwd(), os.environ['LAMBDA_TASK_ROOT']]\n"
        )
    shutil.make_archive(str(tmp_path / "three"), "zip", tmp_path / "two")
    (tmp_path / "app.py").write_text(
        "from fnframe import App\napp = App('x')\n"
        "app.lambda_function('one', handler='code.handler', code='one')\n"
        "app.lambda_function('two', handler='code.handler', code='two', variables={'WHO': 'a'})\n"
        "app.lambda_function('again', handler='code.handler', code='two', variables={'WHO': 'b'})\n"
        "app.lambda_function('three', handler='code.handler', code='three.zip')\n"
    )
    async with run_target(str(tmp_path)) as running:
        one, two, again, three = [(await running.invoke(name)).unwrap() for name in ("one", "two", "again", "three")]
    assert one == ["one", None, str(tmp_path / "one"), str(tmp_path / "one")]
    assert (two[:2], again[:2]) == (["two", "a"], ["two", "b"])
    assert three[:2] == ["two", None]
    assert three[2] == three[3] != str(tmp_path / "two")
    assert not Path(three[2]).exists()  # It went with the app.


async def test_an_error_that_is_too_long_to_be_sent_is_cut(tmp_path):
    """The environment was ended for it, as if it had garbled its connection."""
    (tmp_path / "mine.py").write_text("def handler(event, context):\n    raise ValueError('x' * 10_000_000)\n")
    (tmp_path / "app.py").write_text(
        "from fnframe import App\napp = App('x')\napp.lambda_function('long', handler='mine.handler', memory=512)\n"
    )
    async with run_target(str(tmp_path)) as running:
        first, second = [await running.invoke("long") for _ in range(2)]
    assert first.error_type == second.error_type == "ValueError"
    assert first.message == "x" * 64 * 1024
    assert first.payload()["errorMessage"] == first.message
    assert first.report.environment_id == second.report.environment_id


@pytest.mark.parametrize(("content", "problem"), [(None, "no directory and no zip"), (b"x", "Could not unzip")])
async def test_code_that_is_none_is_refused_at_start(tmp_path, content, problem):
    if content is not None:
        (tmp_path / "code.zip").write_bytes(content)
    source = "from fnframe import App\napp = App('x')\napp.lambda_function('f', handler='a.b', code='code.zip')\n"
    (tmp_path / "app.py").write_text(source)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        async with run_target(str(tmp_path)):
            pass
    assert caught.value.where == f"{tmp_path / 'app.py'}:3"


class Told:
    """A plugin object that keeps the ids of requests whose reports it hears."""

    def __init__(self):
        self.ids = []

    @hookimpl
    def fnframe_invocation_reported(self, report):
        self.ids.append(report.request_id)


async def test_retries_wait_one_minute_and_then_two(kit):
    clock, told = ManualClock(), Told()
    async with run_target(kit.SHOP, plugins=(told,), clock=clock) as running:

        async def heard(count):
            with anyio.fail_after(10):
                while len(told.ids) < count:
                    await anyio.sleep(0.002)
            await anyio.wait_all_tasks_blocked()

        await running.enqueue("patient", "raise")
        await heard(1)
        for count, seconds in ((1, 59), (2, 2), (2, 118), (3, 3)):
            clock.advance(seconds)
            await heard(count)
            assert len(told.ids) == count
        assert len(set(told.ids)) == 1  # The same request, three times.
        with anyio.fail_after(10):
            await running.drained()
