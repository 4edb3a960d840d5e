"""The weekly review of a store: what it records, in which order it shows what is to be done, and the page it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from offerlift.cli.app import run
from offerlift.errors import InputError
from offerlift.experiments.definition import Arm, Definition, Plan
from offerlift.experiments.lifecycle import stop
from offerlift.experiments.metrics import Column, Metric
from offerlift.experiments.publishing import publish, start
from offerlift.experiments.records import Exposure, Outcome
from offerlift.reports import render_review, render_review_html, review_store
from offerlift.reports.html import style_hash
from offerlift.reports.review import GROUPS, weeks_in_words, weeks_left
from offerlift.storage import Store

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = 86_400_000_000
END = START + timedelta(days=30)
"""After the last visitor's window."""


@dataclass(frozen=True)
class Case:
    """An experiment: visitors by arm, of whom the first `buyers` buy on the day, over `days` days."""

    visitors: Mapping[str, int]
    buyers: Mapping[str, int]
    days: int = 28
    looks: tuple[float, ...] = ()
    sample: int | None = None
    owner: str = ""
    started: bool = True
    stopped: datetime | None = None
    serve: str | None = None


EVEN = {"control": 1_000, "b": 1_000}
CASES = {
    "a-draft": Case(EVEN, EVEN, started=False),
    "b-long-over": Case(EVEN, {"control": 200, "b": 200}, stopped=END - timedelta(days=9)),
    "c-over": Case(EVEN, {"control": 200, "b": 400}, stopped=END - timedelta(days=2), serve="b"),
    "d-collecting": Case(EVEN, {"control": 200, "b": 205}, owner="Kasse"),
    "e-split": Case({"control": 1_000, "b": 600}, {"control": 200, "b": 200}),
    "f-null": Case(EVEN, {"control": 200, "b": 205}, sample=2_000),
    "g-winner": Case(EVEN, {"control": 200, "b": 400}, looks=(0.5, 1.0), sample=2_000),
    "h-loser": Case(EVEN, {"control": 400, "b": 200}),
}


def fill(store: Store, key: str, case: Case) -> None:
    """Publish an experiment, and write its exposures, arms in turn and evenly over its days, and its orders."""
    share = 10_000 // len(case.visitors)
    rest = 10_000 - share * len(case.visitors)
    definition = Definition(
        key,
        "control",
        tuple(Arm(arm, share + (rest if arm == "control" else 0)) for arm in case.visitors),
        (Metric("conversion", "conversion", Column("purchase", "converted"), window_end=DAY),),
        Plan("conversion", looks=case.looks, sample_size=case.sample, minimum_detectable_effect=0.05),
        owner=case.owner,
    )
    version = publish(definition, None, at=START)
    store.publish(version)
    if not case.started:
        return
    version = start(version, START)
    store.publish(version)
    exposures, outcomes = [], []
    for arm, number in case.visitors.items():
        for i in range(number):
            visitor, at = f"{key[:1]}-{arm[:20]}-{i}", START + timedelta(days=case.days) * i / number
            exposures.append(Exposure(key, visitor, arm, at, 1, version.assignment_hash))
            # The buyers are spread evenly as well.
            if i * case.buyers[arm] // number != (i + 1) * case.buyers[arm] // number:
                outcomes.append(Outcome(f"order-{visitor}", visitor, "purchase", at, value=Decimal(50)))
    store.write_exposures(exposures)
    store.write_outcomes(outcomes)
    if case.stopped is not None:
        store.publish(stop(version, case.stopped, serve=case.serve))


@pytest.fixture
def shop(tmp_path):
    """A store with every case."""
    with Store.open(f"sqlite:///{tmp_path / 'shop.db'}") as store:
        for key, case in CASES.items():
            fill(store, key, case)
        yield store


@pytest.fixture
def one(tmp_path):
    """A store with one experiment of two planned looks."""
    with Store.open(f"sqlite:///{tmp_path / 'one.db'}") as store:
        fill(store, "g-winner", CASES["g-winner"])
        yield store


def row_of(review, key):
    return next(row for row in review.rows if row.card.experiment == key)


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


