"""The task ``celery``: sends a task to the workers of Celery.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from later_core import PluginSetting, Task, hookimpl

if TYPE_CHECKING:
    from celery import Celery

_SETTINGS = (
    PluginSetting(
        name="celery_broker",
        default="",
        description="URL of Celery's broker, like redis://host:6379/0 or amqp://user:password@host.",
        is_secret=True,
    ),
    PluginSetting(
        name="celery_result_backend",
        default="",
        description="URL of Celery's result backend; needed only to wait for results.",
        is_secret=True,
    ),
    PluginSetting(
        name="celery_timeout",
        default=10.0,
        description="How long the broker may take to accept a task, in seconds.",
    ),
)


class Plugin:
    """The hooks, and the Celery app that they share."""

    def __init__(self) -> None:
        self._app: Celery | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Where the broker is."""
        return _SETTINGS

    @hookimpl
    def later_tasks(self, settings: Mapping[str, Any]) -> Iterable[Task]:
        """One task over one app; without a broker it says so to whoever uses it."""
        from later_plugin_celery.app import app_of
        from later_plugin_celery.task import SendTask

        self._app = app_of(settings) if settings["celery_broker"] else None
        return [SendTask(self._app)]

    @hookimpl
    def later_lifespan(self) -> AbstractAsyncContextManager[None]:
        """Connections are closed once the last run has ended."""
        return self._keep()

    @asynccontextmanager
    async def _keep(self) -> AsyncIterator[None]:
        yield
        if self._app is not None:
            self._app.close()


plugin = Plugin()
