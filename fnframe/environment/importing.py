"""Importing the app: in a template once, and in each environment where it is spawned."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from contextlib import suppress

import msgspec

from .. import app as app_module
from ..app import App
from ..errors import ConfigurationError
from ..provider import Inside, Preparation
from .target import PROVIDED, load_app

IMPORT_PATH = "FNFRAME_IMPORT_PATH"
"""The variable by which a host hands on its import path. Handlers and the programs that they start do not see it."""
_IONBF = 2


def prepare(target: str) -> None:
    """Make this process what an app may expect to be imported in."""
    _clean_signals()
    _write_through()
    # The app's own arguments are none of ours.
    sys.argv = [target]
    path = os.environ.pop(IMPORT_PATH, "").split(os.pathsep)
    sys.path.extend(entry for entry in path if entry and entry not in sys.path)
    app_module.in_template = True


def load(target: str, rest: str | None) -> App | Inside:
    """Import the app, or a provider's inside; `rest` is the app's name, where that is known, or the preparation.

    The app is complete with what its handlers' annotations mean now. Raises whatever the import raises.
    """
    if target == PROVIDED:
        return _load_inside(msgspec.json.decode(str(rest), type=Preparation))
    app = load_app(target, rest)
    for definition in app.definitions.values():
        function = definition.function
        if definition.handler is None:  # A provider runs it, elsewhere.
            continue
        try:
            # Again, now that the module is complete; what is built here is shared by all that is forked.
            app.sign(definition)
        except (AttributeError, NameError, SyntaxError, TypeError) as error:
            raise ConfigurationError(f"function {function.name!r}: {error}", where=function.where) from None
    return app


def _load_inside(preparation: Preparation) -> Inside:
    module, _, attribute = preparation.inside.partition(":")
    inside: Inside = getattr(importlib.import_module(module), attribute)
    sys.path[:0] = preparation.path  # Only now: the user's code must not stand in for the provider's.
    return inside


def _clean_signals() -> None:
    """Undo what a host ignores or blocks, which is handed down to every program that it starts."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Python ignores these two itself.
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _write_through() -> None:
    """Let what is printed be written soon: what waits in a buffer is lost by a kill, or another invocation's.

    Python's output by lines, as standard error always is; that of C code at once, since nobody would flush it.
    """
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    with suppress(ValueError):  # A C library that calls it otherwise.
        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _IONBF, 0)
