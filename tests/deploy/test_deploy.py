"""What deploy/ holds is valid by its formats' own rules, and speaks of what Vivant really has.

There is no container engine here: images are not built by these tests.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path
from typing import Any

import click
import compose_spec
import kubernetes_validate
import pytest
import typer
import yaml
from packaging.requirements import Requirement
from prometheus_client import generate_latest

from vivant.api.routes import status
from vivant.cli.main import app
from vivant.settings import Settings, read_settings
from vivant.version import __version__

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = ("1.31", "1.37")
DOCTOR_IGNORES = "DD015,DD022,DD035,DD069,DD078"
"""Variables that only pip needs, pinned apt packages (which vanish from the archive), the shell's
DEBIAN_FRONTEND, a wildcard that is `rm`'s, a version label beside the tag."""

if not DEPLOY.is_dir():  # a source distribution is tested without it
    pytest.skip("deploy/ is not part of this copy", allow_module_level=True)


def check_command(words: list[str]) -> None:
    """Whether the command line takes these words; runs nothing."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command, info_name="vivant")
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, words)
        assert command is not None, name
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(command.name, list(words), parent=context.parent)


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / "k8s").glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield path.name, document


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for file, document in manifests():
        if "template" in document.get("spec", {}):
            yield f"{file}:{document['kind']}", document["spec"]["template"]["spec"]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def settings_of(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings read from these variables; unknown ones and bad values are told."""
    known = {f"VIVANT_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in values if name.startswith("VIVANT_")} <= known
    for name, value in values.items():
        monkeypatch.setenv(name, re.sub(r"\$\{(\w+)[^}]*\}", "x", str(value)))
    return read_settings()


def test_kubernetes_manifests_are_valid() -> None:
    for name, document in manifests():
        if document["kind"] == "Kustomization":
            files = {path.name for path in (DEPLOY / "k8s").glob("*.yaml")}
            assert set(document["resources"]) == files - {name}
            assert {image["newTag"] for image in document["images"]} == {__version__}
            continue
        for version in KUBERNETES:
            kubernetes_validate.validate(document, version, strict=True)


def test_pods_are_confined_and_told_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = next(d["data"] for _, d in manifests() if d["kind"] == "ConfigMap")
    names = {d["metadata"]["name"] for _, d in manifests() if "metadata" in d}
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        (container,) = pod["containers"]
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], name
        assert not security["allowPrivilegeEscalation"], name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert {"requests", "limits"} <= set(container["resources"]), name
        mounted = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == mounted, name
        for volume in pod["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or claim["claimName"] in names
        check_command(container["args"])
        own = {entry["name"]: entry["value"] for entry in container.get("env", ())}
        settings = settings_of({**shared, **own}, monkeypatch)
        if container["args"][0] != "weights":
            assert settings.default_engine in settings.engines
            assert {"livenessProbe", "startupProbe"} <= set(container), name
        if container["args"] == ["worker"]:
            assert pod["terminationGracePeriodSeconds"] >= settings.drain_seconds + 15


def test_compose_is_valid_and_told_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    filled = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{\w+:\?[^}]*\}", "x", text))
    resolved = yaml.safe_dump(yaml.safe_load(filled))  # merge keys are YAML's, not the format's
    compose_spec.PyCompose.from_yaml(resolved).validate()
    found = compose()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    example = (DEPLOY / "compose.env").read_text("utf-8")
    assert asked == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    for name in ("server", "worker", "worker-gpu"):
        service = found["services"][name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["image"].endswith(f":{__version__}")
        check_command(service["command"])
        settings = settings_of(service["environment"], monkeypatch)
        assert settings.objects_options["endpoint"] == "http://s3:8333"
        if service["command"] == ["worker"]:
            grace = float(service["stop_grace_period"].removesuffix("s"))
            assert grace >= settings.drain_seconds + 15
            assert "/data" in service["volumes"]
        build = service["build"]
        assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
        assert f" AS {build['target']}\n" in (DEPLOY / "Dockerfile").read_text("utf-8")
    json.loads(re.sub(r"\$\{[^}]*\}", "x", found["configs"]["s3"]["content"]))
    for service in found["services"].values():
        assert not service["image"].endswith(":latest")


def test_the_image_is_made_of_what_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    stages: set[str] = set()
    for line in lines:
        words = shlex.split(line) if line.startswith(("COPY", "FROM", "USER")) else []
        if words[:1] == ["COPY"] and not words[1].startswith("--from"):
            for source in words[1:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored, source
        if words[:1] == ["FROM"] and words[1] not in stages:
            assert words[1] == "${PYTHON_IMAGE}"
        if words[:1] == ["FROM"]:
            stages.add(words[3])
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    users = [line.split()[1] for line in lines if line.startswith("USER")]
    assert users[-1] == "10001:10001"
    assert lines.count("USER root") == 1  # for the compiler, and given back
    assert sum(line.startswith("HEALTHCHECK") for line in lines) == 1
    commands = [json.loads(line.removeprefix("CMD ")) for line in lines if line.startswith("CMD ")]
    for command in commands:
        check_command(command)
    extras = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"--extra (\w+)", text):
        assert f"\n{extra} = [" in extras
    doctor = Path(sys.executable).with_name("dockerfile-doctor")
    told = subprocess.run(
        [doctor, "--format", "json", "--ignore", DOCTOR_IGNORES, DEPLOY / "Dockerfile"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not [issue for file in json.loads(told.stdout)["files"] for issue in file["issues"]]


def test_images_can_be_pinned_by_digest() -> None:
    script = (DEPLOY / "pin_images.sh").read_text("utf-8")
    pinned = dict(re.findall(r"^    (\w+_IMAGE)=(\S+)", script, re.MULTILINE))
    files = "".join((DEPLOY / name).read_text("utf-8") for name in ("compose.yaml", "Dockerfile"))
    defaults = re.findall(r"\$\{(\w+_IMAGE):-(\S+)\}", files)
    defaults += re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", files, re.MULTILINE)
    assert {"PYTHON_IMAGE", "POSTGRES_IMAGE", "S3_IMAGE"} == set(pinned)
    assert {(name, image) for name, image in defaults} == set(pinned.items())
    assert subprocess.run(["sh", "-n", DEPLOY / "pin_images.sh"], check=False).returncode == 0


def runtime_distributions() -> dict[str, Distribution]:
    """Vivant's dependencies and theirs, without extras, as they are installed here."""
    found: dict[str, Distribution] = {}
    waiting = list(requires("vivant") or ())
    while waiting:
        requirement = Requirement(waiting.pop())
        name = requirement.name.lower()
        extras = list(requirement.extras) or [""]
        if name in found or "extra ==" in str(requirement.marker):
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            found[name] = distribution(name)
            for line in found[name].requires or ():
                inner = Requirement(line)
                if inner.marker is None:
                    waiting.append(line)
                elif any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                    waiting.append(f"{inner.name}[{','.join(inner.extras)}]")
    return found


def test_the_notice_names_every_library_inside_the_wheels() -> None:
    if sys.platform != "linux":
        pytest.skip("NOTICE lists the wheels for Linux")
    notice = (ROOT / "NOTICE").read_text("utf-8")
    found = runtime_distributions()
    assert {"av", "psycopg-binary", "pi-heif"} <= set(found)
    for name, wheel in found.items():
        meta = wheel.metadata
        licence = "".join(meta.get_all("License-Expression") or meta.get_all("License") or ())[:80]
        bundled = {
            re.split(r"[-.\d]", file.name)[0]
            for file in wheel.files or ()
            if ".libs/" in str(file) and ".so" in file.name
        }
        if bundled or "GPL" in licence or "MPL" in licence:
            assert name in notice, name
        for library in bundled:
            assert library.rstrip("_") in notice, f"{name}: {library}"


def test_the_health_check_says_who_is_well(tmp_path: Path) -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    found = re.search(r"\n    CMD (\[\"sh\".*)\n", text)
    assert found is not None
    shell = json.loads(found[1])[2].replace("/data", str(tmp_path)).replace(":8000", ":1")
    assert subprocess.run(["sh", "-c", shell], check=False).returncode != 0
    slots = tmp_path / "service" / "slots"
    slots.mkdir(parents=True)
    (slots / "slot-0.beat").touch()
    assert subprocess.run(["sh", "-c", shell], check=False).returncode == 0


def test_the_dashboard_and_the_alerts_ask_for_what_is_told() -> None:
    status.REQUESTS.labels("GET", "/x", "200").inc(0)
    status.SECONDS.labels("/x").observe(0)
    status.JOBS.labels("queued").set(0)
    status.ABLE.labels("fake").set(0)
    told = generate_latest(status.REGISTRY).decode()
    names = {re.split(r"[{ ]", line)[0] for line in told.splitlines() if line[:1] != "#"}
    dashboard = json.loads((DEPLOY / "grafana" / "vivant.json").read_text("utf-8"))
    alerts = yaml.safe_load((DEPLOY / "grafana" / "alerts.yml").read_text("utf-8"))
    asked = [t["expr"] for panel in dashboard["panels"] for t in panel["targets"]]
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    used = {name for text in asked for name in re.findall(r"\bvivant_\w+", text)}
    assert used <= names
    assert {n for n in names if not n.endswith(("_created", "_sum", "_count"))} == used
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for text in asked:
        assert text.count("(") == text.count(")")
        for labels in re.findall(r"\{([^}]*)\}", text):
            assert set(re.findall(r"(\w+)=", labels)) <= {"job", "status", "engine", "route"}


def documented() -> Iterator[str]:
    """Command lines of docs/cluster.md that start with vivant, within containers or not."""
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.search(
                r"(?:^|-- |server |exec )(vivant .*|keys add .*)", line.split(" #")[0]
            )
            if found:
                yield found[1].split(" | ")[0].split(" > ")[0]


def test_documented_commands_and_files_exist() -> None:
    lines = list(documented())
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line.replace("…", "x"))
        check_command(words[1:] if words[0] == "vivant" else words)
    text = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    for path in re.findall(r"(?<![\w/])((?:deploy|docs|bench|tests)/[\w./-]*\w)", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"\bVIVANT_[A-Z_]+", text):
        assert name.removeprefix("VIVANT_").lower() in Settings.model_fields, name
