"""What the code of a simulated instance does, as its parameters say."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from later_core.model.instance import Instance


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How long the code takes, in seconds, and how many of the first attempts fail."""

    seconds: float = 0.0
    failures: int = 0

    def to_parameters(self) -> bytes:
        """As the parameters of an instance."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, instance: Instance) -> Behaviour:
        """What an instance asks for."""
        return cls(**json.loads(instance.parameters))


def result_of(instance: Instance) -> bytes:
    """The result that only this very attempt can have."""
    return f"{instance.id}/{instance.attempt} on {instance.node}".encode()
