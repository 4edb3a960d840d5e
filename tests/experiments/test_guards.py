from __future__ import annotations

import logging
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Arm, Assigner, Counts, Guard, Offer, Published, Rule, bucket

from .shop import BETTER, NOON, USUAL, definition, guarded, holdout, published, visitor_in

CAP = Guard("frequency_cap", Decimal(2), 7 * 86_400_000_000)
LIMIT = Guard("usage_limit", Decimal(100))


class Memory:
    """A guard state that notes what it was asked."""

    def __init__(self, shown: int = 0, accepted: int = 0):
        self.answers = {"shown": shown, "accepted": accepted}
        self.asked: list[tuple[Any, ...]] = []

    def shown(self, experiment: str, offer: str, visitor: str, since: datetime) -> int:
        self.asked.append(("shown", experiment, offer, visitor, since))
        return self.answers["shown"]

    def accepted(self, experiment: str, offer: str) -> int:
        self.asked.append(("accepted", experiment, offer))
        return self.answers["accepted"]


def _one_arm(offer: Offer, **changes: Any) -> dict[str, Published]:
    """Everybody gets this offer."""
    return {"exp": published(definition(arms=(Arm("a", 10_000, offer), Arm("b", 0)), **changes))}


@pytest.mark.parametrize(
    ("guard", "counts", "withheld"),
    [
        (CAP, Counts(shown=1), None),
        (CAP, Counts(shown=2), "frequency_cap"),
        (CAP, Counts(shown=3), "frequency_cap"),
        (LIMIT, Counts(accepted=99), None),
        (LIMIT, Counts(accepted=100), "usage_limit"),
    ],
)
def test_counts_of_the_caller(guard: Guard, counts: Counts, withheld: str | None) -> None:
    """An offer is withheld once its number is reached; arm, reason, bucket and hash are the same either way."""
    offer = guarded(guard)
    assigner = Assigner(_one_arm(offer))
    answer = assigner.assign("exp", "v", counts=counts)
    assert answer.withheld == withheld
    assert answer.offer == (offer if withheld is None else None)
    free = Assigner(_one_arm(replace(offer, guards=()))).assign("exp", "v")
    assert (
        (answer.arm, answer.reason, answer.bucket)
        == (free.arm, free.reason, free.bucket)
        == (
            *("a", "SPLIT"),
            bucket("exp/s", "v"),
        )
    )


def test_guard_state() -> None:
    """Without counts of the caller the guard state is asked: by experiment, offer, visitor, and since when."""
    state = Memory(shown=2, accepted=5)
    assigner = Assigner(_one_arm(guarded(LIMIT, CAP)), guard_state=state)
    assert assigner.assign("exp", 7, at=NOON).withheld == "frequency_cap"
    assert state.asked == [("accepted", "exp", "dearer"), ("shown", "exp", "dearer", "7", NOON - timedelta(days=7))]
    state.asked.clear()
    assert assigner.assign("exp", 7, at=NOON, counts=Counts(0, 0)).offer is not None
    assert assigner.assign("exp", 7, at=NOON, counts=Counts(shown=0)).offer is not None
    assert state.asked == [("accepted", "exp", "dearer")]


def test_guard_state_is_not_asked_for_nothing() -> None:
    """Arms without guards ask nobody, even in an experiment where another arm has some."""
    state = Memory()
    arms = (Arm("a", 5_000, guarded(CAP)), Arm("b", 5_000, BETTER))
    assigner = Assigner({"exp": published(definition(arms=arms))}, guard_state=state)
    arms_seen = Counter(assigner.assign("exp", v).arm for v in range(200))
    assert len(state.asked) == arms_seen["a"] < 200


class Broken(Memory):
    """A guard state whose cache is down."""

    def shown(self, experiment: str, offer: str, visitor: str, since: datetime) -> int:
        raise ConnectionError("cache is down")


@pytest.mark.parametrize(("state", "words"), [(Broken(), "ConnectionError: cache is down"), (None, "no count for")])
def test_unknown_counts_withhold(state: Memory | None, words: str, caplog: pytest.LogCaptureFixture) -> None:
    """A counter that fails or is nowhere withholds the offer, is logged once, breaks no request, and is strict's to
    raise."""
    experiments = _one_arm(guarded(CAP))
    assigner = Assigner(experiments, guard_state=state)
    with caplog.at_level(logging.ERROR):
        answers = [assigner.assign("exp", v) for v in range(3)]
    assert {(one.arm, one.offer, one.withheld) for one in answers} == {("a", None, "frequency_cap")}
    assert words in answers[0].detail
    assert len(caplog.records) == 1
    with pytest.raises(InputError, match=words):
        Assigner(experiments, strict=True, guard_state=state).assign("exp", 1)


