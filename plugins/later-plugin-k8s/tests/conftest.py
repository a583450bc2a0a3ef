"""A small HTTP server that answers as the API of Kubernetes does.

No cluster runs here. What it answers (paths, statuses, the fields of objects and of a Status) was
written down from the API's documentation (batch/v1 Job; meta/v1 Status): 201 with the object as it was
stored, 409 AlreadyExists, 422 Invalid for a Job without containers, 401 without the token.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from later_plugin_k8s import Plugin
from later_plugin_k8s.task import CreateJob

TOKEN = "hush"


def status(code: int, reason: str, message: str) -> web.Response:
    content = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return web.json_response(content, status=code)


@dataclass
class Cluster:
    url: str = ""
    jobs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    token: str | None = TOKEN
    #: Answered in place of everything else.
    trouble: Callable[[], web.Response] | None = None
    #: Jobs are stored and the connection breaks before the answer.
    loses_answers: bool = False
    peers: list[Any] = field(default_factory=list)

    async def create(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refuse(request)) is not None:
            return refusal
        namespace, job = request.match_info["namespace"], await request.json()
        name = job["metadata"]["name"]
        if (namespace, name) in self.jobs:
            return status(409, "AlreadyExists", f'jobs.batch "{name}" already exists')
        if not job["spec"].get("template", {}).get("spec", {}).get("containers"):
            message = (
                f'Job.batch "{name}" is invalid: spec.template.spec.containers: Required value'
            )
            return status(422, "Invalid", message)
        job["metadata"] |= {"namespace": namespace, "uid": f"uid-{len(self.jobs)}"}
        self.jobs[namespace, name] = job
        if self.loses_answers:
            assert request.transport
            request.transport.close()
        return web.json_response(job, status=201)

    async def get(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refuse(request)) is not None:
            return refusal
        name = request.match_info["name"]
        job = self.jobs.get((request.match_info["namespace"], name))
        if job is None:
            return status(404, "NotFound", f'jobs.batch "{name}" not found')
        return web.json_response(job)

    def _refuse(self, request: web.Request) -> web.Response | None:
        assert request.transport
        self.peers.append(request.transport.get_extra_info("peercert"))
        if self.trouble is not None:
            return self.trouble()
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return status(401, "Unauthorized", "Unauthorized")
        return None


@pytest.fixture
async def serve_cluster() -> AsyncIterator[Callable[..., Awaitable[Cluster]]]:
    runners: list[web.AppRunner] = []

    async def serve(tls: ssl.SSLContext | None = None) -> Cluster:
        cluster, app = Cluster(), web.Application()
        path = "/apis/batch/v1/namespaces/{namespace}/jobs"
        app.router.add_post(path, cluster.create)
        app.router.add_get(f"{path}/{{name}}", cluster.get)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        cluster.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
        return cluster

    yield serve
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., str]:
    """Writes a kubeconfig; answers its path."""

    def write(url: str, *, user: object = None, cluster: object = None, **more: Any) -> str:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "north",
            "contexts": [
                {"name": "north", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
                {"name": "south", "context": {"cluster": "c", "user": "u"}},
            ],
            "clusters": [{"name": "c", "cluster": {"server": url, **(cluster or {})}}],
            "users": [{"name": "u", "user": {"token": TOKEN} if user is None else user}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config | more))
        return str(path)

    return write


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., CreateJob]]:
    """Makes the task with settings as a server would."""
    opened: list[Any] = []

    def make(**settings: object) -> CreateJob:
        plugin = Plugin()
        defaults = {setting.name: setting.default for setting in plugin.later_settings()}
        (task,) = plugin.later_tasks(defaults | settings)
        opened.append(plugin.later_lifespan())
        assert isinstance(task, CreateJob)
        return task

    yield make
    for api in opened:
        async with api:
            pass
