"""Minor units of the currencies."""

from babel.core import get_global
from offerlift.experiments.currencies import MINOR_DIGITS, minor_digits


def test_digits_are_those_of_cldr_or_more():
    """CLDR, made from ISO 4217, leaves out only digits that nobody pays with any more."""
    fractions = {currency: digits for currency, (digits, *_) in get_global("currency_fractions").items()}
    del fractions["DEFAULT"]
    for currency, digits in fractions.items():
        assert minor_digits(currency) == digits or (digits == 0 < minor_digits(currency)), currency
    assert MINOR_DIGITS.keys() <= fractions.keys()


def test_digits_of_iso_4217():
    """The list of minor units of ISO 4217 for some currencies of each kind."""
    known = {"EUR": 2, "JPY": 0, "BIF": 0, "KMF": 0, "RWF": 0, "KWD": 3, "IQD": 3, "CLF": 4, "HUF": 2, "IDR": 2}
    assert {currency: minor_digits(currency) for currency in known} == known
