"""Typed events: the annotation of a handler's first parameter is what its events are decoded to."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import importlib.util
import itertools
import sys
import uuid
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar, Union

import attrs
import msgspec
import pydantic
import pytest

from fnframe import App, ConfigurationError, Event, InvalidEvent, schema
from fnframe.event import now
from fnframe.runtime.run import run_target

T = TypeVar("T")
_numbers = itertools.count()


class Item(msgspec.Struct):
    name: str
    count: int = 1


class Order(msgspec.Struct):
    id: int
    items: list[Item] = []


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    name: str


class Tree(msgspec.Struct):
    value: int
    left: Tree | None = None


class Page(msgspec.Struct, Generic[T]):
    rows: list[T]


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


@attrs.define
class Person:
    name: str
    age: int = attrs.field(default=0)


class Address(TypedDict):
    street: str
    number: int


class Pair(NamedTuple):
    left: int
    right: str


class Colour(enum.Enum):
    RED = "red"


class Size(pydantic.BaseModel):
    width: int
    tags: list[str] = []


class Rows(pydantic.RootModel[list[int]]):
    pass


class Box(msgspec.Struct):
    size: Size
    others: list[Size] = []


@dataclasses.dataclass
class Shelf:
    sizes: dict[str, Size]


class Request:
    """A trigger's own type: it makes itself from the whole envelope."""

    def __init__(self, id: str) -> None:  # noqa: A002
        self.id = id

    @classmethod
    def from_event(cls, event: Event) -> Request:
        if event.subject == "bad":
            raise ValueError("no request in this event")
        return cls(event.id)


class Batch(Generic[T]):
    """A trigger's own generic type: it is told its arguments."""

    def __init__(self, records: list[T]) -> None:
        self.records = records

    @classmethod
    def from_event(cls, event: Event, record: Any = Any) -> Batch[T]:
        return cls(msgspec.json.decode(event.data, type=list[record]))


class Foreign:
    """A class that nobody knows how to fill."""


class WithForeign(msgspec.Struct):
    inner: Foreign


class Deeper(msgspec.Struct):
    rows: list[WithForeign]


def event_of(data: bytes, **attributes: Any) -> Event:
    return Event(id="e-1", source="/s", type="t", time=now(), data=data, **attributes)


def decoded(annotation: Any, data: bytes) -> Any:
    return schema.decoder_for(annotation)(event_of(data))


@pytest.mark.parametrize(
    ("annotation", "data", "value"),
    [
        (Order, b'{"id": 1, "items": [{"name": "a"}]}', Order(1, [Item("a")])),
        (Tree, b'{"value": 1, "left": {"value": 2}}', Tree(1, Tree(2))),
        (Page[Item], b'{"rows": [{"name": "a"}]}', Page([Item("a")])),
        (Cat | Dog, b'{"type": "Dog", "name": "rex"}', Dog("rex")),
        (Point, b'{"x": 1}', Point(1)),
        (Person, b'{"name": "a", "age": 3}', Person("a", 3)),
        (Address, b'{"street": "a", "number": 3}', {"street": "a", "number": 3}),
        (Pair, b'[1, "a"]', Pair(1, "a")),
        (Colour, b'"red"', Colour.RED),
        (Literal["a", "b"], b'"b"', "b"),
        (Annotated[int, msgspec.Meta(ge=1)], b"1", 1),
        (Size, b'{"width": 1}', Size(width=1)),
        (Rows, b"[1, 2]", Rows([1, 2])),
        (Box, b'{"size": {"width": 1}, "others": [{"width": 2}]}', Box(Size(width=1), [Size(width=2)])),
        (Shelf, b'{"sizes": {"a": {"width": 1}}}', Shelf({"a": Size(width=1)})),
        (list[Size], b'[{"width": 1}]', [Size(width=1)]),
        (Optional[Order], b"null", None),  # noqa: UP045  as users write it
        (Optional[Order], b'{"id": 1}', Order(1)),  # noqa: UP045
        (Order | None, b'{"id": 1}', Order(1)),
        (Size | None, b'{"width": 1}', Size(width=1)),
        (Size | None, b"null", None),
        (Union[int, str], b'"a"', "a"),  # noqa: UP007
        (int | list[str] | None, b'["a"]', ["a"]),
        (dict, b'{"a": 1}', {"a": 1}),
        (dict[str, int], b'{"a": 1}', {"a": 1}),
        (list, b"[1]", [1]),
        (tuple[int, ...], b"[1, 2]", (1, 2)),
        (set[int], b"[1, 1]", {1}),
        (str, b'"a"', "a"),
        (int, b"1", 1),
        (float, b"1", 1.0),
        (bool, b"true", True),
        (None, b"null", None),
        (dt.datetime, b'"2026-01-02T03:04:05Z"', dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)),
        (dt.date, b'"2026-01-02"', dt.date(2026, 1, 2)),
        (decimal.Decimal, b'"1.10"', decimal.Decimal("1.10")),
        (uuid.UUID, b'"0af76519-16cd-43dd-8448-eb211c80319c"', uuid.UUID("0af7651916cd43dd8448eb211c80319c")),
        (Any, b'{"a": [1, null]}', {"a": [1, None]}),
        (Any, b"", None),
        (bytes, b"\x00\xff{", b"\x00\xff{"),
        (bytes, b"", b""),
    ],
)
def test_data_becomes_what_the_annotation_says(annotation, data, value):
    result = decoded(annotation, data)
    assert result == value
    assert type(result) is type(value)