def test_price_rules_while_assigning() -> None:
    """With `prices`, the rules that need a price withhold at once; without, they wait for the quote."""
    offer = guarded(Guard("min_margin", Decimal("0.2")))
    assigner = Assigner(_one_arm(offer))
    prices = {"base_price": Decimal(100), "cost": Decimal(90)}
    answer = assigner.assign("exp", "v", prices=prices)
    assert (answer.arm, answer.reason, answer.offer, answer.withheld) == ("a", "SPLIT", None, "min_margin")
    waiting = assigner.assign("exp", "v")
    assert waiting.offer is not None
    assert waiting.offer.quote(**prices).withheld == "min_margin"
    assert assigner.assign("exp", "v", prices={**prices, "cost": Decimal(80)}).offer is not None


def test_guards_hold_for_every_reason() -> None:
    """An offer that comes without the split (control, shipped, forced) is guarded as well."""
    arms = (Arm("a", 5_000, guarded(CAP)), Arm("b", 5_000, guarded(CAP, name="other")))
    never = definition(arms=arms, eligibility=(Rule("x", "exists", True),))
    shown = Counts(shown=9)
    assert Assigner({"exp": published(never)}).assign("exp", "v", counts=shown)[3:7] == (
        *("a", None, "frequency_cap"),
        "NOT_ELIGIBLE",
    )
    shipped = Assigner({"exp": published(definition(arms=arms), "stopped", serve="b")})
    assert shipped.assign("exp", "v", counts=shown).withheld == "frequency_cap"
    forced = Assigner({"exp": published(never)}, forced={"exp": {"v": "b"}})
    assert forced.assign("exp", "v", counts=shown)[3:7] == ("b", None, "frequency_cap", "FORCED")


FUNNEL = (
    Offer("lighter", "downsell", "cart", "offer_declined", on_decline="last", on_accept="extra"),
    Offer("last", "downsell", "email", "offer_declined", guards=(LIMIT,)),
    Offer("extra", "cross_sell", "post_purchase", "purchase"),
    Offer("beside", "cross_sell", "cart", "cart_view", on_accept="extra"),
)


def _funnel() -> Assigner:
    first = replace(BETTER, on_decline="lighter", alternatives=("beside",))
    arms = (Arm("a", 1, USUAL), Arm("b", 9_999, first))
    return Assigner({"exp": published(definition(arms=arms, offers=FUNNEL, currency="SEK"))})


def test_funnel() -> None:
    """Declining and accepting lead through the visitor's arm to its end; nothing but the offer changes."""
    assigner = _funnel()
    first = assigner.assign("exp", "v")
    second = assigner.next_offer(first, "declined")
    third = assigner.next_offer(second, "declined", counts=Counts(accepted=1))
    other = assigner.next_offer(second, "accepted")
    names = [one.offer and one.offer.name for one in (first, second, third, other)]
    assert names == ["better", "lighter", "last", "extra"]
    for following in (second, third, other):
        assert following._replace(offer=None) == first._replace(offer=None)
    for end in (assigner.next_offer(first, "accepted"), assigner.next_offer(third, "declined")):
        assert (end.offer, end.withheld, end.arm) == (None, None, "b")
        assert assigner.next_offer(end, "declined") == end
    assert third.offer is not None
    assert third.offer.currency == "SEK"


def test_guard_in_a_funnel() -> None:
    """A follower is withheld by its own guard, with the name of that guard."""
    assigner = _funnel()
    second = assigner.next_offer(assigner.assign("exp", "v"), "declined")
    third = assigner.next_offer(second, "declined", counts=Counts(accepted=100))
    assert (third.offer, third.withheld, third.arm) == (None, "usage_limit", "b")


