"""Plugins are found one by one; a broken one is named with its distribution and harms no other."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import click
import pytest
from structlog.testing import capture_logs

from later_core.catalog import Catalog
from later_core.errors import Misconfigured
from later_core.model.event import Event, EventType
from later_core.stores.memory import MemoryStore

Install = Callable[..., None]

HEAD = """
from later_core import PluginSetting, Task, hookimpl

class T(Task):
    def __init__(self, name):
        self.name = name
    async def run(self, context):
        return self.name
"""
EVENT = Event(
    type=EventType.RESYNC,
    instance=None,
    event_time=datetime(2030, 1, 1, tzinfo=UTC),
    position="1",
)


def tasks(*names: str) -> str:
    """The source of a plugin with tasks of these names."""
    return (
        HEAD
        + f"""
@hookimpl
def later_tasks():
    return [T(name) for name in {names!r}]
"""
    )


def defaults(catalog: Catalog) -> dict[str, object]:
    """The settings as they are where nobody sets any, those of installed plugins too."""
    return {setting.name: setting.default for setting in catalog.settings}


def collected(values: dict[str, object] | None = None) -> Catalog:
    catalog = Catalog.discover()
    catalog.collect(defaults(catalog) | (values or {}))
    return catalog


def reasons(catalog: Catalog, distribution: str) -> Sequence[str]:
    return [each.reason for each in catalog.rejected if each.distribution == distribution]


def test_tasks_are_found_with_their_distribution_and_version(install: Install) -> None:
    install("plugin-a", tasks("alpha", "beta"))
    catalog = collected()
    installed = catalog.get("alpha")
    assert installed is not None
    assert (installed.task.name, installed.distribution, installed.version) == (
        "alpha",
        "plugin-a",
        "1.2.3",
    )
    assert {"alpha", "beta"} <= set(catalog.names())
    assert list(catalog.names()) == sorted(catalog.names())
    assert [each.task.name for each in catalog.installed] == list(catalog.names())
    assert catalog.rejected == ()


def test_an_unknown_task_is_none_and_its_nearest_are_named(install: Install) -> None:
    install("plugin-a", tasks("http-post", "http-get", "mail"))
    catalog = collected()
    assert catalog.get("htp-post") is None
    assert catalog.nearest("HTP-post")[0] == "http-post"
    assert catalog.nearest("zzzzzz") == []


BROKEN = {
    "import error": ("import nothing_of_that_name", "its import raised ModuleNotFoundError"),
    "import raises": ("raise RuntimeError('no\\nluck')", "its import raised RuntimeError: no"),
    "import exits": ("raise SystemExit(3)", "its import raised SystemExit: 3"),
    "syntax": ("def", "its import raised SyntaxError"),
    "no hook": ("x = 1", "it implements no hook; mark its functions"),
    "unknown hook": (
        HEAD + "@hookimpl\ndef later_task(): return []",
        "there is no hook later_task; did you mean later_tasks?",
    ),
    "wrong argument": (
        HEAD + "@hookimpl\ndef later_on_event(evnt): pass",
        "Argument(s) {'evnt'} are declared in the hookimpl",
    ),
    "wrapper": (
        HEAD + "@hookimpl(wrapper=True)\ndef later_tasks(): return (yield)",
        "later_tasks is a wrapper",
    ),
    "async hook": (HEAD + "@hookimpl\nasync def later_tasks(): return []", "later_tasks is async"),
    "tasks raise": (
        HEAD + "@hookimpl\ndef later_tasks(): 1 / 0",
        "later_tasks raised ZeroDivisionError",
    ),
    "tasks exit": (HEAD + "@hookimpl\ndef later_tasks(): exit()", "later_tasks raised SystemExit"),
    "generator raises": (
        HEAD + "@hookimpl\ndef later_tasks():\n yield T('fine')\n 1 / 0",
        "later_tasks raised ZeroDivisionError",
    ),
    "no list": (
        HEAD + "@hookimpl\ndef later_tasks(): return T('a')",
        "later_tasks returned T; return a list",
    ),
    "no return": (HEAD + "@hookimpl\ndef later_tasks(): return 5", "later_tasks returned int"),
    "text": (HEAD + "@hookimpl\ndef later_tasks(): return 'abc'", "later_tasks returned str"),
    "no task": (
        HEAD + "@hookimpl\ndef later_tasks(): return [1]",
        "later_tasks returned a int, not a",
    ),
    "class": (
        HEAD + "@hookimpl\ndef later_tasks(): return [T]",
        "returned the class T; return T()",
    ),
    "abstract": (
        "from later_core import Task, hookimpl\n@hookimpl\ndef later_tasks(): return [Task()]",
        "later_tasks raised TypeError",
    ),
    "no name": (
        HEAD.replace("__init__", "start") + "@hookimpl\ndef later_tasks(): return [T()]",
        "task T has no name",
    ),
    "bad name": (tasks("Not A Name"), "task name 'Not A Name' is not lower case with dashes"),
    "long name": (tasks("x" * 129), "of at most 128 characters"),
    "twice": (tasks("same", "same"), "later_tasks returned two tasks named 'same'"),
    "generator run": (
        HEAD + "class G(T):\n async def run(self, context): yield 1\n"
        "@hookimpl\ndef later_tasks(): return [G('g')]",
        "run of task 'g' is a generator",
    ),
    "schema": (
        HEAD + "class S(T):\n parameters_schema = {'a': object()}\n"
        "@hookimpl\ndef later_tasks(): return [S('s')]",
        "the parameters_schema of task 's' is not JSON",
    ),
    "rate limit": (
        HEAD + "class R(T):\n rate_limit = '10/s'\n@hookimpl\ndef later_tasks(): return [R('r')]",
        "the rate_limit of task 'r' is not a later_core.RateLimit",
    ),
    "description": (
        HEAD + "class D(T):\n description = '\\ud800'\n"
        "@hookimpl\ndef later_tasks(): return [D('d')]",
        "the description of task 'd' is not UTF-8",
    ),
    "long description": (
        HEAD + "class D(T):\n description = 'x' * 1025\n"
        "@hookimpl\ndef later_tasks(): return [D('d')]",
        "the description of task 'd' is longer than 1024 characters",
    ),
    "schema without an end": (
        HEAD
        + "class S(T):\n parameters_schema = {}\nS.parameters_schema['a'] = S.parameters_schema\n"
        "@hookimpl\ndef later_tasks(): return [S('s')]",
        "the parameters_schema of task 's' is not JSON",
    ),
    "schema with a number that is none": (
        HEAD + "class S(T):\n parameters_schema = {'a': float('nan')}\n"
        "@hookimpl\ndef later_tasks(): return [S('s')]",
        "the parameters_schema of task 's' is not JSON",
    ),
    "deep schema": (
        HEAD
        + "import json\nclass S(T):\n parameters_schema = json.loads('{\"a\":' * 31 + '1' + '}' * 31)\n"
        "@hookimpl\ndef later_tasks(): return [S('s')]",
        "at 31 levels; there may be",
    ),
    "long schema": (
        HEAD + "class S(T):\n parameters_schema = {'a': 'x' * 66_000}\n"
        "@hookimpl\ndef later_tasks(): return [S('s')]",
        "has 66009 characters at 1 levels",
    ),
    "settings raise": (
        HEAD + "@hookimpl\ndef later_settings(): 1 / 0",
        "later_settings raised ZeroDivision",
    ),
    "no setting": (
        HEAD + "@hookimpl\ndef later_settings(): return ['a']",
        "returned a str, not a PluginSetting",
    ),
    "setting name": (
        HEAD
        + "@hookimpl\ndef later_settings(): return [PluginSetting(name='A-b', default=1, description='')]",
        "setting name 'A-b' is not lower case with underscores",
    ),
    "setting default": (
        HEAD
        + "@hookimpl\ndef later_settings(): return [PluginSetting(name='a', default=None, description='')]",
        "the default of setting 'a' is not a bool, int, float or str",
    ),
    "settings twice": (
        HEAD
        + "@hookimpl\ndef later_settings(): return 2 * [PluginSetting(name='a', default=1, description='')]",
        "later_settings returned 'a' twice",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_work(install: Install, fault: str) -> None:
    source, reason = BROKEN[fault]
    install("broken-plugin", source)
    install("sound-plugin", tasks("sound"))
    with capture_logs() as lines:
        catalog = collected()

    (rejected,) = catalog.rejected
    assert (rejected.distribution, rejected.version) == ("broken-plugin", "1.2.3")
    assert reason in rejected.reason
    assert "\n" not in rejected.reason
    assert catalog.get("sound") is not None
    assert not {each.distribution for each in catalog.installed} & {"broken-plugin"}
    (line,) = [line for line in lines if line["log_level"] == "warning"]
    assert (line["event"], line["distribution"]) == ("plugin rejected", "broken-plugin")


def test_a_broken_plugin_leaves_none_of_its_hooks_behind(install: Install) -> None:
    # The hooks in order of name: the sound one comes before the one that fails.
    source = "seen = []\n@hookimpl\ndef later_cli(group): seen.append(1)\n"
    install("half-plugin", HEAD + source + "@hookimpl\ndef later_on_event(wrong): seen.append(1)")
    install("late-plugin", HEAD + source + "@hookimpl\ndef later_tasks(): 1 / 0")
    catalog = collected()
    group = click.Group()
    catalog.extend_cli(group)
    catalog.on_event(EVENT)
    assert not catalog.has_event_plugins
    import half_plugin
    import late_plugin

    assert half_plugin.seen == late_plugin.seen == []


def test_an_interrupt_is_no_fault_of_a_plugin(install: Install) -> None:
    install("plugin-a", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Catalog.discover()


def test_a_missing_module_is_named(install: Install) -> None:
    install("plugin-a", "", entry_points="[later]\na = absent_module:plugin\n")
    assert "No module named 'absent_module'" in reasons(collected(), "plugin-a")[0]


def test_unreadable_metadata_hides_no_other_plugin(install: Install) -> None:
    install("plugin-a", "", entry_points="[later]\nthis is not an entry point\n")
    install("plugin-b", tasks("beta"))
    assert collected().get("beta") is not None


def test_two_plugins_with_a_task_of_one_name_are_both_rejected(install: Install) -> None:
    install("plugin-a", tasks("same", "alpha"))
    install("plugin-b", tasks("same"))
    install("plugin-c", tasks("gamma"))
    catalog = collected()
    for distribution in ("plugin-a", "plugin-b"):
        assert reasons(catalog, distribution) == [
            "task 'same' is provided by plugin-a and by plugin-b; uninstall all but one"
        ]
    assert catalog.get("same") is None
    assert catalog.get("alpha") is None
    assert catalog.get("gamma") is not None


def test_two_plugins_with_a_setting_of_one_name_are_both_rejected(install: Install) -> None:
    source = tasks("{0}") + (
        "@hookimpl\ndef later_settings():\n"
        " return [PluginSetting(name='level', default={1}, description='d')]"
    )
    install("plugin-a", source.replace("{0}", "alpha").replace("{1}", "1"))
    install("plugin-b", source.replace("{0}", "beta").replace("{1}", "'x'"))
    catalog = collected()
    assert len(catalog.rejected) == 2
    assert "level" not in [setting.name for setting in catalog.settings]


def test_a_setting_that_is_laters_own_is_refused(install: Install) -> None:
    install(
        "plugin-a",
        HEAD + "@hookimpl\ndef later_settings():\n"
        " return [PluginSetting(name='listen', default='', description='d')]",
    )
    catalog = Catalog.discover(reserved={"listen"})
    assert reasons(catalog, "plugin-a") == ["setting 'listen' is one of Later's own"]


def test_settings_reach_the_tasks(install: Install) -> None:
    install(
        "plugin-a",
        HEAD + "@hookimpl\ndef later_settings():\n"
        " return [PluginSetting(name='greeting', default='hello', description='d')]\n"
        "@hookimpl\ndef later_tasks(settings): return [T(settings['greeting'])]",
    )
    catalog = Catalog.discover()
    assert "greeting" in [setting.name for setting in catalog.settings]
    catalog.collect(defaults(catalog) | {"greeting": "salut"})
    assert catalog.get("salut") is not None


def test_every_event_plugin_sees_every_event_whatever_another_raises(install: Install) -> None:
    source = HEAD + "seen = []\n@hookimpl\ndef later_on_event(event):\n seen.append(event)\n"
    for name in ("plugin-a", "plugin-c"):
        install(name, source)
    install("plugin-b", source + " 1 / 0")
    catalog = collected()
    assert catalog.has_event_plugins
    with capture_logs() as lines:
        catalog.on_event(EVENT)
    import plugin_a
    import plugin_b
    import plugin_c

    assert plugin_a.seen == plugin_b.seen == plugin_c.seen == [EVENT]
    assert [(line["event"], line["distribution"]) for line in lines] == [
        ("later_on_event failed", "plugin-b")
    ]


def test_an_event_plugin_is_told_whether_an_event_is_its_nodes(install: Install) -> None:
    source = "seen = []\n@hookimpl\ndef later_on_event(event, is_mine):\n seen.append(is_mine)\n"
    install("plugin-a", HEAD + source)
    catalog = collected()
    catalog.on_event(EVENT, is_mine=False)
    catalog.on_event(EVENT)
    import plugin_a

    assert plugin_a.seen == [False, True]


def test_a_plugin_that_wants_no_events_sees_none(install: Install) -> None:
    source = (
        "seen = []\n@hookimpl\ndef later_wants_events(settings):\n return settings['wants']\n"
        "@hookimpl\ndef later_on_event(event):\n seen.append(event)\n"
    )
    install("plugin-a", HEAD + source)
    for wants in (True, False):
        catalog = collected({"wants": wants})
        assert catalog.has_event_plugins is wants
        catalog.on_event(EVENT)
    import plugin_a

    assert plugin_a.seen == [EVENT]


def test_commands_are_added_all_or_none(install: Install) -> None:
    add = (
        HEAD
        + "import click\n@hookimpl\ndef later_cli(group):\n group.command('{0}')(lambda: None)\n"
    )
    install("plugin-a", add.replace("{0}", "more"))
    install("plugin-b", add.replace("{0}", "half") + " 1 / 0\n")
    install("plugin-c", add.replace("{0}", "serve"))
    install("plugin-d", add.replace("{0}", "fine") + tasks("delta").removeprefix(HEAD))
    serve = click.Command("serve")
    group = click.Group(commands={"serve": serve})
    catalog = Catalog.discover()
    catalog.extend_cli(group)

    assert sorted(group.commands) == ["fine", "more", "serve"]
    assert group.commands["serve"] is serve
    assert reasons(catalog, "plugin-b")[0].startswith(
        "its commands are missing: later_cli raised Zero"
    )
    assert reasons(catalog, "plugin-c") == [
        "its commands are missing: later_cli replaces the command 'serve'"
    ]


def test_a_plugin_whose_commands_are_missing_keeps_its_tasks(install: Install) -> None:
    install("plugin-a", tasks("alpha") + "@hookimpl\ndef later_cli(group): 1 / 0\n")
    catalog = Catalog.discover()
    catalog.extend_cli(click.Group())
    catalog.collect(defaults(catalog))
    assert catalog.get("alpha") is not None
    assert len(catalog.rejected) == 1


def test_a_store_comes_from_the_first_plugin_that_has_one(install: Install) -> None:
    assert collected().store({}) is None
    install("plugin-a", HEAD + "@hookimpl\ndef later_store(): return None")
    install(
        "plugin-b",
        HEAD + "from later_core.ports.clock import SystemClock\n"
        "from later_core.stores.memory import MemoryStore\n"
        "@hookimpl\ndef later_store(settings): return MemoryStore(clock=SystemClock())",
    )
    assert isinstance(collected().store({}), MemoryStore)


@pytest.mark.parametrize(
    ("body", "complaint"), [("1 / 0", "raised ZeroDivisionError"), ("return 5", "returned a int")]
)
def test_a_store_that_fails_ends_the_start(install: Install, body: str, complaint: str) -> None:
    install("plugin-a", HEAD + f"@hookimpl\ndef later_store(settings): {body}")
    with pytest.raises(Misconfigured, match=f"later_store of plugin-a {complaint}"):
        collected().store({})


def test_a_plugin_may_be_an_object(install: Install) -> None:
    install(
        "plugin-a",
        HEAD
        + "class Plugin:\n @hookimpl\n def later_tasks(self): return [T('odd')]\nplugin = Plugin()",
        entry_points="[later]\na = plugin_a:plugin\nb = plugin_a:plugin\n",
    )
    catalog = collected()
    assert catalog.get("odd") is not None
    assert reasons(catalog, "plugin-a") == ["another entry point names the same plugin"]
