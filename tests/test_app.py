"""Declaring functions: whatever is wrong is refused at the user's own line, with a text that helps."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fnframe import App, ConfigurationError, Failure, Function, Limits, Manifest
from fnframe.runtime.run import run_target

_numbers = itertools.count()

HEAD = """\
from fnframe import App, Context, Event, Limits, QueueTrigger, Trigger
import functools

class Bell(Trigger, frozen=True):
    pitch: int = 440

class Plain:
    pass

app = App("shop", limits=Limits(timeout=60, memory=1024, concurrency=10))
"""


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Import a source from a file of its own, after what all of them begin with."""

    def declare(source: str, head: str = HEAD) -> Any:
        name = f"app_module_{next(_numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(head + source)
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        made.path = path
        declare.path = path
        spec.loader.exec_module(made)
        return made

    return declare


@pytest.fixture
def refused(declare):
    """What the source is refused with: the error's place is the line that ends in `# here`."""

    def refused(source: str, *words: str, manifest: bool = False) -> ConfigurationError:
        with pytest.raises(ConfigurationError) as caught:
            made = declare(source)
            if manifest:
                made.app.manifest()
        error = caught.value
        lines = [number for number, line in enumerate((HEAD + source).splitlines(), 1) if line.endswith("# here")]
        assert error.where == f"{declare.path}:{lines[0]}"
        assert str(error) == f"{error.where}: {error.problem}"
        for word in words:
            assert word in error.problem
        return error

    return refused


