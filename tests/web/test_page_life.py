"""The page as people use it: several photos, a phone, no JavaScript, a terminal, doubts, parts."""

import json
import shlex
import subprocess

import pytest
from PIL import Image

from tests.support.accessibility import WIDTHS, axe_source, violations
from tests.support.browser import answered, file
from tests.support.colour_model import write_colour_model
from tests.support.jobs import COLOURS
from tests.support.servers import photo, serving

pytestmark = pytest.mark.verify
PHONE = [
    {"name": "hover", "value": "none"},
    {"name": "pointer", "value": "coarse"},
    {"name": "prefers-color-scheme", "value": "dark"},
]


def idle(page) -> None:
    page.until("!document.body.classList.contains('busy')")


def test_several_dropped_photos_get_an_answer_each(page, tmp_path):
    files = [file(tmp_path, f"{colour}.jpg", photo(colour)) for colour in sorted(COLOURS)]
    broken = file(tmp_path, "broken.jpg", b"\xff\xd8\xff broken")
    page.drop(files[0], broken, *files[1:])
    page.until("document.querySelectorAll('#history li').length === 3")
    idle(page)
    assert page.text("answer") == sorted(COLOURS)[0]  # the first stays on the page
    assert page.text("error").startswith("Broken.jpg: ")
    page.run("document.querySelectorAll('#history button')[0].click()")
    assert page.text("answer") == sorted(COLOURS)[-1]
    page.drop(*[file(tmp_path, f"{n}.jpg", photo("red")) for n in range(26)])
    page.until("/only the first 24/i.test(document.getElementById('error').innerText)")
    assert page.run("document.querySelectorAll('#history li').length") == 24
    assert page.errors == [] or all("422" in error for error in page.errors)


def test_a_phone_has_its_camera_and_all_within_its_width(page, tmp_path):
    page.open(page.run("location.href"), 390, 844)
    page.call("Emulation.setTouchEmulationEnabled", enabled=True)
    page.call("Emulation.setEmulatedMedia", features=PHONE)
    page.run(
        "window.taken = 0; document.getElementById('capture').click = () => { window.taken++; }"
    )
    try:
        assert page.run("matchMedia('(pointer: coarse)').matches")
        assert not page.run("document.querySelector('.mouse').checkVisibility()")
        page.run("document.getElementById('camera').click()")
        assert page.run("window.taken") == 1
        page.choose("capture", file(tmp_path, "IMG 1.jpg", photo("green")))
        answered(page, "green")
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.run(
            "[...document.querySelectorAll('button')].filter((e) => e.offsetParent)"
            ".every((e) => e.offsetHeight >= 44)"
        )
    finally:
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_without_javascript_a_form_asks(page, tmp_path):
    url = page.run("location.href")
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open(url, 390)
        shown = str(page.run("document.querySelector('main').innerText"))
        assert "Choose photos" not in shown
        assert "Which labels" not in shown
        page.choose("plain", file(tmp_path, "1.jpg", photo("blue")))
        page.run("document.querySelector('form').requestSubmit()")
        page.until("document.querySelector('.plain h2') !== null")
        assert page.run("document.querySelector('.plain h2').innerText") == "blue"
        assert page.run("document.querySelector('.plain img').naturalWidth") == 50
        page.choose("plain", file(tmp_path, "2.jpg", b"\xff\xd8\xff broken"))
        page.run("document.querySelector('form').requestSubmit()")
        page.until("document.querySelector('.bad[role=alert]:not(:empty)') !== null")
        assert "cannot be used" in str(page.run("document.querySelector('main').innerText"))
    finally:
        page.call("Emulation.setScriptExecutionDisabled", value=False)


def test_the_command_runs_as_it_is_shown(page, tmp_path):
    name = 'it\'s a "photo" of $HOME & more.jpg'
    page.drop(file(tmp_path, name, photo("blue")))
    answered(page, "blue")
    line = page.text("curl")
    assert shlex.split(line)[-2] == f"@{name}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout)["label"] == "blue", done.stderr


def test_a_photo_of_something_else_is_none_of_these(browser, tmp_path):
    write_colour_model(tmp_path / "model", threshold=3000.0)
    with serving(tmp_path / "model", SLIPWAY_PAGE=1) as server:
        browser.open(f"http://127.0.0.1:{server.port}/")
        Image.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
        browser.drop(tmp_path / "white.png")
        answered(browser, "None of these")
        assert "unlike all photos" in browser.text("doubt")
        assert "None of these" in browser.text("history")
        assert "%" not in browser.text("history")
        browser.drop(file(tmp_path, "red.jpg", photo("red")))
        answered(browser, "red")
        assert browser.text("doubt") == ""


def test_the_parts_that_decide_stay_bright(page, tmp_path):
    picture = Image.new("RGB", (60, 40), (90, 90, 90))
    picture.paste(COLOURS["red"], (10, 0, 24, 40))
    picture.save(tmp_path / "half.png")
    page.drop(tmp_path / "half.png")
    answered(page, "red")
    page.run("document.getElementById('why').click()")
    page.until("/decide:|alone/.test(document.getElementById('parts').innerText)")
    assert page.text("parts").startswith("The bright parts decide")
    light = (
        "((x) => document.getElementById('heat').getContext('2d').getImageData(x, 20, 1, 1).data)"
    )
    left = page.run(f"[...{light}(16)].slice(0, 3).reduce((a, b) => a + b)")
    right = page.run(f"[...{light}(45)].slice(0, 3).reduce((a, b) => a + b)")
    assert left > 1.5 * right
    page.run("document.getElementById('why').click()")
    assert page.run("document.getElementById('heat').hidden")
    assert not page.run("document.getElementById('photo').hidden")
    assert page.errors == []


def test_axe_finds_nothing(page, tmp_path):
    axe = axe_source(tmp_path)
    url = str(page.run("location.href"))
    for width in WIDTHS:
        for dark in (False, True):
            assert violations(page, axe, url, width, dark) == []
            page.drop(file(tmp_path, "1.jpg", photo("red")), file(tmp_path, "2.jpg", photo("blue")))
            page.until("document.querySelectorAll('#history li').length === 2")
            found = page.run("axe.run(document).then(r => r.violations.map(v => v.id))")
            assert found == []
