from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offerlift.errors import InputError
from offerlift.experiments import Discount, Guard, Offer, Price
from offerlift.experiments.quoting import Quote

from .shop import NOON

D = Decimal


def _offer(discount: Discount | None = None, price: Price | None = None, **changes: Any) -> Offer:
    made = Offer("o", "cross_sell", "cart", "cart_view", discount=discount, price=price, currency="EUR")
    return replace(made, **changes)


def _quote(offer: Offer, base: Any = 89, **amounts: Any) -> Quote:
    return offer.quote(base_price=base, **amounts)


@pytest.mark.parametrize(
    ("offer", "price", "discount"),
    [
        (_offer(), "89.00", "0.00"),
        (_offer(Discount("percentage", D(10))), "80.10", "8.90"),
        (_offer(Discount("percentage", D("12.5"))), "77.88", "11.12"),
        (_offer(Discount("fixed_amount", D(20))), "69.00", "20.00"),
        (_offer(Discount("fixed_amount", D(100))), "0.00", "89.00"),
        (_offer(Discount("fixed_price", D(50))), "50.00", "39.00"),
        (_offer(Discount("fixed_price", D(95))), "89.00", "0.00"),
        (_offer(Discount("buy_x_get_y", buy=2, get=1)), "178.00", "89.00"),
        (_offer(price=Price(relative=D("0.8"))), "71.20", "0.00"),
        (_offer(Discount("percentage", D(50)), Price(relative=D("0.8"))), "35.60", "35.60"),
        (_offer(price=Price(D("12.34"))), "12.34", "0.00"),
        *((_offer(Discount(one, D(5))), "89.00", "0.00") for one in ("points", "trial", "voucher")),
        (_offer(Discount("gift")), "89.00", "0.00"),
    ],
)
def test_price(offer: Offer, price: str, discount: str) -> None:
    """Price and discount of each kind, rounded half up to cents; they sum to the list price."""
    quote = _quote(offer)
    assert (quote.price, quote.discount, quote.list_price) == (D(price), D(discount), D(price) + D(discount))
    assert quote.withheld is None


@pytest.mark.parametrize(("quantity", "free"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2)])
def test_bundles(quantity: int, free: int) -> None:
    """Buy two get one: each third piece is free, and the cost counts all pieces."""
    quote = _quote(_offer(Discount("buy_x_get_y", buy=2, get=1)), D(10), quantity=quantity, cost=D(3))
    assert quote.price == 10 * (quantity - free)
    assert quote.margin == 10 * (quantity - free) - 3 * quantity


@pytest.mark.parametrize(
    ("currency", "price"), [("EUR", "33.33"), ("JPY", "33"), ("KWD", "33.333"), ("SEK", "33.33"), ("XQQ", "33.33")]
)
def test_rounding_of_the_currency(currency: str, price: str) -> None:
    """Amounts have the digits of their currency."""
    quote = _offer(price=Price(relative=D(1) / 3), currency=currency).quote(base_price=100)
    assert (str(quote.price), quote.currency) == (price, currency)


def test_currency_of_a_bare_offer() -> None:
    """An offer that no assigner has seen takes the currency of its price or of the call, and otherwise asks for it."""
    bare = _offer(currency="")
    assert _quote(bare, currency="USD").currency == "USD"
    assert _quote(replace(bare, price=Price(D(1), currency="SEK"))).currency == "SEK"
    with pytest.raises(InputError, match="currency"):
        _quote(bare)


@pytest.mark.parametrize(
    ("offer", "subtotal", "shipping", "missing"),
    [
        (_offer(), None, "4.90", "0.00"),
        (_offer(free_shipping=True), None, "0", "0.00"),
        (_offer(free_shipping_from=D(50)), D("49.99"), "4.90", "0.01"),
        (_offer(free_shipping_from=D(50)), D(50), "0", "0.00"),
        (_offer(free_shipping_from=D(50)), None, "0", "0.00"),
        (_offer(free_shipping=True, minimum_requirement=D(100)), D(99), "4.90", "1.00"),
    ],
)
def test_shipping(offer: Offer, subtotal: Decimal | None, shipping: str, missing: str) -> None:
    """Shipping is free where the offer says so and from the subtotal that it names; what is missing is told."""
    quote = _quote(offer, shipping=D("4.90"), subtotal=subtotal)
    assert (quote.shipping, quote.missing) == (D(shipping), D(missing))
    assert quote.total == quote.price + quote.shipping


def test_minimum_requirement() -> None:
    """Below the smallest subtotal the discount does not hold yet."""
    offer = _offer(Discount("percentage", D(10)), minimum_requirement=D(100))
    assert _quote(offer, subtotal=D("99.99")).price == D("89.00")
    assert _quote(offer, subtotal=D(100)).price == D("80.10")