HANDLER = "def handler(event): ...\n"
ASYNC = "async def handler(event): ...\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("memory=127", ["memory must lie between 128 and 1,024 MB", "found 127"]),
        ("memory=1025", ["memory must lie between 128 and 1,024 MB", "found 1,025"]),
        ("memory='256'", ["memory must be a number of MB", "found '256'"]),
        ("memory=True", ["memory must be a number of MB", "found True"]),
        ("memory=None", ["memory must be a number of MB", "found None"]),
        ("memory=256.5", ["memory", "whole number", "256.5"]),
        ("memory=256.0", ["memory", "whole number", "256.0"]),
        ("timeout=0", ["timeout must lie between 0.001 and 60 seconds", "found 0"]),
        ("timeout=-1", ["timeout must lie between", "found -1"]),
        ("timeout=60.5", ["timeout must lie between 0.001 and 60 seconds", "found 60.5"]),
        ("timeout=float('nan')", ["timeout must lie between", "found nan"]),
        ("timeout=float('inf')", ["timeout must lie between", "found inf"]),
        ("timeout='3s'", ["timeout must be a number of seconds", "found '3s'"]),
        ("ephemeral_storage=511", ["ephemeral_storage must lie between 512 and 10,240 MB", "found 511"]),
        ("ephemeral_storage=10_241", ["ephemeral_storage must lie between", "found 10,241"]),
        ("ephemeral_storage=600.5", ["ephemeral_storage", "whole number", "600.5"]),
        ("retries=-1", ["retries must lie between 0 and 1,000", "found -1"]),
        ("retries=1001", ["retries must lie between 0 and 1,000", "found 1,001"]),
        ("retries=1.5", ["retries", "whole number", "1.5"]),
        ("maximum_age=-1", ["maximum_age must lie between 0 and 1,209,600 seconds", "found -1"]),
        ("maximum_age=1_209_601", ["maximum_age must lie between", "found 1,209,601"]),
        ("reserved_concurrency=-1", ["reserved_concurrency must lie between 0 and 10 invocations", "found -1"]),
        ("reserved_concurrency=11", ["reserved_concurrency must lie between 0 and 10", "found 11"]),
        ("reserved_concurrency=1.5", ["reserved_concurrency", "whole number", "1.5"]),
        ("reserved_concurrency=''", ["reserved_concurrency must be a number", "''"]),
        ("reserved_concurrency=False", ["reserved_concurrency must be a number", "False"]),
        ("provisioned_concurrency=-1", ["provisioned_concurrency must lie between 0 and 10", "found -1"]),
        ("provisioned_concurrency=11", ["provisioned_concurrency must lie between 0 and 10", "found 11"]),
        ("provisioned_concurrency=0.5", ["provisioned_concurrency", "whole number", "0.5"]),
        ("provisioned_concurrency=None", ["provisioned_concurrency must be a number", "found None"]),
        (
            "provisioned_concurrency=3, reserved_concurrency=2",
            ["provisioned_concurrency (3) must not be greater than reserved_concurrency (2)"],
        ),
        ("isolation='thread'", ["isolation must be 'process' or 'inline'", "found 'thread'"]),
        ("isolation=None", ["isolation must be 'process' or 'inline'", "found None"]),
        (
            "on_failure='handler'",
            ["on_failure must be 'function:NAME', 'queue:NAME'", "did you mean 'function:handler'?"],
        ),
        ("on_failure='kew:x'", ["on_failure must be 'function:NAME', 'queue:NAME'", "found 'kew:x'"]),
        ("on_failure=''", ["on_failure must be 'function:NAME'", "'stream:NAME'", "found ''"]),
        ("on_success=5", ["on_success must be 'function:NAME'", "found 5"]),
        ("on_success='queue:fnframe:x'", ["on_success names no queue of yours", "are fnframe's own"]),
        ("on_success='stream:'", ["on_success must be", "found 'stream:'"]),
        ("on_failure='https://'", ["on_failure must be a URL with a host, found 'https://...'"]),
        ("on_failure='https://me:secret@/x'", ["must be a URL with a host, found 'https://...'"]),
        ("on_failure='https://me:secret@host:x/y'", ["must be a URL, found 'https://...'"]),
        ("on_failure='htps://me:secret@host/y'", ["found 'htps://host/...'"]),
        ("on_failure='https://host/a b'", ["printable ASCII characters without spaces, found 'https://host/...'"]),
        ("on_failure='https://host/#a'", ["without a fragment, found 'https://host/...'"]),
        ("on_failure='file:a\\0b'", ["on_failure must be", "'file:PATH'", "found 'file:a\\x00b'"]),
        ("on_failure='file:'", ["on_failure must be", "'file:PATH'", "found 'file:'"]),
        ("variables={'A': 1}", ["variables", "'A'", "1"]),
        ("variables='A=1'", ["variables", "'A=1'"]),
        ("tags={'team': 1}", ["tags", "'team'", "1"]),
        ("tags=['team']", ["tags", "['team']"]),
        ("variables={'A=B': 'x'}", ["variables: 'A=B' cannot be set to 'x'", "holds no '='"]),
        ("variables={'': 'x'}", ["variables: '' cannot be set", "not empty"]),
        ("variables={'A': 'x\\0y'}", ["variables: 'A' cannot be set", "NUL"]),
        ("name='a b'", ["'a b' is no name for a function", "letters, digits"]),
        ("name='..'", ["'..' is no name for a function"]),
        ("name='<lambda>'", ["'<lambda>' is no name for a function", "give it name=..."]),
        ("name=''", ["'' is no name for a function", "give it name=..."]),
        ("name='a/b'", ["'a/b' is no name"]),
        ("name='a:b'", ["'a:b' is no name"]),
        ("name='a\\tb'", ["is no name"]),
        ("name='a\\nb'", ["is no name"]),
        ("name='a\\rb'", ["is no name"]),
        ("name='a\\0b'", ["is no name"]),
        ("name=5", ["name", "5"]),
        ("isolation='inline'", ["isolation='inline'", "async", "write `async def`", "'process'"]),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(refused, options, words):
    error = refused(f"@app.function({options})  # here\n{HANDLER}", *words)
    if "name" not in options:
        assert "function 'handler'" in error.problem


@pytest.mark.parametrize(
    "option", ["variables={'A': 'b'}", "provisioned_concurrency=1", "memory=256", "ephemeral_storage=1024"]
)
def test_inline_has_no_environment_of_its_own(refused, option):
    words = ["isolation='inline' has no environment of its own", f"{option.partition('=')[0]} would have no effect"]
    refused(f"@app.function(isolation='inline', {option})  # here\n{ASYNC}", *words)


