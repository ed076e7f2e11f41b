"""How a handler is called: its parameters, the type that its annotation asks for, and its return value."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from .context import Context
from .errors import ConfigurationError
from .event import JSON, Event, decode_json

Decode = Callable[[Event], Any]
Complete = Callable[[Any, Any], Any]


class InvalidEvent(Exception):
    """The event's data does not fit the handler's annotation; the text names the field."""


class Signature(NamedTuple):
    """How to call a handler: how many arguments it takes, what makes the first of an event, and of which type it is.

    `complete` makes the result of that argument and what the handler returned, where the argument has a say in it.
    """

    arguments: int
    decode: Decode
    annotation: Any = Any
    complete: Complete | None = None


def signature_of(handler: Callable[..., Any]) -> Signature:
    """Raises as `parameters` and `annotation_of` do, and `TypeError` for a type that data cannot be decoded to."""
    arguments, annotation = parameters(handler), annotation_of(handler)
    complete = getattr(get_origin(annotation) or annotation, "complete", None) if _is_own(annotation) else None
    return Signature(arguments, decoder_for(annotation), annotation, complete)


def parameters(handler: Callable[..., Any]) -> int:
    """How many arguments the handler takes: none, the event, or the event and the context.

    Raises `TypeError` that says what was expected and found, for anything else.
    """
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise TypeError("a handler returns its result, found a generator (`yield`)")
    signature = inspect.signature(handler)
    positional = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    keyword_only = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(required) > 2 or keyword_only:
        raise TypeError(f"a handler takes (), (event) or (event, context), found {signature}")
    return min(len(positional), 2)


def annotation_of(handler: Callable[..., Any]) -> Any:
    """The annotation of the handler's first parameter, `Any` where it has none.

    Raises `TypeError` when it is no type, `NameError` when it names something that does not exist (yet).
    """
    names = list(inspect.signature(handler).parameters)
    function = inspect.unwrap(handler)
    annotation = getattr(function, "__annotations__", {}).get(names[0], Any) if names else Any
    # Alone: what the others name may be there for type checkers only.
    first = types.SimpleNamespace(__annotations__={"event": annotation})
    return get_type_hints(first, getattr(function, "__globals__", {}), include_extras=True)["event"]


def decoder_for(annotation: Any) -> Decode:
    """The decoder for a type: `Event`, bytes, a class with `from_event`, a pydantic model, or what msgspec knows.

    Raises `TypeError` when data cannot be decoded to it.
    """
    if annotation is Event:
        return _identity
    if annotation is Context:
        raise TypeError("the first parameter gets the event, the second the context: (event, context: Context)")
    if annotation is bytes:
        return _data
    if _is_own(annotation):
        from_event = (get_origin(annotation) or annotation).from_event
        arguments = get_args(annotation)
        for argument in arguments:
            decoder_for(argument)  # Refused here rather than at the first event.
        return lambda event: _fitting(from_event, event, *arguments)
    if annotation is Any or annotation is inspect.Parameter.empty:
        return _plain
    if _is_pydantic(annotation):
        validate = annotation.model_validate_json
        return lambda event: _fitting(validate, event.data)
    decode = msgspec.json.Decoder(annotation, dec_hook=_decode_foreign).decode
    _refuse_unknown_types(annotation)
    return lambda event: _fitting(decode, event.data)


def is_one_value(annotation: Any) -> bool:
    """Whether a handler with this annotation takes the data of one record: not a list, nor what reads the event."""
    if annotation in (Any, inspect.Parameter.empty, Event, bytes) or _is_own(annotation):
        return False
    several = msgspec.inspect.AnyType, msgspec.inspect.CollectionType, msgspec.inspect.TupleType
    described = msgspec.inspect.type_info(annotation)
    types_ = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
    return not any(isinstance(type_, several) for type_ in types_)


def _is_own(annotation: Any) -> bool:
    """Whether it is a type of a trigger's own (a request, a batch), which makes itself from the whole envelope."""
    return hasattr(get_origin(annotation) or annotation, "from_event")


