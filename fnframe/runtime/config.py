"""The settings of a running app: from fnframe.toml, the environment and the caller, decoded strictly."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ..errors import ConfigurationError, nearest
from ..function import StartMethod
from . import config_file

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "FNFRAME_"

NOT_SETTINGS = frozenset({"FNFRAME_FUNCTION", "FNFRAME_ENVIRONMENT", "FNFRAME_TEMPLATE"})
"""Variables that fnframe sets in an environment itself; a handler may start a program that reads settings."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an app runs. Every field but the last two is a key or table of fnframe.toml, times are in seconds.

    `engine` is the URL of where events wait, and `engines` names other engines for single queues and streams,
    `{"queue:orders": "memory:"}`. A stream has `stream_partitions` from its beginning on, and keeps a record for
    `stream_retention` seconds, of each partition the newest `stream_records` (None: as many as the engine likes).
    `max_environments` bounds the processes (None: 4 for each core it may use), and `max_waiting` the invocations that
    wait for one before they are throttled. An environment that was idle for `idle_timeout` is ended. `start_method`
    says whether environments are forked from the template or spawned as fresh interpreters (None: forked where that is
    safe). `queue_bound` is the number of events that a queue accepts. When the app ends, what runs has `grace` to
    finish. What a host that dies has taken from queues and streams comes to another after `lease`. Retries wait a
    random time that doubles from `retry_base` up to `retry_cap`. `log_format` is the form of the log lines of
    `fnframe run` (None: the command's own).

    `tables` holds the settings of each kind of trigger or environment and of each plugin that has some, from the
    table of its name; `sources` tells for each key that was set where it was.
    """

    engine: str = "memory:"
    engines: dict[str, str] = {}
    max_environments: Count | None = None
    max_waiting: Annotated[int, msgspec.Meta(ge=0)] = 1000
    idle_timeout: Seconds = 300.0
    start_method: StartMethod | None = None
    queue_bound: Count = 100_000
    stream_partitions: Count = 4
    stream_retention: Seconds = 86_400.0
    stream_records: Count | None = None
    grace: Seconds = 10.0
    lease: Annotated[float, msgspec.Meta(ge=1)] = 30.0
    retry_base: Seconds = 0.2
    retry_cap: Seconds = 60.0
    log_format: Literal["text", "json"] | None = None
    tables: dict[str, msgspec.Struct] = {}
    sources: dict[str, str] = {}


class Given(NamedTuple):
    """A value that was set, and where: for messages, and for `Settings.sources`."""

    value: Any
    where: str
    is_text: bool = False


def load_settings(
    directory: Path,
    tables: Mapping[str, type[msgspec.Struct]],
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings for the app in `directory`; what comes later wins.

    Defaults; fnframe.toml, or [tool.fnframe] in pyproject.toml; variables (`FNFRAME_ENGINE`,
    `FNFRAME_HTTP_PORT` for the key `port` of the table `http`); `overrides`, whose keys may be dotted
    (`"http.port"`) or whose values may be tables. Text from a variable, and from an override where the key is
    no text, is converted. `tables` are the types of the tables by name.
    Raises `ConfigurationError` that says where, which key, what was expected and what was found.
    """
    keys = _keys(tables)
    given = {key: Given(value, where) for key, value, where in config_file.read(directory)}
    for name, text in environ.items():
        if name.startswith(PREFIX) and name not in NOT_SETTINGS:
            given[_key_of_variable(name, keys)] = Given(text, f"environment variable {name}", is_text=True)
    for key, value in _flattened(overrides or {}):
        given[key] = Given(value, "set in the call, or with --set", is_text=isinstance(value, str))
    engines = _engines(given)
    for table in tables:
        if table in given and given[table].value == {}:
            del given[table]
    for key, found in given.items():
        if key not in keys:
            raise ConfigurationError(_unknown(key, keys, is_table=found.value == {}), where=found.where)
    values = {key: _decoded(key, found, keys[key]) for key, found in given.items()}
    return Settings(
        **{key: value for key, value in values.items() if "." not in key},
        engines={name: found.value for name, found in engines.items()},
        tables={name: _table(name, type_, values, given) for name, type_ in tables.items()},
        sources={key: found.where for key, found in given.items()}
        | {f"engines.{name}": found.where for name, found in engines.items()},
    )


def log_format(directory: Path, environ: Mapping[str, str] = os.environ) -> Literal["text", "json"] | None:
    """The setting `log_format` alone: who writes log lines needs it before plugins are there."""
    given = {key: Given(value, where) for key, value, where in config_file.read(directory)}
    variable = f"{PREFIX}LOG_FORMAT"
    if variable in environ:
        given["log_format"] = Given(environ[variable], f"environment variable {variable}", is_text=True)
    found = given.get("log_format")
    return _decoded("log_format", found, _keys({})["log_format"]) if found else None


def _flattened(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", setting) for name, setting in value.items())
        else:
            yield key, value


def _keys(tables: Mapping[str, type[msgspec.Struct]]) -> dict[str, Any]:
    """Every key that may be set, dotted, with its type."""
    own = msgspec.structs.fields(Settings)
    keys = {field.encode_name: field.type for field in own if field.name not in ("engines", "tables", "sources")}
    for name, type_ in tables.items():
        for field in msgspec.structs.fields(type_):
            keys[f"{name}.{field.encode_name}"] = field.type
    return keys


def _key_of_variable(name: str, keys: Mapping[str, Any]) -> str:
    variables = {PREFIX + key.replace(".", "_").upper(): key for key in [*keys, "engines"]}
    if name not in variables:
        problem = f"no setting has the variable {name}{nearest(name, variables) or _listed(variables)}"
        raise ConfigurationError(problem, where="environment")
    return variables[name]


def _engines(given: dict[str, Given]) -> dict[str, Given]:
    """Take the table `[engines]`, whose keys are names of queues and streams, out of what was given."""
    table = given.pop("engines", Given({}, ""))
    if table.value != {}:
        urls = _decoded("engines", table, dict[str, str])
        given |= {f"engines.{name}": Given(url, table.where) for name, url in urls.items()}
    found = {key.removeprefix("engines."): given.pop(key) for key in list(given) if key.startswith("engines.")}
    for name, (url, where, _) in found.items():
        kind, _, rest = name.partition(":")
        if kind not in ("queue", "stream") or not rest:
            problem = f"[engines] names queues and streams, as 'queue:orders' or 'stream:clicks'; found {name!r}"
            raise ConfigurationError(problem, where=where)
        if not isinstance(url, str):
            raise ConfigurationError(f"engines.{name}: expected an engine's URL, found {url!r}", where=where)
    return found


def _unknown(key: str, keys: Mapping[str, Any], *, is_table: bool) -> str:
    table, dot, _ = key.partition(".")
    tables = {"engines", *(known.partition(".")[0] for known in keys if "." in known)}
    if (dot or is_table) and table not in tables:
        close = difflib.get_close_matches(table, tables, n=1)
        here = f"; tables here: {', '.join(f'[{known}]' for known in sorted(tables))}" if tables else ""
        hint = f", did you mean [{close[0]}]?" if close else here
        return f"unknown table [{table}]{hint} (installed plugins have them: `fnframe plugins`)"
    if key in tables:
        return f"{key!r} is a table: set {', '.join(sorted(known for known in keys if known.startswith(f'{key}.')))}"
    siblings = [known for known in keys if known.startswith(f"{table}." if dot else "")]
    return f"unknown key {key!r}{nearest(key, [*siblings, *tables]) or _listed(siblings)}"


def _listed(known: Mapping[str, Any] | list[str]) -> str:
    return f"; known are: {', '.join(sorted(known))}"


def _decoded(key: str, given: Given, type_: Any) -> Any:
    try:
        if given.is_text and given.value.startswith(("[", "{")) and type_ is not str:
            return msgspec.json.decode(given.value, type=type_)
        return msgspec.convert(given.value, type_, strict=not given.is_text)
    except msgspec.DecodeError as error:
        problem, _, place = str(error).partition(" - at ")
        steps = _STEP.findall(place)
        found, inner = _inside(given.value, type_, steps)
        raise ConfigurationError(f"{key}{''.join(steps)}: {_told(problem, inner, found)}", where=given.where) from None


_STEP = re.compile(r"\[\d+\]|\.\w+")


def _inside(value: Any, type_: Any, steps: list[str]) -> tuple[Any, Any]:
    """What lies at a place of msgspec's, `$[0].port`, in a value and in its type; as far as they can be followed."""
    for step in steps:
        try:
            if step.startswith("["):
                value, type_ = value[int(step[1:-1])], get_args(type_)[0]
            else:
                value, type_ = value.get(step[1:]), get_type_hints(type_)[step[1:]]
        except (LookupError, TypeError, AttributeError):
            return value, None
    return value, type_


def _told(problem: str, type_: Any, found: Any) -> str:
    """What was expected, without msgspec's own words for what it found, which know no source."""
    literals = [part for part in (type_, *get_args(type_)) if get_origin(part) is Literal]
    if literals:
        return f"expected one of {', '.join(map(repr, get_args(literals[0])))}, found {found!r}"
    if not problem.startswith("Expected"):
        return problem  # The words of a type's own check, or of what is unknown or missing.
    expected = problem.partition(", got ")[0]
    return f"{expected[0].lower()}{expected[1:]}, found {found!r}"


def _table(
    name: str, type_: type[msgspec.Struct], values: Mapping[str, Any], given: Mapping[str, Given]
) -> msgspec.Struct:
    fields = {f"{name}.{field.encode_name}": field.name for field in msgspec.structs.fields(type_)}
    mine = [key for key in fields if key in values]
    try:
        return type_(**{fields[key]: values[key] for key in mine})
    except (TypeError, ValueError) as error:
        where = given[mine[0]].where if mine else None
        raise ConfigurationError(f"[{name}]: {error}", where=where) from None
