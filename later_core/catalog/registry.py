"""Plugins in pluggy's hands, called one by one, so that each failure has one culprit."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import pluggy

from later_core.catalog.entry_points import Candidate
from later_core.catalog.inspection import Unfit
from later_core.plugin.hookspecs import PROJECT_NAME, Hooks

_SPECS = tuple(name for name in vars(Hooks) if name.startswith("later_"))


class Registry:
    """The plugins whose hooks are sound, by key."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(PROJECT_NAME)
        self._manager.add_hookspecs(Hooks)

    def add(self, candidate: Candidate) -> None:
        """Import the plugin and take up its hooks, all or none.

        Raises:
            Unfit: with the reason.
            BaseException: what the import raised.

        """
        plugin = candidate.load()
        if plugin is None:
            raise Unfit("the entry point names nothing (None)")
        try:
            if self._manager.register(plugin, name=candidate.key) is None:
                raise Unfit("it was refused by pluggy")
            self._check_hooks(plugin)
        except pluggy.PluginValidationError as error:
            self.remove(candidate)
            raise Unfit(" ".join(str(error).split())) from error
        except ValueError as error:
            raise Unfit("another entry point names the same plugin") from error
        except BaseException:
            self.remove(candidate)
            raise

    def remove(self, candidate: Candidate) -> None:
        """Take none of its hooks any more; also one that was half registered, or never."""
        if self._manager.has_plugin(candidate.key):
            self._manager.unregister(name=candidate.key)

    def call(self, hook: str, candidate: Candidate, **arguments: Any) -> list[Any]:
        """What this plugin's implementations of the hook answer; whatever they raise passes."""
        return [
            implementation.function(*(arguments[name] for name in implementation.argnames))
            for implementation in self._implementations(hook)
            if implementation.plugin_name == candidate.key
        ]

    def callers(self, hook: str) -> Sequence[str]:
        """The keys of the plugins that implement the hook, first to be called first."""
        return [implementation.plugin_name for implementation in self._implementations(hook)]

    def _implementations(self, hook: str) -> Iterator[pluggy.HookImpl]:
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        return reversed(caller.get_hookimpls())

    def _check_hooks(self, plugin: object) -> None:
        callers = self._manager.get_hookcallers(plugin) or []
        if not callers:
            raise Unfit("it implements no hook; mark its functions with @later_core.hookimpl")
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is not plugin:
                    continue
                if not caller.has_spec() and not implementation.optionalhook:
                    near = difflib.get_close_matches(caller.name, _SPECS, n=1)
                    hint = f"; did you mean {near[0]}?" if near else ""
                    raise Unfit(f"there is no hook {caller.name}{hint}")
                if inspect.iscoroutinefunction(implementation.function):
                    raise Unfit(f"{caller.name} is async; a hook is a plain function")
                if implementation.wrapper or implementation.hookwrapper:
                    raise Unfit(f"{caller.name} is a wrapper; hooks are called plugin by plugin")
