"""Arguments that several commands share."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from .errors import UsageError

Target = Annotated[str, Parameter(help="module:app, path/to/app.py, or a folder that holds app.py.")]

Assignments = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative=(),
        help="A setting as in fnframe.toml, for this run: --set grace=30 --set http.port=9000.",
    ),
]

Flag = Annotated[bool, Parameter(negative=())]


def settings_of(assignments: Sequence[str], **named: object) -> dict[str, object]:
    """The settings that `--set` and options of their own (None: not given) ask for.

    Raises `UsageError` for an assignment that is none.
    """
    settings: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not key or not equals:
            raise UsageError(f"expected --set KEY=VALUE, found {assignment!r}")
        settings[key] = value
    settings.update({key.replace("_", ".", 1): value for key, value in named.items() if value is not None})
    return settings
