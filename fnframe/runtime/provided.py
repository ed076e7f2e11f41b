"""The environment providers of a running app: which functions they bring, and in what their environments begin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from ..function import Function, Manifest
    from ..provider import EnvironmentProvider, Preparation


class Provided:
    """`settings` are those of each kind; `scratch` is a folder that lives as long as the app runs."""

    def __init__(
        self, providers: Mapping[str, EnvironmentProvider], settings: Mapping[str, msgspec.Struct], scratch: Path
    ) -> None:
        self._providers = providers
        self._settings = settings
        self.scratch = scratch
        self.beside: dict[str, tuple[Function, ...]] = {}
        """What plugins have served beside the app's functions, by the name under which they gave it."""

    def joined(self, manifest: Manifest) -> Manifest:
        """With the functions that settings declare, and those that plugins have served beside. Raises
        `ConfigurationError` for one that is there already."""
        functions = list(manifest.functions)
        known = {function.name: function.where for function in functions}
        for kind, provider in self._providers.items():
            functions += provider.functions(self._settings.get(kind), Path(manifest.directory))
        functions += [function for several in self.beside.values() for function in several]
        functions = [self._with_arn(function) for function in functions]
        for function in functions[len(manifest.functions) :]:
            if function.name in known:
                problem = f"function {function.name!r} is declared twice, first at {known[function.name]}"
                raise ConfigurationError(problem, where=function.where)
            known[function.name] = function.where
            function.checked(manifest.limits)
        return msgspec.structs.replace(manifest, functions=tuple(functions))

    def _with_arn(self, function: Function) -> Function:
        provider = None if function.environment is None else self._providers.get(function.environment.kind)
        if provider is None:
            return function
        assert function.environment is not None
        arn = provider.arn(function, self._settings.get(function.environment.kind))
        return msgspec.structs.replace(function, arn=arn)

    async def prepare(self, function: Function, directory: Path) -> Preparation:
        """In what the environments of this function begin. Raises `ConfigurationError`."""
        assert function.environment is not None
        kind = function.environment.kind
        provider = self._providers.get(kind)
        if provider is None:
            raise ConfigurationError(
                f"function {function.name!r} runs in an environment of the kind {kind!r}, which no installed plugin "
                f"provides (provided: {', '.join(sorted(self._providers)) or 'none'}): install its plugin",
                where=function.where,
            )
        settings = self._settings.get(kind)
        return await anyio.to_thread.run_sync(provider.prepare, function, settings, directory, self.scratch)
