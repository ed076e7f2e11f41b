"""Routes: what is refused where it is written, and which function a path is for."""

from __future__ import annotations

from typing import Any

import pytest
from fnframe_http import Http
from fnframe_http.problem import Problem
from fnframe_http.router import Router
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from fnframe import App, ConfigurationError, Function


@pytest.mark.parametrize(
    ("route", "words"),
    [
        ("/photos", "did you mean 'GET /photos'?"),
        ("GET", "expected a method and a path, as in 'GET /photos/{name}'"),
        ("GET  /a /b", "expected a method and a path"),
        ("get /photos", "'get' is no method, did you mean 'GET'?"),
        ("PSOT /photos", "did you mean 'POST'?"),
        ("SUBSCRIBE /photos", "methods are GET, HEAD, POST"),
        ("/photos GET", "did you mean 'GET /photos'?"),
        ("GET photos", "did you mean 'GET /photos'?"),
        ("GET /photos?a=1", "write 'GET /photos'"),
        ("GET /photos#a", "a path without fragment"),
        ("GET /photos/{name", "a brace is not closed"),
        ("GET /photos/name}", "a brace is not closed"),
        ("GET /photos/{}", "{} in 'GET /photos/{}' is no parameter"),
        ("GET /photos/{a-b}", "write {name} or {name:int}"),
        ("GET /photos/{n:itn}", "'itn' in 'GET /photos/{n:itn}' is no kind of parameter, did you mean 'int'?"),
        ("GET /{n}/{n}", "the parameter 'n' stands twice"),
        ("GET /photos/<int:n>", "did you mean 'GET /photos/{n:int}'?"),
        ("GET /photos//x", "did you mean 'GET /photos/x'?"),
        ("GET /caf%C3%A9", "did you mean 'GET /café'?"),
        (7, "expected a route such as 'GET /photos/{name}', found 7"),
    ],
)
def test_a_wrong_route_is_refused_with_the_right_spelling(route: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Http(route)
    assert words in str(refused.value)


def test_a_wrong_invocation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"invocation must be 'sync' or 'async', found 'asnyc', did you mean"):
        Http("GET /", invocation="asnyc")  # type: ignore[arg-type]


def test_it_reads_as_it_is_written() -> None:
    assert Http("GET /a").describe() == "Http('GET /a')"
    assert Http("GET /a", "async").describe() == "Http('GET /a', 'async')"


class Mapping:
    """Enough of `fnframe.Mapping` for a router."""

    app = "test"

    def __init__(self, route: str, name: str) -> None:
        self.trigger = Http(route)
        self.function = Function(name=name, where=f"app.py:{name}")


def router_of(*routes: str) -> Router:
    return Router([Mapping(route, route) for route in routes])  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/a/b", "GET /a/b"),
        ("/a/12345678123456781234567812345678", "GET /a/{x:uuid}"),
        ("/a/1", "GET /a/{x:int}"),
        ("/a/1.5", "GET /a/{x:float}"),
        ("/a/v1", "GET /a/v{x}"),
        ("/a/c", "GET /a/{x}"),
        ("/a/c/d", "GET /a/{x:path}"),
        ("/c/b", "GET /{x}/b"),
        ("/", "GET /{x:path}"),
    ],
)
@pytest.mark.parametrize("turn", [1, -1])
def test_the_most_specific_route_wins(path: str, route: str, turn: int) -> None:
    routes = [
        "GET /{x:path}", "GET /{x}/b", "GET /a/{x:path}", "GET /a/{x}", "GET /a/v{x}", "GET /a/{x:float}",
        "GET /a/{x:int}", "GET /a/{x:uuid}", "GET /a/b",
    ]  # fmt: skip
    assert router_of(*routes[::turn]).find("GET", path)[0].mapping.trigger.route == route


def test_any_takes_what_no_other_route_of_the_path_takes() -> None:
    router = router_of("ANY /a", "POST /a", "GET /{x}")
    assert router.find("POST", "/a")[0].route.method == "POST"
    assert router.find("GET", "/a")[0].route.path == "/a"
    assert router.find("PURGE", "/a")[0].route.method == "ANY"


def test_methods_of_one_path_may_name_its_parameters_differently() -> None:
    router = router_of("GET /a/{x}", "PUT /a/{y}", "DELETE /a/{x}")
    assert router.find("PUT", "/a/1")[1] == [("y", "str", "1")]
    with pytest.raises(Problem) as refused:
        router.find("POST", "/a/1")
    assert refused.value.headers == [(b"allow", b"DELETE, GET, HEAD, PUT")]


def test_a_route_reads_as_it_was_written() -> None:
    assert Http("GET /a").describe() == "Http('GET /a')"
    filtered = Http("GET /a", "async", filter={"method": ["GET"]})
    assert filtered.describe() == "Http('GET /a', 'async', filter={'method': ['GET']})"


def test_a_function_has_a_route_once() -> None:
    with pytest.raises(ConfigurationError, match=r"this function has Http\('GET /a/\{x\}'\) already"):
        App("a").function(Http("GET /a/{y}", "async"), Http("GET /a/{x}"))(lambda: None)


def test_what_differs_by_method_or_kind_is_another_route() -> None:
    app = App("a")
    for number, route in enumerate(["GET /a/{x}", "POST /a/{x}", "ANY /a/{x}", "GET /a/{x:int}", "GET /a"]):
        app.function(Http(route), name=f"f{number}")(lambda: None)


SEGMENTS = st.sampled_from(["a", "b", "{x}", "{y}", "{x:int}", "{x:float}", "v{x}", "{x:path}"])
PATHS = st.lists(SEGMENTS, min_size=1, max_size=3, unique_by=lambda part: "x" if "{x" in part else part)
ROUTES = st.tuples(st.sampled_from(["GET", "POST", "PUT"]), PATHS.map(lambda parts: "/" + "/".join(parts)))
ASKED = st.lists(st.sampled_from(["a", "b", "v1", "1", "1.5", "", "é"]), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)


@given(st.lists(ROUTES, max_size=6), st.sampled_from(["GET", "HEAD", "POST", "DELETE"]), ASKED)
def test_a_path_is_found_if_starlette_finds_it(routes: list[tuple[str, str]], method: str, path: str) -> None:
    """Which of several routes wins is our own rule; whether one does is Starlette's."""
    chosen = {}
    for known, template in routes:
        chosen.setdefault((known, Http(f"{known} {template}").parsed().shape), f"{known} {template}")
    router = router_of(*chosen.values())
    theirs = [Route(text.split()[1], lambda _: None, methods=[text.split()[0]]) for text in chosen.values()]
    scope = {"type": "http", "method": method, "path": path}
    matches = {route.matches(scope)[0] for route in theirs}
    expected = 200 if Match.FULL in matches else 405 if Match.PARTIAL in matches else 404
    assert _status(router, method, path) == expected


def _status(router: Router, method: str, path: str) -> int:
    try:
        endpoint, parameters = router.find(method, path)
    except Problem as problem:
        return problem.status
    assert [name for name, _, _ in parameters] == list(endpoint.route.kinds)
    return 200


def test_a_line_break_is_no_end_of_a_path() -> None:
    """Starlette's expressions end with `$`, which lets one follow."""
    with pytest.raises(Problem, match="no function has the path"):
        router_of("GET /a/{x:int}").find("GET", "/a/1\n")
