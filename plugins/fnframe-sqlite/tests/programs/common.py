"""What the programs share: the engine on the file in the folder that they are given."""

import sys
from pathlib import Path

from fnframe_sqlite import SqliteEngine

from fnframe.engine.protocol import EngineOptions

DIRECTORY = Path(sys.argv[1])


def engine(**options):
    return SqliteEngine("sqlite:///engine.db", EngineOptions(directory=DIRECTORY, **options))


def tell(*words):
    print(*words, flush=True)
