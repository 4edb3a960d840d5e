"""How fast the dashboard answers: 100 experiments of one store, by real HTTP, while they are being recomputed.

    pip install -e '.[benchmarks,serve]' && python benchmarks/dashboard.py [--quick] [--json] [--visitors N]

The same visitors take part in all experiments of four metrics and three arms: 100,000 of them are ten million rows of
exposure (--quick: 2,000). `offerlift serve` is started on the SQLite file and may recompute whatever is older than a
second, so that pages are read while it computes. Times are seconds until the last byte, by a reader on the same
machine: p50 and p99 of each page read in turn, and `readers` of eight at once. `computed_seconds` is what it took from
the start until every experiment was there, `listed_after_start_seconds` until the first overview, with or without them.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from shop import METRICS, fill_sqlite, make

EXPERIMENTS = 100
READERS = 8
PAGES = {
    "overview": "/",
    "experiment": "/experiment?key=offer-{:03d}",
    "experiment_json": "/experiment.json?key=offer-{:03d}",
    "overview_csv": "/overview.csv",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2,000 visitors in each experiment instead of 100,000")
    parser.add_argument("--visitors", type=int, help="another number")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
    options = parser.parse_args()
    visitors = options.visitors or (2_000 if options.quick else 100_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        make(Path(folder), visitors)
        fill_sqlite(Path(folder), f"sqlite:///{path}", {f"offer-{n:03d}": METRICS for n in range(EXPERIMENTS)})
        result = {"exposures": visitors * EXPERIMENTS, "file_megabytes": round(path.stat().st_size / 1e6)}
        result |= measure(path, rounds=200 if options.quick else 400)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in {**result, **result.pop("ratios")}.items():
        print(f"{name:40} {value}")


def measure(path: Path, rounds: int) -> dict[str, object]:
    program = "from offerlift.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--db", f"sqlite:///{path}", "--port", "0"]
    begun = time.monotonic()
    with subprocess.Popen([*command, "--fresh-for", "1"], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = urlsplit(server.stderr.readline().split()[0])
            read = reader(address.netloc)
            first = read("/")
            listed = time.monotonic() - begun
            while b"being computed" in first:
                time.sleep(1)
                first = read("/")
            computed = time.monotonic() - begun
            found = {name: times(read, place, rounds) for name, place in PAGES.items()}
            with ThreadPoolExecutor(READERS) as pool:
                reads = [reader(address.netloc) for _ in range(READERS)]
                parts = pool.map(lambda one: times(one, PAGES["experiment"], rounds // READERS), reads)
                found["readers"] = [one for part in parts for one in part]
        finally:
            server.terminate()
    ratios = {f"{name}_p99_seconds": round(p99(them), 4) for name, them in found.items()}
    return {
        "computed_seconds": round(computed, 1),
        "p50_seconds": {name: round(statistics.median(them), 4) for name, them in found.items()},
        "listed_after_start_seconds": round(listed, 2),
        "ratios": ratios,
    }


def reader(host: str) -> Callable[[str], bytes]:
    """Reads a page by a connection that stays open, as a browser's does."""
    connection = http.client.HTTPConnection(host, timeout=60)

    def read(place: str) -> bytes:
        connection.request("GET", place)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (place, answer.status, body[-2_000:])
        return body

    return read


def times(read: Callable[[str], bytes], place: str, rounds: int) -> list[float]:
    found = []
    for number in range(rounds):
        begun = time.perf_counter()
        read(place.format(number % 10))
        found.append(time.perf_counter() - begun)
    return found


def p99(found: list[float]) -> float:
    return statistics.quantiles(found, n=100, method="inclusive")[98]


if __name__ == "__main__":
    main()
