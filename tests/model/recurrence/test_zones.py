"""Time zones come from the tzdata distribution alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from later_core.errors import InvalidRequest
from later_core.model.recurrence.zones import time_zone, zone_names


def test_every_name_of_the_database_is_a_zone() -> None:
    assert len(zone_names()) > 400
    for name in zone_names():
        assert str(time_zone(name)) == name
    noon = datetime(2026, 1, 1, 12, tzinfo=time_zone("Asia/Kathmandu"))
    assert noon.utcoffset() == timedelta(hours=5, minutes=45)


@pytest.mark.parametrize(
    "name", ["", "CEST", "Mars/Olympus", "../zones", "/etc/passwd", "UTC+1", "x" * 5000]
)
def test_no_other_name_is(name: str) -> None:
    with pytest.raises(
        InvalidRequest, match=r"^zone: .* is not a time zone; write a name of the IANA database"
    ):
        time_zone(name, "zone")


def test_the_nearest_names_are_proposed() -> None:
    with pytest.raises(InvalidRequest, match="'Europe/Berlin'"):
        time_zone("europe/berlin")
