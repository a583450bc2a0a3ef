"""A server takes the plugin up: its hooks, its settings, its tasks, its commands, its entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType

import click
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from later_core.catalog import Candidate, Catalog
from later_core.catalog.entry_points import find_candidates
from later_core.testing.plugin_contract.subject import Subject
from later_core.testing.plugins import candidate_of, values_of

_IMPORT = "import json, sys, importlib; sys.path[:] = json.loads(sys.argv[2]); "
_IMPORT += "importlib.import_module(sys.argv[1])"
#: Loading a module takes no longer than this, in seconds, on any machine that is worth testing on.
_IMPORT_SECONDS = 100


class InstallingContract(Subject):
    """What ``later plugins`` would complain of, and what it could not see."""

    async def test_its_hooks_and_settings_are_taken(self) -> None:
        catalog = Catalog([candidate_of(self.plugin)])
        complaints = _complaints(catalog)
        assert not complaints, complaints

    async def test_its_tasks_are_taken(self) -> None:
        catalog = Catalog([candidate_of(self.plugin)])
        catalog.collect(values_of(catalog, self.settings))
        complaints = _complaints(catalog)
        assert not complaints, complaints

    async def test_its_commands_are_taken(self) -> None:
        from later_core.cli.group import LazyGroup

        catalog = Catalog([candidate_of(self.plugin)])
        # The commands of Later itself are there, so that none is replaced.
        group = click.Group(commands=dict.fromkeys(LazyGroup.own_names(), click.Command("own")))
        catalog.extend_cli(group)
        complaints = _complaints(catalog)
        assert not complaints, complaints

    async def test_it_begins_and_ends_with_a_server(self) -> None:
        with capture_logs(processors=[format_exc_info]) as lines:
            async with self.installed() as catalog:
                pass
        complaints = _complaints(catalog)
        assert not complaints, complaints
        at_the_end = [
            f"{line['event']}: {line.get('exception', 'it takes too long')}"
            for line in lines
            if line["event"] in {"plugin failed", "plugin did not end"}
        ]
        assert not at_the_end, at_the_end[0]

    async def test_every_task_says_in_a_line_what_it_does(self) -> None:
        async with self.installed() as catalog:
            for each in catalog.installed:
                lines = each.task.description.splitlines()
                assert len(lines) == 1, f"the description of task {each.task.name!r} is not a line"

    async def test_it_is_found_by_the_entry_point_of_its_distribution(self) -> None:
        candidates = find_candidates()
        found = [each for each in candidates if _loaded(each) is self.plugin]
        assert found, (
            f"no entry point of the group 'later' names {_module_of(self.plugin)}: look at"
            " [project.entry-points.later] in pyproject.toml, and install it anew (pip install -e .)"
        )
        assert len(found) == 1, f"{len(found)} entry points name the same plugin"

        catalog = Catalog(candidates)
        catalog.collect({setting.name: setting.default for setting in catalog.settings})
        mine = (found[0].distribution, found[0].name)
        rejected = [
            each.reason for each in catalog.rejected if (each.distribution, each.name) == mine
        ]
        assert rejected == [], f"beside the other plugins installed here: {rejected}"

    async def test_its_import_prints_nothing(self) -> None:
        """Every ``later`` command imports it; what it prints would stand between their answers."""
        done = subprocess.run(  # noqa: ASYNC221 - nothing else is to happen meanwhile
            [sys.executable, "-c", _IMPORT, _module_of(self.plugin), json.dumps(sys.path)],
            capture_output=True,
            text=True,
            timeout=_IMPORT_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"it cannot be imported alone: {done.stderr}"
        assert done.stdout == "", "its import prints"


def _complaints(catalog: Catalog) -> str:
    return "; ".join(each.reason for each in catalog.rejected)


def _loaded(candidate: Candidate) -> object:
    try:
        return candidate.load()
    except (Exception, SystemExit):  # noqa: BLE001 - another plugin's import may raise anything
        return None


def _module_of(plugin: object) -> str:
    return plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
