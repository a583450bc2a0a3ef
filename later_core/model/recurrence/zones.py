"""Time zones by their IANA names, the same on every machine.

The standard library prefers the zones of the operating system, which differ from machine to machine.
Nodes that plan together must agree, so these come from the ``tzdata`` distribution alone.
"""

from __future__ import annotations

import difflib
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from later_core.errors import InvalidRequest


def time_zone(name: str, field: str = "time_zone") -> ZoneInfo:
    """The zone of this name.

    Raises:
        InvalidRequest: ``field`` is no IANA name; the nearest ones are proposed.

    """
    if name in zone_names():
        return _load(name)
    by_lower_case = {known.lower(): known for known in zone_names()}
    nearest = difflib.get_close_matches(name[:64].lower(), by_lower_case, n=2)
    hint = " or ".join(repr(by_lower_case[lower]) for lower in nearest) or "such as 'Europe/Paris'"
    raise InvalidRequest.of(
        field, f"{name[:64]!r} is not a time zone; write a name of the IANA database: {hint}"
    )


@cache
def zone_names() -> frozenset[str]:
    """Every name that ``time_zone`` accepts."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@cache
def _load(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
