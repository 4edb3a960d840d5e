"""A store as a notebook reads it: `open_store(URL).experiment(KEY)` has the scorecard, the charts and the sums."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import InputError, known_or_nearest
from ..experiments.definition import Definition
from ..storage import Store
from ..storage.decisions import Decided
from ..storage.looks import Look
from ..storage.observations import Observations
from ..storage.times import as_of_time
from .changes import change_log
from .course import Course, course
from .details import Details
from .markdown import card_markdown
from .pictures import charts
from .rows import card_rows
from .scorecard import scorecard
from .tree import Change, Scorecard

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..stats import Moments

__all__ = ["Experiment", "OpenStore", "open_store"]


def open_store(url: str | Path = "sqlite:///offerlift.db", *, schema: str | None = None) -> OpenStore:
    """Open a store to read from in a notebook; none is created.

    Args:
        url: URL of the database, or the path of a SQLite file.
        schema: of PostgreSQL, the schema that holds the store.

    Raises:
        StoreError: there is none, it cannot be reached, or it is of another schema version.
    """
    return OpenStore(Store.open(url, schema=schema, create=False))


class OpenStore:
    """An open store; use it as a context manager, or call `close`.

    Attributes:
        store: the store itself, with all that it can do.
    """

    def __init__(self, store: Store):
        self.store = store

    def experiments(self) -> list[str]:
        """Keys of all published experiments, sorted."""
        return self.store.experiments()

    def experiment(self, key: str) -> Experiment:
        """One experiment.

        Raises:
            InputError: there is none of that key; the message has the nearest one.
        """
        return Experiment(self.store, key)

    def close(self) -> None:
        """Release the connections."""
        self.store.close()

    def __enter__(self) -> OpenStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.store.url}: {', '.join(self.experiments()) or 'no experiments'}>"


class Experiment:
    """One experiment of a store. Nothing that it does records a look, and what is withheld stays withheld.

    Times are aware, or text as of `--as-of`: a time with its offset, or a date, which means the end of that day. None
    is now.
    """

    def __init__(self, store: Store, key: str):
        # Here, so that a mistyped key is an error where it is written.
        store.published(key)
        self.key = key
        self._store = store

    @property
    def definition(self) -> Definition:
        """Its latest published definition."""
        return self._store.published(self.key).definition

    def scorecard(self, as_of: datetime | str | None = None) -> Scorecard:
        """Health, decision and numbers: what `offerlift analyze` prints."""
        observations = self._observations(as_of)
        return scorecard(observations, self.looks(), Details.of_store(self._store, observations))

    def course(self, as_of: datetime | str | None = None) -> Course:
        """How the numbers grew, day by day: what `offerlift analyze --by day` prints."""
        return course(self._store.cumulative(self.key, as_of=self._moment(as_of)), self.looks())

    def charts(self, as_of: datetime | str | None = None) -> dict[str, Figure]:
        """Every chart that can be drawn, by its name; matplotlib figures, which a notebook shows.

        Empty while effects are withheld or a health check fails.
        """
        return dict(charts(self.scorecard(as_of)))

    def rows(self, as_of: datetime | str | None = None) -> list[dict[str, Any]]:
        """The scorecard as rows, one a metric and arm, such as for `pandas.DataFrame`."""
        return card_rows(self.scorecard(as_of))

    def moments(self, metric: str, as_of: datetime | str | None = None) -> Mapping[str, Moments]:
        """The sums of a metric by arm, for the functions of `offerlift.stats`; of the latest phase.

        Raises:
            InputError: no such metric, or effects that are withheld, which anybody could compute from these.
        """
        card = self.scorecard(as_of)
        if card.withheld:
            raise InputError(
                f"the effects of {self.key!r} are withheld until the first planned look is recorded",
                hint="`offerlift review` records it when it is due.",
            )
        found = self._observations(as_of).moments
        if metric not in found:
            raise InputError(f"{self.key!r} has no metric {metric!r}", hint=known_or_nearest(metric, found))
        return found[metric]

    def looks(self) -> tuple[Look, ...]:
        """Everything that was recorded at its looks."""
        return self._store.looks(self.key)

    def decisions(self) -> tuple[Decided, ...]:
        """What was decided about it."""
        return self._store.decisions(self.key)

    def changes(self, as_of: datetime | str | None = None) -> tuple[Change, ...]:
        """What happened to it: what `offerlift log` prints."""
        return change_log(self._store, self.key, self._moment(as_of))

    def _observations(self, as_of: datetime | str | None) -> Observations:
        return self._store.observations(self.key, as_of=self._moment(as_of))

    def _moment(self, as_of: datetime | str | None) -> datetime | None:
        return as_of_time(as_of, self.definition.utc_offset_minutes) if isinstance(as_of, str) else as_of

    def __repr__(self) -> str:
        return f"<experiment {self.key}>"

    def _repr_markdown_(self) -> str:
        """What a notebook shows of it: the decision, what is wrong, and the primary metric."""
        return card_markdown(self.scorecard())
