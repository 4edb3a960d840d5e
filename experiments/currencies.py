"""How many digits each currency has after the point, for everything that counts money in minor units."""

from __future__ import annotations

__all__ = ["MINOR_DIGITS", "minor_digits"]

_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"

MINOR_DIGITS = dict.fromkeys(_WITHOUT.split(), 0) | dict.fromkeys(_THOUSANDTHS.split(), 3) | {"CLF": 4, "UYW": 4}
"""The currencies of ISO 4217 whose minor unit is not a hundredth."""


def minor_digits(currency: str) -> int:
    """Digits after the point: 2 for EUR, 0 for JPY, 3 for KWD."""
    return MINOR_DIGITS.get(currency, 2)
