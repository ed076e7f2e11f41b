"""The code of functions: archives that were uploaded, checked, kept, and unpacked where environments find them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from .. import archive
from ..wire import invalid, operation_too_large

if TYPE_CHECKING:
    from .store import Store

LARGEST_REQUEST = 69_905_067
"""Bytes of a request with an archive: that of Lambda's largest in base64."""


class Code(NamedTuple):
    """`digest` is the archive's SHA-256 in base64, `size` its bytes."""

    digest: str
    size: int


class Codes:
    """Unpacks archives below `folder`, each once."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def root(self, digest: str) -> str:
        """Where the code of this digest lies."""
        return str(self._folder / f"made-{base64.b64decode(digest).hex()}")

    async def take(self, zip_file: str) -> Code:
        """Keep an archive, sent in base64. Raises `ApiError` for one that Lambda would refuse."""
        data, digest = await anyio.to_thread.run_sync(_decoded, zip_file)
        await self._unpack(digest, data)
        await self._store.keep_archive(digest, data)
        return Code(digest, len(data))

    async def restore(self, digest: str) -> None:
        """Unpack what was kept, unless it is there. Raises `ApiError` where it was not kept."""
        if self._lies(digest):
            return
        data = await self._store.archive(digest)
        if data is None:
            raise invalid(f"the archive of the code {digest} is gone")
        await self._unpack(digest, data)

    def _lies(self, digest: str) -> bool:
        return Path(self.root(digest)).exists()

    async def _unpack(self, digest: str, data: bytes) -> None:
        if self._lies(digest):
            return
        try:
            await anyio.to_thread.run_sync(archive.unpack, io.BytesIO(data), Path(self.root(digest)))
        except archive.BadArchive as error:
            raise invalid(error.problem) from None


def _decoded(zip_file: str) -> tuple[bytes, str]:
    """An archive and its digest. Raises `ApiError`."""
    try:
        data = base64.b64decode(zip_file, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("The provided ZipFile is not valid base64.") from None
    if len(data) > archive.LARGEST_ZIPPED:
        raise operation_too_large(LARGEST_REQUEST, "CreateFunction")
    return data, base64.b64encode(hashlib.sha256(data).digest()).decode()
