"""Which app is meant: `module:app`, `path/to/app.py` or a folder that holds `app.py`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

from ..app import App
from ..errors import ConfigurationError, nearest

PROVIDED = "--provided"
"""In place of a target: a template of a provider's environments, not of an app."""

FORMS = "a target is 'module:app', 'path/to/app.py' or a folder that holds app.py"


def directory_of(target: str) -> Path:
    """The folder beside which an app's fnframe.toml and fnframe_plugins.py lie, without importing the app.

    Raises `ConfigurationError` when there is no such file, folder or module.
    """
    path = _file_of(target)
    if path is not None:
        return path.parent
    module = target.partition(":")[0]
    with _first_on_path(str(Path.cwd())):
        try:
            spec = importlib.util.find_spec(module.partition(".")[0])
        except ValueError:
            spec = None
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        raise ConfigurationError(f"no file, folder or module {target!r} from {Path.cwd()}; {FORMS}")
    if "." in module or spec.submodule_search_locations:
        folder = Path(next(iter(spec.submodule_search_locations or [str(Path.cwd())])))
        place = folder.joinpath(*module.split(".")[1:]).absolute()
        if place.is_dir():
            return place
        if not any(place.parent.glob(f"{place.name}.*")):
            raise ConfigurationError(f"no file, folder or module {target!r} from {Path.cwd()}; {FORMS}")
        return place.parent
    return Path(str(spec.origin)).absolute().parent


def load_app(target: str, name: str | None = None, *, anew: bool = False) -> App:
    """Import the target and return its app; `name` is the name that the app must have, where that is known.

    `anew` forgets what was imported from the app's folder before, so that a reload gets the code as it is now.

    The rule for `__main__`: a program that was started as a file is imported here under the name
    `__fnframe_main__`, so what it guards with `if __name__ == "__main__":` does not run again.
    Raises whatever the import raises, and `ConfigurationError` when no app is found.
    """
    path = _file_of(target)
    if anew:
        _forget(directory_of(target))
    attribute = target.rpartition(":")[2] if ":" in target else ""
    module = _import_file(path) if path is not None else _import_module(target.partition(":")[0])
    if attribute:
        return _attribute(module, attribute, target)
    apps = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    found = [app for app in apps.values() if name is None or app.name == name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(sorted(key for key, value in vars(module).items() if isinstance(value, App)))
        form = str(Path(target) / "app.py") if Path(target).is_dir() else target
        raise ConfigurationError(f"{target} holds several apps ({names}): say which, as {form}:NAME")
    looked_for = f"no App named {name!r}" if name else "no App"
    raise ConfigurationError(
        f"{target} defines {looked_for} at its top level; write `app = App(...)` there, or name a factory: "
        "'module:create_app'"
    )


def _file_of(target: str) -> Path | None:
    if not target:
        raise ConfigurationError(f"the target is empty, as a variable that is not set leaves it; {FORMS}")
    path_text = target.partition(":")[0] if ".py:" in target else target
    path = Path(path_text)
    if path.is_dir():
        path = path / "app.py"
        if not path.is_file():
            raise ConfigurationError(f"the folder {target} holds no app.py; {FORMS}")
    if path.suffix != ".py" and path.is_file() and (path.suffix or "/" in target):
        raise ConfigurationError(f"{target} is no Python file; {FORMS}")
    if path.suffix == ".py" or "/" in target:
        if not path.is_file():
            raise ConfigurationError(f"no file {path_text!r} from {Path.cwd()}; {FORMS}")
        return path.absolute()
    return None


def _import_file(path: Path) -> Any:
    # As `python path/to/app.py` does, so that modules beside the app are found.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = "__fnframe_main__" if path.stem == "__main__" else path.stem
    existing = sys.modules.get(name)
    if existing is not None and getattr(existing, "__file__", None) == str(path):
        return existing
    if existing is not None:
        name = "__fnframe_main__"  # An app may have the name of a module that is loaded already (`code.py`).
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _import_module(name: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _attribute(module: Any, attribute: str, target: str) -> App:
    apps = {key: item for key, item in vars(module).items() if isinstance(item, App)}
    here = f"apps here: {', '.join(apps) or 'none'}"
    if not hasattr(module, attribute):
        raise ConfigurationError(f"{target}: there is no {attribute!r}{nearest(attribute, apps)}; {here}")
    value = getattr(module, attribute)
    if isinstance(value, App):
        return value
    found = repr(value)
    if callable(value):
        _refuse_handler(value, apps, target)
        if _takes_nothing(value):
            value = value()
            found = f"one that returns {value!r}"
        else:
            found = f"one that takes {inspect.signature(value)}"
    if not isinstance(value, App):
        raise ConfigurationError(
            f"expected {target} to be an App or a function that takes nothing and returns one, found {found}; {here}"
        )
    return value


def _refuse_handler(value: Any, apps: dict[str, App], target: str) -> None:
    """A target names an app, and the command one of its functions."""
    for key, app in apps.items():
        for definition in app.definitions.values():
            if definition.handler is value:
                name, place = definition.function.name, f"{target.rpartition(':')[0]}:{key}"
                raise ConfigurationError(
                    f"{target} is the function {name!r} of an app, and a target names the app: {place} (to run the "
                    f"function: `fnframe invoke {place} {name}`)",
                    where=definition.function.where,
                )


def _takes_nothing(value: Any) -> bool:
    try:
        inspect.signature(value).bind()
    except TypeError:
        return False
    except ValueError:  # A builtin that does not tell.
        pass
    return True


def _forget(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is None or name == "__main__" or folder not in Path(file).parents:
            continue
        # A project keeps its virtual environment beside its app: what is installed is not the app's own.
        if not {"site-packages", "dist-packages"} & set(Path(file).parts[len(folder.parts) :]):
            del sys.modules[name]


class _first_on_path:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        sys.path.insert(0, self.folder)

    def __exit__(self, *_: object) -> None:
        sys.path.remove(self.folder)
