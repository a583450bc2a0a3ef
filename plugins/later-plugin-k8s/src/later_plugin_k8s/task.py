"""One Job an instance."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, ClassVar

import aiohttp

from later_core import Context, Task, TaskError, parse_parameters
from later_plugin_k8s.api import Answer, Api
from later_plugin_k8s.order import Order

INSTANCE = "later-instance-id"
ATTEMPT = "later-attempt"
#: Which answers may be others a moment later: a renewed token, a busy or restarting API.
_PASSING = frozenset({401, 408, 429})


class CreateJob(Task):
    """Creates a Job, and is done: the cluster does the work."""

    name = "k8s"
    description = "Creates a Job in a Kubernetes cluster."
    parameters_schema: ClassVar[Mapping[str, Any]] = Order.model_json_schema()

    def __init__(self, api: Api | None) -> None:
        self._api = api

    async def run(self, context: Context) -> str:
        order = parse_parameters(Order, context.parameters)
        if self._api is None:
            raise TaskError(
                "the server runs in no cluster, and the setting k8s_kubeconfig is missing",
                reason="NOT_CONFIGURED",
                is_final=True,
            )
        namespace = order.namespace or self._api.namespace
        job = manifest(order, context)
        name = job["metadata"]["name"]
        try:
            answer = await self._api.create_job(namespace, job)
            if answer.status == 409:
                answer = await self._existing(self._api, namespace, name, context.instance.id)
        except TimeoutError as error:
            raise TaskError("the cluster answered nothing in time", reason="UNREACHABLE") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TaskError(f"the cluster did not answer: {error}", reason="UNREACHABLE") from error
        if answer.status not in {200, 201, 202}:
            raise _refused(answer)
        uid = answer.content.get("metadata", {}).get("uid")
        return json.dumps({"namespace": namespace, "name": name, "uid": uid})

    async def _existing(self, api: Api, namespace: str, name: str, instance_id: str) -> Answer:
        """The Job that has the name already: an earlier attempt made it, and its answer was lost."""
        answer = await api.get_job(namespace, name)
        annotations = answer.content.get("metadata", {}).get("annotations") or {}
        if answer.status == 200 and annotations.get(INSTANCE) != instance_id:
            raise TaskError(
                f"a Job {name} is there that is not of this instance",
                reason="NAME_TAKEN",
                is_final=True,
            )
        return answer


def job_name(prefix: str, instance_id: str) -> str:
    """A name that follows from the instance alone, whatever the attempt."""
    return f"{prefix}-{sha256(instance_id.encode()).hexdigest()[:20]}"


def manifest(order: Order, context: Context) -> dict[str, Any]:
    """What the API is asked for."""
    told = {INSTANCE: context.instance.id, ATTEMPT: str(context.attempt)}
    env = {"LATER_INSTANCE_ID": context.instance.id, "LATER_ATTEMPT": str(context.attempt)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(order.name, context.instance.id),
            "labels": {**order.labels, "app.kubernetes.io/managed-by": "later"},
            "annotations": told,
        },
        "spec": order.job_spec(env),
    }


def _refused(answer: Answer) -> TaskError:
    is_final = answer.status < 500 and answer.status not in _PASSING
    return TaskError(
        f"the cluster refused the Job ({answer.status}): {answer.message}",
        reason="K8S_REFUSED",
        is_final=is_final,
        result=json.dumps(
            {"status": answer.status, "reason": answer.content.get("reason")}
        ).encode(),
    )
