"""The variables of an execution environment, as Lambda sets them."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fnframe.provider import Start

    from .names import Account
    from .spec import Spec

ACCOUNT = "FNFRAME_LAMBDA_ACCOUNT"
"""How the inside learns the account; it is not passed on to handlers."""

_RUNTIME = re.compile(r"([a-z]+)\.?([a-z]*\d[\w.]*)?")

JSON_LEVEL = "INFO"
"""From which level on a function logs whose log format is JSON, unless it says otherwise."""


def of_account(account: Account) -> dict[str, str]:
    """What the environments of all functions that the API made share."""
    return {"AWS_REGION": account.region, "AWS_DEFAULT_REGION": account.region, ACCOUNT: account.id}


def of_template(spec: Spec, account: Account, task_root: str) -> dict[str, str]:
    """What all environments of one bundle share, set before anything is imported."""
    return {
        **of_account(account),
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{_runtime(spec)}",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        **_xray_daemon(),
        "LAMBDA_RUNTIME_DIR": str(Path(__file__).parent / "inside"),
        "LAMBDA_TASK_ROOT": task_root,
        "PWD": task_root,
        "TZ": ":UTC",
        "LANG": "en_US.UTF-8",
        "LC_CTYPE": "C.UTF-8",
    }


def of_environment(start: Start, spec: Spec) -> dict[str, str]:
    """What belongs to one function and one environment."""
    function = start.function
    name = function_name(function.name)
    stream = start.environment_id.replace("-", "")
    variables = {
        "_HANDLER": spec.handler,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{dt.datetime.now(dt.UTC):%Y/%m/%d}/[{spec.version}]{stream}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": (
            "provisioned-concurrency" if function.provisioned_concurrency else "on-demand"
        ),
    }
    if spec.log_format == "JSON":
        variables |= {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": JSON_LEVEL}
    if spec.log_level:
        variables["AWS_LAMBDA_LOG_LEVEL"] = spec.log_level
    return variables


def function_name(served: str) -> str:
    """A function's own name; what is served for one of its versions bears that behind a `@`."""
    return served.partition("@")[0]


def qualifier(served: str) -> str:
    """The version or the alias that it is served for; empty for a function's own name. An alias with weights is served
    a second time, for its other version: with a `+`."""
    return served.partition("@")[2].removesuffix("+")


def _xray_daemon() -> dict[str, str]:
    """Where traces go: to this machine's daemon, or to nobody where it has none."""
    address = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000")
    host, _, port = address.rpartition(":")
    return {
        "AWS_XRAY_DAEMON_ADDRESS": address, "_AWS_XRAY_DAEMON_ADDRESS": host, "_AWS_XRAY_DAEMON_PORT": port,
    }  # fmt: skip


def runtime_version(spec: Spec) -> str:
    """A runtime as the log names it, such as `python:3.13.v5`: with the build of the interpreter that runs it here."""
    named = _RUNTIME.fullmatch(_runtime(spec))
    assert named is not None
    _, _, build = platform.python_version_tuple()
    return ":".join(filter(None, named.groups())) + f".v{build}"


def runtime_arn(account: Account, runtime: str) -> str:
    """Which build of a runtime it is: here, that of the interpreter."""
    build = hashlib.sha256(f"{runtime} {platform.python_version()}".encode()).hexdigest()
    return f"arn:aws:lambda:{account.region}::runtime:{build}"


def _runtime(spec: Spec) -> str:
    if spec.runtime != "python":
        return spec.runtime
    major, minor, _ = platform.python_version_tuple()
    return f"python{major}.{minor}"
