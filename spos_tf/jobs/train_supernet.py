"""Trains a supernet: on single paths (equation 8), or as others do."""

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np

from spos_tf.analysis.trust import guessing_line
from spos_tf.data.inputs import images_of
from spos_tf.data.pipeline import evaluation_batches, split_data
from spos_tf.data.splits import MOST_HELD_OUT, fingerprint
from spos_tf.errors import UserError
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.jobs import data as job_data
from spos_tf.jobs import limits, training
from spos_tf.jobs.blueprints import check_registered, place_options
from spos_tf.jobs.learned import loss_cost, write_found
from spos_tf.jobs.notes import tell
from spos_tf.jobs.pins import pin_options, pinned
from spos_tf.jobs.process import threads
from spos_tf.jobs.run_folder import Run, RunPlan, options_of_run
from spos_tf.jobs.sampling import Sampling, check_algorithm, sampling_of
from spos_tf.jobs.trained import (
    LABELS_FILE,
    SUPERNET_STAGE,
    SearchData,
    TrainedSupernet,
    choices_of,
    load_supernet,
    read_labels,
)
from spos_tf.jobs.validation import ScoreAndLoss
from spos_tf.keras_settings import check_keras
from spos_tf.networks.blueprint import Blueprint, check_blueprint
from spos_tf.networks.shared_choices import untied, untied_encoding
from spos_tf.networks.supernet import Supernet
from spos_tf.ops.path_norm import BatchNorm, SynchronizedBatchNorm
from spos_tf.options import (
    LimitOptions,
    Recipe,
    SupernetOptions,
    TrainingOptions,
)
from spos_tf.randomness import Purpose, generator
from spos_tf.spaces import build_blueprint, space_names
from spos_tf.training.architecture_learner import Learner, make_learner
from spos_tf.training.objective import Objective
from spos_tf.training.samplers import uneven_shares
from spos_tf.training.step import Forward
from spos_tf.training.team import Team
from spos_tf.training.trainer import Trainer

# Images at once where paths are validated.
_BATCH = 200

_DEFAULTS = SupernetOptions()


