"""The public names: a list that is compared with reality, and what importing them costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest

import fnframe
from fnframe import errors

FILES_THAT_RE_EXPORT = [
    "fnframe", "fnframe_billing", "fnframe_http", "fnframe_files", "fnframe_cron", "fnframe_lambda", "fnframe_queue",
    "fnframe_sqlite", "fnframe_stream", "fnframe.testing",
]  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process has loaded after the statement."""
    probe = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True, timeout=30)
    return set(json.loads(done.stdout))


def heavy(modules: set[str]) -> set[str]:
    """Of these modules, those that a worker must not pay for."""
    names = {
        "anyio", "apsw", "asyncio", "attrs", "concurrent.futures", "cyclopts", "httptools", "multiprocessing", "pluggy",
        "pydantic", "starlette", "trio", "uvicorn", "watchfiles",
    }  # fmt: skip
    return names & modules


def imported_for_types(module: types.ModuleType) -> dict[str, str]:
    """Name and module of what `if TYPE_CHECKING:` imports: what type checkers see."""
    tree = ast.parse(Path(module.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("package", FILES_THAT_RE_EXPORT)
def test_the_list_the_homes_and_what_type_checkers_see_are_the_same(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == set(module._HOMES)
    assert len(set(module.__all__)) == len(module.__all__)
    assert imported_for_types(module) == module._HOMES


@pytest.mark.parametrize("package", FILES_THAT_RE_EXPORT)
def test_each_name_can_be_imported_from_where_it_is_said_to_be(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        home = __import__(f"{package}.{module._HOMES[name]}", fromlist=[name])
        assert getattr(module, name) is getattr(home, name)
        if inspect.isclass(getattr(home, name)):
            assert getattr(home, name).__module__ == home.__name__  # Made there, not merely passed on.


@pytest.mark.parametrize("package", FILES_THAT_RE_EXPORT)
def test_a_star_takes_the_list(package):
    namespace: dict[str, object] = {}
    exec(f"from {package} import *", namespace)  # noqa: S102  the statement under test
    assert set(namespace) - {"__builtins__"} == set(importlib.import_module(package).__all__)


@pytest.mark.parametrize("package", FILES_THAT_RE_EXPORT)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        _ = importlib.import_module(package).Nothing
    assert not hasattr(importlib.import_module(package), "_nothing")


def test_every_error_that_is_raised_is_public():
    raised = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__
    }
    assert raised <= set(fnframe.__all__)


def test_every_error_has_one_base():
    for name in fnframe.__all__:
        value = getattr(fnframe, name)
        if inspect.isclass(value) and issubclass(value, Exception) and name != "InvalidEvent":
            assert issubclass(value, fnframe.FnframeError), name


def test_what_crosses_processes_is_frozen():
    for name in ("Event", "Failure", "Function", "Limits", "Manifest", "Report", "Success", "Trigger"):
        value = getattr(fnframe, name)
        assert issubclass(value, msgspec.Struct)
        assert value.__struct_config__.frozen, name


def test_the_package_itself_is_lazy():
    modules = loaded_by("import fnframe")
    assert heavy(modules) == set()
    assert {name for name in modules if name.startswith("fnframe.")} == set()
    assert not {"msgspec", "inspect", "dataclasses"} & modules


@pytest.mark.parametrize("home", sorted(set(fnframe._HOMES.values()) - {"hookspecs"}))
def test_a_name_of_the_contract_costs_no_event_loop_and_no_plugin_manager(home):
    names = ", ".join(name for name, module in fnframe._HOMES.items() if module == home)
    assert heavy(loaded_by(f"from fnframe import {names}")) == set()


@pytest.mark.parametrize(
    "statement",
    [
        "import fnframe_http",
        "import fnframe_files",
        "import fnframe_sqlite",
        "import fnframe_http.trigger; fnframe_http.trigger.Http('GET /x/{n:int}').describe()",
        "import fnframe_files.trigger; fnframe_files.trigger.Files('uploads', 'a/**/*.jpg').describe()",
        "from fnframe_http import Http, Request, Response",
        "from fnframe_files import Files, ObjectCreated, ObjectRemoved",
    ],
)
def test_a_triggers_module_brings_only_the_contract(statement):
    modules = loaded_by(statement)
    assert heavy(modules) == set()
    behind = ("cli", "dispatch", "engine", "environment", "runtime", "testing")
    assert not {name for name in modules if name.startswith(tuple(f"fnframe.{part}" for part in behind))}


def test_declaring_a_whole_app_costs_no_event_loop():
    """A plain handler's template and worker pay for what the app names, and no more."""
    source = """
from fnframe import App, Context, Event
from fnframe_files import Files, ObjectCreated
from fnframe_http import Http, Request
app = App("x")

@app.function(Http("GET /x"), memory=256)
def one(request: Request, context: Context): ...

@app.function(Files("in"))
async def two(event: ObjectCreated): ...

app.manifest()
"""
    assert heavy(loaded_by(source)) == set()
