"""`fnframe doctor`: what is here, what will be in force, and where each setting comes from."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest

APP = """
from fnframe import App

app = App("checked")


@app.function()
def echo(event):
    return event


@app.function(isolation="inline")
async def tiny(event):
    return event
"""


@pytest.fixture
def settings_of(fnframe, write_app):
    """The lines of the settings, by key."""

    def settings_of(**options):
        told = fnframe("doctor", write_app(APP), **options)
        assert told.returncode == 0, told.stdout + told.stderr
        lines = told.stdout.partition("\nsettings\n")[2].splitlines()
        return {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.startswith("  ")}

    return settings_of


def test_the_machine_and_the_plugins_are_told(fnframe):
    told = fnframe("doctor")
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    assert f"  fnframe {version('fnframe')}\n" in told.stdout
    assert f"  Python {platform.python_version()} " in told.stdout
    lines = {
        line.split()[1]: line.split()[0] for line in told.stdout.splitlines() if line.startswith(("  ok", "  note"))
    }
    assert lines["memory"] == lines["isolation"] == lines["http"] == "ok"
    assert "peak-rss-reset: the exact peak of each invocation" in told.stdout
    assert {"pidfd", "cgroups", "inotify", "open", "child"} <= set(lines)
    assert told.stdout.endswith("\nnothing wrong\n")


def test_what_will_be_in_force_for_an_app_is_told(fnframe, write_app, tmp_path):
    told = fnframe("doctor", write_app(APP))
    assert told.returncode == 0, told.stdout
    assert "  ok   checked         2 functions\n" in told.stdout
    assert "forked from the template" in told.stdout
    assert "tiny: in the host's own loop, with no limit of memory" in told.stdout
    assert "sqlite:///.fnframe/engine.db, outlives the process" in told.stdout
    assert not (tmp_path / ".fnframe" / "engine.db").exists()  # Who looks makes nothing.


def test_each_setting_is_told_with_its_place(settings_of, tmp_path):
    (tmp_path / "fnframe.toml").write_text("grace = 3\n\n[http]\nport = 9000\n")
    told = settings_of(environ={"FNFRAME_IDLE_TIMEOUT": "7"})
    assert told["grace"] == "3.0 (fnframe.toml:1)"
    assert told["http.port"] == "9000 (fnframe.toml:4)"
    assert told["idle_timeout"] == "7.0 (environment variable FNFRAME_IDLE_TIMEOUT)"
    assert told["lease"] == "30.0 (default)"
    assert told["engine"] == '"sqlite:///.fnframe/engine.db" (default of `fnframe run`)'
    assert told["max_environments"] == "- (default)"


def test_what_is_secret_is_not_told(settings_of, tmp_path):
    (tmp_path / "fnframe_plugins.py").write_text(
        "import fnframe, msgspec\n\n\nclass Settings(msgspec.Struct):\n    api_token: str = ''\n    url: str = ''\n\n\n"
        "@fnframe.hookimpl\ndef fnframe_register_settings():\n    return {'shop': Settings}\n"
    )
    (tmp_path / "fnframe.toml").write_text(
        '[shop]\napi_token = "geheim"\nurl = "https://me:geheim@shop.example/x"\n'
        '[billing.collector]\nurl = "http://127.0.0.1/"\ntoken = "geheim"\n'
    )
    told = settings_of()
    assert told["shop.api_token"].startswith('"***" (fnframe.toml:2')
    assert "geheim" not in str(told)
    assert '"token":"***"' in told["billing.collector"]
    assert told["shop.url"] == '"https://shop.example/..." (fnframe.toml:3)'


def test_what_is_wrong_is_told_and_the_rest_too(fnframe, write_app, tmp_path):
    target = write_app("import nothing_like_it\n")
    site = tmp_path / "site"
    info = site / "odd-1.dist-info"
    info.mkdir(parents=True)
    (site / "odd_plugin.py").write_text("x = 1\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fnframe]\nodd = odd_plugin\n")
    told = fnframe("doctor", target, environ={"PYTHONPATH": str(site)})
    assert told.returncode == 1
    assert "  bad  odd             odd 1, not used: there is no hook in it" in told.stdout
    assert "No module named 'nothing_like_it'" in told.stdout
    assert "app.py:1" in told.stdout
    assert told.stdout.endswith("\n2 wrong\n")


def test_a_wrong_setting_is_told_with_its_place(fnframe, write_app, tmp_path):
    (tmp_path / "fnframe.toml").write_text("gracee = 3\n")
    told = fnframe("doctor", write_app(APP))
    assert told.returncode == 1
    assert "fnframe.toml:1: unknown key 'gracee', did you mean 'grace'?" in told.stdout


def test_two_plugins_with_one_kind_of_trigger_are_told_without_an_app(fnframe, tmp_path):
    site = tmp_path / "site"
    for name in ("one", "other"):
        info = site / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}_plugin.py").write_text(
            "from fnframe import Trigger, hookimpl\n"
            "class Bell(Trigger):\n    async def run(self, mapping, *, task_status): ...\n"
            "@hookimpl\ndef fnframe_register_triggers(): return [Bell]\n"
        )
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[fnframe]\n{name} = {name}_plugin\n")
    told = fnframe("doctor", environ={"PYTHONPATH": str(site)})
    assert told.returncode == 1
    assert "two plugins bring a trigger of the kind 'bell': other (other 1) and one (one 1); remove" in told.stdout
    assert told.stdout.endswith("\n1 wrong\n")


def test_a_folder_that_run_cannot_write_is_told(fnframe, write_app, tmp_path):
    (tmp_path / ".fnframe").touch()
    told = fnframe("doctor", write_app(APP))
    assert told.returncode == 1
    assert "  bad  engine          sqlite:///.fnframe/engine.db: the folder .fnframe cannot be written" in told.stdout
    assert told.stdout.endswith("\n1 wrong\n")
