"""The parameters: which Job."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

#: RFC 1123, as Kubernetes has it.
Label = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
_OF_ONE_CONTAINER = frozenset({"command", "args", "env"})


class Order(BaseModel):
    """One Job: a container, or a whole specification."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="k8s")

    namespace: Label | None = Field(
        default=None, description="By default that of the kubeconfig's context or of the pod."
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)] = Field(
        default="later", description="What the Job's name begins with."
    )
    image: str | None = Field(default=None, min_length=1, max_length=1000)
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = {}
    spec: Mapping[str, Any] | None = Field(
        default=None, description="The specification of a Job (batch/v1), in place of image."
    )
    labels: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.image is None) == (self.spec is None):
            raise ValueError("either image or spec")
        if self.spec is not None and _OF_ONE_CONTAINER & self.model_fields_set:
            raise ValueError("command, args and env belong to image")
        return self

    def job_spec(self, own_env: Mapping[str, str]) -> Mapping[str, Any]:
        """The specification. Of one container Kubernetes retries nothing: retries are Later's."""
        if self.spec is not None:
            return self.spec
        container: dict[str, Any] = {
            "name": "main",
            "image": self.image,
            "env": [
                {"name": name, "value": value} for name, value in {**self.env, **own_env}.items()
            ],
        }
        if self.command:
            container["command"] = list(self.command)
        if self.args:
            container["args"] = list(self.args)
        return {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": 24 * 3600,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        }
