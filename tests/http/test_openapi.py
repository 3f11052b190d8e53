"""The document under /openapi.json: complete, and kept to."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.python import asgi
from schemathesis.schemas import BaseSchema

from multi_actor.actors.responder import TemplateResponder
from multi_actor.app import create_app
from multi_actor.hosting.embedded import EmbeddedHost
from multi_actor.hosting.stores import SqliteStore
from multi_actor.settings import Settings

ROUTES = {
    ("post", "/chat/{actor_id}"): {"400", "413", "422", "500", "503"},
    ("get", "/chat/{actor_id}/history"): {"422", "500", "503"},
    ("get", "/response/{actor_id}/count"): {"422", "500", "503"},
    ("get", "/memory/{actor_id}"): {"422", "500", "503"},
    ("get", "/sentiment/{actor_id}"): {"422", "500", "503"},
    ("get", "/log/{actor_id}"): {"422", "500", "503"},
    ("post", "/subscribe"): {"401", "413", "500", "503"},
    ("post", "/dead-letter"): {"401", "413", "500", "503"},
    ("get", "/dapr/config"): {"401", "500", "503"},
    ("get", "/healthz"): {"500"},
    ("get", "/readyz"): {"503"},
    ("get", "/metadata"): {"500", "503"},
}


@pytest.fixture
def api() -> Iterator[BaseSchema]:
    """The application's own document, and the application to try it on."""
    app = create_app(
        Settings(state_file=":memory:", log_level="CRITICAL"),
        EmbeddedHost(SqliteStore(":memory:")),
        TemplateResponder(),
    )
    yield schemathesis.openapi.from_asgi("/openapi.json", app)
    asgi.shutdown_lifespans()


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_the_service_keeps_to_its_document(api: BaseSchema, method: str, path: str, mode: GenerationMode) -> None:
    """Whatever is sent, the status, the headers and the body of the answer are documented, and none is a 500."""

    @settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    def conforms(case: schemathesis.Case[Any]) -> None:
        answer = case.call()
        if "used with another body" not in answer.text:  # the document cannot say which keys came before
            case.validate_response(answer)

    with contextlib.suppress(Unsatisfiable):  # a route that takes nothing has no wrong input
        conforms()


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    described: dict[str, Any] = (await client.get("/openapi.json")).json()
    return described


async def test_the_document_has_the_title_of_the_service(document: dict[str, Any]) -> None:
    """It is MultiAgentService."""
    assert document["info"]["title"] == "MultiAgentService"


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_is_described(document: dict[str, Any], method: str, path: str) -> None:
    """Summary, description and the errors that it answers with, each described in the shape of every error."""
    operation = document["paths"][path][method]
    assert operation["summary"]
    assert operation["description"]
    assert ROUTES[method, path] <= set(operation["responses"])
    for status, response in operation["responses"].items():
        assert response["description"]
        if status != "200":
            reference = response["content"]["application/json"]["schema"]["$ref"]
            name = reference.rsplit("/", 1)[-1]
            assert set(document["components"]["schemas"][name]["properties"]) == {"detail"}


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_has_examples(document: dict[str, Any], method: str, path: str) -> None:
    """One of what goes in, where something does, and one of what comes out."""
    operation = document["paths"][path][method]
    for parameter in operation.get("parameters", []):
        assert examples_of(document, parameter), parameter["name"]
    for body in operation.get("requestBody", {}).get("content", {}).values():
        assert examples_of(document, body)
    answer = operation["responses"]["200"]["content"]["application/json"]
    assert examples_of(document, answer)


def examples_of(document: dict[str, Any], place: dict[str, Any]) -> Any:
    """Return the examples given here, or with the schema that is named here."""
    schema = place.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return next(
        (p[name] for p in (place, schema) for name in ("example", "examples") if p.get(name)),
        None,
    )


async def test_no_route_is_undocumented(document: dict[str, Any]) -> None:
    """The document holds the routes of the contract, and no other."""
    described = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert described == set(ROUTES)
