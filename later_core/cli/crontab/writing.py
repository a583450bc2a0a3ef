"""Schedules become a crontab, as far as cron can say what they say.

What is written is read again at once, by the reader of the import: a line stands there only if the very
same schedule comes out of it. All others are comments, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from later_core.cli.crontab import lines, percent
from later_core.cli.crontab.entry import Environment, Form
from later_core.cli.crontab.extras import Proposal, extras_of
from later_core.cli.crontab.orders import HOME, TASK, Order, from_parameters
from later_core.cli.crontab.proposing import Wishes, propose
from later_core.cli.crontab.reading import EXTRAS, read
from later_core.model.recurrence.rules import CronRule
from later_core.model.schedule import Schedule

_NUMBER = r"(?:[0-9]{1,2}|[a-z]{3})"
_TERM = rf"(?:(?:\*|{_NUMBER}-{_NUMBER})(?:/[0-9]{{1,2}})?|{_NUMBER})"
_FIELD = rf"{_TERM}(?:,{_TERM})*"
#: What Debian's cron reads: five fields without L, W and #, no step behind a single number.
_EXPRESSION = re.compile(rf"{_FIELD}(?: {_FIELD}){{4}}")
_NAME_LABEL = "crontab"
_USER_LABEL = "user"
_COMMENT_LABEL = "comment"


class _Unsayable(ValueError):
    """Why cron cannot say what a schedule says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A crontab, and the schedules that are comments in it, by id with the reason."""

    text: str
    ids: Sequence[str]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A schedule that cron can run: the settings that must stand above its lines, and the lines."""

    id: str
    time_zone: str
    environment: Environment
    text: str


def write(schedules: Iterable[Schedule], form: Form, *, owner: str | None = None) -> Written:
    """All of them, in order of their settings; ``owner`` runs those of a system crontab that name no user."""
    blocks: list[_Block] = []
    left_out: dict[str, str] = {}
    for schedule in schedules:
        try:
            blocks.append(_block(schedule, form, owner))
        except ValueError as error:
            left_out[schedule.id] = str(error)
    # A setting can be changed and not taken back: those with the fewest come first.
    blocks.sort(
        key=lambda block: (
            len(block.environment),
            sorted(block.environment.items()),
            block.time_zone,
        )
    )
    parts = ["# Written by later crontab export; later crontab import reads it back."]
    if form is Form.SYSTEM:
        parts.append("# m h dom mon dow user command")
    ids: list[str] = []
    zone, environment = "", dict[str, str]()
    for block in blocks:
        if missing := sorted(environment.keys() - block.environment.keys()):
            left_out[block.id] = (
                f"a crontab cannot take back {missing[0]}, which lines above need; export it"
                " by itself with --label, or its crontab by name"
            )
            continue
        parts += _settings(block, zone, environment)
        parts.append(block.text)
        zone, environment = block.time_zone, dict(block.environment)
        ids.append(block.id)
    parts += [
        f"\n# not written: {id}: {' '.join(reason.split())}" for id, reason in left_out.items()
    ]
    return Written(text="\n".join(parts) + "\n", ids=ids, left_out=left_out)


def _settings(block: _Block, zone: str, environment: Environment) -> Iterator[str]:
    changed = [(n, v) for n, v in sorted(block.environment.items()) if environment.get(n) != v]
    if block.time_zone != zone or changed:
        yield ""
    if block.time_zone != zone:
        yield lines.format_setting("CRON_TZ", block.time_zone)
    for name, value in changed:
        yield lines.format_setting(name, value)


def _block(schedule: Schedule, form: Form, owner: str | None) -> _Block:
    """Raises _Unsayable with the reason why cron cannot say it."""
    if schedule.is_paused:
        raise _Unsayable("it is paused, and cron knows no pause")
    proposal = _proposal(schedule)
    order = _order(proposal)
    labels = proposal.spec.template.labels
    words = [_expression(proposal.rule), percent.join(order.command, order.stdin)]
    if form is Form.SYSTEM:
        user = labels.get(_USER_LABEL, owner)
        if user is None:
            raise _Unsayable("no label user says who runs it; give --owner")
        words.insert(1, user)
    head = [f"# {labels[_COMMENT_LABEL]}"] if _COMMENT_LABEL in labels else []
    entry = " ".join(words)
    settings = [
        lines.format_setting("CRON_TZ", proposal.time_zone),
        *(lines.format_setting(name, value) for name, value in order.environment.items()),
    ]
    plain = _read_back([*settings, "", *head, entry], form)
    if plain is None or plain.rule.expression != words[0]:
        raise _Unsayable("a crontab has no way to write its command, its input or its environment")
    said, whole = extras_of(plain), extras_of(proposal)
    # The id and the labels depend on what the file will be called, so they are always there.
    extras = {
        key: whole[key] for key in whole if key in {"id", "labels"} or whole[key] != said[key]
    }
    block = [*head, f"{EXTRAS} {json.dumps(extras, ensure_ascii=False)}", entry]
    if _read_back([*settings, "", *block], form) != proposal:
        raise _Unsayable("a crontab has no way to write its command, its input or its environment")
    return _Block(
        id=schedule.id,
        time_zone=proposal.time_zone,
        environment=order.environment,
        text="\n".join(block),
    )


def _proposal(schedule: Schedule) -> Proposal:
    spec = schedule.spec
    if len(spec.rules) != 1:
        raise _Unsayable(f"it has {len(spec.rules)} rules, and a line of a crontab has one")
    if not isinstance(spec.rules[0], CronRule):
        raise _Unsayable("its rule is no cron expression")
    for name in ("exclusions", "start_time", "end_time", "max_runs"):
        if getattr(spec, name):
            raise _Unsayable(f"cron knows no {name.replace('_', ' ')}")
    if spec.template.task != TASK:
        raise _Unsayable(f"it runs the task {spec.template.task}, and cron runs commands")
    return Proposal(id=schedule.id, spec=spec)


def _order(proposal: Proposal) -> Order:
    try:
        order = from_parameters(proposal.spec.template.parameters)
    except UnicodeDecodeError:
        raise _Unsayable("its parameters are no text") from None
    if order.cwd not in {None, HOME}:
        raise _Unsayable(f"it runs in {order.cwd}, and cron starts in the home directory")
    return order


def _expression(rule: CronRule) -> str:
    text = " ".join(rule.expression.split())
    if text.startswith("@"):
        return text.lower()
    if not _EXPRESSION.fullmatch(text.lower()):
        raise _Unsayable(f"cron does not understand {text!r}")
    return text


def _read_back(text: Sequence[str], form: Form) -> Proposal | None:
    """The one schedule that an import would make of these lines."""
    crontab = read("\n".join([*text, ""]), form, "UTC")
    proposals = [
        proposal
        for _, proposal in propose(crontab, Wishes(name="", time_zone="UTC"))
        if isinstance(proposal, Proposal)
    ]
    return proposals[0] if len(proposals) == 1 and not crontab.refused else None
