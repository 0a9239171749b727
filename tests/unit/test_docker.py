"""The Dockerfile and the compose file: linted, valid, whole, and true to the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from consumer.config import Settings
from consumer.sandbox.sample import SECRET
from consumer.sandbox.services.containers import KAFKA_IMAGE, POSTGRES_IMAGE
from consumer.sandbox.services.processes import free_port
from consumer.sandbox.up import TOPICS
from consumer.sandbox.xero.__main__ import _parser as xero_options
from tests.unit.deploying import DEPLOY, PREFIX, ROOT, load, parse
from tests.unit.test_kubernetes import SERVICE, of_kind, templates

Json = dict[str, Any]

SCRIPTS = Path(sysconfig.get_path("scripts"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
SERVICES: Json = yaml.safe_load(COMPOSE)["services"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGE = f"lago-xero:{PROJECT['version']}"
OURS = [name for name, one in SERVICES.items() if one["image"].startswith("lago-xero:")]


def said(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="no hadolint there")
def test_hadolint_finds_nothing() -> None:
    command = [f"{SCRIPTS}/hadolint", "--failure-threshold", "style", f"{DEPLOY}/Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [
        source
        for line in said("COPY")
        if not line.startswith("--from")
        for source in line.split()[:-1]
    ]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    let_in = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(let_in) == sorted(copied)


def test_one_python_throughout() -> None:
    (first, *others) = [line.split()[0] for line in said("FROM")]
    assert set(others) == {first}
    minor = first.removeprefix("python:").partition("-")[0]
    assert re.findall(r"/lib/python([\d.]+)/", DOCKERFILE) == [minor]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert tuple(map(int, minor.split("."))) >= tuple(map(int, oldest.split(".")))


def test_the_wheel_is_built_by_a_locked_setuptools() -> None:
    (script,) = re.findall(r"sed -n '(.*?)' requirements-dev.lock", DOCKERFILE)
    command = ["sed", "-n", script, f"{ROOT}/requirements-dev.lock"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].startswith("setuptools==")
    assert len(lines) > 1
    assert all(line.startswith("    --hash=sha256:") for line in lines[1:])


def test_the_image_runs_the_program_as_kubernetes_does() -> None:
    assert said("ENTRYPOINT") == ['["lago-xero"]']
    assert "lago-xero" in PROJECT["scripts"]
    ((*_, command),) = [line.partition("CMD ") for line in said("HEALTHCHECK")]
    parse(json.loads(command)[1:])
    parse(json.loads(said("CMD")[0]))
    (user,) = said("USER")
    assert said("EXPOSE") == [str(Settings.model_fields["http_port"].default)]
    for _, template in templates("base"):
        security = template["spec"]["securityContext"]
        assert user == f"{security['runAsUser']}:{security['runAsGroup']}"


def test_the_program_needs_no_home_and_no_directory_of_its_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    command = [f"{SCRIPTS}/lago-xero", "healthcheck", "--port", str(free_port())]
    done = subprocess.run(
        command, env={}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Nothing answers on port")
    assert list(tmp_path.iterdir()) == []


def test_every_place_names_this_version() -> None:
    images = {
        container["image"].rpartition("/")[2]
        for name in ("base", "overlays/trial", "overlays/production")
        for _, template in templates(name)
        for container in template["spec"]["containers"]
    }
    assert images == {IMAGE}
    assert {SERVICES[name]["image"] for name in OURS} == {IMAGE}
    assert re.findall(r"-t (\S+)", DOCKERFILE) == [IMAGE]


def test_compose_is_of_its_specification() -> None:
    # It does not know YAML's merge keys.
    PyCompose.from_json(json.dumps(yaml.safe_load(COMPOSE))).validate()


def mounted(service: str) -> dict[str, Path]:
    """Path in the container → where it is here, of what is no volume of Docker's."""
    volumes = [volume.split(":") for volume in SERVICES[service].get("volumes", ())]
    return {target: DEPLOY / source for source, target, *_ in volumes if source.startswith(".")}


