"""All measures, one after the other.

    python -m benchmarks                        the short form, less than five minutes
    python -m benchmarks --full --json all.json the whole, with the table: two hours
    python -m benchmarks --only burst lateness

Ends with code 1 when anything was lost, came twice or came early.
"""

from __future__ import annotations

from typing import Any

from benchmarks import (
    burst,
    create_stream,
    create_unary,
    lateness,
    memory,
    peers_beside,
    round_trips,
    startup,
    table,
    timers,
    watch,
    window,
)
from benchmarks.harness.program import Program, arguments, run

#: In this order; the table in the full form alone.
PROGRAMS: tuple[Program[Any], ...] = (
    round_trips.PROGRAM,
    create_stream.PROGRAM,
    create_unary.PROGRAM,
    burst.PROGRAM,
    timers.PROGRAM,
    lateness.PROGRAM,
    startup.PROGRAM,
    window.PROGRAM,
    memory.PROGRAM,
    watch.PROGRAM,
    table.PROGRAM,
)


def main() -> None:
    """Run what was asked for."""
    parser = arguments(__doc__ or "")
    names = [program.name for program in PROGRAMS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--peers", action="store_true", help="measure the peers in the same run")
    options = parser.parse_args()
    wanted = options.only or [name for name in names if options.full or name != table.PROGRAM.name]
    chosen = [program for program in PROGRAMS if program.name in wanted]
    if options.peers:
        chosen.append(peers_beside.PROGRAM)
    run([(program, program.full if options.full else program.short) for program in chosen], options)


if __name__ == "__main__":
    main()
