"""``google.protobuf.Struct`` <-> JSON: what a person types into grpcurl is stored as its text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from later_core.errors import InvalidRequest
from later_core.model.limits import PARAMETERS_MAX_BYTES

#: Every number in a Struct is a double; up to here a double tells all whole numbers apart.
_EXACT = 2.0**53

#: Names in a field path are cut to this length: the path travels in the trailing metadata.
_NAME_LENGTH = 64


def to_text(struct: Struct, field: str) -> bytes:
    """The JSON text, UTF-8: compact, with sorted names, so that equal content gives equal bytes.

    Whole numbers have no fraction (``3``, not ``3.0``).

    Raises:
        InvalidRequest: JSON cannot say it (NaN, infinity, a value without a kind), the violation
            names the place, as in ``json["a"][2]``; or it is longer than parameters may be.

    """
    size = struct.ByteSize()
    if size <= PARAMETERS_MAX_BYTES:
        value = _fields(struct.fields, field)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        data = text.encode()
        size = len(data)
        if size <= PARAMETERS_MAX_BYTES:
            return data
    raise InvalidRequest.of(
        field,
        f"must be at most {PARAMETERS_MAX_BYTES} bytes; it has {size}:"
        " keep large data elsewhere and pass where it is",
    )


def to_struct(value: Mapping[str, Any]) -> Struct:
    """A JSON object (of ``json.loads``) as a Struct.

    Raises:
        ValueError: something in it is not JSON.

    """
    struct = Struct()
    struct.update(dict(value))
    return struct


def subscript(name: str) -> str:
    """A name as it stands in a field path: quoted, and cut where it is long."""
    shown = name if len(name) <= _NAME_LENGTH else name[:_NAME_LENGTH] + "…"
    return f"[{json.dumps(shown, ensure_ascii=False)}]"


def _fields(fields: Mapping[str, Value], field: str) -> dict[str, Any]:
    return {name: _value(value, field, name) for name, value in fields.items()}


def _value(value: Value, parent: str, place: str | int) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "null_value":
            return None
        case "number_value" if math.isfinite(value.number_value):
            return _number(value.number_value)
        case "struct_value":
            return _fields(value.struct_value.fields, _path(parent, place))
        case "list_value":
            path = _path(parent, place)
            return [_value(item, path, i) for i, item in enumerate(value.list_value.values)]
        case "number_value":
            raise InvalidRequest.of(
                _path(parent, place), "must be a finite number; JSON has no NaN and no infinity"
            )
        case _:
            raise InvalidRequest.of(
                _path(parent, place), "has no value; give one, or leave the name out"
            )


def _path(parent: str, place: str | int) -> str:
    return parent + (f"[{place}]" if isinstance(place, int) else subscript(place))


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number
