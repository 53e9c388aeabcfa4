import math

import pytest

from nncore.schedules import SCHEDULES, constant, cosine, one_cycle, step_decay


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_every_schedule_stays_between_zero_and_the_peak(name, total):
    rate = SCHEDULES[name](0.2, total)
    assert all(0 <= rate(step) <= 0.2 * (1 + 1e-12) for step in range(total + 5))  # a few steps too many do no harm
    assert all(rate(step) > 0 for step in range(total))


def test_constant():
    assert {constant(0.3, 10)(step) for step in range(12)} == {0.3}


def test_step_decay_falls_evenly():
    rate = step_decay(1.0, 12, drops=3, factor=0.1)
    assert [rate(step) for step in range(13)] == pytest.approx([1] * 3 + [0.1] * 3 + [0.01] * 3 + [0.001] * 4)
    assert step_decay(0.7, 5, drops=0)(4) == 0.7


def test_cosine_by_its_formula():
    rate = cosine(0.4, 50, warmup=0.2)
    for step in range(10):
        assert rate(step) == pytest.approx(0.4 * (step + 1) / 10)
    for step in range(10, 50):
        assert rate(step) == pytest.approx(0.2 + 0.2 * math.cos(math.pi * (step - 10) / 40))
    assert rate(50) == rate(60) == pytest.approx(0, abs=1e-15)


def test_one_cycle_goes_up_once_and_down_once():
    rates = [one_cycle(0.5, 40)(step) for step in range(40)]
    top = rates.index(max(rates))
    assert rates[0] == pytest.approx(0.5 / 25)
    assert rates[top] == pytest.approx(0.5)
    assert top == round(0.3 * 40 - 1)
    assert rates[-1] == pytest.approx(0.5 / 25 / 1e4)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def torch_rates(torch, make, peak, total):
    """The learning rate at each step, as one of torch's schedulers sets it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=peak)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    for step in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < total - 1:
            scheduler.step()
    return rates


@pytest.mark.torch
@pytest.mark.parametrize("total", [10, 37, 400])
@pytest.mark.parametrize("warmup", [0.25, 0.3, 0.5])
def test_one_cycle_against_torch(total, warmup):
    torch = pytest.importorskip("torch")
    for start, end in ((25.0, 1e4), (10.0, 50.0)):
        expected = torch_rates(
            torch,
            lambda there, optimizer, start=start, end=end: there.OneCycleLR(
                optimizer, 0.1, total, pct_start=warmup, div_factor=start, final_div_factor=end, cycle_momentum=False
            ),
            0.1,
            total,
        )
        rate = one_cycle(0.1, total, warmup, start, end)
        assert [rate(step) for step in range(total)] == pytest.approx(expected, rel=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("total", [1, 10, 333])
def test_cosine_and_step_decay_against_torch(total):
    torch = pytest.importorskip("torch")
    expected = torch_rates(torch, lambda there, optimizer: there.CosineAnnealingLR(optimizer, total), 0.1, total)
    assert [cosine(0.1, total)(step) for step in range(total)] == pytest.approx(expected, rel=1e-9, abs=1e-14)
    # Where the run cannot be cut into four equal parts, torch would need the steps one by one.
    total *= 4
    expected = torch_rates(torch, lambda there, optimizer: there.StepLR(optimizer, total // 4, 0.3), 0.1, total)
    assert [step_decay(0.1, total)(step) for step in range(total)] == pytest.approx(expected)
