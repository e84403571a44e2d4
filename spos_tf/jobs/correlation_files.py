"""What a comparison with a benchmark leaves: figures, files, pictures."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from spos_tf.analysis.correlation import (
    Correlation,
    RankCorrelation,
    correlate,
    kendall_interval,
)
from spos_tf.analysis.stored_scores import StoredScores
from spos_tf.analysis.trust import Trust
from spos_tf.atomic_write import write_json
from spos_tf.jobs.notes import warn
from spos_tf.jobs.read_outs import SCORES_FILE, write_read_outs
from spos_tf.jobs.trained import TrainedSupernet
from spos_tf.networks.blueprint import plain_arguments
from spos_tf.options import CorrelationOptions
from spos_tf.report.correlation_plots import (
    TrainedTau,
    plot_beside,
    plot_over_training,
    plot_scatter,
)
from spos_tf.report.scores import Metric
from spos_tf.strict_json import parse_json

_CORRELATION, _OVER_TRAINING = "correlation.json", "over_training.json"


class Compared(NamedTuple):
    """Architectures, and what the benchmark says of them.

    Attributes:
        encodings: int32 `[architectures, num_choices]`.
        texts: As the table has them.
        accuracies: float64 `[architectures]`.
        costs: Costs and counts by name, `[architectures]`.
        fingerprint: Of the table's file.
    """

    encodings: np.ndarray
    texts: list[str]
    accuracies: np.ndarray
    costs: dict[str, np.ndarray]
    fingerprint: str


class Facts(NamedTuple):
    """What a comparison is of.

    Attributes:
        supernet: Whose scores are compared.
        options: How they were made.
        metric: What they are.
        accuracy_column: Of the table.
    """

    supernet: TrainedSupernet
    options: CorrelationOptions
    metric: Metric
    accuracy_column: str

    def correlation(
        self, scores: np.ndarray, accuracies: np.ndarray
    ) -> Correlation:
        """How scores rank architectures."""
        return correlate(
            self.better(scores),
            accuracies,
            top=self.options.top_k,
            resamples=self.options.resamples,
            seed=self.options.seed,
        )

    def better(self, scores: np.ndarray) -> np.ndarray:
        """Scores turned so that more is better."""
        return np.array([self.metric.rank(one) for one in scores])

    def baselines(self, compared: Compared) -> dict[str, Any]:
        """The correlation of costs: what knowing nothing but size gives."""
        return {
            name: dataclasses.asdict(
                kendall_interval(
                    np.asarray(values, np.float64),
                    compared.accuracies,
                    resamples=self.options.resamples,
                    seed=self.options.seed,
                )
            )
            for name, values in compared.costs.items()
        }


def write_results(
    folder: pathlib.Path,
    compared: Compared,
    by_step: dict[int, np.ndarray],
    trusts: Mapping[int, Trust],
    facts: Facts,
) -> dict[int, Correlation]:
    """Writes and draws all results.

    Args:
        folder: The comparison's.
        compared: The architectures.
        by_step: Scores by training steps, ascending.
        trusts: How far these scores can be trusted.
        facts: What the comparison is of.

    Returns:
        Correlations by training steps; the last is the comparison's.
    """
    found = {
        step: facts.correlation(scores, compared.accuracies)
        for step, scores in by_step.items()
    }
    last = max(found)
    blueprint = facts.supernet.blueprint
    space = blueprint.search_space.name
    size = facts.supernet.training_options.get("batch_size")
    entries = [
        {
            "step": step,
            "images": step * size if isinstance(size, int) else None,
            **one.to_dict(),
            **trusts[step].to_dict(),
        }
        for step, one in found.items()
    ]
    for one in entries:
        # A comparison has no winner.
        del one["confirmed"]
    of_run = {
        "search_space": space,
        "supernet": facts.supernet.name,
        "metric": facts.metric.name,
        "direction": facts.metric.direction,
        "statistics": facts.options.statistics,
        "table": compared.fingerprint,
        "accuracy_column": facts.accuracy_column,
    }
    write_json(
        folder / _CORRELATION,
        {**of_run, **entries[-1], "baselines": facts.baselines(compared)},
    )
    stored = StoredScores(
        compared.encodings,
        by_step[last],
        {
            **of_run,
            "space_arguments": plain_arguments(blueprint.space_arguments),
            **{
                key: entries[-1][key]
                for key in ("step", "images", "reliability")
            },
            "options": facts.options.to_dict(),
        },
        compared.accuracies,
    )
    stored.write(folder / SCORES_FILE)
    write_read_outs(
        folder,
        stored,
        {step: facts.better(scores) for step, scores in by_step.items()},
        compared.costs,
        resamples=facts.options.resamples,
        seed=facts.options.seed,
    )
    plot_scatter(
        by_step[last],
        compared.accuracies,
        folder / "scatter.png",
        title=f"{space}, step {last}: Kendall tau {found[last].kendall}",
        accuracy_label=facts.accuracy_column,
        metric=facts.metric,
    )
    if len(found) > 1:
        write_json(folder / _OVER_TRAINING, {**of_run, "checkpoints": entries})
        _draw_over_training(folder)
    _draw_beside(folder)
    return found


def _draw_over_training(folder: pathlib.Path) -> None:
    runs = _siblings(folder, _OVER_TRAINING)
    images = all(
        one["images"] is not None
        for run in runs.values()
        for one in run["checkpoints"]
    )
    unit = "images" if images else "step"
    plot_over_training(
        {
            name: [
                TrainedTau(one[unit], _kendall(one))
                for one in run["checkpoints"]
            ]
            for name, run in runs.items()
        },
        folder / "over_training.png",
        amount_label="training images seen" if images else "training steps",
    )


def _draw_beside(folder: pathlib.Path) -> None:
    runs = _siblings(folder, _CORRELATION)
    plot_beside(
        {
            f"{name}\n{run['search_space']}": _kendall(run)
            for name, run in runs.items()
        },
        folder / "beside.png",
    )


def _kendall(entry: dict[str, Any]) -> RankCorrelation:
    return RankCorrelation(**entry["kendall"])


def _siblings(folder: pathlib.Path, name: str) -> dict[str, dict[str, Any]]:
    """Results of this run, and then of others on the same accuracies."""
    own = parse_json((folder / name).read_bytes())
    runs = {folder.name: own}
    for path in sorted(folder.parent.glob(f"*/{name}")):
        if path.parent.name in runs:
            continue
        try:
            other = parse_json(path.read_bytes())
            same = all(
                other[key] == own[key] for key in ("table", "accuracy_column")
            )
            for one in other.get("checkpoints", [other]):
                _kendall(one), one["images"], other["search_space"]
        except (OSError, ValueError, KeyError, TypeError):
            warn(f"{path} cannot be read; it is left out.")
            continue
        if same:
            runs[path.parent.name] = other
    return runs
