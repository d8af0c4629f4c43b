"""The page in a real browser, in front of a real server."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support.browser import answered, file
from tests.support.jobs import COLOURS
from tests.support.servers import photo, serving

pytestmark = pytest.mark.slow
HOSTILE = (
    "<img src=x onerror=\"document.title='broken in'\"><script>document.title='broken in'</script>"
)
TITLE = "What is in this photo?"
ARTICLE = json.dumps(
    {"query": {"pages": [{"title": "Red", "extract": "Red is a colour. <b onclick=x>Bold</b>"}]}}
)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_dropped_photo_gets_its_label(page, tmp_path, colour):
    page.drop(file(tmp_path, "photo.jpg", photo(colour)))
    answered(page, colour)
    bars = page.text("bars").split("\n")
    assert bars[0] == colour
    assert sorted(bars[::2]) == sorted(COLOURS)
    assert all(bar.endswith("%") for bar in bars[1::2])
    widths = page.run("[...document.querySelectorAll('.fill')].map(e => parseFloat(e.style.width))")
    assert widths[0] > 90
    assert widths == sorted(widths, reverse=True)
    assert (
        page.text("doubt") == page.text("error") == page.text("status") == page.text("truth") == ""
    )
    assert page.errors == []
    assert all(
        url.startswith((f"http://127.0.0.1:{page.run('location.port')}/", "blob:", "data:"))
        for url in page.asked
    )


def test_a_photo_may_be_chosen_pasted_and_taken(page, tmp_path):
    page.choose("file", file(tmp_path, "photo.png", photo("green", "PNG")))
    answered(page, "green")
    page.run(f"""(() => {{
        const text = atob("{base64.b64encode(photo("blue")).decode()}");
        const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
        const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([bytes], "image.jpg", {{ type: "image/jpeg" }}));
        const paste = new ClipboardEvent("paste", {{ clipboardData, bubbles: true }});
        document.body.dispatchEvent(paste);
    }})()""")
    answered(page, "blue")
    page.run("document.getElementById('camera').click()")
    page.until("document.getElementById('view').videoWidth > 0")
    page.run("document.getElementById('take').click()")
    page.until("document.getElementById('name').innerText === 'Camera'")
    assert page.run("stream === null && !document.getElementById('shoot').open")
    assert page.text("answer")
    assert page.errors == []


def pixel(picture: Image.Image, x: float, y: float) -> np.ndarray:
    """The RGB samples at a share of width and height."""
    samples = np.asarray(picture.convert("RGB"), int)
    return samples[int(y * picture.height), int(x * picture.width)]


def test_a_big_photo_is_shrunk_and_stays_upright(page, tmp_path):
    wide = Image.new("RGB", (3000, 2000), COLOURS["red"])
    wide.paste(COLOURS["blue"], (0, 0, 1500, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    buffer = io.BytesIO()
    wide.save(buffer, "JPEG", exif=exif, quality=95)
    page.run(
        "window.sent = []; window.real = fetch; "
        "window.fetch = (path, options) => { sent.push(options.body); return real(path, options); }"
    )
    page.drop(file(tmp_path, "wide.jpg", buffer.getvalue()))
    page.until("document.getElementById('name').innerText === 'wide.jpg'")
    sent = page.run(
        "sent[0].arrayBuffer().then((bytes) => btoa("
        "Array.from(new Uint8Array(bytes), (code) => String.fromCharCode(code)).join('')))"
    )
    with Image.open(io.BytesIO(base64.b64decode(sent))) as small:
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(buffer.getvalue())))
        assert small.size == (1067, 1600)
        assert not small.getexif().get(0x0112)
        for share in (0.1, 0.9):
            found = pixel(small, 0.5, share)
            meant = pixel(upright, 0.5, share)
            assert np.abs(found - meant).max() < 12


def test_a_small_photo_goes_as_it_is(page, tmp_path):
    page.run(
        "window.sent = []; window.real = fetch; window.fetch = (path, options) => "
        "{ sent.push(options.body.size); return real(path, options); }"
    )
    page.drop(file(tmp_path, "small.webp", photo("red", "WEBP")))
    answered(page, "red")
    assert page.run("sent") == [len(photo("red", "WEBP"))]
    page.drop(
        file(tmp_path, "small.tif", photo("green", "TIFF"))
    )  # which the browser cannot show, and the server knows
    answered(page, "green")
    assert page.run("document.getElementById('photo').hidden")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xd8\xff broken", "The photo cannot be used"),
        (b"no photo at all", "it is text, not a photo"),
        (b"", "The request has no photo"),
    ],
)
def test_a_broken_file_is_told_and_the_next_photo_works(page, tmp_path, data, words):
    page.drop(file(tmp_path, "broken.jpg", data))
    page.until("document.getElementById('error').innerText")
    assert words in page.text("error")
    assert page.text("status") == ""
    assert page.text("answer") == ""
    page.drop(file(tmp_path, "photo.jpg", photo("green")))
    answered(page, "green")
    assert page.text("error") == ""
    assert page.run("document.activeElement.id") == "answer"
    page.drop(file(tmp_path, "broken.jpg", data))
    page.until("document.getElementById('error').innerText")
    assert page.text("result") == ""
    # the focus is not lost with the element that had it
    assert page.run("document.activeElement.id") == "choose"


def test_a_server_that_is_gone_is_told(browser, colours, tmp_path):
    with serving(colours.model, SLIPWAY_PAGE=1) as gone:
        browser.open(f"http://127.0.0.1:{gone.port}/")
        browser.run("document.getElementById('try').click()")
        browser.until(
            "document.getElementById('error').innerText.startsWith('There are no sample photos')"
        )
    browser.drop(file(tmp_path, "photo.jpg", photo()))
    browser.until(
        "document.getElementById('error').innerText.startsWith('The server cannot be reached')"
    )
    browser.run("document.querySelector('summary').click()")
    browser.until(
        "document.getElementById('count').innerText.startsWith('The server cannot be reached')"
    )


def test_a_hostile_label_is_text_and_a_low_probability_is_not_sure(browser, colours, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(colours.model, model)
    description = (model / "model.json").read_text(encoding="utf-8")
    assert '"red"' in description
    (model / "model.json").write_text(
        description.replace('"red"', json.dumps(HOSTILE)), encoding="utf-8"
    )
    with serving(model, SLIPWAY_PAGE=1, SLIPWAY_SURE_FROM=1) as hostile:
        browser.open(f"http://127.0.0.1:{hostile.port}/")
        browser.drop(file(tmp_path, "<b>photo.jpg", photo("red")))
        answered(browser, "Not sure")
        assert HOSTILE in browser.text("doubt")
        assert "may well be wrong" in browser.text("doubt")
        assert browser.text("bars").startswith(HOSTILE)
        assert browser.text("link") == f"{HOSTILE} on Wikipedia"
        assert browser.text("name") == "<b>photo.jpg"
        browser.run("document.querySelector('summary').click()")
        browser.until("document.getElementById('labels').childElementCount === 3")
        assert HOSTILE in browser.text("labels")
        assert browser.run("document.title") == TITLE
        planted = "document.querySelectorAll('#result b, #result script, #result img').length"
        assert browser.run(planted) == 1
        assert browser.errors == []


def test_a_sample_shows_whether_the_answer_is_right(page):
    page.run("document.getElementById('try').click()")
    page.until("document.getElementById('truth').innerText")
    assert page.text("truth") == f"✓ Right: it is {page.text('answer')}."
    assert page.text("name").startswith(page.text("answer"))


def test_wikipedia_is_asked_on_the_users_click_only(page, tmp_path):
    page.drop(file(tmp_path, "photo.jpg", photo("red")))
    answered(page, "red")
    assert (
        page.run("document.getElementById('link').href")
        == "https://en.wikipedia.org/wiki/Special:Search?go=Go&search=red"
    )
    assert not any("wikipedia" in url for url in page.asked)
    page.run("document.getElementById('more').click()")
    page.until("document.getElementById('article').innerText === 'Wikipedia does not answer.'")
    for body, words in (
        (json.dumps({"batchcomplete": True}), "Wikipedia has no article about this."),
        (ARTICLE, "Red is a colour. <b onclick=x>Bold</b>"),
    ):
        page.fulfil["wikipedia"] = 200, body
        page.run("document.getElementById('more').click()")
        page.until(f"document.getElementById('article').innerText.includes({json.dumps(words)})")
    assert page.run("document.querySelector('#article b')") is None
    disabled = page.run("document.getElementById('more').getAttribute('aria-disabled')")
    assert disabled == "true"
    page.drop(file(tmp_path, "other.jpg", photo("blue")))
    answered(page, "blue")
    assert page.text("article") == ""


def test_the_policy_stops_scripts_and_requests_to_others(page):
    page.fulfil["example.org"] = 200, "{}"
    fetched = page.run("fetch('https://example.org/').then(() => 'reached', () => 'stopped')")
    assert fetched == "stopped"
    page.run(
        "const planted = document.createElement('script'); "
        "planted.append('document.title = 1'); document.body.append(planted)"
    )
    for planting in (
        "document.body.innerHTML = '<b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>')",
        "new Image().setAttribute('onerror', 'x')",
        "document.createElement('script').text = 'x'",
        "document.write('<b>')",
    ):
        outcome = page.run(
            f"(() => {{ try {{ {planting}; return 'done'; }} "
            "catch (error) { return error.name; } })()"
        )
        assert outcome == "TypeError", planting
    assert page.run("document.title") == TITLE
    assert any("Content Security Policy" in error for error in page.errors)


def test_the_session_is_kept_until_it_is_cleared(page, tmp_path):
    for colour in ("red", "blue"):
        page.drop(file(tmp_path, f"{colour}.jpg", photo(colour)))
        answered(page, colour)
    assert [line for line in page.text("history").split("\n") if line][::2] == ["blue", "red"]
    page.run("document.querySelectorAll('#history button')[1].click()")
    assert page.text("answer") == "red"
    assert page.text("name") == "red.jpg"
    page.run("document.getElementById('clear').click()")
    assert page.text("past") == page.text("result") == ""
