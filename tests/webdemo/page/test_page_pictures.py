"""Pictures opened, dropped and pasted: what is shown, and what is sent."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.webdemo.browser import ONE, SEVEN, THREE, Page


def picture(strokes, size=(400, 300), ink="black", paper="white", mode="RGB") -> Image.Image:
    """Strokes of the pad's 280 units in the middle of a picture."""
    image = Image.new(mode, size, paper)
    scale = min(size) / 280
    left, top = (size[0] - 280 * scale) / 2, (size[1] - 280 * scale) / 2
    for stroke in strokes:
        points = [(left + x * scale, top + y * scale) for x, y in stroke]
        ImageDraw.Draw(image).line(points, fill=ink, width=round(16 * scale), joint="curve")
    return image


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    path = tmp_path / "seven.png"
    picture(SEVEN).save(path)
    return path


def drop(page: Page, *paths: Path, let_go: bool = True) -> None:
    """Drag files onto the page, as from a window of files."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ["dragEnter", "dragOver", *(["drop"] if let_go else [])]:
        page.command("Input.dispatchDragEvent", type=kind, x=300, y=700, data=data)


def sent(page: Page) -> None:
    """Remember what the page sends."""
    page.script("window.old = fetch; window.fetch = (at, all) => { window.body = all.body; return old(at, all); }")


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp"])
def test_a_picture_is_opened_shown_and_read(page: Page, tmp_path, kind):
    path = tmp_path / f"three.{kind}"
    picture(THREE).save(path)
    page.find("file").send_keys(str(path))
    page.wait_for("digit", "3")
    assert page.ink() > 0
    assert page.enabled() == "undo clear"
    assert not page.problem()


def test_the_button_opens_a_picture(page: Page):
    page.script(
        "const input = arguments[0]; input.onclick = () => { window.opened = true; return false; }", page.find("file")
    )
    page.click("upload")
    assert page.script("return window.opened")


@pytest.mark.parametrize(
    ("size", "ink", "paper"),
    [((30, 40), "black", "white"), ((3000, 2000), "navy", "beige"), ((300, 900), "white", "black")],
)
def test_tiny_big_and_light_on_dark(page: Page, tmp_path, size, ink, paper):
    path = tmp_path / "picture.png"
    picture(SEVEN, size, ink, paper).save(path)
    page.find("file").send_keys(str(path))
    page.wait_for("digit", "7")


def test_a_transparent_picture(page: Page, tmp_path):
    path = tmp_path / "transparent.png"
    picture(SEVEN, ink=(0, 0, 0, 255), paper=(0, 0, 0, 0), mode="RGBA").save(path)
    page.find("file").send_keys(str(path))
    page.wait_for("digit", "7")


def test_a_photo_taken_sideways_stands_upright(page: Page, tmp_path):
    path = tmp_path / "phone.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    picture(SEVEN, (600, 400)).rotate(90, expand=True).save(path, exif=exif)
    page.find("file").send_keys(str(path))
    page.wait_for("digit", "7")
    empty = page.pixels("pad", "data.slice(0, 4 * width * 20).every((value) => value === 0)")
    assert empty  # it is wider than high, so there is nothing above it
    page.screenshot("photo")


def test_the_original_file_is_sent_until_something_is_drawn_over_it(page: Page, seven):
    sent(page)
    page.find("file").send_keys(str(seven))
    page.wait_for("digit", "7")
    assert page.script("return body instanceof FormData && body.get('file').name") == "seven.png"
    assert page.script("return body.get('file').size") == seven.stat().st_size
    page.draw([[(20, 20)]])
    page.wait(
        lambda: page.script("return typeof body === 'string' && body.startsWith('{\"image\":\"data:image/png;')"),
        "the pad",
    )
    page.click("undo")
    page.wait(lambda: page.script("return body instanceof FormData"), "the file again")


def test_a_picture_can_be_dropped_anywhere(page: Page, seven):
    drop(page, seven, let_go=False)
    page.wait(lambda: page.find("drop").is_displayed(), "the drop target")
    page.screenshot("drop")
    page.script("document.dispatchEvent(new DragEvent('dragleave'))")  # which DevTools cannot do
    page.wait(lambda: not page.find("drop").is_displayed(), "the drop target to go")
    drop(page, seven)
    page.wait_for("digit", "7")
    assert not page.find("drop").is_displayed()


def test_a_picture_can_be_pasted(page: Page):
    from selenium.webdriver import Keys

    page.command("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page.sample("a 7")
    page.wait_for("digit", "7")
    page.driver.execute_async_script(
        """const done = arguments[0];
        const page = Object.assign(document.createElement("canvas"), { width: 280, height: 280 });
        const context = page.getContext("2d");
        context.fillStyle = "white";
        context.fillRect(0, 0, 280, 280);
        context.drawImage(document.getElementById("pad"), 0, 0, 280, 280);
        page.toBlob((blob) => navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]).then(done));"""
    )
    page.click("clear")
    page.press(Keys.CONTROL, "v")
    page.wait_for("digit", "7")
    assert page.enabled() == "undo clear"


def test_pasted_text_is_none_of_its_business(page: Page):
    page.script(
        """const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", "7");
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));"""
    )
    assert (page.problem(), page.enabled()) == ("", "")


def files(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that are no picture, and words of what the page says of each."""
    text, damaged, svg, big, empty = (folder / name for name in ("a.txt", "b.png", "c.svg", "d.png", "e.png"))
    text.write_text("seven")
    damaged.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    svg.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    big.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(17 * 2**20))
    empty.touch()
    return {
        "text": (text, "not a picture"),
        "damaged": (damaged, "damaged"),
        "svg": (svg, "not a picture"),
        "big": (big, "17 MB"),
        "empty": (empty, "is empty"),
    }


