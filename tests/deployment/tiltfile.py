"""What the Tiltfile tells Tilt, without a Tilt.

Starlark's syntax, as far as our file uses it, is Python's, so Python runs it, with functions that write down what they
are given. Where there is a tilt, a test has that evaluate the file as well (test_tiltfile.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.deployment.kustomization import ROOT, Resource, documents, render


class FailedError(Exception):
    """The file called ``fail``."""


@dataclass
class Evaluation:
    """What was called, by function, in order; and the resources that were handed over."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)

    def called(self, function: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return the arguments of each call of a function."""
        return [(args, options) for name, args, options in self.calls if name == function]

    def groups(self) -> dict[str, dict[str, Any]]:
        """Return the options of every resource that Tilt shows, by its name, in order."""
        found = {}
        for name, args, options in self.calls:
            if name in {"k8s_resource", "local_resource"}:
                found[args[0] if args else options["new_name"]] = options
        return found


def evaluate(*, context: str = "kind-kind", chart: str = "", resources: list[Resource] | None = None) -> Evaluation:
    """Run the Tiltfile in a Kubernetes context of this name; kustomize makes ``resources``, or what it makes.

    Raises:
        FailedError: it refuses.
    """
    result = Evaluation()

    def noted(name: str) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            result.calls.append((name, args, options))
            return (name, args, options)

        return call

    def fail(message: str) -> None:
        raise FailedError(message)

    def k8s_yaml(given: Any) -> None:
        result.resources += documents(ROOT / given) if isinstance(given, str) else yaml.safe_load_all(given[0])

    class Os:
        @staticmethod
        def getenv(name: str, default: str) -> str:
            assert name == "DAPR_CHART"
            return chart or default

    noting = (
        "allow_k8s_contexts",
        "docker_build",
        "fall_back_on",
        "k8s_resource",
        "link",
        "local_resource",
        "port_forward",
        "sync",
    )
    functions: dict[str, Any] = {name: noted(name) for name in noting} | {
        "decode_yaml_stream": lambda resources: resources,
        "encode_yaml_stream": lambda resources: (yaml.safe_dump_all(resources),),  # a blob is not a path
        "fail": fail,
        "k8s_context": lambda: context,
        "k8s_yaml": k8s_yaml,
        "kustomize": lambda folder: resources or render(ROOT / folder),
        "os": Os,
    }
    exec(compile((ROOT / "Tiltfile").read_text(), "Tiltfile", "exec"), functions)  # noqa: S102 (our own file)
    return result
