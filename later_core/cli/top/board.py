"""What ``later top`` knows, fed by figures, pages and events. Knows nothing of screens."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from later_core.cli.top.punctuality import Punctuality
from later_core.client.instances import EVERYTHING
from later_core.client.tasks import TaskList
from later_core.model.event import EventBatch
from later_core.model.instance import Instance
from later_core.model.node import ListedNode
from later_core.model.query import Filter
from later_core.model.schedule import ListedSchedule
from later_core.model.state import State
from later_core.model.stats import Stats

#: So many instances of each state that is shown are held; a store may have millions.
KEPT = 200
#: So many that left the board are remembered, so that a page read before does not bring them back.
_GONE = 10_000
SHOWN_STATES = frozenset({State.PENDING, State.RUNNING, State.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The answer to what was asked on the page of instances."""

    instances: Sequence[Instance] = ()
    has_more: bool = False


class Board:
    """The newest of what was heard.

    Pages and events come by different ways, and a page may be older than an event that was heard
    before it: of two things said of one instance, the one with the higher revision holds.
    """

    def __init__(self, filter: Filter = EVERYTHING) -> None:
        self.filter = filter
        self.stats: Stats | None = None
        self.nodes: Sequence[ListedNode] = ()
        self.schedules: Sequence[ListedSchedule] = ()
        self.tasks = TaskList(tasks=(), rejected=())
        self.listing = Listing()
        self.punctuality = Punctuality()
        #: Why nothing is heard at the moment, in a line; empty while all is well.
        self.trouble = ""
        self.is_read_only = False
        #: The instance that is looked at by itself.
        self.inspected: Instance | None = None
        self._shown: dict[str, Instance] = {}
        self._gone: OrderedDict[str, int] = OrderedDict()

    def apply(self, batch: EventBatch) -> bool:
        """Take in events; whether one was a RESYNC, so that everything must be read anew."""
        must_read = False
        for event in batch.events:
            if event.instance is None:
                must_read = True
                continue
            self._put(event.instance)
            self.inspect(event.instance)
            self.punctuality.note(event.instance)
        if batch.events:
            self._trim()
        return must_read

    def inspect(self, instance: Instance, *, is_new: bool = False) -> None:
        """Take in the instance that is looked at; with ``is_new`` it becomes that one."""
        seen = self.inspected
        if is_new or (seen and seen.id == instance.id and seen.revision <= instance.revision):
            self.inspected = instance

    def read(self, state: State, instances: Iterable[Instance]) -> None:
        """Take in what a page says is in this state now; what it leaves out is no more."""
        found = {instance.id: instance for instance in instances}
        for id, known in list(self._shown.items()):
            if known.state is state and id not in found:
                del self._shown[id]
        for instance in found.values():
            self._put(instance)
        self._trim()

    @property
    def due_next(self) -> Sequence[Instance]:
        """PENDING instances, the first to be due first."""
        return sorted(self._of(State.PENDING), key=_due)

    @property
    def running(self) -> Sequence[Instance]:
        """RUNNING instances, those that have run longest first."""
        return sorted(self._of(State.RUNNING), key=_begun)

    @property
    def failed(self) -> Sequence[Instance]:
        """FAILED instances, the latest first."""
        return sorted(self._of(State.FAILED), key=_ended, reverse=True)

    def _of(self, state: State) -> list[Instance]:
        return [instance for instance in self._shown.values() if instance.state is state]

    def _put(self, instance: Instance) -> None:
        known = self._shown.get(instance.id)
        newest = known.revision if known else self._gone.get(instance.id, 0)
        if instance.revision < newest:
            return
        if instance.state in SHOWN_STATES and self.filter.matches(instance):
            self._gone.pop(instance.id, None)
            self._shown[instance.id] = instance
            return
        self._shown.pop(instance.id, None)
        self._gone[instance.id] = instance.revision
        if len(self._gone) > _GONE:
            self._gone.popitem(last=False)

    def _trim(self) -> None:
        if len(self._shown) <= KEPT:
            return
        for kept in (self.due_next, self.running, self.failed):
            for instance in kept[KEPT:]:
                del self._shown[instance.id]


def _due(instance: Instance) -> tuple[datetime, str]:
    return instance.execution_time, instance.id


def _begun(instance: Instance) -> tuple[datetime, str]:
    return instance.start_time or instance.execution_time, instance.id


def _ended(instance: Instance) -> tuple[datetime, str]:
    return instance.finish_time or instance.execution_time, instance.id
