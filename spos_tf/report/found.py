"""The networks that the runs of a work_dir are about, each once."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from spos_tf.cost.description import describe
from spos_tf.report.files import Fields
from spos_tf.report.network import draw_network
from spos_tf.report.scores import Metric, best_score
from spos_tf.report.statistics import option_text
from spos_tf.report.work_dir import Run, WorkDir
from spos_tf.space import Architecture
from spos_tf.spaces import blueprint_of


@dataclasses.dataclass
class Network:
    """One architecture and all that runs say of it.

    Attributes:
        architecture: An architecture file's object.
        described: What `spos describe` says of it; None if it could not
            be built here.
        problem: Why not.
        runs: Whose it is, as `stage/name`.
        search_score: Score as a path of the supernet, on the search split.
        metric: What that score measures.
        test_accuracy: Retrained.
        costs: By name.
        measured_ms: Median of its latency.
    """

    architecture: Mapping[str, Any]
    described: Mapping[str, Any] | None
    problem: str | None
    runs: list[str] = dataclasses.field(default_factory=list)
    search_score: float | None = None
    metric: Metric = dataclasses.field(default_factory=Metric)
    test_accuracy: float | None = None
    costs: dict[str, int | float] = dataclasses.field(default_factory=dict)
    measured_ms: float | None = None

    @property
    def search_rank(self) -> float:
        """Higher for better scores, lowest without one."""
        score = self.search_score
        return -math.inf if score is None else self.metric.rank(score)

    @property
    def drawing(self) -> dict[str, Any] | None:
        """For the template; None if the network could not be built."""
        described = self.described
        return None if described is None else draw_network(described)

    @property
    def title(self) -> str:
        """Its choices, or the space if there are none."""
        choices = self.architecture["choices"]
        texts = [option_text(option) for option in choices.values()]
        return " ".join(texts) or str(self.architecture["search_space"])


def find_networks(work_dir: WorkDir) -> list[Network]:
    """All distinct architectures.

    Args:
        work_dir: What was read. A space in a file of the user's is built
            only if the user has named that file; see `stored_blueprint`.

    Returns:
        The one with the highest test accuracy first, then by the score in the
        supernet.
    """
    found: dict[str, Network] = {}
    for run in work_dir.all_runs():
        architecture = _architecture(run)
        if architecture is None:
            continue
        key = json.dumps(architecture, sort_keys=True)
        if key not in found:
            found[key] = _described(architecture)
        _add(found[key], run)
    return sorted(
        found.values(),
        key=lambda one: (-(one.test_accuracy or 0.0), -one.search_rank),
    )


def _architecture(run: Run) -> dict[str, Any] | None:
    data = run.architecture
    if not data:
        return None
    space = data.text("search_space")
    arguments = data.fields("space_arguments").values
    choices = data.fields("choices").values
    if space is None:
        run.problems.append(
            "The architecture could not be read: it names no search_space."
        )
        return None
    return {
        "schema": data.values.get("schema"),
        "search_space": space,
        "space_arguments": dict(arguments),
        "choices": dict(choices),
    }


def _described(architecture: Mapping[str, Any]) -> Network:
    try:
        one = Architecture.from_dict(dict(architecture), source="this one")
        blueprint = blueprint_of(one)
        described = describe(blueprint, blueprint.encode(one))
    # UserError, and what names and values of a damaged file may lead to.
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        return Network(architecture, None, " ".join(str(error).split()))
    network = Network({**architecture}, described, None)
    for name in ("macs", "params", "bit_ops"):
        if described.get(name) is not None:
            network.costs[name] = described[name]
    # In the order of the space, whatever the file's.
    ours = described["architecture"]["choices"]
    network.architecture = {**architecture, "choices": ours}
    return network


def _add(network: Network, run: Run) -> None:
    network.runs.append(f"{run.stage}/{run.name}")
    if run.stage in ("search", "supernet"):
        score, metric = best_score(run.best)
        if score is not None and metric.rank(score) > network.search_rank:
            network.search_score, network.metric = score, metric
        network.costs = {**run.best.numbers("costs"), **network.costs}
        for row in measured_rows(run)[:1]:
            # The first is the search's result.
            network.measured_ms = row["median_ms"]
    if run.stage == "subnet":
        accuracy = run.metrics.number("test_accuracy")
        known = [network.test_accuracy, accuracy]
        network.test_accuracy = max(
            (one for one in known if one is not None), default=None
        )
        for name in ("macs", "params", "bit_ops"):
            value = run.metrics.number(name)
            if value is not None:
                network.costs.setdefault(name, value)


def measured_rows(run: Run) -> list[dict[str, Any]]:
    """The candidates of a search that were measured, the best first."""
    costs: dict[object, Mapping[str, float]] = {
        one.i: one.costs for one in run.record
    }
    scored = [
        (one, *best_score(one))
        for one in run.best.fields("measured").rows("candidates")
    ]
    return [
        {
            "encoding": encoding_text(one),
            "score": metric.text(score),
            "predicted_ms": costs.get(one.number("i"), {}).get("latency_ms"),
            "median_ms": one.number("median_ms"),
            "low_ms": one.number("low_ms"),
            "high_ms": one.number("high_ms"),
        }
        for one, score, metric in scored
        if one.number("median_ms") is not None
    ]


def encoding_text(one: Fields) -> str:
    """An encoding as the option of a command."""
    return ",".join(map(option_text, one.values_of("encoding"))) or "-"


def plain_settings(data: Fields, leave_out: Sequence[str]) -> str:
    """Settings as one line."""
    return ", ".join(
        f"{name} {_plain(value)}"
        for name, value in data.values.items()
        if name not in leave_out
    )


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(map(str, value.values()))
    text = option_text(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
