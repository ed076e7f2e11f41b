"""The plugins of one running app: found, checked, named with the reason where they cannot be used."""

from __future__ import annotations

import logging
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pluggy

from .. import hookspecs
from ..environment import failure
from ..errors import ConfigurationError, ImportFailed
from ..trigger import Trigger, kind_of
from .config import Settings
from .plugin_check import hooks_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from ..provider import EnvironmentProvider

GROUP = "fnframe"
FILE = "fnframe_plugins.py"
SETTINGS = Settings.__struct_fields__

logger = logging.getLogger("fnframe.plugins")


class FoundPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that was found: where, how long loading it took, and why it is not used, if it is not.

    `origin` is the module that an entry point names, or a path; `distribution` and `version` are those of the
    installed package that it came with.
    """

    name: str
    origin: str
    distribution: str | None = None
    version: str | None = None
    load_ms: float = 0.0
    hooks: tuple[str, ...] = ()
    problem: str | None = None


class Plugins:
    """The plugins of one running app, with a plugin manager of their own. Made by `load_plugins`."""

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("fnframe")
        self.manager.add_hookspecs(hookspecs)
        self.found: list[FoundPlugin] = []

    @cached_property
    def trigger_types(self) -> dict[str, type[Trigger]]:
        """The types of triggers by kind. Raises `ConfigurationError` that names plugins which disagree."""
        types: dict[str, type[Trigger]] = {}
        owners: dict[str, str] = {}
        for implementation in self.implementations("fnframe_register_triggers"):
            plugin = implementation.plugin_name
            for type_ in _registered_types(implementation):
                kind = kind_of(type_)
                if kind in types:
                    problem = f"two plugins bring a trigger of the kind {kind!r}: {owners[kind]} and {plugin}"
                    raise ConfigurationError(f"{problem}; remove one of them")
                types[kind], owners[kind] = type_, plugin
        return types

    @cached_property
    def environment_providers(self) -> dict[str, EnvironmentProvider]:
        """The environment providers by kind. Raises `ConfigurationError` that names plugins which disagree."""
        providers: dict[str, EnvironmentProvider] = {}
        for implementation in self.implementations("fnframe_environment_provider"):
            label = f"plugin {implementation.plugin_name}: fnframe_environment_provider"
            try:
                brought = cast("dict[str, EnvironmentProvider]", implementation.function())
            except Exception as error:
                raise ConfigurationError(f"{label} failed: {type(error).__name__}: {error}") from error
            for kind, provider in brought.items():
                if kind in providers or kind in self.trigger_types:
                    raise ConfigurationError(f"{label} brings the kind {kind!r}, which is there already")
                providers[kind] = provider
        return providers

    @cached_property
    def settings_types(self) -> dict[str, type[msgspec.Struct]]:
        """The tables of settings by name: of the types of triggers and environments, and those that plugins register
        beside them.

        Raises `ConfigurationError` that names the plugin.
        """
        tables = {kind: type_.Settings for kind, type_ in self.trigger_types.items()}
        tables |= {kind: provider.Settings for kind, provider in self.environment_providers.items()}
        for implementation in self.implementations("fnframe_register_settings"):
            label = f"plugin {implementation.plugin_name}: fnframe_register_settings"
            for name, type_ in _registered_tables(implementation, label).items():
                if name in tables:
                    raise ConfigurationError(f"{label} brings the table [{name}], which there is already")
                tables[name] = type_
        return tables

    def observer(self, hook: str) -> Callable[..., None] | None:
        """What calls every implementation of an observing hook; None where there is none, to be skipped.

        It takes the hook's arguments in their order. What an implementation raises is dropped, the first time
        logged.
        """
        listeners = self._listeners(hook)
        if len(listeners) < 2:
            return listeners[0].hear if listeners else None

        def observe(*arguments: Any) -> None:
            for listener in listeners:
                listener.hear(*arguments)

        return observe

    def gate(self, hook: str) -> Callable[..., Any] | None:
        """What calls the implementations of a hook until one answers; None where there is none, to be skipped.

        What an implementation raises is no answer.
        """
        listeners = self._listeners(hook)
        if len(listeners) < 2:
            return listeners[0].hear if listeners else None

        def ask(*arguments: Any) -> Any:
            answers = (listener.hear(*arguments) for listener in listeners)
            return next((answer for answer in answers if answer is not None), None)

        return ask

    def holder(self, hook: str) -> Callable[..., Awaitable[None]] | None:
        """What awaits all that the implementations of a hook return; None where there is none, to be skipped."""
        listeners = self._listeners(hook)

        async def hold(*arguments: Any) -> None:
            for listener in listeners:
                await listener.wait(*arguments)

        return hold if listeners else None

    def _listeners(self, hook: str) -> list[_Listener]:
        order = getattr(self.manager.hook, hook).spec.argnames
        return [_Listener(hook, implementation, order) for implementation in self.implementations(hook)]

    def add(self, plugin: object, name: str) -> tuple[str, ...]:
        """Use a plugin; the names of its hooks. Raises `ConfigurationError` that says what is wrong in it."""
        hooks = hooks_of(self.manager, plugin)
        self.manager.register(plugin, name)
        return hooks

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """What implements a hook, in the order of calling."""
        # pluggy keeps them in the reverse order.
        return getattr(self.manager.hook, hook).get_hookimpls()[::-1]  # type: ignore[no-any-return]


class _Listener:
    """An implementation of an observing hook, which takes some of the hook's arguments, in any order."""

    __slots__ = ("_failed", "_function", "_hook", "_places", "_plugin")

    def __init__(self, hook: str, implementation: pluggy.HookImpl, order: Sequence[str]) -> None:
        self._hook = hook
        self._plugin = implementation.plugin_name
        self._function = implementation.function
        names = implementation.argnames
        self._places = None if tuple(names) == tuple(order) else [order.index(name) for name in names]
        self._failed = False

    def hear(self, *arguments: Any) -> Any:
        """What the implementation returns; nothing where it raises."""
        try:
            if self._places is None:
                return self._function(*arguments)
            return self._function(*[arguments[place] for place in self._places])
        except Exception as error:
            self._complain(error)

    async def wait(self, *arguments: Any) -> None:
        """Await what the implementation returns."""
        try:
            awaitable = self.hear(*arguments)
            if awaitable is not None:
                await awaitable
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            logger.error("plugin %s: %s raised; not logged again", self._plugin, self._hook, exc_info=error)


