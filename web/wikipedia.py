"""The few words that Wikipedia has about a label; none where it cannot be reached."""

import functools
import json
import logging
import time
import urllib.parse
import urllib.request

URL = "https://en.wikipedia.org/w/api.php"
TIMEOUT_S = 2.0
PAUSE_S = 60.0  # after a failure, for which it is not asked again: a network without a way out would cost each caller the timeout

log = logging.getLogger(__name__)
_pause = {"until": 0.0}


def summary_of(name: str, url: str = URL) -> tuple[str, str]:
    """Title and first sentences of the article that fits a name best, as plain text; empty where there is none or no way to it."""
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
        pages = json.load(answer).get("query", {}).get("pages", [])
    return (pages[0]["title"], pages[0].get("extract", "").strip()) if pages else ("", "")
