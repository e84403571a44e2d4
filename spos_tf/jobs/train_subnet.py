"""Trains a single network, from scratch or from a supernet's weights."""

import dataclasses
import functools
import math
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from spos_tf.atomic_write import unfinished, write_json, write_text
from spos_tf.cost.counts import Cost, network_cost
from spos_tf.cost.fit import fit_stage_widths
from spos_tf.data.examples import AnySplit
from spos_tf.data.inputs import images_of
from spos_tf.data.pipeline import evaluation_batches
from spos_tf.data.sources import DataSource
from spos_tf.errors import UserError, said_of
from spos_tf.evaluation.evaluator import Evaluator
from spos_tf.export.runtimes import keras_predictor
from spos_tf.jobs import data as job_data
from spos_tf.jobs import training
from spos_tf.jobs.blueprints import can_be_built, found_blueprint, place_options
from spos_tf.jobs.notes import tell
from spos_tf.jobs.process import threads
from spos_tf.jobs.run_folder import Run, RunPlan
from spos_tf.jobs.trained import (
    ARCHITECTURE_FILE,
    LABELS_FILE,
    SUBNET_FILE,
    SUBNET_STAGE,
    SUPERNET_STAGE,
    TrainedSubnet,
    TrainedSupernet,
    Weights,
    load_supernet,
    read_labels,
    read_network,
    remember,
    tell_of_fewer,
)
from spos_tf.jobs.validation import ScoreAndLoss, score
from spos_tf.lowbit.deploy_form import deploy_form, settle
from spos_tf.lowbit.deployable_subnet import (
    build_deployable_subnet,
    place_grids,
)
from spos_tf.lowbit.integer_graph import integer_graph
from spos_tf.networks.blueprint import Blueprint, plain_arguments
from spos_tf.networks.int8_subnet import (
    build_int8_subnet,
    calibrate,
    copy_weights,
)
from spos_tf.networks.keras_file import load_keras_file, lowest_keras
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.supernet import Supernet
from spos_tf.networks.transfer import inherit_weights, load_weights
from spos_tf.options import (
    NetworkOptions,
    Recipe,
    StartOptions,
    SubnetOptions,
    SupernetNameOptions,
    TrainingOptions,
)
from spos_tf.space import Architecture
from spos_tf.space.candidate import score_text
from spos_tf.space.search_space import format_encoding
from spos_tf.spaces import build_blueprint
from spos_tf.strict_json import parse_json
from spos_tf.training.objective import Objective
from spos_tf.training.team import Team
from spos_tf.training.trainer import Trainer

# Images that show an 8-bit network the ranges of its features.
_CALIBRATION_IMAGES = 500
_BATCH, _CALIBRATION_BATCH = 200, 100

_DEFAULTS = SubnetOptions()
_OTHER_CLASSES = (
    ", or train the architecture alone on these classes: name the file that "
    "has it by `architecture`"
)


