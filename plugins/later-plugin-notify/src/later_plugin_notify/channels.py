"""Mail and webhook."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import aiosmtplib

from later_plugin_notify.outbox import Channel
from later_plugin_notify.rules import Notice, listed

#: For one mail or one request, in seconds.
_PATIENCE = 20.0


def channels_of(settings: Mapping[str, Any]) -> Sequence[Channel]:
    """The ways that the settings open.

    Raises:
        ValueError: a setting is missing or cannot be understood.

    """
    channels: list[Channel] = []
    recipients = listed(settings["notify_mail_to"])
    if recipients:
        for name in ("notify_smtp_url", "notify_mail_from"):
            if not settings[name]:
                raise ValueError(f"notify_mail_to needs {name}")
        channels.append(Mail(settings["notify_smtp_url"], settings["notify_mail_from"], recipients))
    if url := settings["notify_webhook_url"]:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError("notify_webhook_url is not of http or https")
        channels.append(Webhook(url, settings["notify_webhook_token"]))
    return channels


class Mail:
    """One mail for all that waits."""

    name = "mail"

    def __init__(self, url: str, sender: str, recipients: Sequence[str]) -> None:
        place = urlsplit(url)
        if place.scheme not in {"smtp", "smtps"} or not place.hostname:
            raise ValueError("notify_smtp_url is not like smtp://host:587 or smtps://host")
        self._sender = sender
        self._recipients = recipients
        self._server: dict[str, Any] = {
            "hostname": place.hostname,
            "port": place.port,
            "use_tls": place.scheme == "smtps",
            "username": unquote(place.username) if place.username else None,
            "password": unquote(place.password) if place.password else None,
            "timeout": _PATIENCE,
        }

    async def send(self, notices: Sequence[Notice], dropped: int) -> None:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Subject"] = subject(notices)
        message["Date"] = format_datetime(notices[-1].end_time)
        message["Message-ID"] = f"<{digest(notices)}@later>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(body(notices, dropped))
        await aiosmtplib.send(message, **self._server)

    async def close(self) -> None:
        """Every mail has a connection of its own."""


class Webhook:
    """One POST for all that waits: ``{"notices": [...], "dropped": 0}``."""

    name = "webhook"

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, notices: Sequence[Notice], dropped: int) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE))
        content = {"notices": [notice.as_json() for notice in notices], "dropped": dropped}
        headers = self._headers | {"Idempotency-Key": digest(notices)}
        async with self._session.post(
            self._url, json=content, headers=headers, allow_redirects=False
        ) as answer:
            if not 200 <= answer.status < 300:
                raise ConnectionError(f"the receiver answered {answer.status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def digest(notices: Sequence[Notice]) -> str:
    """The same for the same notices, so that a receiver knows what it was sent twice."""
    names = "\n".join(f"{notice.id} {notice.revision}" for notice in notices)
    return hashlib.sha256(names.encode()).hexdigest()[:32]


def subject(notices: Sequence[Notice]) -> str:
    """What it is about, in one line."""
    if len(notices) == 1:
        (notice,) = notices
        reason = f": {notice.reason}" if notice.reason else ""
        text = f"[Later] {notice.task} {notice.kind}{reason}"
    else:
        kinds = Counter(notice.kind for notice in notices)
        text = "[Later] " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    # A reason is a plugin's word: a line break in it must not begin another header.
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def body(notices: Sequence[Notice], dropped: int) -> str:
    """The notices one after the other."""
    parts = [_paragraph(notice) for notice in notices]
    if dropped:
        parts.append(f"{dropped} more were dropped, since too many came at once.")
    return "\n\n".join(parts) + "\n"


def _paragraph(notice: Notice) -> str:
    lines = [
        f"{notice.task} {notice.id} {notice.kind}, attempt {notice.attempt}",
        f"  due    {notice.execution_time.isoformat(timespec='milliseconds')}",
        f"  ended  {notice.end_time.isoformat(timespec='milliseconds')}",
    ]
    if notice.late_seconds is not None:
        lines.append(f"  began  {notice.late_seconds:.3f} s after it was due")
    if notice.schedule_id is not None:
        lines.append(f"  of the schedule {notice.schedule_id}")
    if notice.reason:
        lines.append(f"  {notice.reason}: {' '.join(notice.message.split())}")
    return "\n".join(lines)
