"""What stands in `Http("GET /photos/{name}")`: a method and a path, checked where the user writes them."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from fnframe import ConfigurationError
from fnframe.errors import nearest

ANY = "ANY"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", ANY)

KINDS = ("uuid", "int", "float", "str", "path")
"""Kinds of path parameters, the more specific first: Starlette's convertors of these names."""

PARAMETER = re.compile(r"{([^{}]*)}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Route(NamedTuple):
    """A method (`"ANY"` for all), a path, and the kinds of the path's parameters by their names, in order."""

    method: str
    path: str
    kinds: dict[str, str]

    @property
    def shape(self) -> str:
        """The path without the names of its parameters: two routes of one shape match the same paths."""
        return PARAMETER.sub(lambda found: f"{{:{split_parameter(found[1])[1]}}}", self.path)


def parse_route(text: object) -> Route:
    """Raises `ConfigurationError` that tells the nearest right spelling."""
    if not isinstance(text, str):
        raise ConfigurationError(f"Http: expected a route such as 'GET /photos/{{name}}', found {text!r}")
    words = text.split()
    if len(words) != 2:
        hint = f"; did you mean 'GET {text.strip()}'?" if text.strip().startswith("/") and len(words) == 1 else ""
        raise ConfigurationError(
            f"Http: expected a method and a path, as in 'GET /photos/{{name}}', found {text!r}{hint}"
        )
    method, path = words
    if method not in METHODS:
        _refuse_method(method, path)
    _check_path(method, path, text)
    return Route(method, path, _kinds(path, text))


def _refuse_method(method: str, path: str) -> None:
    if method.startswith("/") and path.upper() in METHODS:
        raise ConfigurationError(f"Http: the method comes first: did you mean '{path.upper()} {method}'?")
    hint = nearest(method.upper(), METHODS) or f"; methods are {', '.join(METHODS)}"
    raise ConfigurationError(f"Http: {method!r} is no method{hint}")


def _check_path(method: str, path: str, text: str) -> None:
    rest = PARAMETER.sub("", path)
    if not path.startswith("/"):
        raise ConfigurationError(f"Http: a path begins with '/': did you mean '{method} /{path}'?")
    for character, name in (("?", "query"), ("#", "fragment")):
        if character in path:
            raise ConfigurationError(
                f"Http: a route is a path without {name}, found {text!r}; write '{method} "
                f"{path.partition(character)[0]}' and read the request's query in the function"
            )
    if "{" in rest or "}" in rest:
        raise ConfigurationError(f"Http: a brace is not closed or not opened in {text!r}: write {{name}}")
    if "<" in rest:
        raise ConfigurationError(f"Http: parameters stand in braces: did you mean {_braced(text)!r}?")
    if "//" in path:
        raise ConfigurationError(
            f"Http: an empty part of a path in {text!r}: did you mean {text.replace('//', '/')!r}?"
        )
    if "%" in path:
        raise ConfigurationError(f"Http: a route is matched against decoded paths: did you mean {unquote(text)!r}?")


def _kinds(path: str, text: str) -> dict[str, str]:
    kinds: dict[str, str] = {}
    for inside in PARAMETER.findall(path):
        name, kind = split_parameter(inside)
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"Http: {{{inside}}} in {text!r} is no parameter: write {{name}} or {{name:int}}")
        if kind not in KINDS:
            hint = nearest(kind, KINDS) or f"; kinds are {', '.join(KINDS)}"
            raise ConfigurationError(f"Http: {kind!r} in {text!r} is no kind of parameter{hint}")
        if name in kinds:
            raise ConfigurationError(f"Http: the parameter {name!r} stands twice in {text!r}")
        kinds[name] = kind
    return kinds


def _braced(text: str) -> str:
    """Flask's `<int:id>` and `<id>` in braces."""
    text = re.sub(r"<(\w+):(\w+)>", r"{\2:\1}", text)
    return text.replace("<", "{").replace(">", "}")


def split_parameter(inside: str) -> tuple[str, str]:
    """Name and kind of what stands in a path's braces."""
    name, colon, kind = inside.partition(":")
    return name, kind if colon else "str"
