"""The line between one node and the store: where everything that can go wrong does."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How the line behaves for a while. Times in seconds, chances from 0 to 1.

    ``is_cut``: nothing passes in either direction. ``delay``: each way takes up to so long.
    ``loses_answers``, ``loses_requests``: how often the one or the other gets lost. ``lags``: how
    often a request arrives only after the caller was told that there is no answer.
    """

    is_cut: bool = False
    delay: float = 0.0
    loses_answers: float = 0.0
    loses_requests: float = 0.0
    lags: float = 0.0

    def __str__(self) -> str:
        if self.is_cut:
            return "cut"
        parts = [
            f"{name} {value:g}"
            for name in ("delay", "loses_answers", "loses_requests", "lags")
            if (value := getattr(self, name))
        ]
        return ", ".join(parts) or "fair"


FAIR = Weather()

#: When a caller on a fair line despairs, in seconds: its call was under way as the line was cut.
_LONGEST = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What is in store for one call: the way there, the way back, and when its caller despairs."""

    there: float
    back: float
    patience: float
    loses_request: bool = False
    loses_answer: bool = False


class Line:
    """Draws the fate of each call. The weather of the whole system comes on top of its own."""

    def __init__(self, rng: random.Random, *, delay: float) -> None:
        self._rng = rng
        #: What each way takes at most when nothing is wrong.
        self._delay = delay
        self.weather = FAIR

    @property
    def is_cut(self) -> bool:
        """Whether nothing passes at this moment."""
        return self.weather.is_cut

    def breaks(self) -> bool:
        """Whether a stream of news breaks off here."""
        weather = self.weather
        if weather.is_cut:
            return True
        chance = weather.loses_answers + weather.loses_requests
        return chance > 0 and self._rng.random() < chance / 2

    def pause(self) -> float:
        """Seconds that one way takes now."""
        longest = self.weather.delay or self._delay
        # Most calls are quick even on a slow line, else nothing would ever overtake.
        if not longest or self._rng.random() < 0.3:
            return 0.0
        return self._millis(longest)

    def trip(self) -> Trip | None:
        """The fate of the next call; None when it arrives and is answered at once."""
        weather = self.weather
        if weather is FAIR:
            there, back = self.pause(), self.pause()
            return Trip(there=there, back=back, patience=_LONGEST) if there or back else None
        draw = self._rng.random()
        if weather.is_cut:
            return Trip(there=0.0, back=0.0, patience=self._millis(2.0) if draw < 0.5 else 0.001)
        patience = 0.05 + self._millis(1.0)
        if draw < weather.lags:
            there = patience + self._millis(3.0)
            return Trip(there=there, back=0.0, patience=patience)
        draw -= weather.lags
        loses_request = draw < weather.loses_requests
        loses_answer = loses_request or draw - weather.loses_requests < weather.loses_answers
        there, back = self.pause(), self.pause()
        if not loses_answer:
            patience = there + back + 1.0
            if not there and not back:
                return None
        return Trip(
            there=there,
            back=back,
            patience=patience,
            loses_request=loses_request,
            loses_answer=loses_answer,
        )

    def _millis(self, longest: float) -> float:
        """A random time in whole milliseconds, at least one."""
        return max(1, round(self._rng.random() * longest * 1000)) / 1000
