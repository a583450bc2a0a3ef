"""The concurrency keys of a seed: which instances carry one, and by which limit."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from later_core.model.concurrency import Concurrency
from later_core.model.instance import NewInstance
from later_core.testing.simulation.scenario import Create, CreateSchedule, Step

#: Of the seeds, so many have no key, and of the instances of the others so many carry none.
_SHARE_WITHOUT = 0.5
_SHARE_UNLIMITED = 0.3


def with_keys(seed: int, steps: Iterable[tuple[float, Step]]) -> Iterator[tuple[float, Step]]:
    """The same steps, and some of what they create carries a key.

    Drawn from a stream of its own: whatever else a seed stands for stays as it is.
    """
    rng = random.Random(f"{seed} keys")  # noqa: S311 - no secret hangs on it
    if rng.random() < _SHARE_WITHOUT:
        return iter(steps)
    names = rng.choice((("k",), ("k",), ("k", "l")))
    # Most often one limit for all of a key; now and then each has its own.
    limits = {name: rng.choice((1, 1, 2, 3)) for name in names}
    is_mixed = rng.random() < 0.2

    def keyed(request: NewInstance) -> NewInstance:
        if rng.random() < _SHARE_UNLIMITED:
            return request
        name = rng.choice(names)
        limit = rng.choice((1, 2, 3)) if is_mixed else limits[name]
        return replace(request, concurrency=Concurrency(key=name, limit=limit))

    def keyed_step(step: Step) -> Step:
        match step:
            case Create():
                return replace(step, requests=tuple(map(keyed, step.requests)))
            case CreateSchedule():
                template = keyed(step.spec.template)
                return replace(step, spec=replace(step.spec, template=template))
            case _:
                return step

    return ((at, keyed_step(step)) for at, step in steps)
