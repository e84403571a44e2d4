"""A work_dir as the tools leave it, made up: nothing is trained."""

import json
import types

import numpy as np
from matplotlib.figure import Figure

from spos_tf.analysis.latency_report import Comparison, build_report
from spos_tf.space.candidate import Candidate, best_of
from spos_tf.space.record import Record, write_best
from spos_tf.spaces import build_blueprint
from spos_tf.training.callbacks import EventWriter


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text, "utf-8")


def write_events(folder, steps, *, validation=False):
    """Events of a training that goes through some steps."""
    writer = EventWriter(folder, start_step=0)
    for step in steps:
        scalars = {
            "loss": 2 / (1 + step / 100),
            "accuracy": step / (100 + step),
            "sampler_fallbacks": 0.0,
            "images_per_second": 1000.0,
        }
        writer.on_train_batch_end(step - 1, scalars)
    if validation:
        writer.on_test_end({"accuracy": 0.5, "path0": 0.4})
    writer.close()


def write_run(folder, tool, **options):
    """The flags and the options of a run."""
    options = {"dataset": "digits", **options}
    lines = [f"--{name}={value}\n" for name, value in options.items()]
    _write(folder / f"{tool}.flags", "".join(lines))
    _write(
        folder / "run.json",
        {
            "schema": 1,
            "tool": tool,
            "version": "0.2.0",
            "options": options,
            "recipe": None,
            "inputs": {},
            "versions": {},
        },
    )


def write_training(folder, tool, steps, **options):
    """Options, a checkpoint's name and events."""
    write_run(folder, tool, steps=steps, **options)
    _write(folder / "checkpoints" / f"step-{steps:08d}.npz", "")


def candidates(blueprint, count, seed):
    """Scored at random; wide kernels are worth a little."""
    rng = np.random.default_rng(seed)
    space = blueprint.search_space
    for i, encoding in enumerate(space.sample(rng, count)):
        yield Candidate(
            i=i,
            generation=i // 10,
            encoding=tuple(encoding.tolist()),
            choices=space.decode(encoding),
            costs={
                "macs": int(30_000_000 + 400_000 * encoding.sum()),
                "latency_ms": float(2 + encoding.sum() / 10),
            },
            score=float(
                0.6 + encoding.mean() / 20 + 0.02 * rng.standard_normal()
            ),
            metric="accuracy",
            direction="max",
            seconds=1.0,
            worker="local",
            time=0.0,
        )


def write_search(folder, blueprint, *, strategy, seed, count=60):
    """A finished search; returns its winner."""
    write_run(
        folder,
        "search",
        strategy=strategy,
        max_macs=42e6,
        supernet_name="default",
    )
    record = Record.open(folder / "record.jsonl")
    for one in candidates(blueprint, count, seed):
        record.append(one)
    winner = best_of(record.candidates)
    rows = [
        {
            "i": one.i,
            "encoding": list(one.encoding),
            **one.scores(),
            "median_ms": 3.25,
            "low_ms": 3.125,
            "high_ms": 3.5,
        }
        for one in (winner, record.candidates[0])
    ]
    write_best(
        folder / "best.json",
        blueprint.architecture(winner.encoding),
        winner,
        trust_in_words=["The scores are made up (reliability 0.26)."],
        measured={
            "runtime": "tflite",
            "threads": 1,
            "machine": {"processor": "a processor"},
            "candidates": rows,
        },
    )
    return winner


def _latency_report():
    predicted = np.linspace(1, 3, 5)
    one = Comparison(
        np.zeros((5, 2), np.int32),
        predicted,
        1.02 * predicted,
        1.01 * predicted,
    )
    return build_report({"runtime": "tflite"}, one, one)


def write_work_dir(folder, preset="demo", name="winner"):
    """Everything that a report can show; returns the winner and the space.

    Args:
        folder: Is made.
        preset: Of `shufflenet_blocks`.
        name: Of the retrained network and its export.
    """
    blueprint = build_blueprint("shufflenet_blocks", preset=preset)
    supernet = folder / "supernet" / "default"
    write_training(supernet, "train_supernet", 300)
    write_events(supernet / "events", [100, 200, 300], validation=True)
    search = folder / "search"
    winner = write_search(
        search / "evolution", blueprint, strategy="evolution", seed=0
    )
    write_search(search / "random", blueprint, strategy="random", seed=1)
    _write(search / "scores.jsonl", "")
    architecture = blueprint.architecture(winner.encoding).to_dict()
    subnet = folder / "subnet" / name
    write_training(subnet, "train_subnet", 500, search_name="evolution")
    write_events(subnet / "events", [250, 500])
    _write(subnet / "architecture.json", architecture)
    metrics = {"macs": winner.costs["macs"], "params": 7, "test_accuracy": 0.75}
    _write(subnet / "metrics.json", {**metrics, "steps": 500, "seconds": 42.0})
    write_run(folder / "export" / name, "export")
    figures = {
        "max_abs_difference": 3.5e-06,
        "top1_agreement": 1.0,
        "accuracy": 0.75,
        "images": 360,
        "near_ties": 2,
    }
    entry = {"path": "model.tflite", "bytes": 61928, "sha256": "ab12" * 16}
    _write(
        folder / "export" / name / "manifest.json",
        {
            "architecture": architecture,
            "files": {"tflite": {**entry, **figures}},
            "deploy_form": figures,
            "versions": {"keras": "3.15.1", "spos_tf": None},
        },
    )
    correlate = folder / "correlate" / "default"
    write_run(correlate, "correlate")
    _write(
        correlate / "correlation.json",
        {
            "num_architectures": 60,
            "accuracy_column": "acc",
            "kendall": {"tau": 0.625, "low": 0.5, "high": 0.75},
            "spearman": 0.8125,
            "metric": "accuracy",
            "chance": 0.1,
            "mean": 0.3125,
            "spread": None,
            "standard_error": 0.0625,
            "reliability": {
                "value": 0.25,
                "low": 0.125,
                "high": 0.5,
                "candidates": 60,
            },
            "top": [{"asked": "10", "k": 10, "recall": 0.4, "by_chance": 0.2}],
            "regret": 0.5,
            "baselines": {"macs": {"tau": 0.25}},
            "of tomorrow": [None],
        },
    )
    figure = Figure(figsize=(4, 3))
    figure.add_subplot().scatter([1, 2, 3], [1, 3, 2])
    figure.savefig(correlate / "scatter.png", metadata={"Software": None})
    limits = folder / "search_limits" / "default"
    write_run(limits, "search_limits")
    row = {"limit": "macs<=42e6", "costs": {"macs": 41_000_000}}
    _write(
        limits / "table.json",
        [{**row, "accuracy": 0.625, "encoding": list(winner.encoding)}],
    )
    _write(folder / "latency.yaml.report.json", _latency_report())
    return types.SimpleNamespace(winner=winner, blueprint=blueprint)
