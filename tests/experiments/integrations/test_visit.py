from __future__ import annotations

from typing import Any

import pytest
from offerlift.errors import InputError
from offerlift.experiments import Assigner
from offerlift.experiments.integrations import Visit
from offerlift.experiments.testing import CapturingRecorder


def test_the_cookie_names_the_visitor(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """A cookie that can be an id is the visitor, nothing new is set, and the response varies by it once it was used."""
    visit = Visit(assigner, recorder, cookie="v17")
    assert not visit.depends_on_cookie
    assert visit.assign("exit").visitor == "v17"
    assert visit.depends_on_cookie
    assert visit.new_cookie is None


@pytest.mark.parametrize("sent", [None, "", "x" * 256, "a\0b", "\ud800"])
def test_an_impossible_cookie_is_replaced(assigner: Assigner, recorder: CapturingRecorder, sent: str | None) -> None:
    """What the browser sends breaks no request: without a usable id the visitor gets a random one."""
    visit = Visit(assigner, recorder, cookie=sent)
    assert visit.visitor == visit.visitor == visit.new_cookie
    assert visit.visitor not in (sent, Visit(assigner, recorder, cookie=sent).visitor)


def test_the_shops_own_id_comes_first(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """`identify` wins over the cookie, then nothing depends on the cookie; its None leaves it to the cookie."""
    visit = Visit(
        assigner, recorder, request={"customer": 42}, cookie="v17", identify=lambda request: request["customer"]
    )
    assert (visit.visitor, visit.depends_on_cookie, visit.new_cookie) == ("42", False, None)
    assert Visit(assigner, recorder, cookie="v17", identify=lambda request: None).visitor == "v17"


def test_an_impossible_own_id_raises(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """A bug of the shop is not hidden behind a random id."""
    visit = Visit(assigner, recorder, cookie="v17", identify=lambda request: True)
    with pytest.raises(InputError, match="a visitor id is text or an integer"):
        visit.assign("exit")


def test_attributes_are_read_once_and_merged(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """The request's attributes are read at the first use only; those of the call count over them."""
    calls: list[Any] = []

    def attributes(request: Any) -> dict[str, Any]:
        calls.append(request)
        return {"country": "FR"}

    visit = Visit(assigner, recorder, request="request", cookie="v17", attributes=attributes)
    assert visit.assign("exit").reason == "NOT_ELIGIBLE"
    assert visit.assign("exit", {"country": "DE"}).reason == "SPLIT"
    assert calls == ["request"]


def test_a_visit_records_for_its_visitor(assigner: Assigner, recorder: CapturingRecorder) -> None:
    """Assigning alone records nothing; exposures and outcomes carry the visit's visitor."""
    visit = Visit(assigner, recorder, cookie="v17")
    visit.assign("exit", {"country": "DE"})
    assert recorder.exposures == []
    assignment = visit.assign_and_expose("exit", {"country": "DE"})
    visit.outcome("order-1", "purchase", value=80, currency="EUR")
    visit.offer_step(assignment, "declined", offer="lighter", reason="too_expensive")
    assert [(each.visitor, each.step, each.offer) for each in recorder.offer_steps] == [("v17", "declined", "lighter")]
    assert [(each.visitor, each.arm) for each in recorder.exposures] == [("v17", assignment.arm)]
    assert [(each.visitor, each.name, each.value) for each in recorder.outcomes] == [("v17", "purchase", 80)]