@pytest.mark.parametrize(
    ("triggers", "words"),
    [
        ("Bell", ["expected a trigger such as Files(...)", "Bell", "have you forgotten the parentheses?"]),
        ("Plain", ["expected a trigger such as Files(...)", "Plain"]),
        ("'GET /'", ["expected a trigger such as Files(...), found 'GET /'"]),
        ("None", ["expected a trigger such as Files(...), found None"]),
        ("[Bell()]", ["expected a trigger such as Files(...), found [Bell("]),
        ("Bell(), Bell", ["have you forgotten the parentheses?"]),
    ],
)
def test_what_is_no_trigger_is_refused(refused, triggers, words):
    refused(f"@app.function({triggers})  # here\n{HANDLER}", *words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("@app.function(timout=3)", ["app.function has no option 'timout', did you mean 'timeout'?", "it has: name, "]),
        ("@app.function(Bell(pich=3))", ["Bell has no option 'pich', did you mean 'pitch'?", "it has: pitch, filter"]),
        ("@app.function(Bell(wholly_unlike=3))", ["Bell has no option 'wholly_unlike'; it has: pitch, filter"]),
        ("@App('x', limits=Limits(memry=1)).function()", ["Limits has no option 'memry', did you mean 'memory'?"]),
    ],
)
def test_an_option_that_there_is_not_is_refused_with_the_nearest(refused, line, words):
    refused(f"{line}  # here\n{HANDLER}", *words)


def test_a_decorator_without_its_parentheses_is_refused(refused):
    """`@app.function` alone would take the handler for a trigger and leave the app without the function."""
    refused(f"@app.function  # here\n{HANDLER}", "parentheses")


@pytest.mark.parametrize(
    "handler", ["functools.partial(print)", "Plain", "Plain()", "print", "'handler'", "None", "len"]
)
def test_what_is_no_function_is_refused(refused, handler):
    refused(f"app.function()({handler})  # here\n", "a handler must be a Python function", "found")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("a, b, c", ["a handler takes (), (event) or (event, context), found (a, b, c)"]),
        ("event, *, flag", ["a handler takes (), (event) or (event, context), found (event, *, flag)"]),
        ("event: Plain", ["an event cannot be decoded to", "Plain", "pydantic model", "`Event`"]),
        ("event: Plain | None", ["an event cannot be decoded to", "Plain"]),
        ("event: list[Plain]", ["an event cannot be decoded to", "Plain"]),
        ("event: 'Plain'", ["an event cannot be decoded to", "Plain"]),
        ("event: 5", ["5"]),
        ("event: '5'", ["5"]),
        ("event: 'no type'", ["no type"]),
        ("event: 'functools.Nothing'", ["Nothing"]),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused(refused, parameters, words):
    refused(f"@app.function()  # here\ndef handler({parameters}): ...\n", "function 'handler'", *words)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("@app.function()  # here\ndef f(context: Context): ...", ["(event, context: Context)"]),
        ("@app.function()  # here\ndef f(event): yield event", ["found a generator"]),
        ("@app.function()  # here\nasync def f(event): yield event", ["found a generator"]),
        ("@app.on_start  # here\nasync def f(): ...", ["a plain `def`"]),
        ("@app.on_start  # here\ndef f(event): ...", ["takes nothing", "(event)"]),
        ("other = App('other', limits=Limits(concurrency=0))  # here", ["concurrency", "above 0", "found 0"]),
        ("other = App('other', limits=Limits(memory='1'))  # here", ["memory", "whole number", "'1'"]),
        ("other = App('other', limits=Limits(depth=1.5))  # here", ["depth", "whole number", "1.5"]),
        ("@app.function(Bell('high'))  # here\ndef f(event): ...", ["Bell(pitch='high')", "Expected `int`, got `str`"]),
        (
            "@app.function(Bell(filter={'data': {'pitch': []}}))  # here\ndef f(event): ...",
            [
                "Bell: filter: Event pattern is not valid. Reason: Empty arrays",
                'at `data.pitch` in {"data":{"pitch":[]}}',
            ],
        ),
        (
            "@app.function(Bell(filter=[{'type': ['x']}, {'tpye': 'x'}]))  # here\ndef f(event): ...",
            ['"tpye" must be an object or an array - at `tpye` in {"tpye":"x"}'],
        ),
        ("@app.function(Bell(filter=[]))  # here\ndef f(event): ...", ["Filter is not an object in []"]),
        ("@app.function(Bell(filter='x'))  # here\ndef f(event): ...", ["Bell(filter='x')", "`$.filter`"]),
        (
            "@app.function(Bell(filter={'a': [functools.reduce]}))  # here\ndef f(event): ...",
            ["Bell(", "builtin_function_or_method is unsupported"],
        ),
        (
            "class Bells(QueueTrigger): ...\n@app.function(Bells(filter={'a': [len]}))  # here\ndef f(event): ...",
            ["Bells(", "builtin_function_or_method is unsupported"],
        ),
        (
            "class Call(Bell):\n invocation_type = 'synchronous'\n@app.function(Call(filter={}))  # here\ndef f(): ...",
            ["Call: somebody waits for the answer to each event, so none may be filtered"],
        ),
        ("app.run()  # here", ["while fnframe imports this file", '__name__ == "__main__"']),
    ],
)
def test_what_cannot_work_is_refused_where_it_stands(refused, source, words, monkeypatch):
    monkeypatch.setattr("fnframe.app.in_template", True)
    refused(f"{source}\n", *words)