def test_the_order_is_that_of_the_meeting(shop):
    """First what needs a decision, harm before all; then unhealthy, running, concluded this week, and the rest."""
    review = review_store(shop, END)
    assert [(row.group, row.card.experiment) for row in review.rows] == [
        ("needs_decision", "h-loser"),
        ("needs_decision", "g-winner"),
        ("needs_decision", "f-null"),
        ("unhealthy", "e-split"),
        ("running", "d-collecting"),
        ("concluded", "c-over"),
        ("others", "a-draft"),
        ("others", "b-long-over"),
    ]
    page, text = render_review_html(review), render_review(review)
    for shown in (page.split("</table>")[0], text.split("\n\nRECORDED")[0]):
        places = [shown.index(row.card.experiment) for row in review.rows]
        assert places == sorted(places)
    headings = [text.index(heading.upper()) for heading in GROUPS.values()]
    assert headings == sorted(headings)


def test_steps_say_what_to_do_and_how(shop):
    """Each action comes with its next step, and with the command that does it where there is one."""
    review = review_store(shop, END)
    said = {row.card.experiment: (row.step.action, row.step.following, row.step.command) for row in review.rows}
    assert said == {
        "h-loser": ("Stop, harm", "Roll back “b”.", "offerlift stop h-loser"),
        "g-winner": ("Ship “b”", "", "offerlift stop g-winner --serve b"),
        "f-null": ("Stop, no effect shown", "", "offerlift stop f-null"),
        "e-split": ("Do not read", "Find out why the sample ratio check failed, and mend it.", ""),
        "d-collecting": ("Collecting", "No end is planned.", ""),
        "c-over": ("Stopped", "Everyone gets “b”, since 30 March 2026, 00:00 UTC.", ""),
        "a-draft": ("Not started", "It is a draft.", "offerlift start a-draft"),
        "b-long-over": ("Stopped", "Everyone gets the control, since 23 March 2026, 00:00 UTC.", ""),
    }


def test_no_effect_worth_having_is_said_only_where_it_is_excluded(tmp_path):
    """An interval inside ± the smallest effect worth having rules one out; the planned end by itself does not."""
    with Store.open(f"sqlite:///{tmp_path / 'null.db'}") as store:
        fill(store, "sure", Case({"control": 9_000, "b": 9_000}, {"control": 8_500, "b": 8_500}))
        fill(store, "vague", CASES["f-null"])
        review = review_store(store, END)
    assert row_of(review, "sure").step.action == "Stop, no effect worth having"
    assert row_of(review, "vague").step.action == "Stop, no effect shown"


@pytest.mark.parametrize(
    ("buyers", "said"),
    [(400, "Ship “b”"), (100, "Do not ship “b”, harm"), (205, "No effect shown")],
)
def test_a_table_is_not_stopped(tmp_path, monkeypatch, buyers, said):
    """What it shows is said without a command, and its import is when it was concluded."""
    lines = [f"{arm},{int(i < bought)}" for arm, bought in (("control", 200), ("b", buyers)) for i in range(1_000)]
    (tmp_path / "table.csv").write_text("\n".join(["arm,bought", *lines]), encoding="utf-8")
    monkeypatch.setenv("OFFERLIFT_DB", f"sqlite:///{tmp_path / 'table.db'}")
    file, columns = str(tmp_path / "table.csv"), ["--arm", "arm", "--conversion", "bought", "--control", "control"]
    assert run(["import", "table", file, "--experiment", "mailing", *columns]) == 0
    with Store.open(f"sqlite:///{tmp_path / 'table.db'}") as store:
        now, later = review_store(store), review_store(store, datetime.now(UTC) + timedelta(days=8))
    assert (now.rows[0].step.action, now.rows[0].step.command) == (said, "")
    assert (now.rows[0].group, now.rows[0].state, later.rows[0].group) == ("concluded", "table", "others")


def test_a_harmed_arm_among_others_needs_a_decision(tmp_path):
    """The experiment goes on, but its harmed arm still gets visitors: somebody has to take it out."""
    case = Case({"control": 1_000, "b": 1_000, "c": 1_000}, {"control": 400, "b": 200, "c": 405})
    with Store.open(f"sqlite:///{tmp_path / 'arms.db'}") as store:
        fill(store, "arms", case)
        row = review_store(store, END).rows[0]
    assert (row.card.decision.action, row.group) == ("collecting", "needs_decision")
    assert (row.step.action, row.step.following) == ("Stop, harm", "Take “b” out; the other arms go on.")


def test_an_experiment_that_was_stopped_later_was_running(shop):
    """A review as of the day before the stop shows what was to be decided then."""
    before = review_store(shop, END - timedelta(days=3))
    assert row_of(before, "c-over").group == "needs_decision"
    assert (row_of(before, "c-over").ended_at, row_of(before, "c-over").state) == (None, "running")
    after = review_store(shop, END + timedelta(days=6))
    assert row_of(after, "c-over").group == "others"


