"""The parameters: which task of Celery's, with what."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Order(BaseModel):
    """One task for Celery's workers."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="celery")

    task: str = Field(
        min_length=1, max_length=500, description="Its name there, like shop.tasks.ship."
    )
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = {}
    queue: str | None = Field(default=None, min_length=1, max_length=200)
    priority: int | None = Field(default=None, ge=0, le=255)
    expires: float | None = Field(
        default=None, gt=0, description="Seconds after which no worker begins it any more."
    )
    wait: float | None = Field(
        default=None,
        gt=0,
        le=3600,
        description="Seconds to wait for the result; without it sending is all.",
    )