def test_the_line_is_that_of_the_first_decorator(refused):
    refused(
        """
def other(function):
    return function

@other  # here
@app.function(
    memory=5,
)
def handler(event): ...
""",
        "found 5",
    )


def test_two_functions_of_one_name_are_refused_at_the_second(refused, declare):
    error = refused(
        """
@app.function()
def handler(event): ...

@app.function(memory=256)  # here
def handler(event): ...
""",
        "function 'handler' is declared twice",
        "give one of them name=...",
    )
    assert f"first at {declare.path}:{HEAD.count(chr(10)) + 2}" in error.problem


def test_a_name_given_may_not_be_anothers(refused):
    refused(
        """
@app.function()
def resize(event): ...

@app.function(name="resize")  # here
def other(event): ...
""",
        "'resize' is declared twice",
    )


def test_a_function_that_was_refused_is_not_declared(declare):
    made = declare("try:\n    @app.function(memory=5)\n    def handler(event): ...\nexcept Exception: pass\n")
    assert made.app.definitions == {}
    made.app.function(name="other")(lambda event: event)
    assert list(made.app.definitions) == ["other"]


def test_options_are_named_not_counted(refused):
    refused(f"@app.function(256)  # here\n{HANDLER}", "expected a trigger such as Files(...), found 256")


# What is complete only when the module is.


def test_an_app_without_functions_says_what_to_do(declare):
    made = declare("")
    with pytest.raises(ConfigurationError) as caught:
        made.app.manifest().refuse_empty("app.py")
    assert "app 'shop' has no functions: decorate one with @app.function(...)" in str(caught.value)
    assert "in the module of 'app.py', or in one that it imports" in str(caught.value)


@pytest.mark.parametrize("option", ["on_success", "on_failure"])
def test_a_destination_that_does_not_exist_is_refused_at_its_line(refused, option):
    refused(
        f"""
@app.function()
def hears(event): ...

@app.function({option}="function:heers")  # here
def handler(event): ...
""",
        f"function 'handler': {option} names the function 'heers', which does not exist",
        "did you mean 'hears'",
        manifest=True,
    )


def test_a_destination_may_be_declared_later(declare):
    made = declare(
        """
@app.function(on_success="function:hears", on_failure="function:hears")
def handler(event): ...

@app.function(on_failure="file:out/failed.jsonl")
def hears(event): ...
"""
    )
    assert [function.name for function in made.app.manifest().functions] == ["handler", "hears"]


