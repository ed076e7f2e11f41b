"""The manifests: Kubernetes' schemas know what they say, they agree with each other and with the image, and what an
autoscaler asks for is told."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import kubernetes_validate
import pytest
import yaml

VERSIONS = ["1.31", kubernetes_validate.latest_version()]


@pytest.fixture(scope="module")
def manifests(deploy):
    """Each by its kind and name."""
    files = [deploy / "kubernetes" / name for name in ("app.yaml", "autoscale.yaml")]
    found = [each for file in files for each in yaml.safe_load_all(file.read_text())]
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


@pytest.fixture(scope="module")
def pod(manifests):
    return manifests["Deployment", "shop"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (container,) = pod["containers"]
    return container


@pytest.fixture(scope="module")
def environ(container):
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_them(manifests, version):
    checked = [each for each in manifests.values() if "keda" not in each["apiVersion"]]
    assert len(checked) == len(manifests) - 1
    for each in checked:
        kubernetes_validate.validate(each, version, strict=True)
    wrong = deepcopy(manifests["Deployment", "shop"])
    wrong["spec"]["template"]["spec"]["containers"][0]["startupProbe"]["periodSecond"] = 1
    with pytest.raises(kubernetes_validate.ValidationError, match="periodSecond"):
        kubernetes_validate.validate(wrong, version, strict=True)


def test_what_is_applied_is_there(deploy):
    asked = yaml.safe_load((deploy / "kubernetes" / "kustomization.yaml").read_text())
    files = [*asked["resources"], *asked["configMapGenerator"][0]["files"]]
    assert all((deploy / "kubernetes" / name).is_file() for name in files)


def test_names_lead_somewhere(manifests, pod, container):
    labels = manifests["Deployment", "shop"]["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in container["ports"]}
    for kind, name in manifests:
        spec = manifests[kind, name]["spec"]
        if kind == "Service":
            assert spec["selector"] == labels
            assert {port["targetPort"] for port in spec["ports"]} <= ports
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    assert ("PersistentVolumeClaim", volumes["state"]["persistentVolumeClaim"]["claimName"]) in manifests
    assert ("Deployment", manifests["ScaledObject", "shop"]["spec"]["scaleTargetRef"]["name"]) in manifests
    assert pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"] == {
        "matchLabels": labels
    }


def test_they_fit_the_image(dockerfile, pod, container):
    image = {each["instruction"]: each["value"] for each in dockerfile.structure}
    security = pod["securityContext"]
    assert image["USER"] == f"{security['runAsUser']}:{security['runAsGroup']}"
    assert image["VOLUME"] in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert int(image["EXPOSE"]) in [port["containerPort"] for port in container["ports"]]


def test_a_pod_may_do_no_more_than_it_must(pod, container):
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    inner = container["securityContext"]
    assert (inner["allowPrivilegeEscalation"], inner["readOnlyRootFilesystem"]) == (False, True)
    assert inner["capabilities"] == {"drop": ["ALL"]}


def test_functions_have_the_time_and_memory_that_they_are_promised(pod, container, environ):
    (_, pause) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] >= int(pause) + int(environ["FNFRAME_GRACE"]) + 5
    limit = int(re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])[1])
    assert limit >= int(environ["FNFRAME_MAX_ENVIRONMENTS"]) * 128 + 256


def test_an_autoscaler_finds_the_depth_of_the_queues(manifests, deploy, environ, shop, tmp_path, start, ask):
    (asked,) = manifests["ScaledObject", "shop"]["spec"]["triggers"]
    service, port = re.match(r"http://([\w-]+)\.\w+\.svc\.cluster\.local:(\d+)/$", asked["metadata"]["url"]).groups()
    assert port == environ["FNFRAME_DEPTH_PORT"]
    assert manifests["Service", service]["spec"]["ports"][0]["port"] == int(port)

    (shop / "fnframe_plugins.py").write_text((deploy / "kubernetes" / "fnframe_plugins.py").read_text())
    here = {"FNFRAME_DEPTH_HOST": "127.0.0.1", "FNFRAME_DEPTH_PORT": "0", "FNFRAME_HTTP_PORT": "0"}
    assert set(environ) - {"FNFRAME_GRACE", "FNFRAME_MAX_ENVIRONMENTS"} <= set(here)
    started = start(
        "run", shop, environ=environ | here | {"FNFRAME_ENGINE": "memory:", "FNFRAME_MAX_ENVIRONMENTS": "1"}
    )
    started.read_until("depth: GET ", "order: POST ")
    lines = "".join(started.lines)
    depth = re.search(r"depth: GET (\S+)", lines)[1]
    orders = re.search(r"order: POST (\S+)", lines)[1]

    assert json.loads(ask(depth)) == {"depth": 0, "queues": {}}
    for _ in range(3):
        ask(orders, b"")
    told = json.loads(ask(depth))
    assert told["queues"] == {"function:order": 3}
    assert told[asked["metadata"]["valueLocation"]] == 3
    (tmp_path / "let-go").touch()
    while json.loads(ask(depth))["depth"]:
        pass
    assert started.end() == 0