def train_subnet(
    network: Any,
    train: Any,
    *,
    test: Any = None,
    work_dir: str | os.PathLike[str],
    name: str = "default",
    options: TrainingOptions = _DEFAULTS,
    recipe: Recipe | None = None,
    class_names: Sequence[str] | None = None,
    loss: keras.losses.Loss | None = None,
    metric: keras.metrics.Metric | None = None,
    labels: str | None = None,
    direction: str = "max",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    inherit_from: TrainedSupernet | str | os.PathLike[str] | None = None,
    supernet_name: str = "default",
    weights: Weights | None = None,
    start_from: str | None = None,
) -> keras.Model:
    """Trains one network of a space, or resumes the training.

    Writes `work_dir/subnet/<name>/`: `subnet.keras` (a plain Keras model),
    `architecture.json`, `labels.json`, `metrics.json`, `run.json`,
    checkpoints and TensorBoard events.

    Args:
        network: What `search_supernet` found (`found.best`), an
            `Architecture`, or `(blueprint, encoding)`.
        train: Training images, as for `train_supernet`.
        test: Images that the network is measured on, likewise. If None, the
            test images of `train`, where it is a data set that has some.
        work_dir: Folder of all results.
        name: Name of this run.
        options: How the weights are trained: `TrainingOptions`, or
            `SubnetOptions`, which also say the form of the network.
        recipe: Values of options that are None, from `plan_subnet`; those of
            the preset's recipe if None.
        class_names: Names of the classes in the order of the labels.
        loss: Keras loss of logits; cross-entropy if None.
        metric: Keras metric; accuracy if None.
        labels: "sparse" or "one_hot": what `loss` and `metric` take, where
            the names of their classes do not say so.
        direction: "max" or "min": which values of the metric are better.
        callbacks: Keras callbacks. Their epoch ends at every validation, or
            where there is none at every checkpoint, so CSVLogger writes a row
            each `validate_every` steps; their batch hooks come each
            `log_every` steps. A resume does not know their state.
        inherit_from: Supernet whose weights the network starts with, or the
            work_dir of one.
        supernet_name: Name of the supernet in that work_dir.
        weights: "averaged" or "last": which weights of the supernet; if
            None, those that `load_supernet` reads by default.
        start_from: Name of a trained network of the same architecture, in
            the same work_dir, whose weights this one starts with.

    Returns:
        A functional `keras.Model`, images float32 RGB 0..255 `[batch, height,
        width, 3]` -> logits `[batch, classes]`, compiled. `export_subnet`
        knows its architecture.

    Raises:
        UserError: An argument is wrong or contradicts another one, or the
            folder holds another run.
        Preempted: SIGTERM came to the command; what was done is saved. In a
            process of your own SIGTERM does what it did before.
        KeyboardInterrupt: Ctrl-C; what was done is saved.

    Example:
        >>> model = spos_tf.train_subnet(  # doctest: +SKIP
        ...     found.best, train, test=test, work_dir="runs/x")
        >>> model.evaluate(images, labels)  # doctest: +SKIP
    """
    training.check_callbacks(callbacks)
    blueprint, encoding, found_names = _network(network)
    full, taken = training.completed(
        SubnetOptions,
        options,
        blueprint,
        "subnet",
        recipe,
        holdout_per_class=getattr(options, "holdout_per_class", None) or 0,
    )
    full = training.without_smoothing(full, options, loss)
    start = _start_options(
        inherit_from, supernet_name, weights, start_from, full
    )
    objective = Objective.make(
        loss,
        metric,
        labels,
        direction,
        full.label_smoothing or 0.0,
        num_classes=blueprint.num_classes,
    )
    plan = RunPlan.of(
        "train_subnet",
        SUBNET_STAGE,
        *place_options(work_dir, name, blueprint, threads()),
        NetworkOptions(encoding=format_encoding(encoding)),
        full,
        *start,
        *job_data.source_options(train),
        recipe=taken.to_dict(),
        **training.objective_words(loss, metric, labels, direction),
    )
    with training.opened(work_dir, name, plan, full) as (run, team):
        blueprint = _fitted(blueprint, encoding, full)
        _check_bits(blueprint, encoding, full)
        images = job_data.training_data(
            train,
            blueprint,
            full,
            holdout_per_class=full.holdout_per_class or 0,
            class_names=class_names,
            outputs=_outputs(run, inherit_from, start, found_names),
            way_out=_OTHER_CLASSES,
        )
        tested = _test_split(train, test, blueprint, images)
        run.check_inputs(**images.inputs)
        full = training.with_steps(full, images, run)
        job = _Job(blueprint, encoding, full, taken, objective, team, run)
        model = job.train(images, tested, callbacks, inherit_from, *start)
        with team.strategy.scope():
            training.compile_model(model, full, objective, metric)
        team.wait()
    known = TrainedSubnet(model, blueprint, encoding, images.class_names)
    return remember(known)


def _network(given: Any) -> tuple[Blueprint, np.ndarray, Sequence[str] | None]:
    """The family, the encoding and perhaps the classes of what is trained."""
    if isinstance(given, Architecture):
        found = found_blueprint(given.search_space, given.space_arguments, None)
        return found, found.encode(given), None
    blueprint: Any
    # What a search found knows the classes that it was found on.
    names = getattr(given, "class_names", None)
    if isinstance(given, tuple | list) and len(given) == 2:
        blueprint, encoding = given
    else:
        blueprint = getattr(given, "blueprint", None)
        encoding = getattr(given, "encoding", None)
    if not isinstance(blueprint, Blueprint) or encoding is None:
        raise UserError(
            "`network` is what search_supernet found (`found.best`), an "
            "Architecture, or (blueprint, encoding); got "
            f"{type(given).__name__}."
        )
    return blueprint, blueprint.search_space.check(encoding), names


