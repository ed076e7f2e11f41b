"""The templates of an app and the lanes of its functions: what is made anew when the code is reloaded."""

from __future__ import annotations

import logging
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import anyio
import msgspec

from ..app import App
from ..destination import is_url
from ..dispatch.settled.webhook import INSTALL
from ..environment.lane import Lane, Templates
from ..environment.readiness import Readiness
from ..environment.target import load_app
from ..environment.template import Template, start_provided_template, start_template
from ..errors import ConfigurationError
from ..function import Function, Manifest, StartMethod
from .provided import Provided

log = logging.getLogger("fnframe")

THREADS: dict[StartMethod, str] = {
    "spawn": "a fork would not be safe, so each environment is a fresh interpreter that imports the app again",
    "fork": "environments are forked without them, as start_method = 'fork' asks, and may hang where one held a lock",
}


class Source(msgspec.Struct, frozen=True):
    """Where an app's code is: the target, the app's name where it is known, and the import path to find it."""

    target: str
    name: str | None = None
    path: tuple[str, ...] = ()


class Bundle:
    """Templates of one state of the code: one for each set of variables that its functions ask for.

    `declared` is what the template told; the `manifest` has the functions of providers besides.
    """

    def __init__(self, declared: Manifest, app: App | None) -> None:
        self.declared = declared
        self.manifest = declared
        self.app = app
        """The app, imported in this process: only where a function is inline, or the caller embeds it."""
        self.templates: list[Template] = []
        self.provided: dict[bytes, tuple[Templates, float]] = {}
        """Of the templates those of providers, with their baselines, by what they were prepared for."""
        self.lanes: dict[str, Lane] = {}

    def spare_templates(self) -> list[Template]:
        """Those of providers that no function needs any more: they are the caller's to close."""
        needed = {id(lane.templates) for lane in self.lanes.values()}
        unneeded = {key: found for key, (found, _) in self.provided.items() if id(found) not in needed}
        for key, templates in unneeded.items():
            del self.provided[key]
            self.templates.remove(templates.template)
        return [templates.template for templates in unneeded.values()]

    def has_ended(self) -> bool:
        """Whether a template of it is gone."""
        return any(template.ended.is_set() for template in self.templates)

    async def sweep(self) -> None:
        """End what is left of templates that died."""
        for template in self.templates:
            await template.sweep()

    async def close(self) -> None:
        """End the templates and what descends from them."""
        with anyio.CancelScope(shield=True):
            for template in self.templates:
                await template.close()


async def start_bundle(
    source: Source,
    readiness: Readiness,
    provided: Provided,
    app: App | None = None,
    start_method: StartMethod | None = None,
) -> Bundle:
    """Start the templates and read the manifest. Raises `ImportFailed` or `ConfigurationError`; leaves nothing then."""
    start = partial(
        start_template,
        source.target,
        readiness,
        provided.scratch,
        app=source.name,
        path=source.path,
        start_method=start_method,
    )
    template, imported = await start()
    bundle = Bundle(imported.manifest, app)
    bundle.templates.append(template)
    try:
        _check(bundle.manifest, app)
        _warn_of_threads(f"app {bundle.manifest.app!r}", imported.manifest)
        bundle.manifest = provided.joined(bundle.manifest)
        bundle.manifest.refuse_empty(source.target)
        if app is None and any(function.isolation == "inline" for function in bundle.manifest.functions):
            bundle.app = load_app(source.target, source.name, anew=True)
        by_variables: dict[tuple[tuple[str, str], ...], tuple[Templates, float]] = {}
        by_variables[()] = Templates(template), imported.manifest.baseline_mb
        baselines = await _start_provided(bundle, source, readiness, provided, start_method, bundle.templates)
        for function in bundle.manifest.functions:
            if function.environment is not None:
                continue
            key = tuple(sorted(function.variables.items()))
            if key not in by_variables:
                extra, imported = await start(variables=function.variables)
                bundle.templates.append(extra)
                by_variables[key] = Templates(extra), imported.manifest.baseline_mb
                if imported.manifest.threads != bundle.manifest.threads:
                    _warn_of_threads(f"the app of function {function.name!r} with its variables", imported.manifest)
            if function.isolation == "process":
                templates, baselines[function.name] = by_variables[key]
                _check_memory(function, baselines[function.name])
                bundle.lanes[function.name] = Lane(function, templates)
        bundle.manifest = msgspec.structs.replace(bundle.manifest, baselines=baselines)
    except BaseException:
        await bundle.close()
        raise
    return bundle


