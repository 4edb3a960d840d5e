"""What the methods do on simulated shops whose truth is known: the tables of docs/measured.md, made again.

    pip install -e . && python benchmarks/coverage.py [--quick] [--table NAME ...] [--json] [--write docs/measured.md]

Every share comes with its Monte Carlo standard error, and every row from a seed of its own.
"""

from __future__ import annotations

from measured.pages import make_page

INTRODUCTION = """# Measured

What each method does on simulated shops whose truth is known, with the Monte Carlo standard error of each share.
`python benchmarks/coverage.py --write docs/measured.md` makes this page again (three quarters of an hour on two cores;
`--quick` takes a twentieth of the runs). Conversion of 2 % and 5 %, lognormal order values with the `sigma` named, one
order a buyer; `n` is the visitors of the smaller arm, and of each arm at 50/50. Not every cell should be .95: few
orders with heavy tails are too cautious at equal arms, and at unequal ones too bold, which is what the skew flag is
for.
"""

if __name__ == "__main__":
    make_page(__doc__, "coverage_tables", INTRODUCTION)
