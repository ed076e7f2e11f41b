"""The documentation: its code runs, its reference is complete, its links lead somewhere, and a site is made of it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cyclopts import CycloptsError

import fnframe
import fnframe.testing
from fnframe import errors, hookspecs
from fnframe.cli import COMMANDS
from fnframe.cli.commands import command_line
from fnframe.cli.contributed import contributed

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))
LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
MARKDOWN = sorted({*LISTED.split(), *(f"docs/{page}" for page in PAGES)})
TESTED_ELSEWHERE = {"filters.md", "coming-from-lambda.md"}
BLOCK = re.compile(r"```(?:python|toml)\n# ([\w.]+)\n(.*?)```", re.DOTALL)

spec = importlib.util.spec_from_file_location("reference_maker", ROOT / ".ci" / "reference.py")
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)


def text_of(page):
    return (DOCS / page).read_text("utf-8")


def run(*command, folder):
    # Others may run at the same time, at the port that an app has by default.
    environ = os.environ | {"PYTEST_ADDOPTS": "", "COLUMNS": "80", "FNFRAME_HTTP_PORT": "0"}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in text_of(page)])
def test_the_code_of_a_page_runs(page, tmp_path):
    """The blocks of a page are the files of one project: its tests pass, or each of its programs runs."""
    if page in TESTED_ELSEWHERE:
        return
    text = text_of(page)
    files = dict(BLOCK.findall(text))
    assert len(files) == text.count("```python") + text.count("```toml"), "a block has no name, or two have one"
    for name, source in files.items():
        (tmp_path / name).write_text(source)
    if any(name.startswith("test_") for name in files):
        options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist")
        assert " passed" in run(sys.executable, "-m", "pytest", *options, folder=tmp_path)
    else:
        imported = {f"{name}.py" for name in re.findall(r"^ *(?:from|import) (\w+)", text, re.MULTILINE)}
        for name in files.keys() - imported:
            if name.endswith(".py"):
                run(sys.executable, name, folder=tmp_path)
    if "app.py" in files:
        assert run(sys.executable, "-m", "fnframe.cli", "functions", "app.py", folder=tmp_path)


def parsed(words):
    """What would be called, and with what; it is not."""
    command, bound, _ = command_line(words).parse_args(words, exit_on_error=False, print_error=False)
    return command, bound.arguments


def typed(text):
    """The words behind `fnframe` of each line that a reader may type."""
    lines = re.findall(r"^(?:[$#] | {4,})(?:.* uv run |.*/uv run |/\S+/)?fnframe ([^:\n].*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", [page for page in MARKDOWN if typed((ROOT / page).read_text("utf-8"))])
def test_every_command_that_is_told_can_be_typed(page):
    for words in typed((ROOT / page).read_text("utf-8")):
        parsed(words)


def test_typed_commands_are_found_and_wrong_ones_are_refused():
    found = typed((ROOT / "README.md").read_text("utf-8"))
    assert ["run", "examples/photos", "--until-idle"] in found
    assert ["invoke", "app.py", "order", "--data", '{"name": "cat"}'] in found
    assert ["dlq", "list", "/srv/fnframe/shop"] in typed(text_of("how-to/deploy.md"))
    for line in ("runn app.py", "run app.py --until-idel", "dlq show app.py", "run a.py b.py", "bill --format xml"):
        with pytest.raises(CycloptsError):
            parsed(line.split())


def test_the_pages_of_settings_and_commands_are_as_they_would_be_written_now():
    assert text_of("reference/settings.md") == maker.settings(), "run: uv run python .ci/reference.py"
    for name in (*COMMANDS, *contributed()):
        assert f"## `fnframe {name}`\n" in text_of("reference/commands.md"), "run: uv run python .ci/reference.py"


def test_every_link_leads_somewhere():
    broken = []
    for name in MARKDOWN:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", (ROOT / name).read_text("utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if (
                not link.startswith(("http:", "https:", "#"))
                and not (ROOT / name).parent.joinpath(link.partition("#")[0]).exists()
            ):
                broken.append(f"{name}: {link}")
    assert broken == []


def hooks():
    return {name for name in vars(hookspecs) if name.startswith("fnframe_")}


def raised():
    kinds = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    return {
        name for name, value in kinds.items() if issubclass(value, Exception) and value.__module__ == errors.__name__
    }


def test_a_site_is_made_in_which_every_public_name_hook_and_error_is_found(tmp_path):
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    shutil.copytree(DOCS, tmp_path / "docs")
    config = config.replace('paths: ["."', f'paths: ["{ROOT}"').replace(" plugins/", f" {ROOT}/plugins/")
    (tmp_path / "mkdocs.yml").write_text(config)
    told = run(str(Path(sys.executable).with_name("zensical")), "build", "-f", "mkdocs.yml", folder=tmp_path)
    assert not re.search(r"warning|error", told, re.IGNORECASE), told
    pages = {path.stem: path.read_text("utf-8") for path in (tmp_path / "site" / "reference").glob("*.html")}
    found = {name for text in pages.values() for name in re.findall(r'id="(fnframe[\w.]*)"', text)}
    assert {f"fnframe.hookspecs.{hook}" for hook in hooks()} <= found
    assert {f"fnframe.errors.{error}" for error in raised()} <= found
    public = {f"fnframe.{home}.{name}" for name, home in fnframe._HOMES.items()}
    public |= {f"fnframe.testing.{home}.{name}" for name, home in fnframe.testing._HOMES.items()}
    assert sorted(public - found - {"fnframe.outcome.Outcome", "fnframe.hookspecs.hookimpl"}) == []
    assert "Outcome" in pages["apps"]
    assert "hookimpl" in pages["plugins"]
    nav = re.findall(r"[\w/-]+\.md", config)
    assert sorted(nav) == PAGES


def test_every_field_of_what_handlers_and_observers_get_is_told():
    told = text_of("measurements.md") + (fnframe.Report.__doc__ or "")
    figures = [field.name for field in msgspec.structs.fields(fnframe.Report) if field.name.endswith(("_ms", "_mb"))]
    assert [name for name in figures if name not in told] == ["memory_size_mb", "ephemeral_storage_mb"]
