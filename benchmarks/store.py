"""How fast is an analysis, beside floors in SQL and beside the peers, in one run.

    pip install -e '.[benchmarks,postgresql,duckdb]' && python benchmarks/store.py [--quick] [--json]

Each engine's store gets the same shop (benchmarks/shop.py); then the floor, all metrics' moments and the course by day
take turns, each round in the same order. A ratio is the median over the rounds, of CPU seconds: of this process, of the
backend where PostgreSQL runs on this machine, otherwise of the clock. PostgreSQL is measured where
OFFERLIFT_TEST_POSTGRESQL says; a schema of its own is made there and dropped. What cannot run has the ratio null.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import in_place
import shop
import store_peers
from offerlift.storage import Observations, Store
from sqlalchemy import create_engine, make_url, text

PER_VISITOR = "SELECT arm_id, count(*) FROM exposure WHERE experiment_id = 1 GROUP BY arm_id"
"""SQLite's floor: counts by arm of one row a visitor."""

ONE_PASS = """
SELECT event_id, count(*), sum(value), sum(cost), min("at"), max("at") FROM outcome GROUP BY event_id
"""
"""The others' floor: one pass over the columns of the outcomes that an analysis needs."""

FLOORS = {"sqlite": PER_VISITOR, "postgresql": ONE_PASS, "duckdb": ONE_PASS}
PARTS = (*FLOORS, "in-place", "spark")

Times = dict[str, list[float]]
"""Contender -> seconds, one number a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 and a million visitors instead of 1M and 10M")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone; may be repeated")
    parser.add_argument("--read", nargs=2, metavar=("NAME", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_once(*options.read)
        return
    sizes = (100_000, 1_000_000) if options.quick else (1_000_000, 10_000_000)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), sizes, rounds=5, parts=options.only or PARTS)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for kind, values in result.items():
        print(kind)
        for name, value in values.items():
            print(f"  {name:40} {'not available' if value is None else format(value, '.3g')}")


def measure(
    folder: Path, sizes: tuple[int, int], rounds: int, *, parts: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    small, large = (folder / str(visitors) for visitors in sizes)
    for path, visitors in zip((small, large), sizes, strict=True):
        path.mkdir()
        shop.make(path, visitors)
    ratios: dict[str, float | None] = {}
    seconds: dict[str, float | None] = {}
    for part in PARTS:
        if part not in parts:
            continue
        match part:
            case "in-place":
                found = _duckdb_in_place(large, rounds)
            case "spark":
                found = _spark(large, rounds)
            case engine:
                found = _engine(engine, small, large, rounds)
        # At ten million visitors the whole takes long: what is known is told.
        print(f"{part}: {found[0]}", file=sys.stderr, flush=True)
        ratios |= found[0]
        seconds |= found[1]
    return {"ratios": ratios, "cpu_seconds": seconds}


def _engine(engine: str, small: Path, large: Path, rounds: int) -> tuple[dict[str, float | None], dict[str, float]]:
    names = [f"{engine}_{what}" for what in ("moments_over_floor", "days_over_floor", "ten_times_the_visitors")]
    names += ["four_metrics_over_one"] if engine == "sqlite" else []
    names += [f"{name}_over_duckdb_moments" for name in store_peers.PEERS] if engine == "duckdb" else []
    ratios: dict[str, float | None] = dict.fromkeys((*names, f"{engine}_peak_megabytes"))
    with store_in(engine, large) as url:
        if url is None:
            return ratios, {}
        # Before this process opens it: DuckDB lets in one at a time.
        peak = max(peak_megabytes(what, url) for what in ("moments", "days"))
        # The contenders first, so that the clock knows their backends.
        times = turns(contenders(engine, url, large), rounds, clock_of(url))
    with store_in(engine, small) as url:
        assert url is not None
        less = turns({"moments": contenders(engine, url, small)["moments"]}, rounds, clock_of(url))
    ratios |= {
        f"{engine}_moments_over_floor": over(times, "moments", "floor"),
        f"{engine}_days_over_floor": over(times, "days", "floor"),
        f"{engine}_ten_times_the_visitors": round(min(times["moments"]) / min(less["moments"]), 3),
        f"{engine}_peak_megabytes": round(peak, 1),
    }
    if engine == "sqlite":
        ratios["four_metrics_over_one"] = over(times, "moments", "one")
    if engine == "duckdb":
        ratios |= {f"{name}_over_duckdb_moments": over(times, name, "moments") for name in store_peers.PEERS}
    return ratios, {f"{engine}_{name}": round(statistics.median(one), 4) for name, one in times.items()}


def _duckdb_in_place(folder: Path, rounds: int) -> tuple[dict[str, float | None], dict[str, float]]:
    try:
        calls = {"warehouse": in_place.duckdb_in_place(folder), "sql": store_peers.duckdb_sql(folder)}
    except ImportError as error:
        print(f"duckdb: {error}", file=sys.stderr)
        return {"duckdb_warehouse_over_sql": None}, {}
    check("duckdb_sql", calls["sql"](), calls["warehouse"]())
    times = turns(calls, rounds, time.process_time)
    medians = {"duckdb_warehouse": round(statistics.median(times["warehouse"]), 4)}
    return {"duckdb_warehouse_over_sql": over(times, "warehouse", "sql")}, medians


def _spark(folder: Path, rounds: int) -> tuple[dict[str, float | None], dict[str, float]]:
    """By the clock: Spark works in a process of its own, and compiles while it does."""
    names = ("spark_moments_over_floor", "spark_days_over_floor")
    try:
        calls = in_place.spark_calls(folder)
    except ImportError as error:
        print(f"spark: {error}", file=sys.stderr)
        return dict.fromkeys(names), {}
    times = turns(calls, rounds, time.perf_counter)
    found = {name: over(times, what, "floor") for name, what in zip(names, ("moments", "days"), strict=True)}
    return found, {f"spark_{name}_wall": round(statistics.median(one), 4) for name, one in times.items()}


@contextmanager
def store_in(engine: str, folder: Path) -> Iterator[str | None]:
    """URL of a store of that engine with the folder's shop; None: there is no such engine here."""
    try:
        if engine == "postgresql":
            with _schema() as url:
                if url is not None:
                    shop.FILLS[engine](folder, url)
                yield url
            return
        path = folder / f"shop.{engine}"
        path.unlink(missing_ok=True)
        url = f"{engine}:///{path}"
        shop.FILLS[engine](folder, url)
    except ImportError as error:
        print(f"{engine}: {error}", file=sys.stderr)
        yield None
        return
    yield url


