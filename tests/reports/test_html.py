"""The page: one file that loads nothing, shows what it must, and lets nothing in a name become markup."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from offerlift.experiments.definition import Arm, Offer, Rule
from offerlift.experiments.terms import Discount, Price
from offerlift.reports import render_html, scorecard
from offerlift.reports.charts import forest_plot, money_plot
from offerlift.reports.drawing import to_png, to_svg
from offerlift.reports.html import style_hash
from offerlift.reports.words import arm_in_words, metric_in_words, offer_pairs, rule_in_words

DAY = 86_400_000_000
VOID = {"meta", "link", "br", "img", "hr", "input", "base"}


class Page(HTMLParser):
    """Tags with their attributes, ids, and the text outside style sheets; fails on tags that do not nest."""

    def __init__(self, source: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if "style" not in self.stack:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def ids(self) -> list[str]:
        return [name for _, attributes in self.tags if (name := attributes.get("id"))]


@pytest.fixture(scope="session")
def card(observed, sample):
    return scorecard(
        observed(
            {"control": sample(20_000, 1_000, past=0.4), "b": sample(20_000, 1_300, past=0.4, waiting=40)},
            covariate=True,
            guardrails=("margin_per_visitor",),
        )
    )


@pytest.fixture(scope="session")
def blocked(observed, sample):
    return scorecard(observed({"control": sample(20_000, 1_000), "b": sample(15_000, 1_300)}))


@pytest.fixture(scope="session")
def page(card) -> Page:
    return Page(render_html([card]))


def test_it_loads_nothing(page, card):
    """No script, no external address, no image, font or style sheet; a policy that would forbid them."""
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "form"}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#")
    source = render_html([card])
    assert "http:" not in source
    assert "https:" not in source
    assert "url(" not in source.replace("url(#", "")
    assert "@import" not in source
    policy = next(
        a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == f"default-src 'none'; style-src '{style_hash()}'; form-action 'self'"


def test_it_says_what_it_must(page):
    """Decision, health, lift, the same numbers, money, posteriors, definition, the way to get the numbers again."""
    for words in (
        "Ship “b”",
        "Revenue per visitor is €0.90 higher than in “control”",
        "What would change it: What comes later does not change it",
        "Can the numbers be trusted? nothing blocks the verdict: 10 ok, 5 not run",
        "Lift of revenue per visitor against “control” always-valid 95% interval, valid on any day",
        "the line is “control”",
        "Guardrails against their margins",
        "a loss beyond the margin is excluded",
        "Revenue per visitor in each arm",
        "No sample is planned. 40,000 visitors are analysed, 40 wait for their window to pass.",
        "fixed-sample does not decide; right only for one look, planned before",
        "always-valid decides; may be looked at any day",
        "CUPED-adjusted for past",
        "guardrail passed (margin 5%)",
        "conditional on buying",
        "P(better than “control”)",
        "The plan as it was frozen",
        "To keep in mind",
        "Value of “purchase” per visitor, within 7 days of the exposure; more is better",
        "offerlift analyze exit-offer --as-of 2026-03-02T09:00:00Z --json",
    ):
        assert words in page.text, words
    assert ("html", {"lang": "en"}) in page.tags


def test_ids_are_unique_and_references_resolve(card, blocked):
    """Figures of several experiments share a page without sharing ids; every #reference has its target."""
    page = Page(render_html([card, card, blocked]))
    ids = page.ids()
    assert len(ids) == len(set(ids))
    targets = {(a.get("href") or "")[1:] for _, a in page.tags if (a.get("href") or "").startswith("#")}
    labelled = {name for _, a in page.tags for name in (a.get("aria-labelledby") or "").split()}
    assert targets
    assert labelled
    assert targets | labelled <= set(ids)


def test_figures_speak(page):
    """Every figure is either hidden from screen readers, its numbers beside it, or has a title and a description."""
    figures = [attributes for tag, attributes in page.tags if tag == "svg" and "width" in attributes]
    spoken = [one for one in figures if one.get("role") == "img"]
    assert len(spoken) == 1 + 1 + 2 * 2, "the primary, the guardrail, two metrics of money in two arms"
    assert all(one.get("aria-hidden") == "true" for one in figures if one not in spoken)
    assert [tag for tag, _ in page.tags].count("desc") == len(spoken)
    assert "revenue per visitor: +30%, " in page.text


