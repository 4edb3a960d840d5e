"""What one experiment may not do beside the others: own buckets of a layer twice, be held out by what does not run."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import Finding, PublishError
from .definition import BUCKETS, Definition
from .snapshot import Published

__all__ = ["check_holdouts", "check_layer"]


def check_layer(definition: Definition, others: Iterable[Published]) -> None:
    """Refuse a range that another experiment of the layer owns, be it a draft, running or paused.

    A stopped experiment has given its buckets back, also where its winner is served (before the layer is looked at).

    Raises:
        PublishError: naming who owns the buckets, and which are free.
    """
    layer = definition.layer_name
    owners = [
        one
        for one in others
        if one.state != "stopped"
        and one.definition.experiment != definition.experiment
        and one.definition.layer_name == layer
        and one.definition.source == "assigner"
        and not one.definition.holdout
    ]
    low, high = definition.layer_range
    findings = [
        Finding(
            definition.experiment,
            None,
            None,
            "layer.range",
            f"[{low}, {high}]",
            f"buckets [{max(low, start)}, {min(high, end)}] belong to {one.definition.experiment} ({one.state})",
            f"`offerlift stop {one.definition.experiment}` gives them back.",
        )
        for one in owners
        for start, end in [one.definition.layer_range]
        if start < high and low < end
    ]
    if findings:
        free = ", ".join(f"[{start}, {end}]" for start, end in _free([one.definition.layer_range for one in owners]))
        raise PublishError(
            f"{definition.experiment!r} overlaps with another experiment in the layer {layer!r}",
            findings=findings,
            hint=f"Free in this layer: {free or 'nothing'}. Each range is [from, to).",
        )


def check_holdouts(definition: Definition, others: Iterable[Published], *, running: bool) -> None:
    """Refuse a holdout that is not published, is none, or (with `running`) does not run.

    Raises:
        PublishError: with the command that helps.
    """
    published = {one.definition.experiment: one for one in others}
    findings: list[tuple[str, str, str]] = []
    for name in definition.holdouts:
        holdout = published.get(name)
        if holdout is None:
            findings.append((name, "is not published", "`offerlift publish FILE` with its definition publishes it."))
        elif not holdout.definition.holdout:
            findings.append((name, "is no holdout", "A holdout's definition says `holdout: true`."))
        elif holdout.state == "stopped":
            findings.append((name, "is stopped and holds nobody out", "Take it out of `holdouts`."))
        elif running and holdout.state != "running":
            command = "start" if holdout.state == "draft" else "resume"
            findings.append((name, f"is {holdout.state}", f"`offerlift {command} {name}` first."))
    if findings:
        raise PublishError(
            f"{definition.experiment!r} is covered by a holdout that does not hold",
            findings=[
                Finding(definition.experiment, None, None, "holdouts", name, message, hint)
                for name, message, hint in findings
            ],
        )


def _free(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    free: list[tuple[int, int]] = []
    position = 0
    for low, high in [*sorted(ranges), (BUCKETS, BUCKETS)]:
        if low > position:
            free.append((position, low))
        position = max(position, high)
    return free
