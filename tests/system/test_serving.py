import io
import json
import os
import sys

import pytest

from benchmarks.compare.protocol import BenchmarkError, memory_of
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import find_digits
from tests.system import serving
from tests.system.demo_server import DemoServer, get, predict
from tests.system.drawing import data_url, drawn_digit, drawn_number, encoded
from webdemo.server.uploads import from_data_url

WRK = """#!{python}
import json, sys
assert sys.argv[1:4] == ["-t1", "-c8", "-d2s"] and sys.argv[-1] == "http://127.0.0.1:4321", sys.argv
print("Running 2s test\\n")
print(json.dumps(dict(answers={answers}, lasted=2_000_000, p50=4000, p99=9000, slowest=12000, refused=3, broken=1)))
sys.exit({status})
"""


def test_a_drawn_number_has_its_digits(rng):
    for digits in (1, 4):
        picture = drawn_number(rng, digits)
        assert picture.size == (280 * digits, 280)
        assert len(find_digits(read_ink(io.BytesIO(encoded(picture)))[0])) == digits


def test_drawings_differ_and_are_sent_as_the_page_does(rng):
    files = [encoded(drawn_digit(rng)) for _ in range(10)]
    assert len(set(files)) == 10
    assert [from_data_url(data_url(file)) for file in files] == files


def test_the_server_runs_until_the_block_ends(rng):
    with DemoServer() as server:
        server.wait_until_ready()
        assert b"pad" in get(server.port, "/")[1]
        assert len(predict(server.port, data_url(encoded(drawn_digit(rng))))["digits"]) == 1
        assert "read as" in server.log()
        if sys.platform == "linux":
            memory = server.memory()
            assert 20 < memory["VmRSS"] <= memory["VmHWM"] < 2000
        with pytest.raises(BenchmarkError, match="422"):
            predict(server.port, "x")
    with pytest.raises(BenchmarkError, match="does not answer"):
        get(server.port, "/")
    assert memory_of(2**31 - 1) is None


def test_a_server_that_does_not_start_says_why():
    with pytest.raises(BenchmarkError, match="none"):
        DemoServer([sys.executable, "-m", "webdemo", "--weights", "none.npz"])


@pytest.fixture
def wrk(tmp_path, monkeypatch):
    """Puts a program in wrk's place."""

    def put(answers=500, status=0):
        file = tmp_path / "wrk"
        file.write_text(WRK.format(python=sys.executable, answers=answers, status=status))
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return put


def test_what_wrk_counts_is_kept(wrk, tmp_path):
    wrk()
    measured = serving.Measured()
    for _ in range(2):
        serving.load(4321, 8, 2, tmp_path / "script.lua", measured)
    assert measured == serving.Measured([250, 250], [4, 4], [9, 9], 12, 6, 2)


@pytest.mark.parametrize(("answers", "status", "words"), [(500, 1, "wrk failed"), (0, 0, "no answer")])
def test_a_load_without_answers_is_an_error(wrk, tmp_path, answers, status, words):
    wrk(answers, status)
    with pytest.raises(BenchmarkError, match=words):
        serving.load(4321, 8, 2, tmp_path / "script.lua", serving.Measured())


def test_the_bodies_are_whole(tmp_path):
    script = serving.write_script(tmp_path, ["a", "b"]).read_text()
    path = script.split('io.lines("')[1].split('"')[0]
    with open(path) as bodies:
        assert [json.loads(line) for line in bodies] == [{"image": "a"}, {"image": "b"}]
    assert "%%" not in script


def test_servers_that_read_differently_are_not_compared(monkeypatch):
    class Server:
        def __init__(self, port):
            self.port = port

        def wait_until_ready(self):
            pass

    def answer(port, image):
        return {"digits": [{"digit": port, "verdict": "digit", "seen": image}], "milliseconds": port}

    monkeypatch.setattr(serving, "predict", answer)
    assert serving.compare({"a": Server(3), "b": Server(3)}, ["x", "y"]) == {"a": 3, "b": 3}
    with pytest.raises(BenchmarkError, match="b does not read"):
        serving.compare({"a": Server(3), "b": Server(4)}, ["x", "y"])


def test_without_wrk_it_says_how_to_get_it(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert serving.main([]) == 2
    assert "apt-get install wrk" in capsys.readouterr().err


def test_the_report_counts_what_went_wrong():
    options = serving._parser().parse_args(["--connections", "8"])
    table = {("ours", 8): serving.Measured([100, 300, 200], [1, 2, 3], [4, 5, 6], 7, 11, 13)}
    text = serving.report(options, table, {"ours": 2.5}, {"the page is answered": 0.5}, {"processor": "x"})
    assert "| 8 | ours | 200 | 100 to 300 | 2.0 | 5.0 | 7.0 | 11 | 13 |" in text
    assert "the page is answered after 0.50 s" in text
