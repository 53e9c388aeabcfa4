"""On phones and desktops, light and dark, for eyes and for screen readers. Screenshots go to `screenshots/`."""

import pytest

from tests.webdemo.browser import SEVEN, THREE, Page

DOUBT = {"digit": 4, "verdict": "unsure", "probabilities": {4: 0.55, 9: 0.41, 7: 0.04}}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_no_width_needs_to_be_scrolled_sideways(page: Page, width, theme):
    page.look(width, 900 if width > 700 else 667, phone=width < 1000, prefers_color_scheme=theme)
    page.open()
    page.sample("a 4")
    page.wait_for("digit", "4")
    page.screenshot(f"{width}-{theme}")
    states = {"one": [{"digit": 4}], "many": [{"digit": i % 10} for i in range(24)], "doubt": [DOUBT]}
    for digits in states.values():
        page.answer_with(*digits)
        page.script("document.getElementById('predict').click()")
        page.wait_for("digit", "".join(str(digit["digit"]) for digit in digits))
        page.script("document.getElementById('wrong').click()")
        assert page.script("return document.documentElement.scrollWidth") == width
    assert page.script("return visualViewport.width") == width


def test_a_finger_on_the_pad_does_not_scroll_the_page(page: Page):
    page.look(375, 667, phone=True)
    page.open()

    def swipe(x: float, y: float) -> None:
        """A finger that goes up by 150 pixels."""
        page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for step in range(1, 16):
            page.command("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y - 10 * step}])
        page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    pad = page.script("return document.getElementById('pad').getBoundingClientRect().toJSON()")
    swipe(pad["left"] + 100, pad["top"] + 250)
    page.wait(lambda: page.enabled() == "undo clear", "the stroke")
    assert page.script("return scrollY") == 0
    swipe(pad["left"] + 100, pad["bottom"] + 150)
    page.wait(lambda: page.script("return scrollY") > 50, "the page to scroll, where it may")


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_the_pad_is_crisp(page: Page, pixels):
    metrics = {"width": 1280, "height": 900, "deviceScaleFactor": pixels, "mobile": False}
    page.command("Emulation.setDeviceMetricsOverride", **metrics)
    page.open()

    def is_crisp() -> bool:
        stored, shown = page.script("const pad = document.getElementById('pad'); return [pad.width, pad.clientWidth]")
        return stored % 280 == 0 and stored >= min(shown * pixels, 3 * 280)

    page.wait(is_crisp, "the pad to have the screen's pixels")  # the browser tells it its size a moment later


def test_dark_by_choice_of_the_system_or_of_the_visitor(page: Page):
    def theme() -> str:
        return page.script("return document.documentElement.dataset.bsTheme")

    def brightness() -> int:
        return page.script("return parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/))")

    assert (theme(), brightness() > 200) == ("light", True)
    page.look(prefers_color_scheme="dark")
    page.wait(lambda: theme() == "dark", "the dark theme")
    assert brightness() < 60
    page.click("theme")
    assert theme() == "light"
    page.open()
    assert theme() == "light"  # against the system, and remembered
    page.click("theme")
    page.look(prefers_color_scheme="light")
    page.wait(lambda: theme() == "light", "the page to follow the system again")


@pytest.mark.parametrize("address", ["", "inside", "training"])
def test_what_has_the_focus_has_a_ring(page: Page, address):
    """Buttons, fields and links alike, though Bootstrap has other ideas of each."""
    from selenium.webdriver import Keys

    page.driver.get(page.server.address + address)
    page.wait(lambda: page.script("return document.querySelector('#live, #labels button, #epochs')"), "the page")
    reached = set()
    for _ in range(45):
        page.press(Keys.TAB)
        kind, *outline = page.script(
            """const e = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(e);
            return [e === document.body ? "" : e.tagName, outlineStyle, outlineWidth];"""
        )
        if kind:
            assert outline == ["solid", "3px"], kind
            reached.add(kind)
    assert {"A", "BUTTON", "INPUT"} <= reached


def test_motion_is_reduced_where_that_is_wished(page: Page):
    def seconds() -> str:
        return page.script("return getComputedStyle(document.querySelector('#bars .track span')).transitionDuration")

    assert seconds() != "0s"
    page.look(prefers_reduced_motion="reduce")
    assert seconds() == "0s"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, theme):
    page.look(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
    page.open()
    assert page.axe() == []
    page.draw(THREE)
    page.wait_for("digit", "3")
    page.click("wrong")
    assert page.axe() == []
    for digits in [[DOUBT], [DOUBT, {"digit": 3}, {"digit": 1, "verdict": "not a digit"}]]:
        page.answer_with(*digits)
        page.click("predict")
        page.wait_for("digit", "4" if len(digits) == 1 else "43?")
        assert page.axe() == []
    page.script("window.fetch = async () => new Response('{}')")
    page.draw(SEVEN)
    page.wait_for_problem("makes no sense")
    assert page.axe() == []


def test_no_script_or_style_stands_in_the_page(page: Page):
    """Which a strict policy would refuse."""
    html = page.script(
        "const all = new XMLHttpRequest(); all.open('GET', '/', false); all.send(); return all.responseText"
    )
    assert "<style" not in html
    assert " style=" not in html
    assert not page.script(
        """const page = new DOMParser().parseFromString(arguments[0], "text/html");
        const attributes = [...page.querySelectorAll("*")].flatMap((element) => [...element.attributes]);
        return attributes.some(({ name }) => name.startsWith("on"))
          || [...page.querySelectorAll("script")].some((script) => script.textContent || !script.src);""",
        html,
    )


def test_nothing_comes_from_elsewhere(page: Page):
    loaded = page.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) > 10
    assert all(name.startswith((page.server.address, "data:", "blob:")) for name in loaded)
