"""`fnframe functions`: what an app declares."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from .errors import shown
from .options import Assignments, Target, settings_of
from .signals import Stop, run_async
from .standard_output import tell

if TYPE_CHECKING:
    from ..function import Manifest


def functions(
    target: Target,
    /,
    *,
    format: Annotated[Literal["table", "json"], Parameter(help="For people, or for programs.")] = "table",  # noqa: A002
    set_: Assignments = (),
) -> int:
    """List an app's functions with their triggers and limits."""
    return run_async(partial(_functions, target, format, settings_of(set_)))


async def _functions(target: str, form: str, settings: dict[str, object], _: Stop) -> int:
    import msgspec

    from ..runtime.run import run_target
    from .output import counted, functions_table, terminal

    async with run_target(target, settings=settings, serve="none") as running:
        manifest = running.manifest
    if form == "json":
        tell(msgspec.json.format(_json(manifest), indent=2).decode())
        return 0
    console = terminal()
    console.print(
        f"{manifest.app}: {counted(len(manifest.functions), 'function')}; memory is what importing the app takes "
        "of what each may use\n"
    )
    for number, (line, triggers) in enumerate(
        functions_table(manifest, [shown(function.where) for function in manifest.functions])
    ):
        console.print(line, style="bold" if number == 0 else None, soft_wrap=True)
        for trigger in triggers:
            console.print(f"    {trigger}", style="dim", soft_wrap=True)
    return 0


def _json(manifest: "Manifest") -> bytes:
    import msgspec

    functions = [
        {
            **msgspec.structs.asdict(function),
            # Already JSON: as the object that it is, not as text in text.
            "triggers": [{"kind": spec.kind, "fields": msgspec.Raw(bytes(spec.fields))} for spec in function.triggers],
        }
        for function in manifest.functions
    ]
    return msgspec.json.encode({**msgspec.structs.asdict(manifest), "functions": functions})
