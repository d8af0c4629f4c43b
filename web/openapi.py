"""The page's routes as an OpenAPI document."""

from typing import Any

from artifact.photos.kinds import KINDS
from web.exchange import JSON_TYPE
from web.legacy_yoga_api import FIELDS
from web.photos import FORM_TYPE, MAX_TOP_K

ERRORS = {
    400: "The request is not what it should be",
    401: "A key or token is needed",
    413: "The photo is too large",
    415: "No photo, or of a kind that is not taken",
    422: "The photo cannot be decoded",
    429: "Too many requests",
    502: "The endpoint failed",
    503: "The endpoint is starting, updating or busy; see Retry-After",
}
NONE = {404: "There are no samples"}
ACCESS = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "Where the API was deployed with a key",
    },
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Where it was deployed with a token's issuer",
    },
}

Json = dict[str, Any]  # Any: a part of an OpenAPI document, of any depth


def document() -> Json:
    """The whole document.

    Its paths and schemas have other names than those of /invocations: one server may show both.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Slipway's page",
            "version": "1",
            "description": "A photo to labels with probabilities.",
        },
        "paths": paths(),
        "security": [{}, {"key": []}, {"token": []}],
        "components": {"schemas": SCHEMAS, "securitySchemes": ACCESS},
    }


def paths() -> Json:
    """The routes, by path and method."""
    page = {"get": {"summary": "The page", "responses": {"200": _content("HTML", "text/html")}}}
    this = {"description": "This document", "content": {JSON_TYPE: {"schema": {"type": "object"}}}}
    return {
        "/": page,
        "/classify": {"post": _classify()},
        "/answer": {"post": _answer()},
        "/saliency": {"post": _saliency()},
        "/sample": {
            "get": {
                "summary": "A random photo of the validation set",
                "responses": {
                    "200": _json("A photo and its label", "WebSample"),
                    **_errors(401, 404, 429, 502, 503),
                },
            }
        },
        "/labels": {
            "get": {
                "summary": "All labels",
                "responses": {"200": _json("Labels", "WebLabels"), **_errors(401, 429, 502, 503)},
            }
        },
        "/healthz": {
            "get": {
                "summary": "Can the model answer?",
                "responses": {"200": _json("Yes", "WebHealth"), **_errors(429, 502, 503)},
            }
        },
        "/openapi.json": {"get": {"summary": "This document", "responses": {"200": this}}},
        "/getyogaapp": {**page, "post": _yoga()},
    }


def _yoga() -> Json:
    return {
        "summary": "The contract of an older API: always 200, failures stand in `exception`",
        "requestBody": {
            "required": True,
            "content": {JSON_TYPE: {"schema": _ref("WebOldRequest")}},
        },
        "responses": {"200": _json("Six fields", "WebOldAnswer"), **_errors(401, 429)},
    }


def _classify() -> Json:
    photo = {"schema": _FILE}
    form = {
        "schema": {
            "type": "object",
            "required": ["photo"],
            "properties": {"photo": _FILE, "top_k": _TOP_K},
        }
    }
    content = {
        **{kind.media_types[0]: photo for kind in KINDS},
        FORM_TYPE: form,
        JSON_TYPE: {"schema": _ref("WebPhoto")},
    }
    limit = (
        "At most 10 MB; behind API Gateway about 4.5 MB, "
        "because a Lambda function takes 6 MB, in base64."
    )
    return {
        "summary": "Classify a photo",
        "description": limit,
        "parameters": [{"name": "top_k", "in": "query", "schema": _TOP_K}],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": _json("The prediction", "WebPrediction"), **_errors(*ERRORS)},
    }


def _answer() -> Json:
    form = {"schema": {"type": "object", "required": ["photo"], "properties": {"photo": _FILE}}}
    refused = {str(code): _content(text, "text/html") for code, text in ERRORS.items()}
    return {
        "summary": "The page with a photo's answer, for browsers without JavaScript",
        "requestBody": {"required": True, "content": {FORM_TYPE: form}},
        "responses": {"200": _content("The page", "text/html"), **refused},
    }


def _saliency() -> Json:
    content = {kind.media_types[0]: {"schema": _FILE} for kind in KINDS}
    return {
        "summary": "Which parts of a photo its answer comes from",
        "description": "By occlusion: a grey square covers one part of the photo after the other, "
        "and the model is asked for each of these pictures. The fall of the probability shows how "
        "much the part matters. An endpoint says the same by the custom attribute saliency=true.",
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": _json("Heat over the photo", "WebSaliency"),
            "404": _json("This service does not say it", "WebError"),
            **_errors(*ERRORS),
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(text: str, name: str) -> Json:
    return {"description": text, "content": {JSON_TYPE: {"schema": _ref(name)}}}


def _content(text: str, media_type: str) -> Json:
    return {"description": text, "content": {media_type: {"schema": {"type": "string"}}}}


def _errors(*codes: int) -> Json:
    return {str(code): _json({**ERRORS, **NONE}[code], "WebError") for code in codes}


def _object(required: str, **properties: Json) -> Json:
    return {"type": "object", "required": required.split(), "properties": properties}


_TEXT: Json = {"type": "string"}
_FILE: Json = {"type": "string", "format": "binary"}
_SHARE: Json = {"type": "number", "minimum": 0, "maximum": 1}
_BASE64: Json = {
    "type": "string",
    "minLength": 1,
    "description": "A photo in base64, or a data: URL",
}
_TOP_K: Json = {"type": "integer", "minimum": 1, "maximum": MAX_TOP_K, "default": 5}
_LABEL: Json = {"label": _TEXT, "probability": {"type": "number", "minimum": 0, "maximum": 1}}
SCHEMAS: Json = {
    "WebError": _object(
        "error",
        error={"type": "string", "description": "One sentence: what is wrong, and what to do"},
    ),
    "WebPhoto": _object("b64", b64=_BASE64, top_k=_TOP_K),
    "WebPrediction": _object(
        "label probability top sure",
        **_LABEL,
        top={"type": "array", "items": _object("label probability", **_LABEL)},
        labels={
            "type": "array",
            "items": _TEXT,
            "description": "Of a multi-label model: all above one half",
        },
        known={
            "type": "boolean",
            "description": "False for a photo unlike all that the training has seen; "
            "left out by models that do not know",
        },
        sure={
            "type": "boolean",
            "description": "False where the calibrated probability is too low to go by, "
            "or the photo is not known",
        },
    ),
    "WebSaliency": _object(
        "label probability heat view fall asked",
        label=_TEXT,
        probability=_SHARE,
        heat={
            "type": "array",
            "items": {"type": "array", "items": _SHARE},
            "description": "Rows over the square in the middle that the model sees, from 0 to 1",
        },
        view=_SHARE | {"description": "That square's side, as a share of the shorter side"},
        fall=_SHARE | {"description": "Of the probability, at the part that matters most"},
        asked={"type": "integer", "description": "Pictures that the model was asked for"},
    ),
    "WebSample": _object("label name b64", label=_TEXT, name=_TEXT, b64=_BASE64),
    "WebLabels": _object("labels", labels={"type": "array", "items": _TEXT}),
    "WebHealth": _object("status", status={"const": "ok"}),
    "WebOldRequest": _object(
        "",
        data=_TEXT,
        ground_truth=_TEXT,
        is_user_data={
            "type": "boolean",
            "description": "False: a random validation photo in place of data",
        },
    ),
    "WebOldAnswer": _object(" ".join(FIELDS), **dict.fromkeys(FIELDS, _TEXT)),
}
