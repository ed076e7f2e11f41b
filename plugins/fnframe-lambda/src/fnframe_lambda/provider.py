"""The environment provider: what fnframe's core asks of this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from fnframe import ConfigurationError, Function
from fnframe.provider import Preparation

from . import archive, variables
from .declare import LAMBDAS_DELAYS, checked, checked_delays
from .names import Account
from .spec import EventFormat, Spec, spec_of

if TYPE_CHECKING:
    from collections.abc import Sequence


class DeclaredFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table `[lambda.functions.NAME]` of fnframe.toml: the options of `fnframe_lambda.function`."""

    handler: str = ""
    runtime: str = "python"
    code: str = ""
    command: tuple[str, ...] = ()
    event_format: EventFormat = "aws"
    log_format: str = "Text"
    log_level: str = ""
    memory: int = 128
    timeout: float = 3.0
    ephemeral_storage: int = 512
    retries: int = 2
    retry_delays: tuple[float, ...] = LAMBDAS_DELAYS
    maximum_age: float = 21_600.0
    reserved_concurrency: int | None = None
    provisioned_concurrency: int = 0
    variables: dict[str, str] = {}
    on_success: str | None = None
    on_failure: str | None = None
    tags: dict[str, str] = {}


class LambdaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[lambda]` of fnframe.toml.

    With `keys`, secrets by the ids of their keys, each request must be signed with one of them; without, signatures are
    not looked at. Events of functions that the API made are tried again after `retry_delays` seconds.

    `host` and `port` are where the Invoke API listens: loopback, unless told otherwise, and nowhere without a port; 0
    takes one that is free. What is in progress at the end has `grace` seconds. `region` and `account` are those that
    ARNs name; `functions` declares functions beside the app's own.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] | None = None
    grace: Annotated[float, msgspec.Meta(ge=0)] = 10.0

    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    account: Annotated[str, msgspec.Meta(pattern=r"^\d{12}$")] = "000000000000"
    functions: dict[str, DeclaredFunction] = {}
    keys: dict[str, str] = {}
    retry_delays: tuple[Annotated[float, msgspec.Meta(ge=0)], ...] = LAMBDAS_DELAYS


class LambdaEnvironments:
    """See `fnframe.provider.EnvironmentProvider`."""

    Settings: type[msgspec.Struct] = LambdaSettings

    def functions(self, settings: Any, directory: Path) -> Sequence[Function]:
        where = str(directory / "fnframe.toml")
        return [_declared(name, options, where) for name, options in settings.functions.items()]

    def arn(self, function: Function, settings: Any) -> str:
        qualifier = variables.qualifier(function.name) or function.version
        return Account(settings.region, settings.account).function_arn(function.title, qualifier)

    def prepare(self, function: Function, settings: Any, directory: Path, scratch: Path) -> Preparation:
        spec = spec_of(function)
        if spec is None:
            raise ConfigurationError(f"function {function.name!r} was not written for Lambda", where=function.where)
        account = Account(settings.region, settings.account)
        if spec.root:
            return Preparation("fnframe_lambda.inside.made:start", str(directory), (), variables.of_account(account))
        root = _task_root(function, spec, directory, scratch)
        return Preparation(
            inside=f"fnframe_lambda.inside.{'python' if spec.is_python else 'runtime'}:start",
            directory=root,
            path=(root,),
            variables=variables.of_template(spec, account, root),
        )


def _task_root(function: Function, spec: Spec, directory: Path, scratch: Path) -> str:
    """The folder of a function's code. Raises `ConfigurationError` where there is none."""
    if not spec.code:
        return str(directory)
    code = directory / spec.code
    if code.is_dir():
        return str(code.resolve())
    if not code.is_file():
        problem = f"function {function.name!r}: code is no directory and no zip: {code}"
        raise ConfigurationError(problem, where=function.where)
    folder = scratch / f"code-{archive.digest(code)}"
    try:
        if not folder.exists():
            archive.unpack(code, folder)
    except archive.BadArchive as error:
        raise ConfigurationError(f"function {function.name!r}: code {code}: {error}", where=function.where) from None
    return str(folder)


def _declared(name: str, options: DeclaredFunction, where: str) -> Function:
    fields = msgspec.structs.asdict(options)
    spec = Spec(**{key: fields.pop(key) for key in Spec.__struct_fields__ if key in fields and key != "variables"})
    checked(spec, name, options.variables, where)
    checked_delays(options.retry_delays, name, where)
    return Function(name=name, where=where, environment=spec.environment(), **fields)