def test_several_experiments_have_an_overview(card, blocked):
    """Two scorecards: a table on top that links to both; one that fails health shows no lift there."""
    two = replace(blocked, experiment="second")
    page = Page(render_html([card, two], title="Monday"))
    assert "At a glance" in page.text
    assert "not shown: health fails" in page.text
    assert [a["href"] for t, a in page.tags if t == "a"] == ["#content", "#experiment-1", "#experiment-2"]
    assert "At a glance" not in Page(render_html([card])).text


def test_effects_are_folded_away_while_health_fails(blocked, card):
    """Only a blocked experiment has a details element, and the effects are inside it."""
    source = render_html([blocked])
    inside = source[source.index("<details") : source.index("</details>")]
    assert "Do not read:" in inside
    assert 'class="effects"' in inside
    assert 'class="bayes"' in inside
    assert 'class="effects"' not in source.replace(inside, "")
    assert "<details" not in render_html([card])


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a"><img src=x onerror=1>', "$x_1$ \\frac", "日本 語"])
def test_names_are_text(observed, sample, name):
    """Names of arms are escaped everywhere, in figures too, and never read as markup or as a formula."""
    seen = observed({"control": sample(2_000, 100), name: sample(2_000, 130)}, unknown_arms={name: 3})
    page = Page(render_html([scorecard(seen)]))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img"}
    assert page.text.count(name) > 5


def test_truth_stands_beside_the_estimates(card):
    """Known true effects get a column with a tick for a covered one and a cross for a missed one."""
    truth = {"exit-offer": {"revenue_per_visitor": {"b": (0.85, 0.28)}, "conversion": {"b": (0.2, 4.0)}}}
    page = Page(render_html([card], truth=truth))
    assert "True effect (simulated)" in page.text
    assert "+€0.85 +28.0% ✓ in the interval" in page.text
    assert "✗ missed" in page.text
    assert "true lift (simulated)" in page.text
    assert "simulated" not in Page(render_html([card])).text


def test_without_data_there_is_a_page(observed, sample):
    """Nobody exposed: no figure, no number, and still the decision, the checks and the definition."""
    page = Page(render_html([scorecard(observed({"control": sample(0, 0), "b": sample(0, 0)}))]))
    assert "Keep collecting" in page.text
    assert "not run" in page.text
    assert not [a for t, a in page.tags if t == "svg"]
    assert "nan" not in page.text.lower().split()


def test_unbounded_lifts_are_words_and_arrows(observed, sample):
    """A control with one order bounds no lift: the table says so, and the page can be drawn."""
    seen = observed({"control": sample(60, 1), "b": sample(60, 8)}, source="table")
    text = Page(render_html([scorecard(seen)])).text
    assert "unbounded" in text or "all but" in text


def test_a_control_without_conversions_still_makes_a_page(observed, sample):
    """The lift has no estimate then, and the page says which end of it is known."""
    seen = observed({"control": sample(400, 0), "b": sample(400, 8)}, source="table")
    assert "unbounded: from" in Page(render_html([scorecard(seen)])).text


def test_the_page_is_deterministic(card):
    """The same scorecard gives the same bytes."""
    assert render_html([card]) == render_html([card])


def test_without_a_bounded_lift_there_are_words_and_no_forest(observed, sample):
    """A control without revenue has no lift to draw: the page says so, and gives the difference."""
    seen = observed({"control": sample(400, 0), "b": sample(400, 8)}, source="table")
    source = render_html([scorecard(seen)])
    assert "No lift can be drawn" in source
    assert "too early" in source
    assert "No lift can be drawn" not in render_html(
        [scorecard(observed({"control": sample(4_000, 80), "b": sample(4_000, 90)}))]
    )


def test_one_interval_name_for_tables_too(observed, sample):
    """A table's page calls the deciding interval always-valid too, says why it is wider, and waits for nothing."""
    seen = observed({"control": sample(400, 5), "b": sample(400, 8)}, source="table")
    text = Page(render_html([scorecard(seen)])).text
    assert "always-valid decides; does not assume a planned look, and is tuned to this one" in text
    assert "The always-valid interval decides, the fixed-sample one does not: it is right only if" in text
    assert "No decision from this table" in text
    assert "Keep collecting" not in text


