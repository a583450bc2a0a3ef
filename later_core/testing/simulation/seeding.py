"""From a seed to a scenario: which faults there are, when, and what clients ask meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from later_core.model.instance import Delivery, NewInstance
from later_core.model.retry import RetryPolicy
from later_core.testing.simulation.behaviour import Behaviour
from later_core.testing.simulation.keys import with_keys
from later_core.testing.simulation.line import FAIR, Weather
from later_core.testing.simulation.scenario import (
    Abort,
    Crash,
    Create,
    ForgetHistory,
    Freeze,
    Leave,
    Reconnect,
    Reschedule,
    Retry,
    Scenario,
    SetWallClock,
    Start,
    Step,
    Thaw,
    Turn,
    Watch,
)
from later_core.testing.simulation.timetable import schedules_of

TASKS = ("alpha", "beta")
#: When every simulation begins.
BEGINNING = datetime(2030, 1, 1, tzinfo=UTC)
_MOST_HOSTS = 5
#: Each seed has some kinds of faults only, so that rare mixtures come up too.
_SHARE_OF_KINDS = 0.4
_SHARE_WITHOUT_FAULTS = 0.15


def scenario_of(seed: int) -> Scenario:
    """The scenario of a seed: always the same one for the same version of this file."""
    return _Seeding(seed).scenario()


class _Seeding:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - no secret hangs on it
        self._steps: list[tuple[float, Step]] = []
        self._length = self._uniform(3.0, 7.0)
        self._hosts = self._rng.choice((1, 2, 2, 3, 3, 4, _MOST_HOSTS))
        self._lease = self._rng.choice((1.0, 2.0, 2.0, 3.0))
        #: When each instance is to be created, and when it is first due.
        self._created: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._faults: dict[str, Callable[[float, int], None]] = {
            "crash": self._crash,
            "freeze": self._freeze,
            "cut": self._cut,
            "storm": self._storm,
            "slow": self._slow,
            "hiccup": self._hiccup,
            "leave": self._leave,
            "join": self._join,
            "clock": self._clock,
            "history": self._history,
        }

    def scenario(self) -> Scenario:
        rng = self._rng
        for host in range(self._hosts):
            self._start(0.0, host)
        self._clients()
        self._steps += schedules_of(
            self._seed, beginning=BEGINNING, length=self._length, hosts=self._hosts, tasks=TASKS
        )
        if rng.random() >= _SHARE_WITHOUT_FAULTS:
            kinds = [kind for kind in self._faults if rng.random() < _SHARE_OF_KINDS]
            for kind in kinds:
                for _ in range(rng.choice((1, 1, 2, 3))):
                    self._faults[kind](self._moment(), self._host())
        recurrence, time_ahead = rng.choice(((1.0, 3.0), (300.0, 600.0)))
        if any(isinstance(step, Turn) and step.weather.lags for _, step in self._steps):
            # What is written after its client was told that it cannot know is found by a pull.
            recurrence, time_ahead = 1.0, 3.0
        return Scenario(
            seed=self._seed,
            steps=tuple(sorted(with_keys(self._seed, self._steps), key=lambda step: step[0])),
            lease=self._lease,
            recurrence=recurrence,
            time_ahead=time_ahead,
            claim_lead=rng.choice((0.0, 0.3, 0.3, 1.0)),
            max_running=rng.choice((1, 3, 4096, 4096, 4096)),
            catch_up_rate=rng.choice((5, 1000)),
            delay=rng.choice((0.0, 0.0, 0.02)),
        )

    # -- clients -----------------------------------------------------------------------------

    def _clients(self) -> None:
        rng = self._rng
        for number in range(rng.randint(3, 10)):
            self._create(number)
        for id in rng.choices(list(self._due), k=rng.randint(0, 4)):
            self._add(self._moment(id), Abort(self._host(), id))
        for id in rng.choices(list(self._due), k=rng.randint(0, 4)):
            at = self._uniform(self._created[id], self._due[id] + 0.1)
            self._add(at, Reschedule(self._host(), id, self._delay()))
        for id in rng.choices(list(self._due), k=rng.randint(0, 3)):
            self._add(self._moment(id), Retry(self._host(), id, self._delay()))
        for number in range(rng.choice((0, 0, 1, 1, 2))):
            name = f"w{number}"
            task = rng.choice((None, None, *TASKS))
            begin = self._uniform(0.0, self._length / 2)
            self._add(begin, Watch(name, self._host(), task, rng.random() < 0.5))
            for _ in range(rng.randint(0, 2)):
                self._add(self._uniform(begin, self._length), Reconnect(name, self._host()))

    def _create(self, number: int) -> None:
        rng = self._rng
        at = self._uniform(0.05, self._length * 0.8)
        count = rng.choice((1, 1, 1, 1, 3))
        delay = self._delay()
        ids = [f"i{number}" if count == 1 else f"i{number}{letter}" for letter in "abc"[:count]]
        self._created |= dict.fromkeys(ids, at)
        self._due |= dict.fromkeys(ids, at + delay)
        requests = tuple(self._request(id, at, delay) for id in ids)
        self._add(at, Create(self._host(), requests, rng.choice((1, 3, 10))))

    def _request(self, id: str, at: float, delay: float) -> NewInstance:
        rng = self._rng
        # Now and then a time long past: the backlog of a downtime.
        then = BEGINNING + timedelta(seconds=at - 8) if rng.random() < 0.08 else None
        seconds = rng.choice((0.0, 0.0, self._uniform(0.01, 0.3), self._uniform(0.3, 2.5)))
        return NewInstance(
            id=id,
            task=rng.choice((TASKS[0], *TASKS)),
            parameters=Behaviour(seconds, rng.choice((0, 0, 0, 1, 2, 5))).to_parameters(),
            execution_time=then,
            delay=timedelta(seconds=delay) if then is None else None,
            retry=RetryPolicy(
                max_attempts=rng.randint(1, 4),
                min_backoff=timedelta(seconds=self._uniform(0.1, 1.0)),
                max_backoff=timedelta(seconds=2),
                multiplier=(multiplier := rng.choice((1.0, 2.0))),
                # Any wait up to the backoff where that stays the same, and a little less where it grows.
                jitter=1.0 if multiplier == 1.0 else 0.1,
            ),
            timeout=timedelta(seconds=self._uniform(0.2, 1.5)) if rng.random() < 0.15 else None,
            start_deadline=timedelta(seconds=self._uniform(0.2, 2)) if rng.random() < 0.1 else None,
            delivery=Delivery.AT_MOST_ONCE if rng.random() < 0.25 else Delivery.AT_LEAST_ONCE,
            # Half of them have none.
            priority=(0, 0, 1, 100)[int(id[1]) % 4],
        )

    # -- faults ------------------------------------------------------------------------------

    def _start(self, at: float, host: int) -> None:
        tasks = TASKS if self._rng.random() < 0.7 else (self._rng.choice(TASKS),)
        skew = timedelta(milliseconds=self._rng.randint(-30_000, 30_000))
        offset = float(self._rng.randint(0, 100_000))
        self._add(at, Start(host=host, tasks=tasks, skew=skew, offset=offset))

    def _crash(self, at: float, host: int) -> None:
        self._add(at, Crash(host))
        if self._rng.random() < 0.7:
            self._start(at + self._uniform(0.0, 1.5 * self._lease), host)

    def _leave(self, at: float, host: int) -> None:
        self._add(at, Leave(host, self._rng.choice((0.0, 0.5, 3.0))))
        if self._rng.random() < 0.5:
            self._start(at + self._uniform(0.0, 3.0), host)

    def _join(self, at: float, host: int) -> None:
        self._start(at, self._hosts + host)

    def _freeze(self, at: float, host: int) -> None:
        self._add(at, Freeze(host))
        self._add(at + self._uniform(0.1, 3 * self._lease), Thaw(host))

    def _cut(self, at: float, host: int) -> None:
        self._spell(at, host, Weather(is_cut=True), 2.5 * self._lease)

    def _storm(self, at: float, host: int) -> None:
        rng = self._rng
        weather = Weather(
            delay=rng.choice((0.0, 0.1, 0.5)),
            loses_answers=rng.choice((0.0, 0.3, 0.6)),
            loses_requests=rng.choice((0.0, 0.2)),
            lags=rng.choice((0.0, 0.0, 0.2)),
        )
        self._spell(at, host, weather, 4.0)

    def _slow(self, at: float, host: int) -> None:
        self._spell(at, host, Weather(delay=self._rng.choice((0.2, 0.6, 1.5))), 4.0)

    def _hiccup(self, at: float, host: int) -> None:
        """So short that nobody notices but who asks just then."""
        requests = self._rng.choice((0.0, 0.9))
        weather = Weather(loses_requests=requests, loses_answers=0.9 - requests)
        self._spell(at, host, weather, 0.4)

    def _clock(self, at: float, host: int) -> None:
        self._add(at, SetWallClock(host, timedelta(seconds=self._rng.randint(-30, 30))))

    def _history(self, at: float, host: int) -> None:
        del host  # the store has one history for all
        self._add(at, ForgetHistory())

    def _spell(self, at: float, host: int, weather: Weather, longest: float) -> None:
        hosts = range(self._hosts) if self._rng.random() < 0.25 else (host,)
        for affected in hosts:
            self._add(at, Turn(affected, weather))
            self._add(at + self._uniform(0.1, longest), Turn(affected, FAIR))

    # -- draws -------------------------------------------------------------------------------

    def _add(self, at: float, step: Step) -> None:
        self._steps.append((at, step))

    def _host(self) -> int:
        return self._rng.randrange(self._hosts)

    def _delay(self) -> float:
        """How far ahead something is due; sometimes it should have run long ago."""
        return self._rng.choice(
            (0.0, self._uniform(0.0, 0.5), self._uniform(0.3, 3.0), self._uniform(1.0, 4.0))
        )

    def _moment(self, id: str | None = None) -> float:
        """Some moment; more often than not one at which an instance is about to start."""
        id = id or self._rng.choice(list(self._due))
        if self._rng.random() < 0.6:
            return max(self._created[id] + 0.01, self._due[id] + self._uniform(-0.5, 0.6))
        return self._uniform(self._created[id], self._length)

    def _uniform(self, low: float, high: float) -> float:
        return round(self._rng.uniform(low, high), 3)