def _outputs(
    run: Run,
    inherit_from: TrainedSupernet | str | os.PathLike[str] | None,
    start: tuple[SupernetNameOptions, StartOptions],
    found: Sequence[str] | None,
) -> Sequence[str] | None:
    """Names of the classes in the order of the outputs, where one is set.

    That of a run that is resumed, of the weights that it starts with, or of
    the supernet that was searched.
    """
    supernet, weights = start
    own = read_labels(run.folder / LABELS_FILE)
    if own is not None:
        return own
    if weights.start_from is not None:
        folder = run.folder.parent / weights.start_from
        return read_labels(folder / LABELS_FILE)
    if isinstance(inherit_from, TrainedSupernet):
        return inherit_from.class_names
    if inherit_from is not None:
        folder = pathlib.Path(inherit_from) / SUPERNET_STAGE
        return read_labels(folder / supernet.supernet_name / LABELS_FILE)
    return found


def _start_options(
    inherit_from: TrainedSupernet | str | os.PathLike[str] | None,
    supernet_name: str,
    weights: Weights | None,
    start_from: str | None,
    options: SubnetOptions,
) -> tuple[SupernetNameOptions, StartOptions]:
    """What `run.json` says of the weights that a network starts with.

    Raises:
        UserError: Two starts are named, or `deploy_form` lacks one.
    """
    if start_from is not None and inherit_from is not None:
        raise UserError("Give `start_from` or `inherit_from`, not both.")
    if weights is not None and inherit_from is None:
        raise UserError(
            f"`weights={weights}` says which weights of `inherit_from` a "
            "network starts with. Give both or none."
        )
    if options.deploy_form and start_from is None:
        raise UserError(
            "`deploy_form` fine-tunes a trained network with bits: name it by "
            "`start_from`."
        )
    place: str | None = None
    if isinstance(inherit_from, TrainedSupernet):
        supernet_name = inherit_from.name
        if inherit_from.work_dir is not None:
            place = os.fspath(inherit_from.work_dir)
    elif inherit_from is not None:
        place = os.fspath(inherit_from)
    return (
        SupernetNameOptions(supernet_name=supernet_name),
        StartOptions(
            inherit_from=place, weights=weights, start_from=start_from
        ),
    )


def _fitted(
    blueprint: Blueprint, encoding: np.ndarray, options: SubnetOptions
) -> Blueprint:
    """The blueprint with stage widths scaled to `fit_macs`."""
    if options.fit_macs is None:
        return blueprint
    name = blueprint.search_space.name
    if not blueprint.stage_widths:
        raise UserError(
            f"`fit_macs` scales stage_widths; space {name!r} has none."
        )
    if not can_be_built(name):
        raise UserError(
            "`fit_macs` builds the blueprint again with other stage_widths; "
            f"space {name!r} was built in Python. Scale it there."
        )
    arguments = {
        key: value
        for key, value in blueprint.space_arguments.items()
        if key != "stage_widths"
    }
    fitted = fit_stage_widths(
        lambda widths: build_blueprint(name, **arguments, stage_widths=widths),
        blueprint.stage_widths,
        encoding,
        options.fit_macs,
    )
    tell(
        f"Stage widths {blueprint.stage_widths} scaled to "
        f"{fitted.stage_widths}: {network_cost(fitted, encoding).macs:,} MACs."
    )
    return fitted


def _check_bits(
    blueprint: Blueprint, encoding: np.ndarray, options: SubnetOptions
) -> None:
    if not options.deploy_form:
        return
    if network_cost(blueprint, encoding).bit_ops is None:
        raise UserError(
            "`deploy_form` is for networks with bits; this one of "
            f"{blueprint.search_space.name!r} has none. Leave it out."
        )


