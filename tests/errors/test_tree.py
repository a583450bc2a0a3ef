"""The tree of what can go wrong is the tree that is drawn, and every error speaks for itself."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from later_core import errors
from later_core.errors import FieldViolation, LaterError

BRANCH = re.compile(r"^    (?P<stem>(?:│   |    )*)(?:├── |└── )(?P<name>\w+)")


def subclasses(cls: type[LaterError]) -> Iterator[type[LaterError]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


ALL = [LaterError, *subclasses(LaterError)]

WITH_DATA: list[LaterError] = [
    errors.InvalidRequest([FieldViolation("task", "is empty"), FieldViolation("id", "is long")]),
    errors.InstanceNotFound("one"),
    errors.NodeNotFound("node-7"),
    errors.ScheduleNotFound("nightly"),
    errors.ScheduleAlreadyExists("nightly"),
    errors.EtagMismatch("nightly", "18f-1", "18f-2"),
    errors.ReplicaSetNotInitiated(),
    errors.TokenNotFound("0123456789abcdef"),
    errors.Unauthenticated("why it was refused, for the log"),
    errors.Unauthenticated("the same", has_credentials=True),
    errors.TokenUnprotected("later.example:9081"),
    errors.PermissionDenied("ci", "the permission tokens.manage"),
    errors.TaskNotFound("ehco", ["echo"]),
    errors.TaskNotFound("unheard-of"),
    errors.InstanceAlreadyExists("one"),
    errors.InstanceDiffers("one"),
    errors.ScheduleDiffers("nightly"),
    errors.InstanceEnded("one", "FAILED"),
    errors.InstanceRunning("one"),
    errors.InstanceNotEnded("one", "PENDING"),
    errors.EncryptionKeyMissing("one", "2026-11-0a1b2c3d"),
    errors.RevisionMismatch("one", 1, 2),
    errors.SubscriberTooSlow("token"),
    errors.ClientStalled(60.0),
    errors.StoreUnavailable("10.0.0.7:27017 refused"),
    errors.SettingInvalid("lease", "is not a duration"),
    errors.SchemaTooNew(2, 1),
    errors.DatabaseTooOld("4.4", "6.0"),
    errors.ListenFailed("127.0.0.1:9081"),
    errors.ListenUnprotected("0.0.0.0:9081", "nothing is encrypted"),
    errors.CertificateUnusable("LATER_TLS_CERT", "cannot read cert.pem"),
    errors.TooManyWatches(1024),
    errors.ServerOverloaded(0.5),
    errors.QuotaExceeded("ci", "10/s+5", 0.5),
    errors.PendingLimitReached("ci", 100, 1.0),
    errors.PluginConflict("two plugins provide a store"),
    errors.DataDirectoryInUse("/var/lib/later", 4711),
    errors.DataDirectoryInUse("/var/lib/later", None),
    errors.MongodFailed("it exited at once", "its last words"),
]


def takes_no_data(cls: type[LaterError]) -> bool:
    return "__init__" in vars(cls) and not inspect.signature(cls).parameters


EXAMPLES = [*WITH_DATA, *(cls() for cls in ALL if takes_no_data(cls))]


def drawn() -> dict[str, str]:
    """The name of each class in the module's picture, and of the one that it hangs from."""
    parents: dict[str, str] = {}
    path = ["LaterError"]
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]  # it has one
        if found := BRANCH.match(line):
            depth = len(found["stem"]) // 4 + 1
            path[depth:] = [found["name"]]
            parents[found["name"]] = path[depth - 1]
    return parents


def test_the_tree_is_the_one_that_is_drawn() -> None:
    assert drawn() == {cls.__name__: cls.__mro__[1].__name__ for cls in ALL[1:]}


def test_all_of_it_is_had_from_one_place() -> None:
    assert {cls.__name__: cls for cls in [*ALL, FieldViolation]} == {
        name: getattr(errors, name) for name in errors.__all__
    }
    assert {cls.__module__.rpartition(".")[0] for cls in ALL} == {errors.__name__}


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_each_has_a_stable_reason_of_its_own(cls: type[LaterError]) -> None:
    assert "reason" in vars(cls)
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", cls.reason)
    # google.rpc.ErrorInfo allows so many characters.
    assert len(cls.reason) <= 63


def test_no_two_share_a_reason() -> None:
    assert [r for r, n in Counter(cls.reason for cls in ALL).items() if n > 1] == []


def test_every_error_has_an_example_here() -> None:
    leaves = {cls for cls in ALL if not cls.__subclasses__()}
    assert leaves <= {type(example) for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: type(e).__name__)
def test_each_says_in_one_line_what_is_wrong(example: LaterError) -> None:
    assert str(example)
    assert "\n" not in str(example)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: type(e).__name__)
def test_the_data_of_each_is_text(example: LaterError) -> None:
    for key, value in example.metadata.items():
        assert re.fullmatch(r"[a-z][a-z_]*", key)
        assert isinstance(value, str)


def test_what_is_for_the_log_is_not_told() -> None:
    error = errors.StoreUnavailable("10.0.0.7:27017 refused")
    assert error.detail == "10.0.0.7:27017 refused"
    assert "10.0.0.7" not in str(error)
    assert error.metadata == {}


def test_an_unknown_task_comes_with_the_nearest_names() -> None:
    error = errors.TaskNotFound("ehco", ["echo", "etcd"])
    assert "'echo' or 'etcd'" in str(error)
    assert error.metadata == {"task": "ehco", "nearest": "echo,etcd"}
