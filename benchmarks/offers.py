"""What the analyses of offers do on the simulated shop, whose truth is known: docs/measured-offers.md, made again.

    pip install -e . && python benchmarks/offers.py [--quick] [--table NAME ...] [--json] [--write PAGE]

The methods' own tables, on data made for them, are those of `coverage.py`; here everything comes from
`offerlift.experiments.testing.SimulatedShop`.
"""

from __future__ import annotations

from measured.pages import make_page

INTRODUCTION = """# Measured on a simulated shop

Every analysis of offers on [the simulated shop](testing.md#a-shop-whose-truth-is-known), whose truth is known in
closed form: visitors of different tastes, lognormal baskets, refunds, repeat purchases, offers that are withheld or
lost on the way. Intervals are held to their coverage; what has none, such as a shrunk effect or the chance to be the
best, to its bias or calibration. ± is the Monte Carlo standard error. [Measured](measured.md) has each method on data
made for it.
`python benchmarks/offers.py --write docs/measured-offers.md` makes this page again (some minutes on two cores).
"""

if __name__ == "__main__":
    make_page(__doc__, "offer_tables", INTRODUCTION)
