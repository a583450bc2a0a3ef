"""Which rules of the proto a request breaks. Loaded late, by ``validation``: protovalidate is 12 MB."""

from __future__ import annotations

from collections.abc import Sequence

import protovalidate
from google.protobuf.message import Message

from later_core.errors import FieldViolation
from later_core.rpc.wording import explain

_VALIDATOR = protovalidate.Validator()

#: Of larger requests only the first violation is told, bytes.
_EXPLAINED_MAX_BYTES = 64 * 1024


def violations_of(message: Message) -> Sequence[FieldViolation]:
    """Every rule that is broken, one for each field, with its remedy; none if all are kept."""
    found = _VALIDATOR.collect_violations(message, fail_fast=True)
    if not found:
        return ()
    # A flood of wrong items would cost more to explain than its answer could hold.
    if message.ByteSize() <= _EXPLAINED_MAX_BYTES:
        found = _VALIDATOR.collect_violations(message)
    # One remedy a field: what is empty also breaks its pattern.
    violations: dict[str, FieldViolation] = {}
    for violation in (explain(violation, message) for violation in found):
        violations.setdefault(violation.field, violation)
    return list(violations.values())
