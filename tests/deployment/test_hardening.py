"""No container can do more than its work asks for."""

import pytest

from tests.deployment.kustomization import Key, annotations, container, dashboard, everything, pod

WORKLOADS = [key for key, resource in (everything() | dashboard()).items() if "template" in resource.get("spec", {})]
OURS = [key for key in WORKLOADS if key in everything()]


def test_there_are_three_workloads() -> None:
    """The application, Redis and the dashboard: the tests below look at each."""
    assert sorted(WORKLOADS) == [
        ("Deployment", "dapr-dashboard"),
        ("Deployment", "multi-actor"),
        ("StatefulSet", "redis-master"),
    ]


@pytest.mark.parametrize("key", WORKLOADS, ids="/".join)
def test_it_meets_the_restricted_standard(key: Key) -> None:
    """As https://kubernetes.io/docs/concepts/security/pod-security-standards/ has it, and nothing is written to it."""
    assert pod(key)["securityContext"]["runAsNonRoot"] is True
    assert pod(key)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container(key)["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {**pod(key)["securityContext"], **context}["runAsUser"] > 0
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(key))


@pytest.mark.parametrize("key", WORKLOADS, ids="/".join)
def test_it_says_what_it_needs(key: Key) -> None:
    """Processor and memory, asked for and limited."""
    for part in ("requests", "limits"):
        assert set(container(key)["resources"][part]) == {"cpu", "memory"}


def test_the_sidecar_says_what_it_needs() -> None:
    """The same for what the injector adds."""
    for name in ("cpu-request", "cpu-limit", "memory-request", "memory-limit"):
        assert annotations()[f"sidecar-{name}"]
    assert annotations()["sidecar-seccomp-profile-type"] == "RuntimeDefault"


@pytest.mark.parametrize("key", WORKLOADS, ids="/".join)
def test_its_image_is_pinned(key: Key) -> None:
    """A tag, and not one that means whatever is newest."""
    _, _, tag = container(key)["image"].rpartition(":")
    assert any(character.isdigit() for character in tag)


@pytest.mark.parametrize("key", OURS, ids="/".join)
def test_it_has_no_key_to_the_cluster(key: Key) -> None:
    """No pod of ours talks to Kubernetes, so none has a token for it."""
    assert pod(key)["automountServiceAccountToken"] is False
    if "serviceAccountName" in pod(key):
        account = everything()["ServiceAccount", pod(key)["serviceAccountName"]]
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize("key", OURS, ids="/".join)
def test_a_policy_covers_its_network(key: Key) -> None:
    """Both directions are closed but for what is named."""
    labels = everything()[key]["spec"]["template"]["metadata"]["labels"]
    policies = [resource["spec"] for (kind, _), resource in everything().items() if kind == "NetworkPolicy"]
    (policy,) = [spec for spec in policies if spec["podSelector"]["matchLabels"].items() <= labels.items()]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
