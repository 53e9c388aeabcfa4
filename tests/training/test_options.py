import json
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest

from nncore.data.augment import MODES
from nncore.data.dataset import DATASETS
from nncore.errors import OptionError
from nncore.machine import available_threads
from nncore.network.fusion import CONVOLUTIONS
from nncore.network.models import MODELS
from nncore.optimizers import OPTIMIZERS
from nncore.schedules import SCHEDULES
from nncore.training.options import BY_RECIPE, DEFAULT, FREE_ON_RESUME, QUICK, RECIPES, Options, parse, resumed

ALL = {
    "model": "compact",
    "epochs": 3,
    "batch_size": 17,
    "learning_rate": 0.05,
    "optimizer": "sgd",
    "schedule": "cosine",
    "label_smoothing": 0.05,
    "augment": "full",
    "seed": 2**32 - 1,
    "dataset": "synthetic",
    "data_dir": "some folder",
    "limit": 20,
    "conv": "im2col",
    "threads": 1,
}


SAVED = asdict(Options(**ALL))


def flag(name):
    return "--" + name.replace("_", "-")


def test_without_flags_the_defaults_hold():
    assert parse([]) == (Options(), None)


def test_every_setting_has_a_flag_of_its_name_or_is_a_recipes():
    assert {*ALL, *BY_RECIPE} == {field.name for field in fields(Options)}
    for name, value in ALL.items():
        assert parse([flag(name), str(value)]) == (replace(DEFAULT, **{name: value}), None)
    assert parse([word for name, value in ALL.items() for word in (flag(name), str(value))])[0] == Options(**ALL)


def test_every_name_that_there_is_may_be_chosen():
    for name, values in {
        "model": MODELS,
        "optimizer": OPTIMIZERS,
        "schedule": SCHEDULES,
        "augment": MODES,
        "dataset": ["auto", *DATASETS],
        "conv": CONVOLUTIONS,
    }.items():
        for value in values:
            assert getattr(parse([f"{flag(name)}={value}"])[0], name) == value


def test_the_arguments_of_the_process_are_the_default(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train_scratch.py", "--epochs", "9"])
    assert parse()[0].epochs == 9


def test_quick_changes_what_is_not_given():
    assert parse(["--quick"])[0] == replace(DEFAULT, **QUICK)
    assert parse(["--epochs", "2", "--quick"])[0] == replace(DEFAULT, **{**QUICK, "epochs": 2})


def test_a_network_may_have_a_recipe_of_its_own():
    recipe = RECIPES["recogniser"]
    assert parse(["--model", "recogniser"])[0] == replace(DEFAULT, model="recogniser", **recipe)
    changed = parse(["--model", "recogniser", "--epochs", "2", "--label-smoothing=0"])[0]
    assert changed == replace(DEFAULT, model="recogniser", **{**recipe, "epochs": 2, "label_smoothing": 0.0})
    quick = parse(["--model", "recogniser", "--quick"])[0]
    assert quick == replace(DEFAULT, **{**recipe, **QUICK, "model": "recogniser"})
    assert RECIPES.keys() <= MODELS.keys()


def refused(arguments, capsys):
    """What the user reads when the arguments end the process with status 2."""
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "error:" in printed.err.splitlines()[-1]
    return printed.err.splitlines()[-1]


THREADS = available_threads()
BAD = {
    "model": (["large", "", "Reference"], ["reference", "compact"]),
    "epochs": (["0", "-1", "1.5", "many", "", "10001", "1e3"], ["whole number from 1 to 10000"]),
    "batch_size": (["0", "-8", "60001", "half"], ["whole number from 1 to 60000"]),
    "learning_rate": (["0", "-0.1", "nan", "inf", "-inf", "1e999", "fast", ""], ["a finite number above 0"]),
    "optimizer": (["Adam", "lbfgs"], OPTIMIZERS),
    "schedule": (["linear"], SCHEDULES),
    "label_smoothing": (["-0.1", "1", "inf", "x"], ["a number from 0 to below 1"]),
    "augment": (["some"], ["none", "light", "full", "full-light"]),
    "seed": (["-1", str(2**32), "0.5", "abc"], ["whole number from 0 to 4294967295"]),
    "dataset": (["cifar", "cifar+more.csv"], ["auto", "mnist", "synthetic"]),
    "limit": (["19", "0", "-5", "60001", "x"], ["whole number from 20 to 60000"]),
    "conv": (["fft"], CONVOLUTIONS),
    "threads": (["0", "-1", str(THREADS + 1), "x"], [f"whole number from 1 to {THREADS}"]),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (values, _) in BAD.items() for value in values])
