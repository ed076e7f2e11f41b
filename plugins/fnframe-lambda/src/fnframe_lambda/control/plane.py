"""The control plane of one running app: what was made by the API, and how it comes to be served."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from fnframe import ConfigurationError

from ..names import LATEST
from ..resolve import missing, named
from ..wire import ApiError, conflict, invalid
from .arns import destination_of
from .code import Codes
from .feeding import Feeding
from .records import Configuration, Record
from .served import Surroundings, functions_of, served_name
from .store import Overtaken, Store

if TYPE_CHECKING:
    from fnframe import Function
    from fnframe.lifespan import RunningApp

    from ..names import Account
    from ..provider import LambdaSettings
    from ..resolve import Named

log = logging.getLogger("fnframe.lambda")

OWNER = "lambda"


class Plane:
    """Functions that the API made, by name in `store.functions`; those of the app are not among them.

    Whoever changes something holds `changing` from looking to keeping.
    """

    def __init__(self, running: RunningApp, account: Account, settings: LambdaSettings) -> None:
        self.running = running
        self.account = account
        self.store = Store(running, account)
        self.codes = Codes(self.store, running.scratch)
        self.changing = anyio.Lock()
        self.feeding = Feeding(self)
        self._around = Surroundings(self.codes.root, self._destination, settings.retry_delays)

    @property
    def urls(self) -> dict[str, tuple[str, str]]:
        """Function and qualifier of each function URL, by its id."""
        records = self.store.functions.values()
        return {url.id: (record.name, qualifier) for record in records for qualifier, url in record.urls.items()}

    async def begin(self) -> None:
        """Serve again what was made before. What cannot be, since the app has changed meanwhile, is logged and left."""
        await self.store.load()
        records = list(self.store.functions.values())
        if not records:
            return
        try:
            await self._serve_again(records)
        except ApiError:  # One after the other, to find whose it is.
            good: list[Record] = []
            for record in records:
                try:
                    await self._serve_again([*good, record])
                    good.append(record)
                except ApiError as error:
                    self._leave(record.name, error)
            await self._serve_again(good)

    def _leave(self, name: str, error: ApiError) -> None:
        log.error("function %r, made by Lambda's API, is not served: %s", name, error)
        self.store.functions.pop(name, None)

    async def _serve_again(self, records: list[Record]) -> None:
        for digest in {digest for record in records for digest in record.digests()}:
            await self.codes.restore(digest)
        await self._serve(records)

    def sources_changed(self) -> None:
        """Poll for the event source mappings as they are now."""
        self.feeding.changed()

    async def keep(self, record: Record) -> None:
        """Serve a function as this record says from now on, and remember it. Raises `ApiError`, and nothing changes."""
        before = self.store.functions.get(record.name)
        others = [each for each in self.store.functions.values() if each.name != record.name]
        self.store.functions[record.name] = record  # Destinations of others may name it.
        try:
            await self._serve([*others, record])
            await self.store.save(record)
        except Overtaken:
            with anyio.CancelScope(shield=True):
                await self._follow(record)
            raise
        except BaseException:
            with anyio.CancelScope(shield=True):
                if before is None:
                    self.store.functions.pop(record.name, None)
                else:
                    self.store.functions[record.name] = before
                await self._serve(list(self.store.functions.values()))
                await self.store.drop_archives(set(record.digests()))
            raise
        if before is not None:
            await self.store.drop_archives(set(before.digests()) - set(record.digests()))

    async def _follow(self, record: Record) -> None:
        """Another process made something else of a function than this record: serve that."""
        try:
            await self._serve_again(list(self.store.functions.values()))
        except ApiError as error:
            self._leave(record.name, error)
            await self._serve(list(self.store.functions.values()))
        await self.store.drop_archives(set(record.digests()))

    async def remove(self, record: Record) -> None:
        """Forget a function."""
        await self.store.remove(record)
        await self._serve(list(self.store.functions.values()))
        await self.store.drop_archives(set(record.digests()))

    def named(self, text: str, qualifier: str | None = None) -> Named:
        """A function as a request names it. Raises `ApiError`."""
        return named(text, qualifier, self.account)

    def record(self, name: str, *, looking: bool = False) -> Record:
        """What is remembered of a function. Raises `ApiError` where there is none, or where it is the app's own: unless
        somebody is only `looking`, for whom that is one of which nothing was set."""
        record = self.store.functions.get(name)
        if record is not None:
            return record
        declared = self.declared(name)
        if declared is None:
            raise missing(self.account, name, None)
        if looking:
            return Record(name=name, latest=Configuration(code="", code_size=0, handler="", runtime="", role=""))
        raise conflict(f"The function {name} is declared at {declared.where}, and cannot be changed by the API")

    def declared(self, name: str) -> Function | None:
        """A function of the app's own."""
        return next((function for function in self.all_declared() if function.name == name), None)

    def all_declared(self) -> list[Function]:
        """The functions of the app's own."""
        made = self.store.functions
        return [f for f in self.running.manifest.functions if f.title not in made]

    def destination(self, arn: str) -> str:
        """Where records for this ARN go. Raises `ApiError` for what is not here."""
        found = destination_of(arn)
        if found is None:
            raise invalid(f"The destination ARN {arn} is invalid.")
        kind, _, rest = found.partition(":")
        if kind == "function":
            name, _, qualifier = rest.partition(":")
            record = self.store.functions.get(name)
            known = self.declared(name) is not None if record is None else record.version(qualifier or None) is not None
            if not known or (record is None and qualifier):
                raise invalid(f"The destination ARN {arn} is invalid.")
        return self._destination(arn)

    def _destination(self, arn: str) -> str:
        found = destination_of(arn) or ""
        kind, _, rest = found.partition(":")
        name, _, qualifier = rest.partition(":")
        record = self.store.functions.get(name)
        if kind != "function" or record is None:
            return found
        configuration = record.version(qualifier or None)
        version = LATEST if configuration is None else configuration.version
        return f"function:{served_name(record, version, qualifier or None)}"

    async def _serve(self, records: list[Record]) -> None:
        functions = [function for record in records for function in functions_of(record, self._around)]
        try:
            await self.running.serve_beside(OWNER, functions)
        except ConfigurationError as error:
            raise invalid(error.problem) from None
        self.sources_changed()
