"""`known` beside an answer: of a photo unlike all that the training has seen it is false."""

import io
import json
from typing import Any

import pytest
from PIL import Image

from artifact.engines.choice import open_engine
from artifact.model import ArtifactError, read_description, write_description
from serve.app import create_app
from serve.mms.exchange import Work, hand_over, unpacked_answer
from serve.mms.transformer import Transformer
from serve.predictor import Predictor
from tests.support.colour_model import write_colour_model
from tests.support.jobs import COLOURS
from tests.support.mms_stand_in import Context
from tests.support.servers import instances

WHITE = (255, 255, 255)
RED = COLOURS["red"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("known")
    write_colour_model(made, threshold=3000.0)
    return made


def png(colour: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(data, "PNG")
    return data.getvalue()


def answers(folder, accept: str = "application/json") -> Any:
    predictor = Predictor(folder, "f32")
    try:
        return (
            create_app(predictor)
            .test_client()
            .post(
                "/invocations",
                data=instances(png(RED), png(WHITE)),
                headers={"Content-Type": "application/json", "Accept": accept},
            )
        )
    finally:
        predictor.close()


@pytest.mark.slow
def test_a_photo_far_from_the_trainings_is_not_known(folder):
    red, white = answers(folder).json["predictions"]
    assert red["label"] == "red"
    assert red["known"] is True
    assert white["known"] is False
    lines = answers(folder, "application/jsonlines").data.splitlines()
    assert [json.loads(line)["known"] for line in lines] == [True, False]


def test_a_csv_row_stays_labels_and_probabilities(folder):
    rows = answers(folder, "text/csv").data.decode().splitlines()
    assert [len(row.split(",")) for row in rows] == [6, 6]


def test_an_older_artifact_answers_without_it(tmp_path):
    write_colour_model(tmp_path)
    for prediction in answers(tmp_path).json["predictions"]:
        assert set(prediction) == {"label", "probability", "top"}


def test_a_worker_of_mms_says_it_too(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SLIPWAY_PRECISION", "f32")
    hand_over(tmp_path / "own", folder)
    context: Any = Context()
    transformer = Transformer()
    transformer.validate_and_initialize(str(tmp_path / "own"), context)
    work = Work([png(RED), png(WHITE)], 3, 60, tolerant=False)
    (answer,) = transformer.transform([{"body": work.packed()}], context)
    assert [entry["known"] for entry in unpacked_answer(answer).predictions] == [True, False]


def test_a_graph_without_the_score_that_model_json_promises_is_refused(folder, tmp_path):
    description = read_description(folder)
    write_colour_model(tmp_path)
    write_description(tmp_path, description)
    with pytest.raises(ArtifactError, match="columns of answers 3; model.json says 4"):
        open_engine(tmp_path, description, "f32")