@pytest.mark.parametrize("case", ["text", "damaged", "svg", "big", "empty"])
def test_the_wrong_kind_of_file_is_refused_and_the_drawing_kept(page: Page, tmp_path, case):
    page.draw(SEVEN)
    page.wait_for("digit", "7")
    ink = page.ink()
    path, words = files(tmp_path)[case]
    drop(page, path)
    page.wait_for_problem(words)
    assert path.name in page.problem()
    assert (page.ink(), page.text("digit"), page.enabled()) == (ink, "7", "undo clear")
    if case == "text":
        page.screenshot("problem")
    page.click("problem-close")
    assert not page.problem()


def test_what_the_server_refuses_is_said_and_can_be_undone(page: Page, seven):
    page.draw(ONE)
    page.wait_for("digit", "1")
    page.script(
        """window.old = fetch;
        window.fetch = async () => new Response('{"detail": "That is too much for me."}', { status: 422 });"""
    )
    page.find("file").send_keys(str(seven))
    page.wait_for_problem("That is too much for me.")
    page.script("window.fetch = old")
    page.click("undo")
    page.wait_for("digit", "1")
    assert not page.problem()


def test_a_blank_picture(page: Page, tmp_path):
    path = tmp_path / "blank.png"
    picture([]).save(path)
    page.find("file").send_keys(str(path))
    page.wait_for("verdict", "No digit was found in this picture.")


def test_the_box_is_drawn_where_the_digit_is(page: Page, tmp_path):
    """In the first step the frame around the digit is found where the picture, four times as wide as high, has it."""
    path = tmp_path / "wide.png"
    image = Image.new("L", (800, 200), "white")
    image.paste(picture(ONE, (200, 200), mode="L"), (600, 0))
    image.save(path)
    page.find("file").send_keys(str(path))
    page.wait_for("digit", "1")
    orange = page.pixels(
        "step-found",
        "[...data.keys()].filter((i) => i % 4 === 0 && data[i] > 150 && data[i + 2] < 90).map((i) => i / 4)",
    )
    x = np.array(orange) % 160 / 160 * 800
    y = np.array(orange) // 160 / 160 * 800 - 300
    ink = np.argwhere(np.asarray(image) < 128)
    np.testing.assert_allclose([x.min(), x.max()], ink[:, 1][[ink[:, 1].argmin(), ink[:, 1].argmax()]], atol=16)
    np.testing.assert_allclose([y.min(), y.max()], [ink[:, 0].min(), ink[:, 0].max()], atol=16)


def test_a_picture_travels_without_loss(page: Page):
    """The PNG that is sent is what is on the pad, on white."""
    sent(page)
    page.draw(SEVEN)
    page.wait_for("digit", "7")
    url = page.script("return JSON.parse(body).image")
    import base64

    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("L"))
    assert image.shape == (280, 280)
    assert image[0, 0] == 255
    assert image.min() == 0
    assert (image < 128).sum() == pytest.approx(
        page.ink() / (page.find("pad").get_property("width") / 280) ** 2, rel=0.1
    )
