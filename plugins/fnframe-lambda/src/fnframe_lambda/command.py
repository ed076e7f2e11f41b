"""Which executable runs a function that is not Python: its own, a bootstrap, or Node with Lambda's client for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fnframe.provider import Problem

if TYPE_CHECKING:
    from .spec import Spec

NODE_CLIENT = Path("node_modules", "aws-lambda-ric", "bin", "index.mjs")


def command_of(spec: Spec, directory: str) -> list[str]:
    """The command that starts the runtime. Raises `Problem` in Lambda's words where there is none."""
    if spec.command:
        return list(spec.command)
    if spec.runtime.startswith("nodejs"):
        return ["node", str(node_client(directory)), spec.handler]
    bootstrap = Path(directory, "bootstrap")
    if not bootstrap.is_file():
        problem = f"Couldn't find valid bootstrap(s): [{bootstrap}]"
        raise Problem("Runtime.InvalidEntrypoint", problem)
    return [str(bootstrap)]


def node_client(directory: str) -> Path:
    """Lambda's runtime client for Node, as npm installs it. Raises `Problem` where it is not installed."""
    searched = [Path(directory), *Path(directory).parents]
    searched += [Path(entry).parent for entry in os.environ.get("NODE_PATH", "").split(os.pathsep) if entry]
    for folder in searched:
        if (folder / NODE_CLIENT).is_file():
            return folder / NODE_CLIENT
    problem = (
        f"Lambda's client for Node is not installed: run `npm install aws-lambda-ric` in {directory}, or give the "
        "function a command=[...] that speaks the Runtime API"
    )
    raise Problem("Runtime.InvalidEntrypoint", problem)
