"""Whatever a plugin's code returns or raises is judged, even an object that lies about itself."""

from __future__ import annotations

import pytest

from later_core.engine.judgement import judge_error, judge_result
from later_core.model.limits import ERROR_MESSAGE_MAX_LENGTH, RESULT_MAX_BYTES
from later_core.model.outcome import Failed, Succeeded
from later_core.plugin.task import TaskError


def _class_that(says):
    return type("Odd", (), {"__class__": property(says)})


def _raise(error):
    raise error


def _released():
    view = memoryview(b"abc")
    view.release()
    return view


class Nameless(type):
    __name__ = property(lambda cls: _raise(RuntimeError(cls)))


class OddText(str):
    __slots__ = ()
    encode = __getitem__ = __len__ = __str__ = lambda *_: _raise(RuntimeError())


class OddBytes(bytes):
    __slots__ = ()
    __getitem__ = __len__ = __bytes__ = lambda *_: _raise(RuntimeError())


class OddError(TaskError):
    reason = property(lambda _: _raise(SystemExit()), lambda *_: None)
    is_final = property(lambda _: OddBool(), lambda *_: None)
    result = property(lambda _: _raise(KeyboardInterrupt()), lambda *_: None)
    retry_after = property(lambda _: _raise(GeneratorExit()), lambda *_: None)


class OddBool:
    def __bool__(self):
        raise RuntimeError


def _error_that_says(text):
    return type("Odd", (Exception,), {"__str__": lambda _: text()})()


#: Each is made inside the test: what collects tests would fall for some of them.
UNUSABLE = {
    "says it is text": _class_that(lambda _: str),
    "says it is bytes": _class_that(lambda _: bytes),
    "exits when asked": _class_that(lambda _: _raise(SystemExit())),
    "has no name": Nameless("Odd", (), {}),
    "is gone": _released,
    "is no UTF-8": lambda: "\ud800",
    "is a number": lambda: 17,
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_is_neither_text_nor_bytes_is_a_failure_for_good(kind):
    outcome = judge_result(UNUSABLE[kind]())
    assert isinstance(outcome, Failed)
    assert outcome.is_final
    assert outcome.error.reason == "RESULT_INVALID"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (lambda: None, b""),
        (lambda: "é", "é".encode()),
        (lambda: OddText("text"), b"text"),
        (lambda: OddBytes(b"bytes"), b"bytes"),
        (lambda: bytearray(b"array"), b"array"),
        (lambda: memoryview(b"every other")[::2], b"every other"[::2]),
    ],
    ids=["nothing", "text", "odd text", "odd bytes", "an array", "a view"],
)
def test_text_and_bytes_are_kept_whatever_class_they_are_of(value, result):
    outcome = judge_result(value())
    assert outcome == Succeeded(result=result)
    assert type(outcome.result) is bytes


def test_a_result_over_the_limit_is_a_note():
    outcome = judge_result(bytes(RESULT_MAX_BYTES + 1))
    assert isinstance(outcome, Succeeded)
    assert outcome.note is not None
    assert outcome.note.reason == "RESULT_TOO_LARGE"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (_error_that_says(lambda: _raise(SystemExit())), "Odd: (its text cannot be read)"),
        (_error_that_says(lambda: _raise(KeyboardInterrupt())), "Odd: (its text cannot be read)"),
        (_error_that_says(lambda: 5), "Odd: (its text cannot be read)"),
        (_error_that_says(lambda: OddText("said")), "Odd: said"),
        (ValueError("\udcff"), "ValueError: ?"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
    ],
)
def test_an_error_is_told_as_far_as_it_can_be_read(error, message):
    outcome = judge_error(error)
    assert isinstance(outcome, Failed)
    assert (outcome.error.reason, outcome.error.message) == ("TASK_FAILED", message)
    assert type(outcome.error.message) is str


def test_a_huge_message_is_cut():
    outcome = judge_error(TaskError("x" * 10_000_000))
    assert outcome.error.message == "x" * ERROR_MESSAGE_MAX_LENGTH


def test_the_fields_of_a_task_error_may_raise_one_and_all():
    outcome = judge_error(OddError("said"))
    assert outcome == Failed(error=judge_error(TaskError("said")).error)


def test_a_result_beside_an_error_is_bytes_or_nothing():
    kept = [
        judge_error(TaskError("x", result=result)).result
        for result in (OddBytes(b"odd"), bytes(RESULT_MAX_BYTES + 5), "text", None)
    ]
    assert kept == [b"odd", bytes(RESULT_MAX_BYTES), b"", b""]
