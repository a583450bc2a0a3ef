"""MongoDB keeps every promise of the store."""

from __future__ import annotations

import pytest

from later_core.ports.clock import SystemClock
from later_core.testing.contracts import StoreContract
from later_core.testing.store_contract.steps import Advance


@pytest.fixture
def advance(clock: SystemClock) -> Advance:
    return clock.sleep


class TestMongoStore(StoreContract):
    pass
