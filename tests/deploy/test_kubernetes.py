"""deploy/kubernetes: valid by the published schemas, every part probed, bounded, fenced in and able to move."""

import copy
from collections.abc import Mapping
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from interfaces.cli.parts import PARTS, SERVICES
from tests.deploy.manifests import BASE, DEPLOY, EXAMPLE, Document, kubernetes, of_kind, read

VERSION = "1.32"
SECRETS = {
    "muster-keyring": set(SERVICES),
    "muster-signing": {"application", "push"},
    "muster-gateway-tls": {"gateway"},
}


def problems(document: Document) -> list[str]:
    """What the API server would refuse of a resource, unknown fields included."""
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


def test_every_resource_is_valid() -> None:
    found = {f"{path.name}: {one['kind']}": problems(one) for path, one in kubernetes()}

    assert {name: told for name, told in found.items() if told} == {}


def test_a_misspelt_field_would_be_noticed() -> None:
    planted = copy.deepcopy(of_kind("Deployment")["payroll"])
    planted["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    assert problems(planted)


def environment_of(pod: Document, settings: Mapping[str, str]) -> dict[str, str]:
    """What a part's container sees, with some value for what comes from secrets and fields."""
    environment = dict(settings)
    for variable in pod["containers"][0].get("env", ()):
        where = variable.get("valueFrom", {})
        if "secretKeyRef" in where:
            environment[variable["name"]] = f"mysql+asyncmy://u:{EXAMPLE}@host:3306/{where['secretKeyRef']['key']}"
        elif "fieldRef" in where:
            environment[variable["name"]] = "10.1.2.3"
        else:
            environment[variable["name"]] = variable["value"]
    return environment


def not_guarded(deployments: dict[str, Document]) -> list[str]:
    """What a pod of ours lacks."""
    found = []
    budgets, policies = of_kind("PodDisruptionBudget"), of_kind("NetworkPolicy")
    for name, deployment in deployments.items():
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        security, contained = pod["securityContext"], container["securityContext"]
        if not security.get("runAsNonRoot") or security.get("seccompProfile") != {"type": "RuntimeDefault"}:
            found.append(f"{name} may run as root")
        if contained.get("allowPrivilegeEscalation") is not False or contained["capabilities"] != {"drop": ["ALL"]}:
            found.append(f"{name} may gain privileges")
        if not contained.get("readOnlyRootFilesystem"):
            found.append(f"{name} may change its image")
        probes = (
            ("readinessProbe", "livenessProbe")
            if name == "redis"
            else ("startupProbe", "readinessProbe", "livenessProbe")
        )
        found += [f"{name} has no {probe}" for probe in probes if probe not in container]
        if "memory" not in container["resources"].get("limits", {}) or "cpu" not in container["resources"]["requests"]:
            found.append(f"{name} has no bounds")
        if pod.get("automountServiceAccountToken") is not False:
            found.append(f"{name} is given a token of the cluster")
        if name not in policies:
            found.append(f"{name} talks to anybody")
        if name != "redis" and name not in budgets:
            found.append(f"{name} may be evicted altogether")
        for volume in pod.get("volumes", ()):
            secret = volume.get("secret", {}).get("secretName", "muster-trust")
            if name not in SECRETS.get(secret, {name}):
                found.append(f"{name} sees {secret}")
    return found


def test_every_part_is_deployed() -> None:
    arguments = {
        name: one["spec"]["template"]["spec"]["containers"][0].get("args")
        for name, one in of_kind("Deployment").items()
    }

    assert {name: arguments[name] for name in arguments if name != "redis"} == {part: ["run", part] for part in PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_understands_the_settings_that_it_is_given(part: str) -> None:
    shared = of_kind("ConfigMap")["muster"]["data"]

    settings = read(environment_of(of_kind("Deployment")[part]["spec"]["template"]["spec"], shared))

    assert set(settings.database_urls) == ({part} if part in SERVICES else set())


def test_the_migration_reaches_every_database() -> None:
    pod = of_kind("Job")["migrate"]["spec"]["template"]["spec"]

    assert set(read(environment_of(pod, {})).database_urls) == set(SERVICES)


def test_every_pod_is_guarded() -> None:
    assert not_guarded({**of_kind("Deployment"), **of_kind("StatefulSet")}) == []


@pytest.mark.parametrize(
    ("where", "value", "finding"),
    [
        (("securityContext", "runAsNonRoot"), False, "payroll may run as root"),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False, "payroll may change its image"),
        (("containers", 0, "resources", "limits"), {}, "payroll has no bounds"),
        (
            ("volumes", 0),
            {"name": "signing", "secret": {"secretName": "muster-signing"}},
            "payroll sees muster-signing",
        ),
    ],
)
def test_a_pod_that_is_not_guarded_would_be_noticed(where: tuple[Any, ...], value: Any, finding: str) -> None:
    planted = copy.deepcopy(of_kind("Deployment")["payroll"])
    place = planted["spec"]["template"]["spec"]
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value

    assert not_guarded({"payroll": planted}) == [finding]


def test_ports_that_are_allowed_are_ports_that_are_served() -> None:
    served = {
        name: {port["containerPort"] for port in one["spec"]["template"]["spec"]["containers"][0]["ports"]}
        for name, one in {**of_kind("Deployment"), **of_kind("StatefulSet")}.items()
    }
    for name, policy in of_kind("NetworkPolicy").items():
        if name in served:
            admitted = {port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}
            assert admitted <= served[name], name


def test_delivery_alone_reaches_the_world_and_never_a_private_address() -> None:
    wide = {
        name: rule["to"][0]["ipBlock"]["except"]
        for name, policy in of_kind("NetworkPolicy").items()
        for rule in policy["spec"].get("egress", ())
        if rule["to"][0].get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
    }

    assert set(wide) == {"delivery"}
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"} <= set(wide["delivery"])


def test_the_kustomization_lists_every_file() -> None:
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    assert sorted(listed) == sorted(
        path.name for path in BASE.glob("*.yaml") if path.name not in ("kustomization.yaml", "secrets.example.yaml")
    )


def test_overlays_change_what_is_there() -> None:
    names = {(one["kind"], one["metadata"]["name"]) for _, one in kubernetes()}
    for path in sorted((DEPLOY / "kubernetes" / "overlays").glob("*/kustomization.yaml")):
        overlay = yaml.safe_load(path.read_text())
        assert overlay["resources"] == ["../../base"]
        for count in overlay.get("replicas", ()):
            assert ("Deployment", count["name"]) in names, path
        for patch in overlay.get("patches", ()):
            kind, wanted = patch["target"]["kind"], patch["target"].get("name", "")
            for name in wanted.split("|") if wanted else [""]:
                assert any(one == (kind, name) or (not name and one[0] == kind) for one in names), (path, name)
