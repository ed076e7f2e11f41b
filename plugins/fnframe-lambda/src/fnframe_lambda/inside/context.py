"""The context object of Lambda's Python runtime: every attribute, method and text of it."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class _Plain:
    """Named values, each None unless it was given, and the runtime's way to show them."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, values: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        shown = ",".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"{type(self).__name__}([{shown}])"


class CognitoIdentity(_Plain):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Plain):
    __slots__ = (  # noqa: RUF023  in the order in which the runtime shows them
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(_Plain):
    __slots__ = ("custom", "env", "client")  # noqa: RUF023  as above

    client: Any

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        if self.client is not None:
            self.client = Client(self.client)


class LambdaContext:
    """The second argument of a Lambda handler.

    `deadline_ms` is a moment in milliseconds since the epoch; `client_context` what the caller sent, decoded. What is
    not given is what the environment's variables say.
    """

    def __init__(
        self,
        request_id: str,
        client_context: dict[str, Any] | None,
        deadline_ms: int,
        function_arn: str,
        tenant_id: str | None,
    ) -> None:
        self.aws_request_id = request_id
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = function_arn
        self.tenant_id = tenant_id
        self._w3c = _popped_w3c(client_context)
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = CognitoIdentity({})
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until this invocation is ended; never below 0."""
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def w3c(self) -> dict[str, str]:
        """The W3C trace context that came in the client context."""
        return dict(self._w3c)

    def log(self, msg: object) -> None:
        """Write to the log, without a line break."""
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(str(msg))
                return
        sys.stdout.write(str(msg))

    def __repr__(self) -> str:
        names = (
            "aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
            "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id",
        )  # fmt: skip
        return f"{type(self).__name__}([{','.join(f'{name}={getattr(self, name)}' for name in names)}])"


def _popped_w3c(client_context: Any) -> dict[str, str]:
    fields = client_context.pop("w3c", None) if isinstance(client_context, dict) else None
    if not isinstance(fields, dict):
        return {}
    return {name: fields[name] for name in W3C_FIELDS if isinstance(fields.get(name), str)}
