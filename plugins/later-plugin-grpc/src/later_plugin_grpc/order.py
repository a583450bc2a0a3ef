"""The parameters: what to call where, and which answers are good."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import grpc
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Code = Literal[
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip


def _free(name: str) -> str:
    if name.startswith(("grpc-", "later-")) or name.endswith("-bin"):
        raise ValueError("names with grpc-, later- and -bin are not the caller's to set")
    return name


#: A key is lower case and a value printable ASCII, as gRPC has it.
Key = Annotated[str, Field(pattern=r"^[0-9a-z_.-]+$", max_length=200), AfterValidator(_free)]
Value = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=8192)]


class Order(BaseModel):
    """One call."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="grpc")

    target: str = Field(
        pattern=r"^[^\s/]+:[0-9]{1,5}$", max_length=300, description="Where to, host:port."
    )
    method: str = Field(
        pattern=r"^[A-Za-z_][\w.]*/[A-Za-z_]\w*$",
        max_length=500,
        description="Like shop.v1.OrderService/ShipOrder; unary.",
    )
    request: Mapping[str, Any] = Field(default={}, description="The request, as JSON of protobuf.")
    metadata: Mapping[Key, Value] = Field(default={}, max_length=100)
    tls: bool = False
    timeout: float | None = Field(
        default=None, gt=0, le=3600, description="Seconds; by default grpc_timeout."
    )
    success: Sequence[Code] = Field(default=("OK",), description="Codes that succeed.")
    retry: Sequence[Code] = Field(
        default=(
            *("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED"),
            *("CANCELLED", "INTERNAL", "UNKNOWN"),
        ),
        description="Codes after which a retry is worth it; all others are final.",
    )

    def succeeds(self, code: grpc.StatusCode) -> bool:
        """Whether an answer with this code is a success."""
        return code.name in self.success

    def is_final(self, code: grpc.StatusCode) -> bool:
        """Whether a failure with this code would come again."""
        return code.name not in self.retry
