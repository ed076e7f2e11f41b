"""A function that was made by the API. Its environment enters the function's code and variables itself, so that all
such functions, and all their versions, are forked from one template."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from .. import variables
from ..spec import spec_of
from . import python, runtime
from .account import ACCOUNT

if TYPE_CHECKING:
    from fnframe.provider import Serve, Start


def start(begin: Start) -> Serve:
    """The inside of an environment; see `python.start` and `runtime.start`. Raises `Problem`."""
    spec = spec_of(begin.function)
    assert spec is not None
    os.environ.update(variables.of_template(spec, ACCOUNT, spec.root) | spec.variables)
    del os.environ[variables.ACCOUNT]
    time.tzset()
    os.chdir(spec.root)
    sys.path[:0] = [spec.root, *filter(None, spec.variables.get("PYTHONPATH", "").split(os.pathsep))]
    return python.start(begin) if spec.is_python else runtime.start(begin)
