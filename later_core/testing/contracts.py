"""What others must keep, as test classes to subclass."""

from __future__ import annotations

import pytest

from later_core.testing.plugin_contract.installing import InstallingContract
from later_core.testing.plugin_contract.parameters import ParametersContract
from later_core.testing.plugin_contract.running import RunningContract
from later_core.testing.plugin_contract.stopping import StoppingContract
from later_core.testing.plugin_contract.watching import WatchingContract
from later_core.testing.store_contract.access import AccessContract
from later_core.testing.store_contract.admission import AdmissionContract
from later_core.testing.store_contract.attempts import AttemptsContract
from later_core.testing.store_contract.creating import CreatingContract
from later_core.testing.store_contract.ending import EndingContract
from later_core.testing.store_contract.history import HistoryContract
from later_core.testing.store_contract.listing import ListingContract
from later_core.testing.store_contract.news import NewsContract
from later_core.testing.store_contract.nodes import NodesContract
from later_core.testing.store_contract.planning import PlanningContract
from later_core.testing.store_contract.raised import RaisedContract
from later_core.testing.store_contract.schedules import SchedulesContract
from later_core.testing.store_contract.snapshots import SnapshotsContract
from later_core.testing.store_contract.starting import StartingContract
from later_core.testing.store_contract.steering import SteeringContract
from later_core.testing.store_contract.transferring import TransferringContract


class StoreContract(
    CreatingContract,
    ListingContract,
    SteeringContract,
    StartingContract,
    RaisedContract,
    EndingContract,
    AdmissionContract,
    AttemptsContract,
    NodesContract,
    SchedulesContract,
    PlanningContract,
    HistoryContract,
    NewsContract,
    SnapshotsContract,
    TransferringContract,
    AccessContract,
):
    """Every promise of ``later_core.ports``: of ``store``, ``schedules``, ``admission``, ``nodes`` and
    ``access``.

    Subclass it as ``Test…`` with two fixtures.

    ``store``: an open, empty Store for each test. ``advance``: an async callable that makes at
    least so many seconds pass for the store: ``FakeClock.advance`` of the clock it reads, or
    real waiting (``SystemClock().sleep``) where the database has a clock of its own; no check
    needs more than about a second.
    """

    pytestmark = pytest.mark.asyncio


class PluginContract(
    InstallingContract,
    ParametersContract,
    RunningContract,
    StoppingContract,
    WatchingContract,
):
    """What a server, its operators and its callers expect of any plugin.

    Subclass it as ``Test…`` and name the plugin: ``plugin = my_module``, what its entry point names.
    ``settings``, ``examples``, ``refused`` and ``runs_examples`` say more of it
    (``later_core.testing.plugin_contract.subject``); a fixture may set them on ``self`` where they are
    known in the test alone, as is the port of a server.
    """

    pytestmark = pytest.mark.asyncio
