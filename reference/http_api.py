"""The page of the HTTP API, from the servers' own OpenAPI documents."""

from typing import Any

import serve.openapi
import web.openapi
from reference.markdown import code, prose, table
from serve.settings import ServingSettings

Json = dict[str, Any]  # Any: a part of an OpenAPI document, of any depth


def http_api() -> str:
    """The routes of each kind of server, and the schemas of bodies and answers."""
    largest = ServingSettings().max_payload_mb
    single = serve.openapi.document(False, largest)
    multi = serve.openapi.document(True, largest)
    page = web.openapi.document()
    own = {path: multi["paths"][path] for path in multi["paths"].keys() - single["paths"].keys()}
    schemas = single["components"]["schemas"] | page["components"]["schemas"]
    return f"""# HTTP API

A server answers `GET /openapi.json` with this description as an OpenAPI document. Every refusal is
one JSON sentence that says what to send instead: `{{"error": "…"}}`.

## A server with one model

{_routes(single["paths"])}

## A multi-model server

A multi-model server has `/ping`, `/metrics`, `/openapi.json` and these routes.

{_routes(own)}

## The page

A server with `SLIPWAY_PAGE=true` has these routes, too. On AWS they stand behind an HTTP API.

{_routes(page["paths"])}

## Bodies and answers

{_schemas(schemas)}
"""


def _routes(paths: Json) -> str:
    parts = []
    for path, methods in sorted(paths.items()):
        for method, operation in methods.items():
            if method != "parameters":
                parts.append(_route(f"{method.upper()} {path}", operation))
    return "\n\n".join(parts)


def _route(title: str, operation: Json) -> str:
    parts = [f"### `{title}`", _sentence(operation["summary"])]
    if "description" in operation:
        parts.append(prose(operation["description"]))
    parameters = [
        (code(entry["name"]), entry["in"], _parameter(entry))
        for entry in operation.get("parameters", [])
    ]
    if parameters:
        parts.append(table(("parameter", "where", "what it is"), parameters))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        bodies = [(code(kind), _type(body.get("schema", {}))) for kind, body in content.items()]
        parts.append(table(("Content-Type", "body"), bodies))
    answers = [
        (code(status), prose(answer["description"]), _kinds(answer.get("content", {})))
        for status, answer in sorted(operation["responses"].items())
    ]
    parts.append(table(("status", "meaning", "answer"), answers))
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    return prose(text if text.endswith("?") else f"{text}.")


def _parameter(entry: Json) -> str:
    parts = (_type(entry["schema"]), prose(entry.get("description", "")))
    return ". ".join(part for part in parts if part)


def _kinds(content: Json) -> str:
    shown = []
    for kind, body in content.items():
        form = _type(body.get("schema", {}))
        shown.append(f"{code(kind)} {form}" if "](" in form else code(kind))
    return ", ".join(shown)


def _type(schema: Json) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "const" in schema:
        return code(schema["const"])
    if schema.get("format") == "binary":
        return "the file's bytes"
    if schema.get("type") == "array":
        return f"a list of {_type(schema['items'])}"
    if schema.get("type") == "object" and schema.get("properties"):
        fields = ", ".join(code(name) for name in schema["properties"])
        return f"an object with {fields}"
    words = prose(schema.get("description", ""))
    bounds = _bounds(schema)
    kind = schema.get("type", "")
    plain = ", ".join(part for part in (kind, bounds) if part)
    return ". ".join(part for part in (plain, words) if part)


def _bounds(schema: Json) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    if "pattern" in schema:
        return code(schema["pattern"])
    return ""


def _schemas(schemas: Json) -> str:
    parts = []
    for name, schema in sorted(schemas.items()):
        parts.append(f"### {name}")
        if "properties" not in schema:
            parts.append(f"{_type(schema)}.".replace("an object", "An object", 1))
            continue
        needed = schema.get("required", [])
        rows = [
            (code(field), "always" if field in needed else "", _type(part))
            for field, part in schema["properties"].items()
        ]
        parts.append(table(("field", "there", "what it is"), rows))
    return "\n\n".join(parts)
