"""How fast is assigning, beside a floor in plain Python and beside the peers, in one run.

    pip install -e '.[benchmarks]' && python benchmarks/assignment.py [--quick] [--json]

All do the same work: one visitor, three arms of 50/25/25, one rule (country == "DE"). Contenders take turns, so that a
busy machine slows all of them; a ratio is the median over the rounds, times are medians too.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

import peers
from offerlift.experiments import (
    BUILT_IN_METRICS,
    Arm,
    Assigner,
    Definition,
    Offer,
    Plan,
    Recorder,
    Rule,
    Snapshot,
    publish,
)

ROUND = 2_000
"""Calls of one contender before the next one's turn."""

QUEUE = 10_000_000
"""Records that a recorder may hold, so that none is dropped."""

BLOCK = 100_000
"""Ids of one turn of the bulk path."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls, for a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    calls = single(rounds=15 if options.quick else 100)
    slow = sinks(rounds=15 if options.quick else 100)
    bulk = many(blocks=9 if options.quick else 100)
    started = start_up(times=7 if options.quick else 21)
    result = {"ratios": ratios(calls, slow, bulk, started), "microseconds": medians(calls, slow, bulk)}
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for kind, values in result.items():
        print(kind)
        for name, value in values.items():
            print(f"  {name:40} {'not installed' if value is None else format(value, '.3g')}")


def snapshot() -> Snapshot:
    definition = Definition(
        "exp",
        "a",
        (Arm("a", 5_000), Arm("b", 2_500, Offer("b", "bundle", "cart", "cart_view")), Arm("c", 2_500)),
        (BUILT_IN_METRICS["conversion"],),
        Plan("conversion"),
        eligibility=(Rule("country", "eq", "DE"),),
    )
    return Snapshot.of([publish(definition, None, state="running", at=datetime.now(UTC))])


def floor() -> peers.Call:
    """What nobody can do without: look the experiment up, check the rule, hash, find the arm."""
    experiments = {"exp": ("DE", b"exp/s:", (5_000, 7_500, 10_000), ("a", "b", "c"))}

    def assign(experiment: str, visitor: str, attributes: dict[str, str]) -> str | None:
        country, prefix, limits, arms = experiments[experiment]
        if attributes.get("country") != country:
            return None
        bucket = int(md5(prefix + visitor.encode()).hexdigest()[:15], 16) % 10_000
        return arms[bisect_right(limits, bucket)]

    return lambda visitor: assign("exp", visitor, {"country": "DE"})


def contenders() -> dict[str, peers.Call]:
    assign = Assigner(snapshot()).assign
    made: dict[str, peers.Call] = {
        "floor": floor(),
        "assign": lambda visitor: assign("exp", visitor, {"country": "DE"}),
        "assign_recorded": recorded(assign, Recorder(Waiting(None), capacity=QUEUE)),
    }
    for name, make in {
        "growthbook": peers.growthbook,
        "eppo": lambda: peers.eppo(log=False),
        "eppo_logging": lambda: peers.eppo(log=True),
        "optimizely": peers.optimizely,
        "launchdarkly": peers.launchdarkly,
    }.items():
        try:
            call = make()
        except ImportError:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        seen = {call(f"check-{number}") for number in range(200)}
        assert seen == set(peers.ARMS), f"{name} is not set up: {seen}"
        made[name] = call
    return made


class Waiting:
    """A sink that takes so many seconds a batch, None until the end: what a request pays is the queue alone."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.open = threading.Event()
        atexit.register(self.open.set)

    def write_exposures(self, records: Sequence[object], /) -> None:
        self.open.wait(self.seconds)

    write_outcomes = write_links = write_exposures


def recorded(assign: Callable[..., object], recorder: Recorder) -> peers.Call:
    def call(visitor: str) -> None:
        recorder.expose(assign("exp", visitor, {"country": "DE"}))

    return call


def single(rounds: int) -> dict[str, list[float]]:
    return turns(contenders(), rounds)


def sinks(rounds: int) -> dict[str, list[float]]:
    """Assign and expose while each batch takes the sink ten seconds, beside a sink that returns at once."""
    assign = Assigner(snapshot()).assign
    fast = Recorder(Waiting(0), capacity=QUEUE)
    calls = {
        "assign_recorded_slow_sink": recorded(assign, Recorder(Waiting(10), capacity=QUEUE)),
        "assign_recorded_fast_sink": recorded(assign, fast),
    }
    # What the fast sink gets is delivered between the turns, so that its thread does not take time from both.
    return turns(calls, rounds, between=fast.flush)


