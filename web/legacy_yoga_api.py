"""/getyogaapp as the yoga project's clients know it: POST {"data", "ground_truth", "is_user_data"}, answer {"data", "groundtruth",
"prediction", "title", "summary", "exception"}.

`data` is a photo in base64. Without is_user_data a random validation photo is taken in its place, with its label as groundtruth.
Those clients read `exception` and not the status, so the status is 200, and all six fields are always there.
"""

import base64
import logging
import re
from collections.abc import Callable

from web.exchange import Answer, Failure, Request, json_answer
from web.model import Model
from web.photos import from_base64, json_object, kind_of
from web.wikipedia import summary_of

IN_JSON = '{"data": "<base64 of a photo>", "ground_truth": "", "is_user_data": true}'

log = logging.getLogger(__name__)


def yoga_answer(
    request: Request, model: Model, summary: Callable[[str], tuple[str, str]] = summary_of
) -> Answer:
    """The six fields for one photo; a failure is a sentence in `exception`."""
    answer = {
        "data": "",
        "groundtruth": "",
        "prediction": "",
        "title": "",
        "summary": "",
        "exception": "",
    }
    try:
        asked = json_object(request.body, IN_JSON)
        if _true(asked.get("is_user_data")):
            photo = from_base64(asked.get("data"), IN_JSON)
            answer |= {"groundtruth": str(asked.get("ground_truth") or "")}
        else:
            sample = model.sample()
            photo = sample.photo
            answer |= {"groundtruth": sample.label}
        kind = kind_of(photo)
        answer |= {
            "data": base64.b64encode(photo).decode(),
            "prediction": model.classify(photo, kind, 1)["label"],
        }
        answer["title"], answer["summary"] = summary(spoken(answer["prediction"]))
    except Failure as failure:
        answer["exception"] = str(failure)
    except Exception:
        log.exception("a request failed")
        answer["exception"] = "the server failed on this request; its log says why"
    return json_answer(answer)


def spoken(label: str) -> str:
    """A label as people write it: `001.Afghan_hound` is "Afghan hound", `ArdhaChandrasana` is "Ardha Chandrasana". The page does the same."""
    return re.sub(
        r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"^\d+[.\s_-]+", "", label).replace("_", " ")
    ).strip()


def _true(value: object) -> bool:
    return value is True or str(value).strip().lower() in ("true", "1", "yes")