def encode_result(value: Any) -> tuple[str, bytes]:
    """Content type and payload of a handler's return value. Raises `TypeError` when it cannot be encoded.

    Bytes stay as they are; an object with `to_payload()` says itself; anything else becomes JSON.
    """
    if isinstance(value, bytes):
        return "application/octet-stream", value if type(value) is bytes else bytes(memoryview(value))
    to_payload = getattr(value, "to_payload", None)
    if to_payload is not None and not isinstance(value, type):
        content_type, payload = to_payload()
        if type(content_type) is not str or type(payload) is not bytes:
            raise TypeError(
                f"to_payload() must return (str, bytes), found ({content_type!r}, {type(payload).__name__})"
            )
        return content_type, payload
    return JSON, _encoder.encode(value)


def _identity(event: Event) -> Event:
    return event


def _data(event: Event) -> bytes:
    return event.data


def _plain(event: Event) -> Any:
    return _fitting(decode_json, event.data) if event.data else None


def _fitting(decode: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return decode(*arguments)
    except (msgspec.DecodeError, ValueError) as error:
        raise InvalidEvent("it has no data" if arguments[0] == b"" else _problem(error)) from None
    except RecursionError:
        raise InvalidEvent("it is nested too deep") from None


def _problem(error: msgspec.DecodeError | ValueError) -> str:
    if isinstance(error, msgspec.DecodeError):
        return _joined(str(error)) if isinstance(error.__cause__, _Inside) else str(error)
    return _pydantic_problem(error) or str(error)


def _is_pydantic(annotation: Any) -> bool:
    # A signature can only name a model if pydantic is imported; fnframe itself never does.
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel)


def _decode_foreign(type_: type, value: Any) -> Any:
    """msgspec asks here for types that it does not know: pydantic models inside other types."""
    if _is_pydantic(type_):
        try:
            return type_.model_validate(value)  # type: ignore[attr-defined]
        except ValueError as error:
            raise _Inside(_pydantic_problem(error) or str(error)) from None
    raise TypeError(f"{type_!r} cannot be decoded from data")


class _Inside(ValueError):
    """A model inside another type does not fit: msgspec adds where the model is to where in it."""


def _joined(problem: str) -> str:
    """`text - at `$.width` - at `$.size`` with one path, `$.size.width`."""
    text, inner, *outer = problem.rsplit(" - at `$", 2)
    return f"{text} - at `${outer[0][:-1]}{inner}" if outer else problem


def _pydantic_problem(error: ValueError) -> str | None:
    """The first problem of a pydantic error in msgspec's words: message and path."""
    if not hasattr(error, "errors"):
        return None
    first = error.errors()[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    return f"{first['msg']} - at `${path}`"


def _encode_foreign(value: Any) -> Any:
    if _is_pydantic(type(value)):
        return value.model_dump(mode="json")
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_encoder = msgspec.json.Encoder(enc_hook=_encode_foreign)


def _refuse_unknown_types(annotation: Any) -> None:
    """Refuse at the decorator what msgspec would refuse at the first event: a class it cannot fill."""
    unknown = _unknown(msgspec.inspect.type_info(annotation), set())
    if unknown is not None:
        raise TypeError(
            f"an event cannot be decoded to {unknown!r}: use a msgspec Struct, a dataclass, a TypedDict, an attrs "
            "class, a pydantic model, plain types, `Event`, or a class with `from_event(event)`"
        )


def _unknown(described: Any, seen: set[int]) -> Any:
    """The first class in a type, however deep, that nobody can fill."""
    if isinstance(described, msgspec.inspect.CustomType):
        return None if _is_pydantic(described.cls) else described.cls
    if isinstance(described, (list, tuple)):
        return next((found for part in described if (found := _unknown(part, seen)) is not None), None)
    if not isinstance(described, (msgspec.inspect.Type, msgspec.inspect.Field)) or id(described) in seen:
        return None
    seen.add(id(described))
    return _unknown([getattr(described, name) for name in described.__struct_fields__], seen)


def where_defined(handler: Callable[..., Any]) -> str:
    """`path/to/file.py:12`, the line of the function's first decorator."""
    code = getattr(inspect.unwrap(handler), "__code__", None)
    if code is None:
        raise ConfigurationError(f"a handler must be a Python function, found {handler!r}")
    return f"{code.co_filename}:{code.co_firstlineno}"
