"""The Invoke API, as boto3, the aws command line and bare HTTP clients call it."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx2
import msgspec
import pytest
from fnframe_lambda import endpoint
from lambda_client import call, refused, until

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
MB = 1024 * 1024


@pytest.fixture(scope="module")
def served(kit):
    with endpoint(kit.SHOP) as served:
        yield served


@pytest.fixture(scope="module")
def aws(served):
    return served.client()


@pytest.fixture(scope="module")
def http(served):
    with httpx2.Client(base_url=served.url, trust_env=False, timeout=20) as client:
        yield client


def logged(response):
    return base64.b64decode(response["LogResult"]).decode()


def test_a_synchronous_call(aws):
    response, value = call(aws, "echo", {"a": [1, "ü"]})
    assert value == {"a": [1, "ü"]}
    assert (response["StatusCode"], response["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in response
    assert "LogResult" not in response
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/json"
    assert headers["x-amzn-remapped-content-length"] == "0"
    trace = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0;Lineage=1:[0-9a-f]{8}:0"
    assert re.fullmatch(trace, headers["x-amzn-trace-id"])


def test_without_a_payload_the_event_is_an_empty_object(aws):
    assert call(aws, "echo")[1] == {}


def test_the_request_id_is_the_one_that_the_handler_sees(aws):
    response, seen = call(aws, "about", 1)
    assert response["ResponseMetadata"]["RequestId"] == seen["aws_request_id"]


def test_handlers_find_the_variables_that_the_program_had(aws):
    """The server was started with Python's buffers off, for its own output; handlers inherited that."""
    assert call(aws, "about", 1)[1]["variables"].get("PYTHONUNBUFFERED") == os.environ.get("PYTHONUNBUFFERED")


@pytest.mark.parametrize(
    "name",
    ["about", "about:$LATEST", "000000000000:function:about", f"{ARN}about", f"{ARN}about:$LATEST", "function:about"],
)
def test_all_forms_of_a_functions_name(aws, name):
    arn = ARN + "about" + (":$LATEST" if "LATEST" in name else "")
    assert call(aws, name, 1)[1]["invoked_function_arn"] == arn


def test_the_qualifier(aws):
    assert call(aws, "about", 1, Qualifier="$LATEST")[1]["invoked_function_arn"] == f"{ARN}about:$LATEST"
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}about:live"):
        call(aws, "about", 1, Qualifier="live")
    text = "The derived qualifier from the function name does not match the specified qualifier."
    with refused("InvalidParameterValueException", 400, text):
        call(aws, "about:1", 1, Qualifier="2")


def test_what_comes_beside_the_payload(aws):
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert call(aws, "about", 1, ClientContext=context)[1]["custom"] == {"k": "v"}
    wrongs = [b"[1]", b"\xff"]
    deep = b'{"a":' + b"[" * 1300 + b"]" * 1300 + b"}"
    try:
        msgspec.json.decode(deep)
    except RecursionError:  # Python 3.12 and later take it as it is.
        wrongs.append(deep)
    else:
        assert call(aws, "about", 1, ClientContext=base64.b64encode(deep).decode())[0]["StatusCode"] == 200
    for wrong in ("!", *(base64.b64encode(json_).decode() for json_ in wrongs)):
        text = "Client context must be a valid Base64-encoded JSON object."
        with refused("InvalidRequestContentException", 400, text):
            call(aws, "about", 1, ClientContext=wrong)
    with refused("InvalidParameterValueException", 400):
        call(aws, "about", 1, ClientContext=base64.b64encode(b'{"custom": {"k": "%s"}}' % (b"v" * 3000)).decode())
    with refused("InvalidParameterValueException", 400):
        call(aws, "about", 1, TenantId="blue")


def test_the_trace_goes_through(http):
    trace = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1"
    answer = http.post("/2015-03-31/functions/about/invocations", content=b"1", headers={"x-amzn-trace-id": trace})
    assert answer.json()["variables"]["_X_AMZN_TRACE_ID"] == trace
    assert answer.headers["x-amzn-trace-id"].startswith(trace)


