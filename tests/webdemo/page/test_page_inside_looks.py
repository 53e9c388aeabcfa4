"""The page that shows the network at work: how quick it is, on phones and desktops, light and dark."""

import pytest

from tests.webdemo.browser import Page
from tests.webdemo.page.inside import Inside


@pytest.fixture
def inside(page: Page) -> Inside:
    inside = Inside(page)
    inside.open()
    return inside


def test_the_steps_change_sixty_times_a_second(inside: Inside):
    """Measured over the whole way, a step each frame, which is more than anybody plays."""
    measure = """const [done] = arguments;
        const times = [];
        let [left, own, last] = [100, 0, 0];
        requestAnimationFrame(function frame(now) {
          if (last) times.push(now - last);
          last = now;
          const began = performance.now();
          const key = left > 50 ? "ArrowRight" : "ArrowLeft";
          document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          document.body.offsetHeight; // makes the browser lay the page out
          own = Math.max(own, performance.now() - began);
          if (--left) requestAnimationFrame(frame);
          else done([times.sort((a, b) => a - b), own]);
        });"""
    attempts = []
    while len(attempts) < 5 and not (attempts and attempts[-1][1] < 17.5):  # other programs may take the processor
        times, longest = inside.page.driver.execute_async_script(measure)
        attempts.append((times[len(times) // 2], times[int(0.95 * len(times))], longest))
    print("median, 95th of a hundred frames, longest own work, in ms:", attempts)
    assert min(median for median, _, _ in attempts) < 18


def test_the_server_answers_within_a_tenth_of_a_second(inside: Inside):
    """Forward, back and a step, all maps and gradients included, as the browser sees it."""
    times = inside.page.driver.execute_async_script(
        """const [pixels, done] = arguments, times = [];
        (async () => {
        for (let i = 0; i < 12; i++) {
          const began = performance.now();
          const body = JSON.stringify({ pixels, label: i % 10 });
          const headers = { "Content-Type": "application/json" };
          await (await fetch("/api/explain", { method: "POST", headers, body })).text();
          times.push(performance.now() - began);
        }
        done(times.sort((a, b) => a - b));
        })();""",
        inside.page.script("return location.hash.slice(1)"),
    )
    print("ms until /api/explain has answered:", times)
    assert times[0] < 100


@pytest.mark.parametrize(("width", "theme"), [(320, "light"), (320, "dark"), (768, "light"), (1280, "dark")])
def test_no_width_needs_to_be_scrolled_sideways(page: Page, width, theme):
    inside = Inside(page)
    page.look(width, 900 if width > 700 else 667, phone=width < 1000, prefers_color_scheme=theme)
    inside.open()
    last = inside.count - 1
    for position in (4, last // 2 + 1, last // 2 + 2, last - 1, last):
        inside.go(position)
        if not page.script("return document.getElementById('cell').hidden"):
            page.script("document.querySelector('#cell button').click()")
            inside.value()
        assert page.script("return document.documentElement.scrollWidth") == width, position
        if position in (4, last // 2 + 1, last - 1):
            page.screenshot(f"inside-{width}-{theme}-{position}")
    assert page.script("return visualViewport.width") == width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: Page, theme):
    inside = Inside(page)
    page.look(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
    inside.open()
    for position in (4, inside.count // 2):
        inside.go(position)
        if not page.script("return document.getElementById('cell').hidden"):
            page.script("document.querySelector('#cell button').click()")
            page.script("document.querySelectorAll('details').forEach((each) => (each.open = true))")
            inside.value()
        assert page.axe() == []


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(inside: Inside):
    loaded = inside.page.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(loaded) > 10
    assert all(name.startswith((inside.page.server.address, "data:", "blob:")) for name in loaded)
