"""The page at `/`: what is sent, and what a person meets in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import scoring
from scoring.draw import PALETTE
from scoring.server.routes.page import load_assets, prefers_html
from tests.scoring.server.browser import Browser, find_chromium
from tests.scoring.server.running import Running, served

Serve = Callable[..., Running]
Png = Callable[..., bytes]
KEY = "correct-horse-battery"
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
ROWS = "[...document.querySelectorAll('#boxes tr')].map(r => [...r.children].map(c => c.textContent))"


# ---- what is sent


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("", False),
        ("*/*", False),  # curl, and health probes
        ("text/plain", False),
        ("application/json", False),
        ("text/html", True),
        (CHROME, True),
        ("text/*", False),
        ("text/html, text/plain", False),  # no preference
        ("text/html;q=0.5, text/plain;q=0.4", True),
        ("text/html;q=0.4, */*;q=0.5", False),
        ("TEXT/HTML ; Q=1", True),
        ("text/html;q=nonsense", False),
        ("text/html;q=nan", False),
        ("text/html;level=1;q=0.9", True),
        (",;=,", False),
    ],
)
def test_browsers_get_the_page_and_all_others_the_health_check(accept: str, page: bool) -> None:
    assert prefers_html(accept) is page


def test_home(serve: Serve) -> None:
    server = serve(model=None)
    plain, page = server.get("/"), server.get("/", accept=CHROME)
    assert (plain.status, plain.body, plain.headers["vary"]) == (200, b"Healthy", "Accept")
    assert plain.headers["content-type"].startswith("text/plain")
    assert (page.status, page.headers["vary"]) == (200, "Accept")
    assert page.headers["content-type"] == "text/html; charset=utf-8"


class References(HTMLParser):
    """Every address in the page, and whether anything stands inline."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value for name in ("src", "href", "action") if (value := named.get(name))]
        self.inline += [name for name in named if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)


def test_the_page_needs_nothing_but_this_server(serve: Serve) -> None:
    server = serve()
    found = References(server.get("/", accept=CHROME).body.decode())
    assert found.inline == []
    assert len(found.addresses) >= 4
    for address in found.addresses:
        assert not re.match(r"(\w+:)?//", address), address
        assert server.get(f"/{address}").status == 200
    for name in (Path(scoring.__file__).parent / "server" / "page").glob("*.js"):
        for path in re.findall(r'from "\./([^"]+)"', name.read_text()):
            assert server.get(f"/page/{path}").headers["content-type"].startswith("text/javascript")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?://", name.read_text()
        )


@pytest.mark.parametrize("path", ["/", "/page/page.js", "/page/page.css", "/page/icon.svg"])
def test_headers_of_the_page_and_its_files(serve: Serve, path: str) -> None:
    server = serve(keys=(KEY.encode(),))  # they are open: the page must be there to take a key
    first = server.get(path, accept=CHROME)
    assert first.status == 200
    policy = first.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["cache-control"] == "no-cache"
    again = server.get(path, accept=CHROME, if_none_match=f'"x", W/{first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert server.get(path, accept=CHROME, if_none_match='"x"').status == 200


@pytest.mark.parametrize(
    "path", ["/page/", "/page/none.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/page.js/"]
)
def test_nothing_else_lies_under_page(serve: Serve, path: str) -> None:
    assert serve().get(path).status == 404


def test_the_wheel_holds_the_page(tmp_path: Path) -> None:
    root, copy = Path(scoring.__file__).parents[1], tmp_path / "copy"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, copy)
    for part in ("__init__.py", "server"):
        source, target = root / "scoring" / part, copy / "scoring" / part
        shutil.copytree(source, target) if source.is_dir() else (target.parent.mkdir(), shutil.copy(source, target))
    script = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], cwd=copy, check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"scoring/server/page/{name}" for name in load_assets()} <= names
    assert len(load_assets()) >= 6