def _test_split(
    train: Any, test: Any, blueprint: Blueprint, images: job_data.JobData
) -> AnySplit | None:
    """The images that the network is measured on; None without any."""
    if test is None and isinstance(train, DataSource):
        test = train
    if test is None:
        return None
    given = images_of(
        test,
        argument="test",
        num_classes=blueprint.num_classes,
        outputs=images.class_names,
    )
    if test is not train:
        job_data.refuse_bad_files(given)
    job_data.refuse_undecodable(given)
    images.inputs["test"] = given.fingerprint()
    return given.everything(images.preprocessing)


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """One training of a single network."""

    # With its final widths.
    blueprint: Blueprint
    encoding: np.ndarray
    options: SubnetOptions
    recipe: training.TakenRecipe
    objective: Objective
    team: Team
    run: Run

    def train(
        self,
        images: job_data.JobData,
        tested: AnySplit | None,
        callbacks: Sequence[keras.callbacks.Callback],
        inherit_from: TrainedSupernet | str | os.PathLike[str] | None,
        supernet: SupernetNameOptions,
        start: StartOptions,
    ) -> keras.Model:
        """Trains to the end and writes the files; returns the network."""
        team, folder = self.team, self.run.folder
        with team.strategy.scope():
            model = self._build()
        # A resumed run has its weights, whatever became of the supernet.
        resumed = any((folder / "checkpoints").glob("step-*.npz"))
        if not resumed:
            _start(model, self, images, inherit_from, supernet, start)
        # It computes as the files will, with the network's own variables.
        trained = self._deploy_form(model) or model
        measure = ScoreAndLoss(self.objective)

        def measured(network: keras.Model, split: AnySplit) -> float:
            predict = keras_predictor(network)
            return score(predict, split, images.preprocessing, measure)

        def validate(split: AnySplit) -> Mapping[str, float]:
            value = measured(trained, split)
            return {measure.name: value, "loss": measure.loss}

        started = time.perf_counter()
        if team.is_chief:
            architecture = self.blueprint.architecture(self.encoding)
            write_text(folder / ARCHITECTURE_FILE, architecture.to_json())
            training.write_labels(self.run, images.class_names)
        trainer = Trainer(
            forward=lambda pixels, selection, seed: trained(
                pixels, training=True
            ),
            variables={one.path: one for one in model.variables},
            gates={one.path: None for one in model.trainable_variables},
            sampler=None,
            choices=(0, 0),
            options=self.options,
            objective=self.objective,
            data=images.training,
            folder=folder,
            description={
                "kind": "subnet",
                **training.described(self.blueprint, images.class_names),
                "encoding": self.encoding.tolist(),
            },
            team=team,
            validate=None
            if tested is None
            else functools.partial(validate, tested),
            callbacks=callbacks,
        )
        self.recipe.tell()
        trainer.train()
        seconds = round(time.perf_counter() - started, 1)
        model = self._in_float32(model)
        if not team.is_chief:
            return model
        form = self._deploy_form(model, settled=True)
        if tested is not None:
            tell(f"Measuring the network on {len(tested):,} test images.")
        with unfinished(folder / SUBNET_FILE) as path:
            model.save(path)
        self._write_metrics(
            None if tested is None else measured(model, tested),
            None if tested is None or form is None else measured(form, tested),
            0 if tested is None else len(tested),
            _seconds_before(folder) if resumed else seconds,
        )
        return model

    def _build(self) -> keras.Model:
        """The network that is trained, with initial weights."""
        options = self.options
        build = build_int8_subnet if options.quantize else build_subnet
        if options.deploy_form:
            build = build_deployable_subnet
        return build(
            self.blueprint,
            self.encoding,
            seed=options.seed,
            synchronized=options.batch_norm == "synchronized",
        )

    def _deploy_form(
        self, model: keras.Model, settled: bool = False
    ) -> keras.Model | None:
        """The deploy form that the options ask for; None without it.

        With `settled` the network's own weights are put where its integers
        are.
        """
        if not self.options.deploy_form:
            return None
        graph = integer_graph(model, self.blueprint, self.encoding)
        if settled:
            settle(graph)
        return deploy_form(model, graph)

    def _in_float32(self, model: keras.Model) -> keras.Model:
        """The network as it is saved: float32, whatever it was trained in."""
        if self.options.dtype_policy == "float32":
            return model
        keras.config.set_dtype_policy("float32")
        with self.team.strategy.scope():
            plain = self._build()
        for ours, trained in zip(plain.variables, model.variables, strict=True):
            ours.assign(keras.ops.convert_to_numpy(trained.value))
        return plain

    def _write_metrics(
        self,
        value: float | None,
        form: float | None,
        images: int,
        seconds: float | None,
    ) -> None:
        cost = network_cost(self.blueprint, self.encoding)
        metric = self.objective.metric
        metrics = {
            "encoding": self.encoding.tolist()
            if self.blueprint.search_space.has_choices
            else None,
            "macs": cost.macs,
            "params": cost.params,
            "bit_ops": cost.bit_ops,
            "metric": metric.name,
            "direction": metric.direction,
            "test_score": value,
            "test_images": images,
            "steps": self.options.steps,
            # Those of a start that was killed are not known.
            "seconds": seconds,
        }
        path = self.run.folder / SUBNET_FILE
        metrics["keras"] = keras.version()
        metrics["lowest_keras"] = lowest_keras(path)
        if metric.is_accuracy:
            metrics["test_accuracy"] = value
        if form is not None:
            metrics[f"deploy_form_{metric.name}"] = form
        write_json(self.run.folder / "metrics.json", metrics)
        self._tell(value, images, cost)

    def _tell(self, value: float | None, images: int, cost: Cost) -> None:
        metric = self.objective.metric
        measured = "Trained"
        if value is not None:
            measured = f"Test {metric.name} {score_text(metric.name, value)}"
            if metric.is_accuracy and images:
                error = 100 * math.sqrt(value * (1 - value) / images)
                measured += (
                    f" of {images:,} images (standard error {error:.2f} points)"
                )
        tell(
            f"{measured} with {cost.macs:,} MACs and {cost.params:,} weights; "
            f"see {self.run.folder}."
        )


