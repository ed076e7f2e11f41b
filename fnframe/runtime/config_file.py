"""fnframe.toml, or [tool.fnframe] in pyproject.toml: the keys that are set, each with its line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SYNTAX_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read(directory: Path) -> Iterator[tuple[str, Any, str]]:
    """Each key (that of a table dotted: `http.port`), its value and `path:line`; nothing without a file.

    A table comes before its keys, with the value `{}`.
    Raises `ConfigurationError` when a file is no TOML, or when both files hold settings.
    """
    own, shared = directory / "fnframe.toml", directory / "pyproject.toml"
    values = _parsed(own)
    tool = _parsed(shared).get("tool", {}).get("fnframe")
    if tool is None:
        yield from _keys(own, values, "")
    elif not isinstance(tool, dict):
        raise ConfigurationError(f"[tool.fnframe] must be a table, found {tool!r}", where=str(shared))
    elif own.exists():
        problem = f"settings in two places, [tool.fnframe] here and {own.name} beside it: keep one of them"
        raise ConfigurationError(problem, where=str(shared))
    else:
        yield from _keys(shared, tool, "tool.fnframe")


def _parsed(path: Path) -> dict[str, Any]:
    import tomllib  # Most apps have no such file.

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        problem, line = str(error), _SYNTAX_LINE.search(str(error))
        where = f"{path}:{line[1]}" if line else f"{path}:{len(path.read_text('utf-8').splitlines())}"
        raise ConfigurationError(f"not valid TOML: {_SYNTAX_LINE.sub('', problem)}", where=where) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", where=str(path)) from None


def _keys(path: Path, values: dict[str, Any], table: str) -> Iterator[tuple[str, Any, str]]:
    lines = _lines(path) if values else {}
    for key, value in values.items():
        name = f"{table}.{key}" if table else key
        if not isinstance(value, dict):
            yield key, value, _place(path, lines, name)
            continue
        yield key, {}, _place(path, lines, name)
        for inner, setting in value.items():
            yield f"{key}.{inner}", setting, _place(path, lines, f"{name}.{inner}")


def _lines(path: Path) -> dict[str, int]:
    """The line of each dotted key, and the first one of each table."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if text.startswith("["):
            name = table = _bare(text.strip("[]"))
        elif "=" in text:
            name = ".".join(part for part in (table, _bare(text.partition("=")[0])) if part)
        else:
            continue
        while name:
            lines.setdefault(name, number)
            name = name.rpartition(".")[0]
    return lines


def _place(path: Path, lines: dict[str, int], name: str) -> str:
    """`path:line` of a dotted key, or of its table; the path alone where it is written in a way not known here."""
    number = lines.get(name) or lines.get(name.rpartition(".")[0])
    return f"{path}:{number}" if number else str(path)


def _bare(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)