# ---- what a person meets


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine")
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with Browser(program, tmp_path_factory.mktemp("profile"), *flags) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A page of its own size and memory; nothing may be left in its console at the end but what a test takes away."""
    chromium.screen(1280, 900)
    chromium.send("Network.clearBrowserCache")
    chromium.visit("about:blank")
    chromium.events.clear()
    yield chromium
    assert chromium.problems() == []


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., Path]:
    """`picture("a.png", colour, size)` writes one; the tiny model finds one label a colour channel."""

    def make(name: str, colour: tuple[int, int, int] = (200, 120, 60), size: tuple[int, int] = (80, 80)) -> Path:
        Image.new("RGB", size, colour).save(tmp_path / name)
        return tmp_path / name

    return make


def rows(browser: Browser) -> list[list[str]]:
    return [list(row) for row in browser.js(ROWS)]


def score_of(server: Running, path: Path, threshold: float) -> list[tuple[str, str]]:
    boxes = server.post(f"/score?threshold={threshold}", path.read_bytes()).json[0]["boxes"]
    return [(box["label"], f"{box['score']:.3f}") for box in boxes]


def listed(browser: Browser) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows(browser)]


def wait_for(browser: Browser, done: int) -> None:
    browser.until(f"document.querySelectorAll('#strip .done').length === {done}")


def take_away(browser: Browser, status: int, at_most: int = 99) -> None:
    """Chromium itself writes each answer of 4xx and 5xx to the console; those that a test wants are no problem."""
    kept, taken = [], 0
    for event in browser.events:
        text = event.get("params", {}).get("entry", {}).get("text", "")
        taken += (found := f"status of {status}" in text)
        if not found:
            kept.append(event)
    assert 0 < taken <= at_most
    browser.events[:] = kept


def test_choosing_a_file_lists_the_boxes_of_score(serve: Serve, browser: Browser, picture: Callable[..., Path]) -> None:
    server, path = serve(), picture("caps.png")
    browser.visit(server.url)
    browser.until("document.querySelector('#model-name').textContent === 'Caps'")
    assert browser.js("document.querySelector('#model-facts').innerText.split('\\n')") == [
        "version 1",
        "3 labels",
        "mAP 0.50",
    ]
    browser.choose("#files", path)
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert listed(browser) == score_of(server, path, 0.3) == [("red-cap", "0.784"), ("green, cap", "0.471")]
    assert rows(browser)[1][2] == "20, 20, 40 × 40"  # pixels of the picture
    counts = "[...document.querySelectorAll('#labels .pill')].map(e => e.textContent)"
    assert browser.js(counts) == ["0", "1", "1"]
    assert browser.js("document.querySelector('#caption').textContent") == "caps.png: red-cap × 1, green, cap × 1"
    assert re.fullmatch(
        r"80 × 80 px · decode [\d.]+ ms · infer [\d.]+ ms", browser.js("document.querySelector('#timing').textContent")
    )


def test_the_boxes_are_drawn_in_their_colours_where_they_are(
    serve: Serve, browser: Browser, picture: Callable[..., Path]
) -> None:
    browser.visit(serve().url)
    browser.choose("#files", picture("caps.png"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    pixels = """(() => { const c = document.querySelector('#canvas');
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const at = (x, y) => (Math.floor(y * c.height) * c.width + Math.floor(x * c.width)) * 4;
        return [[0.25, 0.6], [0.5, 0.9], [0.1, 0.1]].map(([x, y]) => [...data.slice(at(x, y), at(x, y) + 3)]); })()"""
    green, red, picture_itself = browser.js(pixels)  # the left sides of the two boxes, and beside both
    assert (green, red, picture_itself) == (list(PALETTE[1]), list(PALETTE[2]), [200, 120, 60])


def test_the_slider_filters_at_once_and_asks_nobody(
    serve: Serve, browser: Browser, picture: Callable[..., Path]
) -> None:
    server, path = serve(), picture("caps.png")
    browser.visit(server.url)
    browser.choose("#files", path)
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert browser.js("document.querySelector('#threshold').value") == "0.3"
    assert browser.js("document.querySelector('#own').hidden")
    asked = len(browser.sent("/score"))
    browser.set("#threshold", "1")
    assert (rows(browser), browser.js("document.querySelector('#none').hidden")) == ([], False)
    browser.set("#threshold", "0")
    assert listed(browser) == score_of(server, path, 0) and len(rows(browser)) == 3
    browser.set("#threshold", "0.5")
    assert listed(browser) == score_of(server, path, 0.5)
    assert browser.js("document.querySelector('#threshold-value').textContent") == "0.50"
    browser.click("#own")
    assert listed(browser) == score_of(server, path, 0.3)
    assert len(browser.sent("/score")) == asked == 1


def test_thresholds_of_each_label_are_the_beginning(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tiny_bundle: Any
) -> None:
    each = {"blue cap": 0.1, "green, cap": 0.5, "red-cap": 0.2}
    kind = {"kind": "cva", "iou": 0.5, "score_threshold": each, "max_boxes": 3}
    server, path = serve(model=served(tiny_bundle("each", postprocess=kind))), picture("caps.png")
    browser.visit(server.url)
    browser.choose("#files", path)
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert [label for label, _ in listed(browser)] == ["red-cap", "blue cap"]  # the green one has 0.471
    assert browser.js("document.querySelector('#threshold-value').textContent") == "one a label"
    assert browser.js("[...document.querySelectorAll('#labels .limit')].map(e => e.textContent)") == [
        "≥ 0.100",
        "≥ 0.500",
        "≥ 0.200",
    ]
    browser.set("#threshold", "0.4")
    assert [label for label, _ in listed(browser)] == ["red-cap", "green, cap"]  # one number for all


def test_labels_are_switched_off_and_on_by_mouse_and_keyboard(
    serve: Serve, browser: Browser, picture: Callable[..., Path]
) -> None:
    browser.visit(serve().url)
    browser.choose("#files", picture("caps.png"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    browser.click("#labels li:nth-child(3) .text")
    assert [label for label, _ in listed(browser)] == ["green, cap"]
    browser.js("document.querySelector('#labels li:nth-child(3) input').focus()")
    browser.press(" ", code=32, text=" ")
    assert [label for label, _ in listed(browser)] == ["red-cap", "green, cap"]


def test_labels_and_names_are_text_whatever_they_look_like(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tiny_bundle: Any
) -> None:
    labels = ["<img src=x onerror=alert(1)>", "&amp;<b>bold</b>", "\u202eright to left"]
    server = serve(model=served(tiny_bundle("markup", labels=labels, golden=False)))
    browser.visit(server.url)
    browser.choose("#files", picture("<b>&lt; a.png"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert [label for label, _ in listed(browser)] == [labels[2], labels[1]]
    assert browser.js("[...document.querySelectorAll('#labels .text')].map(e => e.textContent)") == labels
    assert browser.js("document.querySelector('#caption').textContent").startswith("<b>&lt; a.png: ")
    assert browser.js("document.querySelectorAll('main img, main b').length") == 0


def test_what_is_no_picture_says_what_to_do_and_keeps_its_place(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "cut.png").write_bytes(picture("whole.png").read_bytes()[:60])
    server = serve()
    browser.visit(server.url)
    browser.choose("#files", tmp_path / "notes.txt", picture("caps.png"), tmp_path / "cut.png")
    browser.until("document.querySelectorAll('#strip .failed').length === 2")
    take_away(browser, 400, at_most=2)
    assert browser.js("[...document.querySelectorAll('#strip button')].map(b => b.className)") == [
        "failed",
        "done",
        "failed",
    ]
    failure = "document.querySelector('#failure').innerText"
    assert "JPEG" in browser.js(failure) and "not a picture" in browser.js(failure)
    browser.click("#strip button:nth-child(3)")
    assert "damaged" in browser.until(f"!document.querySelector('#failure').hidden && {failure}")
    browser.click("#strip button:nth-child(2)")
    browser.until("document.querySelector('#failure').hidden")
    assert len(rows(browser)) == 2


def test_what_cannot_be_sent_is_not_sent(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "large.jpg").write_bytes(bytes(2000))
    server = serve(max_body=1999)
    browser.visit(server.url)
    browser.drop(tmp_path / "folder", tmp_path / "large.jpg", picture("caps.png"))
    browser.until("document.querySelectorAll('#strip .failed').length === 2")
    wait_for(browser, 1)
    failure = "document.querySelector('#failure').innerText"
    assert "If it is a folder" in browser.js(failure)
    browser.click("#strip button:nth-child(2)")
    assert "at most 1999 bytes, found 2000" in browser.until(f"{failure}.includes('too large') && {failure}")
    assert len(browser.sent("/score")) == 1


def test_a_wrong_key_then_the_right_one(serve: Serve, browser: Browser, picture: Callable[..., Path]) -> None:
    server = serve(keys=(KEY.encode(),))
    browser.visit(server.url)
    browser.until("!document.querySelector('#key-form').hidden")
    browser.choose("#files", picture("caps.png"))
    for key, words in [("wrong", "did not accept"), ("ключ", "letters, digits")]:
        browser.set("#key", key)
        browser.click("#key-form button")
        browser.until(f"document.querySelector('#key-problem').textContent.includes({words!r})")
    browser.set("#key", KEY)
    browser.js("document.querySelector('#key').focus()")
    browser.press("Enter", code=13, text="\r")
    browser.until("document.querySelectorAll('#boxes tr').length")
    take_away(browser, 401)
    assert browser.js("document.querySelector('#key-form').hidden")
    assert browser.js("document.querySelector('#key').value") == ""
    assert browser.js("Object.values(sessionStorage)") == [KEY]
    assert browser.js("[localStorage.length, document.cookie, location.href]") == [0, "", f"{server.url}/"]
    assert all(KEY not in each["request"]["url"] for each in browser.sent(""))


def test_the_camera_is_scored_one_frame_at_a_time_until_it_is_stopped(serve: Serve, browser: Browser) -> None:
    server = serve()
    browser.visit(server.url)
    browser.click("#camera")
    browser.until("document.querySelector('#timing').textContent.includes('frames a second')")
    assert [label for label, _ in listed(browser)] == ["green, cap"]  # Chromium's made-up camera is green
    browser.click("#keep-frame")
    browser.until("document.querySelectorAll('#strip .done').length === 1")
    browser.until("performance.getEntriesByType('resource').filter(e => e.name.includes('/score')).length > 5")
    assert most_at_once(browser) == 1
    browser.click("#camera")
    browser.until("document.querySelector('#camera').textContent === 'Use camera'")
    assert browser.js("document.querySelector('#video').srcObject === null")
    time.sleep(0.2)
    asked = len(browser.sent("/score"))
    time.sleep(0.3)
    assert len(browser.sent("/score")) == asked, "nothing is sent after the stop"
    browser.click("#strip button")
    browser.until("document.querySelector('#caption').textContent.startsWith('frame 1.jpg')")


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ("undefined", "https"),  # as on an address that is neither https nor this machine
        ("{getUserMedia: async () => { throw new DOMException('', 'NotFoundError'); }}", "no camera on this device"),
        ("{getUserMedia: async () => { throw new DOMException('', 'NotAllowedError'); }}", "address bar"),
    ],
)
def test_no_camera_says_why(serve: Serve, browser: Browser, devices: str, words: str) -> None:
    browser.visit(serve().url)
    browser.js(f"Object.defineProperty(navigator, 'mediaDevices', {{value: {devices}}}) && null")
    browser.click("#camera")
    browser.until(f"document.querySelector('#notice').textContent.includes({words!r})")
    assert browser.js("document.querySelector('#camera').textContent") == "Use camera"


def test_a_camera_that_is_taken_away_is_noticed(serve: Serve, browser: Browser) -> None:
    browser.visit(serve().url)
    browser.click("#camera")
    browser.until("document.querySelector('#timing').textContent.includes('frames a second')")
    browser.js("document.querySelector('#video').srcObject.getTracks().forEach(track => track.stop())")
    browser.until("document.querySelector('#notice').textContent.includes('taken away')")
    assert browser.js("document.querySelector('#camera').textContent") == "Use camera"


def most_at_once(browser: Browser) -> int:
    """How many requests to /score were ever under way together."""
    browser.js("0")
    under_way: set[str] = set()
    most = 0
    for event in browser.events:
        value = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent" and "/score" in value["request"]["url"]:
            under_way.add(value["requestId"])
        elif event["method"] in ("Network.loadingFinished", "Network.loadingFailed"):
            under_way.discard(value["requestId"])
        most = max(most, len(under_way))
    return most


def test_a_picture_is_drawn_upright_as_it_was_scored(serve: Serve, browser: Browser, tmp_path: Path) -> None:
    image = Image.new("RGB", (90, 30), (220, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    image.save(tmp_path / "side.jpg", exif=exif, quality=95)
    browser.visit(serve().url)
    browser.choose("#files", tmp_path / "side.jpg")
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert "30 × 90 px" in browser.js("document.querySelector('#timing').textContent")
    assert browser.js("(c => c.height / c.width)(document.querySelector('#canvas'))") == pytest.approx(3, abs=0.02)


def test_dropping_and_pasting(serve: Serve, browser: Browser, picture: Callable[..., Path]) -> None:
    browser.visit(serve().url)
    browser.drop(picture("first.png"), picture("second.png", (20, 200, 20)))
    wait_for(browser, 2)
    assert browser.js("document.querySelector('#veil').hidden")
    paste = """(async () => {
      const canvas = Object.assign(document.createElement('canvas'), {width: 40, height: 40});
      canvas.getContext('2d').fillRect(0, 0, 40, 40);
      const blob = await new Promise(resolve => canvas.toBlob(resolve));
      const data = new DataTransfer();
      data.items.add(new File([blob], 'pasted.png', {type: 'image/png'}));
      document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));
    })()"""
    browser.js(paste)
    wait_for(browser, 3)
    browser.until("document.querySelector('#caption').textContent === 'pasted.png: nothing found'")
    browser.click("#clear")
    assert browser.js("document.querySelector('#results').hidden")
    assert most_at_once(browser) == 1


def test_the_picture_and_the_boxes_can_be_saved(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    path = picture("caps.v1.png", size=(300, 200))
    browser.visit(serve().url)
    browser.choose("#files", path)
    browser.until("document.querySelectorAll('#boxes tr').length")
    browser.set("#threshold", "0.4")
    browser.click("#save-json")
    browser.click("#save-png")
    saved = [wait_for_file(folder / f"caps.v1{suffix}") for suffix in (".json", ".boxes.png")]
    [element] = json.loads(saved[0].read_text())
    assert element["filename"] == "caps.v1.png"
    assert [(box["label"], f"{box['score']:.3f}") for box in element["boxes"]] == listed(browser)
    assert set(element["boxes"][0]["box"]) == {"topX", "topY", "bottomX", "bottomY"}
    with Image.open(saved[1]) as drawn, Image.open(path) as original:
        assert drawn.size == original.size
        assert PALETTE[1] in {colour[:3] for _, colour in drawn.convert("RGB").getcolors(1 << 20) or []}
        assert original.getcolors() == [(60000, (200, 120, 60))]


def wait_for_file(path: Path) -> Path:
    deadline = time.monotonic() + 30
    while not path.is_file() or path.with_name(path.name + ".crdownload").exists() or not path.stat().st_size:
        assert time.monotonic() < deadline, list(path.parent.glob("*"))
        time.sleep(0.05)
    return path


def test_a_row_and_its_box_point_at_each_other(serve: Serve, browser: Browser, picture: Callable[..., Path]) -> None:
    browser.visit(serve().url)
    browser.choose("#files", picture("caps.png"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    focused = "[...document.querySelectorAll('#boxes tr')].map(r => r.classList.contains('focused'))"
    browser.js("document.querySelector('#boxes tr').focus()")
    assert browser.js(focused) == [True, False]
    browser.press("ArrowDown", code=40)
    assert browser.js(focused) == [False, True]
    place = browser.js(
        "(r => [r.x, r.y, r.width, r.height])(document.querySelector('#canvas').getBoundingClientRect())"
    )
    point = {"x": place[0] + place[2] * 0.9, "y": place[1] + place[3] * 0.9}
    browser.send("Input.dispatchMouseEvent", type="mouseMoved", **point)
    assert browser.js(focused) == [True, False], "the red one lies there"


def test_a_busy_server_is_asked_again_and_then_named(
    serve: Serve, browser: Browser, picture: Callable[..., Path]
) -> None:
    server = serve(queue=0)
    browser.visit(server.url)
    browser.choose("#files", picture("caps.png"))
    browser.until("document.querySelector('#busy').textContent.includes('busy')")
    browser.until("!document.querySelector('#failure').hidden")
    assert "at most 0 requests" in browser.js("document.querySelector('#failure').innerText")
    assert len(browser.sent("/score")) == 4
    take_away(browser, 429, at_most=4)
    server.context.service.settings = replace(server.context.settings, queue=64)
    browser.click("#again")
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert browser.js("document.querySelector('#failure').hidden")


def test_a_model_that_comes_later(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tiny_bundle: Any
) -> None:
    server = serve(model=None)
    browser.visit(server.url)
    browser.choose("#files", picture("caps.png"))
    server.context.service.use(served(tiny_bundle("later"), version="8"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    assert "version 8" in browser.js("document.querySelector('#model-facts').innerText")
    take_away(browser, 503)


def test_a_new_version_is_shown_when_it_answers(
    serve: Serve, browser: Browser, picture: Callable[..., Path], tiny_bundle: Any
) -> None:
    server = serve()
    browser.visit(server.url)
    browser.choose("#files", picture("a.png"))
    browser.until("document.querySelectorAll('#boxes tr').length")
    server.context.service.use(served(tiny_bundle("newer"), version="2"))
    browser.choose("#files", picture("b.png"))
    browser.until("document.querySelector('#model-facts').innerText.includes('version 2')")
    wait_for(browser, 2)


LEAST_CONTRAST = """(() => {
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const parts = colour => colour.match(/[\\d.]+/g).slice(0, 3).map(v => linear(v / 255));
  const light = colour => parts(colour).reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const ratio = e => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  };
  const texts = [...document.querySelectorAll('h1, p, a, li, th, td, button, label, output, .pill')];
  return Math.min(...texts.filter(e => e.offsetParent && e.textContent.trim() && !e.disabled).map(ratio));
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_scrolls_in_one_direction_and_text_can_be_read(
    serve: Serve, browser: Browser, picture: Callable[..., Path], scheme: str
) -> None:
    browser.screen(320, 640, scheme=scheme, phone=True)
    browser.visit(serve().url)
    for _ in range(2):
        assert browser.js("document.documentElement.scrollWidth <= innerWidth")
        browser.choose(
            "#files", picture("a rather long name of a picture from a telephone 20260501.png"), picture("b.png")
        )
        wait_for(browser, 2)
    assert browser.js(LEAST_CONTRAST) >= 4.5


def test_everything_that_can_be_used_has_a_name_and_a_place_in_the_order(
    serve: Serve, browser: Browser, picture: Callable[..., Path]
) -> None:
    browser.visit(serve().url)
    browser.choose("#files", picture("a.png"), picture("b.png"))
    wait_for(browser, 2)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    usable = [each for each in nodes if each.get("role", {}).get("value") in ("button", "checkbox", "slider", "link")]
    assert len(usable) >= 12
    assert [each for each in usable if not each["name"]["value"].strip()] == []
    seen = []
    browser.js("document.activeElement.blur()")
    for _ in range(14):
        browser.press("Tab", code=9)
        seen.append(browser.js("document.activeElement.id || document.activeElement.tagName"))
    for name in ("files", "camera", "clear", "save-png", "save-json", "threshold", "TR"):
        assert name in seen, (name, seen)


def test_two_labels_on_one_box_are_both_legible(serve: Serve, browser: Browser) -> None:
    """A hidden tag leaves less than half of its colour; each stands on ground of its own size."""
    browser.visit(serve().url)
    code = """import('/page/draw.js').then(({draw}) => {
      const canvas = Object.assign(document.createElement('canvas'), {width: 400, height: 300});
      const box = {topX: .2, topY: .3, bottomX: .8, bottomY: .9};
      const boxes = [{box, label: 'one', score: .9}, {box, label: 'two', score: .8}];
      const ground = Object.assign(document.createElement('canvas'), {width: 400, height: 300});
      draw(canvas, ground, boxes, ['one', 'two'], {unit: 2, focus: null});
      const data = canvas.getContext('2d').getImageData(80, 0, 100, 300).data, counts = {};
      for (let at = 0; at < data.length; at += 4) {
        const colour = data.slice(at, at + 3).join();
        counts[colour] = (counts[colour] ?? 0) + 1;
      }
      return counts;
    })"""
    counts = browser.js(code)
    one, two = (counts[",".join(map(str, colour))] for colour in PALETTE[:2])
    assert min(one, two) > 600, counts


def test_colours_are_those_of_the_command_line_and_their_texts_can_be_read(serve: Serve, browser: Browser) -> None:
    browser.visit(serve().url)
    code = "import('/page/boxes.js').then(m => m.PALETTE.map(c => [c, m.inkOn(c)]))"
    pairs = browser.js(code)
    assert [tuple(bytes.fromhex(colour[1:])) for colour, _ in pairs] == list(PALETTE)
    assert all(contrast(colour, ink) >= 4.5 for colour, ink in pairs)


def contrast(one: str, other: str) -> float:
    """WCAG 2: relative luminances of two colours as a ratio."""

    def light(colour: str) -> float:
        parts = [value / 255 for value in bytes.fromhex(colour[1:])]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# ---- pages of other origins


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of an empty page that is not this server's; to a browser 127.0.0.1 and localhost are two origins."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,><title>elsewhere</title>")

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield other.server_address[1]
        other.shutdown()
        thread.join()


CALL = """
(async () => {
  const bytes = Uint8Array.from(atob("%(image)s"), c => c.charCodeAt(0));
  const headers = {"content-type": "image/png", "x-api-key": "%(key)s"};
  const found = [];
  for (const [path, options] of [["/health/ready", {}], ["/score", {method: "POST", headers, body: bytes}]]) {
    try {
      const answer = await fetch("%(url)s" + path, options);
      found.push([answer.status, await answer.json(), answer.headers.get("x-model-version")]);
    } catch (error) {
      found.push(error.name);
    }
  }
  return found;
})()
"""


def test_a_page_of_an_allowed_origin_may_call_and_another_may_not(
    serve: Serve, browser: Browser, png: Png, elsewhere: int
) -> None:
    server = serve(cors_origins=(f"http://127.0.0.1:{elsewhere}",), keys=(KEY.encode(),))
    call = CALL % {"image": base64.b64encode(png()).decode(), "key": KEY, "url": server.url}
    browser.visit(f"http://127.0.0.1:{elsewhere}/")
    [[status, health, _], [scored, elements, version]] = browser.js(call)
    assert (status, health["status"], scored, version) == (200, "ready", 200, "1")
    assert elements == server.post("/score", png(), x_api_key=KEY).json
    asked = scored_so_far(server)
    browser.visit(f"http://localhost:{elsewhere}/")
    assert browser.js(call) == ["TypeError", "TypeError"]
    assert scored_so_far(server) == asked, "the preflight was refused, and so the picture was not sent"
    refused = [
        event for event in browser.events if "CORS policy" in json.dumps(event) or "ERR_FAILED" in json.dumps(event)
    ]
    assert refused
    browser.events[:] = [event for event in browser.events if event not in refused]


def scored_so_far(server: Running) -> int:
    lines = server.get("/metrics", x_api_key=KEY).body.decode().splitlines()
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith("cva_requests_total") and '"POST"' in line
    )
