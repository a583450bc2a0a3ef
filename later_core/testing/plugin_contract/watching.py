"""A plugin that hears events hears all of them, and is quick about it."""

from __future__ import annotations

from datetime import UTC, datetime

from structlog.testing import capture_logs

from later_core.model.event import Event, EventType
from later_core.model.instance import InstanceError
from later_core.model.state import State
from later_core.testing.builders import an_instance
from later_core.testing.plugin_contract.blocking import blocking_calls
from later_core.testing.plugin_contract.subject import Subject

_NOW = datetime(2030, 1, 1, tzinfo=UTC)


class WatchingContract(Subject):
    """For plugins with ``later_on_event``."""

    async def test_every_kind_of_event_is_taken(self) -> None:
        async with self.installed() as catalog:
            for event in _events():
                with capture_logs() as lines, blocking_calls() as seen:
                    catalog.on_event(event, is_mine=True)
                    catalog.on_event(event, is_mine=False)
                what = f"{event.type} {event.instance.state if event.instance else ''}".strip()
                failed = [line for line in lines if line["event"] == "later_on_event failed"]
                assert not failed, f"later_on_event raises at {what}"
                assert not seen, f"later_on_event holds up the event loop at {what}, in {seen[0]}"


def _events() -> list[Event]:
    """Each state in which an instance may be told, and the event without an instance."""
    error = InstanceError(reason="BROKEN", message="it broke")
    instances = [
        (EventType.CREATED, an_instance(execution_time=_NOW)),
        *(
            (
                EventType.UPDATED,
                an_instance(
                    execution_time=_NOW,
                    state=state,
                    attempt=1,
                    error=error if state is State.FAILED else None,
                ),
            )
            for state in State
        ),
        (EventType.EXISTING, an_instance(execution_time=_NOW)),
        (EventType.RESYNC, None),
    ]
    return [
        Event(type=type, instance=instance, event_time=_NOW, position=f"{number:020d}")
        for number, (type, instance) in enumerate(instances)
    ]
