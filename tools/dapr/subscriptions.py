"""Writes the Subscription manifests of a program's agents: ``python -m tools.dapr.subscriptions PACKAGE.MODULE:NAME``.

NAME is an async function that takes a runtime, and registers agents and subscriptions with it, as the program itself
would have it called. What is written are the topics that its ``DaprAgentRuntime`` would subscribe to.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from pkgutil import resolve_name
from typing import Any

import yaml

from multi_actor.contracts import APP_ID, PUBSUB
from multi_actor.hosting.dapr import DaprHost
from multi_actor.hosting.sidecar import SidecarAddress
from multi_actor.messaging import AgentRuntime, DaprAgentRuntime
from multi_actor.sidecar_app import subscriptions_to

Register = Callable[[AgentRuntime], Awaitable[object]]


async def topics_of(register: Register) -> tuple[str, ...]:
    """Return the Dapr topics that the agents need which ``register`` registers."""
    host = DaprHost(SidecarAddress("http://127.0.0.1"))  # which is never asked: the host is not entered
    runtime = DaprAgentRuntime(host)
    await register(runtime)
    await runtime.join()
    return host.topics


def manifests(topics: Iterable[str], *, app_id: str = APP_ID, pubsub: str = PUBSUB) -> list[dict[str, Any]]:
    """Return two Subscription resources for each topic: its own, and that of its dead letters.

    https://docs.dapr.io/reference/resource-specs/subscription-schema/
    """
    head = {"apiVersion": "dapr.io/v2alpha1", "kind": "Subscription"}
    return [
        {**head, "metadata": {"name": _resource_name(spec["topic"])}, "spec": spec, "scopes": [app_id]}
        for topic in topics
        for spec in subscriptions_to(topic, pubsub=pubsub)
    ]


def _resource_name(topic: str) -> str:
    """Return a name as Kubernetes takes it: lower-case letters, digits and hyphens, no two alike for two topics.

    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
    """
    plain = {*"abcdefghijklmnopqrstuvwyz0123456789-"}  # x stands before the code of each other one
    letters = (letter if letter in plain else f"x{ord(letter):x}x" for letter in topic)
    return f"to-{''.join(letters)}-subscription"


def main() -> None:
    """Print the manifests."""
    assert __doc__ is not None  # noqa: S101  # not run with -OO
    parser = argparse.ArgumentParser(prog="python -m tools.dapr.subscriptions", description=__doc__)
    parser.add_argument("register", help="PACKAGE.MODULE:NAME", metavar="PACKAGE.MODULE:NAME")
    parser.add_argument("--app-id", default=APP_ID)
    parser.add_argument("--pubsub", default=PUBSUB)
    options = parser.parse_args()
    topics = asyncio.run(topics_of(resolve_name(options.register)))
    written = manifests(topics, app_id=options.app_id, pubsub=options.pubsub)
    sys.stdout.write(yaml.safe_dump_all(written, sort_keys=False))


if __name__ == "__main__":
    main()
