"""``later top`` in a browser: served by ``textual serve``, seen and steered in a real Chromium."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from later_core.client.client import Client
from later_core.model.instance import NewInstance

SECONDS = 60
CHROMIUM = shutil.which("chromium")
#: xterm.js draws letters on a canvas; its own buffer says what they are.
_CATCH_TERMINAL = """
Object.defineProperty(Object.prototype, 'terminal', {configurable: true, set(value) {
    if (value && value.buffer) { window.shownTerminal = value; }
    Object.defineProperty(this, 'terminal', {value, writable: true, configurable: true});
}});
"""
_READ = """
(() => { const terminal = window.shownTerminal; if (!terminal) { return ''; }
    const buffer = terminal.buffer.active; const lines = [];
    for (let line = 0; line < terminal.rows; line++) {
        lines.push(buffer.getLine(line)?.translateToString(true) ?? '');
    }
    return lines.join('\\n'); })()
"""

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine"),
    pytest.mark.timeout(300),
]


@asynccontextmanager
async def process(*words: str) -> AsyncIterator[None]:
    """Runs inside, and is ended and waited for at the end."""
    running = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        try:
            await asyncio.wait_for(running.wait(), 30)
        except TimeoutError:
            running.kill()
            await running.wait()


class Tab:
    """A page of a browser, spoken to by the Chrome DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0

    async def ask(self, method: str, **parameters: object) -> dict:
        self._last += 1
        await self._socket.send_json({"id": self._last, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]

    async def text(self) -> str:
        answer = await self.ask("Runtime.evaluate", expression=_READ)
        return str(answer["result"].get("value", ""))

    async def sees(self, *texts: str) -> str:
        shown = ""
        try:
            async with asyncio.timeout(SECONDS):
                while True:
                    shown = await self.text()
                    if all(text in shown for text in texts):
                        return shown
                    await asyncio.sleep(0.1)  # noqa: TID251 -- a real browser is asked again
        except TimeoutError:
            pytest.fail(f"not seen: {texts}\n{shown}")

    async def press(self, key: str) -> None:
        for type in ("keyDown", "keyUp"):
            await self.ask(
                "Input.dispatchKeyEvent",
                type=type, key=key, **({"text": key} if type == "keyDown" else {}),
            )  # fmt: skip


async def until(holds: Callable[[], object]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(SECONDS):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)  # noqa: TID251 -- a real process is asked again


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    words = (
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--window-size=1400,900", "--remote-debugging-port=0",
        f"--user-data-dir={profile}", "about:blank",
    )  # fmt: skip
    told = profile / "DevToolsActivePort"
    async with process(*words), aiohttp.ClientSession() as session:
        await until(lambda: told.exists() and told.read_text().count("\n"))
        port = told.read_text().splitlines()[0]
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = json.loads(await answer.text())
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        async with session.ws_connect(url, max_msg_size=0) as socket:
            yield Tab(socket)


async def test_the_same_screens_are_seen_and_steered_in_a_real_browser(serving, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with serving() as address, Client(address) as client:
        await client.create(NewInstance(id="seen-from-afar", task="hang"))
        later = shlex.join([sys.executable, "-m", "later_core.cli", "--address", address, "top"])
        served = (
            str(Path(sys.executable).parent / "textual"), "serve", "-c", "--host", "127.0.0.1",
            "--port", str(port), later,
        )  # fmt: skip
        async with process(*served), browser(tmp_path / "profile") as tab:
            await until(lambda: _listens(port))
            await tab.ask("Page.enable")
            await tab.ask("Page.addScriptToEvaluateOnNewDocument", source=_CATCH_TERMINAL)
            await tab.ask("Page.navigate", url=f"http://127.0.0.1:{port}/")
            await tab.sees("RUNNING 1", "seen-from-afar", "Due next")
            await tab.ask(
                "Runtime.evaluate",
                expression="document.querySelector('.xterm-helper-textarea').focus()",
            )
            await tab.press("2")
            await tab.sees("EXECUTION TIME", "seen-from-afar", "1 in all")
            await tab.press("a")
            await tab.sees("Abort seen-from-afar")
            await tab.press("y")
            await tab.sees("seen-from-afar is aborted")
        assert (await client.get("seen-from-afar")).state == "ABORTED"
