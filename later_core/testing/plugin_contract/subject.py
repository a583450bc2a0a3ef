"""The plugin that a contract is about, and what its author says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from later_core.catalog import Catalog
from later_core.plugin.task import Task
from later_core.testing.plugins import installed

#: A mapping is given as JSON, text as UTF-8.
Parameters = Mapping[str, Any] | str | bytes


class Subject:
    """What a subclass names; only ``plugin`` must be there."""

    #: What the entry point names: a module, or an object.
    plugin: object = None
    #: Settings of the plugin that are not the defaults.
    settings: Mapping[str, Any] = {}
    #: By name of the task, parameters with which it succeeds here and now. Those under ``examples`` in
    #: the task's schema count too.
    examples: Mapping[str, Sequence[Parameters]] = {}
    #: By name of the task, parameters that it refuses, each with what the refusal must name: the path
    #: of the field.
    refused: Mapping[str, Sequence[tuple[Parameters, str]]] = {}
    #: False where the examples need what is not there in a test: only the schema is then compared with them.
    runs_examples: bool = True
    #: How long, in seconds, a run may take to end.
    patience: float = 30.0

    def installed(self) -> AbstractAsyncContextManager[Catalog]:
        """The plugin alone, with what it keeps open."""
        return installed(self.plugin, self.settings)

    def examples_of(self, task: Task) -> Sequence[Parameters]:
        """Those of the contract, then those of the schema."""
        in_schema = (task.parameters_schema or {}).get("examples", ())
        return (*self.examples.get(task.name, ()), *in_schema)

    def runs(self, catalog: Catalog) -> Iterator[tuple[Task, Parameters]]:
        """Each task with each of its examples; skips the test where they are not to be run."""
        if not self.runs_examples:
            pytest.skip("runs_examples is False: the examples are not run")
        for each in catalog.installed:
            for parameters in self.examples_of(each.task):
                yield each.task, parameters


def said(task: Task, parameters: Parameters) -> str:
    """The task and its parameters, for a complaint."""
    text = (
        json.dumps(dict(parameters), ensure_ascii=False)
        if isinstance(parameters, Mapping)
        else repr(parameters)
    )
    return f"task {task.name!r} with {text[:300]}"
