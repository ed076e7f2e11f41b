"""What is said before anything runs: help, versions, and what was wrong with the command."""

from __future__ import annotations

import signal
import subprocess
import sys
from functools import partial

import pytest

from fnframe.cli import COMMANDS

from ..conftest import COMMAND, ENVIRONMENT


def test_the_overview_names_every_command_in_80_columns(fnframe):
    shown = fnframe("--help")
    assert shown.returncode == 0
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert fnframe().stdout == shown.stdout


def test_the_overview_costs_next_to_nothing():
    """Start-up is bound to 300 ms; what would break that is heavy imports, which can be seen without a clock. Plugins
    are looked at, for their commands, but none of these is imported."""
    code = (
        "import sys; sys.argv = ['fnframe', '--help']\n"
        "from fnframe.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'anyio', 'rich', 'cyclopts', 'croniter', 'uvicorn'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_version(fnframe):
    from importlib.metadata import version

    assert fnframe("--version").stdout == f"{version('fnframe')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(fnframe, command):
    shown = fnframe(command, "--help")
    assert shown.returncode == 0
    assert COMMANDS[command] in shown.stdout
    assert ("TARGET" in shown.stdout) == (command != "new")


def test_a_target_that_may_be_left_out_is_shown_so(fnframe):
    assert fnframe("plugins", "--help").stdout.startswith("Usage: fnframe plugins [TARGET]\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rum"], 'Did you mean "run"?'),
        (["run"], "TARGET"),
        (["run", "demo", "--until-idel"], "Did you mean --until-idle?"),
        (["run", "demo", "--port", "http"], "--port"),
        (["run", "demo", "--port", "99999"], "--port. Expected a port from 0 (one that is free) to 65535."),
        (["dev", "demo", "--port", "-1"], "--port. Expected a port from 0 (one that is free) to 65535."),
        (["run", "demo", "--set", "knock=1"], "'knock' is a table: set knock.pipe"),
        (["run", "demo", "--set", "grace"], "expected --set KEY=VALUE, found 'grace'"),
        (["run", "demo", "--set", "grac=1"], "did you mean 'grace'?"),
        (["invoke", "demo"], "FUNCTION"),
        (["run", "nowhere"], "no file, folder or module 'nowhere'"),
        (["functions", "demo/in"], "holds no app.py"),
        (["dlq", "lst", "demo"], 'Did you mean "list"?'),
        (["dlq", "redrive", "demo"], "say which dead letters to redrive: some by their ids, or --all"),
        (["dlq", "purge", "demo", "a1", "--all"], "say which dead letters to purge: some by their ids, or --all"),
        (["dlq", "list", "demo", "--set", "engine=memory:"], "the engine of this app is 'memory:': what is in it ends"),
        (["send", "demo", "orders"], "--data"),
        (["send", "demo", "orders", "--data", "{a"], "--data is not JSON"),
        (["send", "demo", "stream:clicks", "--data", "1"], "the stream 'clicks' needs a key"),
        (["send", "demo", "orders", "--data", "1", "--key", "a"], "the queue 'orders' has no key"),
        (["send", "demo", "fnframe:outbox", "--data", "1"], "expected a queue"),
        (["send", "demo", "queue:fnframe:outbox", "--data", "1"], "are fnframe's own"),
        (["send", "demo", "function:echo", "--data", "1"], "'function:echo' is a function"),
        (["send", "demo", "orders", "--data", "1", "--delay", "-1"], "delay must be a number of seconds"),
    ],
)
def test_wrong_usage_is_one_message_and_status_2(fnframe, demo, arguments, words):
    result = fnframe(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert "error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_without_cyclopts_the_extra_is_named():
    code = "import sys; sys.modules['cyclopts'] = None\nfrom fnframe.cli import main\nmain()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "the command line needs: pip install 'fnframe[cli]'\n"


@pytest.mark.parametrize(
    ("source", "line", "words"),
    [
        ("from fnframe import App\napp = App('a')\nimport nothing_here\n", 3, "No module named 'nothing_here'"),
        ("from fnframe import App\napp = App('a')\ndef broken(:\n", 3, "SyntaxError"),
        (
            "from fnframe import App\napp = App('a')\n@app.function(memory=1)\ndef f(): ...\n",
            3,
            "memory must lie between 128 and 10,240 MB, found 1",
        ),
    ],
)
def test_a_broken_app_is_told_with_the_users_own_line(fnframe, tmp_path, source, line, words):
    (tmp_path / "app.py").write_text(source)
    for command in (["run", "app.py"], ["dev", "app.py"], ["functions", "app:app"]):
        result = fnframe(*command)
        assert result.returncode == 2
        assert f"error: app.py:{line}: " in result.stderr
        assert words in result.stderr
        assert f"  {line} | {source.splitlines()[line - 1]}" in result.stderr
        assert "Traceback" not in result.stderr
        assert "importlib" not in result.stderr


def test_an_error_deep_in_an_import_shows_the_users_frames(fnframe, tmp_path):
    (tmp_path / "deep_helper.py").write_text("def go():\n    return {}['key']\n\ngo()\n")
    (tmp_path / "app.py").write_text("import deep_helper\n")
    result = fnframe("functions", "app.py")
    assert result.returncode == 2
    assert "error: deep_helper.py:2: KeyError: 'key'" in result.stderr
    assert "import deep_helper" in result.stderr
    assert "template_process" not in result.stderr


def test_an_app_without_functions_is_an_error(fnframe, tmp_path):
    (tmp_path / "app.py").write_text("from fnframe import App\napp = App('a')\n")
    result = fnframe("functions", "app.py")
    assert result.returncode == 2
    assert "app 'a' has no functions: decorate one with @app.function(...) in the module of 'app.py'" in result.stderr


def test_a_wrong_key_is_told_with_its_line(fnframe, demo):
    (demo / "fnframe.toml").write_text("# settings\ngrce = 1\n")
    result = fnframe("functions", "demo")
    assert result.returncode == 2
    assert result.stderr.endswith(
        "error: demo/fnframe.toml:2: unknown key 'grce', did you mean 'grace'?\n\n  2 | grce = 1\n"
    )


def test_an_unknown_table_is_told_with_its_line(fnframe, demo):
    (demo / "fnframe.toml").write_text("grace = 1\n\n[knok]\npipe = 'x'\n")
    result = fnframe("functions", "demo")
    assert result.returncode == 2
    assert "error: demo/fnframe.toml:3: unknown table [knok], did you mean [knock]?" in result.stderr
    assert result.stderr.endswith("\n\n  3 | [knok]\n")


def test_it_can_be_interrupted_before_it_has_read_its_arguments(tmp_path):
    (tmp_path / "cyclopts.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(600)\n")
    process = subprocess.Popen(
        [*COMMAND, "run", "demo"],
        env=ENVIRONMENT | {"PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background job, which these tests may be, ignores it and hands that down.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  no threads here
    )
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130
