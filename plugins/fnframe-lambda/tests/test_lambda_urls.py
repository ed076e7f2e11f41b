"""Function URLs: their configuration, and what answers at them."""

from __future__ import annotations

import base64
import io
import json
import stat
import zipfile

import httpx2
import pytest
from aws_lambda_powertools.utilities.data_classes import LambdaFunctionUrlEvent
from lambda_client import read, refused, zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


@pytest.fixture(scope="module")
def url(aws):
    """The URL of a function that tells what it is asked, or answers what it is told."""
    aws.make("web", "answers", Timeout=20)
    return aws.create_function_url_config(FunctionName="web", AuthType="NONE")["FunctionUrl"]


@pytest.fixture(scope="module")
def http():
    with httpx2.Client(trust_env=False, timeout=20) as client:
        yield client


def test_the_configuration(aws):
    aws.make("configured-url")
    name = {"FunctionName": "configured-url"}
    with refused("ResourceNotFoundException", 404, "The resource you requested does not exist."):
        aws.get_function_url_config(**name)
    made = aws.create_function_url_config(**name, AuthType="NONE", Cors={"AllowOrigins": ["*"], "MaxAge": 5})
    assert (made["FunctionArn"], made["InvokeMode"]) == (f"{ARN}configured-url", "BUFFERED")
    assert made["Cors"] == {"AllowOrigins": ["*"], "MaxAge": 5}
    assert made["FunctionUrl"].startswith(aws.served.url)
    with refused("ResourceConflictException", 409):
        aws.create_function_url_config(**name, AuthType="NONE")
    updated = aws.update_function_url_config(**name, AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM")
    assert (updated["AuthType"], updated["FunctionUrl"]) == ("AWS_IAM", made["FunctionUrl"])
    assert aws.get_function_url_config(**name)["LastModifiedTime"] == updated["LastModifiedTime"]
    aws.create_alias(**name, Name="live", FunctionVersion="$LATEST")
    aliased = aws.create_function_url_config(**name, Qualifier="live", AuthType="NONE")
    assert aliased["FunctionArn"] == f"{ARN}configured-url:live"
    listed = aws.list_function_url_configs(**name)["FunctionUrlConfigs"]
    assert [each["FunctionArn"] for each in listed] == [f"{ARN}configured-url", f"{ARN}configured-url:live"]
    aws.delete_function_url_config(**name)
    assert len(aws.list_function_url_configs(**name)["FunctionUrlConfigs"]) == 1


def test_a_request_is_an_event_of_payload_format_2(aws, url, http):
    answer = http.get(
        f"{url}pa2%2Fth/1",
        params=[("p", "1"), ("p", "2 3")],
        headers=[("x-two", "a"), ("x-two", "b"), ("cookie", "c=1; d=2")],
    )
    event = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert event["rawPath"] == "/pa2%2Fth/1", "its escapes are kept"
    assert event["rawQueryString"] in ("p=1&p=2+3", "p=1&p=2%203")
    assert event["queryStringParameters"] == {"p": "1,2 3"}
    assert event["cookies"] == ["c=1", "d=2"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-two"] in ("a,b", "a, b")
    assert (event["isBase64Encoded"], "body" in event) == (False, False)
    context = event["requestContext"]
    assert (context["accountId"], context["routeKey"], context["stage"]) == ("anonymous", "$default", "$default")
    assert context["apiId"] == context["domainPrefix"] == url.rstrip("/").rpartition("/")[2]
    assert context["requestId"] == answer.headers["x-amzn-requestid"]
    assert "authorizer" not in context
    wrapped = LambdaFunctionUrlEvent(event)
    read(wrapped)
    assert (wrapped.request_context.http.method, wrapped.request_context.http.path) == ("GET", "/pa2%2Fth/1")
    assert wrapped.request_context.http.source_ip == "127.0.0.1"
    assert wrapped.request_context.domain_name == f"{context['apiId']}.lambda-url.us-east-1.on.aws"


def test_bodies(url, http):
    def seen(content, kind):
        event = http.post(url, content=content, headers={"content-type": kind}).json()
        return event["body"], event["isBase64Encoded"]

    assert seen(b"\x00\xff", "application/octet-stream") == (base64.b64encode(b"\x00\xff").decode(), True)
    form = base64.b64encode(b"a=1").decode(), True
    assert seen(b"a=1", "application/x-www-form-urlencoded") == form
    assert seen(b"a=1", "multipart/form-data; boundary=x") == form


@pytest.mark.parametrize(
    ("result", "status", "body", "kind"),
    [
        ("hello", 200, b"hello", "application/json"),
        ({"a": [1, "ü"]}, 200, '{"a":[1,"ü"]}'.encode(), "application/json"),
        ([1, 2], 200, b"[1,2]", "application/json"),
        (1.5, 200, b"1.5", "application/json"),
        (True, 200, b"true", "application/json"),
        ({"statusCode": 418, "body": "tea", "headers": {"Content-Type": "text/tea"}}, 418, b"tea", "text/tea"),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, 200, b"\x00\xff", "application/json"),
        ({"statusCode": 204}, 204, b"", None),
        ({"statusCode": 304}, 304, b"", None),
        ({"statusCode": "no"}, 502, b"Internal Server Error", "application/json"),
        ({"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, 502, b"Internal Server Error", "application/json"),
    ],
)
def test_answers(url, http, result, status, body, kind):
    answer = http.post(url, json=result)
    assert (answer.status_code, answer.content) == (status, body)
    if kind is not None:
        assert answer.headers["content-type"] == kind


def test_a_request_for_the_head_alone(url, http):
    answer = http.head(url)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 100


def test_cookies_of_an_answer(url, http):
    answer = http.post(url, json={"statusCode": 200, "cookies": ["a=1", "b=2; Secure"], "headers": {"x-a": "b"}})
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2; Secure"]
    assert answer.headers["x-a"] == "b"


def test_failures(aws, http):
    aws.make("broken-web", "breaks")
    url = aws.create_function_url_config(FunctionName="broken-web", AuthType="NONE")["FunctionUrl"]
    answer = http.get(url)
    assert (answer.status_code, answer.content) == (502, b"Internal Server Error")
    aws.put_function_concurrency(FunctionName="broken-web", ReservedConcurrentExecutions=0)
    assert http.get(url).status_code == 429
    aws.delete_function(FunctionName="broken-web")
    answer = http.get(url)
    assert (answer.status_code, answer.json()) == (403, {"Message": None})
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"


def test_by_its_host_as_on_aws(aws, url, http):
    id_ = url.rstrip("/").rpartition("/")[2]
    host = {"host": f"{id_}.lambda-url.us-east-1.on.aws"}
    event = http.get(f"{aws.served.url}/2015-03-31/functions", headers=host).json()
    assert event["rawPath"] == "/2015-03-31/functions", "all paths are the function's there"
    answer = http.get(aws.served.url, headers={"host": "nobody.lambda-url.us-east-1.on.aws"})
    assert (answer.status_code, answer.json()) == (403, {"Message": None})


def test_a_body_that_is_too_large(url, http):
    assert http.post(url, content=b"x" * (6 * 1024 * 1024 + 1)).status_code == 413


def test_an_alias_has_a_url_of_its_own(aws, http):
    aws.make("two-urls", "tells", word="one", Publish=True)
    aws.create_alias(FunctionName="two-urls", Name="live", FunctionVersion="1")
    url = aws.create_function_url_config(FunctionName="two-urls", Qualifier="live", AuthType="NONE")["FunctionUrl"]
    aws.update_function_code(FunctionName="two-urls", ZipFile=zipped(made=aws.source.replace('"first"', '"two"')))
    seen = http.get(url).json()
    assert (seen["word"], seen["version"], seen["arn"]) == ("one", "1", f"{ARN}two-urls:live")


def test_browsers_of_other_origins(aws, http):
    aws.make("browsed", "answers")
    cors = {
        "AllowOrigins": ["https://one.test"], "AllowMethods": ["GET"], "AllowHeaders": ["x-a"],
        "ExposeHeaders": ["x-b"], "MaxAge": 60, "AllowCredentials": True,
    }  # fmt: skip
    url = aws.create_function_url_config(FunctionName="browsed", AuthType="NONE", Cors=cors)["FunctionUrl"]
    asks = {"origin": "https://one.test", "access-control-request-method": "GET"}
    answer = http.options(url, headers=asks)
    assert (answer.status_code, answer.content) == (200, b"")
    allowed = {
        "access-control-allow-origin": "https://one.test", "access-control-allow-methods": "GET",
        "access-control-allow-headers": "x-a", "access-control-max-age": "60",
        "access-control-allow-credentials": "true",
    }  # fmt: skip
    assert {name: answer.headers[name] for name in allowed} == allowed
    assert "access-control-allow-origin" not in http.options(url, headers=asks | {"origin": "https://two.test"}).headers
    answer = http.get(url, headers={"origin": "https://one.test"})
    assert answer.headers["access-control-allow-origin"] == "https://one.test"
    assert answer.headers["access-control-expose-headers"] == "x-b"
    assert "access-control-allow-origin" not in http.get(url, headers={"origin": "https://two.test"}).headers


def test_a_url_that_asks_for_a_signature(aws, http):
    aws.make("signed", "answers")
    url = aws.create_function_url_config(FunctionName="signed", AuthType="AWS_IAM")["FunctionUrl"]
    answer = http.get(url)
    assert (answer.status_code, answer.json()) == (403, {"Message": "Forbidden"})
    scope = "AKIDEXAMPLE/20260101/us-east-1/lambda/aws4_request"
    header = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    context = http.get(url, headers={"authorization": header}).json()["requestContext"]
    assert (context["accountId"], context["authorizer"]["iam"]["accessKey"]) == ("000000000000", "AKIDEXAMPLE")


def test_a_response_with_a_prelude(aws, http):
    """What a runtime that streams answers: status and headers as JSON, eight null bytes, and the body."""
    script = """#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
nulls='\\0\\0\\0\\0\\0\\0\\0\\0'
while :; do
  id=$(curl -sS -D - -o /dev/null "$api/next" | sed -n 's/^lambda-runtime-aws-request-id: *\\([^\\r]*\\).*/\\1/ip')
  printf '{"statusCode":201,"headers":{"x-a":"b","content-type":"text/tea"},"cookies":["c=1"]}%btea' "$nulls" |
    curl -sS -o /dev/null -H 'Content-Type: application/vnd.awslambda.http-integration-response' \\
      --data-binary @- "$api/$id/response"
done
"""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        program = zipfile.ZipInfo("bootstrap")
        program.external_attr = (stat.S_IFREG | 0o755) << 16
        archive.writestr(program, script)
    aws.make("streams", Runtime="provided.al2023", Code={"ZipFile": buffer.getvalue()})
    url = aws.create_function_url_config(FunctionName="streams", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    answer = http.get(url["FunctionUrl"])
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (201, "tea", "text/tea")
    assert (answer.headers["x-a"], answer.headers["set-cookie"]) == ("b", "c=1")


def test_an_answer_that_is_json_stays_as_it_is(url, http):
    assert json.loads(http.post(url, json={"statusCode": 200, "body": '{"a": 1}'}).content) == {"a": 1}
