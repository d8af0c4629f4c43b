"""The first sentences of Wikipedia about a label; none where Wikipedia cannot be reached."""

import functools
import logging
import time
import urllib.parse
import urllib.request

from artifact.text.json_text import read_json

URL = "https://en.wikipedia.org/w/api.php"
TIMEOUT_S = 2.0
# After a failure Wikipedia is left alone for a while: without internet access each caller would
# wait for the timeout.
PAUSE_S = 60.0

log = logging.getLogger(__name__)
_pause = {"until": 0.0}  # on time.monotonic's clock


def summary_of(name: str, url: str = URL) -> tuple[str, str]:
    """Title and first sentences of the article that fits a name best, as plain text.

    Both are empty without such an article, or without a way to Wikipedia.
    """
    if time.monotonic() < _pause["until"]:
        return "", ""
    try:
        return _asked(name, url)
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("wikipedia does not answer: %s", error)
        _pause["until"] = time.monotonic() + PAUSE_S
        return "", ""


@functools.lru_cache(1000)
def _asked(name: str, url: str) -> tuple[str, str]:
    query = {
        "action": "query",
        "generator": "search",
        "gsrsearch": name,
        "gsrlimit": 1,
        "prop": "extracts",
        "exintro": 1,
        "explaintext": 1,
        "exsentences": 3,
        "redirects": 1,
        "format": "json",
        "formatversion": 2,
    }
    request = urllib.request.Request(
        f"{url}?{urllib.parse.urlencode(query)}",
        headers={"User-Agent": "slipway/1 (image classification)"},
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        pages = read_json(answer.read()).get("query", {}).get("pages", [])
    if not pages:
        return "", ""
    return pages[0]["title"], pages[0].get("extract", "").strip()
