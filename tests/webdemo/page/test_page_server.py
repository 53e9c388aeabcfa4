"""The page and a server that is slow, busy, confused or gone."""

import pytest

from tests.webdemo.browser import ONE, SEVEN, THREE, Page


def test_it_says_that_the_server_is_gone_and_recovers_by_itself(page: Page):
    page.expected_errors = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page.sample("a 3")
    page.wait_for("digit", "3")
    page.server.stop()
    try:
        page.draw(ONE)
        page.wait_for_problem("The server does not answer.")
        page.screenshot("server-gone")
        page.click("clear")
        page.draw(SEVEN)
        ink = page.ink()
    finally:
        page.server.start()
    page.wait_for("digit", "7")
    assert not page.problem()
    assert page.ink() == ink


def test_the_next_stroke_finds_the_server_at_once(page: Page):
    page.expected_errors = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE")
    page.script("const never = window.setTimeout; window.setTimeout = (f, ms) => never(f, ms >= 2000 ? 1e6 : ms)")
    page.server.stop()
    try:
        page.draw(ONE)
        page.wait_for_problem("The server does not answer.")
        page.click("undo")
    finally:
        page.server.start()
    page.draw(SEVEN)
    page.wait_for("digit", "7")
    assert not page.problem()


def test_a_slow_server_gets_one_question_at_a_time(page: Page):
    page.answer_with({"digit": 2}, delay=300)
    for _ in range(12):
        page.draw(ONE)
    page.wait_for("digit", "2")
    assert page.script("return atOnce") == 1
    page.script("return new Promise((done) => setTimeout(done, 700))")
    asked = page.script("return asked")
    assert 2 <= asked <= 12
    page.script("return new Promise((done) => setTimeout(done, 500))")
    assert page.script("return asked") == asked  # and there it ends


def test_a_long_stroke_is_read_while_it_is_drawn(page: Page):
    page.answer_with({"digit": 2})
    page.script(
        """window.askedBeforeTheEnd = -1;
        document.getElementById("pad").addEventListener("pointerup", () => (askedBeforeTheEnd = asked));"""
    )
    page.draw([[(40 + i, 140 + (i % 20)) for i in range(0, 200, 2)]])
    assert page.script("return askedBeforeTheEnd") >= 2


def test_a_stale_answer_is_never_shown(page: Page):
    page.answer_with({"digit": 2}, delay=400)
    page.script(
        """window.shown = [];
        const digit = document.getElementById("digit");
        new MutationObserver(() => shown.push(digit.textContent)).observe(digit, { childList: true });"""
    )
    page.draw(ONE)
    page.wait(lambda: page.script("return asked"), "the question")
    page.click("clear")
    page.script("return new Promise((done) => setTimeout(done, 700))")
    assert "2" not in page.script("return shown")
    assert page.text("verdict") == "Nothing drawn yet."


def test_the_answer_is_about_the_newest_drawing(page: Page):
    """The first answer takes longest; what stays is the last one."""
    page.script(
        """window.count = 0;
        window.fetch = async () => {
          const mine = ++count;
          await new Promise((done) => setTimeout(done, mine === 1 ? 600 : 10));
          const probabilities = Array.from({ length: 10 }, (_, i) => Number(i === mine));
          const digits = [{ digit: mine, probabilities, verdict: "digit" }];
          return new Response(JSON.stringify({ digits, model: "", milliseconds: 1 }));
        };"""
    )
    page.draw(THREE[:1])
    page.draw(THREE[1:])
    page.script("return new Promise((done) => setTimeout(done, 800))")
    page.wait_for("digit", "2")
    assert page.script("return count") == 2


def test_a_busy_server_is_asked_again_when_it_wishes(page: Page):
    page.script(
        """window.old = fetch;
        window.busy = true;
        window.fetch = (...all) => !busy ? old(...all) : new Response(
          '{"detail": "Too many people draw at this moment."}', { status: 503, headers: { "Retry-After": "1" } });"""
    )
    page.draw(SEVEN)
    page.wait_for_problem("Too many people draw at this moment.")
    page.script("busy = false")
    page.wait_for("digit", "7")
    assert not page.problem()


@pytest.mark.parametrize("answer", ['"hello"', "<html>", "{}", "null"])
def test_an_answer_that_makes_no_sense(page: Page, answer):
    page.script("window.fetch = async () => new Response(arguments[0])", answer)
    page.draw(SEVEN)
    page.wait_for_problem("makes no sense")
    assert page.ink() > 0