def test_alternatives() -> None:
    """Offers shown at once are resolved, and the chosen one leads on."""
    assigner = _funnel()
    first = assigner.assign("exp", "v")
    assert [offer.name for offer in assigner.alternatives(first)] == ["beside"]
    following = assigner.next_offer(first, "accepted", chosen="beside")
    assert following.offer is not None
    assert following.offer.name == "extra"
    with pytest.raises(InputError, match="'last' was not shown; shown: better, beside"):
        assigner.next_offer(first, "accepted", chosen="last")
    with pytest.raises(InputError, match="a response is one of"):
        assigner.next_offer(first, "maybe")


def test_guards_of_alternatives(caplog: pytest.LogCaptureFixture) -> None:
    """An offer shown beside the first has its own guards and counters; one that nobody counted is not shown."""
    beside = tuple(replace(FUNNEL[2], name=name, guards=(LIMIT,)) for name in ("one", "two"))
    arms = (Arm("a", 10_000, replace(USUAL, alternatives=("one", "two"))), Arm("b", 0))
    assigner = Assigner({"exp": published(definition(arms=arms, offers=beside))})
    first = assigner.assign("exp", "v")
    counts = {"one": Counts(accepted=0), "two": Counts(accepted=10**6)}
    assert [offer.name for offer in assigner.alternatives(first, counts=counts)] == ["one"]
    assert caplog.records == []
    assert assigner.alternatives(first) == ()
    assert "no count for one" in caplog.text


def test_funnel_of_a_stranger() -> None:
    """An assignment of an experiment that the snapshot no longer has ends its funnel instead of failing."""
    first = _funnel().assign("exp", "v")
    assert Assigner({}).next_offer(first, "declined").offer is None
    assert Assigner({}).alternatives(first) == ()


def _covered(held: int = 2_000, holdout_state: Any = "running", **changes: Any) -> Assigner:
    spring = published(holdout(held=held), holdout_state, phase=3)
    return Assigner({"exp": published(definition(holdouts=("spring",), **changes)), "spring": spring})


def test_held_out() -> None:
    """Visitors below the holdout's share under `<holdout>/h` get no offer, even where the control has one."""
    assigner = _covered()
    for visitor in range(500):
        answer = assigner.assign("exp", visitor)
        held = bucket("spring/h", visitor) < 2_000
        assert answer.holdout == ("spring", "held_out" if held else "offered")
        assert answer.reason == ("HOLDOUT" if held else "SPLIT")
        if held:
            assert (answer.arm, answer.offer, answer.bucket, answer.withheld) == ("a", None, None, None)
        spring = assigner.assign("spring", visitor)
        assert ("spring", spring.arm) == answer.holdout
        assert (spring.reason, spring.phase, spring.hash) == ("SPLIT", answer.holdout_phase, answer.holdout_hash)


@pytest.mark.parametrize(
    ("changes", "reason", "known"),
    [
        ({"eligibility": (Rule("x", "exists", True),)}, "NOT_ELIGIBLE", False),
        ({"layer_range": (0, 1)}, "LAYER", True),
        ({"ends_at": NOON}, "STOPPED", False),
    ],
)
def test_holdout_of_the_other_reasons(changes: dict[str, Any], reason: str, known: bool) -> None:
    """Every eligible visitor of a running experiment has a side of the holdout, whatever the later reason; no other."""
    visitor = visitor_in(2_000, 10_000, "spring/h")
    answer = _covered(**changes).assign("exp", visitor, at=NOON)
    assert answer.reason == reason
    assert answer.holdout == (("spring", "offered") if known else None)
    assert (answer.holdout_phase, answer.holdout_hash != "") == ((3, True) if known else (0, False))


def test_holdout_of_shipped_and_forced() -> None:
    """A holdout outlives what it covers: a shipped offer is held out too; a forced visitor is in no holdout."""
    assigner = Assigner(
        {
            "exp": published(definition(holdouts=("spring",)), "stopped", serve="b"),
            "spring": published(holdout(held=5_000)),
        },
        forced={"exp": {"qa": "b"}},
    )
    reasons = {(str(a.reason), a.arm, a.offer) for a in (assigner.assign("exp", v) for v in range(50))}
    assert reasons == {("HOLDOUT", "a", None), ("SHIPPED", "b", BETTER)}
    assert assigner.assign("exp", "qa").holdout is None


@pytest.mark.parametrize("state", ["draft", "paused", "stopped"])
def test_holdout_that_does_not_run(state: Any) -> None:
    """A holdout that does not run holds nobody out and records nobody."""
    assert {_covered(holdout_state=state).assign("exp", v)[6:9:2] for v in range(50)} == {("SPLIT", None)}


