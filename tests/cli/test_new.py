"""`fnframe new`: what it makes is installed as it is, and its own tests pass at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest
from hatchling.build import build_wheel

from fnframe.cli.project import Project

KINDS = ("trigger", "engine", "observer")


@pytest.fixture
def installed(tmp_path):
    """Build a project's wheel and install it into a virtual environment of its own, which sees what is installed here
    but the project; the environment's python."""

    def installed(folder):
        venv.create(tmp_path / "venv", with_pip=False)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        site = tmp_path / "venv" / "lib" / version / "site-packages"
        (site / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        with contextlib.chdir(folder):
            wheel = build_wheel(str(tmp_path))
        with zipfile.ZipFile(tmp_path / wheel) as archive:
            archive.extractall(site)
        return tmp_path / "venv" / "bin" / "python"

    return installed


def run(python, *arguments, folder):
    environ = os.environ | {"PYTEST_ADDOPTS": "-p no:cacheprovider -p no:xdist", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_plugin_pass_when_it_is_installed(fnframe, tmp_path, installed, kind):
    made = fnframe("new", "plugin", "door-bell", "--kind", kind)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(f"fnframe-door-bell: the {kind} 'door-bell' as a distribution, and its tests\n")
    folder = tmp_path / "fnframe-door-bell"
    python = installed(folder)
    # Trio's half of the engine's is that of the engine in memory, which is checked elsewhere.
    only = ("-k", "not trio") if kind == "engine" else ()
    assert " passed" in run(python, "-m", "pytest", "-q", *only, folder=folder)
    listed = run(python, "-m", "fnframe.cli", "plugins", folder=tmp_path)
    assert "fnframe-door-bell 0.1.0, fnframe_door_bell.plugin" in listed
    assert "doorbell" in listed if kind == "trigger" else "door_bell:" in listed or "fnframe_lifespan" in listed


def test_the_tests_of_a_new_app_pass_and_it_can_be_looked_at(fnframe, tmp_path):
    made = fnframe("new", "app", "shop")
    assert made.returncode == 0, made.stderr
    assert " passed" in run(sys.executable, "-m", "pytest", "-q", folder=tmp_path / "shop")
    listed = fnframe("functions", "shop")
    assert listed.stdout.startswith("shop: 4 functions")
    assert "Http('POST /greetings')" in listed.stdout


def test_what_it_makes_is_typed(tmp_path):
    modules = []
    for kind in KINDS:
        folder = tmp_path / kind
        Project(f"new-{kind}", f"door-{kind}").write(folder)
        modules += ["-p", f"fnframe_door_{kind}"]
    path = os.pathsep.join(str(tmp_path / kind / "src") for kind in KINDS)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *modules]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": path},
        capture_output=True,
        text=True,
        timeout=58,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("app", "Bad name"),
            "a name begins with a lower case letter, and has letters, digits, - and _; found 'Bad name'",
        ),
        (("app", "there"), "there is there already: give another name, or remove it"),
        (("app", "../out"), "found '../out'"),
        (("plugin", "bell"), "KIND"),
        (("plugin", "bell", "--kind", "engin"), "engin"),
    ],
)
def test_what_cannot_be_made_is_refused(fnframe, tmp_path, arguments, words):
    (tmp_path / "there").mkdir()
    refused = fnframe("new", *arguments)
    assert refused.returncode == 2
    assert words.lower() in refused.stderr.lower()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there"]


def test_no_placeholder_and_no_path_behind_the_contract_is_left(tmp_path):
    for kind in KINDS:
        Project(f"new-{kind}", "bell").write(tmp_path / kind)
        for path in (tmp_path / kind).rglob("*"):
            if path.is_file():
                text = path.read_text()
                assert "sample" not in text.lower(), path
                assert "from .." not in text, path
                assert "fnframe.engine.memory" not in text, path


@pytest.mark.parametrize("made", [("app", "shop"), ("plugin", "shop", "--kind", "engine")])
def test_a_place_where_nothing_can_be_made_is_told(fnframe, tmp_path, made):
    (tmp_path / "file").touch()
    told = fnframe("new", *made, "--in", "file")
    assert told.returncode == 2
    assert "shop cannot be made (Not a directory): name another place with --in" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_name_of_fnframes_own_is_refused(fnframe, tmp_path):
    told = fnframe("new", "plugin", "fnframe-http", "--kind", "trigger")
    assert (told.returncode, told.stderr) == (
        2,
        "error: fnframe-http is one of fnframe's own plugins: give another name\n",
    )
    assert not (tmp_path / "fnframe-http").exists()