def _seconds_before(folder: pathlib.Path) -> float | None:
    """What an earlier start, which ended the training, wrote down."""
    try:
        seconds: float | None = parse_json(
            (folder / "metrics.json").read_bytes()
        )["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return seconds


def _start(
    model: keras.Model,
    job: _Job,
    images: job_data.JobData,
    inherit_from: TrainedSupernet | str | os.PathLike[str] | None,
    supernet: SupernetNameOptions,
    start: StartOptions,
) -> None:
    """Weights from elsewhere, and the ranges of an 8-bit network."""
    blueprint, encoding, options = job.blueprint, job.encoding, job.options
    if inherit_from is not None:
        if not isinstance(inherit_from, TrainedSupernet):
            known = can_be_built(blueprint.search_space.name)
            inherit_from = load_supernet(
                inherit_from,
                None if known else blueprint,
                name=supernet.supernet_name,
            )
        _inherit(model, job, images, inherit_from, start)
    if start.start_from is not None:
        folder = job.run.folder.parent / start.start_from
        source = folder / SUBNET_FILE
        if not source.is_file():
            raise UserError(
                f"`start_from={start.start_from}` names no trained network: "
                f"there is none at {str(source)!r}."
            )
        _check_same(folder / ARCHITECTURE_FILE, blueprint, encoding)
        copy_weights(load_keras_file(source), model)
    if options.deploy_form:
        place_grids(model, blueprint, encoding)
    if options.quantize:
        split = images.images.subset(
            images.preprocessing, _CALIBRATION_IMAGES, options.seed
        )
        batches = evaluation_batches(
            split, images.preprocessing, batch_size=_CALIBRATION_BATCH
        )
        calibrate(model, (pixels for pixels, _ in batches))


def _inherit(
    model: keras.Model,
    job: _Job,
    images: job_data.JobData,
    trained: TrainedSupernet,
    start: StartOptions,
) -> None:
    """Sets the supernet's weights and this path's batch-norm statistics."""
    theirs, ours = (
        (one.search_space.name, plain_arguments(one.space_arguments))
        for one in (trained.blueprint, job.blueprint)
    )
    if theirs != ours:
        raise UserError(
            "Weights are inherited by a network of the supernet's own space "
            f"and arguments: the supernet is of {theirs[0]!r} with "
            f"{theirs[1]}, the network of {ours[0]!r} with {ours[1]}. Leave "
            "`inherit_from` (or `fit_macs`) out, or choose another supernet."
        )
    weights = trained.arrays(start.weights)
    job.run.check_inputs(inherit_from=trained.fingerprint(start.weights))
    tell(
        f"The network starts with the {trained.chosen(start.weights)} weights "
        f"of {trained.words()}."
    )
    supernet = Supernet(trained.blueprint)
    with said_of(trained.work_dir or "the supernet"):
        load_weights(supernet, weights)
    count = job.options.recalibration_images or trained.recalibration_images
    split = images.images.subset(images.preprocessing, count, job.options.seed)
    tell_of_fewer(len(split), count)
    batches = evaluation_batches(split, images.preprocessing, batch_size=_BATCH)
    statistics = Evaluator(supernet, batches, []).recalibrate(job.encoding)
    inherit_weights(model, job.blueprint, job.encoding, weights, statistics)


def _check_same(
    path: pathlib.Path, blueprint: Blueprint, encoding: np.ndarray
) -> None:
    """Refuses to start from another network: bits are no weights."""
    registered = can_be_built(blueprint.search_space.name)
    theirs = read_network(path, None if registered else blueprint)
    ours = blueprint.architecture(encoding).to_dict()
    other = theirs[0].architecture(theirs[1]).to_dict()
    # How a supernet kept its clip levels is nothing of a network's.
    for one in (ours, other):
        one["space_arguments"].pop("clip", None)
    if ours != other:
        raise UserError(
            "`start_from` is a network of another architecture (see "
            f"{str(path)!r}). Name one of the same."
        )
