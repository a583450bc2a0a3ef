"""The turnstile: one in each turn of the event loop, in order, and nobody is forgotten."""

import asyncio

from later_core.local.turnstile import Turnstile
from later_core.ports.clock import SystemClock


class Turns:
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self.count += 1
        self._loop.call_soon(self._turn)


async def test_many_who_come_at_once_enter_one_in_each_turn_and_in_their_order():
    turnstile, turns, entered = Turnstile(), Turns(), []

    async def work(number):
        await turnstile.enter()
        entered.append((number, turns.count))

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(work(number))
    assert [number for number, _ in entered] == list(range(10))
    assert len({turn for _, turn in entered}) == 10


async def test_of_a_thousand_the_last_one_enters_soon():
    turnstile, turns = Turnstile(), Turns()

    async def work():
        await turnstile.enter()
        return turns.count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(1_000)]
    entered = [task.result() for task in tasks]
    assert entered == sorted(entered)
    assert max(map(entered.count, entered)) <= 1_000 // 16
    assert entered[-1] - entered[0] < 100


async def test_one_alone_enters_at_once():
    turnstile, turns = Turnstile(), Turns()
    for _ in range(3):
        before = turns.count
        await turnstile.enter()
        assert turns.count == before
        for _ in range(2):
            await SystemClock().sleep(0)


async def test_who_gives_up_waiting_keeps_nobody_out():
    turnstile, entered = Turnstile(), []

    async def work(number):
        await turnstile.enter()
        entered.append(number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(number)) for number in range(4)]
        await SystemClock().sleep(0)
        for number in (1, 2):
            tasks[number].cancel()
    await turnstile.enter()
    assert entered == [0, 3]
