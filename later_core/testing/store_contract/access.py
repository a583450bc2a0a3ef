"""Checks of tokens, of the audit log, and of scopes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from later_core.model.audit import AuditEntry, AuditFilter, entry_id
from later_core.model.instant import from_millis, to_millis
from later_core.model.permission import Role
from later_core.model.query import Filter
from later_core.model.quota import Quota
from later_core.model.rate import RateLimit
from later_core.model.schedule import ScheduleFilter
from later_core.model.scope import Scope
from later_core.model.state import State
from later_core.model.token import Token
from later_core.ports.store import Store
from later_core.testing.builders import a_schedule, an_instance
from later_core.testing.store_contract.steps import (
    HOUR,
    MILLISECOND,
    SECOND,
    claim,
    insert,
    moment_of,
    together,
)

#: Scopes, and which of ``_crowd`` lie within: patterns, more than one of them, and text that databases
#: take for something else.
_SCOPES = (
    (Scope(tasks=("http-*",)), {"a", "b"}),
    (Scope(tasks=("http-get", "e*o")), {"b", "c"}),
    (Scope(tasks=("http.*", "HTTP-*", "http-")), set[str]()),
    (Scope(labels={"team": "web"}), {"a"}),
    (Scope(labels={"team": "web*"}), {"a", "c"}),
    (Scope(labels={"team": "web*", "app.x": "*"}), {"c"}),
    (Scope(tasks=("http-*",), labels={"team": "*"}), {"a"}),
    (Scope(labels={"team": "a|b"}), {"d"}),
    (Scope(labels={"team": "w"}), set[str]()),
)


def _crowd(now: datetime) -> list[dict[str, Any]]:
    labels = {"a": {"team": "web"}, "b": {}, "c": {"team": "web-eu", "app.x": ""}}
    tasks = {"a": "http-post", "b": "http-get", "c": "echo", "d": "mail"}
    return [
        {
            "id": id,
            "task": task,
            "labels": labels.get(id, {"team": "a|b"}),
            "execution_time": now + HOUR,
        }
        for id, task in tasks.items()
    ]


def _token(id: str, now: datetime) -> Token:
    return Token(
        id=id,
        name="ci",
        roles=(Role.VIEWER, Role.SCHEDULER),
        tasks=("http-*",),
        labels={"team": "web", "app.x": "a=b"},
        permissions=("run-bash",),
        principal="root",
        create_time=now,
        expire_time=now + HOUR,
        secret_hash=bytes(range(32)),
    )


def _entry(time: datetime, number: int, **fields: object) -> AuditEntry:
    entry = AuditEntry(
        id=entry_id(time, number, "0123456789"),
        time=time,
        principal="ci",
        method="AbortInstance",
        target="a",
        outcome="OK",
        peer="ipv4:127.0.0.1:1",
    )
    return replace(entry, **fields)  # type: ignore[arg-type]  # each caller names fields


class AccessContract:
    """Who may, as far as a database must know it."""

    async def test_a_token_is_kept_as_it_is(self, store: Store) -> None:
        now = await moment_of(store)
        token = _token("t1", now)
        plain = Token(id="t2", name="x", roles=(Role.ADMIN,), create_time=now)
        for one in (token, plain, token):
            await store.insert_token(one)
        assert await store.get_tokens(["t2", "nobody", "t1", "t2"]) == [plain, None, token, plain]

    async def test_tokens_are_listed_in_order_of_id(self, store: Store) -> None:
        now = await moment_of(store)
        tokens = [_token(f"t{number}", now) for number in (3, 1, 2)]
        for token in tokens:
            await store.insert_token(token)
        first = await store.list_tokens(after=None, limit=2)
        assert [token.id for token in first] == ["t1", "t2"]
        assert [token.id for token in await store.list_tokens(after="t2", limit=2)] == ["t3"]
        assert await store.list_tokens(after="t3", limit=2) == []

    async def test_what_a_token_says_of_quotas_is_kept(self, store: Store) -> None:
        now = await moment_of(store)
        quotas = [
            Quota(create_rate=RateLimit(count=10, burst=5), max_pending=7),
            Quota(create_rate="none"),
            Quota(max_pending="none"),
        ]
        tokens = [replace(_token(f"q{n}", now), quota=quota) for n, quota in enumerate(quotas)]
        for token in tokens:
            await store.insert_token(token)
        assert await store.get_tokens([token.id for token in tokens]) == tokens

    async def test_what_a_principal_has_pending_is_counted(self, store: Store) -> None:
        now = await moment_of(store)
        whose = {"a": "ci", "b": "ci", "c": "other", "d": "", "e": "ci", "f": "ci"}
        for id, principal in whose.items():
            await insert(store, an_instance(id, execution_time=now, principal=principal))
        assert await store.count_pending("ci", at_most=100) == 4
        assert await store.count_pending("", at_most=100) == 6
        await store.prepare_pending_counts()
        await store.prepare_pending_counts()
        await store.abort("a")
        await claim(store, "b")
        assert await store.count_pending("ci", at_most=100) == 2
        assert await store.count_pending("ci", at_most=1) == 1
        assert await store.count_pending("", at_most=3) == 3
        assert await store.count_pending("nobody", at_most=100) == 0

    async def test_a_token_is_revoked_once(self, store: Store) -> None:
        now = await moment_of(store)
        await store.insert_token(_token("t1", now))
        revoked = replace(_token("t1", now), revoke_time=now + SECOND)
        assert await store.revoke_token("t1", now + SECOND) == revoked
        assert await store.revoke_token("t1", now + 2 * SECOND) == revoked
        assert await store.get_tokens(["t1"]) == [revoked]
        assert await store.revoke_token("nobody", now) is None

    async def test_of_revocations_at_once_one_counts(self, store: Store) -> None:
        now = await moment_of(store)
        await store.insert_token(_token("t1", now))
        answers = await together(
            *(store.revoke_token("t1", now + number * SECOND) for number in range(5))
        )
        assert len({answer and answer.revoke_time for answer in answers}) == 1

    async def test_entries_are_listed_the_newest_first(self, store: Store) -> None:
        now = await moment_of(store)
        entries = [_entry(now + number * MILLISECOND, number) for number in range(5)]
        await store.append_audit(entries[2:])
        await store.append_audit([*entries[:3], entries[4]])
        everything = AuditFilter()
        first = await store.list_audit(everything, after=None, limit=3)
        assert list(first.entries) == entries[4:1:-1]
        assert first.next == entries[2].id
        last = await store.list_audit(everything, after=first.next, limit=3)
        assert (list(last.entries), last.next) == (entries[1::-1], None)

    async def test_an_entry_that_is_there_is_left_as_it_is(self, store: Store) -> None:
        now = await moment_of(store)
        entry = _entry(now, 1)
        await store.append_audit([entry])
        await store.append_audit([replace(entry, principal="somebody else")])
        page = await store.list_audit(AuditFilter(), after=None, limit=3)
        assert list(page.entries) == [entry]

    async def test_entries_are_found_by_every_condition(self, store: Store) -> None:
        now = await moment_of(store)
        entries = [
            _entry(now, 0),
            _entry(now + SECOND, 1, principal="", outcome="UNAUTHENTICATED", count=7),
            _entry(now + SECOND, 2, method="CreateInstance", target="b"),
            _entry(now + 2 * SECOND, 3, outcome="NOT_FOUND"),
        ]
        await store.append_audit(entries)
        for filter in (
            AuditFilter(principal="ci"),
            AuditFilter(methods=frozenset({"CreateInstance", "X"})),
            AuditFilter(target="a"),
            AuditFilter(outcomes=frozenset({"OK", "NOT_FOUND"})),
            AuditFilter(start_time=now + SECOND),
            AuditFilter(start_time=now + SECOND / 2, end_time=now + 2 * SECOND),
            AuditFilter(principal="ci", end_time=now + SECOND, target="a"),
            AuditFilter(principal="nobody"),
        ):
            page = await store.list_audit(filter, after=None, limit=10)
            assert list(page.entries) == [e for e in reversed(entries) if filter.matches(e)]

    async def test_a_scope_confines_what_is_listed_counted_and_snapped(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(**fields) for fields in _crowd(now)))
        for scope, within in _SCOPES:
            page = await store.list(Filter(scope=scope), after=None, limit=10)
            assert {instance.id for instance in page.instances} == within, scope
            counts = await store.counts(["echo"], scope=scope)
            assert counts.by_state[State.PENDING] == len(within), scope
            assert sum(counts.unresolved.values()) == len(within - {"c"}), scope
            async with store.snapshot(Filter(scope=scope)) as snapshot:
                seen = {one.id async for page_ in snapshot.pages() for one in page_}
            assert seen == within, scope

    async def test_a_scope_narrows_the_filter_it_comes_with(self, store: Store) -> None:
        now = await moment_of(store)
        await insert(store, *(an_instance(**fields) for fields in _crowd(now)))
        scope = Scope(tasks=("http-*",), labels={"team": "w*"})
        for filter, expected in (
            (Filter(scope=scope, tasks=frozenset({"http-post", "mail"})), ["a"]),
            (Filter(scope=scope, tasks=frozenset({"mail"})), []),
            (Filter(scope=scope, labels={"team": "web"}), ["a"]),
            (Filter(scope=scope, labels={"team": "a|b"}), []),
        ):
            page = await store.list(filter, after=None, limit=10)
            assert [instance.id for instance in page.instances] == expected

    async def test_a_scope_confines_schedules(self, store: Store) -> None:
        now = await moment_of(store)
        for fields in _crowd(now):
            schedule = a_schedule(str(fields["id"]), now=now)
            template = replace(
                schedule.spec.template,
                task=fields["task"],
                labels=fields["labels"],
            )
            await store.insert_schedule(
                replace(schedule, spec=replace(schedule.spec, template=template))
            )
        for scope, within in _SCOPES:
            found, _ = await store.list_schedules(ScheduleFilter(scope=scope), after=None, limit=9)
            assert {schedule.id for schedule in found} == within, scope

    async def test_who_created_it_stays_on_an_instance(self, store: Store) -> None:
        now = await moment_of(store)
        instance = an_instance("a", execution_time=now, principal="ci")
        await insert(store, instance)
        (claimed,) = await store.claim(["a"], node="n", until=now)
        aborted = await store.abort("a")
        assert {claimed.principal, aborted.before.principal, aborted.after.principal} == {"ci"}
        assert (await store.retry("a", from_millis(to_millis(now)))).principal == "ci"
