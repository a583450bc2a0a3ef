"""One node of ``later serve --nodes``: ``python -m later_core.cli.child``.

Reads from its standard input, as JSON, what the command was given; writes its address to its
standard output once it serves. Only ``later serve`` starts it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from later_core.app.process import Recipe
from later_core.cli.failure import guarded


def recipe(flags: Mapping[str, Any], config: Path | None) -> Recipe:
    """How to start one with these settings. They may hold secrets: no argument, no variable."""
    told = {"flags": dict(flags), "config": str(config) if config else None}
    return Recipe(
        command=[sys.executable, "-m", "later_core.cli.child"], message=json.dumps(told).encode()
    )


def main() -> int:
    """Serve; the exit code is that of ``later serve``."""
    told = json.load(sys.stdin)
    # What plugins print must not be taken for the address.
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say_ready(address: str) -> None:
        with os.fdopen(answer, "w", encoding="utf-8") as out:
            out.write(f"{address}\n")

    def whole() -> int:
        from later_core.cli.serve import serve_one

        try:
            serve_one(told["flags"], told["config"] and Path(told["config"]), say_ready)
        except click.exceptions.Exit as end:
            return end.exit_code
        return 0

    return guarded(whole)


if __name__ == "__main__":
    sys.exit(main())