def train_supernet(
    blueprint: Blueprint,
    train: Any,
    *,
    work_dir: str | os.PathLike[str],
    name: str = "default",
    options: TrainingOptions = _DEFAULTS,
    recipe: Recipe | None = None,
    validation: Any = None,
    recalibration: Any = None,
    class_names: Sequence[str] | None = None,
    loss: keras.losses.Loss | None = None,
    metric: keras.metrics.Metric | None = None,
    labels: str | None = None,
    direction: str = "max",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    fix: Sequence[str] | Mapping[str, Any] = (),
    fix_from: str | os.PathLike[str] | None = None,
    **limited_by: Any,
) -> TrainedSupernet:
    """Trains a supernet, or resumes the training where it stopped.

    Writes `work_dir/supernet/<name>/`: checkpoints, TensorBoard events,
    `run.json`, `labels.json`; with `algorithm="gumbel"` or `"two_path"` also
    `best.json`, the architecture that was found.

    Args:
        blueprint: The search space and its networks; see `build_blueprint`.
        train: Training images. `(images, labels)`: uint8 or float32 of 0 to
            255 `[n, height, width, 3]`, and integers `[n]`; or
            `spos_tf.folder(...)`, `spos_tf.tfds(...)`; or a batched
            `tf.data.Dataset`, which is iterated until `steps` are done and
            not augmented.
        work_dir: Folder of all results.
        name: Name of this run.
        options: How the weights are trained: `TrainingOptions`, or
            `SupernetOptions`, which also say how paths are drawn.
        recipe: Values of options that are None, from `plan_supernet`; those
            of the preset's recipe if None.
        validation: Images that the weights do not see and paths are scored
            on, like `train`. If None, `holdout_per_class` images of every
            class are kept back, and `confirm_per_class` others on which a
            search confirms its winner.
        recalibration: Images that batch norm is recalibrated on; the training
            images if None.
        class_names: Names of the classes in the order of the labels.
        loss: Keras loss of logits; cross-entropy if None.
        metric: Keras metric that validation reports; accuracy if None.
        labels: "sparse" or "one_hot": what `loss` and `metric` take, where
            the names of their classes do not say so.
        direction: "max" or "min": which values of the metric are better.
        callbacks: Keras callbacks. Their epoch ends at every validation, or
            where there is none at every checkpoint, so CSVLogger writes a row
            each `validate_every` steps; their batch hooks come each
            `log_every` steps. A resume does not know their state.
        fix: Choices that are fixed, such as `["stage1.block1.op=3x3"]` or
            `{"stage1.block1.op": "3x3"}`.
        fix_from: Architecture file; fixes every choice that it has.
        **limited_by: Limits that every trained path keeps, by the names of
            `LimitOptions`: `max_macs=290e6`, `constraint=["params<=4e6"]`,
            `latency_table=["table.yaml"]`.

    Returns:
        The trained weights, for `search_supernet` and others.

    Raises:
        UserError: An argument is wrong or contradicts another one, or the
            folder holds another run.
        Preempted: SIGTERM came to the command; what was done is saved. In a
            process of your own SIGTERM does what it did before.
        KeyboardInterrupt: Ctrl-C; what was done is saved.

    Example:
        >>> spos_tf.train_supernet(  # doctest: +SKIP
        ...     blueprint, (images, labels), work_dir="runs/x",
        ...     options=spos_tf.TrainingOptions(steps=20_000))
    """
    # Before images are counted.
    check_keras()
    training.check_callbacks(callbacks)
    check_blueprint(blueprint)
    check_registered(blueprint)
    _check_not_pinned(blueprint)
    pins = pin_options(fix, fix_from)
    limited = LimitOptions(**limited_by)
    place = pathlib.Path(work_dir) / SUPERNET_STAGE / name
    holdout, notes = _holdout(
        options,
        validation,
        functools.partial(_usual_holdout, train, blueprint, class_names, place),
    )
    full, taken = training.completed(
        SupernetOptions,
        options,
        blueprint,
        "supernet",
        recipe,
        holdout_per_class=holdout,
    )
    # Told when nothing is refused any more: a refusal is one line.
    taken = taken._replace(notes=notes)
    _check_confirmation(full, validation)
    full = training.without_smoothing(full, options, loss)
    small, fixed = pinned(blueprint, pins)
    check_algorithm(small, full, limited)
    objective = Objective.make(
        loss,
        metric,
        labels,
        direction,
        full.label_smoothing or 0.0,
        num_classes=blueprint.num_classes,
    )
    plan = RunPlan.of(
        "train_supernet",
        SUPERNET_STAGE,
        *place_options(work_dir, name, blueprint, threads()),
        full,
        pins,
        limited,
        *job_data.source_options(train),
        recipe=taken.to_dict(),
        **training.objective_words(loss, metric, labels, direction),
    )
    with training.opened(work_dir, name, plan, full) as (run, team):
        images = job_data.training_data(
            train,
            small,
            full,
            holdout_per_class=full.holdout_per_class or 0,
            confirm_per_class=full.confirm_per_class,
            validation=validation,
            class_names=class_names,
            # A run that is resumed keeps the order of its outputs.
            outputs=read_labels(run.folder / LABELS_FILE),
        )
        search = _search_data(images, recalibration, small)
        run.check_inputs(**images.inputs)
        full = training.with_steps(full, images, run)
        if team.is_chief:
            training.write_labels(run, images.class_names)
        _Job(small, full, limited, fixed, taken, objective, team, run).train(
            images, search, callbacks
        )
        team.wait()
        # All processes share the folder.
        trained = load_supernet(os.fspath(work_dir), blueprint, name=name)
    return dataclasses.replace(trained, holdout=search)


def _check_not_pinned(blueprint: Blueprint) -> None:
    """Refuses choices that were fixed where no file would say so."""
    space = blueprint.search_space
    if space.name not in space_names():
        return
    known = build_blueprint(space.name, **blueprint.space_arguments)
    if known.search_space.legal_options != space.legal_options:
        raise UserError(
            f"Choices of the blueprint {space.name!r} were fixed by "
            "`pinned`, which a checkpoint cannot store. Give the whole "
            "blueprint, and fix them by `fix`."
        )


def _usual_holdout(
    train: Any,
    blueprint: Blueprint,
    class_names: Sequence[str] | None,
    folder: pathlib.Path,
) -> tuple[int, tuple[str, ...]]:
    """Images of a class that are kept back where nobody says how many.

    Returns:
        The number, and a line for people where it is small.
    """
    stored = options_of_run(folder).get("holdout_per_class")
    if isinstance(stored, int):
        # A run that is resumed keeps its number. If images were added since,
        # it is they that are named.
        return stored, ()
    count, reason = job_data.usual_holdout(
        images_of(
            train,
            argument="train",
            num_classes=blueprint.num_classes,
            class_names=class_names,
        )
    )
    return count, (reason,) if count < MOST_HELD_OUT else ()


