"""What becomes of each line of a crontab that is imported, and how that is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from rich.text import Text

from later_core.cli.crontab.entry import Crontab, Entry, Refused
from later_core.cli.crontab.extras import Proposal
from later_core.cli.crontab.proposing import Wishes, propose
from later_core.cli.output import print_json, print_table
from later_core.cli.times import iso
from later_core.model.planning import preview
from later_core.model.recurrence.zones import time_zone

if TYPE_CHECKING:
    from later_core.client.client import Client

_SHOWN_TIMES = 5
#: What says that this one schedule cannot be created; everything else is about the server.
_ABOUT_THE_SCHEDULE = frozenset(
    {"ALREADY_EXISTS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"}
)
_DIFFERS = (
    "; it differs in its settings or policies: change that one with later schedules update, or delete it"
    " and import again"
)


class Result(StrEnum):
    """What became of a line."""

    READ = "read"
    CREATED = "created"
    EXISTED = "existed"
    REFUSED = "refused"


_STYLES = {Result.CREATED: "green", Result.EXISTED: "cyan", Result.REFUSED: "red"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A line, and what became of it: ``refused`` says why if it was, else there is a proposal."""

    line: int
    result: Result
    entry: Entry | None = None
    proposal: Proposal | None = None
    refused: Refused | None = None


def read_only(crontab: Crontab, wishes: Wishes) -> Sequence[Outcome]:
    """All lines in their order, with nothing created."""
    outcomes = [_refused(refused) for refused in crontab.refused]
    for entry, proposal in propose(crontab, wishes):
        if isinstance(proposal, Refused):
            outcomes.append(_refused(proposal, entry))
        else:
            outcomes.append(
                Outcome(line=entry.line, result=Result.READ, entry=entry, proposal=proposal)
            )
    return sorted(outcomes, key=lambda outcome: outcome.line)


async def create_all(client: Client, outcomes: Iterable[Outcome]) -> AsyncIterator[Outcome]:
    """The same lines, with the schedules created that are not there yet.

    Raises:
        RpcError: the server does not answer. What was created until then stays; the same import again
            goes on from there.

    """
    from later_core.client.errors import RpcError

    for outcome in outcomes:
        if outcome.proposal is None or outcome.entry is None:
            yield outcome
            continue
        try:
            result = await _create(client, outcome.proposal)
        except RpcError as error:
            if error.code not in _ABOUT_THE_SCHEDULE:
                raise
            hint = _DIFFERS if error.code == "ALREADY_EXISTS" else ""
            entry = outcome.entry
            reason = f"{error}{hint}"
            yield _refused(Refused(line=entry.line, text=entry.command, reason=reason), entry)
        else:
            yield Outcome(
                line=outcome.line, result=result, entry=outcome.entry, proposal=outcome.proposal
            )


def show_outcomes(outcomes: Sequence[Outcome], now: datetime, *, as_json: bool) -> None:
    """Each line, with its next five times; those that were refused behind the others."""
    if as_json:
        for outcome in outcomes:
            print_json(_record(outcome, now))
        return
    taken = [row for outcome in outcomes for row in _rows(outcome, now)]
    if taken:
        print_table(
            ("LINE", "RESULT", "SCHEDULE", "WHEN", "TIME ZONE", "NEXT TIMES", "COMMAND"),
            taken,
            prose=True,
        )
    refused = [outcome.refused for outcome in outcomes if outcome.refused]
    if refused:
        if taken:
            print_table((), [])
        print_table(
            ("LINE", "REFUSED", "REASON"),
            [(str(each.line), _one_line(each.text), each.reason) for each in refused],
            prose=True,
        )


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many lines became what: ``3 created, 1 refused``."""
    counts = {result: sum(o.result is result for o in outcomes) for result in Result}
    return ", ".join(f"{n} {result.value}" for result, n in counts.items() if n) or "no entries"


async def _create(client: Client, proposal: Proposal) -> Result:
    from later_core.client.errors import RpcError

    result = Result.EXISTED
    try:
        await client.get_schedule(proposal.id)
    except RpcError as error:
        if error.code != "NOT_FOUND":
            raise
        result = Result.CREATED
    # The server compares the content, also of one that exists.
    await client.create_schedule(proposal.spec, id=proposal.id)
    return result


def _refused(refused: Refused, entry: Entry | None = None) -> Outcome:
    return Outcome(line=refused.line, result=Result.REFUSED, entry=entry, refused=refused)


def _rows(outcome: Outcome, now: datetime) -> Iterator[Sequence[str | Text]]:
    if outcome.entry is None or outcome.proposal is None:
        return
    zone = outcome.proposal.time_zone
    user = f"({outcome.entry.user}) " if outcome.entry.user else ""
    yield (
        str(outcome.line),
        Text(outcome.result.value, style=_STYLES.get(outcome.result, "")),
        outcome.proposal.id,
        outcome.entry.expression,
        zone,
        spell_times(_next_times(outcome.proposal, now), time_zone(zone)),
        user + _one_line(outcome.entry.command),
    )


def _record(outcome: Outcome, now: datetime) -> dict[str, Any]:
    record: dict[str, Any] = {"line": outcome.line, "result": outcome.result.value.upper()}
    entry, proposal = outcome.entry, outcome.proposal
    if entry is not None:
        record |= {"expression": entry.expression, "command": entry.command}
        record |= {"stdin": entry.stdin} if entry.stdin else {}
        record |= {"user": entry.user} if entry.user else {}
        record |= {"env": dict(entry.environment)} if entry.environment else {}
    if proposal is not None:
        times = [iso(time) for time in _next_times(proposal, now)]
        record |= {"id": proposal.id, "timeZone": proposal.time_zone, "nextTimes": times}
        record["labels"] = dict(proposal.spec.template.labels)
    if outcome.refused is not None:
        record |= {"text": outcome.refused.text, "reason": outcome.refused.reason}
    return record


def _next_times(proposal: Proposal, now: datetime) -> Sequence[datetime]:
    return list(islice(preview(proposal.spec, now), _SHOWN_TIMES))


def spell_times(times: Iterable[datetime], zone: ZoneInfo) -> str:
    """Times as a clock in the zone shows them: what is as in the one before is not said again."""
    texts: list[str] = []
    before: datetime | None = None
    for time in times:
        local = time.astimezone(zone)
        if before is None or local.year != before.year:
            form = "%Y-%m-%d %H:%M"
        else:
            form = "%H:%M" if local.date() == before.date() else "%m-%d %H:%M"
        texts.append(local.strftime(form))
        before = local
    return ", ".join(texts)


def _one_line(text: str) -> str:
    return " ".join(text.split())
