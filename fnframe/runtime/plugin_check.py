"""What is checked of a plugin before it is used: a hook that would never be called is never silent."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, nearest

if TYPE_CHECKING:
    import pluggy

PREFIX = "fnframe_"


def hooks_of(manager: pluggy.PluginManager, plugin: object) -> tuple[str, ...]:
    """The names of the hooks in a plugin.

    Raises `ConfigurationError`, with the line of the hook where it is one, for: a plugin with no hook in it,
    one that is there already, an unknown hook, a hook that is not marked, an argument that the hook does not
    have, and forms of hooks that are not called here.
    """
    if isinstance(plugin, type):
        raise ConfigurationError(f"a plugin is a module or an instance, found the class {plugin.__name__}")
    if manager.is_registered(plugin):
        raise ConfigurationError(f"it is loaded already, as {manager.get_name(plugin)}")
    hooks = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            hook = options.get("specname") or name
            _check(manager, getattr(plugin, name), hook, options)
            hooks.append(hook)
        elif name.startswith(PREFIX):
            _refuse_unmarked(plugin, name)
    if not hooks:
        raise ConfigurationError("there is no hook in it: mark functions with @fnframe.hookimpl")
    return tuple(hooks)


def _check(manager: pluggy.PluginManager, function: Any, hook: str, options: Any) -> None:
    where = _where(function)
    caller = getattr(manager.hook, hook, None)
    if caller is None or caller.spec is None:
        known = [name for name in vars(manager.hook) if name.startswith(PREFIX)]
        raise ConfigurationError(f"unknown hook {hook!r}{nearest(hook, known)}", where=where)
    expected = caller.spec.argnames
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.default is parameter.empty and name not in expected:
            offered = ", ".join(expected) or "none"
            problem = f"{hook} has no argument {name!r}{nearest(name, expected)} (its arguments: {offered})"
            raise ConfigurationError(problem, where=where)
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"{hook} is async: a hook is called and returns at once", where=where)
    if options.get("wrapper") or options.get("hookwrapper"):
        raise ConfigurationError(f"{hook} is a wrapper: hooks register or observe, nothing wraps", where=where)


def _refuse_unmarked(plugin: object, name: str) -> None:
    value = inspect.getattr_static(plugin, name)
    if inspect.isfunction(value) and not hasattr(value, "fnframe_spec"):
        problem = f"{name} is not marked as a hook: write @fnframe.hookimpl above it"
        raise ConfigurationError(problem, where=_where(value))


def _where(function: Any) -> str | None:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else None
