"""A project that `fnframe new` makes: a template in which one word is replaced by a name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

TEMPLATES = Path(__file__).parent / "templates"
ENGINE = Path(__file__).parents[1] / "engine"

WORD = "sample"
"""What stands in the templates, which are projects themselves, in place of the name."""
HIDDEN = {"gitignore": ".gitignore"}
"""Files that begin with a dot only where they are written: others would heed them here."""
PARTS = ("memory.py", "memory_queue.py", "memory_stream.py", "agenda.py")
"""The smallest engine that is complete is fnframe's own in memory: a plugin begins with a copy of it."""


class Project(NamedTuple):
    """A template, and the name that its project gets."""

    template: str
    name: str

    def write(self, folder: Path) -> None:
        """Write the project into a folder, which must not be there. Raises `OSError`."""
        root = TEMPLATES / self.template
        for source in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            place = Path(*(self._named(part) for part in source.relative_to(root).parts))
            self._write(folder / place.with_name(HIDDEN.get(place.name, place.name)), source.read_text("utf-8"))
        if self.template == "new-engine":
            for part in PARTS:
                package = folder / "src" / self._named(f"fnframe_{WORD}")
                self._write(package / part, plugin_form((ENGINE / part).read_text("utf-8")))

    def _write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._named(text), "utf-8")

    def _named(self, text: str) -> str:
        """The text with the name in place of the word: as a distribution, a class, or else an identifier."""
        identifier = self.name.replace("-", "_")
        text = text.replace(f"fnframe-{WORD}", f"fnframe-{self.name}")
        text = text.replace(WORD.capitalize(), "".join(word.capitalize() for word in identifier.split("_")))
        return text.replace(WORD, self.name if self.template == "new-app" else identifier)


def plugin_form(source: str) -> str:
    """A module of fnframe's engine in memory as a plugin may have it: it imports the contract, and no more."""
    source = re.sub(r"def memory_engine\(.*?(?=class )", "", source, flags=re.DOTALL)
    source = source.replace("from ..errors import ConfigurationError\n", "")
    return source.replace("from ..", "from fnframe.").replace("from .protocol", "from fnframe.engine.protocol")


def check_name(name: str) -> None:
    """Raises `ValueError` for what is no name of a project, and of a Python package."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ValueError(f"a name begins with a lower case letter, and has letters, digits, - and _; found {name!r}")
