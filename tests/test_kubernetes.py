"""The Kubernetes manifests as text: what can be known of them without a cluster."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from jobs.services.heartbeats import Role

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "deploy" / "kubernetes"
ROLES = ("web", "worker", "beat")
FROM_THE_SECRET = {"DATABASE_URL", "REDIS_URL", "REPLICATE_API_TOKEN", "SIMPLETUNER_SECRET_KEY"}
# Who may use it, once it can be reached from elsewhere.
ACCESS = "SIMPLETUNER_ACCESS"

Manifest = dict[str, Any]


def manifests() -> Iterator[Manifest]:
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


def of(kind: str, name: str) -> Manifest:
    (found,) = [m for m in manifests() if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def pods() -> dict[str, Manifest]:
    """The pod specifications by the name of what makes them."""
    made = [m for m in manifests() if m["kind"] in ("Deployment", "Job")]
    return {m["metadata"]["name"]: m["spec"]["template"] for m in made}


def containers() -> list[tuple[str, Manifest]]:
    return [
        (name, container)
        for name, template in pods().items()
        for container in (*template["spec"]["containers"], *template["spec"].get("initContainers", ()))
    ]


def compose() -> Manifest:
    services: Manifest = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return services


def test_everything_is_listed_and_has_a_name_of_its_own() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(listed["resources"]) == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    names = [(m["kind"], m["metadata"]["name"]) for m in manifests()]
    assert len(names) == len(set(names))
    assert {image["name"] for image in listed["images"]} == {container["image"] for _, container in containers()}


def test_what_points_to_something_points_to_what_is_there() -> None:
    labels = {name: template["metadata"]["labels"]["app.kubernetes.io/name"] for name, template in pods().items()}
    assert all(name == label for name, label in labels.items())
    for role in ROLES:
        selector = of("Deployment", role)["spec"]["selector"]["matchLabels"]
        assert selector == {"app.kubernetes.io/name": role}
    selectors = [m["spec"]["selector"] for m in manifests() if m["kind"] in ("Service", "PodDisruptionBudget")]
    selectors += [m["spec"]["podSelector"] for m in manifests() if m["kind"] == "NetworkPolicy"]
    for selector in selectors:
        wanted = selector.get("matchLabels", selector).get("app.kubernetes.io/name")
        assert wanted is None or wanted in labels
    target = of("HorizontalPodAutoscaler", "web")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "web")
    for path in of("Ingress", "web")["spec"]["rules"][0]["http"]["paths"]:
        service = of("Service", path["backend"]["service"]["name"])
        assert path["backend"]["service"]["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
        ports = {port["name"] for port in of("Deployment", "web")["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for name, container in containers():
        volumes = {volume["name"] for volume in pods()[name]["spec"]["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def test_every_setting_exists_and_no_secret_is_written_down() -> None:
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    config = of("ConfigMap", "simpletuner")["data"]
    assert set(config) <= documented
    assert documented >= FROM_THE_SECRET
    assert not FROM_THE_SECRET & set(config)
    assert not [m for m in manifests() if m["kind"] == "Secret"]
    for name, container in containers():
        assert {kind for source in container["envFrom"] for kind in source} == {"configMapRef", "secretRef"}, name
        assert all(source[kind]["name"] == "simpletuner" for source in container["envFrom"] for kind in source)
        assert {variable["name"] for variable in container.get("env", ())} <= {"SIMPLETUNER_PROCESS"}
    read_me = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"--from-literal={name}=" in read_me for name in FROM_THE_SECRET)


def test_reachable_from_elsewhere_it_asks_who_is_there() -> None:
    config = of("ConfigMap", "simpletuner")["data"]
    assert config["SIMPLETUNER_HOST"] == "0.0.0.0"
    assert config[ACCESS] == "accounts"


@pytest.mark.django_db
def test_probes_ask_for_what_is_there(client: Client) -> None:
    (web,) = pods()["web"]["spec"]["containers"]
    (port,) = web["ports"]
    assert str(port["containerPort"]) == of("ConfigMap", "simpletuner")["data"]["SIMPLETUNER_PORT"]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = web[kind]["httpGet"]
        (host,) = probe["httpHeaders"]
        assert (probe["port"], host["name"]) == (port["name"], "Host")
        assert client.get(probe["path"], headers={"host": host["value"]}).status_code == 200
    assert web["livenessProbe"]["httpGet"]["path"].endswith("/live"), "a database that is away restarts nothing"
    assert web["readinessProbe"]["httpGet"]["path"].endswith("/ready")
    for role in (Role.WORKER, Role.BEAT):
        (container,) = pods()[role]["spec"]["containers"]
        assert container["livenessProbe"]["exec"]["command"] == ["python", "manage.py", "heartbeat", role]


def test_each_role_is_started_as_docker_compose_starts_it() -> None:
    for role in ROLES:
        (container,) = pods()[role]["spec"]["containers"]
        assert container["command"] == compose()[role]["command"], role
        grace = pods()[role]["spec"]["terminationGracePeriodSeconds"]
        assert grace >= int(compose()[role].get("stop_grace_period", "10s").removesuffix("s"))
    assert pods()["migrate"]["spec"]["containers"][0]["command"] == compose()["prepare"]["command"]


def test_nothing_runs_with_more_rights_or_less_memory_than_it_needs() -> None:
    measured_mb = {"web": 94, "worker": 89, "beat": 83, "migrate": 89}
    for name, container in containers():
        security = container["securityContext"]
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"]
        assert not security["allowPrivilegeEscalation"]
        assert pods()[name]["spec"]["securityContext"]["runAsNonRoot"]
        assert pods()[name]["spec"]["automountServiceAccountToken"] is False
        sizes = {kind: int(amount["memory"].removesuffix("Mi")) for kind, amount in container["resources"].items()}
        assert measured_mb[name] < sizes["requests"] < sizes["limits"]
    assert "useradd --system --uid 10001" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert {template["spec"]["securityContext"]["runAsUser"] for template in pods().values()} == {10001}


def test_events_are_not_held_back_and_whole_webhooks_get_in() -> None:
    annotations = of("Ingress", "web")["metadata"]["annotations"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "25m"


def test_only_the_ingress_controller_comes_in_and_nothing_inside_is_reached_over_https() -> None:
    closed = of("NetworkPolicy", "nothing-comes-in")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress"]}
    coming = [m for m in manifests() if m["kind"] == "NetworkPolicy" and "ingress" in m["spec"]]
    assert [m["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for m in coming] == ["web"]
    out = of("NetworkPolicy", "what-goes-out")["spec"]["egress"]
    (block,) = [place["ipBlock"] for rule in out for place in rule.get("to", ()) if "ipBlock" in place]
    assert "169.254.0.0/16" in block["except"]
