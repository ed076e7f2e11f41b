"""Declaring functions that were written for Lambda."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Literal

from fnframe import ConfigurationError, Function
from fnframe.errors import nearest
from fnframe.options import named_only

from .spec import EVENT_FORMATS, HANDLER, MOST_VARIABLES, EventFormat, Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fnframe import App, Trigger

RUNTIMES = ("python", "provided", "nodejs")
_VERSIONED = re.compile(r"python3\.\d{1,2}|nodejs\d{2}\.x|provided(\.al\d{1,4})?")

RESERVED = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip
"""Variables that Lambda sets itself, and that a function's configuration may not."""

LAMBDAS_DELAYS = (60.0, 120.0)
"""Seconds before the second attempt, and before the third."""

_VARIABLE = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")


@named_only("app.lambda_function")
def function(
    app: App,
    name: str,
    *triggers: Trigger,
    handler: str = "",
    runtime: str = "python",
    code: str = "",
    command: Sequence[str] = (),
    event_format: EventFormat = "aws",
    log_format: Literal["Text", "JSON"] = "Text",
    log_level: str = "",
    memory: int = 128,
    timeout: float = 3.0,
    ephemeral_storage: int = 512,
    retries: int = 2,
    retry_delays: Sequence[float] = LAMBDAS_DELAYS,
    maximum_age: float = 21_600.0,
    reserved_concurrency: int | None = None,
    provisioned_concurrency: int = 0,
    variables: dict[str, str] | None = None,
    on_success: str | None = None,
    on_failure: str | None = None,
    tags: dict[str, str] | None = None,
    where: str | None = None,
) -> None:
    """Declare a function that was written for Lambda; the same as `app.lambda_function(name, ...)`.

    `handler` is what Lambda's configuration of this name says: `package.module.function`, found beside the app. It is
    called with `(event, context)` as in Lambda, and imported in each environment, so that its module's globals belong
    to one environment and what it costs is init time.
    `code` is a directory or a zip archive, relative to the app's folder, that holds the handler's module and all that
    it imports beside what is installed: such a bundle has a process of its own that forks its environments.
    `runtime="provided"` runs the executable `bootstrap` in the function's folder, or `command`, and `runtime="nodejs"`
    runs Node with Lambda's client for it (`npm install aws-lambda-ric`): whatever speaks the Runtime API. `command`
    begins in the function's folder; what it finds in its environment is what Lambda sets.
    `event_format="aws"` gives it a trigger's events in the shape in which AWS sends them, and reads its answer as AWS
    does: requests as API Gateway's HTTP API, files as S3, queues as SQS, streams as Kinesis, schedules as EventBridge.
    `"aws:dynamodb"` makes changes of a table of a stream's records, `"aws:sns"` and `"aws:eventbridge"` notifications
    and bus events of any; `"data"` gives it their data alone. `log_format` and `log_level` are those of Lambda's
    logging configuration.
    An asynchronous event that failed is tried again after `retry_delays`, in seconds: Lambda's one minute and then two,
    unless told otherwise, or with `()` as the app's settings say. The other options are those of `app.function`.
    Raises `ConfigurationError` at the line of the call.
    """
    where = where or _caller()
    spec = Spec(
        handler=handler,
        runtime=runtime,
        code=code,
        command=tuple(command) if not isinstance(command, str) else (command,),
        event_format=event_format,
        log_format=log_format,
        log_level=log_level,
    )
    declared = Function(
        name=name,
        where=where,
        memory=memory,
        timeout=timeout,
        ephemeral_storage=ephemeral_storage,
        retries=retries,
        retry_delays=checked_delays(retry_delays, name, where),
        maximum_age=maximum_age,
        reserved_concurrency=reserved_concurrency,
        provisioned_concurrency=provisioned_concurrency,
        variables=variables or {},
        on_success=on_success,
        on_failure=on_failure,
        tags=tags or {},
        environment=checked(spec, name, variables or {}, where).environment(),
    )
    app.provided_function(declared, *triggers)


def checked_delays(delays: Sequence[float], name: str, where: str) -> tuple[float, ...]:
    """Seconds, or a `ConfigurationError` at the user's line."""
    good = all(isinstance(delay, (int, float)) and not isinstance(delay, bool) and delay >= 0 for delay in delays)
    if not good:
        problem = f"function {name!r}: retry_delays must be seconds, such as (60, 120), found {delays!r}"
        raise ConfigurationError(problem, where=where)
    return tuple(float(delay) for delay in delays)


def checked(spec: Spec, name: str, variables: dict[str, str], where: str) -> Spec:
    """The spec, or a `ConfigurationError` at the user's line that says what is wrong with it."""

    def refuse(problem: str) -> None:
        raise ConfigurationError(f"function {name!r}: {problem}", where=where)

    if spec.runtime not in RUNTIMES and not _VERSIONED.fullmatch(str(spec.runtime)):
        hint = nearest(str(spec.runtime), RUNTIMES)
        refuse(f"runtime must be one of {', '.join(RUNTIMES)}, with a version or not, found {spec.runtime!r}{hint}")
    if not all(isinstance(word, str) and word for word in spec.command):
        refuse(f"command must be words, such as ['./server', '--quiet'], found {list(spec.command)!r}")
    if spec.command and spec.is_python:
        refuse("command starts what is not Python: it goes with runtime='provided'")
    needs_handler = not spec.runtime.startswith("provided") or spec.handler
    if needs_handler and (not isinstance(spec.handler, str) or not HANDLER.fullmatch(spec.handler)):
        refuse(f"handler must be as in Lambda, 'package.module.function', found {spec.handler!r}")
    for option, value, known in (
        ("event_format", spec.event_format, EVENT_FORMATS),
        ("log_format", spec.log_format, ("Text", "JSON")),
        ("log_level", spec.log_level, ("", "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")),
    ):
        if value not in known:
            refuse(f"{option} must be one of {', '.join(map(repr, known))}, found {value!r}")
    _check_variables(variables, refuse)
    return spec


def _check_variables(variables: dict[str, str], refuse: Any) -> None:
    for variable in variables:
        if variable in RESERVED:
            refuse(f"the variable {variable!r} is Lambda's own to set")
        if not _VARIABLE.fullmatch(str(variable)):
            refuse(f"{variable!r} is no name for a variable: a letter, then letters, digits and underscores")
    size = sum(len(str(text).encode()) for pair in variables.items() for text in pair)
    if size > MOST_VARIABLES:
        refuse(f"its variables have {size:,} bytes together, and Lambda takes {MOST_VARIABLES:,}")


def _caller() -> str:
    frame = sys._getframe(3)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
