"""Opens the engine as somebody who may not write the folder."""

import os

import anyio
from common import DIRECTORY, engine, tell

from fnframe import FnframeError


async def main():
    DIRECTORY.chmod(0o555)
    if os.geteuid() == 0:  # To whom permissions are nothing; and who may have been the only one to read Python's files.
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
    try:
        async with engine():
            tell("opened")
    except FnframeError as error:
        tell(type(error).__name__, error)


anyio.run(main)