def test_what_compose_builds_from_and_mounts_is_there() -> None:
    builds = [one["build"] for one in SERVICES.values() if "build" in one]
    contexts = [(DEPLOY / build["context"]).resolve() for build in builds]
    assert set(contexts) == {ROOT}
    assert {ROOT / build["dockerfile"] for build in builds} == {DEPLOY / "Dockerfile"}
    mounts = [path for name in SERVICES for path in mounted(name).values()]
    assert len(mounts) == 4
    assert [path for path in mounts if not path.exists()] == []


def test_prometheus_and_grafana_read_what_is_mounted() -> None:
    there = mounted("prometheus")
    config = "/etc/prometheus/prometheus.yml"  # the image's default
    for rules in yaml.safe_load(there[config].read_text())["rule_files"]:
        folder, _, files = f"/etc/prometheus/{rules}".rpartition("/")
        assert list(there[folder].glob(files)), rules
    there = mounted("grafana")
    provisioning = there["/etc/grafana/provisioning"]
    for provider in provisioning.glob("dashboards/*.yml"):
        for one in yaml.safe_load(provider.read_text())["providers"]:
            assert list(there[one["options"]["path"]].glob("*.json")), provider
    for sources in provisioning.glob("datasources/*.yml"):
        for one in yaml.safe_load(sources.read_text())["datasources"]:
            assert re.fullmatch(r"http://([^:/]+):\d+", one["url"])[1] in SERVICES  # type: ignore[index]


def test_compose_waits_for_services_that_can_get_there() -> None:
    for name, one in SERVICES.items():
        waited = one.get("depends_on", {})
        for other, how in waited.items() if isinstance(waited, dict) else ():
            if how["condition"] == "service_healthy":
                assert SERVICES[other].get("healthcheck", {}).get("test"), (name, other)
            else:
                assert "restart" not in SERVICES[other], (name, other)


@pytest.mark.parametrize("name", [name for name in OURS if name != "xero"])
def test_composes_settings_are_ours(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = SERVICES[name]["environment"]
    ours = {k: v for k, v in environment.items() if k.startswith(PREFIX)}
    assert environment.keys() - ours.keys() <= {SECRET}
    load(monkeypatch, tmp_path, ours)


def test_composes_commands_are_the_programs() -> None:
    commands = [SERVICES[name]["command"] for name in OURS if "entrypoint" not in SERVICES[name]]
    shell = " ".join(SERVICES["connect"]["command"])
    commands += [words.split() for words in re.findall(r"lago-xero (apply .*)", shell)]
    commands += [words.split() for words in re.findall(r"exec lago-xero lago-xero (.*)", COMPOSE)]
    assert len(commands) == 5
    for words in commands:
        parse(words)


def test_composes_modules_are_there_and_take_their_options() -> None:
    xero = SERVICES["xero"]
    assert xero["entrypoint"] == ["python", "-m", "consumer.sandbox.xero"]
    options = xero_options().parse_args(xero["command"])
    assert xero["ports"] == [f"127.0.0.1:{options.port}:{options.port}"]
    for module in re.findall(r"python -m (\S+)", " ".join(SERVICES["connect"]["command"])):
        assert find_spec(module), module


def test_compose_and_the_sandbox_have_the_same_services_and_topics() -> None:
    assert SERVICES["kafka"]["image"] == SERVICES["topics"]["image"] == KAFKA_IMAGE
    assert SERVICES["postgres"]["image"] == POSTGRES_IMAGE
    created = re.findall(
        r"--topic (\S+) --partitions (\d+)", " ".join(SERVICES["topics"]["command"])
    )
    assert {topic: int(partitions) for topic, partitions in created} == TOPICS


def test_compose_gives_the_same_time_to_stop() -> None:
    pod = of_kind("base", SERVICE)["spec"]["template"]["spec"]
    assert SERVICES["lago-xero"]["stop_grace_period"] == f"{pod['terminationGracePeriodSeconds']}s"
