"""`fnframe lambda`."""

import os
import sys
from typing import Annotated

from cyclopts import App, Parameter

app = App(name="lambda", help="Serve functions to clients that were written for AWS Lambda.")


@app.command
def serve(
    target: Annotated[str, Parameter(help="module:app, path/to/app.py, or a folder that holds app.py.")],
    /,
    *,
    port: Annotated[int, Parameter(help="The port of the Invoke API; 0 for one that is free.")] = 9001,
    host: Annotated[str, Parameter(help="The address to listen at.")] = "127.0.0.1",
    set_: Annotated[
        tuple[str, ...],
        Parameter(name="--set", negative=(), show_default=False, help="A setting, as for `fnframe run`."),
    ] = (),
) -> int:
    """Serve an app's functions by Lambda's Invoke API.

    It is `fnframe run` with the settings `lambda.port` and `lambda.host`, so
    its triggers run too. Point a client at it:

    aws lambda invoke --endpoint-url http://127.0.0.1:9001 ...
    """
    command = [sys.executable, "-m", "fnframe.cli", "run", target]
    for setting in (f"lambda.port={port}", f"lambda.host={host}", *set_):
        command += ["--set", setting]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # In this process: whoever ends this command ends the server.
