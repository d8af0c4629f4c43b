"""The page's parts that the server writes: what holds without JavaScript.

The model's name and accuracy, the line that asks it from a terminal, a plain form, its answer.
"""

import base64
import html
import re
import shlex
from dataclasses import dataclass, field

from web.exchange import Request
from web.legacy_yoga_api import spoken
from web.model import Prediction

HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?")
SHOWN_BYTES = 2 * 1024 * 1024  # of a photo in the answer; Lambda answers 6 MB at most
SHOWN = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/avif")
PHOTO = "photo.jpg"
NONE = "None of these"
LEAST = 0.0005  # a share that is written as a number


@dataclass(frozen=True)
class Facts:
    """What the page says of its model. accuracy: shares from 0 to 1, by channel.

    saliency: whether POST /saliency is answered. header: of the access that it asks for, as curl's
    option has it; "" for none.
    """

    name: str = ""
    accuracy: dict[str, float] = field(default_factory=dict)
    saliency: bool = False
    header: str = ""


def filled(page: str, facts: Facts, request: Request, answer: str = "") -> bytes:
    """The page with the parts of the server. answer: HTML, of the plain form."""
    parts = {
        "<!--model-->": _model(facts),
        "<!--curl-->": html.escape(curl_line(facts, request)),
        "<!--form-->": _form(facts),
        "<!--answer-->": answer,
    }
    for mark, text in parts.items():
        page = page.replace(mark, text, 1)
    saliency = "yes" if facts.saliency else "no"
    header = html.escape(facts.header)
    own = f'<body data-saliency="{saliency}" data-header="{header}">'
    return page.replace("<body>", own, 1).encode()


def curl_line(facts: Facts, request: Request) -> str:
    """The command that asks the model for photo.jpg, on the address that this request came to."""
    host = request.headers.get("host", "")
    if not HOST.fullmatch(host):
        host = "127.0.0.1:8080"
    scheme = request.headers.get("x-forwarded-proto", "http")
    if scheme not in ("http", "https"):
        scheme = "http"
    access = f'--header "{facts.header}" ' if facts.header else ""
    url = shlex.quote(f"{scheme}://{host}/classify")
    kind = "--header 'Content-Type: application/octet-stream'"
    return f"curl {access}{kind} --data-binary @{PHOTO} {url}"


def _model(facts: Facts) -> str:
    """The sentence on the model; empty where nothing is known."""
    accuracy = facts.accuracy.get("test")
    where = "of its test photos"
    if accuracy is None:
        accuracy = facts.accuracy.get("validation")
        where = "of its validation photos"
    words = []
    if facts.name:
        words.append(f"The model is <b>{html.escape(facts.name)}</b>.")
    if accuracy is not None:
        words.append(f"It is right on <b>{_percent(accuracy)}</b> {where}.")
    return f"<p>{' '.join(words)}</p>" if words else ""


def _form(facts: Facts) -> str:
    """The form of a browser without JavaScript."""
    if facts.header:
        return (
            "<p>This service asks for a key, which a page sends by JavaScript alone. Allow it, "
            "or use the command below.</p>"
        )
    return (
        '<form method="post" action="answer" enctype="multipart/form-data">'
        '<p><label for="plain">A photo</label></p>'
        '<div class="buttons"><input type="file" id="plain" name="photo" accept="image/*" required>'
        '<button class="first">Ask</button></div></form>'
    )


def answer_of(prediction: Prediction, sure: bool, photo: bytes, kind: str) -> str:
    """The plain form's answer."""
    title = _title(prediction, sure)
    parts = [f"<h2>{html.escape(title)}</h2>"]
    if kind in SHOWN and len(photo) <= SHOWN_BYTES:
        data = base64.b64encode(photo).decode("ascii")
        parts.append(f'<img class="asked" alt="Your photo" src="data:{kind};base64,{data}">')
    if not sure:
        parts.append(f'<p class="notice doubt">{html.escape(_doubt(prediction))}</p>')
    rows = []
    for top in prediction["top"]:
        name = html.escape(spoken(top["label"]))
        share = min(1.0, max(0.0, top["probability"]))
        rows.append(
            f'<li><span class="row"><span>{name}</span><span>{_percent(share)}</span></span>'
            f'<meter value="{share:.4f}" aria-label="{name}"></meter></li>'
        )
    parts.append(f"<ol>{''.join(rows)}</ol>")
    return f'<section class="card plain" aria-label="Answer">{"".join(parts)}</section>'


def _title(prediction: Prediction, sure: bool) -> str:
    if not prediction.get("known", True):
        return NONE
    if not sure:
        return "Not sure"
    if "labels" not in prediction:
        return spoken(prediction["label"])
    return ", ".join(map(spoken, prediction["labels"])) or "Nothing it is sure of"


def _doubt(prediction: Prediction) -> str:
    if not prediction.get("known", True):
        return (
            "This is unlike all photos that the model has learned from. The labels below are only "
            "the nearest."
        )
    share = _percent(prediction["probability"])
    return (
        f"Perhaps {spoken(prediction['label'])}, but with only {share} this may well be wrong. "
        "A clearer photo of one thing may help."
    )


def _percent(share: float) -> str:
    """As the page's script writes it."""
    return f"{100 * share:.1f} %" if share >= LEAST else "< 0.1 %"


def refusal(sentence: str) -> str:
    """The plain form's answer where there is none."""
    words = html.escape(sentence[:1].upper() + sentence[1:])
    return f'<p class="notice bad" role="alert">{words}</p>'
