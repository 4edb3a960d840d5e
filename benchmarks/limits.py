"""Whether the ratios that a benchmark printed with --json keep what is promised; exit code 1 where one does not.

python benchmarks/assignment.py --quick --json | python benchmarks/limits.py
"""

from __future__ import annotations

import json
import sys

AT_MOST = {"assign_over_floor": 2.0, "start_over_bare_python": 3.0, "start_extra_megabytes": 10.0}
AT_LEAST = {"assign_many_over_hashlib": 3.0, "eppo_logging_over_assign_recorded": 1.0, "growthbook_over_assign": 1.0}


def main() -> None:
    ratios = json.load(sys.stdin)["ratios"]
    broken = 0
    for name, limit in {**AT_MOST, **AT_LEAST}.items():
        # A peer that is not installed has no ratio, and proves nothing.
        ratio = ratios.get(name)
        kept = ratio is not None and (ratio <= limit if name in AT_MOST else ratio >= limit)
        broken += not kept
        word = "at most" if name in AT_MOST else "at least"
        print(f"{'ok  ' if kept else 'FAIL'} {name:36} {ratio}  ({word} {limit:g})")
    raise SystemExit(1 if broken else 0)


if __name__ == "__main__":
    main()
