"""How the values on the hot paths are declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[T]) -> type[T]:
    """A dataclass of keywords that nobody changes, held by the type checker and not while it runs.

    ``@dataclass(frozen=True)`` sets each field by a call: an ``Instance`` of 21 fields takes 3.0
    microseconds to make, and 1.2 like this. One is made at each create, claim and event.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)
