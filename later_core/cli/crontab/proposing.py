"""From the entries of a crontab to the schedules that take their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from later_core.cli.crontab.entry import Crontab, Entry, Refused
from later_core.cli.crontab.extras import Proposal, with_extras
from later_core.cli.crontab.names import schedule_id
from later_core.cli.crontab.orders import TASK, Order, to_parameters
from later_core.errors import InvalidRequest
from later_core.model.instance import NO_LABELS, Delivery, NewInstance
from later_core.model.limits import SCHEDULE_ID_MAX_LENGTH
from later_core.model.planning import recurrence_of
from later_core.model.recurrence.rules import CronRule
from later_core.model.schedule import CatchUp, Overlap, ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked for all schedules of a crontab.

    ``time_zone`` holds where the crontab names none. What is None is as cron has it, or as the line's
    extras say: runs may overlap, missed times are forgotten, a run that dies with its machine is over.
    """

    name: str
    time_zone: str
    prefix: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)
    overlap: Overlap | None = None
    catch_up: CatchUp | None = None
    delivery: Delivery | None = None
    timeout: timedelta | None = None


def propose(crontab: Crontab, wishes: Wishes) -> Iterator[tuple[Entry, Proposal | Refused]]:
    """A schedule for each entry, in their order, or why there can be none."""
    seen: Counter[str] = Counter()
    for entry in crontab.entries:
        first = schedule_id(entry, name=wishes.name, prefix=wishes.prefix, ordinal=0)
        id = schedule_id(entry, name=wishes.name, prefix=wishes.prefix, ordinal=seen[first])
        seen[first] += 1
        try:
            yield entry, _proposal(entry, id, wishes)
        except (ValueError, InvalidRequest) as error:
            yield entry, Refused(line=entry.line, text=entry.command, reason=str(error))


def _proposal(entry: Entry, id: str, wishes: Wishes) -> Proposal:
    proposal = with_extras(Proposal(id=id, spec=_as_cron_has_it(entry, wishes)), entry.extras)
    if len(proposal.id) > SCHEDULE_ID_MAX_LENGTH:
        raise ValueError(
            f"its id {proposal.id!r} is longer than {SCHEDULE_ID_MAX_LENGTH} characters"
        )
    spec, template = proposal.spec, proposal.spec.template
    return Proposal(
        id=proposal.id,
        spec=replace(
            spec,
            overlap=wishes.overlap or spec.overlap,
            catch_up=wishes.catch_up or spec.catch_up,
            template=replace(
                template,
                timeout=wishes.timeout or template.timeout,
                delivery=wishes.delivery or template.delivery,
                labels={**template.labels, **wishes.labels},
            ),
        ),
    )


def _as_cron_has_it(entry: Entry, wishes: Wishes) -> ScheduleSpec:
    order = Order(command=entry.command, stdin=entry.stdin, environment=entry.environment)
    labels = {"crontab": wishes.name, "user": entry.user, "comment": entry.comment}
    spec = ScheduleSpec(
        template=NewInstance(
            task=TASK,
            parameters=to_parameters(order),
            delivery=Delivery.AT_MOST_ONCE,
            labels={key: value for key, value in labels.items() if value},
        ),
        rules=(CronRule(expression=entry.expression),),
        time_zone=entry.time_zone or wishes.time_zone,
        jitter=timedelta(minutes=entry.random_delay),
        overlap=Overlap.ALLOW,
        catch_up=CatchUp.NONE,
    )
    recurrence_of(spec)
    return spec
