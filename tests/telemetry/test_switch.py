"""Telemetry is there when it is asked for, and else nothing of it is."""

import json
import os
import subprocess
import sys

import pytest

from later_core.errors import SettingInvalid
from later_core.telemetry.switch import observing

#: A whole server, from its settings to its end; prints what of OpenTelemetry it has loaded.
_SERVE = """
import asyncio, json, sys
if sys.argv[1] == "without":
    sys.modules["opentelemetry"] = None
from later_core.cli.failure import guarded
from later_core.cli.installation import prepare

def whole():
    from later_core.app import serve
    catalog, settings = prepare({})
    catalog.collect(settings.plugins)
    async def main():
        stop = asyncio.Event()
        await serve(settings, catalog, ready=lambda _: stop.set(), stop=stop)
    asyncio.run(main())
    print(json.dumps(sorted(n for n in sys.modules if n.partition(".")[0] == "opentelemetry")))

sys.exit(guarded(whole))
"""


@pytest.fixture
def serve(mongodb_uri: str, database: str, tmp_path):
    def run(extra: str, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251 -- of another process
            if not name.startswith(("LATER_", "OTEL_"))
        }
        return subprocess.run(
            [sys.executable, "-c", _SERVE, extra],
            env=inherited
            | {
                "XDG_CONFIG_HOME": str(tmp_path),
                "LATER_MONGODB_URI": mongodb_uri,
                "LATER_DATABASE": database,
                "LATER_LISTEN": "127.0.0.1:0",
            }
            | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_nothing_of_opentelemetry_is_loaded_unless_it_is_asked_for(serve):
    ended = serve("with")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []


def test_switched_off_it_stays_away_even_where_a_collector_is_named(serve):
    ended = serve("with", LATER_TELEMETRY="off", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == []


def test_without_the_extra_a_server_that_is_asked_for_telemetry_says_what_to_install(serve):
    ended = serve("without", LATER_TELEMETRY="on")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "pip install 'later-core[telemetry]'" in ended.stderr


def test_without_the_extra_a_collector_in_the_environment_is_a_warning(serve):
    ended = serve("without", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert ended.returncode == 0, ended.stderr
    assert "no telemetry" in ended.stderr
    assert "later-core[telemetry]" in ended.stderr


async def test_nobody_observes_where_nobody_asked():
    async with observing("auto", is_collector_named=False, instance="n") as observer:
        assert observer is None
    async with observing("off", is_collector_named=True, instance="n") as observer:
        assert observer is None


async def test_on_without_the_libraries_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch):
    for name in [n for n in sys.modules if n.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SettingInvalid, match="telemetry"):
        async with observing("on", is_collector_named=False, instance="n"):
            pass
