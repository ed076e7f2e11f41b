"""From one end to the other: boto3 or the aws command line calls, and AWS's client for Python, or a loop in Node or in
a shell, answers. All of them are made by the API, from archives with a `bootstrap`."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import stat
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from lambda_client import ROLE, call, refused, until

MB = 1024 * 1024
LANGUAGES = ("python", "node", "shell")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
COMMANDS = {
    "python": f"{sys.executable} -m awslambdaric",
    "node": "node runtime.mjs",
    "shell": "sh runtime.sh",
}


def code(kit, language):
    """An archive with the handlers of the tests, and what starts them."""
    buffer = io.BytesIO()
    handler = {"python": "$_HANDLER", "node": "${_HANDLER#handlers.}", "shell": ""}[language]
    with zipfile.ZipFile(buffer, "w") as archive:
        program = zipfile.ZipInfo("bootstrap")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, f"#!/bin/sh\nexec {COMMANDS[language]} {handler}\n")
        for name in ("handlers.py", "runtime.mjs", "runtime.sh"):
            archive.writestr(name, (kit.APPS / "shop" / name).read_text())
    return buffer.getvalue()


def make(aws, kit, name, language, **options):
    described = {
        "FunctionName": name, "Runtime": "provided.al2023", "Role": ROLE, "Handler": "handlers.does", "Timeout": 20,
        "MemorySize": 256, "Code": {"ZipFile": code(kit, language)},
    }  # fmt: skip
    return aws.create_function(**described | options)


@pytest.fixture(scope="module")
def does(aws, kit):
    """The name of a function of a language, which is made when it is first asked for."""
    made = set()

    def does(language):
        if language not in made:
            make(aws, kit, language, language)
            made.add(language)
        return language

    return does


@pytest.mark.parametrize("language", LANGUAGES)
def test_results_errors_and_ends(aws, does, language):
    name = does(language)
    first, second = call(aws, name, "count"), call(aws, name, "count")
    assert second[1][0] == first[1][0] + 1
    response, payload = call(aws, name, "raise")
    assert (response["StatusCode"], response["FunctionError"]) == (200, "Unhandled")
    assert payload["errorMessage"] == "no luck ü"
    for event, text in (
        (["exit", 0], "Runtime exited without providing a reason"),
        (["exit", 3], "Runtime exited with error: exit status 3"),
        (["kill", 9], "Runtime exited with error: signal: killed"),
    ):
        response, payload = call(aws, name, event)
        request_id = response["ResponseMetadata"]["RequestId"]
        assert payload == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {text}"}
        assert response["FunctionError"] == "Unhandled"
        assert call(aws, name, "count")[1][0] == 1, "a reset: its globals are gone"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_timeout_and_the_tail_of_the_log(aws, does, language):
    name = does(language)
    response, _ = call(aws, name, "count", LogType="Tail")
    log = base64.b64decode(response["LogResult"]).decode()
    request_id = response["ResponseMetadata"]["RequestId"]
    assert log.startswith(f"START RequestId: {request_id} Version: $LATEST\n")
    assert f"\nEND RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: " in f"\n{log}"
    aws.update_function_configuration(FunctionName=name, Timeout=1)
    response, payload = call(aws, name, "sleep", LogType="Tail")
    request_id = response["ResponseMetadata"]["RequestId"]
    assert payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    assert "Status: timeout" in base64.b64decode(response["LogResult"]).decode()
    aws.update_function_configuration(FunctionName=name, Timeout=20)
    assert call(aws, name, "count")[1][0] == 1


@pytest.mark.parametrize("language", ["python", "node"])
def test_memory(aws, does, language):
    response, payload = call(aws, does(language), "allocate", LogType="Tail")
    assert payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    log = base64.b64decode(response["LogResult"]).decode()
    assert "Status: error\tError Type: Runtime.OutOfMemory" in log


@pytest.mark.parametrize("language", LANGUAGES)
def test_payloads_up_to_the_limits(aws, does, language):
    name = does(language)
    assert len(call(aws, name, ["sized", 6 * MB + 98])[1]) == 6 * MB + 98
    response, payload = call(aws, name, ["sized", 6 * MB + 99])
    assert response["FunctionError"] == "Unhandled"
    assert payload == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    with refused("RequestEntityTooLargeException", 413):
        call(aws, name, "x" * (6 * MB))


@pytest.mark.parametrize("language", LANGUAGES)
def test_versions_aliases_and_dry_runs(aws, kit, language):
    name = f"{language}-versions"
    make(aws, kit, name, language, Publish=True)
    aws.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    response, value = call(aws, name, "count", Qualifier="live")
    assert response["ExecutedVersion"] == "1"
    assert "/[1]" in value[-1], "the stream of its log names the version"
    assert aws.invoke(FunctionName=name, Qualifier="live", InvocationType="DryRun")["StatusCode"] == 204
    with refused("ResourceNotFoundException", 404):
        aws.invoke(FunctionName=name, Qualifier="2", InvocationType="DryRun")


def test_what_comes_beside_an_event(aws, kit):
    make(aws, kit, "beside", "python", Handler="handlers.about", Environment={"Variables": {"COLOUR": "blue"}})
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    response, seen = call(aws, "beside", 1, ClientContext=context)
    assert seen["custom"] == {"k": "v"}
    assert seen["aws_request_id"] == response["ResponseMetadata"]["RequestId"]
    assert (seen["invoked_function_arn"], seen["function_name"]) == (f"{ARN}beside", "beside")
    assert (seen["variables"]["COLOUR"], seen["variables"]["_HANDLER"]) == ("blue", "handlers.about")
    assert seen["cwd"] == seen["variables"]["LAMBDA_TASK_ROOT"]


def test_errors_of_init(aws, kit):
    for handler, kind, message in (
        ("nowhere.handler", "ImportModuleError", "Unable to import module 'nowhere': No module named 'nowhere'"),
        ("handlers.nothing", "HandlerNotFound", "Handler 'nothing' missing on module 'handlers'"),
    ):
        make(aws, kit, f"init-{kind}", "python", Handler=handler)
        response, payload = call(aws, f"init-{kind}", 1)
        assert response["FunctionError"] == "Unhandled"
        assert (payload["errorType"], payload["errorMessage"]) == (f"Runtime.{kind}", message)


def test_events_are_retried_and_told_of(aws, kit, tmp_path):
    kept = tmp_path / "kept"
    aws.make("destination", "keeps", Environment={"Variables": {"KEPT": str(kept)}})
    make(aws, kit, "retried", "python")
    aws.put_function_event_invoke_config(
        FunctionName="retried", MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"{ARN}destination"}},
    )  # fmt: skip
    response = aws.invoke(FunctionName="retried", InvocationType="Event", Payload=b'"raise"')
    assert response["StatusCode"] == 202
    until(kept.exists)
    [[_, record]] = [json.loads(line) for line in until(kept.read_text).splitlines()]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
    assert record.pop("responsePayload")["errorMessage"] == "no luck ü"
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": response["ResponseMetadata"]["RequestId"],
            "functionArn": f"{ARN}retried:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 2,
        },
        "requestPayload": "raise",
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
    }


def test_throttling(aws, kit, tmp_path):
    make(aws, kit, "throttled", "python")
    aws.put_function_concurrency(FunctionName="throttled", ReservedConcurrentExecutions=1)
    begun, over = tmp_path / "begun", tmp_path / "over"
    arguments = (aws.served.client(), "throttled", ["wait", str(begun), str(over)])
    running = threading.Thread(target=call, args=arguments)
    running.start()
    until(begun.exists)
    reason = "ReservedFunctionConcurrentInvocationLimitExceeded"
    with refused("TooManyRequestsException", 429, "Rate Exceeded.", Reason=reason):
        call(aws, "throttled", "none")
    over.touch()
    running.join()
    aws.delete_function(FunctionName="throttled")


def test_the_aws_command_line(aws, kit, tmp_path):
    environ = {
        **os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_LAMBDA": aws.served.url, "AWS_MAX_ATTEMPTS": "1",
    }  # fmt: skip
    (tmp_path / "code.zip").write_bytes(code(kit, "python"))

    def run(*arguments):
        done = subprocess.run(
            [str(Path(sys.executable).parent / "aws"), "lambda", *arguments],
            env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = run(
        "create-function", "--function-name", "by-hand", "--runtime", "provided.al2023", "--role", ROLE, "--handler",
        "handlers.echo", "--zip-file", "fileb://code.zip", "--timeout", "20", "--memory-size", "256", "--publish",
    )  # fmt: skip
    assert (made["FunctionName"], made["Version"], made["State"]) == ("by-hand", "1", "Pending")
    told = run("invoke", "--function-name", "by-hand:1", "--payload", '{"a": 1}', "out.json")
    assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "1")
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}
