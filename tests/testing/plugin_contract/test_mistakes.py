"""The contract is worth something only if each mistake is caught by the check that is meant for it."""

from collections.abc import Mapping

import pytest
from pydantic import ConfigDict

from later_core import Context, Task, parse_parameters
from later_core.catalog import lifespans
from later_core.testing.contracts import PluginContract
from tests.testing.plugin_contract import mistakes
from tests.testing.plugin_contract.mistakes import FINAL, RELEASE, refuse_with
from tests.testing.plugin_contract.sound import Greet, Order, Plugin, contract, of_greet

CHECKS = sorted(name for name in dir(PluginContract) if name.startswith("test_"))
#: For these a plugin must be installed, or be a module.
ON_DISK = {
    "test_it_is_found_by_the_entry_point_of_its_distribution",
    "test_its_import_prints_nothing",
}


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in ON_DISK])
async def test_a_sound_plugin_passes(check: str) -> None:
    await getattr(contract(Plugin(Greet())), check)()
    threaded = of_greet(run=lambda self, context: Order.__name__, parameters_schema=None)
    await getattr(contract(threaded, examples={"greet": [b"x"]}), check)()


HOOKS = "test_its_hooks_and_settings_are_taken"
TASKS = "test_its_tasks_are_taken"
LIFESPAN = "test_it_begins_and_ends_with_a_server"
DESCRIPTION = "test_every_task_says_in_a_line_what_it_does"
SCHEMA = "test_every_schema_is_a_json_schema"
EXAMPLES = "test_every_example_keeps_to_the_schema"
REFUSES = "test_what_the_schema_refuses_the_task_refuses"
EXPLICIT = "test_what_is_to_be_refused_is_refused"
SUCCEEDS = "test_every_example_succeeds"
AT_ONCE = "test_runs_at_the_same_time_do_not_disturb_each_other"
ON_NODE = "test_on_a_node_every_example_succeeds"
CALLBACKS = "test_its_callbacks_raise_nothing"
ABORT = "test_an_abort_ends_every_run"
BLOCKS = "test_no_run_holds_up_the_event_loop"
EVENTS = "test_every_kind_of_event_is_taken"

BROKEN: list[tuple[object, str, str]] = [
    (mistakes.MisspeltHook(), HOOKS, "there is no hook later_task; did you mean later_tasks?"),
    (mistakes.AsyncHook(), HOOKS, "later_tasks is async"),
    (mistakes.UnknownArgument(), HOOKS, "config"),
    (object(), HOOKS, "implements no hook"),
    (mistakes.BadSetting(), HOOKS, "'Not-A-Name' is not lower case"),
    (of_greet(name="Not A Name"), TASKS, "'Not A Name' is not lower case"),
    (Plugin(Greet), TASKS, r"the class Greet; return Greet\(\)"),
    (Plugin(Greet(), Greet()), TASKS, "two tasks named 'greet'"),
    (of_greet(permission="No Way"), TASKS, "permission"),
    (of_greet(parameters_schema={"a": {1}}), TASKS, "is not JSON"),
    (mistakes.TakesACommand(), "test_its_commands_are_taken", "replaces the command 'serve'"),
    (mistakes.FailsAtItsBeginning(), LIFESPAN, "no way in"),
    (mistakes.FailsAtItsEnd(), LIFESPAN, "no way out"),
    (mistakes.NeverEnds(), LIFESPAN, "plugin did not end"),
    (of_greet(description=""), DESCRIPTION, "not a line"),
    (of_greet(description="Greets.\nAt length."), DESCRIPTION, "not a line"),
    (Plugin(), "test_it_is_found_by_the_entry_point_of_its_distribution", "no entry point"),
    (of_greet(parameters_schema={"type": "text"}), SCHEMA, "is no JSON Schema"),
    (of_greet(parameters_schema={"type": "object"}), EXAMPLES, "has a schema and no example"),
    (
        of_greet(parameters_schema={"type": "object", "required": ["id"], "examples": [{}]}),
        EXAMPLES,
        "'id' is a required property",
    ),
    (of_greet(run=mistakes.take_anything), REFUSES, "is not refused, though name is wrong"),
    (
        of_greet(run=mistakes.ask_only_whether_it_is_there),
        REFUSES,
        r"\[\"a-value.* is not refused, though name is wrong",
    ),
    (
        of_greet(run=mistakes.ignore_the_unknown),
        REFUSES,
        "is not refused, though unheard_of_field is wrong",
    ),
    (of_greet(run=refuse_with("no")), REFUSES, "fails as TASK_FAILED, not INVALID_PARAMETERS"),
    (of_greet(run=refuse_with("no", reason="INVALID_PARAMETERS")), REFUSES, "is tried again"),
    (of_greet(run=refuse_with("no", **FINAL)), REFUSES, "refused without the path name"),
    (
        of_greet(run=refuse_with("name, unheard_of_field: {}", **FINAL)),
        REFUSES,
        "the message repeats a value",
    ),
    (of_greet(run=mistakes.unpickle), "test_parameters_are_never_unpickled", "'greet' unpickles"),
    (of_greet(run=mistakes.unpickle), SUCCEEDS, "fails: TASK_FAILED: UnpicklingError"),
    (of_greet(run=mistakes.say_too_much), SUCCEEDS, "RESULT_TOO_LARGE"),
    (of_greet(run=mistakes.wait_for_ever), SUCCEEDS, "does not end within 0.05 s"),
    (of_greet(run=mistakes.wait_for_ever), AT_ONCE, "does not end within 0.05 s"),
    (of_greet(run=mistakes.wait_for_ever), ON_NODE, "is (RUNNING|PENDING)"),
    (of_greet(run=mistakes.keep_state), AT_ONCE, "AssertionError"),
    (of_greet(run=refuse_with("no", **FINAL), parameters_schema=None), ON_NODE, "FAILED"),
    (Plugin(mistakes.RaisesAfterwards()), ON_NODE, "on_success of task 'greet' raised"),
    (Plugin(mistakes.RaisesAfterwards()), CALLBACKS, "on_success of task 'greet' raised"),
    (Plugin(mistakes.RaisesInTheEnd()), CALLBACKS, "on_fail of task 'greet' raised"),
    (
        Plugin(mistakes.AbortsWhatHasStarted()),
        CALLBACKS,
        "on_abort of task 'greet' raised in attempt 0",
    ),
    (of_greet(run=mistakes.swallow), ABORT, "keeps its CancelledError from getting through"),
    (of_greet(run=mistakes.swallow_later), ABORT, "keeps its CancelledError from getting through"),
    (
        of_greet(run=mistakes.replace),
        ABORT,
        "CancelledError from getting through, and ends as Failed",
    ),
    (of_greet(run=mistakes.outlast), ABORT, "goes on 0.05 s after its abort"),
    (
        of_greet(run=mistakes.deaf),
        ABORT,
        "goes on 0.05 s after its abort: it must ask context.is_cancelled",
    ),
    (mistakes.FailsAtResync(), EVENTS, "later_on_event raises at RESYNC"),
    (
        mistakes.SleepsAtEvents(),
        EVENTS,
        "holds up the event loop at CREATED PENDING, in time.sleep",
    ),
]


