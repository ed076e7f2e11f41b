"""`fnframe doctor`: what is here, what will be in force, and where each setting comes from."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FAILED, message_of, shown
from .options import Assignments, Target, settings_of
from .signals import Stop, run_async

if TYPE_CHECKING:
    from ..runtime.plugins import Plugins
    from ..runtime.running import Running
    from .output import Terminal


SECRET = ("password", "secret", "token", "credential")


def doctor(target: Target | None = None, /, *, set_: Assignments = ()) -> int:
    """Tell what is installed, what the machine offers, what is in effect.

    Versions, plugins and why one is not used, features of the kernel. With a
    target also the app: how its environments are made and measured, where its
    events wait, and each setting with the place that it comes from.

    The exit status is 1 if something is wrong.
    """
    return run_async(partial(_doctor, target, settings_of(set_)))


async def _doctor(target: str | None, settings: dict[str, object], _: Stop) -> int:
    import logging

    from .output import terminal

    logging.getLogger("fnframe").setLevel(logging.ERROR)  # Each problem is told here.
    console = terminal()
    wrong = _tell_machine(console)
    wrong += _tell_plugins(console, target)
    if target is not None:
        wrong += await _tell_app(console, target, settings)
    console.print(f"\n{wrong} wrong" if wrong else "\nnothing wrong", style="bold red" if wrong else "bold green")
    return FAILED if wrong else 0


def _tell_machine(console: "Terminal") -> int:
    from .machine import findings, versions

    _heading(console, "versions")
    for line in versions():
        console.print(f"  {line}", soft_wrap=True)
    _heading(console, "machine")
    found = findings()
    for finding in found:
        _line(console, finding.state, finding.what, finding.told)
    return sum(finding.state == "bad" for finding in found)


def _tell_plugins(console: "Terminal", target: str | None) -> int:
    from ..errors import FnframeError

    _heading(console, "plugins")
    try:
        plugins = _plugins_of(target)
    except FnframeError as error:
        console.print(f"  {message_of(error)}", soft_wrap=True)
        return 1
    for plugin in plugins.found:
        package = f"{plugin.distribution} {plugin.version}" if plugin.distribution else shown(plugin.origin)
        told = f"not used: {plugin.problem}" if plugin.problem else f"loaded in {plugin.load_ms:.1f} ms"
        _line(console, "bad" if plugin.problem else "ok", plugin.name, f"{package}, {told}")
    wrong = sum(plugin.problem is not None for plugin in plugins.found)
    return wrong if target is not None else wrong + _tell_conflict(console, plugins)


def _tell_conflict(console: "Terminal", plugins: "Plugins") -> int:
    """Tell of plugins that disagree, which would end every app; of the app that is asked for its start tells it."""
    from ..errors import FnframeError
    from ..runtime.engines import engine_factories

    try:
        _ = plugins.settings_types, engine_factories(plugins)
    except FnframeError as error:
        console.print(f"  {message_of(error)}", soft_wrap=True)
        return 1
    return 0


def _plugins_of(target: str | None) -> "Plugins":
    from ..environment.target import directory_of
    from ..runtime.plugins import load_plugins

    return load_plugins(None if target is None else directory_of(target))


async def _tell_app(console: "Terminal", target: str, settings: dict[str, object]) -> int:
    from ..errors import FnframeError
    from ..runtime.run import run_target

    _heading(console, "app")
    try:
        async with run_target(target, settings=settings, serve="none") as running:
            wrong = _tell_running(console, running)
            _tell_settings(console, running)
    except FnframeError as error:
        console.print(message_of(error), soft_wrap=True)
        return 1
    return wrong


def _tell_running(console: "Terminal", running: "Running") -> int:
    from .output import counted

    manifest, pool = running.manifest, running.pool
    _line(console, "ok", manifest.app, counted(len(manifest.functions), "function"))
    if manifest.start_method == "spawn":
        reason = (
            f"its import left threads running: {', '.join(manifest.threads)}" if manifest.threads else "as it is set"
        )
        _line(console, "note", "environments", f"spawned, each of which imports the app ({reason})")
    else:
        _line(console, "ok", "environments", f"forked from the template, {pool.max_environments} at once")
    _line(
        console, "ok", "memory", f"{pool.memory_method}; importing the app takes {manifest.baseline_mb:.0f} MB of each"
    )
    inline = [function.name for function in manifest.functions if function.isolation == "inline"]
    if inline:
        _line(console, "note", "inline", f"{', '.join(inline)}: in the host's own loop, with no limit of memory")
    url, durable = _engine_of(running)
    folder = Path(manifest.directory) / ".fnframe"
    if durable and "engine" not in running.settings.sources and not _is_writable(folder):  # Of others, the start tells.
        _line(console, "bad", "engine", f"{_url(url)}: the folder {shown(str(folder))} cannot be written")
        return 1
    told = "outlives the process" if durable else "ends with the process"
    _line(console, "ok" if durable else "note", "engine", f"{_url(url)}, {told}")
    return 0


def _is_writable(folder: Path) -> bool:
    """Whether an engine can be in this folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and all(os.access(path, os.W_OK) for path in (there, *folder.glob("engine.db*")))


