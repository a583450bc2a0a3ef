"""The task k8s against a server that answers as the API does."""

import base64
import json
import re
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from aiohttp import web
from later_plugin_k8s.access import from_file, from_pod
from later_plugin_k8s.api import Api
from later_plugin_k8s.task import CreateJob, job_name

from later_core.model.outcome import Failed, Outcome, Succeeded
from later_core.testing.tasks import run_task

ServeCluster = Callable[..., Awaitable[Any]]
Kubeconfig = Callable[..., str]
Make = Callable[..., CreateJob]

README = (Path(__file__).parents[1] / "README.md").read_text()


def result(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Succeeded), outcome
    found: dict[str, Any] = json.loads(outcome.result)
    return found


def failure(outcome: Outcome) -> Failed:
    assert isinstance(outcome, Failed), outcome
    return outcome


async def test_the_commands_of_the_readme_create_jobs(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    commands = re.findall(r"^    later create k8s '(.+)' --in 5s$", README, re.MULTILINE)
    assert len(commands) == 2
    cluster = await serve_cluster()
    task = make(k8s_kubeconfig=kubeconfig(cluster.url))
    for number, command in enumerate(commands):
        found = result(await run_task(task, command, id=f"ü-{number}", attempt=2))
        name = job_name("later", f"ü-{number}")
        assert found == {"namespace": "shop", "name": name, "uid": f"uid-{number}"}
    one, other = cluster.jobs.values()
    assert one["metadata"]["annotations"] == {"later-instance-id": "ü-0", "later-attempt": "2"}
    assert one["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "later"}
    assert one["spec"]["backoffLimit"] == 0
    (container,) = one["spec"]["template"]["spec"]["containers"]
    assert container == {
        "name": "main",
        "image": "registry.example.org/backup:3",
        "args": ["--all"],
        "env": [
            {"name": "TARGET", "value": "north"},
            {"name": "LATER_INSTANCE_ID", "value": "ü-0"},
            {"name": "LATER_ATTEMPT", "value": "2"},
        ],
    }
    assert other["spec"] == json.loads(commands[1])["spec"]


async def test_an_attempt_whose_answer_was_lost_is_followed_by_no_second_job(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    cluster = await serve_cluster()
    task = make(k8s_kubeconfig=kubeconfig(cluster.url))
    cluster.loses_answers = True
    failed = failure(await run_task(task, {"image": "a"}))
    assert (failed.error.reason, failed.is_final) == ("UNREACHABLE", False)
    cluster.loses_answers = False
    assert result(await run_task(task, {"image": "a"}, attempt=2))["uid"] == "uid-0"
    assert len(cluster.jobs) == 1


async def test_a_job_of_somebody_else_is_no_success(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    cluster = await serve_cluster()
    task = make(k8s_kubeconfig=kubeconfig(cluster.url))
    result(await run_task(task, {"image": "a"}))
    (job,) = cluster.jobs.values()
    job["metadata"]["annotations"] = None
    failed = failure(await run_task(task, {"image": "a"}))
    assert (failed.error.reason, failed.is_final) == ("NAME_TAKEN", True)


async def test_names_and_namespaces_can_be_chosen(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    cluster = await serve_cluster()
    path = kubeconfig(cluster.url)
    order = {"image": "a", "name": "backup", "labels": {"team": "north"}}
    result(await run_task(make(k8s_kubeconfig=path), order | {"namespace": "other"}))
    result(await run_task(make(k8s_kubeconfig=path, k8s_context="south"), order))
    assert [namespace for namespace, _ in cluster.jobs] == ["other", "default"]
    for (_, name), job in cluster.jobs.items():
        assert re.fullmatch("backup-[0-9a-f]{20}", name)
        assert job["metadata"]["labels"]["team"] == "north"


async def test_what_is_invalid_over_there_is_final(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    cluster = await serve_cluster()
    task = make(k8s_kubeconfig=kubeconfig(cluster.url))
    failed = failure(await run_task(task, {"spec": {}}))
    assert (failed.error.reason, failed.is_final) == ("K8S_REFUSED", True)
    assert "(422)" in failed.error.message
    assert "spec.template.spec.containers: Required value" in failed.error.message
    assert json.loads(failed.result) == {"status": 422, "reason": "Invalid"}


@pytest.mark.parametrize(
    ("code", "is_final"), [(401, False), (403, True), (404, True), (429, False), (503, False)]
)
async def test_the_status_decides_whether_a_retry_is_worth_it(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make, code: int, is_final: bool
) -> None:
    cluster = await serve_cluster()
    cluster.trouble = lambda: web.Response(status=code, text="no JSON")
    failed = failure(await run_task(make(k8s_kubeconfig=kubeconfig(cluster.url)), {"image": "a"}))
    assert (failed.error.reason, failed.is_final) == ("K8S_REFUSED", is_final)


async def test_nobody_there_may_be_there_later(kubeconfig: Kubeconfig, make: Make) -> None:
    task = make(k8s_kubeconfig=kubeconfig("http://127.0.0.1:1"))
    failed = failure(await run_task(task, {"image": "a"}))
    assert (failed.error.reason, failed.is_final) == ("UNREACHABLE", False)


async def test_a_pod_asks_as_its_service_account_and_its_token_may_be_renewed(
    serve_cluster: ServeCluster, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    cluster = await serve_cluster(tls)
    cluster.token = "second"
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "namespace").write_text("shop")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    port = cluster.url.rpartition(":")[2]
    environment = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": port}
    access = from_pod(tmp_path, environment)
    assert access
    async with Api(access, timeout=30) as api:
        task = CreateJob(api)
        assert failure(await run_task(task, {"image": "a"})).error.reason == "K8S_REFUSED"
        (tmp_path / "token").write_text("second\n")
        assert result(await run_task(task, {"image": "a"}))["namespace"] == "shop"
    assert from_pod(tmp_path, {}) is None
    assert from_pod(tmp_path / "absent", environment) is None


async def test_a_client_certificate_is_shown(
    serve_cluster: ServeCluster, kubeconfig: Kubeconfig, make: Make
) -> None:
    authority = trustme.CA()
    client = authority.issue_cert("later@shop.test", common_name="later")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    cluster = await serve_cluster(tls)
    cluster.token = None

    def data(blob: Any) -> str:
        return base64.b64encode(blob.bytes()).decode()

    trust = {"certificate-authority-data": data(authority.cert_pem)}
    user = {
        "client-certificate-data": data(client.cert_chain_pems[0]),
        "client-key-data": data(client.private_key_pem),
    }
    path = kubeconfig(cluster.url, user=user, cluster=trust)
    result(await run_task(make(k8s_kubeconfig=path), {"image": "a"}))
    (certificate,) = cluster.peers
    assert ("commonName", "later") in [pair for (pair,) in certificate["subject"]]

    stranger = kubeconfig(cluster.url, user=user)  # does not know the authority
    failed = failure(await run_task(make(k8s_kubeconfig=stranger), {"image": "a"}))
    assert failed.error.reason == "UNREACHABLE"


async def test_outside_of_any_cluster_it_says_so(make: Make) -> None:
    failed = failure(await run_task(make(), {"image": "a"}))
    assert (failed.error.reason, failed.is_final) == ("NOT_CONFIGURED", True)


def test_a_kubeconfig_that_is_of_no_use_is_named(kubeconfig: Kubeconfig, tmp_path: Path) -> None:
    path = kubeconfig("https://a.test", user={"exec": {"command": "login"}})
    with pytest.raises(ValueError, match="exec of the user 'u' is not supported"):
        from_file(path, "")
    with pytest.raises(ValueError, match="lacks 'west'"):
        from_file(path, "west")
    (tmp_path / "list").write_text(yaml.safe_dump([1]))
    with pytest.raises(ValueError, match="k8s_kubeconfig"):
        from_file(str(tmp_path / "list"), "")
    with pytest.raises(FileNotFoundError):
        from_file(str(tmp_path / "absent"), "")


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({}, "either image or spec"),
        ({"image": "a", "spec": {}}, "either image or spec"),
        ({"spec": {}, "args": ["a"]}, "command, args and env belong to image"),
        ({"image": "a", "env": {"A": 1}}, "env.A: "),
        ({"image": "a", "namespace": "A"}, "namespace: "),
        ({"image": "a", "name": "a" * 41}, "name: "),
        ({"image": "a", "cmd": []}, "cmd: Extra inputs are not permitted"),
    ],
)
async def test_wrong_parameters_are_named_by_their_paths(
    make: Make, order: dict[str, object], complaint: str
) -> None:
    failed = failure(await run_task(make(), order))
    assert (failed.error.reason, failed.is_final) == ("INVALID_PARAMETERS", True)
    assert complaint in failed.error.message


def test_the_readme_lists_parameters() -> None:
    assert set(re.findall(r"`(\w+)`", README)) >= set(CreateJob.parameters_schema["properties"])
