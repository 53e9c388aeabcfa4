"""The whole way from a picture file to the digits in it, step by step beside the reader."""

import io
import threading
from itertools import chain

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nncore.data.dataset import network_input
from nncore.errors import DataError, WeightsError
from nncore.layers import Dense, Flatten
from nncore.layers.activations import softmax
from nncore.network.models import compact
from nncore.network.sequential import Sequential
from nncore.reading.ink import read_ink
from nncore.reading.preprocess import find_digits
from nncore.reading.reader import DigitReader
from nncore.reading.verdict import judge


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.npz"
    compact(seed=4).save(path)
    return path


@pytest.fixture(scope="module")
def reader(weights):
    return DigitReader(weights)


def picture(rng, digits: int, side: int = 280) -> io.BytesIO:
    """Crooked lines side by side on white paper, as a PNG file."""
    page = Image.new("L", (side, side), 255)
    pitch = side / digits
    for place in range(digits):
        points = rng.uniform((pitch * (place + 0.25), side * 0.2), (pitch * (place + 0.75), side * 0.8), (5, 2))
        points[[0, -1], 1] = side * 0.2, side * 0.8  # none so much smaller than the others that it passes for a scrap
        ImageDraw.Draw(page).line([tuple(point) for point in points], 0, round(side / 20), "curve")
    file = io.BytesIO()
    page.save(file, "PNG")
    file.seek(0)
    return file


@pytest.mark.parametrize("digits", [1, 2, 4])
def test_each_step_after_the_other_gives_the_same(reader, rng, digits):
    file = picture(rng, digits)
    found = find_digits(read_ink(io.BytesIO(file.getvalue()))[0])
    logits = reader.network.predict(network_input(np.stack([one.image for one in found])))
    readings = reader.read(file)
    assert len(readings) == digits
    for reading, one, probabilities in zip(readings, found, softmax(logits), strict=True):
        np.testing.assert_allclose(reading.probabilities, probabilities, rtol=1e-5)
        assert reading.no_digit == 0
        np.testing.assert_array_equal(reading.image, one.image)
        assert reading.digit == probabilities.argmax()
        assert reading.verdict == judge(one, probabilities)
        assert reading.box == one.box


def test_the_box_of_a_large_picture_is_in_its_own_pixels(reader):
    page = Image.new("L", (3000, 2000), 255)
    page.paste(0, (1200, 500, 1320, 1500))
    file = io.BytesIO()
    page.save(file, "PNG")
    file.seek(0)
    (reading,) = reader.read(file)
    np.testing.assert_allclose(reading.box, (1200, 500, 120, 1000), atol=9)


def test_nothing_is_found_on_blank_paper(reader, rng):
    file = io.BytesIO()
    Image.new("RGB", tuple(rng.integers(1, 300, 2)), "white").save(file, "PNG")
    file.seek(0)
    assert reader.read(file) == []


def test_what_is_no_picture_is_an_error(reader):
    with pytest.raises(DataError, match="PNG"):
        reader.read(io.BytesIO(b"hello"))


def test_threads_may_share_a_reader(reader, rng):
    files = [picture(rng, 2).getvalue() for _ in range(8)]
    alone = [reader.read(io.BytesIO(file)) for file in files]
    together = [[] for _ in files]

    def read(index: int) -> None:
        together[index] = reader.read(io.BytesIO(files[index]))

    threads = [threading.Thread(target=read, args=(index,)) for index in range(len(files))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(chain(*alone), chain(*together), strict=True):
        np.testing.assert_array_equal(one.probabilities, other.probabilities)
        assert one.box == other.box


def eleven(tmp_path, bias) -> DigitReader:
    """A reader whose network says the same of all: the softmax of these eleven numbers."""
    network = Sequential([Flatten(), Dense(11)], (28, 28, 1), seed=None)
    network.parameters()["dense_1.bias"][:] = bias
    network.save(tmp_path / "eleven.npz")
    return DigitReader(tmp_path / "eleven.npz")


def test_the_eleventh_class_is_what_is_no_digit(tmp_path, rng):
    bias = np.log(np.arange(1, 12))  # sum 66, 55 of it digits
    for reading in eleven(tmp_path, bias).read(picture(rng, 2)):
        assert (reading.digit, reading.verdict) == (9, "not a digit")
        assert reading.no_digit == pytest.approx(11 / 66)
        np.testing.assert_allclose(reading.probabilities, np.arange(1, 11) / 55, rtol=1e-6)


@pytest.mark.parametrize(("tenth", "verdict"), [(-2, "unsure"), (2, "unsure"), (8, "digit")])
def test_what_is_surely_a_digit_may_still_be_unsure(tmp_path, rng, tenth, verdict):
    (reading,) = eleven(tmp_path, [*[0] * 9, tenth, -4]).read(picture(rng, 1))
    assert reading.verdict == verdict
    assert reading.probabilities.sum() == pytest.approx(1)


def test_digits_stay_probabilities_where_it_is_certainly_none(tmp_path, rng):
    (reading,) = eleven(tmp_path, [*[-300] * 9, -299, 300]).read(picture(rng, 1))
    assert reading.no_digit == 1
    assert reading.probabilities.sum() == pytest.approx(1)
    assert reading.verdict == "not a digit"


def test_digits_of_many_pictures_at_once(reader, rng):
    found = [one for count in (1, 3) for one in find_digits(read_ink(picture(rng, count))[0])]
    together = reader.interpret(found)
    assert len(together) == len(found) == 4
    for one, reading in zip(found, together, strict=True):
        (alone,) = reader.interpret([one])
        np.testing.assert_allclose(reading.probabilities, alone.probabilities, atol=1e-6)
        assert (reading.box, reading.verdict) == (one.box, alone.verdict)
    assert reader.interpret([]) == []


@pytest.mark.parametrize(("channels", "outputs"), [(3, 10), (1, 9), (1, 12)])
def test_weights_that_do_not_fit_are_named(tmp_path, channels, outputs):
    Sequential([Flatten(), Dense(outputs)], (28, 28, channels)).save(tmp_path / "other.npz")
    message = rf"other\.npz.*\(28, 28, {channels}\) to \({outputs},\).*to \(10,\), or to \(11,\)"
    with pytest.raises(WeightsError, match=message):
        DigitReader(tmp_path / "other.npz")
