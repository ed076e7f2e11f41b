"""For tests: the events of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from fnframe import Event
from fnframe.event import new_id

from .bucket import Bucket
from .objects import ObjectCreated, ObjectRemoved
from .version import version_of


def created_event(folder: str | os.PathLike[str], key: str, *, bucket: str = "test") -> Event:
    """The event of an object that is complete: the file `key` in `folder`, which must be there.

    `bucket` is what the trigger calls the folder. Raises `FileNotFoundError`.
    """
    version = version_of((Path(folder) / key).stat())
    where = Bucket(bucket, str(Path(folder).resolve()))
    return _event(ObjectCreated(bucket=where, key=key, size=version.size, etag=version.etag()))


def removed_event(folder: str | os.PathLike[str], key: str, *, bucket: str = "test") -> Event:
    """The event of an object that is gone."""
    return _event(ObjectRemoved(bucket=Bucket(bucket, str(Path(folder).resolve())), key=key))


def _event(data: ObjectCreated | ObjectRemoved) -> Event:
    return Event(
        id=new_id(),
        source=f"files:{data.bucket.name}",
        type=f"fnframe.files.{type(data).__name__}",
        subject=data.key,
        time=data.time,
        data=msgspec.json.encode(data),
    )