def test_looks_are_recorded_once(one):
    """At half and at the end, one each; again at the same moment nothing is recorded, and the page is the same."""
    half, end = START + timedelta(days=16), END
    first, again = review_store(one, half), review_store(one, half)
    assert first.rows[0].reviewed.look == 1
    assert first.rows[0].reviewed.planned
    assert again.rows[0].reviewed.look is None
    assert again.rows[0].card.to_dict() == first.rows[0].card.to_dict()
    assert "This review recorded 1 look." in Page(render_review_html(first)).text
    assert "This review recorded no look." in Page(render_review_html(again)).text
    assert "g-winner: Look 1 is recorded, as planned, at 53% of the planned sample." in render_review(first)
    assert review_store(one, end).rows[0].reviewed.look is None
    assert {look.look for look in one.looks("g-winner")} == {1}


def test_before_the_first_look_there_is_health_only(one):
    """A third of the sample: no look, no effect in text or page; health, weeks left and the next look are there."""
    review = review_store(one, START + timedelta(days=9))
    assert one.looks("g-winner") == ()
    text, page = render_review(review), render_review_html(review)
    for shown in (" ".join(text.split()), Page(page).text):
        assert "withheld until the first look" in shown
        assert "The first look is at 50% of the planned sample." in shown
        assert "Collecting, about 3 weeks left" in shown
        assert "+100" not in shown
        assert "20.0%" not in shown
        assert "40.0%" not in shown
    assert "Can the numbers be trusted?" in Page(page).text
    assert 'class="effects"' not in page
    assert 'class="cell"' not in page


def test_a_reveal_spends_and_is_logged(one):
    """Asked for before a look is due it is look 1, unplanned, with its alpha; the effects are shown from then on."""
    review = review_store(one, START + timedelta(days=9), reveal=["g-winner"])
    row, (look,) = review.rows[0], one.looks("g-winner")
    assert (row.reviewed.look, look.planned, row.card.withheld) == (1, False, False)
    assert 0 < look.alpha_spent < 0.05
    assert "not planned and spends all the same" in " ".join(render_review(review).split())
    assert "look 1, not planned" in Page(render_review_html(review)).text


def test_a_reveal_that_could_not_be_is_explained(shop):
    """Of an experiment that may be read any day nothing is revealed, and the text says why."""
    text = " ".join(render_review(review_store(shop, START + timedelta(days=9), reveal=["d-collecting"])).split())
    assert "d-collecting: No looks are planned: the experiment may be read any day" in text


def test_an_unknown_key_to_reveal_is_refused_before_anything_is_recorded(one):
    """The error has the near one, and the look that was due is not there."""
    with pytest.raises(InputError, match=r"no experiment 'g-winer'.*so nothing was recorded") as refused:
        review_store(one, END, reveal=["g-winer"])
    assert "Did you mean 'g-winner'?" in str(refused.value)
    assert one.looks("g-winner") == ()


def test_a_dry_run_records_and_shows_nothing(one):
    """It says which look would be recorded; effects that this look would show stay withheld."""
    review = review_store(one, END, reveal=["g-winner"], dry_run=True)
    assert one.looks("g-winner") == ()
    assert review.rows[0].card.withheld
    text = " ".join(render_review(review).split())
    assert "WOULD BE RECORDED g-winner: Look 1 would be recorded, as planned, at 100% of the planned sample." in text
    assert "withheld until the first look" in text


def test_a_verdict_without_planned_looks_is_recorded(shop):
    """A winner that may be read any day has its verdict recorded once; the dry run says so before."""
    dry = review_store(shop, END, dry_run=True)
    assert row_of(dry, "h-loser").reviewed.reason == "The verdict of “b” would be recorded, and stays."
    assert row_of(review_store(shop, END), "h-loser").reviewed.look == 1
    assert row_of(review_store(shop, END + timedelta(hours=1)), "h-loser").reviewed.look is None


def test_a_date_is_the_end_of_each_experiments_day(one):
    """As text a date means its end; the same date again records nothing more."""
    review = review_store(one, "2026-03-20")
    assert review.at == datetime(2026, 3, 20, 23, 59, 59, 999_999, tzinfo=UTC)
    assert review.rows[0].reviewed.look == 1
    assert review_store(one, "2026-03-20").rows[0].reviewed.look is None


