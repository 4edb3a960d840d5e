"""The peers, each set up to do the same work without a network: one flag, one rule, three arms of 50/25/25."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

Call = Callable[[str], object]
"""Assigns one visitor from Germany."""

ARMS = {"a": (0, 5_000), "b": (5_000, 7_500), "c": (7_500, 10_000)}
GERMANY = {"country": "DE"}


def growthbook() -> Call:
    from growthbook import GrowthBook

    rule = {
        "key": "exp",
        "seed": "exp",
        "hashAttribute": "id",
        "hashVersion": 2,
        "condition": GERMANY,
        "variations": list(ARMS),
        "weights": [0.5, 0.25, 0.25],
        "coverage": 1,
    }
    features = {"exp": {"defaultValue": "none", "rules": [rule]}}
    # One object a visitor is how its documentation asks for it; the features are parsed once.
    parsed = GrowthBook(features=features).get_features()

    def call(visitor: str) -> object:
        return GrowthBook(attributes={"id": visitor, "country": "DE"}, features=parsed).get_feature_value("exp", "none")

    return call


def eppo(*, log: bool) -> Call:
    from eppo_client import AssignmentLogger, ClientConfig, Configuration, init

    class Nothing(AssignmentLogger):
        def log_assignment(self, event: dict) -> None:
            pass

    splits = [
        {"variationKey": arm, "shards": [{"salt": "exp-split", "ranges": [{"start": low, "end": high}]}]}
        for arm, (low, high) in ARMS.items()
    ]
    condition = {"attribute": "country", "operator": "ONE_OF", "value": ["DE"]}
    allocation = {"key": "all", "rules": [{"conditions": [condition]}], "doLog": log, "splits": splits}
    flag = {
        "key": "exp",
        "enabled": True,
        "variationType": "STRING",
        "totalShards": 10_000,
        "variations": {arm: {"key": arm, "value": arm} for arm in ARMS},
        "allocations": [allocation],
    }
    document = {
        "createdAt": "2026-01-01T00:00:00.000Z",
        "format": "SERVER",
        "environment": {"name": "benchmark"},
        "flags": {"exp": flag},
    }
    client = init(
        ClientConfig(
            api_key="none",
            assignment_logger=Nothing(),
            poll_interval_seconds=None,
            initial_configuration=Configuration(flags_configuration=json.dumps(document).encode()),
        )
    )
    return lambda visitor: client.get_string_assignment("exp", visitor, {"country": "DE"}, "none")


def optimizely() -> Call:
    from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
    from optimizely.optimizely import Optimizely

    condition = {"type": "custom_attribute", "name": "country", "match": "exact", "value": "DE"}
    ends = [5_000, 7_500, 10_000]
    experiment = {
        "id": "1",
        "key": "exp",
        "status": "Running",
        "layerId": "1",
        "audienceIds": ["1"],
        "forcedVariations": {},
        "variations": [{"id": arm, "key": arm, "featureEnabled": True, "variables": []} for arm in ARMS],
        "trafficAllocation": [{"entityId": arm, "endOfRange": end} for arm, end in zip(ARMS, ends, strict=True)],
    }
    datafile = {
        "version": "4",
        "revision": "1",
        "accountId": "1",
        "projectId": "1",
        "anonymizeIP": True,
        "botFiltering": False,
        "sendFlagDecisions": False,
        "attributes": [{"id": "1", "key": "country"}],
        "audiences": [{"id": "1", "name": "germany", "conditions": json.dumps(["and", condition])}],
        "typedAudiences": [],
        "events": [],
        "groups": [],
        "rollouts": [],
        "variables": [],
        "experiments": [experiment],
        "featureFlags": [{"id": "1", "key": "exp", "rolloutId": "", "experimentIds": ["1"], "variables": []}],
    }
    client = Optimizely(json.dumps(datafile))
    options = [OptimizelyDecideOption.DISABLE_DECISION_EVENT]

    def call(visitor: str) -> object:
        context = client.create_user_context(visitor, {"country": "DE"})
        assert context is not None
        return context.decide("exp", options).variation_key

    return call


def launchdarkly() -> Call:
    from ldclient import Context, LDClient
    from ldclient.config import Config
    from ldclient.integrations import Files

    logging.getLogger("ldclient").setLevel(logging.ERROR)
    weights = [50_000, 25_000, 25_000]
    rollout = {"variations": [{"variation": index, "weight": weight} for index, weight in enumerate(weights)]}
    clause = {"contextKind": "user", "attribute": "country", "op": "in", "values": ["DE"], "negate": False}
    flag = {
        "key": "exp",
        "version": 1,
        "on": True,
        "salt": "exp",
        "variations": [*ARMS, "none"],
        "offVariation": 3,
        "fallthrough": {"variation": 3},
        "prerequisites": [],
        "targets": [],
        "rules": [{"id": "germany", "clauses": [clause], "rollout": rollout}],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flags.json"
        path.write_text(json.dumps({"flags": {"exp": flag}}), encoding="utf-8")
        source = Files.new_data_source(paths=[str(path)], auto_update=False)
        client = LDClient(Config("none", update_processor_class=source, send_events=False, diagnostic_opt_out=True))

    def call(visitor: str) -> object:
        return client.variation("exp", Context.builder(visitor).set("country", "DE").build(), "none")

    return call
