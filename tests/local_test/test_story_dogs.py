"""The dog breeds' story of recipes/README.md, from the photos to the transform job and away."""

import re

import pytest

from tests.support.jobs import draw_channel
from tests.support.stories import STORIES, make_checkout, nothing_left, run_story, world

pytestmark = pytest.mark.verify
STORY = "133 dog breeds"


def test_the_story(tmp_path):
    checkout = make_checkout(tmp_path / "checkout", STORIES[STORY])
    for number, (part, count) in enumerate({"train": 8, "valid": 3, "test": 3}.items()):
        draw_channel(checkout / "photos/dogs" / part, count, seed=100 * number)
    with world(tmp_path) as here:
        printed = run_story(STORY, checkout, here.environment)
        for line in (
            r"its split is kept",
            r"dog-breeds-\S+: Completed; Completed=2",
            "push: serve-gpu=",
            "deploy: dog-breeds is InService",
            r"best of dog-breeds-\S+: dog-breeds-",
            "answers: s3://",
            "delete: Endpoint dog-breeds",
        ):
            assert re.search(line, printed), line
        nothing_left(here, "dog-breeds")