@pytest.mark.parametrize(
    ("day", "planned", "weeks"),
    [
        # 2,000 visitors in 28 days are 500 a week; the window is a day.
        (14.5, 2_000, 2 + 1 / 7),
        (14.5, 1_500, 1 + 1 / 7),
        (7, 3_000, 5 + 1 / 7),
        # Everybody is enrolled, and the last window passes within the day.
        (27.9, 2_000, 1 / 7),
    ],
)
def test_weeks_left_follow_the_traffic(tmp_path, day, planned, weeks):
    """What is missing of the planned sample at the traffic so far, and the window of the last visitor."""
    case = Case(EVEN, {"control": 200, "b": 205}, sample=planned)
    with Store.open(f"sqlite:///{tmp_path / 'traffic.db'}") as store:
        fill(store, "d", case)
        observations = store.observations("d", as_of=START + timedelta(days=day))
    assert weeks_left(observations) == pytest.approx(weeks, abs=0.13)
    assert weeks_left(observations, decided=True) is None


def test_weeks_left_are_not_guessed(tmp_path):
    """None on the second day, and when nobody came for a week."""
    case = Case(EVEN, {"control": 200, "b": 205}, sample=9_000)
    with Store.open(f"sqlite:///{tmp_path / 'traffic.db'}") as store:
        fill(store, "d", case)
        early = store.observations("d", as_of=START + timedelta(days=1.5))
        late = store.observations("d", as_of=START + timedelta(days=36))
        running = store.observations("d", as_of=START + timedelta(days=30))
    assert (weeks_left(early), weeks_left(late)) == (None, None)
    assert weeks_left(running) > 10


def test_weeks_in_words():
    """Whole weeks, and less than one as that."""
    assert [weeks_in_words(weeks) for weeks in (0.4, 1.2, 2.6)] == [
        "less than a week left",
        "about 1 week left",
        "about 3 weeks left",
    ]


def test_the_page_loads_nothing(shop):
    """No script, no external address, no handler; a policy that would forbid them; every link has its target."""
    source = render_review_html(review_store(shop, END))
    page = Page(source)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object", "base", "form"}
    ids = [name for _, attributes in page.tags if (name := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href", "action", "data"):
            target = attributes.get(name) or "#overview"
            assert target.startswith("#")
            assert target[1:] in ids
    for reference in ("http:", "https:", "@import", "url(//"):
        assert reference not in source
    policy = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == [f"default-src 'none'; style-src '{style_hash()}'; form-action 'self'"]


def test_effects_of_an_unhealthy_experiment_are_folded_away(shop):
    """Its row shows no lift, and its section has them under "Do not read"."""
    source = render_review_html(review_store(shop, END))
    row = source[source.index(">e-split</a>") :].split("</tr>")[0]
    assert "not shown: health fails" in row
    assert 'class="cell"' not in row
    assert source.count("<details") == 1


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", 'a"><img src=x onerror=1>', "שלום", "n" * 200])
def test_names_are_text(tmp_path, name):
    """Names of arms and owners are escaped everywhere in the page; none reaches it as markup."""
    case = Case({"control": 1_000, name: 1_000}, {"control": 200, name: 400}, owner=name)
    with Store.open(f"sqlite:///{tmp_path / 'names.db'}") as store:
        fill(store, "names", case)
        review = review_store(store, END)
    page = Page(render_review_html(review))
    assert not {tag for tag, _ in page.tags} & {"script", "img"}
    overview = page.text.split("Experiment, running")[0]
    assert overview.count(name) >= 3


def test_terminal_escapes_in_names_do_not_reach_the_terminal(tmp_path):
    """An owner with an escape sequence is printed without its control characters."""
    with Store.open(f"sqlite:///{tmp_path / 'names.db'}") as store:
        fill(store, "names", Case(EVEN, {"control": 200, "b": 205}, owner="\x1b[31mred"))
        text = render_review(review_store(store, END))
    assert "\x1b" not in text
    assert "[31mred" in text


def test_a_store_without_experiments_has_a_page(tmp_path):
    """Text and page say that there is nothing yet."""
    with Store.open(f"sqlite:///{tmp_path / 'empty.db'}") as store:
        review = review_store(store)
    assert review.rows == ()
    assert "The store has no experiments yet" in render_review(review)
    assert "The store has no experiments yet" in Page(render_review_html(review)).text
