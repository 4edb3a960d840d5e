"""The page of the review on everything that is on the shelf: its order, what it withholds, how it speaks."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from offerlift.reports import record_look, render_html, review_store
from offerlift.reports.background import with_background
from offerlift.reports.overview import lifts
from offerlift.reports.review_html import overview, overview_axis
from offerlift.storage.decisions import Decided

from ..shelf import END, RIGHT_TO_LEFT, SCRIPT, START


class Page(HTMLParser):
    """Tags with their attributes, and the text outside style sheets."""

    def __init__(self, source: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.is_style = False
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.is_style = tag == "style"

    def handle_endtag(self, tag):
        self.is_style = False

    def handle_data(self, data):
        if not self.is_style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def one_page(store, key, at=END) -> str:
    """The page that `offerlift report` writes of an experiment."""
    review = review_store(store, at, background=True)
    return render_html([next(row.card for row in review.rows if row.card.experiment == key)])


def of(reviewed, key: str) -> str:
    """The part of the page that is of one experiment."""
    _, source = reviewed
    found = re.search(rf"<article [^>]*>(?:(?!</article>).)*?<h2[^>]*>{key}</h2>.*?</article>", source, re.DOTALL)
    assert found is not None
    return found.group(0)


def test_an_experiment_is_told_in_the_order_of_the_meeting(reviewed):
    """Verdict, health, primary, guardrails, money, course, visitors, progress, segments, arms, posteriors, record."""
    part = of(reviewed, "cart-free-shipping")
    order = (
        'class="banner ship"',
        "What would change it:",
        "Can the numbers be trusted?",
        "Lift of revenue per visitor against “control”",
        "Guardrails against their margins",
        "<h3>Money",
        "How the lift of revenue per visitor came to be",
        "New visitors a day, against the planned split",
        "Progress to the planned sample",
        "<h3>By country",
        "Arms and offers",
        "The Bayesian view",
        "The plan as it was frozen",
        "To keep in mind",
        "Change log",
        "<h3>Decisions",
        "To get the same numbers again",
    )
    places = [part.find(words) for words in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


NUMBER = re.compile(r"[+−]\d[\d.,]*\s?(?:%|pp)|[+−]?€\d")


def test_before_the_first_look_nothing_of_effects_is_in_the_source(reviewed, shelf):
    """No signed number, no money, no figure of an effect: neither shown, nor folded, nor described for screen readers.

    The arms sell 30 and 90 times; with a look the same page has all of it.
    """
    part = of(reviewed, "not-looked-at-yet")
    assert "withheld" in part
    for drawn in (
        'class="panel"',
        "How the lift",
        "Guardrails against",
        "The Bayesian view",
        "<details",
        "read otherwise",
    ):
        assert (drawn in part) == (drawn == 'class="panel"'), drawn
    assert part.count('class="panel"') == part.count("New visitors of ") == 2
    said = re.sub(r"±\d+%", "", part)
    assert not NUMBER.search(said), NUMBER.search(said)
    row = next(row for row in reviewed[0].rows if row.card.experiment == "not-looked-at-yet")
    (_, (shown, *_)), *_ = [one for one in overview(reviewed[0], str) if one[0] == "Running"]
    assert not row.card.background.course
    assert not row.card.background.sensitivity
    assert shown is not None
    record_look(shelf, "not-looked-at-yet", END, reveal=True)
    revealed = one_page(shelf, "not-looked-at-yet", END)
    assert NUMBER.search(re.sub(r"±\d+%", "", revealed))
    assert "How the lift of revenue per visitor came to be" in revealed


def test_what_is_blocked_is_folded_as_a_whole(reviewed):
    """A failed split: every figure and number of effects is inside one closed element, in the source and in print."""
    part = of(reviewed, "no-outcomes")
    before, rest = part.split("<details", 1)
    folded, after = rest.split("</details>", 1)
    assert folded.startswith(' class="blocked">')
    assert "Do not read:" in folded
    assert "The Bayesian view" in folded
    for outside in (before, after):
        assert not NUMBER.search(re.sub(r"±\d+%", "", outside))
    assert "open" not in folded.split(">", 1)[0]


def test_not_run_is_not_ok(reviewed):
    """A check that could not be run has a word, a sign and a class of its own, also where only pages have it."""
    part = of(reviewed, "cart-free-shipping")
    rows = re.findall(
        r'<tr class="(\w+)"><td><span class="status \w+"><span aria-hidden="true">(.)</span> ([\w ]+)<', part
    )
    assert {(status, sign, word) for status, sign, word in rows} >= {("ok", "✓", "ok"), ("not_run", "–", "not run")}
    assert not [row for row in rows if row[0] == "not_run" and row[2] != "not run"]
    for check in (
        "Late data",
        "Conflicts and refused records",
        "Refused rows of the table",
        "Bias before the exposure",
        "Exposure without outcome data",
    ):
        assert f'scope="row">{check}</th>' in part


def test_a_guardrail_is_excluded_or_not_yet(reviewed):
    """Within its margin a loss is excluded; where it is open it is not yet, and harmless is a word that nobody uses."""
    assert "a rise beyond the margin is excluded" in of(reviewed, "cart-free-shipping")
    part = of(reviewed, "inconclusive-guardrail")
    assert "a rise beyond the margin is not yet excluded" in part
    assert "not yet excluded: it may be" in part
    assert "no harm" not in reviewed[1]


def test_the_line_of_no_effect_is_named_after_its_arm(reviewed):
    """Figures name the reference arm; the overview says that each has its own."""
    assert "the line is “control”" in of(reviewed, "cart-free-shipping")
    assert "0% is each one" in reviewed[1]


def test_markers_stand_where_something_changed(reviewed):
    """Phase, pause and look are numbered lines in the course, and the list below says what they are."""
    part = of(reviewed, "two-phases")
    course = part[part.index("How the lift") : part.index("New visitors a day")]
    assert course.count('<text class="event"') == 4
    for number, words in ((1, "Phase 2 was opened"), (2, "Paused"), (3, "Look 1"), (4, "Resumed")):
        assert re.search(rf'<li value="{number}">.*{words}', course), words
    exposures = part[part.index("New visitors a day") : part.index("Progress to the planned")]
    assert "Look 1" not in exposures
    assert "New visitors of large a day" in exposures


def test_the_plan_has_a_diff_to_now(reviewed):
    """What a later phase changed stands beside the plan that was frozen; elsewhere nothing has changed."""
    part = of(reviewed, "two-phases")
    assert "Since the start it changed, while the plan itself holds:" in part
    assert "the split from “control” 33.34%" in part
    assert "nothing has changed since the start" in of(reviewed, "cart-free-shipping")


def test_too_early_gives_money_and_no_lift(reviewed):
    """Two orders in the control: no lift, and the money that each visitor may bring or cost, in overview and page."""
    row = next(row for row in reviewed[0].rows if row.card.experiment == "few-orders")
    (arm,) = lifts(row.card).arms
    assert (arm.lift, arm.is_early) == ("too early", True)
    assert re.fullmatch(r"−€\d+\.\d\d to \+€\d+\.\d\d per visitor", arm.interval)
    assert arm.interval in reviewed[1]
    forest = of(reviewed, "few-orders")
    forest = forest[forest.index("Lift of revenue per visitor against") :]
    assert "<b>too early</b> <span>for a lift" in forest[: forest.index("<h3>Money")]
    assert "no number yet" in reviewed[1], "of the experiment in which nobody has bought"


def test_decisions_are_on_the_page(shelf):
    """Who decided what, when and why, with the report's hash."""
    made = Decided(
        "ship", "free-shipping", "Shop team", "the margin holds", END, "ship", "free-shipping", "", "ab" * 32
    )
    shelf.record_decision("cart-free-shipping", made)
    text = Page(one_page(shelf, "cart-free-shipping")).text
    assert "Ship “free-shipping”, as was recommended. Reason: the margin holds" in text
    assert "abababababab" in text
    assert "Shop team" in text


