"""Commands that plugins bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from fnframe.cli.contributed import BROUGHT_BY, contributed
from fnframe.errors import PLUGINS, ImportFailed

PLUGIN = """
from fnframe import hookimpl
from fnframe.hookspecs import Command

@hookimpl
def fnframe_commands():
    {body}
"""

COMMAND = """
import sys
from cyclopts import App
from fnframe import ConfigurationError

app = App(name="greet")

@app.default
def greet(name: str) -> int:
    \"\"\"Greet somebody.\"\"\"
    if name == "nobody":
        raise ConfigurationError("there is nobody to greet")
    print("hello", name)
    return 1 if name == "enemy" else 0
"""


@pytest.fixture
def install(tmp_path):
    """Distributions with plugins, as an installer leaves them; the environment in which they are found."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "greeting.py").write_text(COMMAND)

    def install(*bodies):
        for number, body in enumerate(bodies):
            (site / f"contributor_{number}.py").write_text(PLUGIN.format(body=body))
            info = site / f"contributor_{number}-1.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: contributor-{number}\nVersion: 1\n")
            (info / "entry_points.txt").write_text(f"[fnframe]\ndemo{number} = contributor_{number}\n")
        return {"PYTHONPATH": str(site)}

    return install


GREET = 'return {"greet": Command("greeting:app", "Greet somebody.")}'


def test_a_command_runs_and_is_listed(fnframe, install):
    environ = install(GREET)
    assert "\n  greet      Greet somebody.\n" in fnframe("--help", environ=environ).stdout
    done = fnframe("greet", "friend", environ=environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello friend\n", "")
    assert fnframe("greet", "enemy", environ=environ).returncode == 1


def test_what_it_raises_is_told_as_everything_is(fnframe, install):
    environ = install(GREET)
    done = fnframe("greet", "nobody", environ=environ)
    assert (done.returncode, done.stderr) == (2, "error: there is nobody to greet\n")
    done = fnframe("greet", environ=environ)
    assert done.returncode == 2
    assert "`fnframe greet --help` tells more" in done.stderr
    assert 'Did you mean "greet"?' in fnframe("gret", environ=environ).stderr


def test_a_name_that_is_taken_is_refused_and_a_broken_plugin_takes_nothing_along(fnframe, install):
    environ = install('return {"run": Command("greeting:app", "Mine.")}', GREET, GREET, "return 1 / 0", "return None")
    done = fnframe("greet", "friend", environ=environ)
    assert (done.returncode, done.stdout) == (0, "hello friend\n")
    told = {line.removeprefix("fnframe: plugin demo") for line in done.stderr.splitlines()}
    assert told == {
        "0 (contributor-0 1): fnframe_commands brings 'run', which is there already; it is not used",
        "1 (contributor-1 1): fnframe_commands brings 'greet', which is there already; it is not used",
        "3 (contributor-3 1): fnframe_commands raised ZeroDivisionError: division by zero",
    }


def test_a_command_whose_plugin_cannot_be_used_is_told_with_what_brings_it(fnframe, install, tmp_path):
    environ = install()
    (tmp_path / "site" / "fnframe_billing.py").write_text("raise ImportError('out of order')\n")
    done = fnframe("bill", environ=environ)
    assert done.returncode == 2
    assert "error: `fnframe bill` comes with fnframe-billing, which is not installed, or cannot be used" in done.stderr


def test_it_is_known_what_brings_each_command():
    assert set(BROUGHT_BY) == set(contributed())
    assert {f"fnframe-{name}" for name in PLUGINS} >= set(BROUGHT_BY.values())


def test_plugins_that_an_app_imports_and_that_are_not_there_are_told(fnframe, write_app):
    missing = ImportFailed("ModuleNotFoundError", "No module named 'fnframe_cron'", where="app.py:1")
    assert str(missing) == "app.py:1: ModuleNotFoundError: No module named 'fnframe_cron'; install fnframe-cron"
    own = fnframe("functions", write_app("import fnframe_plugins\n"))
    assert "No module named 'fnframe_plugins'\n" in own.stderr


def test_all_of_fnframes_own_plugins_are_known():
    folders = (Path(__file__).parents[2] / "plugins").glob("fnframe-*")
    assert sorted(folder.name for folder in folders) == [f"fnframe-{name}" for name in PLUGINS]
