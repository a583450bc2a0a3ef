"""Rules of protovalidate in words, for the reference: what a field must be to be taken.

A rule that has no words here is an error: the reference would keep it from its readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.message import Message

from later_core.rpc.rules import register
from later_core.rpc.wording import PATTERNS

register()


def _extension(name: str) -> Any:
    return descriptor_pool.Default().FindExtensionByName(f"buf.validate.{name}")


_FIELD, _ONEOF, _MESSAGE = _extension("field"), _extension("oneof"), _extension("message")
_IF_SET = (
    descriptor_pool.Default()
    .FindEnumTypeByName("buf.validate.Ignore")
    .values_by_name["IGNORE_IF_ZERO_VALUE"]
    .number
)
_SPANS = {(0, 0): "0", (0, 1_000_000): "1 ms", (1, 0): "1 s"}
_DAY = 86_400

#: How many of what a rule of length or number counts.
_UNITS = {
    "StringRules": "characters",
    "BytesRules": "bytes",
    "RepeatedRules": "of them",
    "MapRules": "entries",
}


def of_field(options: Any) -> str:
    """What the value of a field must be, to be read after "must"; empty where it may be anything."""
    rules = options.Extensions[_FIELD]
    words = "; ".join(_field(rules))
    return f"if it is set: {words}" if rules.ignore == _IF_SET else words


def is_needed(options: Any) -> bool:
    """Whether one of a choice must be set."""
    return bool(options.Extensions[_ONEOF].required)


def of_message(options: Any) -> list[str]:
    """What must hold between the fields of a message, as sentences."""
    return [rule.message for rule in options.Extensions[_MESSAGE].cel]


def _field(rules: Message) -> Iterator[str]:
    for field, value in rules.ListFields():
        match field.name:
            case "required":
                yield "be set"
            case "ignore":
                pass  # said by of_field, or by the comment: a batch is checked one by one
            case "cel":
                yield from (rule.message.removeprefix("must ") for rule in value)
            case _ if field.containing_oneof is not None:
                yield from _typed(value)
            case name:
                raise ValueError(f"no words for the rule {name}")


def _typed(rules: Message) -> Iterator[str]:
    given = {field.name: value for field, value in rules.ListFields()}
    unit = _UNITS.get(rules.DESCRIPTOR.name, "")
    if "lt" in given:
        yield f"lie from {_amount(given.pop('gte'))} to before {_amount(given.pop('lt'))}"
    for bounds, verb in _RANGES.items():
        low, high = (given.pop(bound, None) for bound in bounds)
        if low is not None or high is not None:
            yield f"{verb} {_between(low, high)} {unit}".rstrip()
    for name, value in given.items():
        if name not in _WORDS:
            raise ValueError(f"no words for the rule {name} of {rules.DESCRIPTOR.name}")
        yield from _WORDS[name](value)


def _between(low: Any, high: Any) -> str:
    if low is None:
        return f"at most {_amount(high)}"
    return f"at least {_amount(low)}" if high is None else f"{_amount(low)} to {_amount(high)}"


def _amount(value: Any) -> str:
    """A number, a span or an instant, as people write them."""
    if isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else f"{value:g}"
    seconds, nanos = value.seconds, value.nanos
    if value.DESCRIPTOR.name == "Timestamp":
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    return _SPANS.get((seconds, nanos)) or f"{seconds // _DAY:,} days"


#: The rules that are a lower and an upper bound of the same.
_RANGES = {
    ("min_len", "max_len"): "hold",
    ("min_items", "max_items"): "hold",
    ("min_pairs", "max_pairs"): "hold",
    ("gte", "lte"): "be",
}


def _pattern(pattern: str) -> Iterator[str]:
    yield PATTERNS[pattern].removeprefix("the key ").removeprefix("must ")


def _each(name: str) -> Callable[[Message], Iterator[str]]:
    def words(rules: Message) -> Iterator[str]:
        if inner := list(_field(rules)):
            yield f"{name} {', '.join(inner)}"

    return words


def _unique(is_asked: bool) -> Iterator[str]:
    if is_asked:
        yield "not name the same one twice"


def _defined(is_asked: bool) -> Iterator[str]:
    if is_asked:
        yield "be one of its values"


def _no_zero(numbers: list[int]) -> Iterator[str]:
    if list(numbers) != [0]:
        raise ValueError(f"no words for a value that is none of {numbers}")
    yield "say something (not UNSPECIFIED)"


_WORDS: dict[str, Callable[..., Iterator[str]]] = {
    "pattern": _pattern,
    "items": _each("each"),
    "keys": _each("keys"),
    "values": _each("values"),
    "unique": _unique,
    "defined_only": _defined,
    "not_in": _no_zero,
}