async def with_others_beside(
    old: Bundle, source: Source, readiness: Readiness, provided: Provided, start_method: StartMethod | None
) -> Bundle:
    """The same code, with the functions that providers have now. What did not change keeps its lane, and so its
    environments. Raises `ConfigurationError` or `ImportFailed`; then nothing of it is left."""
    bundle = Bundle(old.declared, old.app)
    bundle.manifest = provided.joined(old.declared)
    bundle.templates, bundle.provided = [*old.templates], {**old.provided}
    before = {function.name: function for function in old.manifest.functions}
    bundle.lanes = {
        function.name: old.lanes[function.name]
        for function in bundle.manifest.functions
        if function.name in old.lanes and before[function.name] == function
    }
    started: list[Template] = []
    try:
        baselines = await _start_provided(bundle, source, readiness, provided, start_method, started)
    except BaseException:
        with anyio.CancelScope(shield=True):
            for template in started:
                await template.close()
        raise
    bundle.templates += started
    kept = {name: old.manifest.baselines[name] for name in bundle.lanes if name in old.manifest.baselines}
    bundle.manifest = msgspec.structs.replace(bundle.manifest, baselines={**kept, **baselines})
    return bundle


async def _start_provided(
    bundle: Bundle, source: Source, readiness: Readiness, provided: Provided, start_method: StartMethod | None,
    started: list[Template],
) -> dict[str, float]:  # fmt: skip
    """Templates and lanes of the functions that environment providers run and that have none yet, and their baselines.

    The templates that are new are put to `started`.
    """
    by_key = bundle.provided
    baselines: dict[str, float] = {}
    for function in bundle.manifest.functions:
        if function.environment is None or function.name in bundle.lanes:
            continue
        preparation = await provided.prepare(function, Path(bundle.manifest.directory))
        key = msgspec.json.encode((preparation, function.variables), order="sorted")
        if key not in by_key:
            template, imported = await start_provided_template(
                preparation,
                readiness,
                provided.scratch,
                start_method=start_method,
                path=source.path,
                variables=function.variables,
            )
            started.append(template)
            by_key[key] = Templates(template), imported.manifest.baseline_mb
            _warn_of_threads(f"{preparation.inside!r} for function {function.name!r}", imported.manifest)
        templates, baselines[function.name] = by_key[key]
        _check_memory(function, baselines[function.name])
        bundle.lanes[function.name] = Lane(function, templates)
    return baselines


def _check_memory(function: Function, baseline_mb: float) -> None:
    if baseline_mb > function.memory:
        raise ConfigurationError(
            f"function {function.name!r} may use {function.memory} MB, but importing the app takes "
            f"{baseline_mb:.0f} MB already, which counts: raise memory to more than that, or import less",
            where=function.where,
        )


def _check(manifest: Manifest, app: App | None) -> None:
    for function in manifest.functions:
        _check_webhooks(function)
    if app is not None:
        _check_complete(app, {function.name: function for function in manifest.functions})


def _warn_of_threads(imported: str, manifest: Manifest) -> None:
    if manifest.threads:
        log.warning(
            "importing %s left threads running (%s): %s; start threads in an @app.on_start function instead",
            imported,
            ", ".join(manifest.threads),
            THREADS[manifest.start_method],
        )


def _check_webhooks(function: Function) -> None:
    for option, destination in function.destinations():
        if is_url(destination) and find_spec("httpx2") is None:
            problem = f"function {function.name!r}: {option} is a URL, which needs: {INSTALL}"
            raise ConfigurationError(problem, where=function.where)


def _check_complete(app: App, imported: dict[str, Function]) -> None:
    """An embedded app may have gained functions that its module's import alone does not make."""
    for name, definition in app.definitions.items():
        if name not in imported:
            raise ConfigurationError(
                f"function {name!r} exists only in this process: importing {app.file.name} does not make it, so no "
                "environment can run it. Declare it at the top level of its module; for a factory, give it as the "
                "target: app.run(target='module:create_app')",
                where=definition.function.where,
            )


def source_of(app: App, target: str | None) -> Source:
    """How a template finds an embedded app: its module if that is in a package, else its file.

    Raises `ConfigurationError` where it is in none.
    """
    import sys

    path = tuple(entry or str(Path.cwd()) for entry in sys.path)
    if target is not None:
        return Source(target, None, path)
    if "." in app.module and app.module != "__main__":
        return Source(app.module, app.name, path)
    if not app.file.is_file():
        raise ConfigurationError(
            f"app {app.name!r} is in no file (it was made by `python -c`, at a prompt or in a notebook), and its "
            "environments import the file that declares its functions: put it into one, app.py say, and import it here"
        )
    return Source(str(app.file), app.name, path)
