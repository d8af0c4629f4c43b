"""The yoga poses' story of recipes/README.md, from the photos to the page and away.

Every command of that page is run by a test.
"""

import re

import pytest

from tests.support.jobs import draw_channel, draw_photo
from tests.support.stories import (
    STORIES,
    TEXT,
    commands,
    make_checkout,
    nothing_left,
    run_story,
    world,
)

STORY = "107 yoga poses"


def test_all_code_of_the_page_is_run():
    assert re.findall(r"^## (.*)$", TEXT, re.M) == list(STORIES)
    shown = "".join(commands(story) for story in STORIES).splitlines()
    assert len(shown) > 25
    assert TEXT.count("```") == 2 * len(re.findall(r"^```sh\n", TEXT, re.M))
    fences = re.sub(r"^```sh\n.*?^```$", "", TEXT, flags=re.M | re.S)
    assert not re.search(r"^(    |\t)\S", fences, re.M), "code outside the blocks that are run"


@pytest.mark.verify
def test_the_story(tmp_path):
    checkout = make_checkout(tmp_path / "checkout", STORIES[STORY])
    draw_channel(checkout / "photos/yoga", 12)
    draw_photo(checkout / "photos/photo.jpg", (200, 40, 40), 7)
    with world(tmp_path) as here:
        printed = run_story(STORY, checkout, here.environment)
        for number, count in ((1, 2), (2, 1), (3, 1), (4, 1)):
            assert re.search(rf"yoga-{number}-\S+: Completed; Completed={count}", printed), printed[
                -6000:
            ]
        for line in (
            r"push: serve=123456789012\.dkr\.ecr\.us-east-1\.amazonaws\.com/slipway-serve@sha256:",
            r"check: \d+ looks, 0 failed",
            r"report: \S+profiler-report.html",
            "epoch=2 train_loss=",
            "deploy: yoga-poses is InService",
            "photo +label +probability",
            r'"label": ?"(blue|green|red)"',
            "api: http://127.0.0.1:",
            "delete: Stack slipway-yoga-poses",
            "delete: Endpoint yoga-poses",
        ):
            assert re.search(line, printed), line
        assert here.formation.made == ["slipway-yoga-poses"]
        assert here.formation.stacks == {}
        nothing_left(here, "yoga-poses")
