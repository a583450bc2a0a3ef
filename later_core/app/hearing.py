"""Who hears of events in this process, and which of them are this node's to act upon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from later_core.local.membership import Membership
from later_core.model.event import Event


class EventWatcher(Protocol):
    """Sees every event, and whether it is this node's among all that see it."""

    def __call__(self, event: Event, *, is_mine: bool) -> None: ...


def shared_out(on_event: EventWatcher, membership: Membership) -> Callable[[Event], None]:
    """Events are shared out as schedules are: each has one node, whatever is installed where."""

    def tell(event: Event) -> None:
        instance = event.instance
        is_mine = instance is None or membership.plans(instance.task, instance.id)
        on_event(event, is_mine=is_mine)

    return tell
