"""The command line. `main` is its entry point; what is heavy is imported by the command that needs it."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMANDS = {
    "new": "Begin an app or a plugin, with its tests.",
    "dev": "Run an app while you write it: reloads, shows every invocation.",
    "run": "Run an app; with --until-idle handle all that is there, then end.",
    "invoke": "Run one function once and print what it returns.",
    "send": "Put a message into a queue, or a record into a stream.",
    "dlq": "Look at dead letters, let them begin anew, or forget them.",
    "functions": "List an app's functions with their triggers and limits.",
    "doctor": "Tell what is installed, what the machine offers, what is in effect.",
    "plugins": "List the plugins that were found, and why one is not used.",
}


def main() -> None:
    """Run the command line on `sys.argv` and exit: 0 for success, 1 if a function failed, 2 for usage."""
    try:
        sys.exit(_run(sys.argv[1:]))
    except KeyboardInterrupt:
        # Where it is heeded is imported last: until then Ctrl-C comes here.
        sys.exit(130)


def _run(arguments: list[str]) -> int:
    from importlib.util import find_spec

    from .errors import guarded
    from .standard_output import replace_missing

    replace_missing()
    if find_spec("cyclopts") is None:
        return _refused()
    # Cyclopts and rich take 300 ms to say this, which is what people ask for most.
    if not arguments or arguments in (["--help"], ["-h"]):
        return guarded(_overview)
    if arguments == ["--version"]:
        from importlib.metadata import version

        return guarded(partial(_told, version("fnframe")))
    from .commands import execute

    return execute(arguments)


def _told(text: str) -> int:
    from .standard_output import tell

    tell(text)
    return 0


def _overview() -> int:
    from .contributed import contributed

    return _told(overview({name: command.text for name, command in contributed().items()}))


def overview(contributed: Mapping[str, str]) -> str:
    """What `fnframe --help` prints; `contributed` are the plugins' commands, each with a line about it."""
    commands = "\n".join(f"  {name:<11}{text}" for name, text in {**COMMANDS, **contributed}.items())
    return (
        "Usage: fnframe COMMAND TARGET\n\n"
        "Functions with triggers, in isolated environments whose limits hold.\n"
        "TARGET is module:app, path/to/app.py, or a folder that holds app.py.\n\n"
        f"Commands:\n{commands}\n\n"
        "`fnframe COMMAND --help` tells more; `fnframe --version` tells the version."
    )


def _refused() -> int:
    print("the command line needs: pip install 'fnframe[cli]'", file=sys.stderr)
    return 2
