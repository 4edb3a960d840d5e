from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Arm, Assigner, Discount, Reason, Snapshot
from offerlift.experiments.integrations.openfeature import REASONS, OfferliftProvider
from offerlift.experiments.testing import CapturingRecorder
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.track import TrackingEventDetails

from .conftest import EXIT, TEN_OFF, published, visitors_by_arm


def german(visitor: str) -> EvaluationContext:
    return EvaluationContext(visitor, {"country": "DE"})


@pytest.fixture
def client(assigner: Assigner, recorder: CapturingRecorder) -> Iterator[OpenFeatureClient]:
    api.set_provider(OfferliftProvider(assigner, recorder))
    yield api.get_client()
    api.clear_providers()


def with_offers(*discounts: Discount | None) -> OfferliftProvider:
    offers = [replace(TEN_OFF, name=f"offer-{n}", discount=discount) for n, discount in enumerate(discounts)]
    arms = (Arm("control", 10_000 - len(offers)), *(Arm(offer.name, 1, offer) for offer in offers))
    assigner = Assigner(Snapshot.of([published(replace(EXIT, arms=arms))]))
    return OfferliftProvider(assigner, expose=False)


def test_each_type_says_what_the_arm_is(client: OpenFeatureClient, assigner: Assigner) -> None:
    """Through the SDK's client: boolean is whether it is a treatment, string its name, numbers its discount."""
    visitors = visitors_by_arm(assigner)
    for arm, percent in [("control", 0), ("ten-off", 10), ("twenty-off", 20)]:
        context = german(visitors[arm])
        assert client.get_boolean_value("exit", arm == "control", context) is (arm != "control")
        assert client.get_string_value("exit", "other", context) == arm
        assert client.get_integer_value("exit", 99, context) == percent
        number = client.get_float_value("exit", 99.0, context)
        assert (number, type(number)) == (percent, float)
        value: Any = client.get_object_value("exit", {}, context)
        assert (value["arm"], value["withheld"]) == (arm, None)
        assert (value["offer"] or {}).get("discount", {}).get("value") == (str(percent) if percent else None)


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("boolean", False, True),
        ("string", "", "ten-off"),
        ("integer", 0, 10),
        ("float", 0.0, 10.0),
        ("object", {}, {"arm": "ten-off", "withheld": None}),
    ],
)
def test_the_five_are_called_by_keyword(assigner: Assigner, kind: str, default: Any, value: Any) -> None:
    """Each `resolve_*_details` takes the names that the SDK's client passes, and says variant and reason."""
    provider = OfferliftProvider(assigner, expose=False)
    resolve: Any = getattr(provider, f"resolve_{kind}_details")
    context = german(visitors_by_arm(assigner)["ten-off"])
    details = resolve(flag_key="exit", default_value=default, evaluation_context=context)
    found = {key: details.value[key] for key in value} if kind == "object" else details.value
    assert (found, type(found)) == (value, type(value))
    assert (details.variant, details.reason) == ("ten-off", "SPLIT")


def test_the_sdk_is_of_the_supported_line() -> None:
    """What is tested here is the SDK that the extra asks for."""
    assert version("openfeature-sdk").startswith("0.10.")


def test_details_carry_variant_reason_and_metadata(client: OpenFeatureClient, assigner: Assigner) -> None:
    """The variant is the arm; our own reason, phase, hash and bucket are in the flag metadata."""
    visitor = visitors_by_arm(assigner)["ten-off"]
    details = client.get_string_details("exit", "", german(visitor))
    assert (details.variant, details.reason, details.error_code) == ("ten-off", "SPLIT", None)
    bucket = assigner.assign("exit", visitor, {"country": "DE"}).bucket
    assert details.flag_metadata == {
        "experiment": "exit",
        "arm": "ten-off",
        "reason": "SPLIT",
        "phase": 1,
        "hash": "hash-1",
        "bucket": bucket,
    }


def test_evaluation_exposes(client: OpenFeatureClient, assigner: Assigner, recorder: CapturingRecorder) -> None:
    """Evaluating a flag records the exposure, the control's too, and none for a visitor who is not eligible."""
    visitors = visitors_by_arm(assigner)
    client.get_boolean_value("exit", False, german(visitors["control"]))
    client.get_object_value("exit", {}, german(visitors["ten-off"]))
    details = client.get_boolean_details("exit", True, EvaluationContext("v1", {"country": "FR"}))
    assert (details.value, details.reason, details.flag_metadata["reason"]) == (False, "DEFAULT", "NOT_ELIGIBLE")
    assert [(each.arm, each.visitor) for each in recorder.exposures] == [
        ("control", visitors["control"]),
        ("ten-off", visitors["ten-off"]),
    ]