def test_tax_included() -> None:
    """With tax in the price, the margin counts what is left without it; free shipping costs its net."""
    quote = _quote(_offer(free_shipping=True), D(119), shipping=D("5.95"), cost=D(40), tax_rate=D("0.19"))
    assert (quote.price, quote.tax, quote.total, quote.margin) == (D(119), D(19), D(119), D(55))
    paid = _quote(_offer(), D(119), shipping=D("11.90"), tax_rate=D("0.19"))
    assert (paid.tax, paid.total, paid.tax_basis, paid.margin) == (D("20.90"), D("130.90"), "included", None)


def test_tax_excluded() -> None:
    """With tax outside of the price, it comes on top of price and shipping."""
    offer = _offer(price=Price(relative=D(1), tax="excluded"))
    quote = _quote(offer, D(100), shipping=D(10), cost=D(40), tax_rate=D("0.19"))
    assert (quote.price, quote.tax, quote.total, quote.margin) == (D(100), D("20.90"), D("130.90"), D(60))
    assert quote.tax_basis == "excluded"


def test_timer() -> None:
    """The offer ends its timer after it was first shown, and then really has ended."""
    offer = _offer(timer=15 * 60_000_000)
    end = NOON + timedelta(minutes=15)
    assert _quote(offer, at=NOON).expires_at == end
    late = _quote(offer, at=end - timedelta(seconds=1), shown_at=NOON)
    assert (late.expires_at, late.withheld) == (end, None)
    over = _quote(offer, at=end, shown_at=NOON)
    assert (over.expires_at, over.withheld) == (end, "timer")
    assert _quote(_offer()).expires_at is None


def test_instalments() -> None:
    """Instalments sum to the total; the first takes the cents that do not divide."""
    quote = _quote(_offer(Discount("instalments", D(3))), D(100))
    assert quote.instalments == (D("33.34"), D("33.33"), D("33.33"))
    assert _quote(_offer()).instalments == (D("89.00"),)


@pytest.mark.parametrize(
    ("offer", "base", "withheld"),
    [
        (_offer(kind="upsell", price=Price(D("111.25"))), "89", None),
        (_offer(kind="upsell", price=Price(D("111.26"))), "89", "max_price_increase"),
        (_offer(kind="upsell", price=Price(relative=D("1.25"))), "9.99", None),
        (_offer(kind="upsell", price=Price(D(120)), guards=(Guard("max_price_increase", D("0.4")),)), "89", None),
        (_offer(price=Price(D(120))), "89", None),
        (_offer(price=Price(D(120)), guards=(Guard("max_price_increase", D("0.3")),)), "89", "max_price_increase"),
        (_offer(kind="downsell", price=Price(D(89))), "89", None),
        (_offer(kind="downsell", price=Price(D("89.01"))), "89", "downsell_price"),
    ],
)
def test_price_rules(offer: Offer, base: str, withheld: str | None) -> None:
    """An up-sell is at most 25 % dearer unless its guard says otherwise, a down-sell never is; to the cent."""
    assert _quote(offer, D(base)).withheld == withheld


def test_downsell_after_a_declined_offer() -> None:
    """A down-sell that follows a declined offer must not cost more than that one."""
    declined = _quote(_offer(price=Price(D(60))), D(89))
    assert _quote(_offer(kind="downsell", price=Price(D(60))), declined=declined).withheld is None
    dearer = _quote(_offer(kind="downsell", price=Price(D(61))), declined=declined)
    assert (dearer.withheld, dearer.detail) == ("downsell_price", "61 is more than 60.00, which was declined")


@pytest.mark.parametrize(
    ("cost", "withheld"), [(D(85), None), (D("85.01"), "min_margin"), (None, "min_margin"), (D(200), "min_margin")]
)
def test_min_margin(cost: Decimal | None, withheld: str | None) -> None:
    """At least that share of the net price must remain; without a cost nobody knows, so it is withheld."""
    quote = _quote(_offer(guards=(Guard("min_margin", D("0.15")),)), D(100), cost=cost)
    assert quote.withheld == withheld
    assert _quote(_offer(), D(100), cost=cost).withheld is None