def test_event_is_the_whole_envelope():
    event = event_of(b"\xff", subject="x")
    assert schema.decoder_for(Event)(event) is event


def test_a_class_makes_itself_from_the_event():
    assert schema.decoder_for(Request)(event_of(b"")).id == "e-1"
    with pytest.raises(InvalidEvent, match="no request in this event"):
        schema.decoder_for(Request)(event_of(b"", subject="bad"))


def test_a_generic_class_is_told_its_arguments():
    assert decoded(Batch[Item], b'[{"name": "a"}]').records == [Item("a")]
    assert decoded(Batch, b'[{"name": "a"}]').records == [{"name": "a"}]
    with pytest.raises(InvalidEvent, match=r"\$\[0\].name"):
        decoded(Batch[Item], b'[{"name": 1}]')


@pytest.mark.parametrize(
    ("annotation", "data", "words"),
    [
        (Order, b'{"id": "1"}', ["Expected `int`, got `str`", "`$.id`"]),
        (Order, b'{"id": 1, "items": [{"name": "a"}, {"name": 2}]}', ["`$.items[1].name`"]),
        (Order, b'{"items": []}', ["missing required field `id`"]),
        (Order, b"[]", ["Expected `object`, got `array`"]),
        (Order, b"", ["it has no data"]),
        (Order, b"{", ["truncated"]),
        (Order, b'{"id": "\xff"}', []),
        (Page[Item], b'{"rows": [{}]}', ["`$.rows[0]`", "name"]),
        (Point, b'{"x": 1.5}', ["`$.x`"]),
        (Person, b'{"name": "a", "age": "b"}', ["`$.age`"]),
        (Address, b'{"street": "a"}', ["number"]),
        (Address, b'{"street": "a", "number": "3"}', ["`$.number`"]),
        (dict[str, int], b'{"a": "b"}', ["Expected `int`", "$[...]"]),
        (Order | None, b"5", ["Expected `object | null`, got `int`"]),
        (Colour, b'"blue"', ["blue"]),
        (Annotated[int, msgspec.Meta(ge=1)], b"0", [">= 1"]),
        (Any, b"{not json", ["malformed"]),
        (Any, b"1 2", ["trailing"]),
        (Size, b'{"width": "x"}', ["valid integer", "`$.width`"]),
        (Size, b'{"width": 1, "tags": ["a", 2]}', ["valid string", "`$.tags[1]`"]),
        (Size, b"{}", ["Field required", "`$.width`"]),
        (Size, b"{", ["Invalid JSON"]),
        (Size, b"", ["it has no data"]),
        (Size | None, b'{"width": "x"}', ["valid integer", "`$.width`"]),
        (Rows, b'[1, "x"]', ["valid integer", "`$[1]`"]),
        (Box, b'{"size": {"width": "x"}}', ["valid integer", "`$.size.width`"]),
        (Box, b'{"size": {"width": 1}, "others": [{"width": 1}, {"tags": []}]}', ["`$.others[1].width`"]),
        (list[Size], b'[{"width": 1, "tags": [1]}]', ["`$[0].tags[0]`"]),
    ],
)
def test_data_that_does_not_fit_names_the_field(annotation, data, words):
    with pytest.raises(InvalidEvent) as caught:
        decoded(annotation, data)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).count(" - at `$") <= 1


