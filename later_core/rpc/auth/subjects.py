"""From the subject of a client certificate, which TLS has verified, to a principal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from later_core.model.binding import Binding, bind
from later_core.model.principal import Credential, Means, Principal

#: What gRPC tells of a verified peer: the common name of its subject, else a name beside that.
_PROPERTIES = ("x509_common_name", "x509_subject_alternative_name")

#: Of a certificate gRPC tells the names, not when it ends.
_CERTIFICATE = Credential(means=Means.CERTIFICATE)
#: Names of which it is remembered what they may.
_REMEMBERED = 1024


class SubjectNames:
    """Whoever shows a certificate is called by the common name of its subject, or, if it has none, by
    its first alternative name; the bindings say what that name may do.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        self._bindings = tuple(bindings)
        # The bindings stay as they are, and so does what they say of a name; each call asks.
        self._bound = lru_cache(maxsize=_REMEMBERED)(self._bind)

    def principal(self, context: Mapping[str, Sequence[bytes]]) -> Principal | None:
        """Whose certificate it is; None: nobody showed one, or no binding knows it."""
        for name in _PROPERTIES:
            for value in context.get(name, ()):
                if subject := value.decode(errors="replace"):
                    return self._bound(subject)
        return None

    def _bind(self, subject: str) -> Principal | None:
        return bind(subject, [subject], self._bindings, _CERTIFICATE)
