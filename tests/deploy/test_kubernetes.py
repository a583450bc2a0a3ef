"""The manifests: valid for the versions of Kubernetes that are kept up, and true to the program.

There is no cluster where these tests run: they are read, and never applied.
"""

# ruff: noqa: TID251 -- the server here is another process, and its environment is made for it

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from later_core.cli import main
from later_core.model.duration import parse_duration
from later_core.settings import NAMES, env_name

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
Manifest = dict[str, Any]
VERSIONS = ("1.33", "1.34", "1.35")
VARIABLES = {env_name(name) for name in NAMES}


def read(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


MANIFESTS = {
    f"{name} {one['kind']}": one
    for name in (*KUSTOMIZATION["resources"], "secrets.example.yaml")
    for one in read(name)
}
BY_KIND = {one["kind"]: one for one in MANIFESTS.values() if one["kind"] != "Secret"}
SECRETS = {one["metadata"]["name"]: one for one in read("secrets.example.yaml")}
SETTINGS: dict[str, str] = BY_KIND["ConfigMap"]["data"]
POD = BY_KIND["Deployment"]["spec"]["template"]["spec"]
LABELS = BY_KIND["Deployment"]["spec"]["template"]["metadata"]["labels"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
def test_it_holds_to_the_schema_of_its_kind(manifest: Manifest, version: str):
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_fault_would_be_found():
    wrong = {**BY_KIND["Service"], "spec": {"ports": [{"prt": 9081}]}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_file_is_in_the_kustomization_but_the_secrets():
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert there == {*KUSTOMIZATION["resources"], "kustomization.yaml", "secrets.example.yaml"}


def test_whatever_selects_pods_selects_those_of_the_deployment():
    selectors = [
        BY_KIND["Deployment"]["spec"]["selector"]["matchLabels"],
        BY_KIND["Service"]["spec"]["selector"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in POD["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= LABELS.items() for selector in selectors)


def test_every_variable_is_a_setting():
    secret = {key for name in SECRETS if name != "later-tls" for key in SECRETS[name]["stringData"]}
    assert set(SETTINGS) | secret <= VARIABLES


def test_kubernetes_adds_no_variables_that_look_like_settings():
    assert POD["enableServiceLinks"] is False


def test_what_is_mounted_and_read_is_there():
    from_sources = [next(iter(source.values()))["name"] for source in CONTAINER["envFrom"]]
    assert from_sources == [
        BY_KIND["ConfigMap"]["metadata"]["name"],
        "later-mongodb",
        "later-admin",
    ]
    assert {*from_sources[1:], "later-tls"} == set(SECRETS)
    (tls,) = (volume["secret"] for volume in POD["volumes"] if "secret" in volume)
    files = SECRETS[tls["secretName"]]["stringData"]
    (place,) = (m["mountPath"] for m in CONTAINER["volumeMounts"] if m["name"] == "tls")
    read = [value for value in SETTINGS.values() if value.startswith(place)]
    assert {path.removeprefix(f"{place}/") for path in read} == set(files)
    assert POD["serviceAccountName"] == BY_KIND["ServiceAccount"]["metadata"]["name"]


def test_a_pod_is_not_killed_before_its_grace_is_over():
    pause = timedelta(seconds=int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1]))
    whole = timedelta(seconds=POD["terminationGracePeriodSeconds"])
    assert whole >= pause + parse_duration(SETTINGS["LATER_GRACE"]) + timedelta(seconds=10)


def test_the_probes_ask_by_a_command_that_is_there(capfd: pytest.CaptureFixture[str]):
    for probe in ("startupProbe", "readinessProbe"):
        later, *words = CONTAINER[probe]["exec"]["command"]
        assert later == "later"
        assert main([*words, "--help"]) == 0
    assert main([*CONTAINER["args"], "--help"]) == 0
    assert "Usage: later" in capfd.readouterr().out


def test_the_name_that_the_probes_expect_is_that_of_the_service():
    service, namespace = BY_KIND["Service"]["metadata"]["name"], KUSTOMIZATION["namespace"]
    assert SETTINGS["LATER_TLS_SERVER_NAME"] == f"{service}.{namespace}.svc"


def test_a_server_with_these_settings_serves_and_the_probe_says_so(
    tmp_path: Path, authority: Any, mongodb_uri: str, database: str
):
    """As in the pod, but for where the files are, the port, and MongoDB."""
    papers = authority.issue(SETTINGS["LATER_TLS_SERVER_NAME"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    files = {"tls.crt": papers.cert, "tls.key": papers.key, "ca.crt": authority.roots}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LATER_")} | {
        name: files.get(value.rpartition("/")[2], value.replace("9081", port))
        for name, value in SETTINGS.items()
    }
    environment |= {
        "XDG_CONFIG_HOME": str(tmp_path),
        "LATER_MONGODB_URI": mongodb_uri,
        "LATER_DATABASE": database,
        "LATER_ADMIN_TOKEN": "a-token-of-the-tests-that-is-long-enough",
    }
    # Whatever listens here asks for a token: the settings above say so.
    later = str(Path(sys.executable).with_name("later"))
    log = tmp_path / "later.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [later, *CONTAINER["args"]], env=environment, stdout=out, stderr=out
        )
    try:
        asked = [later, *CONTAINER["readinessProbe"]["exec"]["command"][1:]]
        for _ in range(CONTAINER["startupProbe"]["failureThreshold"]):
            done = subprocess.run(
                asked, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            if done.returncode == 0 or server.poll() is not None:
                break
        assert (done.returncode, done.stdout) == (0, "SERVING\n"), log.read_text() + done.stderr
    finally:
        server.terminate()
        assert server.wait(60) == 0


def test_the_port_is_the_same_everywhere():
    (port,) = CONTAINER["ports"]
    for address in (SETTINGS["LATER_LISTEN"], SETTINGS["LATER_ADDRESS"]):
        assert address.endswith(f":{port['containerPort']}")
    assert BY_KIND["Service"]["spec"]["ports"][0]["targetPort"] == port["name"]
    assert CONTAINER["livenessProbe"]["tcpSocket"]["port"] == port["name"]
    (ingress,) = BY_KIND["NetworkPolicy"]["spec"]["ingress"]
    assert [each["port"] for each in ingress["ports"]] == [port["name"]]


def test_the_pod_may_do_little():
    """What the namespace enforces, the standard "restricted", and a root that cannot be written."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_user_is_that_of_the_image():
    user = POD["securityContext"]["runAsUser"]
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    assert f"USER {user}:{POD['securityContext']['runAsGroup']}\n" in dockerfile
