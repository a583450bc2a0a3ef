"""Brings what the server says to the board, and comes back by itself when it cannot."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import NoReturn

from later_core.cli.times import spell
from later_core.cli.top.board import KEPT, Board, Listing
from later_core.client.client import Client
from later_core.client.errors import RpcError
from later_core.client.instances import EVERYTHING
from later_core.model.instance import Instance
from later_core.model.query import Filter
from later_core.model.state import State
from later_core.ports.clock import Clock

#: FAILED instances are listed by when they were due, the oldest first: how far back one must look for
#: the latest of them is not known before.
_LOOKS_BACK = tuple(timedelta(minutes=minutes) for minutes in (10, 60, 24 * 60, 30 * 24 * 60))


class Page(Enum):
    """What is looked at; the rest is not read."""

    OVERVIEW = "overview"
    INSTANCES = "instances"
    SCHEDULES = "schedules"
    NODES = "nodes"
    TASKS = "tasks"


class Feed:
    """``watch`` and ``poll`` run until they are cancelled, side by side."""

    def __init__(self, client: Client, board: Board, clock: Clock, interval: timedelta) -> None:
        self._client = client
        self._board = board
        self._clock = clock
        self._interval = interval.total_seconds()
        self._hurry = asyncio.Event()
        self._must_read_failed = True
        #: Why the one or the other hears nothing.
        self._troubles: dict[str, str] = {}
        self.page = Page.OVERVIEW
        self.asked: Filter = EVERYTHING

    def hurry(self) -> None:
        """Read now, and not only when the interval is over."""
        self._hurry.set()

    async def watch(self) -> NoReturn:
        """Follow the events of what is shown."""
        while True:
            try:
                async with aclosing(
                    self._client.watch(
                        self._board.filter,
                        on_break=self._broken,
                        clock=self._clock,
                    )
                ) as batches:
                    async for batch in batches:
                        self._say("watch")
                        if self._board.apply(batch):
                            self._must_read_failed = True
                            self.hurry()
            except RpcError as error:
                self._say("watch", error)
            await self._clock.sleep(self._interval)

    async def poll(self) -> NoReturn:
        """Read the figures and the page that is looked at, again and again."""
        while True:
            self._hurry.clear()
            try:
                await self._read()
                self._say("poll")
            except RpcError as error:
                self._say("poll", error)
            await self._clock.wait(self._hurry, self._interval)

    async def _read(self) -> None:
        board, client = self._board, self._client
        board.stats = await client.stats()
        match self.page:
            case Page.OVERVIEW:
                await self._read_overview()
            case Page.INSTANCES:
                found = await self._first(self.asked, KEPT + 1)
                board.listing = Listing(instances=found[:KEPT], has_more=len(found) > KEPT)
            case Page.SCHEDULES:
                async with aclosing(client.list_schedules()) as schedules:
                    board.schedules = [schedule async for schedule in schedules]
            case Page.NODES:
                board.nodes = await client.nodes()
            case Page.TASKS:
                board.tasks = await client.tasks()
        if board.inspected is not None:
            board.inspect(await client.get(board.inspected.id))

    async def _read_overview(self) -> None:
        for state in (State.PENDING, State.RUNNING):
            self._board.read(state, await self._in_state(state, KEPT))
        if self._must_read_failed:
            self._board.read(State.FAILED, await self._latest_failed())
            self._must_read_failed = False

    async def _latest_failed(self) -> list[Instance]:
        """Those of the longest time that has no more of them than are shown, or as many of a short one."""
        latest: list[Instance] = []
        for back in _LOOKS_BACK:
            found = await self._in_state(State.FAILED, KEPT + 1, self._clock.now() - back)
            if len(found) > KEPT:
                return latest or found[:KEPT]
            latest = found
        return latest

    async def _in_state(
        self, state: State, count: int, since: datetime | None = None
    ) -> list[Instance]:
        """The first of what is shown and in this state, due at or after ``since``."""
        shown = self._board.filter
        if shown.states and state not in shown.states:
            return []
        start = max(filter(None, (shown.start_time, since)), default=None)
        return await self._first(replace(shown, states=frozenset({state}), start_time=start), count)

    async def _first(self, asked: Filter, count: int) -> list[Instance]:
        found: list[Instance] = []
        async with aclosing(self._client.list(asked, page_size=count)) as instances:
            async for instance in instances:
                found.append(instance)
                if len(found) == count:
                    break
        return found

    def _broken(self, error: RpcError, pause: timedelta) -> None:
        self._say("watch", error, f"; again in {spell(pause.total_seconds())}")

    def _say(self, who: str, error: RpcError | None = None, more: str = "") -> None:
        """Note how it goes; what is well again is forgotten."""
        if error is None:
            self._troubles.pop(who, None)
        else:
            self._troubles[who] = f"{error}{more}"
        self._board.trouble = next(iter(self._troubles.values()), "")