def test_exposing_can_be_left_to_the_caller(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """With expose=False nothing is recorded; without recorder that has to be said."""
    provider = OfferliftProvider(assigner, recorder, expose=False)
    assert provider.resolve_string_details("exit", "", german("v1")).reason == "SPLIT"
    assert recorder.exposures == []
    with pytest.raises(InputError, match="there is no recorder"):
        OfferliftProvider(assigner)


def test_the_async_client_answers_and_exposes(client: OpenFeatureClient, recorder: CapturingRecorder) -> None:
    """The coroutine methods of the SDK give the same answer and expose once."""
    value = asyncio.run(client.get_string_value_async("exit", "", german("v1")))
    assert [each.arm for each in recorder.exposures] == [value]


@pytest.mark.parametrize(
    ("flag", "context", "code"),
    [
        ("nothing", german("v1"), ErrorCode.FLAG_NOT_FOUND),
        ("exit", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        ("exit", None, ErrorCode.TARGETING_KEY_MISSING),
        ("exit", german("x" * 256), ErrorCode.INVALID_CONTEXT),
        ("exit", german(""), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_what_cannot_be_resolved_is_the_default(
    assigner: Assigner, recorder: CapturingRecorder, flag: str, context: EvaluationContext | None, code: ErrorCode
) -> None:
    """Unknown flag, missing or impossible targeting key: the caller's default, reason ERROR, its code, no exposure."""
    provider = OfferliftProvider(assigner, recorder)
    details = provider.resolve_string_details(flag_key=flag, default_value="mine", evaluation_context=context)
    assert (details.value, details.reason, details.error_code) == ("mine", "ERROR", code)
    assert details.error_message
    assert recorder.exposures == []


@pytest.mark.parametrize(
    ("discounts", "kind", "message"),
    [
        ([None], "float", "seen none"),
        ([Discount("percentage", Decimal(10)), Discount("fixed_amount", Decimal(5))], "float", "one type in the arms"),
        ([Discount("gift")], "float", "no value"),
        ([Discount("percentage", Decimal(10)), Discount("percentage", Decimal("12.5"))], "integer", "not whole: 12.5"),
    ],
)
def test_numbers_fail_for_the_whole_experiment(discounts: list[Discount | None], kind: str, message: str) -> None:
    """Where one arm's discount is no such number, the control gets TYPE_MISMATCH too: no arm is treated differently."""
    resolve: Any = getattr(with_offers(*discounts), f"resolve_{kind}_details")
    details = resolve(flag_key="exit", default_value=7, evaluation_context=german("v1"))
    assert (details.value, details.error_code) == (7, ErrorCode.TYPE_MISMATCH)
    assert message in details.error_message


def test_a_type_mismatch_is_not_an_exposure(recorder: CapturingRecorder) -> None:
    """Who gets the caller's default has not seen an arm."""
    assigner = Assigner(Snapshot.of([published(replace(EXIT, arms=(Arm("control", 5_000), Arm("b", 5_000))))]))
    OfferliftProvider(assigner, recorder).resolve_integer_details("exit", 7, german("v1"))
    assert recorder.exposures == []


def test_a_withheld_offer_is_off() -> None:
    """A treatment whose offer a guard withheld is False, its discount 0, while variant and metadata tell the arm."""

    class Withholding(Assigner):
        def assign(self, *args: Any, **options: Any) -> Any:
            return super().assign(*args, **options)._replace(arm="ten-off", offer=None, withheld="min_margin")

    provider = OfferliftProvider(Withholding(Snapshot.of([published()])), expose=False)
    details = provider.resolve_boolean_details("exit", True, german("v1"))
    assert (details.value, details.variant, details.flag_metadata["withheld"]) == (False, "ten-off", "min_margin")
    assert provider.resolve_integer_details("exit", 9, german("v1")).value == 0
    assert provider.resolve_object_details("exit", {}, german("v1")).value == {
        "arm": "ten-off",
        "offer": None,
        "withheld": "min_margin",
    }


def test_a_paused_experiment_is_disabled(recorder: CapturingRecorder) -> None:
    """The kill switch gives the control's value with reason DISABLED, not the caller's default."""
    provider = OfferliftProvider(Assigner(Snapshot.of([published(state="paused")])), recorder)
    details = provider.resolve_boolean_details("exit", True, german("v1"))
    assert (details.value, details.reason, details.variant) == (False, "DISABLED", "control")
    assert recorder.exposures == []


def test_every_reason_has_one_of_the_standard() -> None:
    """All reasons but ERROR, which is answered before, are mapped."""
    assert set(REASONS) == set(Reason) - {Reason.ERROR}


def test_track_records_an_outcome(client: OpenFeatureClient, recorder: CapturingRecorder) -> None:
    """Value, cost and the rest reach the recorder exactly, doubles as the price that was meant."""
    details = TrackingEventDetails(
        80.1, {"outcome_id": "order-981", "cost": 51, "quantity": 2, "currency": "EUR", "page": "/thanks"}
    )
    client.track("purchase", german("v1"), details)
    (outcome,) = recorder.outcomes
    assert (outcome.outcome_id, outcome.visitor, outcome.name) == ("order-981", "v1", "purchase")
    assert (outcome.value, outcome.cost, outcome.quantity, outcome.currency) == (Decimal("80.1"), 51, 2, "EUR")


def test_track_without_id_is_an_outcome_each(client: OpenFeatureClient, recorder: CapturingRecorder) -> None:
    """Two calls without outcome_id are two outcomes."""
    client.track("click", german("v1"))
    client.track("click", german("v1"))
    assert len({outcome.outcome_id for outcome in recorder.outcomes}) == 2
    assert {outcome.value for outcome in recorder.outcomes} == {None}


def test_track_never_raises_and_says_what_is_lost(
    assigner: Assigner, recorder: CapturingRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    """No visitor, an impossible one, or no recorder: an error in the log, and the request goes on."""
    provider = OfferliftProvider(assigner, recorder)
    with caplog.at_level(logging.ERROR, logger="offerlift.experiments"):
        provider.track("purchase")
        provider.track("purchase", EvaluationContext())
        provider.track("purchase", german("x\0"))
        OfferliftProvider(assigner, expose=False).track("purchase", german("v1"))
    assert recorder.outcomes == []
    assert [record.getMessage().count("is lost") for record in caplog.records] == [1, 1, 1, 1]
