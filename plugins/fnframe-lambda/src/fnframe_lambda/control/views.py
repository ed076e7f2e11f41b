"""How the API tells of functions and of event source mappings."""

from __future__ import annotations

import base64
import hashlib
import platform
from typing import TYPE_CHECKING, Any

import msgspec

from ..names import LATEST
from ..spec import spec_of
from ..variables import JSON_LEVEL, runtime_arn
from .arns import source_of

if TYPE_CHECKING:
    from fnframe import Function

    from ..names import Account
    from .records import Configuration, EventSource

CREATING = {"State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating"}
UPDATING = {"LastUpdateStatus": "InProgress"}
"""What a function says of itself while it is made, and changed: the answer to the call that did it. It is served when
the answer comes."""
ACTIVE = {"State": "Active", "LastUpdateStatus": "Successful"}
LISTED: dict[str, str] = {}
"""Lists tell of no state."""

ROLE = "role/fnframe"


def configuration(
    account: Account, name: str, of: Configuration, qualifier: str | None, state: dict[str, str]
) -> dict[str, Any]:
    """A version of a function, as it was asked for: `qualifier` is part of its ARN."""
    told: dict[str, Any] = {
        "FunctionName": name,
        "FunctionArn": account.function_arn(name, qualifier),
        "Runtime": of.runtime,
        "Role": of.role,
        "Handler": of.handler,
        "CodeSize": of.code_size,
        "Description": of.description,
        "Timeout": of.timeout,
        "MemorySize": of.memory,
        "LastModified": of.modified,
        "CodeSha256": of.code,
        "Version": of.version,
        "TracingConfig": {"Mode": of.tracing},
        "RevisionId": of.revision,
        "PackageType": "Zip",
        "Architectures": [of.architecture],
        "EphemeralStorage": {"Size": of.storage},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_arn(account, of.runtime)},
        "LoggingConfig": _logging(name, of),
    }
    if of.variables is not None:
        told["Environment"] = {"Variables": of.variables}
    return told | state


def declared(account: Account, function: Function, qualifier: str | None, state: dict[str, str]) -> dict[str, Any]:
    """A function of the app's own, as far as it has what Lambda's functions have."""
    spec = spec_of(function) if function.environment is not None else None
    fields = msgspec.msgpack.encode(function)
    digest = base64.b64encode(hashlib.sha256(fields).digest()).decode()
    major, minor, _ = platform.python_version_tuple()
    runtime = f"python{major}.{minor}" if spec is None or spec.runtime == "python" else spec.runtime
    told: dict[str, Any] = {
        "FunctionName": function.name,
        "FunctionArn": account.function_arn(function.name, qualifier),
        "Runtime": _known_runtime(runtime),
        "Role": f"arn:aws:iam::{account.id}:{ROLE}",
        "Handler": (spec.handler if spec is not None else "") or function.name,
        "CodeSize": 0,
        "Description": f"declared at {function.where}"[-256:],
        "Timeout": max(1, round(function.timeout)),
        "MemorySize": function.memory,
        "LastModified": "1970-01-01T00:00:00.000+0000",
        "CodeSha256": digest,
        "Version": LATEST,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": _uuid(fields),
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": function.ephemeral_storage},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_arn(account, runtime)},
        "LoggingConfig": {
            "LogFormat": spec.log_format if spec is not None else "Text",
            "LogGroup": f"/aws/lambda/{function.name}",
        },
    }
    if function.variables:
        told["Environment"] = {"Variables": function.variables}
    return told | state


def event_source(account: Account, mapping: EventSource, state: str = "") -> dict[str, Any]:
    """An event source mapping; `state` is what it is in while the answer to a change is written."""
    source = source_of(mapping.source)
    assert source is not None
    told: dict[str, Any] = {
        "UUID": mapping.uuid,
        "BatchSize": mapping.batch_size,
        "MaximumBatchingWindowInSeconds": mapping.window,
        "EventSourceArn": mapping.source,
        "FunctionArn": account.function_arn(mapping.function, mapping.qualifier),
        "LastModified": mapping.modified,
        "State": state or ("Enabled" if mapping.enabled else "Disabled"),
        "StateTransitionReason": "USER_INITIATED" if source.is_queue else "User action",
        "FunctionResponseTypes": mapping.responses,
        "EventSourceMappingArn": mapping.arn(account),
    }
    if mapping.filters:
        told["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in mapping.filters]}
    if mapping.concurrency is not None:
        told["ScalingConfig"] = {"MaximumConcurrency": mapping.concurrency}
    if source.is_queue:
        return told
    told |= {
        "StartingPosition": mapping.start,
        "ParallelizationFactor": mapping.lanes,
        "BisectBatchOnFunctionError": mapping.bisect,
        "MaximumRetryAttempts": mapping.retries,
        "MaximumRecordAgeInSeconds": mapping.maximum_age,
        "TumblingWindowInSeconds": mapping.tumbling_window,
        "DestinationConfig": {"OnFailure": {} if mapping.on_failure is None else {"Destination": mapping.on_failure}},
        "LastProcessingResult": "No records processed",
    }
    if mapping.start_at is not None:
        told["StartingPositionTimestamp"] = mapping.start_at
    return told


def _logging(name: str, of: Configuration) -> dict[str, str]:
    told = {"LogFormat": of.log_format, "LogGroup": of.log_group or f"/aws/lambda/{name}"}
    if of.log_format == "JSON":
        told["ApplicationLogLevel"] = of.application_log_level or JSON_LEVEL
        told["SystemLogLevel"] = of.system_log_level or "INFO"
    return told


def _known_runtime(runtime: str) -> str:
    """A runtime in Lambda's words, which all have a version."""
    return {"provided": "provided.al2023", "nodejs": "nodejs24.x"}.get(runtime, runtime)


def _uuid(fields: bytes) -> str:
    digest = hashlib.sha256(fields).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
