"""The Dockerfile: what a reader of it would check, and the process that its image runs. It is built by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def stages(dockerfile):
    """The instructions of each stage, as pairs of a name and a value."""
    found = []
    for each in dockerfile.structure:
        if each["instruction"] == "FROM":
            found.append([])
        if found and each["instruction"] != "COMMENT":
            found[-1].append((each["instruction"], each["value"]))
    return found


def of(stage, instruction):
    return [value for name, value in stage if name == instruction]


def test_nothing_that_builds_is_in_the_result(stages):
    build, result = stages
    assert of(build, "FROM")[0].endswith(" AS build")
    assert of(result, "FROM") == ["python:${PYTHON}-slim"]
    assert all(copied.startswith("--from=build ") for copied in of(result, "COPY"))
    run = " ".join(of(result, "RUN")).split()
    installed = run[run.index("--no-install-recommends") + 1 : run.index("rm") - 1]
    assert installed == ["tini"]
    assert not {"pip", "gcc", "make", "git", "curl", "build-essential"} & set(run)
    assert "--without-pip" in of(build, "RUN")[0].split()


def test_it_runs_as_nobody_who_may_anything(stages):
    result = stages[-1]
    assert of(result, "USER") == ["10001:10001"]
    names = [name for name, _ in result]
    assert "RUN" not in names[names.index("USER") :]


def test_a_signal_reaches_fnframe_and_zombies_are_reaped(stages):
    assert json.loads(of(stages[-1], "ENTRYPOINT")[0]) == ["tini", "--", "fnframe", "run", "/app"]


def test_what_it_copies_is_sent_and_what_is_nobodys_business_is_not(stages, deploy):
    lines = (deploy / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = {word for value in of(stages[0], "COPY") for word in value.split()[:-1]} - {"${APP}"}
    assert rules[0] == "*"
    assert copied == {rule[1:] for rule in rules if rule.startswith("!")} - {"examples"}
    assert {"**/.env", "**/.git", "**/.fnframe"} <= set(rules)
    assert all((deploy.parent / name).exists() for name in copied)


def test_what_it_starts_is_healthy_as_long_as_it_runs(stages, dockerfile, shop, tmp_path, start):
    environ = {name: value for name, value in dockerfile.envs.items() if name.startswith("FNFRAME_")}
    assert environ["FNFRAME_HTTP_HOST"] == "0.0.0.0"  # noqa: S104  of its own network
    environ = {name: value.replace("/var/lib/fnframe", str(tmp_path / "state")) for name, value in environ.items()}
    started = start("run", shop, environ=environ | {"FNFRAME_HTTP_HOST": "127.0.0.1", "FNFRAME_HTTP_PORT": "0"})
    base = started.read_until("GET http://127.0.0.1").partition("GET ")[2].strip().removesuffix("/wait")

    program, option, code = json.loads(of(stages[-1], "HEALTHCHECK")[0].partition("CMD ")[2])
    assert program == "python3"
    check = [sys.executable, option, code.replace("http://127.0.0.1:8000", base)]
    assert base in check[-1]
    assert subprocess.run(check, timeout=20, check=False).returncode == 0
    assert started.end() == 0
    assert subprocess.run(check, timeout=20, stderr=subprocess.DEVNULL, check=False).returncode != 0
    assert (tmp_path / "state" / "engine.db").exists()
