"""What the two training jobs do alike."""

import contextlib
import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import keras
import tensorflow as tf

from spos_tf.atomic_write import write_json
from spos_tf.errors import UserError
from spos_tf.evaluation.metric import needs_probabilities
from spos_tf.jobs.data import JobData
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import process_settings
from spos_tf.jobs.run_folder import Run, RunPlan, open_run
from spos_tf.jobs.trained import LABELS_FILE
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.options import Recipe, TrainingOptions, recipe_of
from spos_tf.training.objective import Objective
from spos_tf.training.optimization import make_optimizer
from spos_tf.training.task import Task, read_task
from spos_tf.training.team import Team

Kind = TypeVar("Kind", bound=TrainingOptions)


class TakenRecipe(NamedTuple):
    """The values that a training has in common with its recipe.

    Attributes:
        name: Of the recipe.
        values: By option.
        taken: What it decided, since nobody had given it.
        notes: Lines about other options that nobody had given.
    """

    name: str
    values: dict[str, Any]
    taken: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What `run.json` says of it."""
        return {"name": self.name, "values": self.values}

    def tell(self) -> None:
        """Says what nobody had given."""
        words = ", ".join(
            # A rate that was scaled to the batch has many digits.
            f"{name}={one:.4g}" if isinstance(one, float) else f"{name}={one}"
            for name, one in self.taken.items()
        )
        if words:
            tell(f"Recipe {self.name}: {words}")
        for note in self.notes:
            tell(note)


def completed(
    kind: type[Kind],
    given: TrainingOptions,
    blueprint: Blueprint,
    trained: Literal["supernet", "subnet"],
    planned: Recipe | None = None,
    **values: Any,
) -> tuple[Kind, TakenRecipe]:
    """Options in which nothing is left open.

    Args:
        kind: What the job takes.
        given: What it was given; `TrainingOptions` do.
        blueprint: Its preset and image size pick the recipe.
        trained: What is trained.
        planned: Values instead of the recipe's.
        **values: Replace those that are given.

    Returns:
        The options, and what they have of the recipe.

    Raises:
        UserError: These are no options of a training.
    """
    if not isinstance(given, TrainingOptions):
        raise UserError(
            f"`options` are spos_tf.{kind.__name__}(...) or "
            f"spos_tf.TrainingOptions(...); got {type(given).__name__}."
        )
    options = kind.of(given, **values)
    preset = blueprint.space_arguments.get("preset")
    recipe = planned or recipe_of(trained, preset, blueprint.image_size)
    recommended = dict(recipe.values)
    if options.epochs is not None:
        recommended.pop("steps", None)
    full = options.with_recipe(recommended).complete()
    known = [name for name in recommended if hasattr(full, name)]
    held = {
        name: recommended[name]
        for name in known
        if getattr(full, name) == recommended[name]
    }
    taken = {
        name: getattr(full, name)
        for name in known
        if getattr(options, name) is None
    }
    return full, TakenRecipe(recipe.name, held, taken)


def check_callbacks(callbacks: Any) -> None:
    """Refuses what would fail only when the training calls it.

    Args:
        callbacks: What a job was given.

    Raises:
        UserError: It is not a list of Keras callbacks.
    """
    if isinstance(callbacks, list | tuple) and all(
        isinstance(one, keras.callbacks.Callback) for one in callbacks
    ):
        return
    raise UserError(
        "`callbacks` is a list of Keras callbacks, for example "
        f"[keras.callbacks.CSVLogger('log.csv')]; got {callbacks!r:.80}."
    )


def with_steps(options: Kind, images: JobData, run: Run) -> Kind:
    """Options that say steps, where they said epochs; the run keeps them.

    Args:
        options: Complete ones.
        images: What is trained on.
        run: Of the training.

    Raises:
        UserError: Nobody knows how many images there are.
    """
    if options.epochs is None:
        return options
    count = images.images.count
    if count is None:
        raise UserError(
            "`epochs` are passes over a known number of images; this "
            "tf.data.Dataset does not know its own. Give `steps`."
        )
    steps = max(
        1, math.ceil(options.epochs * count / (options.batch_size or 1))
    )
    tell(
        f"{options.epochs:g} epochs of {count:,} images are {steps:,} steps "
        "(images that are held out or tested on are not among them)."
    )
    run.keep_steps(steps)
    return dataclasses.replace(options, epochs=None, steps=steps)


@contextlib.contextmanager
def opened(
    work_dir: str | os.PathLike[str],
    name: str,
    plan: RunPlan,
    options: TrainingOptions,
) -> Iterator[tuple[Run, Team]]:
    """A run in its folder, and the processes that do it.

    Args:
        work_dir: Folder of all results.
        name: Of the run.
        plan: What it is.
        options: Complete; they say where it is trained.

    Yields:
        The run, and the team.

    Raises:
        UserError: See `open_run`; or TF_CONFIG does not say which process
            this is, the batch does not divide by the devices, or another host
            cannot be reached or has other options.
    """
    task = Task()
    if options.distribution == "multi_worker":
        task = read_task(os.environ.get("TF_CONFIG"))
    with (
        process_settings(
            deterministic=options.deterministic,
            dtype_policy=options.dtype_policy,
        ),
        open_run(work_dir, name, plan, writes=task.is_chief) as run,
    ):
        strategy = _strategy(options)
        devices = strategy.num_replicas_in_sync
        if options.batch_size % devices:
            raise UserError(
                "`batch_size` is a multiple of the number of devices, "
                f"{devices}; got {options.batch_size}."
            )
        team = Team(strategy, task)
        team.agree(
            "options (by their fingerprints)",
            plan.fingerprint(),
            "Start all of them with the same.",
        )
        yield run, team


def _strategy(options: TrainingOptions) -> tf.distribute.Strategy:
    kind = options.distribution
    if kind == "multi_worker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    if kind is None:
        several = len(tf.config.list_logical_devices("GPU")) > 1
        kind = "mirrored" if several else "one_device"
    if kind == "one_device":
        return tf.distribute.get_strategy()
    devices = [
        device.name
        for device in tf.config.list_logical_devices("GPU")
        or tf.config.list_logical_devices("CPU")
    ]
    return tf.distribute.MirroredStrategy(devices)


def write_labels(run: Run, class_names: Sequence[str]) -> None:
    """Writes the names of the classes in the order of the outputs."""
    write_json(run.folder / LABELS_FILE, list(class_names))


def described(
    blueprint: Blueprint, class_names: Sequence[str]
) -> dict[str, Any]:
    """What a checkpoint says of the blueprint and its outputs."""
    return {
        "search_space": blueprint.search_space.name,
        "space_arguments": plain_arguments(blueprint.space_arguments),
        "class_names": list(class_names),
    }


def without_smoothing(
    full: Kind, given: TrainingOptions, loss: keras.losses.Loss | None
) -> Kind:
    """Options whose label smoothing is 0 if it is only the recipe's.

    Args:
        full: Complete.
        given: As the caller gave them.
        loss: The caller's, which has its own; None for the default.
    """
    if loss is None or given.label_smoothing is not None:
        return full
    return dataclasses.replace(full, label_smoothing=0.0)


def objective_words(
    loss: keras.losses.Loss | None,
    metric: keras.metrics.Metric | None,
    labels: str | None,
    direction: str,
) -> dict[str, Any]:
    """What `run.json` says of a loss and a metric that no flag can name.

    Nulls too: a run with a metric is not resumed without it.
    """
    return {
        "loss": None if loss is None else _described_object(loss),
        "metric": None if metric is None else _described_object(metric),
        "labels": labels,
        "direction": None if direction == "max" else direction,
    }


def _described_object(given: Any) -> Any:
    """The class of a Keras object, and its arguments if they are JSON."""
    kind = type(given)
    words = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    try:
        config = dict(given.get_config())
        # Keras numbers the names of a process.
        config.pop("name", None)
        return {**words, "config": json.loads(json.dumps(config))}
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        # It is not ours to say whether it can be described.
        return words


def compile_model(
    model: keras.Model,
    options: TrainingOptions,
    objective: Objective,
    metric: keras.metrics.Metric | None,
) -> None:
    """Makes a trained network ready for `fit` and `evaluate`.

    Its rate is a tenth of the training's highest: it is fine-tuned.

    Args:
        model: Gives logits.
        options: Of its training.
        objective: Likewise; its metric is `metric`.
        metric: The caller's; left out where Keras, which gives loss and
            metrics the same, would give it logits for probabilities or
            another form of labels.
    """
    loss, labels = objective.loss, objective.labels
    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        labels = "sparse"
    metrics: list[Any] = []
    if metric is None or objective.metric.is_accuracy:
        # Keras sees which form of labels it is given.
        metrics = ["accuracy"]
    elif not needs_probabilities(metric) and objective.metric.labels == labels:
        metrics = [type(metric).from_config(metric.get_config())]
    model.compile(
        optimizer=make_optimizer(
            options.optimizer_name,
            (options.learning_rate or 0.0) / 10,
            options.all_optimizer_arguments,
        ),
        loss=loss,
        metrics=metrics,
    )
