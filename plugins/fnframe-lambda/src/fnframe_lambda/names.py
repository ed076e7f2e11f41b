"""How Lambda names a function: by name, by account and name, or by its whole ARN, each with or without a qualifier."""

from __future__ import annotations

import re
from typing import NamedTuple

LATEST = "$LATEST"


class Account(NamedTuple):
    """Where functions are said to be."""

    region: str
    id: str

    def function_arn(self, name: str, qualifier: str | None = None) -> str:
        """`arn:aws:lambda:REGION:ACCOUNT:function:NAME`, and the qualifier where there is one."""
        arn = f"arn:aws:lambda:{self.region}:{self.id}:function:{name}"
        return f"{arn}:{qualifier}" if qualifier else arn


NAME = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?"
    r"(?:(?:eusc-)?[a-z]{2}(?:(?:-gov)|(?:-iso(?:[a-z]?)))?-[a-z]+-\d{1}:)?"
    r"(?:\d{12}:)?(?:function:)?"
    r"(?P<name>[a-zA-Z0-9-_.]+)"
    r"(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_$]{1,128}")
