import contextlib
import csv
import hashlib
import importlib.util
import itertools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nncore import kernels
from nncore.data import dataset
from nncore.data.augment import AUGMENTATIONS
from nncore.data.dataset import network_input
from nncore.data.idx import write_idx
from nncore.data.mnist import FILES, load_mnist
from nncore.data.strokes.synthetic import synthetic_digits
from nncore.layers.activations import softmax
from nncore.machine import available_threads, use_threads
from nncore.network.sequential import Sequential
from nncore.network.weights import Reader
from nncore.optimizers import OPTIMIZERS
from nncore.training import loop, options, report
from nncore.training.calibration import fit_temperature
from nncore.training.options import RECIPES
from nncore.training.recorder import read_digits, read_live, read_snapshot, read_status, snapshots
from nncore.training.run import COLUMNS
from nncore.training.warmup import NO_NUMBA

ROOT = Path(__file__).parents[1]
SMALL = ["--model=compact", "--limit=60", "--batch-size=16", "--epochs=3", "--augment=full", "--threads=1"]
STEPS = 4  # an epoch, for 54 images to train on
RECORDED = {"status.json", "live.csv", "digits.npz", "epochs"}
PICTURES = {"confusion.png", "curves.png", "errors.png", "features.png", "filters.png"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with MNIST's four files, which hold 400 and 100 digits drawn by program."""
    folder = tmp_path_factory.mktemp("data")
    arrays = [*synthetic_digits(400, seed=3), *synthetic_digits(100, seed=4)]
    for name, array in zip(FILES, arrays, strict=True):
        write_idx(folder / name.removesuffix(".gz"), array)
    return folder


def fingerprint(path):
    """SHA-256 of every array of a weights file or checkpoint."""
    digest = hashlib.sha256()
    with Reader(path) as file:
        for name, array in sorted(file.arrays().items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def history(folder):
    """The lines of history.csv, without the seconds, which are never the same twice."""
    with (folder / "history.csv").open(newline="") as file:
        return [[row[name] for name in COLUMNS if name != "seconds"] for row in csv.DictReader(file)]


class Script:
    """train_scratch.py in this process, in a folder of its own, without pictures."""

    def __init__(self, monkeypatch, capsys):
        specification = importlib.util.spec_from_file_location("train_scratch", ROOT / "train_scratch.py")
        self.module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(self.module)
        self.monkeypatch, self.capsys = monkeypatch, capsys
        monkeypatch.setattr(report, "draw", lambda *arguments: "not drawn")
        self.batches = loop.batches

    def __call__(self, *flags, signals=()):
        """Run it: (exit status, stdout, stderr). `signals`: the steps, from 1, in which Ctrl-C is pressed."""
        self.steps, pressed = 0, list(signals)

        def batches(*arguments):
            for batch in self.batches(*arguments):
                self.steps += 1
                while self.steps in pressed:
                    pressed.remove(self.steps)
                    os.kill(os.getpid(), signal.SIGINT)
                yield batch

        self.monkeypatch.setattr(loop, "batches", batches)
        self.monkeypatch.setattr(sys, "argv", ["train_scratch.py", *map(str, flags)])
        self.capsys.readouterr()
        try:
            status = self.module.main()
        except SystemExit as stop:  # argparse
            status = stop.code
        return status, *self.capsys.readouterr()


@pytest.fixture
def script(monkeypatch, capsys, tmp_path, data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NNCORE_DATA", str(data))
    yield Script(monkeypatch, capsys)
    use_threads(available_threads())


def the_run():
    (folder,) = Path("runs").iterdir()
    return folder


# From start to end


def in_a_process(*arguments, cwd, data, matplotlib=False, **settings):
    """A process that finds nncore uninstalled, and with matplotlib or without."""
    hidden = cwd / "hidden"
    (hidden / "matplotlib").mkdir(parents=True, exist_ok=True)
    (hidden / "matplotlib" / "__init__.py").write_text("raise ImportError('hidden')")
    path = [str(ROOT)] if matplotlib else [str(hidden), str(ROOT)]
    environment = {**os.environ, "NNCORE_DATA": str(data), "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings
    )


def test_a_run_from_start_to_end(tmp_path, data):
    pytest.importorskip("matplotlib")
    flags = ["--model", "compact", "--epochs", "2", "--batch-size", "40", "--seed", "3"]
    process = in_a_process(ROOT / "train_scratch.py", *flags, cwd=tmp_path, data=data, matplotlib=True)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("compact-")
    files = {"config.json", "history.csv", "checkpoint.npz", "weights.npz", *RECORDED, *PICTURES}
    assert {path.name for path in folder.iterdir()} == files

    settings = json.loads((folder / "config.json").read_text())
    assert (settings["model"], settings["epochs"], settings["seed"], settings["dataset"]) == ("compact", 2, 3, "mnist")
    assert [row[0] for row in history(folder)] == ["1", "2"]

    lines = out.splitlines()
    assert lines[0] == f"data: data in MNIST's format from {data}, not verified; 360 images to train on, 40 to validate"
    assert "95,642 parameters, 1.5 MFLOP forward for one example" in lines
    assert [line.split(":")[0] for line in lines if line.startswith("epoch")] == ["epoch 1/2", "epoch 2/2"]
    assert any(line.startswith("test: ") and " of 100 images right" in line for line in lines)
    assert lines[-5].startswith("trained in ")
    name = folder.relative_to(tmp_path)
    assert lines[-4:] == [
        f"weights:  {name}/weights.npz",
        f"history:  {name}/history.csv",
        f"pictures: {name}: curves, confusion, errors, filters and features (.png)",
        f"next:     python -m nncore evaluate {name}/weights.npz",
    ]

    network = Sequential.load(folder / "weights.npz")
    assert (network.made_by["model"], network.made_by["seed"]) == ("compact", 3)
    assert network.made_by["convolutions"] == network.algorithms(40)
    assert str(tmp_path) not in json.dumps(network.made_by)
    process = in_a_process("-m", "nncore", "evaluate", name / "weights.npz", cwd=tmp_path, data=data)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    (measured,) = (line for line in lines if line.startswith("test: "))
    assert measured.removeprefix("test: ") in out.splitlines()


@pytest.mark.parametrize("numba", [True, False])
def test_only_numba_compiles(script, monkeypatch, numba):
    warmed_up, available = [], kernels.available
    numba = numba and available()
    monkeypatch.setattr(kernels, "available", lambda: numba and available())
    monkeypatch.setattr(report, "warm_up", lambda *arguments: warmed_up.append(arguments))
    status, out, err = script(*SMALL, "--epochs=1")
    assert (status, err) == (0, "")
    assert ("the first run compiles its kernels" in out, NO_NUMBA in out, len(warmed_up)) == (numba, not numba, numba)


def test_interrupted_and_killed_runs_end_with_the_weights_of_an_undisturbed_one(tmp_path, data):
    script = ROOT / "train_scratch.py"
    flags = ["--model", "compact", "--epochs", "6", "--batch-size", "8", "--augment", "full", "--threads", "1"]
    folders = {name: tmp_path / name for name in ("undisturbed", "interrupted", "killed")}
    processes = {}
    for name, folder in folders.items():
        folder.mkdir()
        processes[name] = in_a_process(script, *flags, cwd=folder, data=data)
    for name, number in (("interrupted", signal.SIGINT), ("killed", signal.SIGKILL)):
        for line in processes[name].stdout:
            if line.startswith("epoch 1/6"):
                break
        processes[name].send_signal(number)
    out, err = processes["undisturbed"].communicate()
    assert (processes["undisturbed"].returncode, err) == (0, "")
    assert "pictures: no pictures: pictures need matplotlib: pip install matplotlib" in out

    out, err = processes["interrupted"].communicate()
    assert (processes["interrupted"].returncode, err) == (130, "")
    (folder,) = (folders["interrupted"] / "runs").iterdir()
    assert out.splitlines()[-1] == (
        f"stopped and saved; to go on: python train_scratch.py --resume {folder.relative_to(folders['interrupted'])}"
    )
    processes["killed"].communicate()
    assert processes["killed"].returncode == -signal.SIGKILL

    for name in ("interrupted", "killed"):
        (folder,) = (folders[name] / "runs").iterdir()
        assert len(history(folder)) < 6
        assert not (folder / "weights.npz").exists()
        processes[name] = in_a_process(script, "--resume", folder, cwd=folders[name], data=data)
    for name in ("interrupted", "killed"):
        _, err = processes[name].communicate()
        assert (processes[name].returncode, err) == (0, "")
    runs = [next((folder / "runs").iterdir()) for folder in folders.values()]
    for file in ("weights.npz", "checkpoint.npz"):
        assert len({fingerprint(run / file) for run in runs}) == 1
    assert history(runs[0]) == history(runs[1]) == history(runs[2])
    assert len(history(runs[0])) == 6


# Going on after an interruption


AVERAGED = {"ema": 0.9, "weight_decay": 0.01, "label_smoothing": 0.1}


@pytest.mark.parametrize(
    ("optimizer", "recipe"), [*((name, {}) for name in OPTIMIZERS), ("sgd", AVERAGED)], ids=[*OPTIMIZERS, "averaged"]
)
def test_a_run_interrupted_at_any_step_goes_on_bit_for_bit(script, optimizer, recipe):
    """In the middle of an epoch, in its first and last steps, and in the last step of all."""
    script.monkeypatch.setitem(options.RECIPES, "compact", recipe)
    flags = [*SMALL, "--learning-rate", "0.003", f"--optimizer={optimizer}"]
    weights, rows, recorded = set(), [], set()
    for stop in (None, 1, 2, STEPS, STEPS + 1, 3 * STEPS - 1, 3 * STEPS):
        folder = Path(f"stop-{stop}")
        folder.mkdir()
        script.monkeypatch.chdir(folder)
        status, out, err = script(*flags, signals=[stop])
        assert err == ""
        if stop:
            assert status == 130
            assert f"--resume {the_run()}" in out.splitlines()[-1]
            assert script.steps == stop
            status, _, err = script("--resume", the_run())
            assert script.steps == 3 * STEPS - stop
        assert (status, err) == (0, "")
        weights.add((fingerprint(the_run() / "weights.npz"), fingerprint(the_run() / "checkpoint.npz")))
        rows.append(history(the_run()))
        recorded.add(tuple(fingerprint(the_run() / "epochs" / f"{epoch:04}.npz") for epoch in snapshots(the_run())))
        steps = [row["step"] for row in read_live(the_run())]
        assert steps == sorted(set(steps))
        assert steps[-1] == 3 * STEPS
        assert read_status(the_run()) == ("finished", "")
        script.monkeypatch.chdir("..")
    assert len(weights) == len(recorded) == 1
    assert len(recorded.pop()) == 4
    assert all(row == rows[0] for row in rows)


def test_a_run_interrupted_twice_goes_on_bit_for_bit(script):
    script(*SMALL)
    the_run().rename("undisturbed")
    assert script(*SMALL, signals=[3])[0] == 130
    assert script("--resume", the_run(), signals=[4])[0] == 130
    assert script("--resume", the_run())[0] == 0
    assert script.steps == 3 * STEPS - 7
    assert fingerprint(the_run() / "weights.npz") == fingerprint("undisturbed/weights.npz")
    assert history(the_run()) == history(Path("undisturbed"))


def test_what_is_recorded_changes_nothing(script):
    script(*SMALL)
    the_run().rename("recorded")

    class Nothing(contextlib.nullcontext):
        def __init__(self, *arguments):
            super().__init__(self)

        step = epoch = lambda *arguments: None

    script.monkeypatch.setattr(loop, "Recorder", Nothing)
    script(*SMALL)
    assert fingerprint("recorded/weights.npz") == fingerprint(the_run() / "weights.npz")


def test_what_is_recorded_are_the_networks_own_numbers(script):
    """Averaged weights where the validation accuracy is that of averaged weights."""
    script.monkeypatch.setitem(options.RECIPES, "compact", AVERAGED)
    script(*SMALL, "--label-smoothing=0")
    network = Sequential.load(the_run() / "weights.npz")
    last = read_snapshot(the_run(), 3)
    np.testing.assert_array_equal(last.filters, network.layers[0].parameters["kernel"])
    images, _ = read_digits(the_run())
    np.testing.assert_allclose(last.probabilities, softmax(network.predict(network_input(images))), atol=1e-5)
    assert last.confusion.sum() == 6
    assert float(history(the_run())[-1][4]) == pytest.approx(last.confusion.trace() / 6)


def test_a_second_ctrl_c_stops_at_once(script, monkeypatch):
    monkeypatch.setattr("nncore.training.loop.time.monotonic", itertools.count().__next__)  # a second apart
    status, _, err = script(*SMALL, signals=[6, 6])
    assert (status, err) == (130, "\nstopped at once; what was saved before is still there\n")
    assert len(history(the_run())) == 1
    assert read_status(the_run()) == ("stopped", "")
    assert script("--resume", the_run())[0] == 0
    assert script.steps == 2 * STEPS  # from the last epoch's checkpoint


def test_ctrl_c_before_training_is_no_traceback(script, monkeypatch):
    def load_dataset(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(script.module, "load_dataset", load_dataset)
    assert script(*SMALL)[::2] == (130, "\nstopped at once; what was saved before is still there\n")
    assert not Path("runs").exists()


def test_a_run_killed_before_its_first_checkpoint_begins_again(script):
    script(*SMALL)
    before = fingerprint(the_run() / "weights.npz")
    for name in ("checkpoint.npz", "history.csv", "weights.npz"):
        (the_run() / name).unlink()
    assert script("--resume", the_run())[0] == 0
    assert script.steps == 3 * STEPS
    assert fingerprint(the_run() / "weights.npz") == before


def test_a_finished_run_says_so_and_reports_once_more(script):
    _, first, _ = script(*SMALL)
    before, rows = fingerprint(the_run() / "weights.npz"), history(the_run())
    (the_run() / "weights.npz").unlink()
    status, out, err = script("--resume", the_run())
    assert (status, err, script.steps) == (0, "", 0)
    assert "this run is finished" in out
    assert first.partition("\ntest: ")[2] == out.partition("\ntest: ")[2]
    assert fingerprint(the_run() / "weights.npz") == before
    assert history(the_run()) == rows


def test_a_resumed_run_learns_from_the_same_data_set_or_not_at_all(script, monkeypatch, tmp_path):
    """Had it begun on MNIST, going on with digits drawn by program would spoil it unnoticed."""
    script(*SMALL, signals=[5])
    monkeypatch.setenv("NNCORE_DATA", str(tmp_path / "moved"))
    status, _, err = script("--resume", the_run())
    assert status == 2
    assert "moved" in err


def refused(script, *flags):
    """The one line on stderr with which the script ends, having trained nothing."""
    status, _, err = script(*flags)
    assert (status, script.steps) == (2, 0)
    assert err.count("\n") == 1
    assert err.startswith("train_scratch.py: ")
    return err


@pytest.mark.parametrize("folder", ["nowhere", ".", "runs"])
def test_a_folder_without_a_run_cannot_be_resumed(script, folder):
    Path("runs").mkdir()
    assert folder in refused(script, "--resume", folder)


def test_a_damaged_run_cannot_be_resumed(script):
    script(*SMALL, signals=[5])
    checkpoint = the_run() / "checkpoint.npz"
    good = checkpoint.read_bytes()
    for bad in (b"", good[:-100], good[:5000] + bytes([good[5000] ^ 1]) + good[5001:]):
        checkpoint.write_bytes(bad)
        assert str(checkpoint) in refused(script, "--resume", the_run())
        assert checkpoint.read_bytes() == bad
    checkpoint.write_bytes(good)
    config = the_run() / "config.json"
    config.write_text(config.read_text()[:-20])
    assert str(the_run()) in refused(script, "--resume", the_run())


def test_a_resumed_run_takes_no_other_settings(script):
    script(*SMALL, signals=[5])
    before = fingerprint(the_run() / "checkpoint.npz")
    status, _, err = script("--resume", the_run(), "--epochs", 9, "--quick")
    assert status == 2
    assert err.splitlines()[-1].endswith("leave out --epochs, --quick")
    assert fingerprint(the_run() / "checkpoint.npz") == before


def test_settings_edited_into_nonsense_are_refused(script):
    script(*SMALL, signals=[5])
    config = the_run() / "config.json"
    config.write_text(config.read_text().replace("compact", "enormous"))
    status, _, err = script("--resume", the_run())
    assert status == 2
    assert "argument --model: invalid choice: 'enormous'" in err


# Same seed, same weights


def test_the_seed_decides_the_weights(script):
    fingerprints = []
    for number, flags in enumerate((["--seed=5"], ["--seed=5"], ["--seed=6"], ["--seed=5", "--augment=none"])):
        assert script(*SMALL, "--epochs=1", *flags)[0] == 0
        the_run().rename(f"run-{number}")
        fingerprints.append(fingerprint(f"run-{number}/weights.npz"))
    assert fingerprints[0] == fingerprints[1]
    assert len(set(fingerprints)) == 3


@pytest.mark.parametrize("threads", range(1, available_threads() + 1))
def test_the_same_threads_give_the_same_weights(script, threads):
    for name in "ab":
        assert script(*SMALL, f"--threads={threads}")[0] == 0
        the_run().rename(name)
    assert fingerprint("a/weights.npz") == fingerprint("b/weights.npz")


def test_every_setting_reaches_the_training(script):
    """Each of these changes the weights; were one of them ignored, two would be alike."""
    changes = ["batch-size=20", "learning-rate=0.01", "optimizer=sgd", "schedule=cosine", "augment=light", "limit=50"]
    changes += ["epochs=2", "model=reference", "label-smoothing=0.1"]
    changes += ["conv=im2col"] if kernels.available() else []  # layers know no other algorithm
    seen = set()
    for change in ["seed=0", *changes]:
        status, _, err = script(*SMALL, "--epochs=1", f"--{change}")
        assert (status, err) == (0, "")
        the_run().rename(change)
        seen.add(fingerprint(f"{change}/weights.npz"))
    assert len(seen) == 1 + len(changes)


@pytest.fixture
def few_drawn(monkeypatch):
    """Little is drawn by program, so that it takes no time."""
    for name, count in (("DRAWN_SYNTHETIC", 20), ("DRAWN_OUTLIERS", 30), ("HELD_OUT", 20)):
        monkeypatch.setattr(dataset, name, count)


@pytest.mark.usefixtures("few_drawn")
def test_the_recogniser_has_a_recipe_of_its_own(script):
    status, out, err = script("--model=recogniser", "--epochs=2", "--batch-size=32", "--threads=1")
    assert (status, err) == (0, "")
    assert "*** WITHOUT THE WRITERS" in out
    network = Sequential.load(the_run() / "weights.npz")
    assert network.output_shape == (11,)
    recipe = {name: network.made_by[name] for name in RECIPES["recogniser"]}
    assert recipe == {**RECIPES["recogniser"], "epochs": 2}
    (measured,) = (line for line in out.splitlines() if line.startswith("test: "))
    assert f"{network.made_by['test_accuracy']:.2%} of 100 images right" in measured


def test_a_run_ends_on_calmer_images_if_asked(script, monkeypatch):
    """Three epochs of four batches: before ten of these twelve steps, less than four fifths of the run are done."""
    seen = []
    augment = loop.augment
    monkeypatch.setattr(loop, "augment", lambda *given: (seen.append(given[3]), augment(*given))[1])
    assert script(*SMALL, "--augment=full-light")[0] == 0
    assert seen == [AUGMENTATIONS["full"]] * 10 + [AUGMENTATIONS["light"]] * 2


@pytest.mark.usefixtures("few_drawn")
def test_ten_classes_are_too_few_for_things_that_are_no_digit(script):
    status, _, err = script(*SMALL, "--dataset=drawn")
    assert status == 2
    assert "--dataset drawn has 11 classes" in err
    assert "--model compact tells 10 apart: choose --model recogniser" in err


def test_a_network_that_label_smoothing_made_modest_is_calibrated(script):
    """On the images held out, no other temperature makes their labels more likely."""
    flags = ["--model=compact", "--limit=400", "--epochs=4", "--learning-rate=0.01", "--label-smoothing=0.3"]
    assert script(*flags, "--threads=1")[0] == 0
    images, labels = load_mnist()[:2]
    logits = Sequential.load(the_run() / "weights.npz").predict(network_input(images[360:]))
    assert fit_temperature(logits, labels[360:]) == pytest.approx(1, abs=1e-3)


def test_corrections_are_trained_on_as_well(script):
    Path("corrections.csv").write_text("".join(",".join(map(str, [4] + [level] * 784)) + "\n" for level in range(30)))
    status, out, err = script(*SMALL, "--dataset=mnist+corrections.csv")
    assert (status, err) == (0, "")
    assert "30 of corrections.csv; " in out
    assert "54 images to train on, 6 to validate" in out  # the corrections come first
    Path("corrections.csv").write_text("4,0\n")
    status, _, err = script(*SMALL, "--dataset=mnist+corrections.csv")
    assert status == 2
    assert "corrections.csv, line 1" in err


# Training that cannot go on


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_too_large_a_step_ends_in_one_clear_line(script, optimizer):
    """And in no warning of NumPy, which here would be an error."""
    flags = ["--schedule=constant", "--learning-rate=1e30", f"--optimizer={optimizer}"]
    status, out, err = script(*SMALL, *flags)
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("train_scratch.py: the loss is nan at step ")
    assert "with learning rate 1e+30: the first number to grow beyond all bounds is the output of " in err
    assert err.endswith(". Try a smaller --learning-rate.\n")
    assert "test:" not in out
    assert not (the_run() / "weights.npz").exists()
    assert read_status(the_run()) == ("failed", err.removeprefix("train_scratch.py: ").rstrip())


def test_what_the_very_last_step_breaks_is_noticed_too(script):
    flags = ["--schedule=constant", "--learning-rate=1e38", "--optimizer=sgd", "--epochs=1", "--batch-size=60"]
    status, _, err = script(*SMALL, *flags)
    assert status == 2
    assert err.startswith("train_scratch.py: the loss is nan at step 1, with learning rate 1e+38: ")
    assert script.steps == 1
    assert {path.name for path in the_run().iterdir()} == {"config.json", *RECORDED}


# Places and data that are not there


def test_without_a_place_for_runs_nothing_is_trained(script):
    Path("runs").write_text("a file")
    assert "start from another" in refused(script, *SMALL)


def test_a_disk_that_fills_up_ends_in_one_line(script, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    def check_finite(*arguments):
        monkeypatch.setattr(os, "fsync", full)

    monkeypatch.setattr(loop, "check_finite", check_finite)
    status, _, err = script(*SMALL)
    assert status == 2
    assert err.startswith("train_scratch.py: ")
    assert "No space left on device" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("dataset", ["auto", "mnist"])
def test_a_data_folder_that_is_not_there_is_refused_and_leaves_no_run(script, dataset):
    message = refused(script, *SMALL, "--data-dir", "nowhere", "--dataset", dataset)
    assert "nowhere (given by --data-dir) lacks train-images" in message
    assert not Path("runs").exists()


def test_no_data_folder_goes_with_digits_drawn_by_program(script):
    assert "leave out the folder" in refused(script, *SMALL, "--dataset=synthetic", "--data-dir=.")


@pytest.mark.parametrize(
    ("flags", "trained", "tested"),
    [
        (["--limit=20"], 18, 20),
        (["--limit=99"], 89, 99),
        (["--limit=60000"], 360, 100),  # more than there are
        (["--limit=50", "--batch-size=60000"], 45, 50),
        (["--limit=21", "--batch-size=1"], 18, 21),
    ],
)
def test_limits_and_batches_of_any_size(script, flags, trained, tested):
    status, out, err = script(*SMALL, "--epochs=1", *flags)
    assert (status, err) == (0, "")
    assert f"{trained} images to train on" in out
    assert f" of {tested} images right" in out


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_data_set_of_a_few_images(script, tmp_path, count):
    images, labels = synthetic_digits(count, seed=1)
    for name, array in zip(FILES, (images, labels) * 2, strict=True):
        write_idx(tmp_path / "few" / name, array)
    status, out, err = script(*SMALL, "--data-dir=few")
    if count == 1:
        assert (status, err) == (2, "train_scratch.py: Cannot hold out 1 of 1 images: choose 0 to 0\n")
    else:
        assert (status, err) == (0, "")
        assert f"{count - 1} images to train on, 1 to validate" in out


def test_a_small_network_learns(script):
    status, _, _ = script(*SMALL, "--limit=400", "--augment=none", "--learning-rate=0.004", "--epochs=4")
    assert status == 0
    rows = [[float(value) for value in row] for row in history(the_run())]
    assert rows[0][0] == 1
    assert rows[-1][1] < 0.5 * rows[0][1]
    assert rows[-1][2] > 0.8
    assert np.isfinite(rows).all()