def test_reserved_concurrency_must_leave_something_to_the_others(declare):
    """Together they took more than there is, and the function without a share of its own was throttled for ever."""
    made = declare(
        """
@app.function(reserved_concurrency=6)
def one(event): ...

@app.function(reserved_concurrency=4)
def two(event): ...

@app.function()
def three(event): ...
"""
    )
    with pytest.raises(ConfigurationError) as caught:
        made.app.manifest()
    for word in ("reserved_concurrency", "10"):
        assert word in str(caught.value)


# What is right.


def test_the_decorated_function_is_the_same_and_still_callable(declare):
    made = declare(
        """
def plain(event, context=None):
    return event + 1

handler = app.function(Bell(), memory=256)(plain)

@app.function()
async def later():
    return 5
"""
    )
    assert made.handler is made.plain
    assert made.handler(1) == 2
    with pytest.raises(StopIteration) as returned:
        made.later().send(None)
    assert returned.value.value == 5


def test_a_function_may_be_declared_under_two_names(declare):
    made = declare(f"{HANDLER}app.function()(handler)\napp.function(name='again', timeout=1)(handler)\n")
    assert list(made.app.definitions) == ["handler", "again"]


def test_defaults_are_lambdas(declare):
    made = declare(f"@app.function()\n{HANDLER}")
    (function,) = made.app.manifest().functions
    assert (function.memory, function.timeout, function.ephemeral_storage) == (128, 3.0, 512)
    assert (function.retries, function.maximum_age, function.isolation) == (2, 21_600.0, "process")
    assert (function.reserved_concurrency, function.provisioned_concurrency) == (None, 0)
    assert (function.variables, function.tags, function.on_success, function.on_failure) == ({}, {}, None, None)
    assert (function.triggers, function.is_async) == ((), False)


@pytest.mark.parametrize(
    "options",
    [
        "memory=128",
        "memory=1024",
        "timeout=0.001",
        "timeout=60",
        "retries=0",
        "maximum_age=0",
        "reserved_concurrency=0",
        "reserved_concurrency=9, provisioned_concurrency=9",
        "ephemeral_storage=10_240",
        "name='résumé-2.x_y'",
        "on_failure='file:/var/failed.jsonl'",
        "on_failure='queue:failed', on_success='stream:done'",
        "on_failure='https://me:secret@host:8443/T0/B0?token=x', on_success='http://[::1]/'",
    ],
)
def test_the_bounds_themselves_are_allowed(declare, options):
    made = declare(f"@app.function({options})\n{HANDLER}")
    manifest = made.app.manifest()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(manifest), type=Manifest) == manifest


def test_a_manifest_is_all_that_a_host_needs(declare):
    made = declare(
        """
@app.function(
    Bell(880), Bell(),
    name="rings", memory=256, timeout=10, retries=0, variables={"A": "b"}, tags={"team": "x"},
)
async def handler(event: Event, context: Context): ...
"""
    )
    manifest = made.app.manifest()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(manifest), type=Manifest) == manifest
    assert (manifest.app, manifest.directory) == ("shop", str(made.path.parent))
    assert manifest.limits == Limits(timeout=60, memory=1024, concurrency=10)
    (function,) = manifest.functions
    assert isinstance(function, Function)
    assert (function.name, function.is_async, function.where) == ("rings", True, f"{made.path}:12")
    assert [trigger.kind for trigger in function.triggers] == ["bell", "bell"]
    assert [trigger.text for trigger in function.triggers] == ["Bell(pitch=880)", "Bell()"]
    assert msgspec.json.decode(function.triggers[0].fields, type=made.Bell) == made.Bell(880)


def test_a_filter_is_part_of_its_trigger_and_not_of_what_the_trigger_remembers(declare):
    made = declare(
        """
@app.function(Bell(880, filter={"data": {"tags": ("x", "y")}}), Bell(880))
def handler(event): ...
"""
    )
    filtered, plain = made.app.manifest().functions[0].triggers
    assert filtered.text == "Bell(pitch=880, filter={'data': {'tags': ('x', 'y')}})"
    trigger = msgspec.json.decode(filtered.fields, type=made.Bell)
    assert trigger.filter == {"data": {"tags": ["x", "y"]}}
    assert trigger.identity() == msgspec.json.decode(plain.fields, type=made.Bell).identity()
    assert trigger.identity() == '{"trigger":"bell","pitch":880}'


