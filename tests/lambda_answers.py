"""Whether answers of Lambda's API are what botocore's model of it says, member by member.

botocore's own parser passes over what it does not know, and over what is missing: this does not.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

RECORDED = {
    "FunctionConfiguration": {
        "Architectures", "CodeSha256", "CodeSize", "Description", "EphemeralStorage", "FunctionArn", "FunctionName",
        "Handler", "LastModified", "LoggingConfig", "MemorySize", "PackageType", "RevisionId", "Role", "Runtime",
        "RuntimeVersionConfig", "SnapStart", "Timeout", "TracingConfig", "Version",
    },
    "AliasConfiguration": {"AliasArn", "Description", "FunctionVersion", "Name", "RevisionId"},
    "EventSourceMappingConfiguration": {
        "BatchSize", "EventSourceArn", "EventSourceMappingArn", "FunctionArn", "FunctionResponseTypes", "LastModified",
        "MaximumBatchingWindowInSeconds", "State", "StateTransitionReason", "UUID",
    },
    "FunctionEventInvokeConfig": {"DestinationConfig", "FunctionArn", "LastModified"},
    "GetFunctionResponse": {"Code", "Configuration"},
    "GetAccountSettingsResponse": {"AccountLimit", "AccountUsage"},
    "ListTagsResponse": {"Tags"},
}  # fmt: skip
"""Members that AWS always sends, beside those that the model requires."""

OTHER_STATUS = {"DeleteFunction": 204}
"""What AWS sends, where the model says otherwise."""

JAVA = {r"\p{L}": r"\w", r"\p{Z}": r"\s", r"\p{N}": r"\d"}
"""Classes of characters in the model's patterns that Python's have no word for."""
PLAIN = {"string": str, "integer": int, "long": int, "boolean": bool, "double": (int, float), "timestamp": (int, float)}


def check_answers(client):
    """Have each answer checked that this client gets; the set of the operations that were."""
    checked = set()

    def check(operation_model, response_dict, **_):
        status = response_dict["status_code"]
        if status < HTTPStatus.MULTIPLE_CHOICES:
            check_answer(operation_model, status, response_dict["body"])
            checked.add(operation_model.name)
        else:
            check_error(operation_model, status, response_dict)

    client.meta.events.register("before-parse.lambda", check)
    return checked


def check_answer(operation, status, body):
    """The status is the operation's, and the body is its output, without a member that is unknown or missing."""
    expected = OTHER_STATUS.get(operation.name) or operation.http["responseCode"]
    if operation.name.startswith("Invoke"):  # Its status is a member.
        return
    assert status == expected, f"{operation.name}: {status}"
    shape = operation.output_shape
    if status == HTTPStatus.NO_CONTENT or shape is None:
        assert body == b"", f"{operation.name}: {body}"
        return
    check_value(json.loads(body), shape, operation.name)


def check_error(operation, status, response):
    """The error is one of the operation's, and has its status."""
    code = response["headers"]["x-amzn-errortype"]
    shapes = {shape.name: shape for shape in operation.error_shapes}
    body = json.loads(response["body"])
    assert body["Type"] == ("User" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Service")
    assert body.get("message") or body.get("Message")
    # What is of the protocol and not of the operation is in no model.
    if code not in shapes:
        assert code in OF_THE_PROTOCOL, f"{operation.name}: {code}"
    else:
        assert shapes[code].metadata["error"]["httpStatusCode"] == status


OF_THE_PROTOCOL = {
    "ValidationException", "RequestEntityTooLargeException", "UnknownOperationException", "SerializationException",
    "IncompleteSignatureException", "InvalidSignatureException", "MissingAuthenticationTokenException",
    "UnrecognizedClientException", "InvalidRequestContentException",
}  # fmt: skip


def check_value(value, shape, place):
    if shape.type_name == "structure":
        assert isinstance(value, dict), f"{place}: {value!r}"
        names = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        missing = {*shape.required_members, *RECORDED.get(shape.name, ())} - value.keys()
        assert not missing, f"{place}: without {missing}"
        assert not value.keys() - names.keys(), f"{place}: has {value.keys() - names.keys()}"
        for name, member in value.items():
            check_value(member, names[name], f"{place}.{name}")
    elif shape.type_name == "list":
        assert isinstance(value, list), f"{place}: {value!r}"
        for number, member in enumerate(value):
            check_value(member, shape.member, f"{place}[{number}]")
    elif shape.type_name == "map":
        assert isinstance(value, dict), f"{place}: {value!r}"
        for name, member in value.items():
            check_value(name, shape.key, f"{place} key")
            check_value(member, shape.value, f"{place}.{name}")
    else:
        check_plain(value, shape, place)


def check_plain(value, shape, place):
    assert isinstance(value, PLAIN[shape.type_name]), f"{place}: {value!r} is no {shape.type_name}"
    assert isinstance(value, bool) == (shape.type_name == "boolean"), f"{place}: {value!r}"
    about = shape.metadata
    if "enum" in about:
        assert value in about["enum"], f"{place}: {value!r} is none of {about['enum']}"
    measure = len(value) if isinstance(value, str) else value
    if not isinstance(value, bool):
        assert about.get("min", measure) <= measure <= about.get("max", measure), f"{place}: {value!r}"
    if isinstance(value, str) and "pattern" in about:
        pattern = about["pattern"]
        for java, python in JAVA.items():
            pattern = pattern.replace(java, python)
        assert re.fullmatch(pattern, value), f"{place}: {value!r} is not {about['pattern']}"
