"""What tools/correlate.py makes of scores: figures, files, pictures."""

import dataclasses
import json
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags, logging

import trained_supernet
from spos_tf.atomic_write import unfinished
from spos_tf.strict_json import parse_json

if TYPE_CHECKING:
    from spos_tf.analysis.correlation import Correlation, RankCorrelation
    from spos_tf.networks.blueprint import Blueprint

FLAGS = flags.FLAGS


def define_results() -> None:
    """--top_k, --resamples."""
    flags.DEFINE_list(
        "top_k",
        ["10", "1%", "5%", "10%"],
        "How many of the table's best are looked for among as many with the "
        "best scores; numbers or percentages.",
    )
    flags.DEFINE_integer(
        "resamples",
        1000,
        "Resamples of the bootstrap that gives tau's 95 % interval.",
        lower_bound=1,
    )


class Compared(NamedTuple):
    """Architectures, and what the benchmark says of them.

    Attributes:
        encodings: int32 `[architectures, num_choices]`.
        texts: As the table has them.
        accuracies: float64 `[architectures]`.
        costs: By name, `[architectures]`.
        fingerprint: Of the table's file.
    """

    encodings: np.ndarray
    texts: list[str]
    accuracies: np.ndarray
    costs: dict[str, np.ndarray]
    fingerprint: str


def write_json(path: pathlib.Path, data: Any) -> None:
    """Writes a file, whole or not at all."""
    with unfinished(path) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", "utf-8")


def _compare(scores: np.ndarray, compared: Compared) -> "Correlation":
    from spos_tf.analysis.correlation import correlate

    return correlate(
        scores,
        compared.accuracies,
        top=FLAGS.top_k,
        resamples=FLAGS.resamples,
        seed=FLAGS.seed,
    )


def _baselines(compared: Compared) -> dict[str, Any]:
    """The correlation of costs: what knowing nothing but size gives."""
    from spos_tf.analysis.correlation import kendall_interval

    return {
        name: dataclasses.asdict(
            kendall_interval(
                np.asarray(values, np.float64),
                compared.accuracies,
                resamples=FLAGS.resamples,
                seed=FLAGS.seed,
            )
        )
        for name, values in compared.costs.items()
    }


def _batch_size() -> int | None:
    """Of the supernet's training, where its flags say it."""
    path = trained_supernet.supernet_folder(FLAGS.work_dir)
    try:
        text = (path / "train_supernet.flags").read_text("utf-8")
    except OSError:
        return None
    sizes = [
        line.removeprefix("--batch_size=")
        for line in text.splitlines()
        if line.startswith("--batch_size=")
    ]
    return int(sizes[-1]) if sizes and sizes[-1].isdecimal() else None


def write_results(
    folder: pathlib.Path,
    blueprint: "Blueprint",
    compared: Compared,
    by_step: dict[int, np.ndarray],
) -> "Correlation":
    """Writes and draws all results.

    Args:
        folder: The run's.
        blueprint: Of the supernet.
        compared: The architectures.
        by_step: Scores by training steps, ascending.

    Returns:
        That of the last checkpoint, which is the run's.
    """
    from spos_tf.report.correlation_plots import plot_scatter

    found = {
        step: _compare(scores, compared) for step, scores in by_step.items()
    }
    last = max(found)
    batch_size = _batch_size()
    entries = [
        {
            "step": step,
            "images": None if batch_size is None else step * batch_size,
            **one.to_dict(),
        }
        for step, one in found.items()
    ]
    of_run = {
        "search_space": blueprint.search_space.name,
        "supernet": FLAGS.supernet_name,
        "statistics": FLAGS.statistics,
        "table": compared.fingerprint,
        "accuracy_column": FLAGS.accuracy_column,
    }
    write_json(
        folder / "correlation.json",
        {**of_run, **entries[-1], "baselines": _baselines(compared)},
    )
    plot_scatter(
        by_step[last],
        compared.accuracies,
        folder / "scatter.png",
        title=f"{blueprint.search_space.name}, step {last}: Kendall tau "
        f"{found[last].kendall}",
        accuracy_label=FLAGS.accuracy_column,
    )
    if len(found) > 1:
        write_json(
            folder / "over_training.json", {**of_run, "checkpoints": entries}
        )
        _draw_over_training(folder)
    _draw_beside(folder)
    return found[last]


def _draw_over_training(folder: pathlib.Path) -> None:
    from spos_tf.report.correlation_plots import (
        TrainedTau,
        plot_over_training,
    )

    runs = _siblings(folder, "over_training.json")
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
    from spos_tf.report.correlation_plots import plot_beside

    runs = _siblings(folder, "correlation.json")
    plot_beside(
        {
            f"{name}\n{run['search_space']}": _kendall(run)
            for name, run in runs.items()
        },
        folder / "beside.png",
    )


def _kendall(entry: dict[str, Any]) -> "RankCorrelation":
    from spos_tf.analysis.correlation import RankCorrelation

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
            logging.warning("%s cannot be read; it is left out.", path)
            continue
        if same:
            runs[path.parent.name] = other
    return runs
