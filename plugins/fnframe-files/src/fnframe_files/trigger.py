"""The trigger: its configuration, checked where the user writes it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec

from fnframe import ConfigurationError, Trigger

from .pattern import Selection

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from fnframe import Mapping

TEMPORARY = (".*", "*~", "#*#", "~$*", "*.tmp", "*.temp", "*.swp", "*.part", "*.partial", "*.crdownload", "*.download")


class FilesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[files]` in fnframe.toml. `reconcile`: all folders are looked through every so many seconds, for what the
    system never told: a change through another hard link, or one made on another machine."""

    reconcile: Annotated[float, msgspec.Meta(gt=0)] = 600.0


class Files(Trigger, frozen=True):
    """A folder as an object store: a function is told of each file when it is complete.

    `bucket` is the folder, counted from the app's; it is made if it is missing. `pattern` says which files: without
    `/` by their name, at any depth; with `/` by their whole key, where `*` stays within one folder and `**` is any
    number of folders. `events` are `"created"` (`ObjectCreated`; a replaced or changed file is a new version and
    arrives so too) and `"removed"` (`ObjectRemoved`). `ignore` are patterns of names that are not objects, by
    default those of editors, browsers and other writers of temporary files, and hidden ones; an ignored folder is
    not looked into. Names that begin with `.fnframe` never are objects. Symbolic links are not followed.

    `poll` looks at the folder every so many seconds, for network and bind mounts, where the system does not tell of
    changes. By default that is done only where it never does: on file systems of other machines, every 5 seconds with
    a warning, and on systems that have no inotify, every second. `settle`: seconds without change after which a file
    that nobody told us is complete counts as complete, where the system cannot say whether somebody still writes to it.

    Raises `ConfigurationError` for what makes no sense.
    """

    bucket: str
    pattern: str = "*"
    events: tuple[Literal["created", "removed"], ...] = ("created",)
    recursive: bool = True
    ignore: tuple[str, ...] = TEMPORARY
    poll: float | None = None
    settle: float = 1.0

    has_backlog: ClassVar[bool] = True
    Settings: ClassVar[type[msgspec.Struct]] = FilesSettings

    def __post_init__(self) -> None:
        if not isinstance(self.bucket, str) or not self.bucket or "\0" in self.bucket:
            raise ConfigurationError(f"Files: the bucket must be a folder, such as 'uploads', found {self.bucket!r}")
        _check_choice(self.events)
        _check_patterns((self.pattern,), "pattern")
        _check_patterns(self.ignore, "ignore")
        if self.poll is not None and not (isinstance(self.poll, (int, float)) and 0 < self.poll < math.inf):
            raise ConfigurationError(f"Files: poll must be a number of seconds over 0, found {self.poll!r}")
        if not isinstance(self.settle, (int, float)) or not 0 <= self.settle < math.inf:
            raise ConfigurationError(f"Files: settle must be a number of seconds, found {self.settle!r}")

    def identity(self) -> str:
        """How the folder is watched does not change what was delivered from it."""
        return repr((self.bucket, self.pattern, self.recursive, self.ignore))

    @classmethod
    async def run_all(cls, mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
        # One inotify instance serves all mappings: the system gives a user 128.
        from .serving import serve

        await serve(mappings, task_status=task_status)


def _check_choice(events: object) -> None:
    known = {"created", "removed"}
    if isinstance(events, str) or not isinstance(events, (tuple, list)) or not events or not known.issuperset(events):
        raise ConfigurationError(f"Files: events must be ('created',), ('removed',) or both, found {events!r}")


def _check_patterns(patterns: object, option: str) -> None:
    if isinstance(patterns, str) or not isinstance(patterns, (tuple, list)):
        raise ConfigurationError(f"Files: {option} must be a tuple of patterns, found {patterns!r}")
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern:
            raise ConfigurationError(f"Files: {option} must be a pattern such as '*.jpg', found {pattern!r}")
        if pattern.startswith("/") or pattern.endswith("/") or ".." in pattern.split("/"):
            raise ConfigurationError(
                f"Files: {option} is matched against paths below the folder, such as 'raw/*.jpg'; found {pattern!r}"
            )
        try:
            Selection(pattern, ())
        except re.error as error:
            raise ConfigurationError(f"Files: {option} {pattern!r} cannot be understood: {error}") from None
