"""Tells people: by mail or webhook, when instances fail, are aborted, or start late.

Every ``later`` command imports this module, so what takes long to import waits until a server starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from later_core import Event, PluginSetting, hookimpl
from later_plugin_notify.rules import Rules

if TYPE_CHECKING:
    from later_plugin_notify.outbox import Outbox

_SETTINGS = (
    PluginSetting(
        name="notify_on",
        default="failed, late",
        description="What people are told of: failed, late, aborted, succeeded, divided by commas.",
    ),
    PluginSetting(
        name="notify_late_after",
        default=60.0,
        description="So many seconds after its execution time a start is late.",
    ),
    PluginSetting(
        name="notify_tasks",
        default="*",
        description="Of which tasks people are told: names, with * and ?, divided by commas.",
    ),
    PluginSetting(
        name="notify_smtp_url",
        default="",
        description="The mail server, smtp://user:password@host:587 (STARTTLS where it is offered)"
        " or smtps://host.",
        is_secret=True,
    ),
    PluginSetting(name="notify_mail_from", default="", description="The sender of mails."),
    PluginSetting(
        name="notify_mail_to",
        default="",
        description="The recipients of mails, divided by commas; no mails without them.",
    ),
    PluginSetting(
        name="notify_webhook_url",
        default="",
        description="Where notices are posted as JSON; nowhere without it.",
        is_secret=True,
    ),
    PluginSetting(
        name="notify_webhook_token",
        default="",
        description="Bearer token that the webhook is given.",
        is_secret=True,
    ),
    PluginSetting(
        name="notify_queue",
        default=1000,
        description="How many notices may wait on a node; what comes then is dropped and counted.",
    ),
)


class Plugin:
    """The hooks, and the outbox that they share."""

    def __init__(self) -> None:
        self._rules: Rules | None = None
        self._outbox: Outbox | None = None

    @hookimpl
    def later_settings(self) -> Iterable[PluginSetting]:
        """Who is told of what."""
        return _SETTINGS

    @hookimpl
    def later_wants_events(self, settings: Mapping[str, Any]) -> bool:
        """Not where nobody is to be told."""
        return bool(settings["notify_mail_to"] or settings["notify_webhook_url"])

    @hookimpl
    def later_lifespan(self, settings: Mapping[str, Any]) -> AbstractAsyncContextManager[Any]:
        """The loop that sends; none where nobody is to be told."""
        from later_plugin_notify.channels import channels_of
        from later_plugin_notify.outbox import Outbox

        channels = channels_of(settings)
        if not channels:
            return nullcontext()
        self._rules = Rules(
            kinds=settings["notify_on"],
            late_after=settings["notify_late_after"],
            tasks=settings["notify_tasks"],
        )
        self._outbox = Outbox(channels, limit=settings["notify_queue"])
        return self._outbox

    @hookimpl
    def later_on_event(self, event: Event, is_mine: bool) -> None:
        """Never waits: a notice is put into the outbox, or dropped and counted."""
        if is_mine and self._rules is not None and self._outbox is not None:
            notice = self._rules.notice_of(event)
            if notice is not None:
                self._outbox.add(notice)


plugin = Plugin()