@pytest.mark.parametrize(("broken", "check", "complaint"), BROKEN)
async def test_a_mistake_is_caught_by_the_check_for_it(
    broken: object, check: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    RELEASE.clear()
    monkeypatch.setattr(lifespans, "PATIENCE", 1 if complaint == "plugin did not end" else 10)
    patience = 0.05 if "0.05 s" in complaint or "RUNNING" in complaint else 30
    examples = {"greet": [b"{}"]} if check == ON_NODE and "FAILED" in complaint else {}
    with pytest.raises((AssertionError, ValueError), match=complaint):
        await getattr(contract(broken, examples=examples, patience=patience), check)()
    RELEASE.set()  # so that no thread outlasts the tests


def test_every_check_is_shown_to_be_able_to_fail() -> None:
    shown = {check for _, check, _ in BROKEN} | {EXPLICIT, BLOCKS} | ON_DISK
    assert shown == set(CHECKS)


async def test_what_the_author_names_as_refused_must_be_refused() -> None:
    check = contract(Plugin(Greet()), refused={"greet": [('{"times": 2}', "name")]})
    await check.test_what_is_to_be_refused_is_refused()
    check = contract(Plugin(Greet()), refused={"greet": [({"name": "Ada"}, "name")]})
    with pytest.raises(AssertionError, match="is not refused"):
        await check.test_what_is_to_be_refused_is_refused()
    check = contract(Plugin(Greet()), refused={"great": []})
    with pytest.raises(AssertionError, match="tasks that there are not"):
        await check.test_what_is_to_be_refused_is_refused()


class Labelled(Order):
    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada", "labels": {}}]})

    labels: Mapping[str, str]


async def test_the_path_of_a_wrong_field_may_name_the_key_of_a_map() -> None:
    async def run(self: Task, context: Context) -> None:
        parse_parameters(Labelled, context.parameters)

    plugin = of_greet(run=run, parameters_schema=Labelled.model_json_schema())
    await contract(plugin).test_what_the_schema_refuses_the_task_refuses()


async def test_without_what_examples_need_they_are_not_run() -> None:
    with pytest.raises(pytest.skip.Exception, match="runs_examples"):
        await contract(
            of_greet(run=mistakes.swallow), runs_examples=False
        ).test_an_abort_ends_every_run()