@pytest.mark.parametrize(
    "amounts",
    [
        {"base_price": 89.0},
        {"base_price": "89"},
        {"base_price": True},
        {"base_price": D("NaN")},
        {"base_price": D("Infinity")},
        {"base_price": D(-1)},
        {"base_price": 1, "cost": 0.5},
        {"base_price": 1, "shipping": D(-1)},
        {"base_price": D("1e12")},
        {"base_price": D("1e999999")},
        {"base_price": 10**5_000},
        {"base_price": 1, "tax_rate": 19},
        {"base_price": 1, "quantity": 0},
        {"base_price": 1, "quantity": 10**7},
        {"base_price": 1, "quantity": 1.5},
        {"base_price": 1, "at": datetime(2026, 3, 1)},  # noqa: DTZ001 - refused
    ],
)
def test_impossible_amounts(amounts: dict[str, Any]) -> None:
    """Money is Decimal or int, not negative and below 10**12; a tax rate is a share; times are aware."""
    with pytest.raises(InputError):
        _offer().quote(**amounts)


def test_the_largest_amounts_stay_exact() -> None:
    """At the largest price and quantity every cent is still there."""
    quote = _quote(_offer(discount=Discount("percentage", D("12.5"))), D("999999999999.99"), quantity=1_000_000)
    assert quote.list_price == D("999999999999990000.00")
    assert quote.price == D("874999999999991250.00")
    assert quote.price + quote.discount == quote.list_price


_MONEY = st.decimals(0, 100_000, places=2)


@settings(deadline=None, derandomize=True)
@given(
    _MONEY,
    _MONEY,
    st.sampled_from(["percentage", "fixed_amount", "fixed_price", "instalments", "gift"]),
    st.integers(2, 99),
    st.sampled_from(["EUR", "JPY", "KWD"]),
    st.sampled_from(["included", "excluded"]),
)
def test_amounts_add_up(base: Any, shipping: Any, kind: Any, value: int, currency: str, tax: Any) -> None:
    """Whatever the offer: list price - discount is the price, nothing is negative, the payments sum to the total."""
    offer = _offer(Discount(kind, D(value)), Price(relative=D(1), tax=tax), currency=currency)
    quote = offer.quote(base_price=base, shipping=shipping, tax_rate=D("0.25"))
    assert quote.list_price - quote.discount == quote.price >= 0
    assert quote.discount >= 0
    assert sum(quote.instalments) == quote.total
    assert quote.total == quote.price + quote.shipping + (quote.tax if tax == "excluded" else 0)


def test_overstock_is_costed_at_what_it_is_still_worth() -> None:
    """With the basis salvage the margin counts the salvage value, and is not known without it, whatever was paid."""
    guards = (Guard("min_margin", D("0.10")),)
    old = _offer(Discount("percentage", D(50)), guards=guards, cost_basis="salvage")
    assert _quote(old, 80, cost=60, salvage_value=12).margin == D("28.00")
    assert _quote(old, 80, cost=60, salvage_value=12).withheld is None
    unknown = _quote(old, 80, cost=12)
    assert (unknown.margin, unknown.withheld) == (None, "min_margin")
    assert "no salvage_value was given" in unknown.detail
    usual = replace(old, cost_basis="purchase")
    assert _quote(usual, 80, cost=60, salvage_value=12).withheld == "min_margin"
    with pytest.raises(InputError, match="salvage_value"):
        _quote(usual, 80, salvage_value=-1)


@pytest.mark.parametrize("kind", ["gift", "points", "instalments", "trial", "voucher"])
def test_a_bonus_costs_its_cost_once(kind: Any) -> None:
    """The price stays, the margin is less by what the bonus costs, for the whole quantity once."""
    value = None if kind == "gift" else D(3)
    with_bonus = _offer(Discount(kind, value, cost=D("4.50")))
    plain = _offer(Discount(kind, value))
    for quantity in (1, 3):
        given, without = (_quote(one, 40, cost=20, quantity=quantity) for one in (with_bonus, plain))
        assert (given.price, without.margin - given.margin) == (without.price, D("4.50"))
    # Where the cart is too small for the bonus, nobody gets it.
    small = replace(with_bonus, minimum_requirement=D(50))
    assert _quote(small, 40, cost=20).margin == D("20.00")


def test_an_offer_is_there_from_and_until() -> None:
    """Withheld before and after for everybody at once; the quote expires with whatever ends first."""
    hour = timedelta(hours=1)
    offer = _offer(available_from=NOON, available_until=NOON + 4 * hour, timer=3_600_000_000 * 3)
    moments = (NOON - hour, NOON, NOON + 3 * hour, NOON + 4 * hour)
    quotes = [_quote(offer, at=moment) for moment in moments]
    assert [one.withheld for one in quotes] == ["available", None, None, "available"]
    assert [one.expires_at for one in quotes[1:3]] == [NOON + 3 * hour, NOON + 4 * hour]
    assert "it begins at 2026" in quotes[0].detail
    assert "it ended at 2026" in quotes[3].detail
    assert _quote(replace(offer, timer=None), at=NOON).expires_at == NOON + 4 * hour
