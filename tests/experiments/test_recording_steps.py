"""Recording how far visitors come with offers: what is written, what is refused, and what a control writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Assigner, Counts, Exposure, OfferStep, Reason, Recorder
from offerlift.experiments.definition import Arm, Definition, Offer, Plan
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.snapshot import Published
from offerlift.experiments.spool import Spool
from offerlift.experiments.terms import Guard
from offerlift.experiments.testing import CapturingRecorder, force_arm

from .recording import Collecting, assigned

AT = datetime(2026, 5, 4, 12, tzinfo=UTC)


class Funnelling(Collecting):
    """A sink that takes steps of offers as well."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def write_offer_steps(self, records):
        self._call()
        self.steps += records


@pytest.fixture
def sink() -> Funnelling:
    return Funnelling()


@pytest.fixture(params=["memory", "spool"])
def recorder(request, sink, tmp_path):
    with Recorder(
        sink, tmp_path / "spool.db" if request.param == "spool" else None, linger=0.0, exit_timeout=120
    ) as recorder:
        yield recorder


@pytest.fixture(scope="module")
def assigner() -> Assigner:
    """An experiment whose every visitor is offered a rebate that is capped, with a gift beside it and one to follow."""
    guards = (Guard("frequency_cap", Decimal(1), 86_400_000_000),)
    rebate = Offer(
        "rebate", "downsell", "cart", "offer_declined", guards=guards, alternatives=("gift",), on_decline="last"
    )
    others = tuple(Offer(name, "downsell", "cart", "offer_declined", guards=guards) for name in ("gift", "last"))
    definition = Definition(
        "exit",
        "none",
        (Arm("none", 0), Arm("rebate", 10_000, rebate)),
        (Metric("conversion", "conversion", Column("purchase", "converted")),),
        Plan("conversion"),
        offers=others,
    )
    return Assigner({"exit": Published(definition, "running", 1, 1, AT, AT, "hash", "plan")})


def steps(sink):
    return [(one.visitor, one.step, one.offer, one.reason) for one in sink.steps]


def test_a_step_has_all_of_its_assignment(recorder, sink, assigner):
    """Experiment, visitor and offer are the assignment's; time, chosen alternative and reason are those given."""
    shown = assigner.assign("exit", "v1", counts=Counts(shown=0))
    recorder.offer_step(shown, "delivered", at=AT)
    recorder.offer_step(shown, "declined", reason="too_expensive", at=AT)
    (gift,) = assigner.alternatives(shown, counts={"gift": Counts(shown=0)})
    recorder.offer_step(shown, "accepted", offer=gift, at=AT + timedelta(seconds=1))
    assert recorder.flush(120)
    assert sink.steps == [
        OfferStep("exit", "v1", "delivered", "rebate", AT),
        OfferStep("exit", "v1", "declined", "rebate", AT, "too_expensive"),
        OfferStep("exit", "v1", "accepted", "gift", AT + timedelta(seconds=1)),
    ]


def test_a_withheld_offer_is_recorded_with_its_exposure(recorder, sink, assigner):
    """`expose` writes the exposure and the guard, once for all page views; with a time it is written each time."""
    withheld = assigner.assign("exit", "v1", counts=Counts(shown=1))
    assert (withheld.withheld, withheld.offer, withheld.withheld_offer) == ("frequency_cap", None, "rebate")
    for _ in range(3):
        recorder.expose(withheld)
    assert recorder.flush(120)
    assert [one.visitor for one in sink.exposures] == ["v1"]
    assert steps(sink) == [("v1", "withheld", "rebate", "frequency_cap")]
    assert sink.steps[0].at >= sink.exposures[0].at
    recorder.expose(withheld, at=AT)
    assert recorder.flush(120)
    assert (sink.exposures[-1].at, sink.steps[-1].at) == (AT, AT)


def test_what_follows_is_recorded_too(recorder, sink, assigner):
    """An offer that is withheld after the first was declined is recorded under its own name."""
    shown = assigner.assign("exit", "v1", counts=Counts(shown=0))
    recorder.expose(shown)
    following = assigner.next_offer(shown, "declined", counts=Counts(shown=5))
    recorder.expose(following)
    assert recorder.flush(120)
    assert steps(sink) == [("v1", "withheld", "last", "frequency_cap")]
    assert len(sink.exposures) == 1
    assert assigner.next_offer(following, "declined").withheld_offer is None