@pytest.mark.parametrize(
    "annotation",
    [
        Foreign,
        Foreign | None,
        Optional[Foreign],  # noqa: UP045
        list[Foreign],
        dict[str, Foreign],
        tuple[int, Foreign],
        WithForeign,
        Deeper,
        Page[Foreign],
        Annotated[Foreign, "a note"],
    ],
)
def test_what_nothing_can_be_decoded_to_is_refused_at_once(annotation):
    with pytest.raises(TypeError) as caught:
        schema.decoder_for(annotation)
    assert "Foreign" in str(caught.value)
    assert "use a msgspec Struct, a dataclass, a TypedDict, an attrs class, a pydantic model" in str(caught.value)


@pytest.mark.parametrize("annotation", [Order | Item, Point | Person, list[Order | Size]])
def test_what_msgspec_refuses_is_refused_at_once(annotation):
    with pytest.raises(TypeError):
        schema.decoder_for(annotation)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Import a source from a file of its own."""

    def module(source: str) -> Any:
        name = f"schema_module_{next(_numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        made = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, made)
        spec.loader.exec_module(made)
        return made

    return module


HEAD = "from fnframe import App, Context, Event\nimport msgspec\nclass Order(msgspec.Struct):\n    id: int\n"


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
@pytest.mark.parametrize(
    ("parameters", "arguments", "type_name"),
    [
        ("", 0, "NoneType"),
        ("event", 1, "dict"),
        ("event, context", 2, "dict"),
        ("event: Order", 1, "Order"),
        ("event: 'Order'", 1, "Order"),
        ("event: 'Order | None'", 1, "Order"),
        ("event: dict, context: Context", 2, "dict"),
        ("event: Event, context: 'Context'", 2, "Event"),
        ("event: bytes", 1, "bytes"),
        ("event: Order, /, context=None", 2, "Order"),
        ("event: Order, *, flag: bool = False", 1, "Order"),
        ("event: Order = None", 1, "Order"),
    ],
)
@pytest.mark.parametrize("define", ["def", "async def"])
def test_how_a_handler_is_called(module, future, parameters, arguments, type_name, define):
    handler = module(f"{future}{HEAD}{define} handler({parameters}): ...\n").handler
    signature = schema.signature_of(handler)
    assert signature.arguments == arguments
    if arguments:
        assert type(signature.decode(event_of(b'{"id": 1}'))).__name__ == type_name


@pytest.mark.parametrize(
    "parameters", ["a, b, c", "event, context, /, third", "event, *, flag", "event: Order, context, *, flag: int"]
)
def test_a_handler_of_another_shape_is_refused(module, parameters):
    handler = module(f"{HEAD}def handler({parameters}): ...\n").handler
    with pytest.raises(TypeError, match=r"a handler takes \(\), \(event\) or \(event, context\), found \("):
        schema.signature_of(handler)


def test_a_method_and_a_wrapped_function_are_handlers(module):
    made = module(
        HEAD
        + """
import functools
class Service:
    def handle(self, event: Order): ...

def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)
    return wrapper

@logged
def wrapped(event: Order, context): ...
service = Service()
"""
    )
    for handler, arguments in ((made.service.handle, 1), (made.wrapped, 2)):
        signature = schema.signature_of(handler)
        assert signature.arguments == arguments
        assert signature.decode(event_of(b'{"id": 1}')) == made.Order(1)


def test_a_type_that_is_defined_further_down_is_looked_for_again(module):
    made = module(
        """
from __future__ import annotations
from fnframe import App
import msgspec
app = App("forward")

@app.function()
def handler(event: Order): ...

early = set(app.signatures)

class Order(msgspec.Struct):
    lines: list[Line]

class Line(msgspec.Struct):
    id: int
"""
    )
    assert made.early == set()
    signature = schema.signature_of(made.app.definitions["handler"].handler)
    assert signature.decode(event_of(b'{"lines": [{"id": 1}]}')) == made.Order([made.Line(1)])


FORWARD = """
from __future__ import annotations
from typing import TYPE_CHECKING
import msgspec
from fnframe import App
if TYPE_CHECKING:
    from fnframe import Context
app = App("forward")

@app.function({options})
async def handler({parameters}):
    return event

class Order(msgspec.Struct):
    id: int
