"""What Lambda knows of a function beyond fnframe's configuration: what its environments carry."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from fnframe import Function
from fnframe.function import EnvironmentSpec

KIND = "lambda"

EventFormat = Literal["aws", "data", "aws:sns", "aws:dynamodb", "aws:eventbridge"]
EVENT_FORMATS = get_args(EventFormat)

HANDLER = re.compile(r"[^\s]{1,128}")
PYTHON = re.compile(r"python(3\.\d{1,2})?")
MOST_VARIABLES = 4096
"""Bytes of a function's variables, all together."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is a directory or a zip, relative to the app's folder; empty for what lies beside the app itself.
    `command` starts what is not Python: an executable that speaks the Runtime API.

    `event_format` says how a trigger's event looks to the handler: as AWS sends it, or its data alone. `root` is where
    the code of a function lies that was made by the API, whose environments enter it and set `variables` themselves.
    """

    handler: str = ""
    runtime: str = "python"
    code: str = ""
    command: tuple[str, ...] = ()
    event_format: EventFormat = "aws"
    log_format: Literal["Text", "JSON"] = "Text"
    log_level: str = ""
    log_group: str = ""
    version: str = "$LATEST"
    root: str = ""
    variables: dict[str, str] = {}

    @property
    def is_python(self) -> bool:
        """Whether the handler runs in the environment's own process."""
        return PYTHON.fullmatch(self.runtime) is not None

    def environment(self) -> EnvironmentSpec:
        """As a function carries it."""
        what = f"the Lambda handler {self.handler!r}" if self.handler else f"a Lambda function of {self.runtime}"
        return EnvironmentSpec(KIND, msgspec.json.encode(self), what)


def spec_of(function: Function) -> Spec | None:
    """What a function's environment says; None for a function that was not written for Lambda."""
    if function.environment is None or function.environment.kind != KIND:
        return None
    return msgspec.json.decode(function.environment.fields, type=Spec)
