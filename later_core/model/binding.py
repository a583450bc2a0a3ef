"""What names that others give out (in certificates, in JWTs) mean here: roles and permissions of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from later_core.model.permission import TASK_PERMISSION, Role
from later_core.model.principal import NOTHING_SHOWN, Credential, Principal, of_roles
from later_core.model.scope import EVERYTHING, Scope, checked_scope, matches_pattern

_TASK = "task:"
_LABEL = "label:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Whoever has a name as the pattern says has these roles, and these permissions of tasks, and is
    confined to the scope.
    """

    pattern: str
    roles: tuple[Role, ...]
    permissions: tuple[str, ...] = ()
    scope: Scope = EVERYTHING


def parse_binding(text: str) -> Binding:
    """What ``ci-*=scheduler+run-bash+task:http-*+label:team:web`` says.

    Raises:
        ValueError: with a sentence for people.
    """
    pattern, equals, said = text.rpartition("=")
    words = [word.strip() for word in said.split("+") if word.strip()]
    if not equals or not pattern.strip() or not words:
        raise ValueError(f"{text!r} is not name=role, as in ci-*=scheduler+run-bash")
    if f"+{_LABEL}" in pattern or f"+{_TASK}" in pattern:
        raise ValueError(f"{text!r}: a scope has no equals sign; write label:team:web for team=web")
    scope = _scope([word for word in words if word.startswith((_TASK, _LABEL))])
    words = [word for word in words if not word.startswith((_TASK, _LABEL))]
    if not words:
        raise ValueError(f"{text!r} names no role, but only what it is confined to")
    known = {role.value: role for role in Role}
    for word in words:
        if word not in known and not TASK_PERMISSION.fullmatch(word):
            raise ValueError(f"{word!r} is neither a role nor the permission of a task")
    return Binding(
        pattern=pattern.strip(),
        roles=tuple(known[word] for word in words if word in known),
        permissions=tuple(word for word in words if word not in known),
        scope=scope,
    )


def _scope(words: Sequence[str]) -> Scope:
    """What ``task:http-*`` and ``label:team:web`` confine to."""
    tasks = [word.removeprefix(_TASK) for word in words if word.startswith(_TASK)]
    labels: dict[str, str] = {}
    for word in words:
        if word.startswith(_LABEL):
            key, colon, pattern = word.removeprefix(_LABEL).partition(":")
            if not colon or key in labels:
                raise ValueError(f"{word!r} is not label:key:value, or its key stands there twice")
            labels[key] = pattern
    return checked_scope(tasks, labels)


def bind(
    name: str,
    called: Iterable[str],
    bindings: Sequence[Binding],
    credential: Credential = NOTHING_SHOWN,
    scope: Scope = EVERYTHING,
) -> Principal | None:
    """The principal of this name with all that the bindings give to what it is ``called``, confined to
    what lies within all their scopes and within ``scope``; None where they give nothing, or where no one
    scope says that.
    """
    words = tuple(called)
    found = [
        binding
        for binding in bindings
        if any(matches_pattern(word, binding.pattern) for word in words)
    ]
    if not found:
        return None
    within: Scope | None = scope
    for binding in found:
        if within is not None and binding.scope is not EVERYTHING:
            within = within.narrowed(binding.scope)
    if within is None:
        return None
    return of_roles(
        name,
        {role for binding in found for role in binding.roles},
        grants={permission for binding in found for permission in binding.permissions},
        scope=within,
        credential=credential,
    )