def test_no_two_headings_say_the_same(card):
    """A page of one experiment has its key in one heading; a page's own title is kept."""
    source = render_html([card])
    assert "<h1>Experiment report</h1>" in source
    assert source.count(">exit-offer</h") == 1
    assert "<title>exit-offer: experiment report</title>" in source
    assert "<h1>Monday</h1>" in render_html([card], title="Monday")


def test_charts_scroll_before_they_shrink(card):
    """On a phone a chart keeps 860 px, at which its labels are 9 px and more, in a figure that scrolls."""
    source = render_html([card])
    assert ".chart { display: block; min-width: 860px;" in source
    assert "figure { margin: .4rem 0 0; overflow-x: auto; }" in source


def test_figures_as_png_and_svg(card):
    """The figures that the page has are drawn as PNG too, without a warning."""
    money = [metric for metric in card.metrics if metric.kind in ("revenue", "margin")]
    for figure in (forest_plot(card), money_plot(card, money)):
        assert to_png(figure, dpi=60).startswith(b"\x89PNG")
    svg = to_svg(forest_plot(card), title="a <b>", description="d", prefix="x")
    assert '<title id="x-title">a &lt;b&gt;</title>' in svg


def test_offers_in_words():
    """An offer reads as a sentence, and nothing that it sets is left out of its list."""
    offer = Offer(
        "lighter",
        "downsell",
        "exit_popup",
        "exit_intent",
        delay=900_000_000,
        product="the lighter model",
        price=Price(amount=Decimal("19.90")),
        discount=Discount("percentage", Decimal("10.0"), code="BYE"),
        free_shipping_from=Decimal(39),
        minimum_requirement=Decimal(20),
        timer=DAY,
        message="Stay",
    )
    assert arm_in_words(Arm("lighter", 5_000, offer), "EUR") == (
        "Down-sell of the lighter model in the exit pop-up 15 minutes after “exit intent”: at €19.90, 10% off, "
        "free shipping from €39.00, for orders from €20.00 and valid for 1 day."
    )
    assert arm_in_words(Arm("control", 5_000), "EUR") == "No offer."
    pairs = dict(offer_pairs(offer, "EUR"))
    assert pairs["price"] == "at €19.90, tax included"
    assert (pairs["code"], pairs["message"], pairs["ends after"]) == ("BYE", "Stay", "1 day")


@pytest.mark.parametrize(
    ("discount", "said"),
    [
        (Discount("fixed_amount", Decimal(5)), "€5.00 off"),
        (Discount("fixed_price", Decimal("9.5")), "for €9.50"),
        (Discount("buy_x_get_y", buy=2, get=1), "buy 2, get 1"),
        (Discount("gift", description="a mug"), "with a gift (a mug)"),
        (Discount("instalments", Decimal(3)), "in 3 instalments"),
        (Discount("points", Decimal(100)), "100 points"),
        (Discount("trial"), "with a trial"),
        (Discount("voucher", Decimal(10)), "voucher of €10.00"),
        (Discount("percentage"), "percentage"),
    ],
)
def test_discounts_in_words(discount, said):
    """Every type of discount has its words, with or without a value."""
    arm = Arm("b", 5_000, Offer("b", "retention", "email", "milestone", discount=discount))
    assert arm_in_words(arm, "EUR").endswith(f": {said}.")


def test_metrics_and_rules_in_words(card):
    """Metrics say what they count, when, and which way is better; rules read as conditions."""
    words = {metric.metric: metric_in_words(metric.definition) for metric in card.metrics}
    assert words["average_order_value"].startswith("Value of “purchase” over number of “purchase”, within 7 days")
    assert words["unsubscribe_rate"].endswith("less is better; acceptable loss 25%.")
    assert "adjusted (CUPED) for past" in words["conversion"]
    assert rule_in_words(Rule("country", "in", ("DE", "AT"))) == "country is one of DE, AT"
    assert rule_in_words(Rule("email", "exists")) == "email is known"


def test_charts_are_loaded_when_drawn():
    """A scorecard and its text load neither matplotlib nor jinja2."""
    code = "import sys, offerlift.reports; print(sorted({'matplotlib', 'jinja2', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
