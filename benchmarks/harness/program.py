"""One program a measure: its sizes, short and full, and how it is run alone."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.harness.bench import Bench, bench
from benchmarks.harness.printing import as_text
from benchmarks.harness.rows import Report, Row

Size = TypeVar("Size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[Size]):
    """``measure`` is given the surroundings and a size, and yields each row as it is measured."""

    name: str
    about: str
    short: Size
    full: Size
    measure: Callable[[Bench, Size], AsyncIterator[Row]]
    #: Whether a fault that it counts is one of Later's.
    is_ours: bool = True

    def main(self) -> None:
        """Run it alone, ``python -m benchmarks.NAME``; each field of its size is a flag."""
        parser = arguments(self.about)
        for one in fields(self.short):  # type: ignore[arg-type]  # a size is a dataclass
            flag, shown = "--" + one.name.replace("_", "-"), getattr(self.short, one.name)
            many = isinstance(shown, tuple)
            parser.add_argument(
                flag,
                type=type(shown[0] if many else shown),
                nargs="+" if many else None,
                help=f"{shown} in short, {getattr(self.full, one.name)} in full",
            )
        options = parser.parse_args()
        run([(self, self.size(options))], options)

    def size(self, options: argparse.Namespace) -> Size:
        """The short or the full one, with what was given by flag."""
        given = {
            one.name: tuple(value) if isinstance(value, list) else value
            for one in fields(self.short)  # type: ignore[arg-type]  # a size is a dataclass
            if (value := getattr(options, one.name, None)) is not None
        }
        size: Any = self.full if options.full else self.short
        chosen: Size = replace(size, **given)
        return chosen


def arguments(about: str) -> argparse.ArgumentParser:
    """What every program understands."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="take the sizes of the full form")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to a file too")
    parser.add_argument("--mongodb-uri", help="a replica set on this machine; else one is started")
    parser.add_argument("--seed", type=int, default=0, help="decides what chance decides")
    return parser


def run(programs: Sequence[tuple[Program[Any], Any]], options: argparse.Namespace) -> None:
    """Run them one after the other, print each row as it comes, and write the report.

    Ends the process, with code 1 when anything of Later's was lost, twice or early.
    """
    raise SystemExit(asyncio.run(_run(programs, options)))


async def _run(programs: Sequence[tuple[Program[Any], Any]], options: argparse.Namespace) -> int:
    began, load, rows = datetime.now(UTC), os.getloadavg()[0], list[Row]()
    version, is_wrong = "", False
    for program, size in programs:
        random.seed(options.seed)
        # A new MongoDB for each, so that none measures what another left behind.
        async with bench(mongodb_uri=options.mongodb_uri, seed=options.seed) as surroundings:
            version = surroundings.mongodb_version
            async for row in program.measure(surroundings, size):
                print(as_text(row), flush=True)
                rows.append(row)
                is_wrong |= program.is_ours and not row.is_correct
                if options.json:  # a run that is broken off leaves what it has
                    _report(rows, options, version, began, load).write(options.json)
    return int(is_wrong)


def _report(
    rows: Sequence[Row], options: argparse.Namespace, version: str, began: datetime, load: float
) -> Report:
    return Report(
        rows=rows,
        seed=options.seed,
        mongodb=version,
        command=["python", "-m", *_named(sys.argv)],
        began=began,
        load_before=round(load, 2),
    )


def _named(argv: Sequence[str]) -> list[str]:
    """The command as a person typed it, without the place of the file."""
    path = Path(argv[0])
    module = "benchmarks" if path.stem == "__main__" else f"benchmarks.{path.stem}"
    return [module, *argv[1:]]
