"""What a command costs before it does anything, beside an empty Python program, in one run.

    python benchmarks/cli.py [--quick] [--json]

CPU seconds of whole processes, byte code written before; contenders take turns, so that a busy machine slows all of
them. A ratio is the median over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

START = "import sys; sys.argv = ['offerlift', *sys.argv[1:]]; from offerlift.cli import main; main()"
PROGRAMS = {
    "bare": ["-c", "pass"],
    "click": ["-c", "import click"],
    "help": ["-c", START, "--help"],
    "help_of_a_command": ["-c", START, "stop", "--help"],
    "version": ["-c", START, "--version"],
    "mistyped": ["-c", START, "statsu"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    seconds = measured(rounds=7 if options.quick else 21)
    ratios = {
        f"{name}_over_bare_python": round(
            statistics.median(own / bare for own, bare in zip(times, seconds["bare"], strict=True)), 2
        )
        for name, times in seconds.items()
        if name != "bare"
    }
    result = {
        "ratios": ratios,
        "milliseconds": {name: round(statistics.median(times) * 1e3, 1) for name, times in seconds.items()},
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, ratio in ratios.items():
        print(f"{name:36} {ratio:6.2f}")


def measured(rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each program in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as cache:
        for number in range(-1, rounds):
            for name, arguments in PROGRAMS.items():
                used = _used(arguments, cache)
                # The first round writes the byte code, as an installation has it.
                if number >= 0:
                    seconds[name].append(used)
    return seconds


def _used(arguments: list[str], cache: str) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = cache
    process = subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 2):
        raise SystemExit(f"the program failed: {arguments}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
