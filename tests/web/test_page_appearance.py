"""The page for eyes, keyboards and screen readers."""

import numpy as np
import pytest
from PIL import Image

from tests.support.browser import answered, file
from tests.support.servers import photo
from tests.web.test_page import ARTICLE, TITLE

pytestmark = pytest.mark.slow


def test_the_keyboard_and_screen_readers_reach_all(page, tmp_path):
    page.press("Tab", 9)
    assert page.run("document.activeElement.id") == "choose"
    page.drop(file(tmp_path, "photo.jpg", photo("red")))
    answered(page, "red")
    assert page.run("document.activeElement.id") == "answer"  # where a screen reader goes on
    page.run("document.getElementById('choose').focus()")
    reached = []
    for _ in range(9):
        page.press("Tab", 9)
        reached.append(page.run("document.activeElement.id || document.activeElement.innerText"))
    assert reached == [
        "camera",
        "try",
        "link",
        "more",
        "why",
        "clear",
        reached[6],
        "curl",
        "Which labels does it know?",
    ]
    assert reached[6].startswith("red\n99")
    page.run("document.getElementById('try').focus()")
    page.press("Enter", 13)
    page.until("document.getElementById('truth').innerText")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    assert all(name for role, name in nodes if role in ("button", "link", "textbox")), nodes
    assert {("heading", TITLE), ("region", "Result"), ("region", "History")} <= set(nodes)
    assert [role for role, _ in nodes if role == "listitem"]


# The elements whose text has less contrast than WCAG AA asks for, 4.5, with that contrast.
LOW_CONTRASTS = """(() => {
    const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const luminance = (text) => {
        const [r, g, b] = text.match(/[\\d.]+/g).map((v) => linear(v / 255));
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const background = (e) => {
        for (; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return colour;
        }
    };
    const isText = (n) => n.nodeType === 3 && n.data.trim();
    const contrast = (e) => {
        const [a, b] = [luminance(getComputedStyle(e).color), luminance(background(e))];
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    };
    return [...document.querySelectorAll('main *')]
        .filter((e) => e.offsetParent && [...e.childNodes].some(isText))
        .map((e) => [e.tagName + '#' + e.id, contrast(e)])
        .filter(([, found]) => found < 4.5);
})()"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_and_can_be_read(page, tmp_path, width, dark):
    page.fulfil["wikipedia"] = 200, ARTICLE
    page.open(page.run("location.href"), width, 844, dark)
    page.drop(
        file(
            tmp_path,
            "a very long name of a photo, as cameras and messengers give them 20260101-120000.jpg",
            photo("red"),
        )
    )
    answered(page, "red")
    page.run("document.getElementById('more').click()")
    page.until("document.querySelector('#article h2') !== null")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.photograph(tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as shot:
        assert shot.width == width
        background = np.asarray(shot.convert("RGB"), int)[2, 2]
        assert (background.sum() < 200) == dark
    low = page.run(LOW_CONTRASTS)
    assert low == [], low
    assert page.run(
        "[...document.querySelectorAll('button')].filter((e) => e.offsetParent)"
        ".every((e) => e.offsetHeight >= 44)"
    )
