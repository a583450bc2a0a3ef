"""Filters and places in a list, as queries that the index ``due`` answers in order.

The index is {state, execution_time, _id, task, bucket}. Each state is a run of it in order of
(execution_time, _id), and the server merges the runs; nothing is sorted in memory. The index
``schedule`` has the same runs for each schedule.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from bson.regex import Regex

from later_core.model.instant import round_up
from later_core.model.query import Filter
from later_core.model.scope import Scope, pattern_regex
from later_core.model.state import State
from later_core.stores.mongo.connection import Document
from later_core.stores.mongo.documents import label_of

DUE_INDEX = "due"
SCHEDULE_INDEX = "schedule"
#: Of the PENDING ones with a priority: {state, priority downwards, execution_time, _id, task, bucket}.
RAISED_INDEX = "raised"
#: Of the schedules: {look_time, _id, bucket}.
LOOK_INDEX = "look"

HIGHEST_FIRST: Document = {"priority": -1, "execution_time": 1, "_id": 1}
IN_ORDER: Document = {"execution_time": 1, "_id": 1}

#: A record with a date that no datetime holds, or an id that is no string, is never met: it could
#: not be a place to go on from, and would hide what lies behind it.
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_ANY_STRING: Document = {"$gte": ""}


def matching(filter: Filter, *, after: tuple[datetime, str] | None) -> Document:
    """The instances that a filter lets through, behind a place in their order."""
    query = _in_times(
        filter.states or list(State),
        # Half-open, in whole milliseconds: t >= s and t < e hold for the next whole ones too.
        start=None if filter.start_time is None else round_up(filter.start_time),
        after=after,
    )
    query["execution_time"]["$lt"] = (
        _LATEST if filter.end_time is None else round_up(filter.end_time)
    )
    if filter.tasks:
        query["task"] = {"$in": sorted(filter.tasks)}
    if filter.labels:
        query["labels"] = {"$all": [label_of(key, value) for key, value in filter.labels.items()]}
    if filter.schedule_id is not None:
        query["schedule_id"] = filter.schedule_id
    if not filter.scope.is_everything:
        query["$and"] = within(filter.scope)
    return query


def within(scope: Scope, *, task: str = "task", labels: str = "labels") -> list[Document]:
    """What holds of everything in a scope, given the fields with the task and the labels."""
    conditions: list[Document] = []
    if scope.tasks:
        conditions.append({task: {"$in": [_whole(pattern) for pattern in scope.tasks]}})
    conditions += [
        {labels: _whole(label_of(key, pattern))} for key, pattern in scope.labels.items()
    ]
    return conditions


def _whole(pattern: str) -> Regex[str]:
    """A pattern as the database matches it, against the whole of a text; keys of labels hold no ``*``."""
    return Regex(rf"\A{pattern_regex(pattern)}\z", "s")


def index_for(filter: Filter) -> str:
    """The index that has what a filter lets through in order, with the least beside it."""
    return DUE_INDEX if filter.schedule_id is None else SCHEDULE_INDEX


def due(
    tasks: Collection[str],
    *,
    buckets: Collection[int] | None,
    since: datetime | None,
    until: datetime,
    after: tuple[datetime, str] | None,
) -> Document:
    """PENDING instances of these tasks (and buckets, if any are named), since <= execution_time <= until."""
    query = _in_times(
        [State.PENDING], start=None if since is None else round_up(since), after=after
    )
    query["execution_time"]["$lte"] = until
    query["task"] = {"$in": sorted(tasks)}
    if buckets is not None:
        query["bucket"] = {"$in": sorted(buckets)}
    return query


def raised(query: Document, *, priority: int) -> Document:
    """Those of a ``due`` query that have just this priority."""
    # A whole number of any kind, as the filter of the index has it.
    return {**query, "state": State.PENDING.value, "priority": {"$gt": 0, "$eq": priority}}


def raised_below(query: Document, *, priority: int | None) -> Document:
    """Those of a ``due`` query that have a priority below this one (None: any), but above 0."""
    below: Document = {"$gt": 0} if priority is None else {"$gt": 0, "$lt": priority}
    return {**query, "state": State.PENDING.value, "priority": below}


def _in_times(
    states: Collection[State], *, start: datetime | None, after: tuple[datetime, str] | None
) -> Document:
    lower = start or _EARLIEST
    query: Document = {
        "state": {"$in": [state.value for state in states]},
        "execution_time": {"$gte": lower},
        "_id": _ANY_STRING,
    }
    if after is not None:
        time, id = after
        query["execution_time"]["$gte"] = max(lower, time)
        # Becomes two exact ranges of the index for each state: the rest of that millisecond, and
        # what is later. Thus a page costs the same however many are due at one moment.
        query["$or"] = [{"execution_time": {"$gt": time}}, {"_id": {"$gt": id}}]
    return query
