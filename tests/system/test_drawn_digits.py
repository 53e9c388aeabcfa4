import base64
import io
import shutil
import threading
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.serving import make_server

from nncore.data.strokes.outliers import KINDS
from nncore.data.strokes.unipen import Drawing
from tests.system.drawn_digits import (
    Reading,
    accuracy_table,
    confusions,
    contact_sheet,
    main,
    outlier_table,
    sample,
    times,
)
from tests.system.page import Answer, Page, read_off
from webdemo.app import create_app

THREE = ((6, 20), (10, 8), (30, 2), (36, 14), (20, 26), (36, 36), (34, 50), (10, 56), (2, 44))


def url(colour: tuple[int, ...], mode: str = "RGBA") -> str:
    file = io.BytesIO()
    Image.new(mode, (28, 28), colour).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def reading(label: str, shown: str, verdict: str = "digit", pen: int = 8, percent: float = 90) -> Reading:
    answer = Answer(verdict, shown, "", [percent], 10.0, 2.0, url((9, 9, 9), "RGB"), url((0, 0, 0, 0)))
    return Reading(label, "writer 1", pen, answer)


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"][2:]


def test_counts_unsure_and_refused_both_ways() -> None:
    some = [reading("1", "1"), reading("1", "7"), reading("2", "2", "unsure"), reading("3", "?", "not a digit")]
    first, second, both = rows(accuracy_table([*some, reading("4", "44", "several digits", pen=20)]))
    assert first[:3] == ["8 px", "4", "50.0 %"]
    assert first[4:] == ["25.0 %", "50.0 %", "25.0 %", "25.0 %", "0.0 %"]
    assert second[:3] == ["20 px", "1", "0.0 %"]
    assert second[4:] == ["0.0 %", "-", "0.0 %", "0.0 %", "100.0 %"]
    assert both[:3] == ["all", "5", "40.0 %"]


def test_counts_what_outliers_are_called() -> None:
    some = [reading("dot", "0"), reading("dot", "?", "not a digit"), reading("blank", "–", "nothing")]
    assert rows(outlier_table(some)) == [
        ["dot", "2", "1", "0", "0", "1", "0"],
        ["blank", "1", "0", "0", "0", "0", "1"],
        ["all", "3", "1", "0", "0", "1", "1"],
    ]


def test_names_confusions_and_times() -> None:
    assert confusions([reading("9", "4"), reading("7", "1"), reading("9", "4"), reading("5", "5")]) == (
        "4 for 9 (2), 1 for 7 (1)"
    )
    assert confusions([reading("5", "5")]) == "nothing"
    assert times([reading("5", "5")]) == (
        "Page to answer: median 10.0 ms, 95 % within 10.0 ms; of these in the server: median 2.0 ms"
    )


def test_a_larger_sample_only_adds() -> None:
    drawings = [Drawing(i % 10, 1, i, []) for i in range(50)]
    assert sample(drawings, 20, 3)[:10] == sample(drawings, 10, 3)
    assert sample(drawings, 10, 3) != sample(drawings, 10, 4)


def test_the_worst_misses_come_first_in_the_picture(tmp_path: Path) -> None:
    unsure, sure = reading("1", "7", "unsure", percent=99), reading("1", "7")
    sure = sure._replace(answer=sure.answer._replace(drawn=url((0, 0, 0, 255))))
    picture = np.asarray(Image.open(contact_sheet([unsure, sure], tmp_path / "new" / "misses.png")))
    assert picture[50, 50] == 0  # the sure one, its pad all black
    assert picture[50, 200] == 9  # what the network saw of it
    assert picture[50, 360] == 255


@pytest.mark.parametrize(
    ("shown", "words", "verdict"),
    [
        ("7", "This is a 7.", "digit"),
        ("4", "Might be 4 or 9.", "unsure"),
        ("?", "This does not look like a digit.", "not a digit"),
        ("??", "These do not look like digits.", "not a digit"),
        ("26", "This says 26.", "several digits"),
        ("2?", "This might say 2?.", "several digits"),
        ("–", "Nothing drawn yet.", "nothing"),
        ("", "", "nothing"),
    ],
)
def test_reads_the_verdict_off_the_page(shown: str, words: str, verdict: str) -> None:
    found = {"shown": shown, "words": words, "bars": ["0  1.5 %", "1  –"], "time": "3.1 ms in the server, 9 ms in all"}
    answer = read_off({**found, "milliseconds": 9.0, "seen": None, "drawn": ""})
    assert (answer.verdict, answer.percent, answer.page, answer.server) == (verdict, [1.5], 9.0, 3.1)


def test_says_where_to_get_the_strokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none")]) == 2
    assert f"{tmp_path}/none: there is no pendigits-orig.tra" in (told := capsys.readouterr().err)
    assert "archive.ics.uci.edu/dataset/81" in told


@pytest.mark.parametrize("wrong", [["--count", "0"], ["--pen", "8", "41"], ["--pen", "3"]])
def test_refuses_what_the_page_does_not_have(wrong: Sequence[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)


browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver") and find_spec("selenium")),
    reason="needs chromium, chromedriver and selenium",
)


@pytest.mark.slow
@browser
def test_waits_for_a_server_that_is_too_busy_at_first() -> None:
    app = create_app()
    service = app.extensions["reading"]
    read, refused = service.read, iter([True, False, True])

    def busy(picture: bytes) -> list[object]:
        if next(refused, False):
            raise ServiceUnavailable("too many pictures are waiting", retry_after=1)
        return read(picture)

    service.read = busy
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with closing(Page(f"http://127.0.0.1:{server.port}/")) as page:
            strokes = [np.array(THREE, float) * 3 + 50]
            assert [answer.shown for answer in page.read([strokes, [], strokes], 14)] == ["3", "–", "3"]
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.slow
@browser
def test_draws_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = "\n".join(f"{100 + 4 * x} {400 - 4 * y}" for x, y in THREE)
    (tmp_path / "pendigits-orig.tra").write_text(
        f'.SEGMENT DIGIT 0 ? "3"\n.COMMENT 3 1 1\n.PEN_DOWN\n{points}\n.PEN_UP\n'
    )
    assert main(["--count", "1", "--pen", "14", "20", "--data", str(tmp_path), "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert [row[:3] for row in rows(told)[:3]] == [
        [p, n, "100.0 %"] for p, n in (("14 px", "1"), ("20 px", "1"), ("all", "2"))
    ]
    assert "1 of 1 the same to the pixel and the percent" in told
    blank = next(row for row in rows(told) if row[0] == "blank")
    assert blank == ["blank", "2", "0", "0", "0", "0", "2"]
    assert [row[1] for row in rows(told) if row[0] in KINDS] == ["2"] * len(KINDS)
