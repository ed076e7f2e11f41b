"""What a handler's own logging looks like: the root logger's handler, and the line of an error, as Lambda's runtime
sets them up."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from typing import Any

TEXT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
SECONDS = "%Y-%m-%dT%H:%M:%SZ"
INDENT = "\u00a0"

_OF_EVERY_RECORD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime", "aws_request_id", "tenant_id", "taskName", "exc_info", "exc_text", "stack_info",
}  # fmt: skip


class Unbuffered:
    """A stream that keeps nothing back: what was printed before a crash is in the log."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> Unbuffered:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()

    def writelines(self, lines: Any) -> None:
        self.stream.writelines(lines)
        self.stream.flush()


class Sink:
    """Where log lines go: standard output as it is at the moment."""

    def log(self, text: str) -> None:
        sys.stdout.write(text)


class Current:
    """The invocation whose records are written."""

    request_id = ""
    tenant_id: str | None = None


class _Handler(logging.Handler):
    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.log_sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        self.log_sink.log(self.format(record) + "\n")


class _WithRequest(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = Current.request_id
        record.tenant_id = Current.tenant_id
        return True


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with what `extra=` adds to it."""

    def __init__(self) -> None:
        super().__init__(datefmt=SECONDS)

    def format(self, record: logging.LogRecord) -> str:
        kind, error, trace = record.exc_info or (None, None, None)
        fields = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": logging.getLevelName(min(50, max(0, record.levelno)) // 10 * 10),
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if kind else None,
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(error) if kind else None,
            "requestId": getattr(record, "aws_request_id", None),
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}" if kind else None,
            "tenantId": getattr(record, "tenant_id", None),
        }
        for name, value in record.__dict__.items():
            if name not in _OF_EVERY_RECORD and name not in fields:
                fields[name] = value
        present = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(present, ensure_ascii=False, default=str)


def is_json() -> bool:
    return os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def set_up() -> None:
    """Give the root logger its handler. What is printed while the environment begins comes in whole lines."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    logging.Formatter.converter = time.gmtime
    handler = _Handler(Sink())
    handler.setFormatter(JsonFormatter() if is_json() else logging.Formatter(TEXT, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(_WithRequest())
    root = logging.getLogger()
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG"}.get(level, level)
    if level in logging.getLevelNamesMapping():
        root.setLevel(level)
    root.addHandler(handler)


def unbuffer() -> None:
    """Let nothing that is printed from now on wait in a buffer."""
    sys.stdout = Unbuffered(sys.stdout)
    sys.stderr = Unbuffered(sys.stderr)


def tell_error(payload: dict[str, Any], encode: Any) -> None:
    """Write the error payload of an invocation, or of its init, to the log."""
    if is_json():
        moment = time.strftime(SECONDS, time.gmtime())
        sys.stdout.write(encode({"timestamp": moment, "level": "ERROR", **payload}) + "\n")
        return
    kind, message = payload["errorType"], payload["errorMessage"]
    first = f"[ERROR] {kind}: {message}" if kind and message else f"[ERROR] {kind or message}"
    lines = [first, "Traceback (most recent call last):"]
    for frame in payload["stackTrace"]:
        lines += [_indented(line) for line in frame.splitlines()] or [""]
    sys.stdout.write("\n".join(lines) + "\n")


def _indented(line: str) -> str:
    text = line.lstrip(" ")
    return INDENT * (len(line) - len(text)) + text
