"""Which function a request is for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from starlette.routing import compile_path

from .problem import Problem
from .route import ANY, KINDS, PARAMETER, split_parameter

if TYPE_CHECKING:
    from fnframe import Mapping

    from .route import Route

Parameters = list[tuple[str, str, str]]
"""Names, kinds and texts of a path's parameters."""


class Endpoint:
    """A mapping, and what of it each request needs."""

    __slots__ = ("is_async", "kinds", "mapping", "route", "source")

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.route: Route = mapping.trigger.parsed()
        self.is_async = mapping.trigger.invocation == "async"
        self.kinds = list(self.route.kinds.items())
        self.source = f"http:{mapping.app}"


class _Pattern(NamedTuple):
    rank: list[tuple[int, int]]
    match: Callable[[str], re.Match[str] | None]
    methods: dict[str, Endpoint]


class Router:
    """Finds endpoints: paths without parameters in a dictionary, the others by Starlette's expressions.

    Of several routes that match, the most specific wins: part by part, text before `uuid`, `int`, `float`, `str` and
    `path`. No two have one route: that is refused where functions are declared.
    """

    def __init__(self, mappings: Iterable[Mapping]) -> None:
        endpoints = [Endpoint(mapping) for mapping in mappings]
        by_path: dict[str, dict[str, Endpoint]] = {}
        for endpoint in endpoints:
            by_path.setdefault(endpoint.route.path, {})[endpoint.route.method] = endpoint
        for methods in by_path.values():
            if "GET" in methods:
                methods.setdefault("HEAD", methods["GET"])
        self._literal = {path: methods for path, methods in by_path.items() if "{" not in path}
        self._patterns = [_Pattern(_rank(path), _matcher(path), by_path[path]) for path in by_path if "{" in path]
        self._patterns.sort(key=lambda pattern: pattern.rank)

    def find(self, method: str, path: str) -> tuple[Endpoint, Parameters]:
        """The endpoint and the path's parameters. Raises `Problem` (404, or 405 with the methods there are)."""
        allowed: set[str] = set()
        methods = self._literal.get(path)
        if methods is not None:
            endpoint = methods.get(method) or methods.get(ANY)
            if endpoint is not None:
                return endpoint, []
            allowed.update(methods)
        for pattern in self._patterns:
            found = pattern.match(path)
            if found is None:
                continue
            endpoint = pattern.methods.get(method) or pattern.methods.get(ANY)
            if endpoint is not None:
                return endpoint, [(name, kind, found[name]) for name, kind in endpoint.kinds]
            allowed.update(pattern.methods)
        raise _not_found(path, method, allowed)

    def has(self, path: str) -> bool:
        """Whether a function has this very path."""
        return path in self._literal


def _not_found(path: str, method: str, allowed: set[str]) -> Problem:
    if not allowed:
        return Problem(404, "NotFound", f"no function has the path {path}")
    names = ", ".join(sorted(allowed))
    problem = f"{path} does not take {method}; it takes {names}"
    return Problem(405, "MethodNotAllowed", problem, headers=[(b"allow", names.encode())])


def _matcher(path: str) -> Callable[[str], re.Match[str] | None]:
    # `fullmatch`, since the `$` of Starlette's expression lets a line break follow.
    return compile_path(path)[0].fullmatch


def _rank(path: str) -> list[tuple[int, int]]:
    """Sorts the more specific first, part by part."""
    return [_rank_of_part(part) for part in path.split("/")]


def _rank_of_part(part: str) -> tuple[int, int]:
    """Text before text with a parameter in it, before parameters in the order of their kinds; the longer text first."""
    kinds = [split_parameter(inside)[1] for inside in PARAMETER.findall(part)]
    text = len(PARAMETER.sub("", part))
    if not kinds:
        return 0, 0
    if text and "path" not in kinds:
        return 1, -text
    return 2 + max(map(KINDS.index, kinds)), -text
