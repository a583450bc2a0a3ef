"""The hooks that a plugin may implement; the only file that declares them.

A plugin is a distribution with an entry point in the group ``later`` that names a module (or an
object) with functions marked ``@later_core.hookimpl``. An implementation may leave out arguments
that it does not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pluggy

from later_core.model.event import Event
from later_core.plugin.setting import PluginSetting
from later_core.plugin.task import Task

if TYPE_CHECKING:
    import click

PROJECT_NAME = "later"
ENTRY_POINT_GROUP = "later"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


class Hooks:
    """Every hook of Later."""

    @hookspec
    def later_settings(self) -> Iterable[PluginSetting]:
        """The settings that the plugin brings.

        When: first of all, before any setting is read. How often: once a process.
        Returns: the settings, each with a default. If it raises: the plugin is rejected.
        Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """The tasks that the distribution provides.

        When: at start, after the settings are read; ``settings`` holds the plugins' settings by
        name. How often: once a process. Returns: Task objects. If it raises: the plugin is
        rejected and shown by ``later plugins``. Two plugins with a task of one name: both are
        rejected. Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec(firstresult=True)
    def later_store(self, settings: Mapping[str, Any]) -> Any:
        """Another database in place of MongoDB.

        When: at start. How often: once a process. Returns: a ``later_core.ports.store.Store``
        that is not yet open, or None to leave it to others; the first one wins. If it raises:
        the server does not start. Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec
    def later_on_event(self, event: Event, is_mine: bool) -> None:
        """Sees every event of the store, for alerts and audits.

        When: after the change is durable, in the order of history. How often: once an event and
        node, while the node runs; what happens while no node runs is not replayed. Of all nodes
        one is told ``is_mine``, so that an alert is sent once; while nodes come and go it may be
        none or two, so it is no more than a way to share. Must return fast: it is called on the
        event loop. If it raises: it is logged, others still see the event. Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec
    def later_wants_events(self, settings: Mapping[str, Any]) -> bool:
        """Whether the plugin's ``later_on_event`` is to be called at all.

        When: at start, before ``later_tasks``. How often: once a process. Returns: False where the
        settings give it nothing to do: a server that shows events to nobody need not read them.
        If it raises: the plugin is rejected. Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec
    def later_lifespan(self, settings: Mapping[str, Any]) -> AbstractAsyncContextManager[Any]:
        """What the plugin keeps open while a server runs: a pool of connections, a loop of its own.

        When: entered on the event loop after ``later_tasks`` and before the first run, left after
        the last one. How often: once a server process; never for other commands. Returns: an async
        context manager, which has 10 seconds to begin and 10 to end. If it raises: at the
        beginning the plugin is rejected, later it is logged. Since: 0.1.
        """
        raise AssertionError  # a specification is never called

    @hookspec
    def later_cli(self, group: click.Group) -> None:
        """Adds commands to ``later``.

        When: as the command line starts. How often: once a process. Returns: nothing; adds to
        the group. If it raises: the commands are missing and ``later plugins`` says why.
        Since: 0.1.
        """
        raise AssertionError  # a specification is never called
