import gzip
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from nncore.data.strokes.unipen import BOX, NAME, find_pendigits, read_unipen
from nncore.errors import DataError

REAL = os.environ.get("NNCORE_DATA")

WRITTEN_ONCE = (
    "1f9d902ea61439d2a488132a208824399204210e103f4088c02142818b214f9a143c08e2210e8f38"
    "2c4231f885c8932b4e147404a9f2e3ca962c57be7431d2c9972a501400"
)

HEAD = """.INCLUDE        dene.doc

.LEXICON "0" "1" "2" "3" "4" "5" "6" "7" "8" "9"
.HIERARCHY      DIGIT

"""
FOUR = """.SEGMENT DIGIT    0-1 ? "4"
.COMMENT 4 14  100
.PEN_DOWN
 195  325
 193  0
.PEN_UP
.DT 100
.PEN_DOWN
   7  500
.PEN_UP
.DT 100

"""
ONE = """.SEGMENT DIGIT    2 ? "1"
.COMMENT 1  2    3
.PEN_DOWN
  10   20
.PEN_UP
.DT 100
"""


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def check(path: Path) -> None:
    four, one = read_unipen(path)
    assert four[:3] == (4, 14, 100)
    assert [stroke.tolist() for stroke in four.strokes] == [[[195, BOX - 325], [193, BOX]], [[7, 0]]]
    assert one[:3] == (1, 2, 3)
    assert [stroke.tolist() for stroke in one.strokes] == [[[10, BOX - 20]]]
    assert one.strokes[0].dtype == np.float64


def test_reads_labels_writers_and_strokes_with_y_downwards(tmp_path: Path) -> None:
    check(saved(tmp_path / NAME, HEAD + FOUR + ONE))