"""


@pytest.mark.anyio
@pytest.mark.parametrize("options", ["", "isolation='inline'"])
async def test_a_forward_reference_works_where_it_runs(write_app, options):
    """The decorator cannot know the type yet: whoever runs the function looks again, in a worker and inline."""
    app = write_app(FORWARD.format(options=options, parameters="event: Order"))
    async with run_target(app) as running:
        assert (await running.invoke("handler", {"id": 1})).unwrap() == {"id": 1}
        assert (await running.invoke("handler", {"id": "x"})).error_type == "Runtime.UnmarshalError"


@pytest.mark.anyio
async def test_only_the_first_parameters_annotation_matters(write_app):
    """`Context` is only an annotation, so type checkers' users and ruff move its import under TYPE_CHECKING."""
    app = write_app(FORWARD.format(options="", parameters="event: Order, context: Context"))
    async with run_target(app) as running:
        assert (await running.invoke("handler", {"id": 1})).unwrap() == {"id": 1}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # It is the template that refuses, and it has no event loop.
@pytest.mark.parametrize(
    ("annotation", "word"),
    [("Ordr", "Ordr"), ("msgspec.Nothing", "Nothing"), ("'not a type'", "not a type"), ("'1'", "1")],
)
async def test_an_annotation_that_names_nothing_is_refused_with_its_line(write_app, annotation, word):
    app = write_app(FORWARD.format(options="", parameters=f"event: {annotation}"))
    with pytest.raises(ConfigurationError) as caught:
        async with run_target(app):
            pass
    assert caught.value.where == f"{app}:10"
    assert word in caught.value.problem
    assert "function 'handler'" in caught.value.problem


def test_an_annotation_that_cannot_be_decoded_is_refused_at_the_decorators_line():
    app = App("refused")
    with pytest.raises(ConfigurationError) as caught:

        @app.function()
        def handler(event: Foreign) -> None: ...

    line = sys._getframe().f_code.co_firstlineno + 4
    assert caught.value.where == f"{__file__}:{line}"
    assert "function 'handler': an event cannot be decoded to" in caught.value.problem


class Answer:
    def to_payload(self) -> tuple[str, bytes]:
        return "text/plain", b"hello"


@pytest.mark.parametrize(
    ("value", "content_type", "payload"),
    [
        (None, "application/json", b"null"),
        ({"a": [1, 2.5, None, "ü"]}, "application/json", '{"a":[1,2.5,null,"ü"]}'.encode()),
        ("text", "application/json", b'"text"'),
        (b"\x00\xff", "application/octet-stream", b"\x00\xff"),
        (b"", "application/octet-stream", b""),
        (Order(1, [Item("a")]), "application/json", b'{"id":1,"items":[{"name":"a","count":1}]}'),
        (Dog("rex"), "application/json", b'{"type":"Dog","name":"rex"}'),
        (Point(1, 2), "application/json", b'{"x":1,"y":2}'),
        (Pair(1, "a"), "application/json", b'[1,"a"]'),
        (Colour.RED, "application/json", b'"red"'),
        (Size(width=1), "application/json", b'{"width":1,"tags":[]}'),
        ({"sizes": [Size(width=1)]}, "application/json", b'{"sizes":[{"width":1,"tags":[]}]}'),
        (Box(Size(width=1)), "application/json", b'{"size":{"width":1,"tags":[]},"others":[]}'),
        ({1, 2}, "application/json", b"[1,2]"),
        ((1, 2), "application/json", b"[1,2]"),
        ({1: "a"}, "application/json", b'{"1":"a"}'),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "application/json", b'"2026-01-02T00:00:00Z"'),
        (decimal.Decimal("1.10"), "application/json", b'"1.10"'),
        (uuid.UUID(int=1), "application/json", b'"00000000-0000-0000-0000-000000000001"'),
        (msgspec.Raw(b"[1]"), "application/json", b"[1]"),
        (Answer(), "text/plain", b"hello"),
    ],
)
def test_results_are_encoded(value, content_type, payload):
    assert schema.encode_result(value) == (content_type, payload)


@pytest.mark.parametrize("value", [object(), [object()], {"a": Foreign()}, {(1, 2): 3}, {b"a": Foreign()}, 1j, Answer])
def test_a_result_that_cannot_be_encoded_says_what_it_is(value):
    with pytest.raises(TypeError):
        schema.encode_result(value)


def test_what_was_encoded_is_decoded_to_the_same():
    for value in (Order(1, [Item("a")]), Box(Size(width=1)), Point(1, 2), Person("a", 1)):
        assert decoded(type(value), schema.encode_result(value)[1]) == value


def test_what_is_nested_too_deep_does_not_fit():
    event = Event(id="1", source="", type="", time=now(), data=b"[" * 100_000 + b"]" * 100_000)
    for annotation in (Any, dict[str, Any], list[int]):
        with pytest.raises(InvalidEvent):
            schema.decoder_for(annotation)(event)
