"""The page in front of this server's own model, where SLIPWAY_PAGE asks for it.

Off by default: on SageMaker nobody but SageMaker reaches the container, and the page stands behind
API Gateway there (web/aws).
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, request

from artifact.answers import Prediction
from artifact.photos.decoder import decode
from artifact.photos.files import begins_as_photo
from artifact.photos.jpeg_writing import encode_jpeg
from artifact.photos.kinds import PhotoError, is_photo_name
from artifact.photos.metadata import without_metadata
from artifact.saliency import Saliency
from serve.batching import EngineDead
from serve.inputs import InputError
from serve.prediction import AnyPredictor
from serve.request_state import KEY, Overloaded, TooManyPhotos
from web.exchange import Failure, Request
from web.model import MAX_SAMPLE_BYTES, Model, Sample
from web.plain import Facts
from web.site import Site

OWN = "/openapi.json"  # the server's own document holds the page's paths


def add_page(app: Flask, predictor: AnyPredictor, samples: Path | None, sure_from: float) -> None:
    """Give the app the page's routes. samples: a folder with a folder of photos per label."""
    photos = sample_files(samples)
    model = Model(
        lambda photo, kind, top_k: _classified(predictor, photo, top_k),
        lambda: sorted(predictor.description.classes),
        lambda: _check_health(predictor),
        lambda: _random_sample(photos),
        lambda photo, kind: _saliency(predictor, photo),
    )
    site = Site(model, sure_from, facts_of(predictor, model))
    methods: dict[str, list[str]] = {}
    for method, path in site.routes():
        methods.setdefault(path, []).append(method)
    for path, allowed in methods.items():
        if path != OWN:
            app.add_url_rule(path, f"page {path}", lambda: _response(site), methods=allowed)


def facts_of(predictor: AnyPredictor, model: Model) -> Facts:
    """What the page says of this server's model."""
    description = predictor.description
    measured = {
        channel: share for channel, share in description.accuracy.items() if share is not None
    }
    return Facts(description.architecture, measured, saliency=model.saliency is not None)


def sample_files(folder: Path | None) -> list[Path]:
    """The photos in a folder's folders that are small enough for the page; no hidden ones."""
    if folder is None:
        return []
    return [
        file
        for file in sorted(folder.glob("[!.]*/[!.]*"))
        if file.is_file()
        and file.stat().st_size <= MAX_SAMPLE_BYTES
        and (is_photo_name(file.name) or (not file.suffix and _begins_as_photo(file)))
    ]


def _begins_as_photo(file: Path) -> bool:
    try:
        return begins_as_photo(file)
    except OSError:
        return False


def _response(site: Site) -> Response:
    """The site's answer to the current request."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    query = dict(request.args.items(multi=True))  # of a name that comes twice, the last value
    body = request.get_data(cache=False)
    answer = site.answer(Request(request.method, request.path, query, headers, body))
    return Response(answer.body, answer.status, answer.headers, content_type=answer.content_type)


def _classified(predictor: AnyPredictor, photo: bytes, top_k: int) -> Prediction:
    with _failures():
        return predictor.predict([photo], top_k, request.environ.get(KEY))[0]


def _saliency(predictor: AnyPredictor, photo: bytes) -> Saliency:
    with _failures():
        return predictor.saliency(photo, request.environ.get(KEY))


@contextmanager
def _failures() -> Iterator[None]:
    """A predictor's errors as the page's."""
    try:
        yield
    except PhotoError as error:
        raise Failure(422, f"the photo cannot be used: {error}") from error
    except Overloaded as error:
        raise Failure(503, str(error), error.retry_after_s) from error
    except EngineDead as error:
        raise Failure(503, str(error), 10) from error
    except TooManyPhotos as error:
        raise Failure(413, str(error)) from error
    except InputError as error:  # such as no memory in a worker of multi-model-server
        raise Failure(error.status, str(error)) from error


def _check_health(predictor: AnyPredictor) -> None:
    fault = predictor.batcher.fault()
    if fault:
        raise Failure(503, f"the model does not answer: {fault}", 10)


def _random_sample(photos: list[Path]) -> Sample:
    if not photos:
        raise Failure(
            404,
            "there are no sample photos here; "
            "set SLIPWAY_SAMPLES to a folder of photos, with a folder per label",
        )
    file = random.choice(photos)
    data = file.read_bytes()
    if without_metadata(data) is None:  # TIFF and the like: its pixels alone are handed out
        data = encode_jpeg(decode(data))
    return Sample(file.parent.name, file.name, data)
