"""`fnframe dev`: an app while it is being written."""

from functools import partial

from .options import Assignments, Host, Port, Target, settings_of
from .signals import run_async


def dev(
    target: Target,
    /,
    *,
    host: Host = None,
    port: Port = None,
    set_: Assignments = (),
) -> int:
    """Run an app while you write it: reloads, shows every invocation.

    A change to a Python file swaps the code behind open connections. Where the
    new code cannot be imported you see why, and the code from before goes on
    serving. Settings and plugins are read anew too.
    """
    from .develop import develop

    return run_async(partial(develop, target, settings_of(set_, {"http.host": host, "http.port": port})))
