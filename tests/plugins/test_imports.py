"""Every ``later`` command imports every plugin: none may bring along what only a server needs."""

import importlib.metadata
import json
import subprocess
import sys

HEAVY = {"aio_pika", "aiohttp", "aiosmtplib", "celery", "grpc", "kombu", "pydantic", "yaml"}
LOOK = """
import importlib, json, sys
import later_core
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_importing_a_plugin_imports_no_client() -> None:
    modules = [
        entry.module
        for entry in importlib.metadata.entry_points(group="later")
        if entry.module.startswith("later_plugin_")
    ]
    assert len(modules) >= 3
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *modules], capture_output=True, text=True, check=True
    )
    assert set(json.loads(done.stdout)) & HEAVY == set()
