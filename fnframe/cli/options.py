"""Arguments that several commands share."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from cyclopts import Parameter

from .errors import UsageError

Target = Annotated[str, Parameter(help="module:app, path/to/app.py, or a folder that holds app.py.")]

Assignments = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative=(),
        show_default=False,
        help="A setting as in fnframe.toml, for this run: --set grace=30 --set http.port=9000.",
    ),
]

Host = Annotated[str | None, Parameter(help="The address for HTTP functions; loopback by default.")]


def _check_port(_: object, port: int | None) -> None:
    if port is not None and not 0 <= port <= 65_535:
        raise ValueError("Expected a port from 0 (one that is free) to 65535.")


Port = Annotated[
    int | None, Parameter(help="The port for HTTP functions; 0 for one that is free.", validator=_check_port)
]

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]


def settings_of(assignments: Sequence[str], named: Mapping[str, object] | None = None) -> dict[str, object]:
    """The settings that `--set` asks for, and those that have an option of their own (None: not given).

    Raises `UsageError` for an assignment that is none.
    """
    settings: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not key or not equals:
            raise UsageError(f"expected --set KEY=VALUE, found {assignment!r}")
        settings[key] = value
    settings.update({key: value for key, value in (named or {}).items() if value is not None})
    return settings