def test_a_step_is_written_once_a_process(recorder, sink, assigner):
    """The same step of the same visitor with the same offer is remembered; another of either is written."""
    shown = assigner.assign("exit", "v1", counts=Counts(shown=0))
    for _ in range(3):
        recorder.offer_step(shown, "delivered")
        recorder.offer_step(shown, "delivered", offer="gift")
    recorder.offer_step(assigner.assign("exit", "v2", counts=Counts(shown=0)), "delivered")
    assert recorder.flush(120)
    assert steps(sink) == [
        ("v1", "delivered", "rebate", None),
        ("v1", "delivered", "gift", None),
        ("v2", "delivered", "rebate", None),
    ]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.SPLIT])
def test_only_the_split_is_written(sink, reason):
    """Steps of visitors who are not analysed, and of arms without an offer, are not written."""
    with Recorder(sink, exit_timeout=120) as recorder:
        recorder.offer_step(assigned("v1", reason=reason), "accepted", offer="rebate")
        recorder.offer_step(assigned("v1"), "delivered")
        recorder.expose(assigned("v2", reason=reason)._replace(withheld="min_margin", withheld_offer="rebate"))
    assert sink.steps == []


@pytest.mark.parametrize(
    ("step", "options", "message"),
    [
        ("bought", {}, "one of reached, withheld, undelivered"),
        ("accepted", {"reason": "cheap"}, "has no reason"),
        ("declined", {"reason": ""}, "printable"),
        ("declined", {"reason": " late"}, "printable"),
        ("declined", {"reason": "x" * 101}, "printable"),
        ("declined", {"reason": "a\x1b[0m"}, "printable"),
        ("declined", {"reason": 3}, "printable"),
        ("withheld", {}, "needs its guard"),
        ("accepted", {"offer": ""}, "the name of an offer"),
        ("accepted", {"offer": 7}, "the name of an offer"),
        ("accepted", {"at": AT.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_what_cannot_be_is_refused_at_the_call(sink, step, options, message):
    """In every arm, so that a control finds the mistake as well."""
    with Recorder(sink) as recorder:
        for assignment in (assigned("v1"), assigned("v1")._replace(withheld_offer="rebate")):
            with pytest.raises(InputError, match=message):
                recorder.offer_step(assignment, step, **options)
        with pytest.raises(InputError, match="needs what assign"):
            recorder.offer_step("v1", "accepted")
    assert sink.steps == []


def test_a_store_that_is_down_costs_no_step(sink, assigner):
    """A batch that fails is written again, and the call has not raised."""
    sink.errors = [OSError("down"), OSError("down")]
    with Recorder(sink, linger=0.0, exit_timeout=120) as recorder:
        recorder.offer_step(assigner.assign("exit", "v1", counts=Counts(shown=0)), "delivered")
        assert recorder.flush(120)
    assert steps(sink) == [("v1", "delivered", "rebate", None)]


def test_a_sink_without_steps_sets_them_aside(tmp_path, assigner):
    """A sink of one's own that knows no steps still takes the exposures; the spool keeps the steps with the reason."""
    sink = Collecting()
    with Recorder(sink, tmp_path / "spool.db", linger=0.0, exit_timeout=120) as recorder:
        recorder.expose(assigner.assign("exit", "v1", counts=Counts(shown=1)))
        assert recorder.flush(120)
        (refused,) = recorder.refused()
    assert sink.exposures == [Exposure("exit", "v1", "rebate", sink.exposures[0].at, 1, "hash")]
    assert refused.kind == "offer_step"
    assert "no write_offer_steps" in refused.reason
    assert Spool(tmp_path / "spool.db").count() == (0, 1)


def test_a_captured_step_is_seen(assigner):
    """In a test of a backend the steps are in a list, those of a forced arm and of a withheld offer too."""
    recorder = CapturingRecorder()
    with force_arm("exit", "rebate"):
        recorder.offer_step(assigner.assign("exit", "v1"), "accepted", at=AT)
    recorder.expose(assigner.assign("exit", "v2", counts=Counts(shown=1)), at=AT)
    assert recorder.offer_steps == [
        OfferStep("exit", "v1", "accepted", "rebate", AT),
        OfferStep("exit", "v2", "withheld", "rebate", AT, "frequency_cap"),
    ]
