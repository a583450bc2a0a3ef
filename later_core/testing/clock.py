"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: A loop that is still busy after so many turns is caught in a circle that no time breaks.
_MAX_TURNS = 100_000

#: Turns granted on an event loop that does not let us see whether it is busy (uvloop).
_BLIND_TURNS = 50


class TimerClock(ABC):
    """Sleeping and waiting, for a clock that can set a timer."""

    @abstractmethod
    def set_timer(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after so many seconds (more than 0), unless the timer is cancelled before."""

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await _one_turn()
            return
        woken = asyncio.Event()
        timer = self.set_timer(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.is_cancelled = True

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        if event.is_set():
            return True
        if seconds is None:
            return await event.wait()
        if seconds <= 0:
            await _one_turn()
            return event.is_set()
        timer: Timer | None = None
        try:
            async with asyncio.timeout(None) as scope:
                # The scope knows only the loop's time; a moment in its past makes it end at once.
                timer = self.set_timer(seconds, lambda: scope.reschedule(0))
                try:
                    await event.wait()
                finally:
                    timer.is_cancelled = True
        except TimeoutError:
            return event.is_set()
        return True


class FakeClock(TimerClock):
    """Time in the hand of the test: it passes in ``advance`` alone, and then at once.

    Whoever sleeps or waits by this clock wakes in the order of time, and sees in ``now()`` exactly
    the moment that was asked for. Keeps the promise of ``later_core.ports.clock.Clock``. Belongs
    to one event loop.
    """

    #: Turns of the event loop without anything to do before it counts as quiet: each turn also polls
    #: the sockets, so a message that is already on its way between two of them is waited for.
    quiet_turns = 3

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        # In UTC: in another zone, time that is added would be that of its clocks.
        self._start = start.astimezone(UTC)
        # Whole microseconds: what is added up in floats would drift.
        self._elapsed_us = 0
        self._timers: list[Timer] = []
        self._set_timers = 0

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=self._elapsed_us)

    def monotonic(self) -> float:
        return self._elapsed_us / 1_000_000

    @property
    def sleepers(self) -> int:
        """How many calls of ``sleep`` and timed ``wait`` are waiting for time to pass."""
        return sum(not timer.is_cancelled for timer in self._timers)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass. Returns once everything that it set off has come to rest.

        Sleepers wake in order of time, those of one moment in the order in which they lay down;
        after each moment the event loop runs until it is quiet, and who lies down again meanwhile
        wakes again within the same ``advance``. Work in threads and answers of other processes are
        not waited for.

        Raises:
            RuntimeError: the event loop does not come to rest.

        """
        target_us = self._elapsed_us + _to_microseconds(seconds)
        await self.settle()
        while self._timers and self._timers[0].due_us <= target_us:
            self._elapsed_us = max(self._elapsed_us, self._timers[0].due_us)
            while self._timers and self._timers[0].due_us <= self._elapsed_us:
                timer = heapq.heappop(self._timers)
                if not timer.is_cancelled:
                    timer.callback()
            await self.settle()
        self._elapsed_us = max(self._elapsed_us, target_us)
        await self.settle()

    async def jump(self, seconds: float) -> None:
        """Let so much time pass at once, with nobody looking, as when a machine is asleep.

        Who should have woken on the way wakes at the end, in order of time. Returns once everything
        that it set off has come to rest.

        Raises:
            RuntimeError: the event loop does not come to rest.

        """
        await self.settle()
        self._elapsed_us += _to_microseconds(seconds)
        await self.advance(0)

    def waits(self) -> list[float]:
        """How many seconds each sleeper still sleeps, the first to wake first."""
        left = sorted(timer.due_us for timer in self._timers if not timer.is_cancelled)
        return [(due_us - self._elapsed_us) / 1_000_000 for due_us in left]

    async def settle(self) -> None:
        """Let the event loop run until it is quiet, while no time passes.

        Raises:
            RuntimeError: the event loop does not come to rest.

        """
        # The loop of the standard library keeps in _ready what it is about to call. There is no
        # public way to ask, and without asking the turns could only be guessed.
        ready = getattr(asyncio.get_running_loop(), "_ready", None)
        if ready is None:
            for _ in range(_BLIND_TURNS):
                await _one_turn()
            return
        quiet_turns = 0
        for _ in range(_MAX_TURNS):
            await _one_turn()
            quiet_turns = 0 if ready else quiet_turns + 1
            if quiet_turns == self.quiet_turns:
                return
        raise RuntimeError(
            f"the event loop is still busy after {_MAX_TURNS} turns at {self.now().isoformat()}:"
            " something repeats without ever waiting for time or an event"
        )

    def set_timer(self, seconds: float, callback: Callable[[], object]) -> Timer:
        self._set_timers += 1
        # A wait that the rounding of floats has left over must pass too, or it would never end.
        due_us = self._elapsed_us + max(1, _to_microseconds(seconds))
        timer = Timer(due_us, self._set_timers, callback)
        heapq.heappush(self._timers, timer)
        return timer


class Timer:
    """One call that is due at a moment; ``number`` orders those of the same moment."""

    __slots__ = ("callback", "due_us", "is_cancelled", "number")

    def __init__(self, due_us: int, number: int, callback: Callable[[], object]) -> None:
        self.due_us = due_us
        self.number = number
        self.callback = callback
        self.is_cancelled = False

    def __lt__(self, other: Timer) -> bool:
        return (self.due_us, self.number) < (other.due_us, other.number)


def _to_microseconds(seconds: float) -> int:
    """Rounded up, for nobody wakes early; what is below a nanosecond is an error of the float."""
    return math.ceil(round(seconds * 1_000_000, 3))


async def _one_turn() -> None:
    await asyncio.sleep(0)  # noqa: TID251 - yields to the loop; no time passes
