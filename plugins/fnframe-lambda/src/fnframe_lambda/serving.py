"""An app's functions behind Lambda's API, in a process of its own: for programs and tests that call them by boto3."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fnframe import FnframeError

END_TIMEOUT = 20.0
"""Seconds that the server may take to end."""
_READY = "Invoke API at "


class Endpoint:
    """A server of Lambda's API. `url` is what clients call their endpoint URL; `log` the lines that the server wrote
    so far."""

    def __init__(self, url: str, log: list[str]) -> None:
        self.url = url
        self.log = log

    def __repr__(self) -> str:
        return f"<Endpoint {self.url}>"

    def client(self, **options: Any) -> Any:
        """A boto3 client of it, which tries each call once. `options` are those of `botocore.config.Config`."""
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        return boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106  a word that is no secret
            config=Config(**{"retries": {"total_max_attempts": 1}, **options}),
        )


@contextmanager
def endpoint(target: str, settings: Mapping[str, object] | None = None) -> Iterator[Endpoint]:
    """Serve an app on a free port of loopback while the block lasts.

    `target` is as for `fnframe run`; `settings` are those of fnframe.toml, with dotted names. Raises `FnframeError`
    with what the server said where it does not start.
    """
    command = [sys.executable, "-m", "fnframe.cli", "lambda", "serve", target, "--port", "0"]
    for name, value in (settings or {}).items():
        command += ["--set", f"{name}={value}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    log: list[str] = []
    reader = None
    try:
        url = _url_in(process.stdout, log)
        # Somebody must read on, or the server waits once the pipe is full.
        reader = threading.Thread(target=log.extend, args=(process.stdout,), daemon=True)
        reader.start()
        yield Endpoint(url, log)
    finally:
        _end(process)
        if reader is not None:
            reader.join()
        process.stdout.close()


def _url_in(output: Iterable[str], log: list[str]) -> str:
    for line in output:
        log.append(line)
        if _READY in line:
            return line.partition(_READY)[2].strip()
    raise FnframeError(f"the server did not start; it said:\n{''.join(log)}")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
