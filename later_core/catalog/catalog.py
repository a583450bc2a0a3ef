"""The installed plugins, the sound ones in use and the broken ones named."""

from __future__ import annotations

import asyncio
import difflib
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self

import structlog

from later_core.catalog.entry_points import Candidate, find_candidates
from later_core.catalog.inspection import Unfit, check_lifespan, check_settings, check_tasks
from later_core.catalog.lifespans import Lifespan
from later_core.catalog.registry import Registry
from later_core.errors import Misconfigured
from later_core.model.event import Event
from later_core.plugin.setting import PluginSetting
from later_core.plugin.task import Task
from later_core.ports.clock import Clock
from later_core.ports.store import Store
from later_core.ports.tasks import InstalledTask, RejectedPlugin

if TYPE_CHECKING:
    import click

_log = structlog.get_logger(__name__)


class Catalog:
    """Which tasks there are, and which plugins could not be used, and why.

    A plugin is taken whole or not at all: one that fails anywhere is rejected, and the others go on.
    In order: ``discover``; ``extend_cli`` (for a command line); ``collect`` once the settings are
    read and the log is set up, which then hears of every rejection.
    """

    def __init__(self, candidates: Sequence[Candidate], *, reserved: Collection[str] = ()) -> None:
        self._registry = Registry()
        self._plugins: dict[str, Candidate] = {}
        self._rejected: list[RejectedPlugin] = []
        #: Rejections that the log has not heard of: plugins are looked for before it is set up.
        self._untold: list[tuple[Candidate, str, BaseException | None]] = []
        self._settings: dict[str, list[PluginSetting]] = {}
        self._tasks: dict[str, InstalledTask] = {}
        #: The key of the plugin behind each task.
        self._providers: dict[str, str] = {}
        #: The keys of plugins that said that they want no events.
        self._deaf: set[str] = set()
        for candidate in candidates:
            self._admit(candidate)
        self._read_settings(reserved)

    @classmethod
    def discover(cls, *, reserved: Collection[str] = ()) -> Self:
        """Load every entry point of the group ``later``; ``reserved`` names no plugin may give a setting."""
        return cls(find_candidates(), reserved=reserved)

    @property
    def settings(self) -> Sequence[PluginSetting]:
        """The settings of all plugins, in order of name."""
        found = [setting for settings in self._settings.values() for setting in settings]
        return sorted(found, key=lambda setting: setting.name)

    @property
    def installed(self) -> Sequence[InstalledTask]:
        """Every task, in order of name."""
        return [self._tasks[name] for name in self.names()]

    @property
    def rejected(self) -> Sequence[RejectedPlugin]:
        """What was found and is not in use, in the order in which it was found out."""
        return tuple(self._rejected)

    @property
    def has_event_plugins(self) -> bool:
        """Whether any plugin wants to see events."""
        return bool(self._watchers())

    def get(self, name: str) -> InstalledTask | None:
        """The task of this name, None where no plugin provides it."""
        return self._tasks.get(name)

    def names(self) -> Sequence[str]:
        """All task names, sorted."""
        return tuple(self._tasks)

    def nearest(self, name: str) -> Sequence[str]:
        """Up to three installed names that a person may have meant by this one."""
        return difflib.get_close_matches(name.lower(), self.names(), n=3)

    def collect(self, values: Mapping[str, Any]) -> None:
        """Ask every plugin for its tasks, with the values of the plugins' settings by name.

        Called once. Two plugins with a task of one name are both rejected: nobody can know which
        of the two an instance means.
        """
        provided: dict[str, list[Task]] = {}
        for key, candidate in list(self._plugins.items()):
            with self._quarantine(candidate, "later_wants_events"):
                if False in self._registry.call("later_wants_events", candidate, settings=values):
                    self._deaf.add(key)
        for key, candidate in list(self._plugins.items()):
            with self._quarantine(candidate, "later_tasks"):
                answers = self._registry.call("later_tasks", candidate, settings=values)
                provided[key] = [task for answer in answers for task in check_tasks(answer)]
        self._reject_shared(
            {key: [task.name for task in tasks] for key, tasks in provided.items()}, "task"
        )
        tasks = {
            task.name: InstalledTask(
                task=task, distribution=candidate.distribution, version=candidate.version
            )
            for key, candidate in self._plugins.items()
            for task in provided.get(key, ())
        }
        self._tasks = dict(sorted(tasks.items()))
        self._providers = {task.name: key for key in provided for task in provided[key]}
        self._tell()

    def store(self, values: Mapping[str, Any]) -> Store | None:
        """The database that a plugin brings instead of MongoDB; the first one wins.

        Raises:
            Misconfigured: a plugin failed at it. Going on with MongoDB would split the data in two.

        """
        for key in self._registry.callers("later_store"):
            candidate = self._plugins[key]
            try:
                answers = self._registry.call("later_store", candidate, settings=values)
            except Exception as error:
                raise Misconfigured(
                    f"later_store of {candidate.distribution} raised {_say(error)}"
                ) from error
            for answer in answers:
                if isinstance(answer, Store):
                    return answer
                if answer is not None:
                    raise Misconfigured(
                        f"later_store of {candidate.distribution} returned a"
                        f" {type(answer).__name__}, not a later_core.ports.store.Store"
                    )
        return None

    def on_event(self, event: Event, *, is_mine: bool = True) -> None:
        """Show the event to every plugin that wants to see events; what one raises is logged."""
        for key in self._watchers():
            candidate = self._plugins[key]
            try:
                self._registry.call("later_on_event", candidate, event=event, is_mine=is_mine)
            except Exception:  # noqa: BLE001 - one plugin blinds no other
                _log.exception(
                    "later_on_event failed",
                    distribution=candidate.distribution,
                    plugin=candidate.name,
                )

    @asynccontextmanager
    async def lifespans(self, values: Mapping[str, Any], clock: Clock) -> AsyncIterator[None]:
        """Keep open, for the length of the block, what the plugins keep open while a server runs.

        Entered before anybody asks for tasks: those of a plugin that fails to begin are gone.
        """
        async with asyncio.TaskGroup() as group:
            begun: list[Lifespan] = []
            try:
                for key in self._registry.callers("later_lifespan"):
                    await self._begin(self._plugins[key], values, clock, group, begun)
                self._tell()
                yield
            finally:
                for lifespan in reversed(begun):
                    await lifespan.end()

    async def _begin(
        self,
        candidate: Candidate,
        values: Mapping[str, Any],
        clock: Clock,
        group: asyncio.TaskGroup,
        begun: list[Lifespan],
    ) -> None:
        with self._quarantine(candidate, "later_lifespan"):
            for manager in self._registry.call("later_lifespan", candidate, settings=values):
                lifespan = Lifespan(candidate, check_lifespan(manager), clock)
                await lifespan.begin(group)
                begun.append(lifespan)

    def extend_cli(self, group: click.Group) -> None:
        """Let plugins add commands. One that fails adds none, and stays in use otherwise."""
        for key in self._registry.callers("later_cli"):
            before = dict(group.commands)
            candidate = self._plugins[key]
            try:
                self._registry.call("later_cli", candidate, group=group)
                replaced = [n for n, c in before.items() if group.commands.get(n) is not c]
                if replaced:
                    raise Unfit(f"later_cli replaces the command {replaced[0]!r}")
            except Exception as error:  # noqa: BLE001 - a quarantine holds whatever a plugin raises
                group.commands.clear()
                group.commands.update(before)
                self._note(candidate, f"its commands are missing: {_reason('later_cli', error)}")

    def _watchers(self) -> Sequence[str]:
        return [key for key in self._registry.callers("later_on_event") if key not in self._deaf]

    def _admit(self, candidate: Candidate) -> None:
        try:
            self._registry.add(candidate)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an import raises
            self._note(candidate, _reason("its import", error), error)
        else:
            self._plugins[candidate.key] = candidate

    def _read_settings(self, reserved: Collection[str]) -> None:
        for key, candidate in list(self._plugins.items()):
            with self._quarantine(candidate, "later_settings"):
                answers = self._registry.call("later_settings", candidate)
                settings = [setting for answer in answers for setting in check_settings(answer)]
                for setting in settings:
                    if setting.name in reserved:
                        raise Unfit(f"setting {setting.name!r} is one of Later's own")
                self._settings[key] = settings
        names = {key: [s.name for s in settings] for key, settings in self._settings.items()}
        for key in self._reject_shared(names, "setting"):
            del self._settings[key]

    def _reject_shared(self, names: Mapping[str, Sequence[str]], what: str) -> Collection[str]:
        """Reject all plugins that share a name with another one; answers their keys."""
        owners: dict[str, list[str]] = defaultdict(list)
        for key, own in names.items():
            for name in own:
                owners[name].append(key)
        shared = {name: keys for name, keys in owners.items() if len(keys) > 1}
        rivals = {
            key: f"{what} {name!r} is provided by "
            + " and by ".join(self._plugins[owner].distribution for owner in keys)
            + "; uninstall all but one"
            for name, keys in shared.items()
            for key in keys
        }
        for key, reason in rivals.items():
            self._reject(self._plugins[key], reason)
        return rivals.keys()

    @contextmanager
    def _quarantine(self, candidate: Candidate, hook: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a plugin raises
            self._reject(candidate, _reason(hook, error), error)

    def _reject(
        self, candidate: Candidate, reason: str, cause: BaseException | None = None
    ) -> None:
        self._registry.remove(candidate)
        del self._plugins[candidate.key]
        self._tasks = {
            name: task
            for name, task in self._tasks.items()
            if self._providers[name] != candidate.key
        }
        self._note(candidate, reason, cause)

    def _note(self, candidate: Candidate, reason: str, cause: BaseException | None = None) -> None:
        self._untold.append((candidate, reason, cause))
        self._rejected.append(
            RejectedPlugin(
                name=candidate.name,
                distribution=candidate.distribution,
                version=candidate.version,
                reason=reason,
            )
        )

    def _tell(self) -> None:
        for candidate, reason, cause in self._untold:
            _log.warning(
                "plugin rejected",
                distribution=candidate.distribution,
                version=candidate.version,
                plugin=candidate.name,
                reason=reason,
            )
            if cause is not None:
                _log.debug("plugin rejected because", plugin=candidate.name, exc_info=cause)
        self._untold.clear()


def _reason(hook: str, error: BaseException) -> str:
    return str(error) if isinstance(error, Unfit) else f"{hook} raised {_say(error)}"


def _say(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:500]}" if lines else type(error).__name__
