"""What names that others give out (in certificates, in JWTs) mean here: roles and permissions of tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from later_core.model.permission import TASK_PERMISSION, Role
from later_core.model.principal import NOTHING_SHOWN, Credential, Principal, of_roles
from later_core.model.scope import matches_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Whoever has a name as the pattern says has these roles, and these permissions of tasks."""

    pattern: str
    roles: tuple[Role, ...]
    permissions: tuple[str, ...] = ()


def parse_binding(text: str) -> Binding:
    """What ``ci-*=scheduler+run-bash`` says.

    Raises:
        ValueError: with a sentence for people.
    """
    pattern, equals, said = text.rpartition("=")
    words = [word.strip() for word in said.split("+") if word.strip()]
    if not equals or not pattern.strip() or not words:
        raise ValueError(f"{text!r} is not name=role, as in ci-*=scheduler+run-bash")
    known = {role.value: role for role in Role}
    for word in words:
        if word not in known and not TASK_PERMISSION.fullmatch(word):
            raise ValueError(f"{word!r} is neither a role nor the permission of a task")
    return Binding(
        pattern=pattern.strip(),
        roles=tuple(known[word] for word in words if word in known),
        permissions=tuple(word for word in words if word not in known),
    )


def bind(
    name: str,
    called: Iterable[str],
    bindings: Sequence[Binding],
    credential: Credential = NOTHING_SHOWN,
) -> Principal | None:
    """The principal of this name with all that the bindings give to what it is ``called``; None where
    they give nothing.
    """
    words = tuple(called)
    found = [
        binding
        for binding in bindings
        if any(matches_pattern(word, binding.pattern) for word in words)
    ]
    if not found:
        return None
    return of_roles(
        name,
        {role for binding in found for role in binding.roles},
        grants={permission for binding in found for permission in binding.permissions},
        credential=credential,
    )
