import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from nncore.errors import OptionError, ShapeError
from nncore.training import plots

matplotlib = pytest.importorskip("matplotlib")
FigureCanvasAgg = pytest.importorskip("matplotlib.backends.backend_agg").FigureCanvasAgg
KEYS = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pictures" / "one.png"


def check(figure, path):
    """The file is a PNG of the figure, alone in its folder; whatever is written lies within its edges."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape[::-1] == pytest.approx(figure.bbox.size, abs=1)
    assert 800 <= pixels.shape[1] <= 1200
    assert 150 <= pixels.shape[0] <= 2000
    assert pixels[0, 0] == 255
    assert pixels.min() < 80
    assert list(path.parent.iterdir()) == [path]
    renderer = FigureCanvasAgg(figure).get_renderer()
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    for artist in [*figure.texts, *legends, *(text for axes in figure.axes for text in axes.texts)]:
        box = artist.get_window_extent(renderer)
        assert box.x0 >= 0, artist
        assert box.y0 >= 0, artist
        assert box.x1 <= figure.bbox.x1, artist
        assert box.y1 <= figure.bbox.y1, artist


def words(axes):
    return [text.get_text() for text in axes.texts]


def random_history(rng, epochs):
    return [
        {"epoch": epoch, **dict(zip(KEYS, rng.uniform(0.01, 0.99, 4).tolist(), strict=True))}
        for epoch in range(1, epochs + 1)
    ]


@pytest.mark.parametrize("epochs", [1, 2, 15])
def test_history_draws_every_value(rng, path, epochs):
    history = random_history(rng, epochs)
    figure = plots.plot_history(history, path)
    check(figure, path)
    for axes, quantity, factor in zip(figure.axes, ("accuracy", "loss"), (100, 1), strict=True):
        for line, split in zip(axes.lines, ("train", "validation"), strict=True):
            values = [factor * entry[f"{split}_{quantity}"] for entry in history]
            np.testing.assert_array_equal(line.get_xdata(), np.arange(1, epochs + 1))
            np.testing.assert_allclose(line.get_ydata(), values)
            low, high = axes.get_ylim()
            assert low <= min(values) <= max(values) <= high
        ticks = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert ticks
        assert all(tick == round(tick) for tick in ticks)
        assert not axes.patches
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    last = history[-1]
    assert legend == [
        f"training (last {100 * last['train_accuracy']:.2f} %)",
        f"validation (last {100 * last['validation_accuracy']:.2f} %)",
    ]
    assert figure.axes[1].get_ylim()[0] == 0
    assert "dropout" in figure.get_supxlabel()


def test_history_accuracy_axis_ends_at_100_percent(path):
    entry = {"epoch": 1, "train_loss": 0.0, "train_accuracy": 1.0, "validation_loss": 0.0, "validation_accuracy": 1.0}
    figure = plots.plot_history([entry], path)
    check(figure, path)
    assert figure.axes[0].get_ylim()[1] == 100


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("first", [0, 3])
def test_history_of_a_broken_run_shades_the_epochs_without_a_number(rng, path, bad, first):
    history = random_history(rng, 5)
    for entry in history[first:]:
        entry["train_loss"] = bad
    figure = plots.plot_history(history, path)
    check(figure, path)
    accuracy, loss = figure.axes
    assert [patch.get_x() + 0.5 for patch in loss.patches] == [entry["epoch"] for entry in history[first:]]
    assert words(loss) == ["not a number"]
    assert not accuracy.patches
    assert np.isfinite(loss.get_ylim()).all()


def test_history_without_epochs_is_refused(path):
    with pytest.raises(OptionError, match="no epochs"):
        plots.plot_history([], path)
    assert not path.exists()


def test_confusion_writes_every_count_and_colours_only_errors(rng, path):
    confusion = rng.integers(0, 9, (10, 10)) + np.diag(rng.integers(900, 1200, 10))
    figure = plots.plot_confusion(confusion, path)
    check(figure, path)
    (axes,) = figure.axes
    (image,) = axes.images
    np.testing.assert_array_equal(image.get_array().data, confusion)
    np.testing.assert_array_equal(image.get_array().mask, np.eye(10, dtype=bool))
    assert image.norm.vmax == (confusion - np.diag(confusion.diagonal())).max()
    written = {text.get_position(): text.get_text() for text in axes.texts}
    for row in range(10):
        right, total = confusion[row, row], confusion[row].sum()
        assert written[9.75, row] == f"{100 * right / total:.2f} % ({right:,} of {total:,})"
        for column in range(10):
            assert written[column, row] == f"{confusion[row, column]:,}"
    assert axes.get_xlabel() == "the network read"
    assert axes.get_ylabel() == "the digit was"
    assert axes.yaxis_inverted()  # digit 0 is the top row, as in the array


def test_confusion_without_errors_or_without_a_digit(path):
    figure = plots.plot_confusion(np.diag(np.arange(10)), path)
    check(figure, path)
    assert "no pictures" in words(figure.axes[0])
    assert "100.00 % (45 of 45)" in figure.get_suptitle()
    check(plots.plot_confusion(np.zeros((10, 10), np.int64), path), path)


def test_confusion_of_another_shape_is_refused(path):
    with pytest.raises(ShapeError, match=r"\(9, 10\)"):
        plots.plot_confusion(np.zeros((9, 10), np.int64), path)


def random_predictions(rng, right, wrong):
    """Images, labels and float32 probabilities, shuffled: the `wrong` errors have distinct certainties."""
    count = right + wrong
    labels = rng.integers(0, 10, count).astype(np.uint8)
    read = np.where(np.arange(count) < wrong, (labels + rng.integers(1, 10, count)) % 10, labels)
    certainty = rng.permutation(np.linspace(0.5, 0.99, count))
    probabilities = np.repeat((1 - certainty)[:, np.newaxis] / 9, 10, axis=1)
    probabilities[np.arange(count), read] = certainty
    order = rng.permutation(count)
    images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return images, labels[order], probabilities[order].astype(np.float32)


@pytest.mark.parametrize(("wrong", "count"), [(40, 25), (25, 25), (7, 25), (1, 25), (9, 3)])
def test_errors_shows_the_most_certain_first(rng, path, wrong, count):
    images, labels, probabilities = random_predictions(rng, 30, wrong)
    figure = plots.plot_errors(images, labels, probabilities, path, count)
    check(figure, path)
    (axes,) = figure.axes
    found = []
    for label, image, row in zip(labels, images, probabilities, strict=True):
        if row.argmax() != label:
            found.append((row.max(), f"true {label}, read as {row.argmax()} ({100 * row.max():.0f} %)", image))
    found.sort(key=lambda entry: -entry[0])
    assert len(found) == wrong
    assert words(axes) == [caption for _, caption, _ in found[:count]]
    for shown, (_, _, image) in zip(axes.images, found[:count], strict=True):
        np.testing.assert_array_equal(shown.get_array(), image)
    assert f"Errors: {wrong} of {30 + wrong} pictures" in figure.get_suptitle()
    assert ("Here are" in figure.get_suptitle()) == (wrong > count)


@pytest.mark.parametrize("right", [0, 12])
def test_errors_says_so_when_there_are_none(rng, path, right):
    figure = plots.plot_errors(*random_predictions(rng, right, 0), path)
    check(figure, path)
    assert words(figure.axes[0]) == ["Nothing to show: every picture was read correctly."]
    assert not figure.axes[0].images


def test_errors_that_do_not_fit_are_refused(rng, path):
    images, labels, probabilities = random_predictions(rng, 3, 3)
    for arguments in [
        (images[:5], labels, probabilities),
        (images, labels[:5], probabilities),
        (images, labels, probabilities[:, :9]),
        (images[..., np.newaxis], labels, probabilities),
    ]:
        with pytest.raises(ShapeError, match="do not fit"):
            plots.plot_errors(*arguments, path)
    with pytest.raises(OptionError, match="is 0, expected 1 or more"):
        plots.plot_errors(images, labels, probabilities, path, 0)


def check_tiles(axes, pictures):
    """The axes show `pictures` (K, H, W) in their order and proportions, numbered, on one scale around zero."""
    assert words(axes) == [str(number) for number in range(len(pictures))]
    limit = np.abs(pictures).max()
    for number, (image, picture) in enumerate(zip(axes.images, pictures, strict=True)):
        np.testing.assert_allclose(image.get_array(), picture, rtol=1e-6)
        assert (image.norm.vmin, image.norm.vmax) == (pytest.approx(-limit), pytest.approx(limit))
        left, right, bottom, top = image.get_extent()
        row, column = divmod(number, 8)
        assert column <= left < right <= column + 1
        assert row <= top < bottom <= row + 1
        assert (bottom - top) / (right - left) == pytest.approx(picture.shape[0] / picture.shape[1])
    (bar,) = axes.child_axes
    assert bar.get_ylim() == pytest.approx((min(pictures.min(), 0), max(pictures.max(), 0)))


@pytest.mark.parametrize("shape", [(5, 5, 1, 32), (3, 3, 1, 1), (3, 3, 4, 9), (1, 5, 1, 8), (1, 1, 2, 3)])
def test_filters_are_drawn_in_order_on_one_scale(rng, path, shape):
    kernel = rng.normal(size=shape).astype(np.float32)
    figure = plots.plot_filters(kernel, path)
    check(figure, path)
    check_tiles(figure.axes[0], np.moveaxis(kernel.mean(axis=2), -1, 0))
    assert ("mean over" in figure.get_suptitle()) == (shape[2] > 1)


def test_filters_that_are_zero_or_not_numbers_still_give_a_picture(path):
    kernel = np.zeros((3, 3, 1, 4))
    check(plots.plot_filters(kernel, path), path)
    kernel[..., 1] = np.nan
    kernel[0, 0, 0, 2] = 0.5
    figure = plots.plot_filters(kernel, path)
    check(figure, path)
    image = figure.axes[0].images[1]
    assert image.norm.vmax == 0.5
    assert matplotlib.colors.to_hex(image.cmap(np.nan)) == plots.PANEL
    check(plots.plot_filters(kernel * np.nan, path), path)


@pytest.mark.parametrize("shape", [(3, 3, 8), (3, 3, 1, 0)])
def test_filters_of_another_shape_are_refused(path, shape):
    with pytest.raises(ShapeError, match="expected four axes"):
        plots.plot_filters(np.zeros(shape), path)


def test_feature_maps_shows_the_input_and_up_to_16_channels_a_layer(rng, path):
    image = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    maps = [
        ("conv", rng.normal(size=(28, 28, 32))),
        ("relu", rng.random((14, 14, 9), np.float32)),
        ("negative", -rng.random((5, 7, 1))),
    ]
    figure = plots.plot_feature_maps(image, maps, path)
    check(figure, path)
    first, *others = figure.axes
    np.testing.assert_array_equal(first.images[0].get_array(), image)
    for axes, (_, array) in zip(others, maps, strict=True):
        check_tiles(axes, np.moveaxis(array, -1, 0)[:16])
    assert [axes.get_title("left") for axes in figure.axes] == [
        "input: 28 × 28",
        "conv: 28 × 28 × 32, the first 16 channels",
        "relu: 14 × 14 × 9",
        "negative: 5 × 7 × 1",
    ]


def test_feature_maps_of_no_layer_or_another_shape(path):
    image = np.zeros((28, 28))
    check(plots.plot_feature_maps(image, [], path), path)
    with pytest.raises(ShapeError, match=r"the image has shape \(28, 28, 1\)"):
        plots.plot_feature_maps(image[..., np.newaxis], [], path)
    with pytest.raises(ShapeError, match=r"conv have shape \(1, 28, 28, 8\)"):
        plots.plot_feature_maps(image, [("conv", np.zeros((1, 28, 28, 8)))], path)


def test_another_style_neither_shows_nor_changes(rng, path):
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 30}):
        before = dict(matplotlib.rcParams)
        check(plots.plot_history(random_history(rng, 3), path), path)
        assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_error_says_what_to_install(rng, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    images, labels, probabilities = random_predictions(rng, 3, 3)
    for draw in (
        lambda: plots.plot_history(random_history(rng, 2), path),
        lambda: plots.plot_confusion(np.eye(10, dtype=np.int64), path),
        lambda: plots.plot_errors(images, labels, probabilities, path),
        lambda: plots.plot_filters(np.ones((3, 3, 1, 4)), path),
        lambda: plots.plot_feature_maps(images[0], [], path),
    ):
        with pytest.raises(OptionError, match="pip install matplotlib"):
            draw()
    assert not path.exists()


def test_matplotlib_is_imported_only_to_draw_and_pyplot_never(path):
    program = (
        "import sys; import numpy as np; from nncore.training import plots; assert 'matplotlib' not in sys.modules;"
        f"plots.plot_filters(np.ones((3, 3, 1, 4)), {str(path)!r}); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert path.exists()