def _holdout(
    options: TrainingOptions,
    validation: Any,
    usual: Callable[[], tuple[int, tuple[str, ...]]],
) -> tuple[int | None, tuple[str, ...]]:
    """Images of a class that are kept back, and lines for people."""
    given = getattr(options, "holdout_per_class", None)
    if validation is None:
        return usual() if given is None else (given, ())
    if given:
        raise UserError(
            "Paths are scored on `validation`, or on `holdout_per_class` "
            f"images of every class of `train`; got both, and {given} of a "
            "class. Leave one out."
        )
    return None, ()


def _check_confirmation(options: SupernetOptions, validation: Any) -> None:
    """Refuses to keep images back that no search could be confirmed on."""
    asked = options.confirm_per_class
    if asked and (validation is not None or not options.holdout_per_class):
        given = "`validation`"
        if validation is None:
            given = "`holdout_per_class=0`"
        raise UserError(
            "`confirm_per_class` keeps training images back in addition to "
            f"`holdout_per_class`; got `confirm_per_class={asked}` with "
            f"{given}. Leave it out."
        )


def _search_data(
    images: job_data.JobData, recalibration: Any, blueprint: Blueprint
) -> SearchData | None:
    """What paths are scored on; None where nothing was kept back."""
    trained, inputs = images.images, images.inputs
    if recalibration is not None:
        trained = images_of(
            recalibration,
            argument="recalibration",
            num_classes=blueprint.num_classes,
            outputs=images.class_names,
        )
        inputs["recalibration"] = trained.fingerprint()
    if images.scored is None:
        return None
    return job_data.search_data_of(
        trained,
        images.scored,
        images.confirmation,
        images.preprocessing,
        inputs,
        images.class_names,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """One training of a supernet."""

    # With its pins.
    blueprint: Blueprint
    options: SupernetOptions
    limited: LimitOptions
    pins: Mapping[str, Any]
    recipe: training.TakenRecipe
    objective: Objective
    team: Team
    run: Run

    @functools.cached_property
    def _drawn(self) -> Blueprint:
        """Whose paths are drawn."""
        if self.options.untied:
            return untied(self.blueprint)
        return self.blueprint

    def train(
        self,
        images: job_data.JobData,
        search: SearchData | None,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Trains to the end."""
        options, team = self.options, self.team
        # Before the supernet is made: what cannot be drawn is told at once.
        sampling = None
        if not options.learns_architecture:
            sampling = sampling_of(self._drawn, options, self.limited)
        supernet = self._supernet()

        def forward(images, selection, dropout_seed):
            return supernet(images, selection, dropout_seed=dropout_seed)

        learner = None
        if sampling is None:
            learner = self._learner(forward, search)
            used = [learner.cost] if learner.cost is not None else []
            sampling = Sampling(learner.sampler, limits.fingerprints(used))
        evaluator = validate = None
        validated: dict[str, float] = {}
        if search is not None and (learner or options.validate_every):
            evaluator = self._evaluator(supernet, search)
            validate = _keeping(self._validation(evaluator, learner), validated)
        trainer = Trainer(
            forward=forward,
            variables=supernet.named_variables,
            gates=supernet.gates,
            sampler=sampling.sampler,
            choices=(
                self._drawn.search_space.num_choices,
                int(self._drawn.search_space.num_options.max()),
            ),
            options=options,
            objective=self.objective,
            data=images.training,
            folder=self.run.folder,
            description=self._description(images, search, sampling.costs),
            team=team,
            validate=validate,
            callbacks=callbacks,
            learner=learner,
            average_every=options.average_every,
        )
        self.recipe.tell()
        if images.confirm_per_class:
            tell(
                f"{images.confirm_per_class} images of every class are kept "
                "back to confirm the winner of a search on "
                "(`confirm_per_class`)."
            )
        trainer.train()
        if not team.is_chief:
            return
        self._tell_guessing(validated)
        # With gumbel every branch runs.
        if options.algorithm != "gumbel":
            uneven = [
                *uneven_shares(self._drawn.search_space, trainer.path_counts)
            ]
            for line in uneven:
                tell(line)
            if uneven:
                tell(
                    "Scores of options with few steps may be too low. More "
                    "steps help, or wider limits."
                )
        if learner is not None and evaluator is not None:
            write_found(
                self.run.folder / "best.json",
                self.blueprint,
                learner,
                evaluator,
                self.objective.metric,
                options,
                self.limited,
            )

    def _tell_guessing(self, validated: Mapping[str, float]) -> None:
        """Says where the last validation found hardly better than chance."""
        metric = self.objective.metric
        if metric.name in validated:
            score = validated[metric.name]
            line = guessing_line(metric.name, score, metric.chance)
            if line:
                tell(line)

    def _learner(self, forward: Forward, search: SearchData | None) -> Learner:
        """Architecture parameters, which learn from the search images."""
        if search is None:
            raise UserError(
                "Architecture parameters learn from images that the weights "
                "do not see; `holdout_per_class=0` leaves none. Give some, or "
                "`validation`."
            )
        return make_learner(
            self.blueprint.search_space,
            forward,
            options=self.options,
            objective=self.objective,
            data=split_data(search.validation, search.preprocessing),
            cost=loss_cost(self.blueprint, self.options, self.limited),
            team=self.team,
        )

    def _supernet(self) -> Supernet:
        options, strategy = self.options, self.team.strategy
        synchronized = options.batch_norm == "synchronized"
        with strategy.scope():
            return Supernet(
                self._drawn,
                seed=options.seed,
                aligned=options.initialization == "aligned",
                norm=SynchronizedBatchNorm(strategy.num_replicas_in_sync)
                if synchronized
                else BatchNorm(),
                width_mode=options.width_mode,
            )

    def _description(
        self,
        images: job_data.JobData,
        search: SearchData | None,
        costs: Mapping[str, str],
    ) -> dict[str, Any]:
        """What a checkpoint says of the run."""
        options = self.options
        return {
            "kind": "supernet",
            **training.described(self.blueprint, images.class_names),
            "choices": choices_of(self.blueprint),
            "algorithm": options.algorithm,
            "steps": options.steps,
            "holdout_per_class": options.holdout_per_class,
            "search_split": None
            if search is None
            else fingerprint(search.validation),
            "confirm_per_class": images.confirm_per_class,
            "confirm_split": None
            if search is None or search.confirmation is None
            else fingerprint(search.confirmation),
            # As JSON gives it back.
            "pins": json.loads(json.dumps(self.pins)),
            # Fingerprints of costs that files say: those may have changed.
            "costs": dict(costs),
            "untied": bool(options.untied),
        }

    def _evaluator(self, supernet: Supernet, search: SearchData) -> Evaluator:
        """Scores paths as a search does: recalibrated."""
        options = self.options
        splits = (
            search.recalibration(options.recalibration_images, options.seed),
            search.validation,
        )
        recalibration, scored = (
            evaluation_batches(split, search.preprocessing, batch_size=_BATCH)
            for split in splits
        )
        metric = ScoreAndLoss(self.objective)
        return Evaluator(supernet, recalibration, scored, metric)

    def _validation(
        self, evaluator: Evaluator, learner: Learner | None
    ) -> Callable[[], Mapping[str, float]]:
        """Mean score of a few fixed paths, or that of the architecture."""
        name = self.objective.metric.name
        if learner is not None:
            parameters = learner.sampler.parameters

            def validate_best() -> Mapping[str, float]:
                (found,) = _measured(evaluator, [parameters.encoding()])
                return {name: found.result(), "loss": found.loss}

            return validate_best
        random = generator(self.options.seed, Purpose.VALIDATION_PATHS)
        paths = [
            *self.blueprint.search_space.sample(
                random, self.options.validation_paths
            )
        ]
        if self.options.untied:
            paths = [untied_encoding(self.blueprint, path) for path in paths]

        def validate() -> Mapping[str, float]:
            # Together: images are decoded once for all of them.
            found = _measured(evaluator, paths)
            scores = [one.result() for one in found]
            losses = [one.loss for one in found]
            named = {f"path{i}": score for i, score in enumerate(scores)}
            means = {name: np.mean(scores), "loss": np.mean(losses)}
            return {**named, **{key: float(one) for key, one in means.items()}}

        return validate


def _keeping(
    validate: Callable[[], Mapping[str, float]], last: dict[str, float]
) -> Callable[[], Mapping[str, float]]:
    """A validation that leaves its figures in `last` too."""

    def kept() -> Mapping[str, float]:
        figures = validate()
        last.update(figures)
        return figures

    return kept


def _measured(
    evaluator: Evaluator, paths: Sequence[np.ndarray]
) -> list[ScoreAndLoss]:
    """Score and loss of every path, from an evaluator made with one."""
    return cast(list[ScoreAndLoss], evaluator.measure(paths))
