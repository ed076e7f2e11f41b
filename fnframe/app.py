"""The app: a user's declarations."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from . import schema
from .errors import ConfigurationError, nearest
from .function import Function, Isolation, Limits, Manifest, TriggerSpec
from .options import named_only
from .trigger import Trigger, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from .runtime.running import Running
    from .runtime.thread import RunningInThread

Handler = TypeVar("Handler", bound=Callable[..., Any])

in_template = False
"""Whether this process imports the app for others: a template, or an environment that was forked from it."""

_NAME = re.compile(r"[\w-][\w.-]*")


class Definition(msgspec.Struct, frozen=True):
    """What the process that holds the code knows of a function: configuration, handler and trigger objects.

    `handler` is None where an environment provider runs the function.
    """

    function: Function
    handler: Callable[..., Any] | None
    triggers: tuple[Trigger, ...]


class App:
    """Functions and their settings, declared in one module.

    `name` stands in logs and reports. `limits` raises or lowers what functions may ask for. The app's module is
    imported by the template process, so the app must be a global of it: where an app is made by a factory, give the
    factory as the target (`module:create_app`).
    """

    def __init__(self, name: str, *, limits: Limits | None = None) -> None:
        self.name = name
        self.limits = (limits or Limits()).checked(_caller())
        self.definitions: dict[str, Definition] = {}
        self.signatures: dict[str, schema.Signature] = {}
        self.starters: list[Callable[[], Any]] = []
        self._addresses: dict[tuple[str, str], tuple[Function, Trigger]] = {}
        self.running: Running | None = None
        caller = sys._getframe(1).f_globals
        self.module: str = caller.get("__name__", "__main__")
        self.file = Path(caller.get("__file__", ".")).absolute()
        self.directory = self.file.parent

    def __repr__(self) -> str:
        return f"<App {self.name!r}: {', '.join(self.definitions) or 'no functions'}>"

    @named_only("app.function")
    def function(
        self,
        *triggers: Trigger,
        name: str | None = None,
        memory: int = 128,
        timeout: float = 3.0,
        ephemeral_storage: int = 512,
        retries: int = 2,
        maximum_age: float = 21_600.0,
        poison: int = 3,
        reserved_concurrency: int | None = None,
        provisioned_concurrency: int = 0,
        isolation: Isolation = "process",
        variables: dict[str, str] | None = None,
        on_success: str | None = None,
        on_failure: str | None = None,
        tags: dict[str, str] | None = None,
        tenant: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare the decorated callable as a function of this app; returns the same callable.

        The handler is `def` or `async def` and takes `()`, `(event)` or `(event, context)`; the annotation of its
        first parameter is the type that the event's data is decoded to.

        `name` (default: the callable's) must be unique in the app. `memory` is in MB, `timeout` in seconds,
        `ephemeral_storage` in MB for any one file under the temporary directory. `retries` and `maximum_age` (seconds)
        hold for asynchronous invocations; a record of their last failure goes to `on_failure`, and one of their success
        to `on_success`: `"function:NAME"`, `"queue:NAME"`, `"stream:NAME"`, `"file:PATH"` (JSON lines) or a URL. An
        asynchronous event that ended its environment (by memory or exit, not by a timeout) or its host `poison` times
        is given up on, whatever retries are left. `reserved_concurrency` is the function's own share of the app's
        concurrency, guarantee and cap; `provisioned_concurrency` keeps that many environments warm. `variables` are set
        in the function's environment before its module is imported. `isolation="inline"` runs an async handler in the
        host's event loop. `tags` are copied into each report, and so is what `tenant` finds in the event:
        `"header:NAME"`, a header of an HTTP request or an extension attribute of any other event, or `"$.customer.id"`,
        a field of its data.

        Raises `ConfigurationError` at the line of the decorator for whatever is wrong.
        """
        asked = _caller(3)
        if len(triggers) == 1 and inspect.isfunction(triggers[0]):
            raise ConfigurationError(
                "have you forgotten the parentheses? `@app.function()`", where=schema.where_defined(triggers[0])
            )

        def decorate(handler: Handler) -> Handler:
            if not inspect.isroutine(inspect.unwrap(handler)) or inspect.isbuiltin(handler):
                raise ConfigurationError(f"a handler must be a Python function, found {handler!r}", where=asked)
            where = schema.where_defined(handler)
            _check_triggers(triggers, where)
            specs = tuple(_spec(trigger, where) for trigger in triggers)
            _refuse_twice(triggers, where)
            self._add(
                Function(
                    name=handler.__name__ if name is None else name,
                    where=where,
                    memory=memory,
                    timeout=timeout,
                    ephemeral_storage=ephemeral_storage,
                    retries=retries,
                    maximum_age=maximum_age,
                    poison=poison,
                    reserved_concurrency=reserved_concurrency,
                    provisioned_concurrency=provisioned_concurrency,
                    isolation=isolation,
                    variables=variables or {},
                    on_success=on_success,
                    on_failure=on_failure,
                    tags=tags or {},
                    tenant=tenant,
                    is_async=inspect.iscoroutinefunction(handler),
                    triggers=specs,
                ),
                handler,
                triggers,
            )
            return handler

        return decorate

    def lambda_function(self, name: str, *triggers: Trigger, **options: Any) -> None:
        """Declare a function written for AWS Lambda: `app.lambda_function("resize", handler="pkg.mod.handler")`.

        Needs fnframe-lambda; `fnframe_lambda.function` tells the options. Raises `ConfigurationError` at this line.
        """
        where = _caller()
        if importlib.util.find_spec("fnframe_lambda") is None:
            raise ConfigurationError("app.lambda_function needs: pip install fnframe-lambda", where=where)
        importlib.import_module("fnframe_lambda").function(self, name, *triggers, where=where, **options)

    def provided_function(self, function: Function, *triggers: Trigger) -> None:
        """Declare a function that an environment provider runs, as its `environment` says: for plugins that bring one.

        `function.where` is the user's line. Raises `ConfigurationError` there for whatever is wrong.
        """
        _check_triggers(triggers, function.where)
        _refuse_twice(triggers, function.where)
        specs = tuple(_spec(trigger, function.where) for trigger in triggers)
        self._add(msgspec.structs.replace(function, triggers=specs), None, triggers)

    def on_start(self, starter: Handler) -> Handler:
        """Run the decorated callable, which takes nothing, in each environment when it starts, after the fork.

        For what must not be shared between processes: connections, random state. Its time is init time; an
        exception in it fails the invocation that waited for the environment. Raises `ConfigurationError` for one that
        is async or takes arguments.
        """
        try:
            inspect.signature(starter).bind()
        except ValueError:
            pass  # A builtin that does not tell.
        except TypeError:
            problem = f"an @app.on_start function takes nothing, found {inspect.signature(starter)}"
            raise ConfigurationError(problem, where=schema.where_defined(starter)) from None
        if inspect.iscoroutinefunction(starter):
            problem = "an @app.on_start function is a plain `def`, found `async def`"
            raise ConfigurationError(problem, where=schema.where_defined(starter))
        self.starters.append(starter)
        return starter

    def sign(self, definition: Definition) -> None:
        """Learn how to call a handler. Raises as `schema.signature_of` does, and `ConfigurationError` where one of its
        triggers has events that do not fit it."""
        function = definition.function
        assert definition.handler is not None
        signature = schema.signature_of(definition.handler)
        for trigger in definition.triggers:
            try:
                trigger.check_handler(signature.annotation)
            except ConfigurationError as error:
                raise ConfigurationError(f"function {function.name!r}: {error.problem}", where=function.where) from None
        self.signatures[function.name] = signature

    def manifest(self) -> Manifest:
        """What a host needs to know of this app. Raises `ConfigurationError` when a declaration is incomplete."""
        functions = tuple(definition.function for definition in self.definitions.values())
        for function in functions:
            for option, destination in function.destinations():
                self._check_destination(function, option, destination)
        reserved = sum(function.reserved_concurrency or 0 for function in functions)
        others = any(f.reserved_concurrency is None for f in functions)
        if reserved + others > self.limits.concurrency:
            raise ConfigurationError(
                f"app {self.name!r}: its functions' reserved_concurrency is {reserved:,} together, of "
                f"{self.limits.concurrency:,} (Limits.concurrency)"
                + (", which leaves nothing to the others" if others else "")
            )
        return Manifest(app=self.name, directory=str(self.directory), functions=functions, limits=self.limits)

    def _check_destination(self, function: Function, option: str, destination: str) -> None:
        scheme, _, target = destination.partition(":")
        if scheme != "function":
            return
        if target == function.name:
            problem = f"{option} names the function itself, which would run for ever"
        elif target not in self.definitions:
            problem = f"{option} names the function {target!r}, which does not exist{nearest(target, self.definitions)}"
        else:
            return
        raise ConfigurationError(f"function {function.name!r}: {problem}", where=function.where)

    def run(
        self,
        *,
        target: str | None = None,
        mounted: Iterable[type[Trigger]] = (),
        plugins: Iterable[object] = (),
        **settings: Any,
    ) -> AbstractAsyncContextManager[Running]:
        """Run the app here: `async with app.run() as running:`, on asyncio or trio.

        All triggers run, except the types in `mounted`, which the caller serves. `target` (`module:app`,
        `module:factory` or a file) tells the template how to import this app; by default the module that made it.
        `plugins` are objects or modules with hooks, registered beside those that are installed. What handlers print,
        and what fails, goes to the logger `fnframe.functions`.
        `settings` are those of fnframe.toml, which is read from the app's folder, and win over it.
        Raises `ConfigurationError` when the app cannot start as it is declared.
        """
        _refuse_in_template("run")
        from .runtime.run import run_app

        return run_app(self, target=target, mounted=tuple(mounted), plugins=tuple(plugins), settings=settings)

    def run_in_thread(
        self, *, target: str | None = None, plugins: Iterable[object] = (), **settings: Any
    ) -> AbstractContextManager[RunningInThread]:
        """Run the app in a thread of its own, for synchronous programs: the same verbs, blocking. See `run`."""
        _refuse_in_template("run_in_thread")
        from .runtime.thread import run_app_in_thread

        return run_app_in_thread(self, target=target, plugins=tuple(plugins), settings=settings)

    def _add(self, function: Function, handler: Callable[..., Any] | None, triggers: tuple[Trigger, ...]) -> None:
        if not isinstance(function.name, str):
            raise ConfigurationError(
                f"the name of a function must be a text, found {function.name!r}", where=function.where
            )
        function = function.checked(self.limits)
        if function.name in self.definitions:
            first = self.definitions[function.name].function.where
            raise ConfigurationError(
                f"function {function.name!r} is declared twice, first at {first}; give one of them name=...",
                where=function.where,
            )
        if not _NAME.fullmatch(function.name):
            problem = "letters, digits, '_', '-' and '.', of which the last is not the first"
            raise ConfigurationError(
                f"{function.name!r} is no name for a function: {problem}; give it name=...", where=function.where
            )
        addresses = {
            (kind_of(trigger), address): (function, trigger)
            for trigger in triggers
            if (address := trigger.address()) is not None
        }
        for taken in addresses.keys() & self._addresses.keys():
            (other, known), (_, trigger) = self._addresses[taken], addresses[taken]
            problem = f"{trigger.describe()} is already that of {other.name!r}: {known.describe()}, declared at"
            raise ConfigurationError(f"function {function.name!r}: {problem} {other.where}", where=function.where)
        definition = Definition(function, handler, triggers)
        try:
            if handler is not None:
                self.sign(definition)
        except NameError:
            # A type that the module defines further down; the template looks again when the module is complete.
            pass
        except (AttributeError, SyntaxError, TypeError) as error:
            raise ConfigurationError(f"function {function.name!r}: {error}", where=function.where) from None
        self.definitions[function.name] = definition
        self._addresses |= addresses


