"""`fnframe functions` and `fnframe plugins`: what there is, in 80 columns."""

from __future__ import annotations

import json


def test_functions_are_listed_with_their_limits_triggers_and_lines(fnframe, demo):
    shown = fnframe("functions", "demo")
    assert shown.returncode == 0
    first, _, head, *lines = shown.stdout.splitlines()
    assert first == "demo: 7 functions; memory is what importing the app takes of what each may use"
    assert head.split() == ["function", "memory", "timeout", "retries", "isolation", "where"]
    table = {line.split()[0]: line for line in lines if not line.startswith("  ")}
    name, memory, *others = table["talk"].split()
    assert (name, others) == ("talk", ["MB", "3", "s", "2", "process", "demo/app.py:12"])
    baseline, limit = map(int, memory.split("/"))
    assert 10 < baseline < 60
    assert limit == 256
    assert lines[lines.index(table["count"]) + 1] == "    Folder(path='in')"
    assert lines[lines.index(table["echo"]) + 1] == "    no trigger"
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_functions_are_listed_for_programs(fnframe, demo):
    manifest = json.loads(fnframe("functions", "demo", "--format", "json").stdout)
    assert manifest["app"] == "demo"
    assert [function["name"] for function in manifest["functions"]][:2] == ["echo", "talk"]
    fields = {"trigger": "folder", "path": "in", "filter": None}
    assert manifest["functions"][5]["triggers"] == [{"kind": "folder", "fields": fields}]
    assert manifest["baseline_mb"] > 0
    assert manifest["baselines"]["talk"] == manifest["baseline_mb"]


def test_functions_are_listed_with_the_settings_of_the_command_line(fnframe, demo):
    (demo / "fnframe.toml").write_text("grace = -1\n")
    assert fnframe("functions", "demo").returncode == 2
    assert fnframe("functions", "demo", "--set", "grace=1").returncode == 0


def test_plugins_beside_the_app_are_listed_with_what_they_bring(fnframe, demo):
    shown = fnframe("plugins", "demo")
    assert shown.returncode == 0
    assert "fnframe_plugins.py  demo/fnframe_plugins.py" in shown.stdout
    assert "fnframe_register_triggers" in shown.stdout
    triggers, engines = shown.stdout.splitlines()[-2:]
    assert "folder" in triggers
    assert engines == "engines: memory:, sqlite:"
    assert "fnframe_plugins.py" not in fnframe("plugins").stdout


def test_an_installed_plugin_that_is_not_used_is_told_with_the_reason(fnframe, tmp_path):
    site = tmp_path / "site"
    info = site / "broken-3.1.dist-info"
    info.mkdir(parents=True)
    (site / "broken_plugin.py").write_text("import nothing_of_this_name\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text("[fnframe]\nbroken = broken_plugin\n")
    shown = fnframe("plugins", environ={"PYTHONPATH": str(site)})
    assert shown.returncode == 0
    assert ["broken", "broken", "3.1,", "broken_plugin"] in map(str.split, shown.stdout.splitlines())
    assert "not used: ModuleNotFoundError: No module named 'nothing_of_this_name'" in shown.stdout
    assert shown.stderr == ""


def test_a_broken_file_beside_the_app_is_an_error_with_its_line(fnframe, demo):
    (demo / "fnframe_plugins.py").write_text("import fnframe\n\n@fnframe.hookimpl\ndef fnframe_unknown(): ...\n")
    result = fnframe("plugins", "demo")
    assert result.returncode == 2
    assert "error: demo/fnframe_plugins.py:3: unknown hook 'fnframe_unknown'" in result.stderr
    assert "  3 | @fnframe.hookimpl" in result.stderr
