"""What of a call goes into the audit log: the id it was about and its outcome, nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from later_core.rpc.v1 import later_pb2 as pb

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}

#: Where an answer holds what was made or changed.
_MADE = {
    pb.CreateInstanceResponse: "instance",
    pb.CreateScheduleResponse: "schedule",
    pb.CreateTokenResponse: "token",
}
_TARGET_MAX_LENGTH = 128

#: An id, an outcome, and how many came out so.
Note = tuple[str, str, int]


def target_of(request: Any, response: Any = None) -> str:
    """The id that a call is about: that of the request, or of what was made."""
    target = getattr(request, "id", "")
    if not target and (made := _MADE.get(type(response))):
        target = getattr(response, made).id
    return str(target)[:_TARGET_MAX_LENGTH]


def notes(request: Any, response: Any) -> Iterator[Note]:
    """What is to be noted of a request that was answered: of a batch, each outcome once."""
    match response:
        case pb.BatchCreateInstancesResponse():
            answers = [
                (result.instance.id or request.requests[index].id, _outcome(result))
                for index, result in enumerate(response.results)
            ]
            yield from _counted(answers)
        case pb.StreamCreateInstancesResponse():
            failed = {failure.index: _CODES[failure.error.code] for failure in response.failures}
            answers = [
                (id or request.requests[index].id, failed.get(index, "OK"))
                for index, id in enumerate(response.ids)
            ]
            yield from _counted(answers)
        case pb.ImportInstancesResponse():
            for counts in (response.instances, response.schedules):
                if stored := counts.imported + counts.replaced:
                    yield "", "OK", stored
            yield from _counted([(f.id, _CODES[f.error.code]) for f in response.failures])
        case _:
            yield target_of(request, response), "OK", 1


def _outcome(result: pb.BatchCreateInstancesResponse.Result) -> str:
    return _CODES[result.error.code] if result.HasField("error") else "OK"


def _counted(answers: list[tuple[str, str]]) -> Iterator[Note]:
    first: dict[str, str] = {}
    counts: dict[str, int] = {}
    for target, outcome in answers:
        first.setdefault(outcome, target)
        counts[outcome] = counts.get(outcome, 0) + 1
    for outcome, count in counts.items():
        yield first[outcome], outcome, count
