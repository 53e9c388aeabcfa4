import time
from itertools import count

import pytest

from benchmarks.studies import timing


def test_each_call_is_timed_and_the_first_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    numbers = count()

    def slower_at_first() -> None:
        clock[0] += 100 if next(numbers) == 0 else 2

    def fast() -> None:
        clock[0] += 1

    taken = timing.in_turns({"slow": slower_at_first, "fast": fast}, seconds=7.5)
    assert taken == {"slow": [2] * 5, "fast": [1] * 5}  # five rounds of 3 seconds fill 2 * 7.5


def test_slow_calls_are_made_three_times() -> None:
    calls = []
    assert len(timing.times(lambda: calls.append(1), seconds=0)) == 3
    assert len(calls) == 4
