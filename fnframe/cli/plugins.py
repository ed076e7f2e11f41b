"""`fnframe plugins`: what was found, from where, and why something is not used."""

from typing import TYPE_CHECKING

from .errors import shown
from .options import Target

if TYPE_CHECKING:
    from ..runtime.plugins import FoundPlugin


def plugins(target: Target | None = None, /) -> int:
    """List the plugins that were found, and why one is not used.

    With a target also the app's own fnframe_plugins.py.
    """
    import logging

    from ..environment.target import directory_of
    from ..runtime.engines import engine_factories
    from ..runtime.plugins import load_plugins
    from .output import counted, terminal

    # Each problem is told below.
    logging.getLogger("fnframe.plugins").setLevel(logging.ERROR)
    loaded = load_plugins(None if target is None else directory_of(target))
    console = terminal()
    console.print(f"{counted(len(loaded.found), 'plugin')} found\n" if loaded.found else "no plugins found")
    width = max((len(plugin.name) for plugin in loaded.found), default=0)
    for plugin in loaded.found:
        style = "bold red" if plugin.problem else "bold"
        console.print(f"{plugin.name:<{width}}  {_origin(plugin)}", style=style, soft_wrap=True)
        console.print(f"{'':<{width}}  {_state(plugin)}", soft_wrap=True)
    kinds = ", ".join(sorted(loaded.trigger_types)) or "none"
    console.print(f"\ntriggers: {kinds}", soft_wrap=True)
    console.print(f"engines: {', '.join(f'{scheme}:' for scheme in engine_factories(loaded))}", soft_wrap=True)
    return 0


def _origin(plugin: "FoundPlugin") -> str:
    package = f"{plugin.distribution} {plugin.version}, " if plugin.distribution else ""
    return f"{package}{shown(plugin.origin)}"


def _state(plugin: "FoundPlugin") -> str:
    if plugin.problem:
        return f"not used: {plugin.problem}"
    return f"loaded in {plugin.load_ms:.1f} ms; {', '.join(plugin.hooks)}"