def test_names_stay_text(reviewed):
    """No name becomes markup, and every figure of such an experiment still has a title with it."""
    _, source = reviewed
    assert "<script" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in of(reviewed, "names")
    assert RIGHT_TO_LEFT in of(reviewed, "names")
    assert SCRIPT not in source


def test_the_scale_of_the_overview_is_that_of_what_needs_a_decision(reviewed):
    """What is still vague leaves it, so that the intervals that are decided on are not dots."""
    review, _ = reviewed
    assert review.count("needs_decision")
    decided = replace(review, rows=tuple(row for row in review.rows if row.group == "needs_decision"))
    assert overview_axis(review) == overview_axis(decided)
    others = replace(review, rows=tuple(row for row in review.rows if row.group != "needs_decision"))
    assert overview_axis(others) != overview_axis(decided)


def test_twelve_arms_have_room(reviewed):
    """The overview has the bars of four arms and says how many more there are; the page has them all."""
    _, source = reviewed
    assert "and 7 more arms, on its page" in source
    part = of(reviewed, "twelve-arms")
    forest = part[part.index("Lift of revenue per visitor against") : part.index("<h3>Money")]
    assert forest.count('class="row ') == 11 + 1
    assert "7 more arms not drawn" in part


def test_the_page_can_be_read_without_seeing_it(reviewed):
    """A skip link, one main, tables with headers of a scope, scrolling regions with a name that keys can reach."""
    page = Page(reviewed[1])
    tags = [tag for tag, _ in page.tags]
    assert tags.count("main") == tags.count("h1") == 1
    assert next(a for t, a in page.tags if t == "a") == {"class": "skip", "href": "#content"}
    assert all("scope" in a for t, a in page.tags if t == "th")
    regions = [a for _, a in page.tags if "scroll" in (a.get("class") or "").split()]
    assert regions
    assert all(a.get("tabindex") == "0" and a.get("aria-label") for a in regions if a.get("role") == "region")


def test_figures_have_the_numbers_in_words(reviewed):
    """Every drawn SVG is hidden with its numbers beside it, or has a title and a description with a number."""
    found = re.findall(r'<svg class="(?:bar|panel|progress)[^>]*role="img">(.*?)</svg>', reviewed[1], re.DOTALL)
    assert len(found) > 40
    for one in found:
        title, said = re.search(r"<title>(.*?)</title><desc>(.*?)</desc>", one, re.DOTALL).groups()
        assert title
        assert re.search(r"\d|undefined|not known|margin", said), said


def test_without_a_background_there_is_a_page(shelf):
    """A scorecard alone, as of a warehouse or a table, has its page without what only a store knows."""
    row = next(one for one in review_store(shelf, END).rows if one.card.experiment == "cart-free-shipping")
    text = Page(render_html([row.card])).text
    assert "Change log" not in text
    assert "How the lift" not in text
    assert "Progress to the planned sample" in text


def test_the_background_is_of_its_moment(shelf):
    """As of the second week a page has no version, look or decision of later."""
    at = START.replace(day=16)
    key = "two-phases"
    observations = shelf.observations(key, as_of=at)
    row = next(one for one in review_store(shelf, at, dry_run=True).rows if one.card.experiment == key)
    background = with_background(shelf, observations, row.card).background
    assert max(one.at for one in background.changes) <= at
    assert [one.phase for one in background.versions] == [0, 1, 2]
    assert max(one.day for one in background.exposures) <= at
    assert replace(row.card, background=background).to_dict() == row.card.to_dict()
