"""The other process of soak.files: does to files whatever programs do to files, `python storm.py FOLDER COUNT`.

Prints a line when it has made the directories, then waits for one; prints a line after the first half, and at the end
the etags of all versions that ever were complete, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections import deque
from pathlib import Path

PLACES = 97
LATER = 200
"""So many files later, a file that was closed is changed again."""


class Storm:
    def __init__(self, root: Path, half: int) -> None:
        self._half = half
        self._uploads = root / "uploads"
        self._aside = root / "aside"
        self._aside.mkdir()
        self._chance = random.Random(7)
        self._closed: deque[Path] = deque()
        self.complete: list[str] = []

    def go(self, number: int) -> None:
        """One file more, and something done to one of before."""
        path = self._place(number)
        if number % 3 == 0:
            part = path.with_name(path.name + ".part")
            self._write(part, "w", number)
            part.rename(path)
        else:
            self._write(path, "w", number)
        self._closed.append(path)
        if number % 500 == 0:
            self._move_in(number)
        if number % 900 == 0:
            self._rename_tree(number)
        if len(self._closed) > LATER:
            self._change(self._closed.popleft(), number)

    def prepare(self) -> None:
        for number in range(PLACES):
            self._place(number)

    def _place(self, number: int) -> Path:
        """In one of so many directories, of up to twelve levels; made anew if it was renamed."""
        place = number % PLACES
        folder = self._uploads.joinpath(*(f"{place % (level + 2)}" for level in range(place % 12)))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"file-{number}"

    def _write(self, path: Path, mode: str, number: int) -> None:
        """In two pieces, and complete after the second."""
        with path.open(f"{mode}b", buffering=0) as file:
            file.write(b"half")
            file.write(b"x" * (number % 100 + 1))
            status = os.fstat(file.fileno())
            self.complete.append(f"{status.st_ino:x}.{status.st_size:x}.{status.st_mtime_ns:x}")

    def _change(self, path: Path, number: int) -> None:
        if not path.exists():  # Its directory was renamed.
            return
        action = self._chance.randrange(6)
        if action == 0:
            self._write(path, "w", number + 50)
        elif action == 1:
            self._write(path, "a", number)
        elif action == 2:
            path.rename(path.with_name(f"{path.name}-renamed"))
        elif action == 3:
            new = self._aside / path.name
            self._write(new, "w", number)
            new.replace(path)
        elif action == 4:
            path.unlink()

    def _move_in(self, number: int) -> None:
        album = self._aside / f"album-{number}"
        (album / "deep" / "er").mkdir(parents=True)
        for index in range(20):
            self._write(album / "deep" / "er" / f"{index}", "w", index)
        album.rename(self._uploads / album.name)

    def _rename_tree(self, number: int) -> None:
        """In the first half only what was moved in: nobody watches directories that are made during the stall."""
        trees = [path for path in self._uploads.iterdir() if path.is_dir()]
        if number < self._half:
            trees = [path for path in trees if path.name.startswith("album")]
        if trees:
            tree = self._chance.choice(trees)
            tree.rename(tree.with_name(f"{tree.name[:30]}-{self._chance.randrange(1 << 32):x}"))


def main() -> None:
    root, count = Path(sys.argv[1]), int(sys.argv[2])
    storm = Storm(root, count // 2)
    storm.prepare()
    print(flush=True)
    sys.stdin.readline()
    for number in range(count):
        if number == count // 2:
            print(flush=True)
        storm.go(number)
    print(json.dumps(storm.complete), flush=True)


if __name__ == "__main__":
    main()
