"""Drawing on the page by mouse, finger, pen and keyboard, in a real browser."""

import re

import pytest

from tests.webdemo.browser import ONE, SEVEN, THREE, Page


def moved(strokes, left, top, scale=1.0):
    """Strokes made smaller around the pad's middle, and then moved."""
    return [[(140 + (x - 140) * scale + left, 140 + (y - 140) * scale + top) for x, y in stroke] for stroke in strokes]


def test_before_anything_is_drawn(page: Page):
    assert (page.text("digit"), page.text("verdict")) == ("–", "Nothing drawn yet.")
    assert page.enabled() == ""
    assert page.ink() == 0
    page.screenshot("blank")


def test_a_blank_pad_has_no_digit(page: Page):
    page.click("predict")
    page.script("window.old = fetch; window.fetch = (...all) => old(...all).finally(() => (window.answered = true))")
    page.click("predict")
    page.wait(lambda: page.script("return window.answered"), "an answer")
    assert (page.text("digit"), page.text("verdict")) == ("–", "Nothing drawn yet.")


@pytest.mark.parametrize("kind", ["mouse", "touch", "pen"])
def test_what_is_drawn_is_read_at_once(page: Page, kind):
    page.draw(SEVEN, kind)
    page.wait_for("digit", "7")
    assert page.text("verdict") == "This is a 7."
    bars = page.bars()
    assert len(bars) == 10
    assert all(re.fullmatch(rf"{digit}\s+\d+\.\d %", text) for digit, text in enumerate(bars))
    assert float(bars[7].split()[1]) > 50
    assert re.search(r"\d ms", page.text("time"))


def test_all_samples_are_read_as_what_they_are(page: Page):
    for digit in range(10):
        page.sample(f"a {digit}")
        page.wait_for("digit", str(digit))


def test_a_scribble_is_no_digit(page: Page):
    page.sample("a scribble")
    page.wait_for("digit", "?")
    assert page.text("verdict") == "This does not look like a digit."


@pytest.mark.parametrize("width", [4, 40])
def test_thick_and_thin_pens(page: Page, width):
    page.script(
        "const w = document.getElementById('width'); w.value = arguments[0]; w.dispatchEvent(new Event('input'))", width
    )
    page.draw(ONE)
    page.wait_for("digit", "1")
    page.screenshot(f"pen-{width}")


@pytest.mark.parametrize(("left", "top", "scale"), [(-95, -85, 0.4), (95, 85, 0.4), (60, -60, 0.15)])
def test_in_a_corner_and_tiny(page: Page, left, top, scale):
    page.set_width(6)
    page.draw(moved(SEVEN, left, top, scale))
    page.wait_for("digit", "7")


def test_a_stroke_may_leave_the_pad_and_come_back(page: Page):
    page.draw([[(140, 40), (150, -30), (140, 20), (140, 230)]])
    page.wait(lambda: page.enabled() == "undo clear", "the end of the stroke")
    page.click("undo")
    assert page.ink() == 0


def test_a_tap_leaves_a_dot(page: Page):
    page.draw([[(140, 140)]], "touch")
    width = page.find("pad").get_property("width") / 280 * 16
    assert page.ink() == pytest.approx(3.14 * (width / 2) ** 2, rel=0.15)


def test_strokes_have_no_corners(page: Page):
    """Points on a circle, far apart, give a circle: no pixel of it is further from the middle than a point is."""
    page.set_width(4)
    page.draw([[(240, 140), (211, 211), (140, 240), (69, 211), (40, 140), (69, 69), (140, 40), (211, 69), (240, 140)]])
    nearest, furthest = page.pixels(
        "pad",
        """[Math.min, Math.max].map((end) => data.reduce((found, value, i) => {
          if (i % 4 !== 3 || !value) return found;
          const [x, y] = [(i >> 2) % width, Math.floor((i >> 2) / width)];
          return end(found, (Math.hypot(x + 0.5 - width / 2, y + 0.5 - width / 2) / width) * 280);
        }, 100))""",
    )
    # Chords between the points would come as near as 92.4 - 2; the parabolas stay beyond the points' middles.
    assert furthest < 103
    assert nearest > 89.5


def test_a_pen_that_presses_harder_draws_thicker(page: Page):
    ink = []
    for pressure in (0.1, 0.9):
        page.draw(ONE, "pen", pressure)
        ink.append(page.ink())
        page.click("clear")
    assert ink[1] > 1.8 * ink[0]


