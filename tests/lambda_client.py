"""Lambda's clients, as the tests of the Lambda door use them."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import time
import zipfile

import pytest
from aws_lambda_powertools.utilities.data_classes.common import DictWrapper
from botocore.exceptions import ClientError
from lambda_answers import check_answers

ROLE = "arn:aws:iam::000000000000:role/any"


def zipped(**files):
    """An archive of Python modules."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


@contextlib.contextmanager
def refused(code, status, message=None, **members):
    """The call is refused with this error, as botocore reads it."""
    with pytest.raises(ClientError) as caught:
        yield caught
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    if message is not None:
        assert response["Error"]["Message"] == message
    for name, value in members.items():
        assert response[name] == value


def until(fact):
    """Wait for a fact, and return it."""
    end = time.monotonic() + 30
    while not (found := fact()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
    return found


def call(aws, function, payload=None, **options):
    """Invoke by boto3; the response, and the decoded payload."""
    if payload is not None:
        options["Payload"] = json.dumps(payload)
    response = aws.invoke(FunctionName=function, **options)
    body = response["Payload"].read()
    return response, json.loads(body) if body else None


def read(value, depth=0):
    """Read every property of a Powertools event class, and of what they return: each must be readable."""
    if isinstance(value, DictWrapper):
        for name, member in inspect.getmembers(type(value)):
            # What is nested in a message's body is another service's event.
            if isinstance(member, property) and not name.startswith(("_", "decoded_nested")):
                try:
                    read(getattr(value, name), depth + 1)
                except KeyError as error:
                    raise AssertionError(f"{type(value).__name__}.{name}: {error} is missing") from error
    elif inspect.isgenerator(value) or isinstance(value, list):
        for each in value:
            read(each, depth + 1)


class Aws:
    """A boto3 client whose answers are checked, of a server; what functions are made of is beside its app."""

    def __init__(self, served, folder):
        self.served = served
        self.folder = folder
        self.client = served.client()
        self.checked = check_answers(self.client)
        self.source = (folder / "made.py").read_text()

    def __getattr__(self, name):
        return getattr(self.client, name)

    def make(self, name, handler="tells", word="first", **options):
        """Create a function of the code of the tests, and wait until it says that it is active."""
        code = zipped(made=self.source.replace('"first"', repr(word)))
        described = {"Runtime": "python3.13", "Role": ROLE, "Handler": f"made.{handler}", "Code": {"ZipFile": code}}
        made = self.client.create_function(FunctionName=name, **described | options)
        self.client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0})
        return made