@contextmanager
def _schema() -> Iterator[str | None]:
    """A schema of our own, in which the URL's connections look first; without parallel workers, as CPU is of one."""
    base = os.environ.get("OFFERLIFT_TEST_POSTGRESQL")
    if base is None:
        print("postgresql: OFFERLIFT_TEST_POSTGRESQL is not set", file=sys.stderr)
        yield None
        return
    name = f"benchmark_{os.getpid()}"
    with closing(create_engine(base).connect().execution_options(isolation_level="AUTOCOMMIT")) as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
        try:
            options = f"-c search_path={name} -c max_parallel_workers_per_gather=0"
            url = make_url(base).update_query_dict({"options": options, "application_name": name})
            yield url.render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


def contenders(engine: str, url: str, folder: Path) -> dict[str, Callable[[], object]]:
    """What takes turns, once each has been seen to find the same."""
    store = Store.open(url, create=False)
    engine_of_floor = create_engine(url)

    def floor() -> object:
        # A transaction left open would keep the schema from being dropped.
        with engine_of_floor.connect() as connection:
            return connection.execute(text(FLOORS[engine])).all()

    made: dict[str, Callable[[], object]] = {
        "floor": floor,
        "moments": lambda: store.observations(shop.OFFER, as_of=shop.AS_OF),
        "days": lambda: store.cumulative(shop.OFFER, as_of=shop.AS_OF),
    }
    floor()  # Connects, so that the clock finds its backend.
    ours = store.observations(shop.OFFER, as_of=shop.AS_OF)
    found = store.cumulative(shop.OFFER, as_of=shop.AS_OF)
    for metric, arms in ours.moments.items():
        for arm, moments in arms.items():
            last = found.moments[metric][arm][-1]
            same = (last.n, last.mean.tolist(), last.m2.tolist()) == (
                moments.n,
                moments.mean.tolist(),
                moments.m2.tolist(),
            )
            assert same, f"the last day's {metric} in {arm} is another"
    if engine == "sqlite":
        made["one"] = lambda: store.observations(shop.CONVERSION, as_of=shop.AS_OF)
    if engine == "duckdb":
        for name, peer in store_peers.PEERS.items():
            try:
                call = peer(folder)
            except ImportError as error:
                print(f"{name}: {error}", file=sys.stderr)
                continue
            check(name, call(), ours)
            made[name] = call
    return made


def check(name: str, found: store_peers.Totals, ours: Observations) -> None:
    """See that a peer finds what we find: visitors, and the sum of each metric, by arm."""
    for arm in ours.arms:
        expected = {metric: moments[arm] for metric, moments in ours.moments.items()}
        visitors, *means = found[arm]
        assert visitors in (None, ours.arms[arm].visitors), f"{name} finds {visitors} visitors in {arm}"
        for metric, mean in zip(store_peers.METRICS, means, strict=True):
            own = expected[metric].mean[0]
            assert abs(mean - own) <= 1e-9 * abs(own), f"{name}'s {metric} in {arm} is {mean}, ours {own}"


def clock_of(url: str) -> Callable[[], float]:
    """CPU seconds of who does the work: this process, or the backends of PostgreSQL where they run on this machine."""
    if not url.startswith("postgresql"):
        return time.process_time
    name = make_url(url).query["application_name"]
    others = text("SELECT pid FROM pg_stat_activity WHERE application_name = :name AND pid <> pg_backend_pid()")
    with closing(create_engine(url).connect()) as connection:
        files = [Path(f"/proc/{pid}/stat") for (pid,) in connection.execute(others, {"name": name})]
    if not all(file.exists() and "(postgres)" in file.read_text() for file in files):
        return time.perf_counter
    tick = os.sysconf("SC_CLK_TCK")

    def seconds() -> float:
        fields = (file.read_text().rsplit(")", 1)[1].split() for file in files)
        return sum(int(one[11]) + int(one[12]) for one in fields) / tick

    return seconds


def turns(calls: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> Times:
    times: Times = {name: [] for name in calls}
    for number in range(-1, rounds):
        for name, call in calls.items():
            began = clock()
            call()
            # The first round warms up.
            if number >= 0:
                times[name].append(clock() - began)
    return times


def over(times: Times, above: str, below: str) -> float | None:
    if above not in times:
        return None
    return round(statistics.median(a / b for a, b in zip(times[above], times[below], strict=True)), 3)


def read_once(what: str, url: str) -> None:
    """Read as a program of its own would, and print its peak in kilobytes."""
    with Store.open(url, create=False) as store:
        {"moments": store.observations, "days": store.cumulative}[what](shop.OFFER, as_of=shop.AS_OF)
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))


def peak_megabytes(what: str, url: str) -> float:
    command = [sys.executable, __file__, "--read", what, url]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]) / 1e3


if __name__ == "__main__":
    main()