def test_of_a_url_in_a_trigger_only_the_host_is_shown(declare):
    made = declare(
        """
class Tap(Trigger, frozen=True):
    url: str
    on_failure: str | None = None

@app.function(Tap("redis://:secret@host:6379/0", on_failure="function:handler"), on_success="queue:done")
def handler(event): ...

@app.function(Tap("redis://host", on_failure="function:handler"))
def other(event): ...
"""
    )
    function = made.app.definitions["handler"].function
    assert function.triggers[0].text == "Tap(url='redis://host:6379/...', on_failure='function:handler')"
    assert function.destinations() == [("on_success", "queue:done"), ("tap: on_failure", "function:handler")]
    with pytest.raises(ConfigurationError, match="'handler': tap: on_failure names the function itself"):
        made.app.manifest()


def test_limits_are_lambdas_and_can_be_raised(declare):
    limits = Limits()
    assert (limits.memory, limits.timeout, limits.ephemeral_storage) == (10_240, 900.0, 10_240)
    assert (limits.concurrency, limits.depth) == (1_000, 16)
    assert (limits.request_payload, limits.response_payload) == (6_291_456, 6_291_556)
    assert limits.asynchronous_payload == 1_048_576
    made = declare(
        f"app = App('long', limits=Limits(timeout=7200, memory=65_536))\n"
        f"@app.function(timeout=7200, memory=65_536)\n{HANDLER}"
    )
    assert made.app.manifest().functions[0].timeout == 7200
    with pytest.raises(AttributeError):
        limits.timeout = 5


def test_an_app_knows_where_it_was_made():
    app = App("here")
    assert (app.name, app.file, app.directory) == ("here", Path(__file__), Path(__file__).parent)
    assert app.module == __name__
    assert repr(app) == "<App 'here': no functions>"

    @app.function()
    def handler(event): ...

    assert repr(app) == "<App 'here': handler>"


def test_apps_share_nothing():
    first, second = App("first"), App("second")
    first.function()(test_apps_share_nothing)
    assert second.definitions == {}
    assert second.limits == Limits()


def test_on_start_takes_a_builtin_that_does_not_tell_its_parameters():
    app = App("shop")
    assert app.on_start(int) is int
    assert app.starters == [int]


def test_on_start_returns_the_same_function():
    app = App("starts")

    def connect() -> int:
        return 5

    assert app.on_start(connect) is connect
    assert connect() == 5


STARTS = """
import os
from fnframe import App
app = App("starts")
order = []

@app.on_start
def first():
    order.append(["first", os.getpid()])

@app.on_start
def second():
    order.append(["second", os.getpid()])

@app.function()
def started():
    return order, os.getpid()
"""


@pytest.mark.anyio
async def test_start_functions_run_in_order_in_each_environment(write_app):
    async with run_target(write_app(STARTS)) as running:
        order, pid = (await running.invoke("started")).unwrap()
        assert order == [["first", pid], ["second", pid]]
        assert (await running.invoke("started")).unwrap() == [order, pid]


@pytest.mark.anyio
async def test_a_start_function_that_raises_fails_the_invocation_that_waited(write_app):
    source = STARTS.replace('order.append(["second", os.getpid()])', "raise ValueError('no database')")
    async with run_target(write_app(source)) as running:
        outcome = await running.invoke("started")
    assert isinstance(outcome, Failure)
    assert (outcome.error_type, outcome.message) == ("ValueError", "no database")
    assert "in second" in outcome.stack_trace[0]


@pytest.mark.anyio
async def test_an_app_that_is_refused_does_not_start_and_tells_the_line(write_app):
    path = write_app("from fnframe import App\napp = App('x')\n\n@app.function(memory=5)\ndef handler(event): ...\n")
    with pytest.raises(ConfigurationError) as caught:
        async with run_target(path):
            pass
    assert caught.value.where == f"{path}:4"
    assert "memory must lie between 128 and 10,240 MB, found 5" in str(caught.value)
