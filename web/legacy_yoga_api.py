"""/getyogaapp, the API of the yoga project's clients.

They POST {"data", "ground_truth", "is_user_data"}; `data` is a photo in base64. Without
is_user_data a random validation photo replaces it, and its label is the groundtruth. The answer
always has all six FIELDS and the status 200, because those clients read `exception` and not the
status.
"""

import base64
import logging
import re
from collections.abc import Callable

from web.exchange import Answer, Failure, Request, json_answer
from web.model import Model, bare_sample
from web.photos import from_base64, json_object, kind_of
from web.wikipedia import summary_of

FIELDS = ("data", "groundtruth", "prediction", "title", "summary", "exception")
IN_JSON = '{"data": "<base64 of a photo>", "ground_truth": "", "is_user_data": true}'
TRUE = ("true", "1", "yes")

log = logging.getLogger(__name__)


def yoga_answer(
    request: Request, model: Model, summary: Callable[[str], tuple[str, str]] = summary_of
) -> Answer:
    """The six fields for one photo; a failure is a sentence in `exception`."""
    answer = dict.fromkeys(FIELDS, "")
    try:
        asked = json_object(request.body, IN_JSON)
        if _is_true(asked.get("is_user_data")):
            photo = from_base64(asked.get("data"), IN_JSON)
            answer["groundtruth"] = str(asked.get("ground_truth") or "")
        else:
            sample = bare_sample(model)
            photo = sample.photo
            answer["groundtruth"] = sample.label
        kind = kind_of(photo)
        label = model.classify(photo, kind, 1)["label"]
        answer["data"] = base64.b64encode(photo).decode()
        answer["prediction"] = label
        answer["title"], answer["summary"] = summary(spoken(label))
    except Failure as failure:
        answer["exception"] = str(failure)
    except Exception:
        log.exception("a request failed")
        answer["exception"] = "the server failed on this request; its log says why"
    return json_answer(answer)


def spoken(label: str) -> str:
    """A label as people write it, by the same rules as the page's script.

    `001.Afghan_hound` is "Afghan hound", `ArdhaChandrasana` is "Ardha Chandrasana".
    """
    words = re.sub(r"^\d+[.\s_-]+", "", label).replace("_", " ")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words).strip()


def _is_true(value: object) -> bool:
    return str(value).strip().lower() in TRUE
