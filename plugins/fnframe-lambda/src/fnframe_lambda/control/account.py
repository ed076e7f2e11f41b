"""GetAccountSettings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import archive
from ..wire import Answer, json_answer
from .concurrency import unreserved

if TYPE_CHECKING:
    from ..request import Request
    from .plane import Plane

CODE_STORAGE = 80_530_636_800
"""Bytes: Lambda's limit for all archives of an account; here the engine's own holds."""


async def settings(plane: Plane, request: Request) -> Answer:
    """`GET /2016-08-19/account-settings`"""
    records = plane.store.functions.values()
    used = sum(each.code_size for record in records for each in record.versions())
    return json_answer(
        200,
        {
            "AccountLimit": {
                "TotalCodeSize": CODE_STORAGE,
                "CodeSizeUnzipped": archive.LARGEST_UNZIPPED,
                "CodeSizeZipped": archive.LARGEST_ZIPPED,
                "ConcurrentExecutions": plane.running.manifest.limits.concurrency,
                "UnreservedConcurrentExecutions": unreserved(plane),
            },
            "AccountUsage": {"TotalCodeSize": used, "FunctionCount": len(plane.all_declared()) + len(records)},
        },
    )
