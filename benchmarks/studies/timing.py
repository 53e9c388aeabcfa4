"""How long calls take, in this process."""

import time
from collections.abc import Callable, Mapping

LEAST = 3  # calls, however long each takes


def times(call: Callable[[], object], seconds: float) -> list[float]:
    """How long each of several calls takes, in seconds; `in_turns` for one."""
    return in_turns({"": call}, seconds)[""]


def in_turns(calls: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    """Make the calls one after the other, again and again, until each has had `seconds` on average.

    A first round, in which kernels may be compiled and memory is asked for, does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    stop, rounds = time.perf_counter() + seconds * len(calls), 0
    while rounds < LEAST or time.perf_counter() < stop:
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            taken[name].append(time.perf_counter() - began)
        rounds += 1
    return taken
