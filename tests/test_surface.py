"""The public surface: a list that somebody wrote down, compared with what there is, and what it says of itself.

A name, a method or a parameter that comes, goes or is renamed is a decision: it shows in the diff of surface.txt.
To write it anew: `uv run python tests/test_surface.py`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import fnframe
from fnframe import hookspecs, testing

LIST = Path(__file__).parent / "surface.txt"
PACKAGES = [
    "fnframe", "fnframe.testing", "fnframe_http", "fnframe_files", "fnframe_cron", "fnframe_queue", "fnframe_stream",
    "fnframe_sqlite", "fnframe_billing", "fnframe_lambda",
]  # fmt: skip
PROTOCOLS = ["fnframe.engine.protocol", "fnframe.provider", "fnframe.lifespan", "fnframe.clock"]


def surface() -> Iterator[str]:
    """A line for each public name, and for each public member of a public class."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in sorted(module.__all__):
            yield from told(f"{package}.{name}", getattr(module, name))
    for package in PROTOCOLS:
        module = importlib.import_module(package)
        own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == package}
        for name in sorted(own):
            yield from told(f"{package}.{name}", own[name])
    for name, hook in vars(hookspecs).items():
        if name.startswith("fnframe_"):
            yield f"{name}{parameters(hook)}"


def told(place: str, value: object) -> Iterator[str]:
    if not isinstance(value, type):
        yield f"{place}{parameters(value) if inspect.isfunction(value) else ''}"
        return
    if issubclass(value, msgspec.Struct):
        first = len(value.__struct_fields__) - len(value.__struct_defaults__)
        fields = [name + ("" if number < first else "=") for number, name in enumerate(value.__struct_fields__)]
        yield f"{place}({', '.join(fields)})"
    else:
        makes = "__init__" in vars(value) and not getattr(value, "_is_protocol", False)
        yield f"{place}{parameters(value.__init__) if makes else ''}"
    for name, member in sorted(vars(value).items()):
        if name.startswith("_") or name in value.__dict__.get("__slots__", ()):
            continue
        function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
        if inspect.isfunction(function):
            yield f"{place}.{name}{parameters(function)}"
        elif isinstance(member, property):
            yield f"{place}.{name}"


def parameters(function: object) -> str:
    """As they are called: names, and which may be left out."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    left = [each for name, each in signature.parameters.items() if name not in ("self", "cls")]
    shown, keywords = [], False
    for each in left:
        if each.kind is each.KEYWORD_ONLY and not keywords and not any(p.kind is p.VAR_POSITIONAL for p in left):
            shown.append("*")
        keywords = keywords or each.kind is each.KEYWORD_ONLY
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        shown.append(f"{star}{each.name}{'' if each.default is each.empty else '='}")
    return f"({', '.join(shown)})"


def test_the_surface_is_what_was_written_down():
    written = LIST.read_text("utf-8").splitlines()
    found = list(surface())
    changes = list(difflib.unified_diff(written, found, "surface.txt", "the code", lineterm="", n=0))
    assert not changes, "\n".join([*changes, "where that is meant: uv run python tests/test_surface.py"])


CONTRACT = [f"fnframe.{path.stem}" for path in Path(fnframe.__file__).parent.glob("[a-z]*.py")]
HELD = ["fnframe.runtime.running", "fnframe.runtime.thread", "fnframe.runtime.producers", "fnframe.engine.protocol"]
"""Modules whose objects users and plugins hold, beside those of the contract, which are at the top."""
KIT = [f"fnframe.testing.{path.stem}" for path in Path(testing.__file__).parent.glob("[a-z]*.py")]


@pytest.mark.parametrize("package", [*PACKAGES, *sorted(CONTRACT), *HELD, *sorted(KIT)])
def test_what_users_can_reach_says_what_it_is(package):
    module = importlib.import_module(package)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == package]
    names = getattr(module, "__all__", [name for name in own if not name.startswith("_")])
    silent = [place for name in names for place in silences(f"{package}.{name}", getattr(module, name))]
    assert silent == [], "each needs a docstring: what for, units, defaults, what is raised"


def silences(place: str, value: object) -> Iterator[str]:
    """What has no docstring: the class or function itself, and public members. A member has the one of what it
    overrides, and an implementation of a hook that of the hook."""
    if inspect.isfunction(value) and not value.__doc__:
        yield place
    if not isinstance(value, type):
        return
    text = vars(value).get("__doc__")
    if text is None or text.startswith(f"{value.__name__}("):  # A Struct's is a signature if nobody wrote one.
        yield place
    for name, member in vars(value).items():
        is_told = name.startswith(("_", "fnframe_")) or not isinstance(
            member, (classmethod, staticmethod, property, types.FunctionType)
        )
        if not is_told and not inspect.getdoc(getattr(value, name)):
            yield f"{place}.{name}"


if __name__ == "__main__":
    LIST.write_text("\n".join(surface()) + "\n", "utf-8")
    sys.exit()
