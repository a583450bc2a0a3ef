"""One plugin in the hand of a test, with its settings and what it keeps open, installed or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from later_core.catalog import Candidate, Catalog
from later_core.plugin.task import Task
from later_core.ports.clock import SystemClock

_NAME = "under test"


def candidate_of(plugin: object) -> Candidate:
    """The plugin (what its entry point names: a module, or an object) as if it had been found."""
    return Candidate(name=_NAME, distribution="later-test", version="0", load=lambda: plugin)


def values_of(catalog: Catalog, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the plugins by name: what is given, else their defaults.

    Raises:
        ValueError: a setting is given that no plugin brings.

    """
    values: dict[str, Any] = {setting.name: setting.default for setting in catalog.settings}
    if unknown := given.keys() - values.keys():
        raise ValueError(f"no such setting of the plugin: {', '.join(sorted(unknown))}")
    return values | dict(given)


@asynccontextmanager
async def installed(
    plugin: object, settings: Mapping[str, Any] | None = None
) -> AsyncIterator[Catalog]:
    """The plugin alone, as a server takes it up, with what it keeps open while a server runs.

    Raises:
        ValueError: a server would not use it, with the reason that ``later plugins`` shows.

    """
    catalog = Catalog([candidate_of(plugin)])
    _refuse_rejected(catalog)
    values = values_of(catalog, settings or {})
    catalog.collect(values)
    _refuse_rejected(catalog)
    failure: BaseException | None = None
    async with catalog.lifespans(values, SystemClock()):
        try:
            _refuse_rejected(catalog)
            yield catalog
        except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - raised below
            # Not from in here: it would come out in a group, as what plugins raise does.
            failure = error
    if failure is not None:
        raise failure


def tasks_of(catalog: Catalog) -> tuple[Task, ...]:
    """Its tasks, in order of name."""
    return tuple(each.task for each in catalog.installed)


def _refuse_rejected(catalog: Catalog) -> None:
    for each in catalog.rejected:
        raise ValueError(each.reason)
