"""Signatures, made by botocore and verified by the server, where it has keys."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import boto3
import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from fnframe_lambda import endpoint
from lambda_answers import check_answers
from lambda_client import ROLE, call, refused, zipped

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
PATH = "/2015-03-31/functions/native/invocations"


@pytest.fixture(scope="module")
def served(kit, tmp_path_factory):
    folder = Path(shutil.copytree(kit.APPS / "made", tmp_path_factory.mktemp("signed") / "app"))
    (folder / "fnframe.toml").write_text(f'[lambda.keys]\n{KEY} = "{SECRET}"\nother = "x"\n')
    with endpoint(str(folder)) as served:
        yield served


def client(served, secret=SECRET, key=KEY, region="us-east-1"):
    made = boto3.client(
        "lambda", endpoint_url=served.url, region_name=region, aws_access_key_id=key, aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )  # fmt: skip
    check_answers(made)
    return made


def make(aws, name):
    code = {"ZipFile": zipped(m="def f(e, c): return e")}
    return aws.create_function(FunctionName=name, Runtime="python3.13", Role=ROLE, Handler="m.f", Code=code)


def test_a_good_signature(served):
    aws = client(served)
    assert call(aws, "native", {"a": "ü"})[1] == {"native": {"a": "ü"}}
    assert call(aws, "arn:aws:lambda:us-east-1:000000000000:function:native", 1)[1] == {"native": 1}
    made = make(aws, "made")
    aws.tag_resource(Resource=made["FunctionArn"], Tags={"a b": "c/d"})
    aws.untag_resource(Resource=made["FunctionArn"], TagKeys=["a b", "ü", "~"])  # Escapes in path and query.
    assert aws.list_functions(MaxItems=1, Marker=aws.list_functions(MaxItems=1)["NextMarker"])["Functions"]


def test_what_is_not_signed_right(served):
    with refused("InvalidSignatureException", 403) as caught:
        call(client(served, "wrong"), "native", 1)
    assert "The request signature we calculated does not match" in str(caught.value)
    with refused("UnrecognizedClientException", 403, "The security token included in the request is invalid."):
        call(client(served, key="nobody"), "native", 1)
    with refused("InvalidSignatureException", 403):
        call(client(served, region="eu-west-1"), "native", 1)


def signed(served, body=b"1", path=PATH, method="POST", headers=(), service="lambda"):
    request = AWSRequest(method, served.url + path, dict(headers), body)
    SigV4Auth(Credentials(KEY, SECRET), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


def asked(served, headers, body=b"1", path=PATH, method="POST"):
    answer = httpx2.request(method, served.url + path, content=body, headers=headers, trust_env=False)
    return answer.status_code, answer.headers.get("x-amzn-errortype"), answer


def test_what_was_signed_is_what_came(served):
    headers = signed(served, headers=[("x-amz-log-type", "Tail"), ("x-spaced", "a   b")])
    assert asked(served, headers)[0] == 200
    wrong = 403, "InvalidSignatureException"
    assert asked(served, headers, body=b"2")[:2] == wrong
    assert asked(served, headers, path=PATH + "?Qualifier=1")[:2] == wrong
    assert asked(served, headers, path=PATH.replace("native", "declared"))[:2] == wrong
    assert asked(served, headers | {"x-amz-log-type": "None"})[:2] == wrong
    assert asked(served, headers | {"not-signed": "x"})[0] == 200
    assert asked(served, signed(served, service="s3"))[:2] == wrong


def test_a_signature_of_another_day(served, monkeypatch):
    headers = signed(served)
    early = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: early.replace(tzinfo=None))
    old = signed(served)
    assert old["X-Amz-Date"] != headers["X-Amz-Date"]
    status, code, answer = asked(served, old)
    assert (status, code) == (403, "InvalidSignatureException")
    assert answer.json()["message"].startswith("Signature expired: ")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"Authorization": ""}, "MissingAuthenticationTokenException"),
        ({"Authorization": "Basic eA=="}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=x"}, "IncompleteSignatureException"),
        ({"X-Amz-Date": "yesterday"}, "IncompleteSignatureException"),
        ({"X-Amz-Date": "20269999T999999Z"}, "InvalidSignatureException"),
    ],
)
def test_malformed_headers(served, changed, code):
    assert asked(served, signed(served) | changed)[:2] == (403, code)


def test_all_operations_ask_for_one_and_urls_that_do(served):
    aws = client(served)
    for path in ("/2015-03-31/functions", "/2016-08-19/account-settings", "/nothing"):
        assert asked(served, {}, b"", path, "GET")[:2] == (403, "MissingAuthenticationTokenException")
    assert not any(SECRET in line for line in served.log)
    make(aws, "at-url")
    name = {"FunctionName": "at-url"}
    url = aws.create_function_url_config(**name, AuthType="NONE")["FunctionUrl"].removeprefix(served.url)
    assert asked(served, {}, b"", url, "GET")[0] == 200
    aws.update_function_url_config(**name, AuthType="AWS_IAM")
    assert asked(served, {}, b"", url, "GET")[0] == 403
    assert asked(served, signed(served, b"", url, "GET"), b"", url, "GET")[0] == 200
    assert asked(served, signed(served, b"", url, "GET"), b"other", url, "GET")[0] == 403