def turns(
    calls: dict[str, peers.Call], rounds: int, between: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Contender -> microseconds a call, one number a round; every call has a visitor of its own."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(-1, rounds):
        visitors = [f"visitor-{number}-{index}" for index in range(ROUND)]
        for name, call in calls.items():
            began = time.perf_counter()
            for visitor in visitors:
                call(visitor)
            # The first round warms up.
            if number >= 0:
                times[name].append((time.perf_counter() - began) / ROUND * 1e6)
            between()
    return times


def many(blocks: int) -> dict[str, list[float]]:
    """The bulk path beside a list comprehension over hashlib.md5: microseconds an id, one number a block."""
    assigner = Assigner(snapshot())
    times: dict[str, list[float]] = {"hashlib": [], "assign_many": [], "assign_many_2_threads": []}
    prefix = b"exp/s:"
    for number in range(-1, blocks):
        ids = [f"visitor-{number}-{index}" for index in range(BLOCK)]

        def with_hashlib(ids: list[str] = ids) -> list[int]:
            return [int(md5(prefix + one.encode()).hexdigest()[:15], 16) % 10_000 for one in ids]

        for name, call in {
            "hashlib": with_hashlib,
            "assign_many": lambda ids=ids: assigner.assign_many("exp", ids, peers.GERMANY),
            "assign_many_2_threads": lambda ids=ids: assigner.assign_many("exp", ids, peers.GERMANY, threads=2),
        }.items():
            began = time.perf_counter()
            call()
            if number >= 0:
                times[name].append((time.perf_counter() - began) / BLOCK * 1e6)
    return times


FIRST = """
from offerlift.experiments import Assigner, Snapshot
Assigner(Snapshot.load({path!r})).assign("exp", "visitor-1", {{"country": "DE"}})
"""


PEAK = """
with open("/proc/self/status") as status:
    print(next((line.split()[1] for line in status if line.startswith("VmHWM:")), "nan"))
"""
"""Prints the peak in kilobytes; what the operating system tells the parent includes the parent's own."""


def start_up(times: int) -> dict[str, float]:
    """Import, load and first assign beside an empty program: CPU as a ratio, memory as megabytes on top."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "offers.json")
        snapshot().write(path)
        programs = {"bare": "pass", "first": FIRST.format(path=path)}
        cost: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for number in range(-1, times):
            for name, program in programs.items():
                # The first time writes the byte code, as an installation has it.
                used = _used(program, folder)
                if number >= 0:
                    cost[name].append(used)
    cpu = statistics.median(b[0] / a[0] for a, b in zip(cost["bare"], cost["first"], strict=True))
    memory = statistics.median(b[1] - a[1] for a, b in zip(cost["bare"], cost["first"], strict=True))
    return {"start_over_bare_python": cpu, "start_extra_megabytes": memory}


def _used(program: str, cache: str) -> tuple[float, float]:
    """CPU seconds and peak megabytes of a Python program."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    process = subprocess.Popen(
        [sys.executable, "-c", program + PEAK], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"the program failed: {program}")
    return usage.ru_utime + usage.ru_stime, float(printed) / 1e3


def ratios(
    calls: dict[str, list[float]],
    slow: dict[str, list[float]],
    bulk: dict[str, list[float]],
    started: dict[str, float],
) -> dict[str, float | None]:
    def over(times: dict[str, list[float]], above: str, below: str) -> float | None:
        if above not in times or below not in times:
            return None
        return round(statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)), 3)

    return {
        "assign_over_floor": over(calls, "assign", "floor"),
        "growthbook_over_assign": over(calls, "growthbook", "assign"),
        "launchdarkly_over_assign": over(calls, "launchdarkly", "assign"),
        "optimizely_over_assign": over(calls, "optimizely", "assign"),
        "eppo_over_assign": over(calls, "eppo", "assign"),
        "eppo_logging_over_assign_recorded": over(calls, "eppo_logging", "assign_recorded"),
        "slow_sink_over_fast_sink": over(slow, "assign_recorded_slow_sink", "assign_recorded_fast_sink"),
        "assign_many_over_hashlib": over(bulk, "hashlib", "assign_many"),
        "assign_many_2_threads_over_hashlib": over(bulk, "hashlib", "assign_many_2_threads"),
        **{name: round(value, 3) for name, value in started.items()},
    }


def medians(*times: dict[str, list[float]]) -> dict[str, float]:
    return {name: round(statistics.median(one), 3) for group in times for name, one in group.items()}


if __name__ == "__main__":
    main()
