"""The machine that a simulated node runs on: it can stand still, or die, and has clocks of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from later_core.testing.clock import FakeClock, Timer, TimerClock

Callback = Callable[[], object]


class Machine:
    """One process. Whatever it waits for (a timer, an answer) reaches it only while it runs.

    Between two moments a node does nothing but wait, so to withhold what it waits for is to stop
    it: for a while (``freeze``, as SIGSTOP does), or for ever (``kill``, as SIGKILL does).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_frozen = False
        self.is_dead = False
        #: The simulation has ended: whatever it still asks for is cancelled.
        self.is_over = False
        #: When it last went on after it had stood still.
        self.thawed_at: datetime | None = None
        self._held: list[Callback] = []

    @property
    def is_running(self) -> bool:
        """Whether its code makes progress."""
        return not self.is_frozen and not self.is_dead

    def deliver(self, callback: Callback) -> None:
        """Call back now, or once the machine runs again, or never."""
        if self.is_dead:
            return
        if self.is_frozen:
            self._held.append(callback)
        else:
            callback()

    async def until_running(self) -> None:
        """Return only while the machine runs."""
        if not self.is_running:
            awake = asyncio.Event()
            self.deliver(awake.set)
            await awake.wait()

    def freeze(self) -> None:
        """Stand still; everybody else's time goes on."""
        self.is_frozen = True

    def thaw(self, now: datetime) -> None:
        """Go on, with everything that has come due meanwhile."""
        self.is_frozen, self.thawed_at = False, now
        held, self._held = self._held, []
        for callback in held:
            callback()

    def end(self) -> None:
        """The simulation is over: nothing that the machine still does may take time."""
        self.kill()
        self.is_over = True

    def kill(self) -> None:
        """Stop for ever, in the midst of whatever it does."""
        self.is_dead = True
        self._held.clear()


class MachineClock(TimerClock):
    """The clocks of one machine: a wall clock that is wrong by ``skew``, a monotonic one of its own."""

    def __init__(
        self, clock: FakeClock, machine: Machine, *, skew: timedelta, offset: float
    ) -> None:
        self._clock = clock
        self._machine = machine
        self._offset = offset
        #: What the wall clock shows too much; may be set at any time, as wall clocks are.
        self.skew = skew

    def now(self) -> datetime:
        return self._clock.now() + self.skew

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._offset

    def set_timer(self, seconds: float, callback: Callback) -> Timer:
        if self._machine.is_over:
            raise asyncio.CancelledError

        def ring() -> None:
            if not timer.is_cancelled:
                callback()

        timer = self._clock.set_timer(seconds, lambda: self._machine.deliver(ring))
        return timer