def test_a_bad_value_is_named_with_what_is_allowed(capsys, name, value):
    message = refused([f"{flag(name)}={value}"], capsys)
    assert flag(name) in message
    assert repr(value.partition("+")[0]) in message
    for allowed in BAD[name][1]:
        assert allowed in message


@pytest.mark.parametrize(
    "arguments", [["--momentum", "0.9"], ["--epoch", "3"], ["somewhere"], ["--epochs"], ["--quick=1"]]
)
def test_what_is_no_flag_is_refused(capsys, arguments):
    assert arguments[0].partition("=")[0] in refused(arguments, capsys)


@pytest.mark.parametrize("name", sorted(ALL.keys() - FREE_ON_RESUME))
def test_a_resumed_run_keeps_its_settings(capsys, name):
    message = refused(["--resume", "runs/x", f"{flag(name)}={ALL[name]}"], capsys)
    assert f"leave out {flag(name)}" in message


def test_every_conflict_with_resume_is_named(capsys):
    message = refused(["--resume", "runs/x", "--quick", "--seed=1", "--model=compact", "--threads=1"], capsys)
    assert message.endswith("leave out --model, --seed, --quick")


def test_a_resumed_run_may_have_other_places_and_threads():
    given, folder = parse(["--resume", "runs/x", "--threads=1", "--data-dir=d"])
    assert folder == Path("runs/x")
    saved = {**asdict(Options(**ALL)), "threads": None, "data_dir": "before"}
    assert resumed(given, saved) == Options(**{**saved, "threads": 1, "data_dir": "d"})
    assert resumed(DEFAULT, saved) == Options(**saved)


@pytest.mark.parametrize("options", [DEFAULT, Options(**ALL), replace(DEFAULT, learning_rate=0.1 + 0.2, seed=0)])
def test_settings_return_from_the_file_of_a_run(options):
    assert resumed(DEFAULT, json.loads(json.dumps(asdict(options)))) == options


@pytest.mark.parametrize(
    ("name", "value"), [("model", "large"), ("epochs", "x"), ("seed", -1), ("limit", [1]), ("threads", 0)]
)
def test_settings_that_were_edited_into_nonsense_are_refused(capsys, name, value):
    with pytest.raises(SystemExit):
        resumed(DEFAULT, {**SAVED, name: value})
    assert f"argument {flag(name)}: " in capsys.readouterr().err


def test_settings_of_another_nncore_are_refused():
    with pytest.raises(OptionError, match=r"do not match this nncore: colour$"):
        resumed(DEFAULT, {**SAVED, "colour": "red"})
    with pytest.raises(OptionError, match=r"do not match this nncore: epochs, model$"):
        resumed(DEFAULT, {name: value for name, value in SAVED.items() if name not in ("model", "epochs")})
    with pytest.raises(OptionError, match="do not match"):
        resumed(DEFAULT, {})
    with pytest.raises(OptionError, match=r"ema is 0\.5 there"):
        resumed(DEFAULT, {**SAVED, "ema": 0.5})  # not by this network's recipe


def test_help_lists_every_flag_and_its_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        parse(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    words = " ".join(text.split())
    for name, value in QUICK.items():
        assert f"{flag(name)} {value}" in words
    words = words.rpartition("--resume RUN")[2].partition("examples:")[0]
    for name in ALL:
        start = words.index(f" {flag(name)} ")
        description = words[start + 1 :].partition(" --")[0]
        default = getattr(DEFAULT, name)
        expected = {"data_dir": "NNCORE_DATA", "limit": "first N"}.get(name, "(default: ")
        assert (f"(default: {default})" if default is not None else expected) in description
    assert "runs/NAME" in text
    assert max(map(len, text.splitlines())) <= 100
