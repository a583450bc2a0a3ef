"""Notices reach a real mail server and a real receiver, and hold up nothing."""

# ruff: noqa: ASYNC110, TID251 -- waits for servers, which set no asyncio.Event

import asyncio
import email
import email.policy
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope
from later_plugin_notify import Plugin
from later_plugin_notify.channels import channels_of
from later_plugin_notify.outbox import Outbox
from later_plugin_notify.rules import Notice, Rules

from later_core import Event, InstanceError

pytestmark = [
    # The server is on loopback, and a test.
    pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning"),
    pytest.mark.filterwarnings("ignore:Session.login_data is deprecated:DeprecationWarning"),
]

MakeEvent = Callable[..., Event]
README = (Path(__file__).parents[1] / "README.md").read_text()


class Mailbox:
    """What the mail server has taken."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refusals: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refusals:
            return self.refusals.pop()
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"


@pytest.fixture
async def mailbox() -> AsyncIterator[tuple[Mailbox, str]]:
    """A mail server that asks for a name and a password."""

    def is_known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"later", b"p@ss"))

    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(
            box,
            hostname="mail.test",
            authenticator=is_known,
            auth_required=True,
            auth_require_tls=False,
        ),
        "127.0.0.1",
        0,
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield box, f"smtp://later:p%40ss@127.0.0.1:{port}"


def settings(**more: object) -> dict[str, object]:
    defaults = {setting.name: setting.default for setting in Plugin().later_settings()}
    return defaults | {"notify_mail_from": "later@test", "notify_mail_to": "a@test, b@test"} | more


async def until(is_there: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not is_there():
            await asyncio.sleep(0.01)


async def test_a_failure_is_mailed(mailbox: tuple[Mailbox, str], event: MakeEvent) -> None:
    box, url = mailbox
    plugin = Plugin()
    async with plugin.later_lifespan(settings(notify_smtp_url=url)):
        plugin.later_on_event(event(schedule_id="nightly"), is_mine=True)
        await until(lambda: box.mails)
    (mail,) = box.mails
    assert mail["Subject"] == "[Later] backup failed: EXIT_CODE"
    assert (mail["From"], mail["To"]) == ("later@test", "a@test, b@test")
    assert mail.get_content().splitlines() == [
        "backup nightly-1 failed, attempt 2",
        "  due    2030-01-01T00:00:00.000+00:00",
        "  ended  2030-01-01T00:00:01.250+00:00",
        "  began  0.250 s after it was due",
        "  of the schedule nightly",
        "  EXIT_CODE: no space left",
    ]


async def test_what_is_another_nodes_is_left_to_it(
    mailbox: tuple[Mailbox, str], event: MakeEvent
) -> None:
    box, url = mailbox
    plugin = Plugin()
    async with plugin.later_lifespan(settings(notify_smtp_url=url)):
        plugin.later_on_event(event(), is_mine=False)
        plugin.later_on_event(event(id="mine"), is_mine=True)
    (mail,) = box.mails
    assert "mine" in mail.get_content()
    assert "nightly-1" not in mail.get_content()


async def test_a_flood_is_bounded_counted_and_told(
    mailbox: tuple[Mailbox, str], event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    box, url = mailbox
    plugin = Plugin()
    with caplog.at_level(logging.WARNING):
        async with plugin.later_lifespan(settings(notify_smtp_url=url, notify_queue=150)):
            for number in range(400):
                plugin.later_on_event(event(id=f"n{number}"), is_mine=True)
    first, second = box.mails
    assert first["Subject"] == "[Later] 100 failed"
    assert second["Subject"] == "[Later] 50 failed"
    assert "250 more were dropped" in first.get_content()
    assert "dropped" not in second.get_content()
    assert "notices dropped, the queue was full: 250" in caplog.text


async def test_a_reason_cannot_begin_another_header(
    mailbox: tuple[Mailbox, str], event: MakeEvent
) -> None:
    box, url = mailbox
    plugin = Plugin()
    error = InstanceError(reason="NO\r\nBcc: all@test", message="a\nb")
    async with plugin.later_lifespan(settings(notify_smtp_url=url)):
        plugin.later_on_event(event(error=error), is_mine=True)
    (mail,) = box.mails
    assert mail["Subject"] == "[Later] backup failed: NO Bcc: all@test"
    assert mail["Bcc"] is None


async def test_a_mail_server_that_refuses_is_tried_again(
    mailbox: tuple[Mailbox, str], event: MakeEvent
) -> None:
    box, url = mailbox
    box.refusals = ["451 busy", "451 busy"]
    outbox = Outbox(channels_of(settings(notify_smtp_url=url)), limit=10, waits=(0.01, 0.01))
    async with outbox:
        outbox.add(a_notice(event))
        await until(lambda: box.mails)
    assert len(box.mails) == 1


async def test_a_mail_server_that_is_away_costs_notices_and_nothing_else(
    event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    url = "smtp://127.0.0.1:1"
    outbox = Outbox(channels_of(settings(notify_smtp_url=url)), limit=10, waits=(0.01,))
    with caplog.at_level(logging.WARNING):
        async with outbox:
            outbox.add(a_notice(event))
            await until(lambda: "notices lost, mail failed: 1" in caplog.text)
    assert "mail failed, tried again in 0.01 s" in caplog.text


async def test_at_the_end_a_wait_for_the_next_try_is_cut_short(event: MakeEvent) -> None:
    outbox = Outbox(channels_of(settings(notify_smtp_url="smtp://127.0.0.1:1")), limit=10)
    async with asyncio.timeout(20), outbox:  # each wait is longer than a test may take
        outbox._waits = (1000.0,)
        outbox.add(a_notice(event))


async def test_a_webhook_gets_json_and_a_token(event: MakeEvent) -> None:
    taken: list[tuple[dict[str, str], Any]] = []

    async def take(request: web.Request) -> web.Response:
        taken.append((dict(request.headers), await request.json()))
        return web.Response(status=500 if len(taken) == 1 else 204)

    app = web.Application()
    app.router.add_post("/notices", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/notices"
        values = settings(notify_mail_to="", notify_webhook_url=url, notify_webhook_token="hush")
        outbox = Outbox(channels_of(values), limit=10, waits=(0.01,))
        async with outbox:
            outbox.add(a_notice(event))
            await until(lambda: len(taken) == 2)
    finally:
        await runner.cleanup()
    (headers, content), (again, _) = taken
    assert headers["Authorization"] == "Bearer hush"
    assert headers["Idempotency-Key"] == again["Idempotency-Key"]
    assert content["dropped"] == 0
    (notice,) = content["notices"]
    documented = json.loads(re.findall(r"^    (\{.+?\})$", README, re.DOTALL | re.MULTILINE)[0])
    assert set(notice) == set(documented["notices"][0])
    assert notice["id"] == "nightly-1"


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({}, "notify_mail_to needs notify_smtp_url"),
        ({"notify_smtp_url": "smtp://a", "notify_mail_from": ""}, "needs notify_mail_from"),
        ({"notify_smtp_url": "mail.test"}, "is not like smtp://host:587"),
        ({"notify_mail_to": "", "notify_webhook_url": "ftp://a"}, "is not of http or https"),
        ({"notify_smtp_url": "smtp://a", "notify_on": "failure"}, "notify_on: 'failure'"),
    ],
)
async def test_wrong_settings_are_named(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Plugin().later_lifespan(settings(**wrong))


async def test_with_nobody_to_tell_nothing_is_kept(event: MakeEvent) -> None:
    plugin = Plugin()
    async with plugin.later_lifespan(settings(notify_mail_to="")):
        plugin.later_on_event(event(), is_mine=True)
    assert plugin._outbox is None
    assert not plugin.later_wants_events(settings(notify_mail_to=""))
    assert plugin.later_wants_events(settings())


def test_the_readme_lists_the_settings() -> None:
    documented = re.findall(r"^\| `(notify_\w+)` \|", README, re.MULTILINE)
    assert documented == [setting.name for setting in Plugin().later_settings()]


def a_notice(event: MakeEvent) -> Notice:
    notice = Rules(kinds="failed", late_after=60, tasks="*").notice_of(event())
    assert notice
    return notice
