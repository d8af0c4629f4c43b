"""The server's routes as an OpenAPI document."""

from typing import Any

import web.openapi
from serve.inputs import CSV_TYPE, FORM_TYPE, INSTANCE, JSON_TYPE, LINES_TYPE, PHOTO_TYPES

ERRORS = {
    400: "The body or a header is not what it should be",
    404: "No such path, or no such model",
    406: "Accept asks for a type that is not offered",
    408: "The body came too slowly",
    413: "The body or the number of photos is too large",
    415: "Content-Type is not taken",
    422: "A photo cannot be decoded",
    503: "The server is busy, see Retry-After; or its engine has died",
}
ERROR = {"$ref": "#/components/schemas/Error"}

Json = dict[str, Any]  # Any: a part of an OpenAPI document, of any depth


def document(multi_model: bool, max_payload_mb: float, page: bool = False) -> Json:
    """The whole document. page: the server also offers the page for people."""
    own_paths = _multi_model() if multi_model else _single_model()
    page_paths: Json = {}
    page_schemas: Json = {}
    if page:
        page_paths = web.openapi.paths()
        page_schemas = web.openapi.SCHEMAS
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "slipway-serve",
            "version": "1",
            "description": f"Image classification. Bodies of up to {max_payload_mb:g} MiB.",
        },
        "paths": {**page_paths, **_every_server(), **own_paths},
        "components": {"schemas": {**page_schemas, **SCHEMAS}},
    }


def _every_server() -> Json:
    """The routes of a single-model and of a multi-model server."""
    return {
        "/ping": {
            "get": {
                "summary": "Can the server answer?",
                "responses": {"200": {"description": "Yes"}, **_errors(503)},
            }
        },
        "/metrics": {
            "get": {
                "summary": "Numbers in Prometheus' text format",
                "responses": {"200": {"description": "Numbers", "content": {"text/plain": {}}}},
            }
        },
        "/openapi.json": {
            "get": {
                "summary": "This document",
                "responses": {"200": _json("This document", {"type": "object"})},
            }
        },
    }


def _single_model() -> Json:
    parameters = {
        "type": "object",
        "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
        "properties": {
            "MaxConcurrentTransforms": {"type": "integer"},
            "BatchStrategy": {"type": "string"},
            "MaxPayloadInMB": {"type": "integer"},
        },
    }
    return {
        "/invocations": {"post": _invoke()},
        "/execution-parameters": {
            "get": {
                "summary": "How a batch transform job should call",
                "responses": {"200": _json("Parameters", parameters)},
            }
        },
    }


def _multi_model() -> Json:
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "minLength": 1},
    }
    page = {
        "name": "next_page_token",
        "in": "query",
        "schema": {"type": "string", "pattern": "^[0-9]{1,9}$"},
    }
    return {
        "/models": {
            "get": {
                "summary": "The loaded models",
                "parameters": [page],
                "responses": {"200": _json("Models", _LISTED), **_errors(400)},
            },
            "post": _load(),
        },
        "/models/{name}": {
            "parameters": [name],
            "get": {
                "summary": "A loaded model",
                "responses": {"200": _json("The model", _MODEL), **_errors(404)},
            },
            "delete": {
                "summary": "Unload a model",
                "responses": {"200": {"description": "Its memory is free"}, **_errors(404)},
            },
        },
        "/models/{name}/invoke": {"parameters": [name], "post": _invoke()},
    }


def _load() -> Json:
    wanted = {
        "type": "object",
        "required": ["model_name", "url"],
        "properties": {
            "model_name": {"type": "string", "minLength": 1, "pattern": "^[A-Za-z0-9._-]+$"},
            "url": {"type": "string", "minLength": 1},
        },
    }
    return {
        "summary": "Load a model",
        "requestBody": {"required": True, "content": {JSON_TYPE: {"schema": wanted}}},
        "responses": {
            "200": _json("Loaded", _MODEL),
            **_errors(400, 408, 413, 415, 503),
            **_own("409", "The name is in use"),
            **_own("507", "No memory left"),
        },
    }


def _invoke() -> Json:
    photo = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "schema": {
            "type": "object",
            "properties": {"photo": {"type": "string", "format": "binary"}},
        }
    }
    lines = {"schema": {"type": "string", "description": f"one {INSTANCE} per line"}}
    answer = {
        JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Predictions"}},
        LINES_TYPE: {"schema": {"type": "string"}},
        CSV_TYPE: {"schema": {"type": "string"}},
    }
    attributes = {
        "name": "X-Amzn-SageMaker-Custom-Attributes",
        "in": "header",
        "schema": {"type": "string", "maxLength": 1024},
        "description": "top_k=N: the number of labels per photo; saliency=true: the answer to "
        'one photo is {"saliency": …}, as POST /saliency of the page has it',
    }
    return {
        "summary": "Classify one or many photos",
        "parameters": [attributes],
        "requestBody": {
            "required": True,
            "content": {
                **{name: photo for name in PHOTO_TYPES},
                FORM_TYPE: form,
                JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Instances"}},
                LINES_TYPE: lines,
            },
        },
        "responses": {
            "200": {"description": "A prediction per photo", "content": answer},
            **_errors(*ERRORS),
        },
    }


def _json(text: str, schema: Json) -> Json:
    return {"description": text, "content": {JSON_TYPE: {"schema": schema}}}


def _errors(*codes: int) -> Json:
    return {str(code): _json(ERRORS[code], ERROR) for code in codes}


def _own(code: str, text: str) -> Json:
    return {code: _json(text, ERROR)}


_MODEL = {"$ref": "#/components/schemas/Model"}
_LISTED = {
    "type": "object",
    "required": ["models"],
    "properties": {
        "models": {"type": "array", "items": _MODEL},
        "nextPageToken": {"type": "string"},
    },
}
_LABEL = {
    "label": {"type": "string"},
    "probability": {"type": "number", "minimum": 0, "maximum": 1},
}
_BASE64 = {"type": "string", "minLength": 1, "description": "A photo in base64, or a data: URL"}
_OBJECT = {"type": "object", "required": ["b64"], "properties": {"b64": _BASE64}}
_LIST = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1000,
    "items": {"$ref": "#/components/schemas/Instance"},
}
SCHEMAS = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "string",
                "description": "One sentence: what is wrong, and what to send",
            }
        },
    },
    "Instance": {"anyOf": [_OBJECT, _BASE64]},
    "Instances": {
        "anyOf": [
            {"type": "object", "required": ["instances"], "properties": {"instances": _LIST}},
            _LIST,
            _OBJECT,
        ]
    },
    "Label": {"type": "object", "required": ["label", "probability"], "properties": _LABEL},
    "Prediction": {
        "type": "object",
        "properties": {
            **_LABEL,
            "top": {"type": "array", "items": {"$ref": "#/components/schemas/Label"}},
            "labels": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Of a multi-label model: all above one half",
            },
            "known": {
                "type": "boolean",
                "description": "False for a photo unlike all that the training has seen; "
                "left out by models that do not know",
            },
            "error": {
                "type": "string",
                "description": "In batch transform: why this record has no answer",
            },
        },
    },
    "Predictions": {
        "type": "object",
        "required": ["predictions"],
        "properties": {
            "predictions": {"type": "array", "items": {"$ref": "#/components/schemas/Prediction"}}
        },
    },
    "Model": {
        "type": "object",
        "required": ["modelName", "modelUrl"],
        "properties": {"modelName": {"type": "string"}, "modelUrl": {"type": "string"}},
    },
}
