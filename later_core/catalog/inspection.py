"""Whether what a plugin answers can be used; each check raises ``Unfit`` with a sentence."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from later_core.model.breaker import Breaker
from later_core.model.limits import (
    SCHEMA_MAX_DEPTH,
    SCHEMA_MAX_LENGTH,
    TASK_DESCRIPTION_MAX_LENGTH,
    TASK_NAME_MAX_LENGTH,
)
from later_core.model.permission import TASK_PERMISSION
from later_core.model.rate import RateLimit
from later_core.model.task_limits import check_concurrency_limit, check_time_limit
from later_core.plugin.setting import PluginSetting
from later_core.plugin.task import Task

_TASK_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_SETTING_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
#: Python itself and a few libraries need this much.
_MEMORY_MIN = 64 * 1024 * 1024
_CALLBACKS = ("run", "on_success", "on_fail", "on_abort")


class Unfit(Exception):
    """A plugin cannot be used; the text says why and what its author should do."""


def as_list(hook: str, answer: Any) -> list[Any]:
    """What a hook answered, read to its end. Whatever its generator raises passes."""
    if isinstance(answer, str | bytes | Mapping) or not isinstance(answer, Iterable):
        raise Unfit(f"{hook} returned {type(answer).__name__}; return a list")
    return list(answer)


def check_settings(answer: Any) -> list[PluginSetting]:
    """The settings of one plugin, each usable as a TOML key and a variable."""
    settings = as_list("later_settings", answer)
    seen: set[str] = set()
    for setting in settings:
        if not isinstance(setting, PluginSetting):
            raise Unfit(f"later_settings returned a {type(setting).__name__}, not a PluginSetting")
        if not _SETTING_NAME.fullmatch(str(setting.name)):
            raise Unfit(f"setting name {setting.name!r} is not lower case with underscores")
        if type(setting.default) not in {bool, int, float, str}:
            raise Unfit(f"the default of setting {setting.name!r} is not a bool, int, float or str")
        if setting.name in seen:
            raise Unfit(f"later_settings returned {setting.name!r} twice")
        seen.add(setting.name)
    return settings


def check_tasks(answer: Any) -> list[Task]:
    """The tasks of one plugin, each fit to be called."""
    tasks = as_list("later_tasks", answer)
    seen: set[str] = set()
    for task in tasks:
        _check_task(task)
        if task.name in seen:
            raise Unfit(f"later_tasks returned two tasks named {task.name!r}")
        seen.add(task.name)
    return tasks


def check_lifespan(answer: Any) -> AbstractAsyncContextManager[Any]:
    """What a plugin keeps open while a server runs."""
    if not isinstance(answer, AbstractAsyncContextManager):
        raise Unfit(
            f"later_lifespan returned {type(answer).__name__}; return an async context manager"
        )
    return answer


def _check_task(task: Any) -> None:
    if inspect.isclass(task):
        raise Unfit(f"later_tasks returned the class {task.__name__}; return {task.__name__}()")
    if not isinstance(task, Task):
        raise Unfit(f"later_tasks returned a {type(task).__name__}, not a later_core.Task")
    name = getattr(task, "name", None)
    if not isinstance(name, str):
        raise Unfit(f"task {type(task).__name__} has no name")
    if not _TASK_NAME.fullmatch(name) or len(name) > TASK_NAME_MAX_LENGTH:
        raise Unfit(
            f"task name {name[:TASK_NAME_MAX_LENGTH]!r} is not lower case with dashes, like http-post,"
            f" of at most {TASK_NAME_MAX_LENGTH} characters"
        )
    _check_description(name, task.description)
    for callback in _CALLBACKS:
        function = getattr(task, callback)
        if not callable(function):
            raise Unfit(f"{callback} of task {name!r} is not a function")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise Unfit(f"{callback} of task {name!r} is a generator; it must not yield")
    _check_permission(name, task.permission)
    _check_schema(name, task.parameters_schema)
    _check_limits(name, task)
    _check_process(name, task)
    rate: object = task.rate_limit
    if rate is not None and not isinstance(rate, RateLimit):
        raise Unfit(f"the rate_limit of task {name!r} is not a later_core.RateLimit")


def _check_limits(name: str, task: Task) -> None:
    """Each limit of the right type and within its bounds, whatever the author's type checker said."""
    breaker: object = task.breaker
    if breaker is not None and not isinstance(breaker, Breaker):
        raise Unfit(f"the breaker of task {name!r} is not a later_core.Breaker")
    time: object = task.time_limit
    concurrency: object = task.concurrency_limit
    if time is not None and not isinstance(time, timedelta):
        raise Unfit(f"the time_limit of task {name!r} is not a timedelta")
    if concurrency is not None and type(concurrency) is not int:
        raise Unfit(f"the concurrency_limit of task {name!r} is not an int")
    try:
        if time is not None:
            check_time_limit(time)
        if concurrency is not None:
            check_concurrency_limit(concurrency)
    except ValueError as error:
        raise Unfit(f"task {name!r}: {error}") from None