def test_a_function_error_is_a_success_of_the_api(aws):
    response, payload = call(aws, "does", "raise")
    assert (response["StatusCode"], response["FunctionError"], response["ExecutedVersion"]) == (
        200, "Unhandled", "$LATEST",
    )  # fmt: skip
    assert list(payload) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert payload["requestId"] == response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    ("event", "error_type", "text"),
    [
        (["exit", 0], "Runtime.ExitError", "Runtime exited without providing a reason"),
        (["exit", 3], "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        (["kill", 9], "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("allocate", "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        ("sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_ends_of_the_runtime(aws, event, error_type, text):
    response, payload = call(aws, "does", event)
    request_id = response["ResponseMetadata"]["RequestId"]
    assert response["FunctionError"] == "Unhandled"
    assert payload == {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {text}"}
    assert call(aws, "does", "none")[1] is None  # The next one works.


@pytest.mark.parametrize(
    ("function", "error_type"), [("no_module", "ImportModuleError"), ("no_handler", "HandlerNotFound")]
)
def test_errors_of_init(aws, function, error_type):
    response, payload = call(aws, function, 1)
    assert response["FunctionError"] == "Unhandled"
    assert (payload["errorType"], payload["requestId"]) == (f"Runtime.{error_type}", "")


def test_a_result_that_is_too_large(aws):
    response, payload = call(aws, "does", ["sized", 6 * MB + 99])
    assert response["FunctionError"] == "Unhandled"
    assert payload == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert len(call(aws, "does", ["sized", 6 * MB + 98])[1]) == 6 * MB + 98


def test_the_tail_of_the_log(aws):
    response, _ = call(aws, "logs", LogType="Tail")
    lines = logged(response).splitlines()
    request_id = response["ResponseMetadata"]["RequestId"]
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1] == "printed"
    assert lines[-2] == f"END RequestId: {request_id}"
    report = (
        rf"REPORT RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t"
    )
    assert re.fullmatch(report, lines[-1])
    again = logged(call(aws, "logs", LogType="Tail")[0]).splitlines()
    assert "Init Duration" not in again[-1]


def test_the_tail_tells_of_failures_once(aws):
    raised = logged(call(aws, "does", "raise", LogType="Tail")[0])
    assert raised.count("[ERROR] Custom: no luck ü") == 1
    timed_out = logged(call(aws, "does", "sleep", LogType="Tail")[0])
    assert "Task timed out after 1.00 seconds\n\n" in timed_out
    assert timed_out.endswith("Status: timeout\t\n")
    killed = logged(call(aws, "does", "allocate", LogType="Tail")[0])
    assert killed.endswith("Status: error\tError Type: Runtime.OutOfMemory\t\n")
    assert int(re.search(r"Max Memory Used: (\d+) MB", killed)[1]) > 128


def test_the_tail_is_4_kilobytes_and_in_the_functions_form(aws):
    response, _ = call(aws, "about", 1, LogType="Tail")
    assert len(base64.b64decode(response["LogResult"])) < 4096
    records = [line for line in logged(call(aws, "logs_json", LogType="Tail")[0]).splitlines() if line[0] == "{"]
    assert [json.loads(line)["type"] for line in (records[0], *records[-2:])] == [
        "platform.start", "platform.runtimeDone", "platform.report",
    ]  # fmt: skip
    assert len(base64.b64decode(call(aws, "prints", 10_000, LogType="Tail")[0]["LogResult"])) == 4096


def test_an_event_is_accepted_and_run(aws, served):
    response = aws.invoke(FunctionName="echo", InvocationType="Event", Payload=b'{"a": 1}')
    assert (response["StatusCode"], response["Payload"].read()) == (202, b"")
    assert "ExecutedVersion" not in response
    request_id = response["ResponseMetadata"]["RequestId"]
    until(lambda: any(request_id in line and "platform.report" in line for line in served.log))


def test_an_event_is_retried_under_its_id_and_goes_to_its_destination(aws, served):
    response = aws.invoke(FunctionName="retried", InvocationType="Event", Payload=b'"raise"')
    request_id = response["ResponseMetadata"]["RequestId"]
    until(lambda: [line for line in served.log if '"failed"' in line and "platform.report" in line])
    reports = [line for line in served.log if request_id in line and "platform.report" in line]
    assert len(reports) == 2


def test_a_dry_run_checks_and_runs_nothing(aws):
    response = aws.invoke(FunctionName="echo", InvocationType="DryRun", Payload=b"1")
    assert (response["StatusCode"], response["Payload"].read()) == (204, b"")
    assert "ExecutedVersion" not in response
    with refused("ResourceNotFoundException", 404):
        aws.invoke(FunctionName="nowhere", InvocationType="DryRun")


def test_functions_that_were_not_written_for_lambda(aws):
    assert call(aws, "native", 7)[1] == {"native": 7}


def test_the_older_and_the_newer_form(aws):
    response = aws.invoke_async(FunctionName="echo", InvokeArgs=b"{}")
    assert response["Status"] == 202
    streamed = aws.invoke_with_response_stream(FunctionName="echo", Payload=b'{"a": 1}', LogType="Tail")
    assert (streamed["StatusCode"], streamed["ExecutedVersion"]) == (200, "$LATEST")
    chunk, complete = list(streamed["EventStream"])
    assert chunk["PayloadChunk"]["Payload"] == b'{"a": 1}'
    assert b"REPORT RequestId" in base64.b64decode(complete["InvokeComplete"]["LogResult"])
    [failed] = aws.invoke_with_response_stream(FunctionName="does", Payload=b'"raise"')["EventStream"]
    assert failed["InvokeComplete"]["ErrorCode"] == "Custom"
    assert json.loads(failed["InvokeComplete"]["ErrorDetails"])["errorMessage"] == "no luck ü"


def test_throttling_tells_its_reason(aws, tmp_path):
    reason = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User"}
    with refused("TooManyRequestsException", 429, "Rate Exceeded.", **reason):
        call(aws, "closed", 1)
    begun, over = tmp_path / "begun", tmp_path / "over"
    running = threading.Thread(target=call, args=(aws, "one", ["wait", str(begun), str(over)]))
    running.start()
    until(begun.exists)
    with refused("TooManyRequestsException", 429, "Rate Exceeded.", **reason):
        call(aws, "one", "none")
    over.touch()
    running.join()
    assert call(aws, "one", "none")[1] is None


def test_what_is_not_there(aws, http):
    with refused("ResourceNotFoundException", 404, f"Function not found: {ARN}nowhere:$LATEST", Type="User"):
        call(aws, "nowhere", 1)
    with refused("ResourceNotFoundException", 404):
        call(aws, "arn:aws:lambda:eu-west-1:000000000000:function:echo", 1)
    answer = http.get("/2015-03-31/nothing")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    answer = http.post("/2015-03-31/functions/a$b/invocations", content=b"1")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert answer.json()["message"].startswith(
        "1 validation error detected: Value 'a$b' at 'functionName' failed to satisfy constraint: Member must satisfy "
    )
    plain = "/2015-03-31/functions/echo/invocations"
    streaming = "/2021-11-15/functions/echo/response-streaming-invocations"
    for path, header, value, member, known in (
        (plain, "x-amz-invocation-type", "No", "invocationType", "Event, RequestResponse, DryRun"),
        (plain, "x-amz-log-type", "All", "logType", "None, Tail"),
        (streaming, "x-amz-invocation-type", "Event", "invocationType", "RequestResponse, DryRun"),
    ):
        answer = http.post(path, content=b"1", headers={header: value})
        assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
        text = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must "
        assert answer.json()["message"].startswith(f"{text}satisfy enum value set: [")
        assert f"{known}]" in answer.json()["message"]


@pytest.mark.parametrize(
    "body", [b"\x99", b'{"a": 1', b"{'a': 1}", b"NaN", b"1 2", b"\x00", b"\xef\xbb\xbf{}", b"[" * 100_000, b'"\xff"']
)
def test_a_payload_that_is_no_json(http, body):
    answer = http.post("/2015-03-31/functions/echo/invocations", content=body)
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "InvalidRequestContentException")
    assert answer.json()["Type"] == "User"
    assert answer.json()["message"].startswith("Could not parse request body into json: Could not parse payload into")


def test_payloads_up_to_the_limits(aws, http):
    text = "Request must be smaller than 6291456 bytes for the InvokeFunction operation"
    with refused("RequestEntityTooLargeException", 413, text):
        call(aws, "echo", "x" * (7 * MB))
    assert call(aws, "about", "x" * (6 * MB - 2))[0]["StatusCode"] == 200
    text = "Request must be smaller than 1048576 bytes for the InvokeFunction operation"
    with refused("RequestEntityTooLargeException", 413, text):
        aws.invoke(FunctionName="echo", InvocationType="Event", Payload=json.dumps("x" * MB))
    chunked = http.post("/2015-03-31/functions/echo/invocations", content=iter([b"x" * MB] * 7))
    assert chunked.status_code == 413


def test_media_types(http):
    def status(media_type):
        path = "/2015-03-31/functions/echo/invocations"
        return http.post(path, content=b"1", headers={"content-type": media_type}).status_code

    assert [status(kind) for kind in ("application/json", "application/json; charset=utf-8", "a/b+json")] == [200] * 3
    assert status("application/x-www-form-urlencoded") == 200  # What curl says.
    assert [status(kind) for kind in ("text/plain", "image/png")] == [415, 415]


def test_absurd_headers(served, http):
    """The server answers, or its HTTP parser ends the connection; it stays up."""
    host, port = served.url.removeprefix("http://").split(":")
    line = b"POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nhost: x\r\n"
    for head in (b"x-amz-log-type: " + b"x" * 200_000, b": none", b"content-length: -1", b"x\x00: y"):
        with socket.create_connection((host, int(port)), 5) as connection:
            connection.sendall(line + head + b"\r\n\r\n")
            connection.settimeout(5)
            try:
                status = connection.recv(4096).split(b" ", 2)[1:2]
            except ConnectionResetError:
                status = []
            assert status in ([], [b"200"], [b"400"], [b"431"])
    assert http.post("/2015-03-31/functions/echo/invocations", content=b"1").json() == 1


def test_a_slow_body_holds_up_nobody_else(served, http):
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        head = b"POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
        connection.sendall(head + b'"')
        assert http.post("/2015-03-31/functions/echo/invocations", content=b"1").json() == 1
        connection.sendall(b'x"')
        answer = b""
        while not answer.endswith(b'"x"'):
            answer += connection.recv(4096) or pytest.fail(f"the answer ended: {answer}")


@pytest.fixture
def aws_cli(served, tmp_path):
    command = [str(Path(sys.executable).parent / "aws"), "lambda", "--endpoint-url", served.url]
    environ = {
        **os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }  # fmt: skip

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
        )

    return run


def test_the_aws_command_line(aws_cli, tmp_path):
    done = aws_cli("invoke", "--function-name", "echo", "--payload", '{"a": 1}', "--log-type", "Tail", "out.json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}
    done = aws_cli("invoke", "--function-name", "nowhere", "out.json")
    assert done.returncode != 0
    assert "(ResourceNotFoundException) when calling the Invoke operation: Function not found" in done.stderr