def test_a_second_finger_draws_nothing(page: Page):
    def touch(kind, *points):
        page.command("Input.dispatchTouchEvent", type=kind, touchPoints=list(points))

    box = page.script("return document.getElementById('pad').getBoundingClientRect().toJSON()")
    page.look(phone=True)
    one = {"x": box["left"] + 60, "y": box["top"] + 60, "id": 1}
    two = {"x": box["left"] + 200, "y": box["top"] + 200, "id": 2}
    touch("touchStart", one)
    touch("touchStart", one, two)
    touch("touchMove", {**one, "y": one["y"] + 80}, {**two, "x": two["x"] - 80})
    touch("touchEnd")
    page.wait(lambda: page.enabled() == "undo clear", "the end of the stroke")
    right = page.pixels("pad", "data.some((value, i) => value && (i >> 2) % width > width / 2)")
    assert page.ink() > 0
    assert not right


def test_undo_redo_and_clear(page: Page):
    page.draw(THREE)
    page.wait_for("digit", "3")
    whole = page.ink()
    page.click("undo")
    half = page.ink()
    assert 0 < half < whole
    assert page.enabled() == "undo redo clear"
    page.click("undo")
    assert (page.ink(), page.text("verdict"), page.enabled()) == (0, "Nothing drawn yet.", "redo")
    page.click("redo")
    page.click("redo")
    assert page.ink() == whole
    page.wait_for("digit", "3")
    page.click("clear")
    assert (page.ink(), page.text("digit"), page.enabled()) == (0, "–", "undo")
    page.click("undo")  # clearing can be undone too
    assert page.ink() == whole
    page.wait_for("digit", "3")
    page.draw(ONE)
    assert page.enabled() == "undo clear"  # what was undone before is gone


def test_the_keyboard(page: Page):
    from selenium.webdriver import Keys

    page.draw(SEVEN)
    page.wait_for("digit", "7")
    whole = page.ink()
    for undo, redo in [
        ((Keys.CONTROL, "z"), (Keys.CONTROL, "y")),
        ((Keys.CONTROL, "z"), (Keys.CONTROL, Keys.SHIFT, "z")),
        ((Keys.DELETE,), (Keys.CONTROL, "z")),
        ((Keys.BACKSPACE,), (Keys.CONTROL, "z")),
        ((Keys.ESCAPE,), (Keys.CONTROL, "z")),
    ]:
        page.press(*undo)
        assert page.ink() == 0
        page.press(*redo)
        assert page.ink() == whole
    page.answer_with({"digit": 2})
    page.press(Keys.ENTER)
    page.wait_for("digit", "2")


def test_keys_do_nothing_while_typing(page: Page):
    from selenium.webdriver import Keys

    page.draw(SEVEN)
    whole = page.ink()
    page.script("const i = document.createElement('input'); document.querySelector('main').append(i); i.focus()")
    for keys in [(Keys.BACKSPACE,), (Keys.DELETE,), (Keys.ESCAPE,), (Keys.CONTROL, "z")]:
        page.press(*keys)
        assert page.ink() == whole


def test_everything_can_be_reached_by_tab(page: Page):
    from selenium.webdriver import Keys

    page.sample("a 4")
    page.wait_for("digit", "4")
    page.script("document.activeElement.blur(); scrollTo(0, 0)")
    reached = []
    for _ in range(40):
        page.press(Keys.TAB)
        reached.append(page.script("return document.activeElement.id || document.activeElement.className"))
        assert page.script(
            "const e = document.activeElement; return e === document.body || e.matches(':focus-visible')"
        )
    assert {"theme", "undo", "clear", "predict", "width", "live", "wrong", "upload", "sample"} <= set(reached)


def test_live_reading_can_be_switched_off_and_that_is_remembered(page: Page):
    page.click("live")
    page.answer_with({"digit": 7})
    page.draw(SEVEN)
    page.script("return new Promise((done) => setTimeout(done, 400))")
    assert page.script("return window.asked") == 0
    assert "Read it" in page.text("verdict")
    page.click("predict")
    page.wait_for("digit", "7")
    page.draw(ONE)
    assert page.text("digit") == "–"  # the answer was about another drawing
    page.open()
    assert not page.find("live").is_selected()
    page.click("live")
    page.open()
    assert page.find("live").is_selected()


def test_two_tabs_do_not_disturb_each_other(page: Page):
    page.sample("a 3")
    page.wait_for("digit", "3")
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.look()
    page.open()
    page.sample("a 7")
    page.wait_for("digit", "7")
    page.driver.switch_to.window(first)
    assert page.text("digit") == "3"


def test_what_a_script_paints_is_read_too(page: Page):
    page.script(
        """const pad = document.getElementById("pad");
        const pen = pad.getContext("2d");
        const unit = pad.width / 280;
        pen.lineWidth = 16 * unit;
        pen.moveTo(140 * unit, 60 * unit);
        pen.lineTo(138 * unit, 220 * unit);
        pen.stroke();"""
    )
    page.click("predict")
    page.wait_for("digit", "1")