def _engine_of(running: "Running") -> tuple[str, bool]:
    """The engine that `fnframe run` uses, and whether it is durable. It is not opened: that would make its file."""
    from ..runtime.engines import durable_url

    if "engine" in running.settings.sources:
        return running.settings.engine, running.engine.durable
    url = durable_url(running.plugins)
    return url, url != "memory:"


def _tell_settings(console: "Terminal", running: "Running") -> None:
    _heading(console, "settings")
    rows = list(_values(running))
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        place = running.settings.sources.get(key)
        console.print(f"  {key:<{width}}  {_shown(key, value)}", end="", soft_wrap=True)
        console.print(f"  ({_source(key, place)})", style="dim" if place is None else "bold", soft_wrap=True)


def _values(running: "Running") -> Iterator[tuple[str, Any]]:
    """Every key that may be set, and what is in effect."""
    import msgspec

    settings = running.settings
    yield "engine", _engine_of(running)[0]
    for field in msgspec.structs.fields(settings):
        if field.name not in ("engine", "engines", "tables", "sources"):
            yield field.name, getattr(settings, field.name)
    yield from ((f"engines.{name}", url) for name, url in settings.engines.items())
    for name, table in sorted(settings.tables.items()):
        for field in msgspec.structs.fields(table):
            yield f"{name}.{field.encode_name}", getattr(table, field.name)


def _source(key: str, place: str | None) -> str:
    if place is None:
        return "default of `fnframe run`" if key == "engine" else "default"
    return shown(place) if place.startswith("/") else place


def _shown(key: str, value: object) -> str:
    """As JSON, and nothing of what is to be kept secret."""
    import msgspec

    return "-" if value is None else msgspec.json.encode(_open(key, msgspec.to_builtins(value))).decode()


def _open(key: str, value: Any) -> Any:
    """A value without what its key, or a key in it, says is secret."""
    if value and any(word in key.lower() for word in SECRET):
        return "***"
    if isinstance(value, dict):
        return {name: _open(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_open("", inner) for inner in value]
    return _url(value) if isinstance(value, str) else value


def _url(text: str) -> str:
    """A text; of a URL with a password in it, the host."""
    from ..destination import masked

    return masked(text) if "@" in text else text


def _heading(console: "Terminal", text: str) -> None:
    console.print(f"\n{text}" if text != "versions" else text, style="bold")


def _line(console: "Terminal", state: str, what: str, told: str) -> None:
    style = {"ok": "green", "note": "yellow", "bad": "bold red"}[state]
    console.print(f"  {state:<5}", style=style, end="")
    console.print(f"{what:<16}{told}", soft_wrap=True)
