"""What the log tells of an environment's beginning, as Lambda's platform does: that it begins, and how that failed."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fnframe.log_lines import timestamp
from fnframe.outcome import EXITED
from fnframe.provider import Problem

from .. import variables
from .account import ACCOUNT

if TYPE_CHECKING:
    from types import TracebackType

    from fnframe.provider import Start

    from ..spec import Spec

_KNOWN = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


class Beginning:
    """A context that lasts from the beginning of an environment until it can take an event.

    In the text form a good end is not told, since REPORT tells how long it took; in the JSON form every end is. Of one
    that was ended, or died, before it could tell, the second try does.
    """

    def __init__(self, begin: Start, spec: Spec) -> None:
        self._again = begin.again
        self._is_json = spec.log_format == "JSON"
        self._version = variables.runtime_version(spec)
        self._arn = variables.runtime_arn(ACCOUNT, spec.runtime)
        self._began = time.monotonic()
        self._mark = Path(begin.temporary_directory, ".fnframe-init-report")
        """There where the first try reported how it failed: the second gets the same directory."""

    def __enter__(self) -> Beginning:
        is_told = self._mark.exists()
        self._mark.unlink(missing_ok=True)
        if self._again is not None:
            if not is_told:
                status = {"status": "timeout"} if self._again.overran else {"status": "error", "errorType": EXITED}
                self._report(status, "init", self._again.duration_ms)
        elif self._is_json:
            version = {"runtimeVersion": self._version, "runtimeVersionArn": self._arn}
            _write_record("initStart", {**_phase("init"), **version})
        else:
            _write(f"INIT_START Runtime Version: {self._version}\tRuntime Version ARN: {self._arn}\n")
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.failed(error.error_type if isinstance(error, Problem) else EXITED)
        elif self._is_json:
            self._report_own({"status": "success"})

    def failed(self, error_type: str) -> None:
        """Tell how it failed. Lambda's platform tells no other error types than its own here."""
        known = error_type if _KNOWN.fullmatch(error_type) else "Runtime.Unknown"
        self._report_own({"status": "error", "errorType": known})
        with suppress(OSError):  # A full disk: then it is told twice.
            self._mark.touch()

    def _report_own(self, status: dict[str, str]) -> None:
        self._report(status, "invoke" if self._again else "init", (time.monotonic() - self._began) * 1000)

    def _report(self, status: dict[str, str], phase: str, duration_ms: float) -> None:
        if self._is_json:
            _write_record("initRuntimeDone", {**_phase(phase), **status})
            _write_record("initReport", {**_phase(phase), **status, "metrics": {"durationMs": round(duration_ms, 2)}})
            return
        error = f"\tError Type: {status['errorType']}" if "errorType" in status else ""
        _write(f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: {phase}\tStatus: {status['status']}{error}\n")


def _phase(phase: str) -> dict[str, str]:
    return {"initializationType": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "phase": phase}


def _write_record(kind: str, record: dict[str, Any]) -> None:
    _write(json.dumps({"time": timestamp(), "type": f"platform.{kind}", "record": record}) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
