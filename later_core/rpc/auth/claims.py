"""What the claims of a JWT say: found by a path, read as words, and as a scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from later_core.model.scope import ALL, Scope, checked_scope


def claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name; where there is none of the whole name, dots lead into objects."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def words_in(value: Any) -> Sequence[Any]:
    """Of OAuth's scope, words with blanks between them; of most others, a list."""
    if isinstance(value, str):
        return value.split()
    return value if isinstance(value, list) else []


def scope_in(claims: Mapping[str, Any], *, tasks: str | None, labels: str | None) -> Scope:
    """To what the claims of these names confine; None: there is no such claim to look for.

    A claim that is looked for has to be there, and to be right: ``*`` says that nothing is confined.

    Raises:
        ValueError: it is not there, empty, or not made of patterns.
    """
    return checked_scope(
        _tasks(claim(claims, tasks), tasks) if tasks else (),
        _labels(claim(claims, labels), labels) if labels else {},
    )


def _tasks(value: Any, name: str) -> Sequence[str]:
    return _texts(words_in(value), name)


def _labels(value: Any, name: str) -> Mapping[str, str]:
    """Of an object, or of words as ``team=web``."""
    if isinstance(value, Mapping):
        _texts([*value, *value.values()], name)
        return value
    words = _texts(words_in(value), name)
    if list(words) == [ALL]:
        return {}
    found: dict[str, str] = {}
    for word in words:
        key, equals, pattern = word.partition("=")
        if not equals or found.setdefault(key, pattern) != pattern:
            raise ValueError(f"the claim {name} is not key=pattern, or has two patterns for a key")
    return found


def _texts(words: Sequence[Any], name: str) -> Sequence[str]:
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"the claim {name}, which must say to what it is confined, is not there")
    return words
