"""How fast is an analysis from moments, beside plain arithmetic, tea-tasting and gbstats, in one run.

    pip install -e '.[benchmarks]' && python benchmarks/analysis.py [--quick] [--json]

One metric, two arms, from n, sum and sum of squares: each contender is a process of its own (gbstats in an environment
of its own, as it wants numpy below 2), and they take turns, so that a busy machine slows all of them. Times are CPU
seconds with one thread; a ratio is the median over the rounds. `scorecards_cpu_seconds` is 20 metrics in 6 arms at the
end of each of 90 days. Imports are timed inside their process, with byte code as an installation has it; of gbstats
the module that analyses (the package itself is empty).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from offerlift.stats import Moments

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""numpy reads these once, when it is imported: here that is after `main` has set them."""

GBSTATS = ("gbstats==0.8.0", "numpy<2")
SECONDS = 0.1
"""CPU time of one contender's turn, about."""

ARMS, DAYS = 6, 90
METRICS = [
    *({"metric": "bought", "kind": "conversion"} for _ in range(4)),
    *({"metric": "revenue"} for _ in range(10)),
    *({"metric": "revenue", "per": "orders"} for _ in range(3)),
    *({"metric": "revenue", "covariate": "past"} for _ in range(3)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a third of the rounds, for a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    rounds = 7 if options.quick else 21
    with tempfile.TemporaryDirectory() as folder:
        python = gbstats_python(Path(folder))
        calls = turns(python, rounds)
        loaded = imports(python, rounds, folder)
    cards = scorecards(3 if options.quick else 9)
    result = {
        "ratios": ratios(calls, loaded) | {"scorecards_cpu_seconds": round(statistics.median(cards), 3)},
        "microseconds": {name: round(statistics.median(times) * 1e6, 2) for name, times in calls.items()},
        "import_seconds": {name: round(statistics.median(times), 4) for name, times in loaded.items()},
    }
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for kind, values in result.items():
        print(kind)
        for name, value in values.items():
            print(f"  {name:40} {'not installed' if value is None else format(value, '.3g')}")


def gbstats_python(scratch: Path) -> str | None:
    """The interpreter of an environment with gbstats, kept for the next run where there is a place to keep it."""
    cache = os.environ.get("XDG_CACHE_HOME") or (str(Path.home() / ".cache") if Path.home().exists() else None)
    folder = (Path(cache) / "offerlift-benchmarks" if cache else scratch) / "gbstats-0.8.0"
    python = folder / "bin" / "python"
    check = [str(python), "-c", "import gbstats.gbstats"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return str(python)
    shutil.rmtree(folder, ignore_errors=True)
    # The pandas that gbstats 0.8 wants has no wheels for Python 3.12 and later.
    base = sys.executable if sys.version_info < (3, 12) else shutil.which("python3.11") or shutil.which("python3.10")
    try:
        if base is None:
            raise OSError("no Python 3.11 or 3.10 here")
        subprocess.run([base, "-m", "venv", str(folder)], check=True, capture_output=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *GBSTATS], check=True, capture_output=True)
        subprocess.run(check, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"gbstats: not installed ({error})", file=sys.stderr)
        return None
    return str(python)


class Contender:
    """A process that is asked for so many analyses, and says how many CPU seconds they took."""

    def __init__(self, name: str, python: str) -> None:
        script = Path(__file__).with_name("analysis_peers.py")
        environment = os.environ | ONE_THREAD
        self.process = subprocess.Popen(
            [python, str(script), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        answer = self._answer()
        if answer is None:
            raise ImportError(name)
        self.lift = answer
        # Warm, and as many calls a turn as take about as long for each.
        once = max(self.seconds(20) / 20, 1e-7)
        self.number = max(int(SECONDS / once), 1)

    def seconds(self, number: int) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        found = self._answer()
        assert found is not None, "a contender stopped"
        return found

    def a_call(self) -> float:
        return self.seconds(self.number) / self.number

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _answer(self) -> float | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return float(line) if line else None


def turns(gbstats: str | None, rounds: int) -> dict[str, list[float]]:
    """Contender -> CPU seconds a call, one number a round."""
    from analysis_peers import CONTENDERS

    contenders: dict[str, Contender] = {}
    for name in CONTENDERS:
        python = gbstats if name.startswith("gbstats") else sys.executable
        if python is None:
            continue
        try:
            contenders[name] = Contender(name, python)
        except ImportError:
            print(f"{name}: not installed", file=sys.stderr)
    for name, contender in contenders.items():
        ours = contenders[f"offerlift_{name.rsplit('_', 1)[1]}"].lift
        assert abs(contender.lift - ours) < 1e-9, f"{name} is not set up: {contender.lift} and {ours}"
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(contender.a_call())
    for contender in contenders.values():
        contender.close()
    return times


def imports(gbstats: str | None, rounds: int, cache: str) -> dict[str, list[float]]:
    """Module -> CPU seconds of its import in a fresh process."""
    modules = {"offerlift.stats": sys.executable, "tea_tasting": sys.executable, "gbstats.gbstats": gbstats}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {}
    for number in range(-1, rounds):
        for module, python in modules.items():
            if python is None:
                continue
            # Byte code is of one Python version, and the two environments may have two.
            environment["PYTHONPYCACHEPREFIX"] = f"{cache}/{module}"
            code = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
            done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True, check=False)
            if done.returncode == 0 and number >= 0:
                times.setdefault(module, []).append(float(done.stdout))
    return times


def cumulative(rng: np.random.Generator, lift: float) -> list[Moments]:
    """An arm's cumulative moments at the end of each day, 500 visitors a day."""
    from offerlift.stats import Moments

    total, days = Moments.zero(["bought", "revenue", "orders", "past"]), []
    for _ in range(DAYS):
        past, bought = rng.gamma(1, 10, 500), rng.random(500) < 0.05 * (1 + lift)
        orders = bought * (1 + (rng.random(500) < 0.1))
        revenue = orders * rng.lognormal(3, 1, 500) + 0.1 * past
        total = total + Moments.from_arrays({"bought": bought, "revenue": revenue, "orders": orders, "past": past})
        days.append(total)
    return days


def scorecards(times: int) -> list[float]:
    """CPU seconds of 20 metrics in 6 arms over 90 days."""
    import numpy as np
    from offerlift.stats import compare_days

    rng = np.random.default_rng(1)
    days = {f"arm {number}": cumulative(rng, 0.02 * number) for number in range(ARMS)}
    found = []
    for _ in range(times + 1):
        began = time.process_time()
        for metric in METRICS:
            card = compare_days(days, control="arm 0", **metric)
            assert np.isfinite(card.p_value[:, 7:]).all()
        found.append(time.process_time() - began)
    # The first warms up.
    return found[1:]


def ratios(calls: dict[str, list[float]], loaded: dict[str, list[float]]) -> dict[str, float | None]:
    def over(times: dict[str, list[float]], above: str, below: str) -> float | None:
        if above not in times or below not in times:
            return None
        return round(statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)), 2)

    return {
        "gbstats_over_ours": over(calls, "gbstats_revenue", "offerlift_revenue"),
        "tea_tasting_over_ours": over(calls, "tea_tasting_revenue", "offerlift_revenue"),
        "gbstats_conversion_over_ours": over(calls, "gbstats_conversion", "offerlift_conversion"),
        "tea_tasting_conversion_over_ours": over(calls, "tea_tasting_conversion", "offerlift_conversion"),
        "ours_over_floor": over(calls, "offerlift_revenue", "floor_revenue"),
        "import_gbstats_over_ours": over(loaded, "gbstats.gbstats", "offerlift.stats"),
        "import_tea_tasting_over_ours": over(loaded, "tea_tasting", "offerlift.stats"),
    }


if __name__ == "__main__":
    main()
