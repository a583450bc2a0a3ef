"""The parameters: what to send where, and which answers are good."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, model_validator

#: Set here, or by the connection; a caller that set them would break the request or its meaning.
_RESERVED = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "host", "keep-alive"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"),
        *("idempotency-key", "later-attempt", "later-signature", "later-timestamp"),
    }
)


def _free(name: str) -> str:
    if name.lower() in _RESERVED:
        raise ValueError(f"the header {name} is not the caller's to set")
    return name


#: RFC 9110: a token, and a value without control characters.
HeaderName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=200),
    AfterValidator(_free),
]
HeaderValue = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=8192)]
#: One status, or all of a hundred.
Status = (
    Annotated[int, Field(ge=100, le=599)] | Annotated[str, Field(pattern="^[1-5](xx|[0-9]{2})$")]
)


class Order(BaseModel):
    """One request."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="http")

    url: HttpUrl = Field(description="Where to; http or https.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: Mapping[HeaderName, HeaderValue] = Field(default={}, max_length=100)
    body: str | None = Field(default=None, description="Text, sent as UTF-8.")
    json_body: Any = Field(default=None, alias="json", description="Any JSON, in place of body.")
    timeout: float | None = Field(
        default=None, gt=0, le=3600, description="Seconds in all; by default http_timeout."
    )
    max_redirects: int = Field(default=0, ge=0, le=10)
    success: Sequence[Status] = Field(default=("2xx",), description="Statuses that succeed.")
    retry: Sequence[Status] = Field(
        default=("408", "425", "429", "5xx"),
        description="Statuses after which a retry is worth it; all others are final.",
    )

    @model_validator(mode="after")
    def _has_one_body(self) -> Self:
        if self.body is not None and "json_body" in self.model_fields_set:
            raise ValueError("body and json exclude each other")
        return self

    @property
    def content(self) -> bytes:
        """The bytes to send."""
        if "json_body" in self.model_fields_set:
            text = json.dumps(self.json_body, ensure_ascii=False, separators=(",", ":"))
            return text.encode(errors="replace")
        return (self.body or "").encode(errors="replace")

    @property
    def content_type(self) -> str | None:
        """What the bytes are, as far as that is known."""
        if "json_body" in self.model_fields_set:
            return "application/json"
        return "text/plain; charset=utf-8" if self.body is not None else None

    def succeeds(self, status: int) -> bool:
        """Whether an answer with this status is a success."""
        return _is_among(status, self.success)

    def is_final(self, status: int) -> bool:
        """Whether a failure with this status would come again."""
        return not _is_among(status, self.retry)


def _is_among(status: int, statuses: Sequence[int | str]) -> bool:
    return any(str(each) in {str(status), f"{status // 100}xx"} for each in statuses)
