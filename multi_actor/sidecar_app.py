"""The application of a program that hosts actors or agents beside a sidecar, without this service's routes."""

import logging
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from multi_actor.callbacks import CONFIG, HEALTH, ActorCallbacks, Called, actor_config
from multi_actor.deadlines import TimeLimit
from multi_actor.edge import SIDECAR_BODY_BYTES, Edge
from multi_actor.hosting.abc import CloudEvent, Delivery
from multi_actor.serialization import write_json
from multi_actor.subscriptions import read_envelope

_log = logging.getLogger(__name__)
SUBSCRIBE = "/subscribe"
DEAD_LETTER = "/dead-letter"


class Subscribed(Called, Protocol):
    """A host that a sidecar brings actor calls and events."""

    pubsub: str
    """The name of the broker's component."""

    @property
    def topics(self) -> Collection[str]:
        """The topics that somebody here subscribes to."""

    async def deliver(self, event: CloudEvent) -> Delivery:
        """Hand an event to every subscriber of its topic."""

    async def bury(self, event: CloudEvent) -> Delivery:
        """Hand a dead letter to those who take them for its topic."""


def dead_letter_topic(topic: str) -> str:
    """Return the topic that gets what a topic's subscribers gave up."""
    return f"{topic}-dead-letter"


def sidecar_app(
    host: Subscribed,
    *,
    token: str | None = None,
    seconds: float = 60.0,
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None,
) -> ASGIApp:
    """Return an application that answers a sidecar: actors, topics, configuration and health.

    The sidecar is told the host's topics, each with its dead letter topic, so there need be no manifests of
    subscriptions; where there are, either will do. With ``token`` (``APP_API_TOKEN``) whoever does not bring it gets
    a 401. A request takes ``seconds`` at most: more than a turn may.

    Enter the host, or the agents' runtime, in ``lifespan``: the server listens, and the sidecar asks, after that.
    """

    async def config(_: Request) -> Response:
        return Response(actor_config(), media_type="application/json")

    async def topics(_: Request) -> Response:
        return _json([each for topic in host.topics for each in subscriptions_to(topic, pubsub=host.pubsub)])

    async def healthz(_: Request) -> Response:
        return _json({"status": "ok"})

    def events(take: Callable[[CloudEvent], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            event = read_envelope(await request.body())
            if event is None:
                _log.warning("what came to %s dropped: it is no event", request.url.path)
            return _json({"status": Delivery.DROP if event is None else await take(event)})

        return answer

    routes = [
        Route(CONFIG, config),
        Route("/dapr/subscribe", topics),
        Route(HEALTH, healthz),
        Route(SUBSCRIBE, events(host.deliver), methods=["POST"]),
        Route(DEAD_LETTER, events(host.bury), methods=["POST"]),
    ]
    app = ActorCallbacks(Starlette(routes=routes, lifespan=lifespan), host=host)
    return Edge(app, max_body_bytes=SIDECAR_BODY_BYTES, time=TimeLimit(seconds), token=token)


def subscriptions_to(topic: str, *, pubsub: str) -> list[dict[str, Any]]:
    """Return what the sidecar is to be told of a topic, and of its dead letters.

    https://docs.dapr.io/developing-applications/building-blocks/pubsub/subscription-methods/#programmatic-subscriptions
    """
    dead = dead_letter_topic(topic)
    return [
        {"pubsubname": pubsub, "topic": topic, "routes": {"default": SUBSCRIBE}, "deadLetterTopic": dead},
        {"pubsubname": pubsub, "topic": dead, "routes": {"default": DEAD_LETTER}},
    ]


def _json(value: object) -> Response:
    return Response(write_json(value), media_type="application/json")
