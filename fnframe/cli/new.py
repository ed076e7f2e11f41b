"""`fnframe new`: a small project, complete and tested, to begin with."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter

from ..errors import PLUGINS
from .errors import UsageError, shown
from .project import Project, check_name
from .standard_output import tell

HELP = """Begin an app or a plugin, with its tests."""

new = cyclopts.App(name="new", help=HELP, usage="Usage: fnframe new COMMAND NAME", help_format="plaintext")

Name = Annotated[str, Parameter(help="Its name: lower case letters, digits, - and _.")]
Where = Annotated[Path, Parameter(name="--in", help="The folder in which it is made.", show_default=False)]
Kind = Annotated[
    Literal["trigger", "engine", "observer"],
    Parameter(help="What it brings: events, a place where they wait, or an eye on every invocation."),
]


@new.command(usage="Usage: fnframe new app [OPTIONS] NAME")
def app(name: Name, /, *, in_: Where = Path()) -> int:
    """Make a folder with an app, its settings and its tests."""
    folder = in_ / name
    _make(Project("new-app", name), folder)
    tell(
        f"{shown(str(folder))}: an app, its settings and its tests\n\n"
        f"  cd {folder}\n  pytest          # its tests\n  fnframe dev .   # serves it, and reloads on change"
    )
    return 0


@new.command(usage="Usage: fnframe new plugin [OPTIONS] NAME")
def plugin(name: Name, /, *, kind: Kind, in_: Where = Path()) -> int:
    """Make a folder with a plugin as a distribution of its own, and its tests.

    A trigger and an engine are checked by the kits that fnframe's own pass.
    """
    name = name.removeprefix("fnframe-")
    if name in PLUGINS:
        raise UsageError(f"fnframe-{name} is one of fnframe's own plugins: give another name")
    folder = in_ / f"fnframe-{name}"
    _make(Project(f"new-{kind}", name), folder)
    tell(
        f"{shown(str(folder))}: the {kind} {name!r} as a distribution, and its tests\n\n"
        f"  cd {folder}\n  pip install -e . pytest trio\n  pytest            # its tests\n"
        "  fnframe plugins   # shows it"
    )
    return 0


def _make(project: Project, folder: Path) -> None:
    try:
        check_name(project.name)
    except ValueError as error:
        raise UsageError(str(error)) from None
    try:
        if folder.exists():
            raise UsageError(f"{folder} is there already: give another name, or remove it")
        project.write(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # The half of it that could be made.
        raise UsageError(f"{folder} cannot be made ({error.strerror}): name another place with --in") from None
