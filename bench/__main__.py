"""Everything in one run: `python -m bench`. One script after the other, then all goals together."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from .harness import RESULTS, print_verdicts

SCRIPTS = [
    "isolated",
    "timeout",
    "lateness",
    "memory",
    "coldstart",
    "http",
    "lambda_door",
    "inline",
    "queue",
    "cron",
    "filter",
    "imports",
    "files",
    "billing",
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("scripts", nargs="*", default=SCRIPTS, help="by default: " + " ".join(SCRIPTS))
    parser.add_argument("--rounds", type=int, help="by default what each script says")
    arguments = parser.parse_args()
    rounds = ["--rounds", str(arguments.rounds)] if arguments.rounds else []
    verdicts = []
    for script in arguments.scripts:
        subprocess.run([sys.executable, "-m", f"bench.{script}", *rounds], check=True)
        verdicts += json.loads((RESULTS / f"{script}.json").read_text())["verdicts"]
    print("\n# All goals\n")
    print_verdicts(verdicts)
    sys.exit(any(row["met"] != "yes" for row in verdicts))


if __name__ == "__main__":
    main()
