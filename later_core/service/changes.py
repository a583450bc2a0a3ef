"""Changes that are carried to their end although whoever asked for them has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

Answer = TypeVar("Answer")


class Changes:
    """Runs each change in an asyncio task of its own.

    A caller may go at any await (its deadline, a lost connection), and what the store was told is
    done all the same. What follows from it here, such as stopping the run of what was aborted,
    must not go with the caller. At most ``capacity`` changes are under way; further callers wait.
    """

    def __init__(self, *, capacity: int = 8_192) -> None:
        self._room = asyncio.Semaphore(capacity)
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Wait for the changes under way; each is bound by the deadlines of the store."""
        await self._tasks.__aexit__(None, None, None)

    async def carry(self, change: Coroutine[Any, Any, Answer]) -> Answer:
        """Answer or raise what the change does; a caller who is cancelled leaves it running."""
        try:
            await self._room.acquire()
        except BaseException:
            change.close()
            raise
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._tasks.create_task(self._carry(change, answer))
        return await answer

    async def _carry(
        self, change: Coroutine[Any, Any, Answer], answer: asyncio.Future[Answer]
    ) -> None:
        try:
            result = await change
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the caller, if there still is one
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)
        finally:
            self._room.release()