def test_line_ends_of_windows(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes((HEAD + FOUR + ONE).replace("\n", "\r\n").encode())
    check(path)


def test_reads_gzip(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.gz"
    path.write_bytes(gzip.compress((HEAD + FOUR + ONE).encode()))
    check(path)


# Where damaged

DAMAGED = {
    "no number": ((" 193  0", " 193  x"), "line 10: expected x and y .* found ' 193  x'"),
    "three numbers": ((" 193  0", " 193  0 7"), "line 10: expected x and y"),
    "a stroke does not end": (
        (".PEN_UP\n", ""),
        "line 11: expected x and y of a point as two whole numbers, or .PEN_UP",
    ),
    "an empty stroke": (
        (" 195  325\n 193  0\n", ""),
        "line 9: expected a .PEN_DOWN and points before it, found '.PEN_UP'",
    ),
    "a stroke ends twice": ((".PEN_UP\n", ".PEN_UP\n.PEN_UP\n"), "line 12: expected a .PEN_DOWN"),
    "two digits in the label": (('"4"\n', '"44"\n'), "line 6: expected DIGIT and a label"),
    "not a digit": (('DIGIT    0-1 ? "4"', 'WORD 0 ? "a"'), "line 6: expected DIGIT and a label"),
    "another comment": ((".COMMENT 4 14", ".COMMENT 5 14"), "line 7: expected the digit 4, the writer and the sample"),
    "a short comment": (("4 14  100", "4 14"), "line 7: expected the digit 4, the writer"),
    "no comment": ((".COMMENT 4 14  100\n", ""), "line 7: expected a .SEGMENT and its .COMMENT before any stroke"),
    "no segment": (('.SEGMENT DIGIT    0-1 ? "4"\n', ""), "line 6: expected a .SEGMENT"),
    "two segments": ((".COMMENT 4 14  100\n", '.SEGMENT DIGIT 9 ? "7"\n'), "line 7: expected a .COMMENT first"),
    "points outside": ((".PEN_DOWN\n", ""), "line 8: expected a line that begins with a keyword"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGED.values(), ids=DAMAGED)
def test_says_what_is_damaged_and_where(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = HEAD + FOUR + ONE
    assert change[0] in text
    path = saved(tmp_path / "some.tra", text.replace(*change, 1))
    with pytest.raises(DataError, match=f"some.tra, {message}.*uci.edu"):
        read_unipen(path)


@pytest.mark.parametrize("text", ["", HEAD, (HEAD + FOUR).rpartition(".PEN_UP")[0], HEAD + FOUR[:49], HEAD + FOUR[:30]])
def test_a_file_that_ends_early(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected digits, each with its strokes, to the end of the file"):
        read_unipen(saved(tmp_path / NAME, text))


def test_a_web_page_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 1: expected .* found '<html>'"):
        read_unipen(saved(tmp_path / NAME, "<html>\n"))


def test_damaged_packing(tmp_path: Path) -> None:
    for name in ("a.gz", "a.Z"):
        with pytest.raises(DataError, match=f"{name}: "):
            read_unipen(saved(tmp_path / name, HEAD + FOUR))
    path = tmp_path / "short.gz"
    path.write_bytes(gzip.compress((HEAD + FOUR).encode())[:-9])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_unipen(path)
    with pytest.raises(DataError, match="missing: cannot be read: No such file"):
        read_unipen(tmp_path / "missing")


# Unix compress


def compress(data: bytes, widest: int, empty_at: int | None = None) -> bytes:
    """As compress does, except that it empties the table when told rather than when it helps."""
    packed = bytearray([0x1F, 0x9D, 0x80 | widest])
    codes: list[int] = []

    def write(width: int, group: int = 8) -> None:
        codes.extend([0] * (-len(codes) % group))  # codes of one width are written by the eight
        bits = sum(code << width * i for i, code in enumerate(codes))
        packed.extend(bits.to_bytes(-(-width * len(codes) // 8), "little"))
        codes.clear()

    fresh = {bytes([i]): i for i in range(256)}
    table, width, size, string, done = fresh.copy(), 9, 257, b"", 0
    for value in data:
        if string + bytes([value]) in table:
            string += bytes([value])
            continue
        codes.append(table[string])
        done += 1
        if size < 1 << widest:
            if size == 1 << width:  # the reader, one string behind, now has as many as the width allows
                write(width)
                width += 1
            table[string + bytes([value])] = size
            size += 1
        string = bytes([value])
        if done == empty_at:
            codes.append(256)
            write(width)
            table, width, size = fresh.copy(), 9, 257
    codes.extend([table[string]] if string else [])
    write(width, 1)
    return bytes(packed)


def many_digits(rng: np.random.Generator, count: int) -> tuple[str, list[list[int]]]:
    points = rng.integers(0, BOX, (count, 2)).tolist()
    template = '.SEGMENT DIGIT 0 ? "{}"\n.COMMENT {} 1 1\n.PEN_DOWN\n {} {}\n.PEN_UP\n'
    return "".join(template.format(i % 10, i % 10, x, y) for i, (x, y) in enumerate(points)), points


@pytest.mark.parametrize("widest", [10, 12, 16])
@pytest.mark.parametrize("empty_at", [None, 1, 255, 256, 1900])
def test_reads_compress(tmp_path: Path, rng: np.random.Generator, widest: int, empty_at: int | None) -> None:
    text, points = many_digits(rng, 1500)
    path = tmp_path / f"{NAME}.Z"
    path.write_bytes(compress(text.encode(), widest, empty_at))
    assert [[x, BOX - y] for drawing in read_unipen(path) for x, y in drawing.strokes[0].tolist()] == points


@pytest.mark.skipif(shutil.which("compress") is None, reason="needs compress (Debian: ncompress)")
@pytest.mark.parametrize("widest", [10, 11, 16])
def test_reads_what_compress_itself_wrote(tmp_path: Path, rng: np.random.Generator, widest: int) -> None:
    text, points = many_digits(rng, 3000)
    pattern = "".join(map(chr, rng.integers(33, 127, 30_000)))  # of which a table of digits knows nothing
    text = text + f".NOTE {pattern}\n" + text
    path = tmp_path / f"{NAME}.Z"
    packed = subprocess.run(["compress", "-c", "-f", "-b", str(widest)], input=text.encode(), capture_output=True)
    path.write_bytes(packed.stdout)
    assert [[x, BOX - y] for drawing in read_unipen(path) for x, y in drawing.strokes[0].tolist()] == points * 2


def test_what_compress_wrote_once(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.Z"  # of ncompress 4.2.4.6
    path.write_bytes(bytes.fromhex(WRITTEN_ONCE))
    (drawing,) = read_unipen(path)
    assert drawing[:3] == (8, 88, 88)
    assert drawing.strokes[0].tolist() == [[88, BOX - 88]] * 4


def test_damaged_compress(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.Z"
    path.write_bytes(b"\x1f\x9d\x90\xff\xff\xff\xff")
    with pytest.raises(DataError, match="damaged at byte 3"):
        read_unipen(path)
    path.write_bytes(b"\x1f\x9d\x9f\x00\x00")
    with pytest.raises(DataError, match="expected a file of Unix compress, found 1f9d9f"):
        read_unipen(path)


# Where it is found


def test_finds_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pendigits"
    folder.mkdir()
    monkeypatch.setenv("NNCORE_DATA", str(tmp_path / "mnist"))
    with pytest.raises(DataError, match=r"pendigits: there is no .*archive.ics.uci.edu/dataset/81"):
        find_pendigits()
    packed = saved(folder / f"{NAME}.Z", "")
    assert find_pendigits() == find_pendigits(folder) == find_pendigits(packed) == packed
    plain = saved(folder / NAME, "")
    assert find_pendigits() == plain
    with pytest.raises(DataError, match=f"{tmp_path}/elsewhere: there is no"):
        find_pendigits(tmp_path / "elsewhere")
    monkeypatch.delenv("NNCORE_DATA")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / name))
    with pytest.raises(DataError, match="nncore/pendigits: there is no"):
        find_pendigits()


@pytest.mark.skipif(not REAL or not (Path(REAL).parent / "pendigits").is_dir(), reason="needs UCI's data set 81")
def test_the_writers() -> None:
    drawings = read_unipen(find_pendigits())
    assert len(drawings) == 7494
    assert sum(len(drawing.strokes) for drawing in drawings) == 9433
    assert len({(drawing.writer, drawing.sample) for drawing in drawings}) == 7494
    assert {drawing.writer for drawing in drawings} == set(range(1, 31))
    points = np.concatenate([stroke for drawing in drawings for stroke in drawing.strokes])
    assert points.shape == (304_216, 2)
    assert points.min() >= 0
    assert points.max() <= BOX
