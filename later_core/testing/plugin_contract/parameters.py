"""Schema, examples and code agree on what parameters are, and wrong ones are refused by their names."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

from later_core.model.outcome import Failed
from later_core.plugin.task import Task
from later_core.testing.plugin_contract.subject import Parameters, Subject, said
from later_core.testing.tasks import run_task

#: Stands where it does not belong, and must not come back in a message.
_MARK = "a-value-that-may-be-secret"
_UNKNOWN = "unheard_of_field"
#: Values that no lenient reader takes for a number, a text or a truth.
_WRONG: tuple[Any, ...] = ({"a_key": [_MARK]}, [_MARK], None)


class ParametersContract(Subject):
    """For tasks with a ``parameters_schema``; ``refused`` holds for all."""

    async def test_every_schema_is_a_json_schema(self) -> None:
        from jsonschema import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for

        async with self.installed() as catalog:
            for task in (each.task for each in catalog.installed):
                schema = task.parameters_schema
                if schema is None:
                    continue
                try:
                    validator_for(schema, default=Draft202012Validator).check_schema(dict(schema))
                except SchemaError as error:
                    raise AssertionError(
                        f"the parameters_schema of task {task.name!r} is no JSON Schema:"
                        f" {error.json_path}: {error.message}"
                    ) from None

    async def test_every_example_keeps_to_the_schema(self) -> None:
        async with self.installed() as catalog:
            for task in (each.task for each in catalog.installed):
                if task.parameters_schema is None:
                    continue
                examples = [e for e in self.examples_of(task) if isinstance(e, Mapping)]
                assert examples, (
                    f"task {task.name!r} has a schema and no example: give one in its 'examples',"
                    " or in those of the contract"
                )
                for example in examples:
                    wrong = _wrong(task, example)
                    assert not wrong, f"{said(task, example)}: {wrong}"

    async def test_what_the_schema_refuses_the_task_refuses(self) -> None:
        async with self.installed() as catalog:
            for task in (each.task for each in catalog.installed):
                for parameters, field in _spoilt(self, task):
                    await _assert_refused(task, parameters, field)

    async def test_what_is_to_be_refused_is_refused(self) -> None:
        async with self.installed() as catalog:
            unknown = self.refused.keys() - set(catalog.names())
            assert not unknown, f"'refused' names tasks that there are not: {sorted(unknown)}"
            for task in (each.task for each in catalog.installed):
                for parameters, field in self.refused.get(task.name, ()):
                    await _assert_refused(task, parameters, field)

    async def test_parameters_are_never_unpickled(self) -> None:
        """Whoever may create an instance could run any code in the server."""
        async with self.installed() as catalog:
            for task in (each.task for each in catalog.installed):
                if task.parameters_schema is None and not self.runs_examples:
                    continue  # whatever the bytes mean to it, it would do it
                _Trap.is_sprung = False
                await run_task(task, pickle.dumps(_Trap()))
                assert not _Trap.is_sprung, f"task {task.name!r} unpickles its parameters"


class _Trap:
    """Says so when it is made of a pickle."""

    is_sprung = False

    def __reduce__(self) -> tuple[Any, ...]:
        return (_spring, ())


def _spring() -> None:
    _Trap.is_sprung = True


def _wrong(task: Task, parameters: Mapping[str, Any]) -> str:
    """What the schema says is wrong with them, by the path; empty where nothing is."""
    from jsonschema.validators import Draft202012Validator, validator_for

    schema = task.parameters_schema or {}
    validator = validator_for(schema, default=Draft202012Validator)(schema)
    # As the wire carries them: a tuple is a list there.
    errors = validator.iter_errors(json.loads(json.dumps(dict(parameters))))
    return "; ".join(f"{error.json_path}: {error.message}" for error in errors)


def _spoilt(subject: Subject, task: Task) -> Iterator[tuple[Parameters, str]]:
    """The examples, each with one field spoilt so that the schema refuses it, and the name of that field."""
    if task.parameters_schema is None:
        return
    for example in subject.examples_of(task):
        if not isinstance(example, Mapping) or _wrong(task, example):
            continue
        for field in example:
            rest = {key: value for key, value in example.items() if key != field}
            if _wrong(task, rest):
                yield rest, field
            for value in _WRONG:
                if _wrong(task, {**example, field: value}):
                    yield {**example, field: value}, field
                    break
        if _wrong(task, {**example, _UNKNOWN: 1}):
            yield {**example, _UNKNOWN: 1}, _UNKNOWN


async def _assert_refused(task: Task, parameters: Parameters, field: str) -> None:
    outcome = await run_task(task, parameters)
    what = said(task, parameters)
    assert isinstance(outcome, Failed), f"{what} is not refused, though {field} is wrong"
    error = outcome.error
    assert error.reason == "INVALID_PARAMETERS", (
        f"{what} fails as {error.reason}, not INVALID_PARAMETERS: {error.message}"
    )
    assert outcome.is_final, f"{what} is tried again; is_final=True is missing"
    assert field in error.message, f"{what} is refused without the path {field}: {error.message}"
    assert _MARK not in error.message, f"{what}: the message repeats a value: {error.message}"
