"""What a crontab cannot say of a schedule, and stands above its line as JSON.

cron takes ``# later: {"id": "nightly", "overlap": "SKIP"}`` for a comment. An import reads it, so that the
same schedule comes out of it. What the line itself says holds against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from later_core.cli.crontab.orders import from_parameters
from later_core.model.concurrency import Concurrency
from later_core.model.duration import format_duration, parse_duration
from later_core.model.instance import Delivery, NewInstance
from later_core.model.recurrence.rules import CronRule
from later_core.model.retry import NO_RETRY, RetryPolicy
from later_core.model.schedule import CatchUp, Overlap, ScheduleSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schedule to create."""

    id: str
    spec: ScheduleSpec

    @property
    def rule(self) -> CronRule:
        """Its one rule."""
        (rule,) = self.spec.rules
        assert isinstance(rule, CronRule)
        return rule

    @property
    def time_zone(self) -> str:
        """The zone that its rule is about."""
        return self.rule.time_zone or self.spec.time_zone


def extras_of(proposal: Proposal) -> dict[str, Any]:
    """Everything that extras can say, whether or not it goes without saying."""
    spec, template = proposal.spec, proposal.spec.template
    return {
        "id": proposal.id,
        "labels": dict(sorted(template.labels.items())),
        "expression": proposal.rule.expression,
        "timeZone": spec.time_zone,
        "ruleTimeZone": proposal.rule.time_zone,
        "parameters": template.parameters.decode(),
        "overlap": spec.overlap.value,
        "catchUp": spec.catch_up.value,
        "catchupWindow": _duration(spec.catchup_window),
        "jitter": _duration(spec.jitter),
        "pauseOnFailure": spec.pause_on_failure,
        "timeout": _duration(template.timeout),
        "startDeadline": _duration(template.start_deadline),
        "delivery": template.delivery.value,
        "concurrency": _concurrency(template.concurrency),
        "priority": template.priority,
        "retry": {
            "maxAttempts": template.retry.max_attempts,
            "minBackoff": _duration(template.retry.min_backoff),
            "maxBackoff": _duration(template.retry.max_backoff),
            "multiplier": template.retry.multiplier,
            "jitter": template.retry.jitter,
            "finalReasons": list(template.retry.final_reasons),
        },
    }


def with_extras(proposal: Proposal, extras: Mapping[str, Any]) -> Proposal:
    """The proposal that a line makes, with what its extras say.

    Raises:
        ValueError: something in them is not what an export writes.

    """
    try:
        known = _Extras(extras)
        changed = Proposal(id=known.get("id", str, proposal.id), spec=_spec(proposal, known))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"what stands above it behind '# later:' is wrong: {error}; mend it, or take it out"
        ) from None
    return changed


class _Extras:
    """Extras with the types that are expected of them."""

    def __init__(self, extras: Mapping[str, Any]) -> None:
        self._extras = extras

    def get(self, key: str, type_: type, default: Any) -> Any:
        value = self._extras.get(key, default)
        if value is not default and type(value) is not type_:
            raise ValueError(f"{key} is {value!r}")
        return value

    def duration(self, key: str, default: timedelta | None) -> timedelta | None:
        if key not in self._extras:
            return default
        value = self._extras[key]
        return None if value is None else parse_duration(value)

    def concurrency(self, default: Concurrency | None) -> Concurrency | None:
        if "concurrency" not in self._extras:
            return default
        value = self._extras["concurrency"]
        if value is None:
            return None
        return Concurrency(key=str(value["key"]), limit=int(value["limit"]))


def _spec(proposal: Proposal, extras: _Extras) -> ScheduleSpec:
    spec = proposal.spec
    rule, zone = _times(proposal, extras)
    return replace(
        spec,
        template=_template(spec.template, extras),
        rules=(rule,),
        time_zone=zone,
        overlap=Overlap(extras.get("overlap", str, spec.overlap)),
        catch_up=CatchUp(extras.get("catchUp", str, spec.catch_up)),
        catchup_window=extras.duration("catchupWindow", spec.catchup_window),
        jitter=extras.duration("jitter", spec.jitter) or timedelta(0),
        pause_on_failure=extras.get("pauseOnFailure", bool, spec.pause_on_failure),
    )


def _times(proposal: Proposal, extras: _Extras) -> tuple[CronRule, str]:
    """The same times in the words of the schedule that was exported, if they still are the same."""
    rule, zone = proposal.rule, proposal.spec.time_zone
    expression = extras.get("expression", str, rule.expression)
    if " ".join(expression.lower().split()) == rule.expression.lower():
        rule = replace(rule, expression=expression)
    schedule_zone = extras.get("timeZone", str, zone)
    rule_zone = extras.get("ruleTimeZone", str, None)
    if (rule_zone or schedule_zone) == proposal.time_zone:
        return replace(rule, time_zone=rule_zone), schedule_zone
    return rule, zone


def _template(template: NewInstance, extras: _Extras) -> NewInstance:
    parameters = extras.get("parameters", str, template.parameters.decode()).encode()
    if _order_but_directory(parameters) != _order_but_directory(template.parameters):
        parameters = template.parameters
    labels = extras.get("labels", dict, template.labels)
    if not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise ValueError("labels are texts")
    return replace(
        template,
        parameters=parameters,
        labels=labels,
        timeout=extras.duration("timeout", template.timeout),
        start_deadline=extras.duration("startDeadline", template.start_deadline),
        delivery=Delivery(extras.get("delivery", str, template.delivery)),
        concurrency=extras.concurrency(template.concurrency),
        priority=extras.get("priority", int, template.priority),
        retry=_retry(extras.get("retry", dict, None), template.retry),
    )


def _order_but_directory(parameters: bytes) -> object:
    order = from_parameters(parameters)
    return order.command, order.stdin, dict(order.environment)


def _retry(value: Mapping[str, Any] | None, default: RetryPolicy) -> RetryPolicy:
    if value is None:
        return default
    return RetryPolicy(
        max_attempts=int(value["maxAttempts"]),
        min_backoff=parse_duration(value["minBackoff"]),
        max_backoff=parse_duration(value["maxBackoff"]),
        multiplier=float(value["multiplier"]),
        jitter=float(value.get("jitter", NO_RETRY.jitter)),
        final_reasons=tuple(map(str, value.get("finalReasons", ()))),
    )


def _concurrency(concurrency: Concurrency | None) -> dict[str, Any] | None:
    if concurrency is None:
        return None
    return {"key": concurrency.key, "limit": concurrency.limit}


def _duration(duration: timedelta | None) -> str | None:
    return None if duration is None else format_duration(duration)