def _check_process(name: str, task: Task) -> None:
    """Whether ``run`` can be called where it is to be called."""
    memory: object = task.memory_limit
    if memory is not None and (type(memory) is not int or memory < _MEMORY_MIN):
        raise Unfit(
            f"the memory_limit of task {name!r} is not a number of bytes of at least {_MEMORY_MIN:,}"
        )
    if task.run_in == "server":
        return
    if task.run_in != "process":
        raise Unfit(f"run_in of task {name!r} is neither server nor process")
    if not sys.platform.startswith("linux"):
        raise Unfit(f"task {name!r} runs in a process, which takes Linux")
    if inspect.iscoroutinefunction(task.run):
        raise Unfit(f"task {name!r} runs in a process, where run must be a plain function")
    try:
        pickle.dumps(task)
    except Exception as error:  # noqa: BLE001 - whatever an author's __reduce__ raises
        raise Unfit(
            f"task {name!r} runs in a process and cannot be pickled: {type(error).__name__}: {error}"
        ) from None


def _check_permission(name: str, permission: Any) -> None:
    if permission and not TASK_PERMISSION.fullmatch(str(permission)):
        raise Unfit(f"the permission of task {name!r} is not lower case with dashes, like run-bash")


def _check_description(name: str, description: Any) -> None:
    if not isinstance(description, str):
        raise Unfit(f"the description of task {name!r} is not text")
    if len(description) > TASK_DESCRIPTION_MAX_LENGTH:
        raise Unfit(
            f"the description of task {name!r} is longer than {TASK_DESCRIPTION_MAX_LENGTH} characters"
        )
    try:
        description.encode()
    except UnicodeEncodeError as error:
        raise Unfit(f"the description of task {name!r} is not UTF-8: {error.reason}") from None


def _check_schema(name: str, schema: Any) -> None:
    if schema is None:
        return
    if not isinstance(schema, Mapping):
        raise Unfit(f"the parameters_schema of task {name!r} is not a mapping")
    try:
        text = json.dumps(dict(schema), allow_nan=False)
        depth = _depth(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unfit(f"the parameters_schema of task {name!r} is not JSON: {error}") from None
    if len(text) > SCHEMA_MAX_LENGTH or depth > SCHEMA_MAX_DEPTH:
        raise Unfit(
            f"the parameters_schema of task {name!r} has {len(text)} characters at {depth} levels; there may"
            f" be {SCHEMA_MAX_LENGTH} at {SCHEMA_MAX_DEPTH}"
        )


def _depth(value: Any) -> int:
    """How many levels of objects and lists there are."""
    inner = value.values() if isinstance(value, Mapping) else value
    if not isinstance(inner, Iterable) or isinstance(inner, str):
        return 0
    return 1 + max(map(_depth, inner), default=0)
