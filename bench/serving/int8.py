"""The int8 model that is measured, even where the training's gate refused it.

A bench compares servers. Whether int8 is good enough to be served is the gate's decision, and the
table says what it was.
"""

import dataclasses
import logging
import shutil
from pathlib import Path

import numpy as np

from artifact.engines.choice import open_engine
from artifact.engines.int8_gate import Gate, Judgement
from artifact.engines.quantization import quantize
from artifact.model import Description, read_description, write_description
from artifact.photos.decoder import read_photo

OPEN_GATE = Gate(photos=0, agreement=0.0, loss=1.0)
JUDGES = 100


def with_int8(model: Path, photos: Path) -> tuple[Path, str]:
    """A model's folder with an int8 model in it, and a note, which is empty where the gate kept it.

    photos: a folder to calibrate on. RuntimeError where no int8 model can be made.
    """
    description = read_description(model)
    if description.quantization.get("kept"):
        return model, ""
    reason = description.quantization.get("reason", "it was not asked for")
    note = f"int8 is measured although the training did not keep it: {reason}"
    copy = model.with_name(f"{model.name}-int8")
    if not copy.is_dir():
        unfinished = copy.with_name(f"{copy.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(model, unfinished)
        _quantize(unfinished, description, sorted(photos.rglob("*.jpg")))
        unfinished.rename(copy)
    return copy, note


def _quantize(folder: Path, description: Description, paths: list[Path]) -> None:
    judges = paths[:: max(1, len(paths) // JUDGES)]
    pixels = np.stack(
        [description.preprocessing.pixels(read_photo(path)) for path in judges]
    )  # uint8 [N, H, W, 3]

    def judge(described: Description, precision: str) -> Judgement:
        engine = open_engine(folder, described, precision)
        columns = len(description.classes)
        answers = [int(engine.run(one[None])[0, :columns].argmax()) for one in pixels]
        engine.close()
        return Judgement(np.array(answers), np.ones(len(answers), bool))

    logging.getLogger("artifact").setLevel(logging.WARNING)
    figures = quantize(folder, description, paths, len(judges), judge, lambda: False, OPEN_GATE)
    if not figures["kept"]:
        raise RuntimeError(f"no int8 model can be made: {figures.get('reason')}")
    write_description(folder, dataclasses.replace(description, quantization=figures))
