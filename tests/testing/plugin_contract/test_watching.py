"""An event plugin that cannot bear one kind of event is caught at that kind."""

from typing import Any

import pytest

from later_core import EventType, State, hookimpl
from tests.testing.plugin_contract.sound import Plugin, contract

KINDS = [
    (EventType.CREATED, State.PENDING),
    *((EventType.UPDATED, state) for state in State),
    (EventType.EXISTING, State.PENDING),
    (EventType.RESYNC, None),
]


class Dislikes(Plugin):
    def __init__(self, type: EventType, state: State | None, is_mine: bool) -> None:
        super().__init__()
        self._disliked = type, state, is_mine

    @hookimpl
    def later_on_event(self, event: Any, is_mine: bool) -> None:
        state = event.instance.state if event.instance else None
        assert (event.type, state, is_mine) != self._disliked


@pytest.mark.parametrize("is_mine", [True, False])
@pytest.mark.parametrize(("type", "state"), KINDS)
async def test_every_kind_of_event_is_told(
    type: EventType, state: State | None, is_mine: bool
) -> None:
    check = contract(Dislikes(type, state, is_mine))
    with pytest.raises(
        AssertionError, match=f"later_on_event raises at {type} {state or ''}".strip()
    ):
        await check.test_every_kind_of_event_is_taken()
