"""Plugins: found where they are installed, beside the app or given; checked, called, never silent."""

from __future__ import annotations

import itertools
import logging
import sys

import pytest

import fnframe
from fnframe import ConfigurationError, Trigger, hookimpl
from fnframe.runtime.plugins import load_plugins

_numbers = itertools.count()


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A distribution as an installer leaves it: a module and its dist-info on the import path."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def install(source, name="demo", value=None):
        module = f"plugin_module_{next(_numbers)}"
        (site / f"{module}.py").write_text(source)
        info = site / f"{module}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[fnframe]\n{name} = {value or module}\n")
        return module

    return install


@pytest.fixture
def beside(tmp_path):
    """Write fnframe_plugins.py beside an app."""

    def beside(source):
        (tmp_path / "fnframe_plugins.py").write_text(source)
        return tmp_path

    return beside


def found(plugins, name):
    return next(plugin for plugin in plugins.found if plugin.name == name)


GOOD = """
from fnframe import Trigger, hookimpl

class Bell(Trigger, frozen=True):
    pitch: int = 440

@hookimpl
def fnframe_register_triggers():
    return [Bell]
"""


def test_an_installed_plugin_is_loaded_and_described(install):
    module = install(GOOD)
    plugins = load_plugins()
    plugin = found(plugins, "demo")
    assert (plugin.distribution, plugin.version, plugin.origin) == (module, "1.2", module)
    assert plugin.hooks == ("fnframe_register_triggers",)
    assert plugin.problem is None
    assert plugin.load_ms > 0
    assert plugins.trigger_types["bell"] is sys.modules[module].Bell


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise SystemExit('no licence')\n", "SystemExit: no licence"),
        ("x = 1\n", "there is no hook in it"),
        ("def fnframe_register_triggers(): return []\n", "not marked as a hook: write @fnframe.hookimpl"),
        (
            "import fnframe\n@fnframe.hookimpl\ndef fnframe_invocation_reportd(report): ...\n",
            "unknown hook 'fnframe_invocation_reportd', did you mean 'fnframe_invocation_reported'?",
        ),
        (
            "import fnframe\n@fnframe.hookimpl\ndef fnframe_invocation_reported(reprt): ...\n",
            "no argument 'reprt', did you mean 'report'? (its arguments: report, outcome)",
        ),
        (
            "import fnframe\n@fnframe.hookimpl\nasync def fnframe_invocation_reported(report): ...\n",
            "is async",
        ),
        (
            "import fnframe\n@fnframe.hookimpl(wrapper=True)\ndef fnframe_invocation_reported(report): yield\n",
            "is a wrapper",
        ),
    ],
)
def test_an_installed_plugin_that_cannot_be_used_is_named_with_the_reason(install, caplog, source, reason):
    install(source)
    plugin = found(load_plugins(), "demo")
    assert reason in plugin.problem
    assert any(reason in record.message for record in caplog.records if record.name == "fnframe.plugins")


def test_a_bad_plugin_leaves_nothing_behind_and_the_good_one_works(install):
    install(
        "import fnframe\n@fnframe.hookimpl\ndef fnframe_register_triggers(): 1/0\n"
        "@fnframe.hookimpl\ndef fnframe_unknown(): ...\n",
        name="bad",
    )
    install(GOOD, name="good")
    plugins = load_plugins()
    assert found(plugins, "bad").problem
    assert "bell" in plugins.trigger_types


def test_one_module_under_two_entry_points_is_loaded_once(install):
    module = install(GOOD, name="first")
    install("", name="second", value=module)
    plugins = load_plugins()
    assert "loaded already" in found(plugins, "second").problem
    assert "bell" in plugins.trigger_types


def test_a_class_is_no_plugin(install):
    module = install("import fnframe\nclass P:\n  @fnframe.hookimpl\n  def fnframe_register_triggers(self): ...\n")
    install("", name="by-class", value=f"{module}:P")
    assert "found the class P" in found(load_plugins(), "by-class").problem


