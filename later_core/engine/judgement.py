"""What a plugin's code returned or raised, as an outcome.

The objects are a stranger's: they may lie about their class, and raise wherever they are looked at. So
their true type is asked for, methods are those of the built-in types, and whatever goes wrong all
the same is an outcome of this one attempt. There is no await in here: nothing that is raised was meant
for the node.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from later_core.model.instance import InstanceError
from later_core.model.limits import ERROR_MESSAGE_MAX_LENGTH, RESULT_MAX_BYTES
from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.plugin.task import TaskError

_T = TypeVar("_T")

_BYTES = (bytes, bytearray, memoryview)


def judge_result(value: object) -> Outcome:
    """What ``run`` returned."""
    if value is None:
        return Succeeded()
    kind = type(value)
    if not issubclass(kind, (str, *_BYTES)):
        return _invalid(f"run returned {name_of(value)}; return bytes, str or None")
    try:
        result = _encoded(value) if issubclass(kind, str) else _copied(value)
    except UnicodeEncodeError as error:
        return _invalid(f"run returned text that is not UTF-8: {error.reason}")
    except BaseException as error:  # noqa: BLE001 -- an author's buffer may be gone, or raise anything
        return _invalid(f"run returned {name_of(value)} that cannot be read: {name_of(error)}")
    if len(result) > RESULT_MAX_BYTES:
        message = f"the result has {len(result)} bytes, more than {RESULT_MAX_BYTES}: not kept"
        return Succeeded(note=_describe("RESULT_TOO_LARGE", message))
    return Succeeded(result=result)


def judge_error(error: BaseException) -> Outcome:
    """What ``run`` raised."""
    message = _read(lambda: str(error), "(its text cannot be read)")
    if not isinstance(error, TaskError):
        described = _describe("TASK_FAILED", f"{name_of(error)}: {_kept(message)}")
        return Failed(error=described, is_crash=True)
    # What an author gave need not be of the type that was asked for, nor be there.
    reason: object = _read(lambda: error.reason, None)
    result: object = _read(lambda: error.result, None)
    retry_after: object = _read(lambda: error.retry_after, None)
    return Failed(
        error=_describe(reason if issubclass(type(reason), str) else "TASK_FAILED", message),
        is_final=_read(lambda: bool(error.is_final), False),
        result=_read(lambda: _copied(result), b"")[:RESULT_MAX_BYTES],
        retry_after=retry_after if type(retry_after) is timedelta else None,
    )


def name_of(value: object) -> str:
    """What its class is called, whatever the class says when it is asked."""
    name: str = type.__dict__["__name__"].__get__(type(value))
    return name


def _encoded(value: object) -> bytes:
    return str.encode(value, "utf-8")  # type: ignore[arg-type]  # its true type was asked for


def _copied(value: object) -> bytes:
    """The bytes themselves, of no class of an author's."""
    if type(value) is bytes:
        return value
    return memoryview(value).tobytes() if issubclass(type(value), _BYTES) else b""  # type: ignore[arg-type]  # as above


def _read(read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except BaseException:  # noqa: BLE001 -- an author's attribute may raise anything
        return otherwise


def _invalid(message: str) -> Outcome:
    return Failed(error=_describe("RESULT_INVALID", message), is_final=True)


def _describe(reason: object, message: object) -> InstanceError:
    return InstanceError(reason=_kept(reason), message=_kept(message))


def _kept(text: object) -> str:
    """As much of it as is kept, without lone surrogates: neither the store nor gRPC takes those."""
    head = str.__getitem__(text, slice(ERROR_MESSAGE_MAX_LENGTH))  # type: ignore[index]  # a str
    return head.encode("utf-8", "replace").decode()
