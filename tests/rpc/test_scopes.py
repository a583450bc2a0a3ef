"""Scopes that others give out: by the claims of a JWT, and by the binding of a name."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from later_core.errors import InvalidRequest
from later_core.model.scope import checked_scope
from later_core.rpc.auth.claims import scope_in
from later_core.rpc.v1 import later_pb2 as pb
from later_core.rpc.validation import check

BOUND = "ci-*=scheduler+task:http-*+label:team:web*"
CLAIMED = MappingProxyType({"tasks_claim": "later.tasks", "labels_claim": "later.labels"})
WITHIN = {"task": "http-post", "labels": {"team": "web-eu"}}
OUTSIDE = [
    {"task": "echo", "labels": {"team": "web"}},
    {"task": "http-post", "labels": {"team": "mail"}},
    {"task": "http-post"},
]
HOUR = Duration(seconds=3600)
#: Ways in which the same is said: means, bindings, claims, and what is expected of claims.
WAYS = {
    "a certificate by its binding": ("certificate", BOUND, {}, {}),
    "a certificate by two bindings": (
        "certificate",
        "ci-*=scheduler+task:http-*,*=viewer+label:team:web*",
        {},
        {},
    ),
    "a JWT by the binding of its role": ("jwt", BOUND, {}, {}),
    "a JWT by lists in claims": (
        "jwt",
        "ci-*=scheduler",
        {"later": {"tasks": ["http-*"], "labels": ["team=web*"]}},
        CLAIMED,
    ),
    "a JWT by words and an object": (
        "jwt",
        "ci-*=scheduler",
        {"later.tasks": "http-* nothing", "later.labels": {"team": "web*"}},
        CLAIMED,
    ),
    "a JWT by a claim and a binding": (
        "jwt",
        "ci-*=scheduler+label:team:web*",
        {"tasks": "http-*"},
        {"tasks_claim": "tasks"},
    ),
}


@pytest.fixture(params=WAYS)
async def confined(request, calling, admin_secret):
    """A caller who is confined, and what a call of one who is not carries."""
    means, bindings, claims, expected = WAYS[request.param]
    async with calling(means, *bindings.split(","), claims=claims, expected=expected) as caller:
        yield caller, (("authorization", f"Bearer {admin_secret}"),)


async def code_of(call):
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def test_it_creates_gets_lists_and_counts_what_lies_within_alone(confined):
    caller, admin = confined
    instances = caller.stub("InstanceService")
    for index, fields in enumerate([WITHIN, *OUTSIDE]):
        request = pb.CreateInstanceRequest(id=f"i{index}", delay=HOUR, **fields)
        mine = await code_of(instances.CreateInstance(request, metadata=caller.metadata))
        assert mine == ("PERMISSION_DENIED" if index else "OK")
        await instances.CreateInstance(request, metadata=admin)
    for index in range(4):
        asked = pb.GetInstanceRequest(id=f"i{index}")
        mine = await code_of(instances.GetInstance(asked, metadata=caller.metadata))
        assert mine == ("NOT_FOUND" if index else "OK")
        assert await code_of(instances.GetInstance(asked, metadata=admin)) == "OK"
    listed = await instances.ListInstances(pb.ListInstancesRequest(), metadata=caller.metadata)
    assert [(one.id, one.principal) for one in listed.instances] == [("i0", "ci-7")]
    stats = await caller.stub("AdminService").GetStats(
        pb.GetStatsRequest(), metadata=caller.metadata
    )
    assert {one.state: one.count for one in stats.states}[pb.STATE_PENDING] == 1


async def test_it_watches_what_lies_within_alone(confined):
    caller, admin = confined
    instances = caller.stub("InstanceService")
    watch = instances.WatchInstances(pb.WatchInstancesRequest(), metadata=caller.metadata)
    await watch.read()
    for index, fields in enumerate([*OUTSIDE, WITHIN]):
        request = pb.CreateInstanceRequest(id=f"i{index}", delay=HOUR, **fields)
        await instances.CreateInstance(request, metadata=admin)
    seen = []
    async with asyncio.timeout(30):
        while not seen:
            seen += [event.instance.id for event in (await watch.read()).events]
    assert seen == ["i3"]
    watch.cancel()


async def test_it_is_told_its_scope(confined):
    caller, _ = confined
    answer = await caller.stub("AdminService").WhoAmI(pb.WhoAmIRequest(), metadata=caller.metadata)
    assert "http-*" in answer.tasks
    assert answer.labels == {"team": "web*"}


WRONG = {
    "no claim": {},
    "an empty list": {"tasks": []},
    "an empty text": {"tasks": "", "labels": "*"},
    "an empty object": {"tasks": "*", "labels": {}},
    "null": {"tasks": None, "labels": "*"},
    "a number": {"tasks": 7, "labels": "*"},
    "a truth": {"tasks": True, "labels": "*"},
    "an object of tasks": {"tasks": {"http-*": True}, "labels": "*"},
    "a number among tasks": {"tasks": ["http-*", 7], "labels": "*"},
    "an empty pattern": {"tasks": [""], "labels": "*"},
    "a line break in a pattern": {"tasks": ["a\nb"], "labels": "*"},
    "half a character": {"tasks": ["\ud800"], "labels": "*"},
    "a pattern that is too long": {"tasks": ["a" * 129], "labels": "*"},
    "too many patterns": {"tasks": ["a"] * 33, "labels": "*"},
    "no labels": {"tasks": "*"},
    "a label without a value": {"tasks": "*", "labels": ["team"]},
    "everything among labels": {"tasks": "*", "labels": ["team=web", "*"]},
    "two values for a label": {"tasks": "*", "labels": ["team=web", "team=mail"]},
    "no key of a label": {"tasks": "*", "labels": ["=web"]},
    "a key that is none": {"tasks": "*", "labels": {"te am": "web"}},
    "a number for a value": {"tasks": "*", "labels": {"team": 7}},
    "a value that is too long": {"tasks": "*", "labels": {"team": "a" * 256}},
    "another scope than the binding": {"tasks": "mail-*", "labels": "*"},
}
NAMED = MappingProxyType({"tasks_claim": "tasks", "labels_claim": "labels"})


@pytest.mark.parametrize("case", WRONG)
async def test_a_claim_that_says_no_scope_lets_nobody_in(calling, case):
    async with calling("jwt", BOUND, claims=WRONG[case], expected=NAMED) as caller:
        asked = caller.stub("AdminService").WhoAmI(pb.WhoAmIRequest(), metadata=caller.metadata)
        assert await code_of(asked) == "UNAUTHENTICATED"


async def test_a_claim_can_say_that_nothing_is_confined(calling):
    claims = {"tasks": "*", "labels": "*"}
    async with calling("jwt", "ci-*=admin", claims=claims, expected=NAMED) as caller:
        answer = await caller.stub("AdminService").WhoAmI(
            pb.WhoAmIRequest(), metadata=caller.metadata
        )
    assert "tokens.manage" in answer.permissions
    assert (list(answer.tasks), dict(answer.labels)) == ([], {})


async def test_a_name_that_is_confined_in_two_ways_is_nobody(calling):
    bindings = ("ci-*=scheduler+task:http-*", "*=viewer+task:echo")
    async with calling("certificate", *bindings) as caller:
        asked = caller.stub("AdminService").WhoAmI(pb.WhoAmIRequest())
        assert await code_of(asked) == "UNAUTHENTICATED"


TEXTS = st.text(
    st.sampled_from("aZ9._/-* \n\x7f\x85\u00e4\U0001f600"), max_size=5
) | st.sampled_from(["a" * 63, "a" * 64, "a" * 128, "a" * 129, "a" * 255, "a" * 256])


@given(st.lists(TEXTS, max_size=3), st.dictionaries(TEXTS, TEXTS, max_size=2))
def test_patterns_are_held_to_the_rules_of_those_of_a_token(tasks, labels):
    request = pb.CreateTokenRequest(name="x", roles=[pb.ROLE_VIEWER], tasks=tasks, labels=labels)
    try:
        check(request)
    except InvalidRequest:
        with pytest.raises(ValueError, match=r"pattern|key"):
            checked_scope(tasks, labels)
    else:
        checked_scope(tasks, labels)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
)


@given(JSON, JSON)
def test_whatever_a_claim_holds_it_is_a_scope_or_wrong(tasks, labels):
    try:
        scope = scope_in({"t": tasks, "l": labels}, tasks="t", labels="l")
    except ValueError:
        return
    assert scope.tasks or "*" in tasks
    assert scope.labels or labels in ("*", ["*"]) or "*" in labels.split()
