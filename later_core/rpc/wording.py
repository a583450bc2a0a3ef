"""What a broken rule means, in the words of a person: where it is, and what would be right.

protovalidate says which rule was broken by a path and an id; its own messages quote regular
expressions and seconds in the billions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from protovalidate import FieldPathElementPb, Violation

from later_core.errors import FieldViolation
from later_core.rpc.json_text import subscript

#: Each pattern of ``later.proto``, as a remedy. A test finds the pattern that is missing here.
PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._:@/+=-]*$": (
        "must begin with a letter or digit and hold only letters, digits and ._:@/+=-"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._:/+=-]*$": (
        "must begin with a letter or digit and hold only letters, digits and ._:/+=-"
    ),
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "must be a day, written as in 2030-12-25",
    r"^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$": (
        "the key must begin and end with a letter or digit and hold only letters, digits and ._/-"
    ),
    r"^[a-z0-9]+(-[a-z0-9]+)*$": "must be lower case with dashes, as in run-bash",
    r"^[A-Za-z]*$": "must be the name of an RPC, as in AbortInstance",
    r"^[A-Z_]*$": "must be the name of a gRPC status, as in PERMISSION_DENIED",
    r"^\P{Cc}*$": "must not hold control characters (a line break, a NUL)",
    r"^\P{Cc}*[^\p{Z}\p{Cc}]\P{Cc}*$": (
        "must name a task: not only spaces, and no control characters (a line break, a NUL)"
    ),
}

#: Rules about a whole message, and the field in it that a person would change.
_MESSAGE_RULES = {
    "backfill.range": "end_time",
    "filter.range": "end_time",
    "spec.range": "end_time",
    "spec.task": "task",
    "watch.start": "include_existing",
}

_REMEDIES = {
    "string.min_len": "must not be empty",
    "repeated.min_items": "must not be empty",
    "repeated.unique": "must not name the same one twice",
    "required": "must be set",
}

_RANGE = re.compile(r"must be greater than or equal to (\S+) and less than (or equal to )?(\S+)")


def explain(violation: Violation, message: Message) -> FieldViolation:
    """The violation that was found in this message."""
    proto = violation.proto
    elements = proto.field.elements if proto.field is not None else []
    path = _path(elements)
    inner = _MESSAGE_RULES.get(proto.rule_id)
    if inner is not None:
        path = f"{path}.{inner}" if path else inner
    return FieldViolation(path, _description(violation, elements, message))


def _path(elements: Sequence[FieldPathElementPb]) -> str:
    parts: list[str] = []
    for element in elements:
        place = element.subscript
        shown = ""
        if place is not None:
            value = place.value
            shown = subscript(value) if isinstance(value, str) else f"[{value}]"
        parts.append(f"{element.field_name}{shown}")
    return ".".join(parts)


def _description(
    violation: Violation, elements: Sequence[FieldPathElementPb], message: Message
) -> str:
    proto = violation.proto
    rule = proto.rule_id
    limit = violation.rule_value
    part = "the key " if proto.for_key else ""
    match rule:
        case "string.max_len":
            return f"{part}must be at most {limit} characters; it has {_length(violation)}"
        case "string.pattern":
            return PATTERNS.get(str(limit), "holds characters that are not allowed")
        case "bytes.max_len":
            return (
                f"must be at most {limit} bytes; it has {_length(violation)}:"
                " keep large data elsewhere and pass where it is"
            )
        case "repeated.max_items" | "map.max_pairs":
            return f"must hold at most {limit}; it holds {_length(violation)}"
        case _:
            return part + (_choice(rule, elements, message) or _plain(rule, proto.message))


def _length(violation: Violation) -> int:
    return len(violation.field_value)


def _choice(rule: str, elements: Sequence[FieldPathElementPb], message: Message) -> str | None:
    if rule in {"enum.defined_only", "enum.not_in"}:
        return f"must be one of {', '.join(_values(elements, message))}"
    if not elements:
        return None
    *parents, last = elements
    oneof = _type_of(parents, message).oneofs_by_name.get(last.field_name)
    if oneof is None:
        return None
    return f"set {' or '.join(field.name for field in oneof.fields)}"


def _plain(rule: str, text: str) -> str:
    """Protovalidate's own words, shorter; spans of time in units that a person reads."""
    found = _RANGE.fullmatch(text)
    if found is None:
        return _REMEDIES.get(rule, text)
    low, inclusive, high = found.groups()
    before = "" if inclusive else "before "
    return f"must be from {_amount(low)} to {before}{_amount(high)}"


def _amount(text: str) -> str:
    return {"0.001s": "1 ms", "1s": "1 s", "3153600000s": "36,500 days"}.get(text, text)


def _type_of(elements: Sequence[FieldPathElementPb], message: Message) -> Descriptor:
    """The type of the message to which a path of messages leads."""
    current: Descriptor = message.DESCRIPTOR  # type: ignore[assignment]  # stubs: upb's own
    for element in elements:
        inner = current.fields_by_name[element.field_name].message_type
        assert inner is not None
        current = inner
    return current


def _values(elements: Sequence[FieldPathElementPb], message: Message) -> list[str]:
    *parents, last = elements
    enum = _type_of(parents, message).fields_by_name[last.field_name].enum_type
    return [value.name for value in enum.values if value.number != 0] if enum is not None else []