def load_plugins(directory: Path | None = None, extra: Iterable[object] = ()) -> Plugins:
    """Find and load an app's plugins: installed ones, fnframe_plugins.py in `directory`, `extra` objects.

    An installed plugin that cannot be used is logged as a warning and kept in `found` with the reason. The
    user's own file and `extra` must be right: raises `ConfigurationError`, for the file with the line.
    """
    plugins = Plugins()
    for point in _entry_points():
        _add_installed(plugins, point)
    if directory is not None and (path := (directory / FILE).absolute()).is_file():
        begun = time.perf_counter()
        hooks = plugins.add(_import_file(path), FILE)
        plugins.found.append(FoundPlugin(name=FILE, origin=str(path), load_ms=_since(begun), hooks=hooks))
    for number, plugin in enumerate(extra, start=1):
        name = f"{type(plugin).__name__} {number}"
        hooks = plugins.add(plugin, name)
        plugins.found.append(FoundPlugin(name=name, origin="given by the program", hooks=hooks))
    return plugins


def _entry_points() -> Sequence[EntryPoint]:
    from importlib.metadata import entry_points  # 35 ms, which `import fnframe` should not pay.

    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))


def _add_installed(plugins: Plugins, point: EntryPoint) -> None:
    distribution, version = (point.dist.name, point.dist.version) if point.dist else (None, None)
    label = f"{point.name} ({distribution} {version})"
    hooks: tuple[str, ...] = ()
    problem = None
    begun = time.perf_counter()
    try:
        hooks = plugins.add(point.load(), label)
    except ConfigurationError as error:
        problem = str(error)
    except (Exception, SystemExit) as error:
        # A stranger's import may raise anything; an app that does not need that plugin starts all the same.
        place = failure.where_of(error)
        here = f" ({place})" if place and "/importlib/" not in place else ""
        problem = f"{type(error).__name__}: {error}{here}"
    if problem:
        logger.warning("plugin %s is not used: %s", label, problem)
    plugins.found.append(
        FoundPlugin(
            name=point.name,
            origin=point.value,
            distribution=distribution,
            version=version,
            load_ms=_since(begun),
            hooks=hooks,
            problem=problem,
        )
    )


def _import_file(path: Path) -> object:
    from importlib.util import module_from_spec, spec_from_file_location

    loaded = sys.modules.get(path.stem)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded  # An embedded app imported it, for a trigger's type: one file must not give two types.
    # A name of its own: another app in this process may have a file of the same name.
    spec = spec_from_file_location(f"{path.stem}_{hash(path):x}", path)
    if spec is None or spec.loader is None:
        raise ConfigurationError("cannot be imported", where=str(path))
    module = sys.modules[spec.name] = module_from_spec(spec)
    # For what it imports from beside it; not for longer, since the path is the host's.
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[spec.name]
        if isinstance(error, (ConfigurationError, KeyboardInterrupt)):
            raise
        raise _import_failed(error, path) from None
    finally:
        sys.path.remove(str(path.parent))
    return module


def _import_failed(error: BaseException, path: Path) -> ImportFailed:
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    where = f"{path}:{lines[-1]}" if lines else failure.where_of(error)
    stack = "".join(failure.stack_of(error))
    return ImportFailed(type(error).__name__, str(error), where=where, traceback=stack)


def _registered_types(implementation: pluggy.HookImpl) -> list[type[Trigger]]:
    label = f"plugin {implementation.plugin_name}: fnframe_register_triggers"
    try:
        types: list[Any] = list(cast("Any", implementation.function()) or ())
    except Exception as error:
        raise ConfigurationError(f"{label} failed: {type(error).__name__}: {error}") from error
    for type_ in types:
        if not (isinstance(type_, type) and issubclass(type_, Trigger)):
            raise ConfigurationError(f"{label} must return subclasses of fnframe.Trigger, found {type_!r}")
        _check_defaults(type_.Settings, f"{type_.__name__}.Settings", label)
    return types


def _registered_tables(implementation: pluggy.HookImpl, label: str) -> dict[str, type[msgspec.Struct]]:
    try:
        tables: dict[str, Any] = dict(cast("Any", implementation.function()) or {})
    except Exception as error:
        raise ConfigurationError(f"{label} failed: {type(error).__name__}: {error}") from error
    for name, type_ in tables.items():
        if not (isinstance(type_, type) and issubclass(type_, msgspec.Struct)):
            raise ConfigurationError(f"{label} must return msgspec Structs by name, found {type_!r}")
        if not name.isidentifier() or name in SETTINGS:
            raise ConfigurationError(f"{label}: {name!r} cannot be the name of a table")
        _check_defaults(type_, type_.__name__, label)
    return tables


def _check_defaults(type_: type[msgspec.Struct], name: str, label: str) -> None:
    for field in msgspec.structs.fields(type_):
        if field.required:
            raise ConfigurationError(f"{label}: {name} needs a default for {field.name!r}")


def _since(begun: float) -> float:
    return (time.perf_counter() - begun) * 1000
