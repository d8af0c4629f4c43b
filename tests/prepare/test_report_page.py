"""prepare's report in a browser, with all that it can show: axe-core finds nothing to mend."""

from pathlib import Path

import pytest
from PIL import Image

from local_test.stick_figures import picture as figure
from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import browsing
from tests.support.photo_copies import COPIES
from tests.support.photo_folders import run, save

pytestmark = pytest.mark.verify
SIDES = {"train": 12, "valid": 4, "test": 4}


def odd_set(folder: Path) -> Path:
    """Photos of two classes with copies, conflicts, leaks, broken and odd ones among them."""
    poses = ("chair", "tree")
    number = 0
    for side, count in SIDES.items():
        for index in range(count):
            pose = poses[index % 2]
            save(folder / side / f"the {pose}" / f"{index:02d}.jpg", figure(pose, number))
            number += 1
    train = folder / "train"
    for kind, change in COPIES.items():
        save(train / "the chair" / f"{kind}.png", change(figure("chair", 0)))
    save(train / "the tree/conflict.jpg", figure("chair", 2))
    save(folder / "test/the chair/leak.jpg", figure("chair", 4).resize((200, 200)))
    save(train / "the chair/exact.jpg", figure("chair", 0))
    torn = save(train / "the chair/torn & <b>.jpg", figure("chair", 40))
    torn.write_bytes(torn.read_bytes()[:-900])
    (train / "the tree/page.jpg").write_text("<html>")
    odd = {
        "blank": Image.new("RGB", (300, 300), "white"),
        "dark": figure("tree", 50).point(lambda level: level // 8),
        "small": figure("tree", 51).resize((40, 40)),
        "long": figure("tree", 52).resize((800, 100)),
    }
    for name, image in odd.items():
        save(train / "the tree" / f"{name}.jpg", image)
    save(train / ("a class of a very long name " * 6).strip() / "1.jpg", figure("tree", 60))
    return folder


def test_axe_core_finds_nothing_in_the_report(tmp_path):
    axe = axe_source(tmp_path)
    assert run(odd_set(tmp_path / "in"), tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").as_uri()
    with browsing(tmp_path / "profile") as browser:
        for width in WIDTHS:
            for dark in (False, True):
                assert violations(browser, axe, page, width, dark) == []
            across = browser.run("document.documentElement.scrollWidth")
            assert int(str(across)) <= width