def test_two_triggers_of_one_kind_are_refused_and_both_plugins_named(install):
    install(GOOD, name="first")
    install(GOOD, name="second")
    plugins = load_plugins()
    with pytest.raises(ConfigurationError, match="of the kind 'bell'") as caught:
        plugins.trigger_types  # noqa: B018
    assert "first (plugin_module_" in str(caught.value)
    assert "second (plugin_module_" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return [int]", "must return subclasses of fnframe.Trigger, found <class 'int'>"),
        ("raise RuntimeError('not today')", "failed: RuntimeError: not today"),
        ("return 3", "TypeError"),
        ("return [Needy]", "NeedySettings needs a default for 'key'"),
    ],
)
def test_wrong_types_of_triggers_are_refused(beside, body, words):
    directory = beside(
        "import fnframe, msgspec\n"
        "class NeedySettings(msgspec.Struct):\n  key: str\n"
        "class Needy(fnframe.Trigger, frozen=True):\n  Settings = NeedySettings\n"
        f"@fnframe.hookimpl\ndef fnframe_register_triggers():\n  {body}\n"
    )
    plugins = load_plugins(directory)
    with pytest.raises(ConfigurationError) as caught:
        plugins.trigger_types  # noqa: B018
    assert words in str(caught.value).replace("Needy.Settings", "NeedySettings")
    assert "fnframe_plugins.py" in str(caught.value)


def test_the_file_beside_the_app_is_a_plugin_without_packaging(beside, tmp_path):
    (tmp_path / "bells_beside.py").write_text(GOOD)
    directory = beside(
        "import fnframe\nfrom bells_beside import Bell\n"
        "@fnframe.hookimpl\ndef fnframe_register_triggers():\n  return [Bell]\n"
    )
    path = list(sys.path)
    plugins = load_plugins(directory)
    assert plugins.trigger_types["bell"].__name__ == "Bell"
    assert sys.path == path
    assert found(plugins, "fnframe_plugins.py").origin == str(tmp_path / "fnframe_plugins.py")


def test_two_apps_in_one_process_have_files_of_their_own(tmp_path):
    kinds = []
    for kind in ("One", "Two"):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "fnframe_plugins.py").write_text(GOOD.replace("Bell", kind))
        kinds.append(set(load_plugins(folder).trigger_types))
    assert "one" in kinds[0] - kinds[1]
    assert "two" in kinds[1] - kinds[0]


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("import fnframe\n\nimport nothing_of_this_name\n", 3, "No module named 'nothing_of_this_name'"),
        ("def broken(:\n", 1, "SyntaxError"),
        ("def helper():\n  return 1 / 0\n\nhelper()\n", 2, "ZeroDivisionError"),
        ("import fnframe\n\n@fnframe.hookimpl\ndef fnframe_registr_triggers(): ...\n", 3, "did you mean"),
    ],
)
def test_the_users_own_file_must_be_right(beside, source, line, words):
    directory = beside(source)
    with pytest.raises(ConfigurationError) as caught:
        load_plugins(directory)
    assert caught.value.where == f"{directory / 'fnframe_plugins.py'}:{line}"
    assert words in str(caught.value)


class Heard:
    def __init__(self):
        self.reports = []

    @hookimpl
    def fnframe_invocation_reported(self, outcome, report):
        self.reports.append((report, outcome))


class Deaf:
    @hookimpl
    def fnframe_invocation_reported(self, report):
        raise OSError("disk full")


def test_a_hook_that_nobody_implements_has_no_observer():
    assert load_plugins(extra=[Heard()]).observer("fnframe_event_settled") is None


def test_an_observer_gets_the_arguments_it_names():
    first, second = Heard(), Heard()
    observe = load_plugins(extra=[first, second]).observer("fnframe_invocation_reported")
    assert observe is not None
    observe("r", "o")
    assert first.reports == second.reports == [("r", "o")]


def test_what_an_observer_raises_is_logged_once_and_does_not_reach_anybody(caplog):
    heard = Heard()
    observe = load_plugins(extra=[heard, Deaf()]).observer("fnframe_invocation_reported")
    assert observe is not None
    for n in range(3):
        observe(n, None)
    assert [report for report, _ in heard.reports] == [0, 1, 2]
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "Deaf 2" in errors[0].message
    assert "disk full" in errors[0].exc_text


def test_an_object_that_is_no_plugin_is_refused():
    with pytest.raises(ConfigurationError, match="no hook in it"):
        load_plugins(extra=[object()])


def test_importing_fnframe_does_not_read_the_metadata_of_packages():
    import subprocess

    code = "import sys, fnframe; sys.exit('importlib.metadata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert issubclass(fnframe.Trigger, Trigger)
