"""The parameters: which message, and where to."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _short(text: str) -> str:
    if len(text.encode(errors="replace")) > 255:
        raise ValueError("at most 255 bytes of UTF-8")
    return text


def _free(name: str) -> str:
    if name.startswith("later_"):
        raise ValueError("names with later_ are not the caller's to set")
    return name


#: What AMQP 0-9-1 calls a short string.
Short = Annotated[str, AfterValidator(_short)]
HeaderName = Annotated[Short, Field(min_length=1), AfterValidator(_free)]


class Order(BaseModel):
    """One message."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="amqp")

    exchange: Short = Field(
        default="", description="By default the one that leads to queues by name."
    )
    routing_key: Short = Field(description="With the default exchange the name of a queue.")
    body: str | None = Field(default=None, description="Text, sent as UTF-8.")
    json_body: Any = Field(default=None, alias="json", description="Any JSON, in place of body.")
    headers: Mapping[HeaderName, bool | int | float | str] = Field(default={}, max_length=100)
    content_type: Short | None = None
    persistent: bool = Field(default=True, description="Whether it outlives the broker's restart.")
    mandatory: bool = Field(
        default=True, description="Whether a message for no queue is a failure."
    )
    priority: int | None = Field(default=None, ge=0, le=255)
    expiration: float | None = Field(
        default=None, gt=0, description="Seconds after which no consumer gets it any more."
    )

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.body is not None and "json_body" in self.model_fields_set:
            raise ValueError("body and json exclude each other")
        return self

    @property
    def content(self) -> tuple[bytes, str]:
        """The bytes, and what they are."""
        if "json_body" in self.model_fields_set:
            text = json.dumps(self.json_body, ensure_ascii=False, separators=(",", ":"))
            kind = "application/json"
        else:
            text, kind = self.body or "", "text/plain"
        return text.encode(errors="replace"), self.content_type or kind