def test_holdout_has_its_times() -> None:
    """Outside of its own start and end a holdout holds nobody out."""
    spring = published(holdout(held=10_000, ends_at=NOON))
    assigner = Assigner({"exp": published(definition(holdouts=("spring",))), "spring": spring})
    before = assigner.assign("exp", "v", at=NOON - timedelta(seconds=1))
    assert (before.reason, before.holdout) == ("HOLDOUT", ("spring", "held_out"))
    assert assigner.assign("exp", "v", at=NOON).reason == "SPLIT"


def test_missing_holdout(caplog: pytest.LogCaptureFixture) -> None:
    """A holdout that the snapshot lacks is logged and ignored; strict raises."""
    experiments = {"exp": published(definition(holdouts=("spring",)))}
    with caplog.at_level(logging.ERROR):
        assert Assigner(experiments).assign("exp", "v").reason == "SPLIT"
    assert "holdout 'spring' of 'exp' is not in the snapshot" in caplog.text
    with pytest.raises(InputError, match="holdout 'spring'"):
        Assigner(experiments, strict=True)


def test_use_another_snapshot() -> None:
    """An assigner goes on with another snapshot, and keeps the old one where the new one cannot be used."""
    assigner = Assigner({"exp": published(definition())}, forced={"exp": {"qa": "b"}})
    assigner.use({"exp": published(definition(), "paused")})
    assert assigner.assign("exp", "v").reason == "PAUSED"
    with pytest.raises(InputError, match="no arm 'b' to force"):
        assigner.use({"exp": published(holdout("exp"))})
    assert assigner.assign("exp", "v").reason == "PAUSED"


REQUIRES = Guard("requires", rules=(Rule("satisfaction", "gte", 8), Rule("tier", "in", ("gold", "silver"))))


@pytest.mark.parametrize(
    ("attributes", "detail"),
    [
        ({"satisfaction": 8, "tier": "gold"}, None),
        ({"satisfaction": 7, "tier": "gold"}, "needs satisfaction ≥ 8"),
        ({"satisfaction": 9, "tier": "bronze"}, "needs tier in (gold, silver)"),
        ({"tier": "gold"}, "needs satisfaction ≥ 8, but the attribute is missing"),
        ({"satisfaction": "9", "tier": "gold"}, "needs satisfaction ≥ 8, but the attribute is a str"),
        (None, "needs satisfaction ≥ 8, but the attribute is missing"),
    ],
)
def test_an_offer_asks_for_attributes(attributes: dict[str, Any] | None, detail: str | None) -> None:
    """What an offer requires is asked of the visitor after the split: arm, reason and bucket stay."""
    assigner = Assigner(_one_arm(guarded(REQUIRES)))
    answer = assigner.assign("exp", "v", attributes)
    assert (answer.withheld, answer.detail) == ((None, "") if detail is None else ("requires", detail))
    assert (answer.offer is None, answer.withheld_offer) == (
        (False, None) if detail is None else (True, guarded(REQUIRES).name)
    )
    assert (answer.arm, answer.reason) == ("a", "SPLIT")


def test_what_follows_asks_for_attributes_too() -> None:
    """Followers and alternatives look at the attributes that are given with them."""
    follower = replace(guarded(REQUIRES), name="next")
    first = replace(guarded(REQUIRES), guards=(), name="first", on_accept="next", alternatives=("next",))
    assigner = Assigner(_one_arm(first, offers=(follower,)))
    content, shown = {"satisfaction": 9, "tier": "gold"}, assigner.assign("exp", "v")
    assert assigner.next_offer(shown, "accepted").withheld == "requires"
    assert assigner.next_offer(shown, "accepted", attributes=content).withheld is None
    assert assigner.alternatives(shown) == ()
    assert [one.name for one in assigner.alternatives(shown, attributes=content)] == ["next"]


def test_an_offer_outside_its_time_is_withheld() -> None:
    """By the moment of the assignment, without prices."""
    offer = replace(guarded(CAP), guards=(), available_until=NOON)
    assigner = Assigner(_one_arm(offer))
    assert assigner.assign("exp", "v", at=NOON - timedelta(seconds=1)).withheld is None
    late = assigner.assign("exp", "v", at=NOON)
    assert (late.withheld, late.arm) == ("available", "a")