def _refuse_in_template(verb: str) -> None:
    """A file that runs its app when it is imported would start itself without end."""
    if in_template:
        raise ConfigurationError(
            f"app.{verb}() is called while fnframe imports this file, or from inside a function: put it under "
            '`if __name__ == "__main__":`, or into another file',
            where=_caller(3),
        )


def _check_triggers(triggers: tuple[Any, ...], where: str) -> None:
    for trigger in triggers:
        if not isinstance(trigger, Trigger):
            hint = " (have you forgotten the parentheses?)" if isinstance(trigger, type) else ""
            raise ConfigurationError(f"expected a trigger such as Files(...), found {trigger!r}{hint}", where=where)


def _caller(depth: int = 2) -> str:
    frame = sys._getframe(depth)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _refuse_twice(triggers: tuple[Trigger, ...], where: str) -> None:
    """Two that poll one source would take from each other what only one of them handles, or lets through."""
    seen: set[tuple[str, str | None]] = set()
    for trigger in triggers:
        source = trigger.identity() if trigger.invocation_type == "polled" else trigger.address()
        mapping = kind_of(trigger), source
        if source is not None and mapping in seen:
            problem = f"this function has {trigger.describe()} already: one trigger does for both"
            raise ConfigurationError(problem, where=where)
        seen.add(mapping)


def _spec(trigger: Trigger, where: str) -> TriggerSpec:
    """Raises `ConfigurationError` for a field whose value is none of its type: a Struct does not look by itself."""
    try:
        fields = msgspec.json.encode(trigger)
        msgspec.json.decode(fields, type=type(trigger))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{trigger.describe()}: {error}", where=where) from None
    if trigger.filter is not None:
        _check_filter(trigger, trigger.filter, where)
    return TriggerSpec(kind_of(trigger), fields, trigger.describe())


def _check_filter(trigger: Trigger, patterns: dict[str, Any] | list[dict[str, Any]], where: str) -> None:
    from .filter.patterns import InvalidPattern, compile_patterns  # Most apps have no filter.

    kind = type(trigger).__name__
    if trigger.is_awaited():
        problem = "somebody waits for the answer to each event, so none may be filtered; look at it in the function"
        raise ConfigurationError(f"{kind}: {problem}", where=where)
    try:
        compile_patterns(patterns)
    except InvalidPattern as error:
        raise ConfigurationError(f"{kind}: filter: {error.problem}", where=where) from None
