import json
import os
import platform
import sys
from dataclasses import replace

import numpy as np
import pytest

from nncore.data.dataset import Images, network_input
from nncore.network.models import compact, reference
from nncore.training.options import DEFAULT
from nncore.training.report import accuracy_line, class_table, draw, feature_maps, made_by, python_name

HISTORY = [
    {
        "epoch": 1,
        "train_loss": 0.5,
        "train_accuracy": 0.8,
        "validation_loss": 0.4,
        "validation_accuracy": 0.9,
        "learning_rate": 0.1,
        "seconds": 3.0,
    }
]
PICTURES = ["confusion.png", "curves.png", "errors.png", "features.png", "filters.png"]


def test_the_python_to_call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    assert python_name() == ".venv/bin/python"
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert python_name() == "python"


def test_accuracy_in_words():
    labels = np.arange(1000) % 10
    predictions = labels.copy()
    predictions[:25] = (labels[:25] + 1) % 10
    # Wilson's interval by hand: (0.975 + 3.8415 / 2000 +- 1.96 * 0.0050335) / 1.0038415
    line = accuracy_line(labels.astype(np.uint8), predictions)
    assert line == "97.50% of 1,000 images right (975; 95 % interval 96.34% to 98.30%)"


@pytest.mark.parametrize("total", [1, 7, 10_000])
def test_all_right_and_all_wrong(total):
    labels = np.zeros(total, np.uint8)
    assert accuracy_line(labels, labels).startswith(f"100.00% of {total:,} images right ({total:,};")
    assert accuracy_line(labels, labels + 1).startswith(f"0.00% of {total:,} images right (0;")


def test_the_table_counts_each_digit():
    labels = np.array([0, 0, 0, 0, 1, 1, 2], np.uint8)
    predictions = np.array([0, 0, 0, 1, 1, 0, 9])
    lines = [line.split() for line in class_table(labels, predictions).splitlines()]
    assert lines[0] == ["digit", "precision", "recall", "images"]
    assert lines[1] == ["0", "75.00%", "75.00%", "4"]  # three of four 0s found; three of four "it is a 0" right
    assert lines[2] == ["1", "50.00%", "50.00%", "2"]
    assert lines[3] == ["2", "0.00%", "0.00%", "1"]
    assert lines[10] == ["9", "0.00%", "0.00%", "0"]
    assert len(lines) == 11


def test_the_lines_of_the_table_are_of_one_length(rng):
    labels = rng.integers(0, 10, 20_000).astype(np.uint8)
    assert len(set(map(len, class_table(labels, labels.astype(int)).splitlines()))) == 1


def test_the_note_in_the_weights_file_has_what_training_again_takes_and_no_path():
    options = replace(DEFAULT, seed=7, data_dir="/home/me/data")
    note = made_by(options, compact(), 0.99, 123.4)
    assert json.loads(json.dumps(note)) == note
    assert (note["seed"], note["model"], note["learning_rate"]) == (7, "reference", DEFAULT.learning_rate)
    assert note["convolutions"] == compact().algorithms(DEFAULT.batch_size)
    assert (note["test_accuracy"], note["training_seconds"]) == (0.99, 123)
    assert note["versions"]["python"] == platform.python_version()
    assert note["versions"]["numpy"] == np.__version__
    assert "/home/me" not in json.dumps(note)


def test_a_package_that_is_not_installed_is_noted_as_such(monkeypatch):
    monkeypatch.setattr("nncore.training.report.PACKAGES", ("numpy", "no-such-package"))
    assert made_by(DEFAULT, compact(), 0.0, 0.0)["versions"]["no-such-package"] == "not installed"


@pytest.mark.parametrize("make", [compact, reference])
def test_feature_maps_are_what_the_layers_put_out(rng, make):
    network = make()
    image = rng.integers(0, 256, (28, 28), dtype=np.uint8)
    maps = feature_maps(network, image)
    x = network_input(image[np.newaxis])
    outputs = {}
    for name, layer in zip(network.names, network.layers, strict=True):
        x = outputs[name] = layer.forward(x)
    shown = [name for name in network.names if name.startswith(("relu", "maxpool")) and outputs[name].ndim == 4]
    assert [name for name, _ in maps] == shown
    for name, array in maps:
        np.testing.assert_array_equal(array, outputs[name][0])


def arguments(rng):
    images = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    return (
        compact(),
        HISTORY,
        Images(images, (np.arange(30) % 10).astype(np.uint8)),
        rng.standard_normal((30, 10), np.float32),
    )


def test_every_picture_is_drawn(tmp_path, rng):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new" / "folder"
    line = draw(folder, *arguments(rng))
    assert sorted(os.listdir(folder)) == PICTURES
    assert line.startswith(f"{folder}: ")
    for name in PICTURES:
        assert name.removesuffix(".png") in line
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_line_says_what_to_install(tmp_path, rng, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = draw(tmp_path, *arguments(rng))
    assert line.startswith("no pictures: ")
    assert "pip install matplotlib" in line
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_loses_the_pictures_only(tmp_path, rng):
    pytest.importorskip("matplotlib")
    (tmp_path / "file").write_text("")
    assert draw(tmp_path / "file" / "pictures", *arguments(rng)).startswith("no pictures: ")
