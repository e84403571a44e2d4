r"""Trains a final network, from scratch or from the supernet's weights.

Example:
  python tools/train_subnet.py \
      --flagfile=saved_configs/train_subnet/cifar10.flags \
      --work_dir=runs/cifar10 --data_dir=DIR --name=winner \
      --search_name=evolution

Reads an architecture (work_dir/search/<search_name>/best.json, or what
--architecture, --encoding or --network name) and writes
work_dir/subnet/<name>/: subnet.keras (a plain Keras model), architecture.json,
metrics.json, checkpoints/ and TensorBoard events. Start it again to go on
where it stopped.
"""

import json
import pathlib
import time

import numpy as np
import program
import run_folder
from absl import flags, logging

import shared_flags
import trained_subnet
import trained_supernet
import training_flags
import training_run
from spos_tf.atomic_write import unfinished
from spos_tf.errors import UserError, said_of
from spos_tf.strict_json import parse_json

FLAGS = flags.FLAGS

shared_flags.define_run()
shared_flags.define_space()
shared_flags.define_network()
shared_flags.define_data(holdout_per_class=0)
training_flags.define_training(steps=300_000)
trained_supernet.define_supernet()
flags.DEFINE_string(
    "architecture", None, "Architecture file, for example a best.json."
)
flags.DEFINE_string(
    "encoding", None, "Comma-separated option indices, instead of a file."
)
flags.DEFINE_string(
    "search_name",
    "default",
    "Without --architecture, --encoding and --network: the search whose "
    "best.json is trained.",
)
flags.DEFINE_float(
    "fit_macs",
    None,
    "Scale all stage widths by one factor to the most multiply-adds at or "
    "below this.",
)
flags.DEFINE_string(
    "inherit_from",
    None,
    "Work_dir of a supernet whose weights the network starts with.",
)


flags.DEFINE_enum(
    "quantize",
    None,
    ["int8"],
    "Trains with 8-bit quantizers of tfmot in the network; tools/export.py "
    "then writes a full-integer TFLite file without representative images.",
)
flags.DEFINE_string(
    "start_from",
    None,
    "Name of a trained network of the same architecture, in the same "
    "--work_dir, whose weights are gone on from: with --quantize usually the "
    "network in float.",
)

flags.DEFINE_bool(
    "deploy_form",
    False,
    "Trains a network with bits on as the integer files will compute it, with "
    "the batch norm statistics of --start_from; a tenth of the usual "
    "--learning_rate is plenty.",
)

# Images that show an 8-bit network the ranges of its features.
_CALIBRATION_IMAGES = 500


def _described():
    """Blueprint and encoding that the flags name, before --fit_macs."""
    from spos_tf.space.search_space import parse_encoding

    if shared_flags.network_is_named():
        return shared_flags.named_network()
    if FLAGS.encoding and FLAGS.architecture:
        raise UserError("Give --encoding or --architecture, not both.")
    if FLAGS.encoding:
        blueprint = shared_flags.blueprint()
        encoding = blueprint.search_space.check(parse_encoding(FLAGS.encoding))
        return blueprint, encoding
    best = pathlib.Path(FLAGS.work_dir) / "search" / FLAGS.search_name
    return shared_flags.network_of(FLAGS.architecture or best / "best.json")


def _fitted(blueprint, encoding):
    """The blueprint with stage widths scaled to --fit_macs."""
    from spos_tf.cost.counts import network_cost
    from spos_tf.cost.fit import fit_stage_widths
    from spos_tf.spaces import build_blueprint

    if FLAGS.fit_macs is None:
        return blueprint
    if not blueprint.stage_widths:
        raise UserError(
            f"--fit_macs scales stage_widths; space "
            f"{blueprint.search_space.name!r} has none."
        )
    arguments = {
        name: value
        for name, value in blueprint.space_arguments.items()
        if name != "stage_widths"
    }

    def build(widths):
        return build_blueprint(
            blueprint.search_space.name, **arguments, stage_widths=widths
        )

    fitted = fit_stage_widths(
        build, blueprint.stage_widths, encoding, FLAGS.fit_macs
    )
    logging.info(
        "Stage widths %s scaled to %s: %s MACs.",
        blueprint.stage_widths,
        fitted.stage_widths,
        f"{network_cost(fitted, encoding).macs:,}",
    )
    return fitted


def _inherit(model, blueprint, encoding, parts, preprocessing):
    """Sets the supernet's weights and this path's batch-norm statistics."""
    from spos_tf.data.pipeline import evaluation_batches
    from spos_tf.evaluation.evaluator import Evaluator
    from spos_tf.networks.blueprint import plain_arguments
    from spos_tf.networks.supernet import Supernet
    from spos_tf.networks.transfer import inherit_weights, load_weights

    trained = trained_supernet.read_supernet(FLAGS.inherit_from)
    theirs, ours = (
        (one.search_space.name, plain_arguments(one.space_arguments))
        for one in (trained.blueprint, blueprint)
    )
    if theirs != ours:
        raise UserError(
            "Weights are inherited by a network of the supernet's own space "
            f"and arguments: the supernet is of {theirs[0]!r} with "
            f"{theirs[1]}, the network of {ours[0]!r} with {ours[1]}. Leave "
            "--inherit_from (or --fit_macs) out, or choose another supernet."
        )
    supernet = Supernet(trained.blueprint)
    with said_of(FLAGS.inherit_from):
        load_weights(supernet, trained.weights)
    count = min(2000, len(parts.train))
    batches = evaluation_batches(
        parts.recalibration(count, FLAGS.seed), preprocessing, batch_size=200
    )
    statistics = Evaluator(supernet, batches, []).recalibrate(encoding)
    inherit_weights(model, blueprint, encoding, trained.weights, statistics)


def _build(blueprint, encoding):
    """The network that is trained, with initial weights."""
    from spos_tf.lowbit.deployable_subnet import build_deployable_subnet
    from spos_tf.networks.int8_subnet import build_int8_subnet
    from spos_tf.networks.subnet import build_subnet

    build = build_int8_subnet if FLAGS.quantize else build_subnet
    if FLAGS.deploy_form:
        build = build_deployable_subnet
    return build(
        blueprint,
        encoding,
        seed=FLAGS.seed,
        synchronized=FLAGS.batch_norm == "synchronized",
    )


def _check_same(path, blueprint, encoding):
    """Refuses to start from another network: bits are no weights."""
    theirs = shared_flags.network_of(path)
    ours = blueprint.architecture(encoding).to_dict()
    other = theirs.blueprint.architecture(theirs.encoding).to_dict()
    # How a supernet kept its clip levels is nothing of a network's.
    for one in (ours, other):
        one["space_arguments"].pop("clip", None)
    if ours != other:
        raise UserError(
            f"--start_from={FLAGS.start_from} is a network of another "
            f"architecture (see {str(path)!r}). Name one of the same."
        )


def _start(model, blueprint, encoding, parts, preprocessing):
    """Weights from elsewhere, and the ranges of an 8-bit network."""
    from spos_tf.data.pipeline import evaluation_batches
    from spos_tf.lowbit.deployable_subnet import place_grids
    from spos_tf.networks.int8_subnet import calibrate, copy_weights
    from spos_tf.networks.keras_file import load_keras_file

    if FLAGS.inherit_from:
        _inherit(model, blueprint, encoding, parts, preprocessing)
    if FLAGS.start_from:
        path = pathlib.Path(FLAGS.work_dir, "subnet", FLAGS.start_from)
        source = path / "subnet.keras"
        if not source.is_file():
            raise UserError(
                f"--start_from={FLAGS.start_from} names no trained network: "
                f"there is none at {str(source)!r}."
            )
        _check_same(path / "architecture.json", blueprint, encoding)
        copy_weights(load_keras_file(source), model)
    if FLAGS.deploy_form:
        place_grids(model, blueprint, encoding)
    if FLAGS.quantize:
        count = min(_CALIBRATION_IMAGES, len(parts.train))
        batches = evaluation_batches(
            parts.recalibration(count, FLAGS.seed),
            preprocessing,
            batch_size=100,
        )
        calibrate(model, (images for images, _ in batches))


def _deploy_form(model, blueprint, encoding, settled=False):
    """The deploy form that --deploy_form asks for; None without it.

    With `settled` the network's own weights are put where its integers are.
    """
    from spos_tf.lowbit.deploy_form import deploy_form, settle
    from spos_tf.lowbit.integer_graph import integer_graph

    if not FLAGS.deploy_form:
        return None
    graph = integer_graph(model, blueprint, encoding)
    if settled:
        settle(graph)
    return deploy_form(model, graph)


def _in_float32(model, blueprint, encoding):
    """The network as it is saved: float32, whatever it was trained in."""
    import keras

    if FLAGS.dtype_policy == "float32":
        return model
    keras.config.set_dtype_policy("float32")
    plain = _build(blueprint, encoding)
    for ours, trained in zip(plain.variables, model.variables, strict=True):
        ours.assign(keras.ops.convert_to_numpy(trained.value))
    return plain


def _seconds_before(folder: pathlib.Path) -> float | None:
    """What an earlier start, which ended the training, wrote down."""
    try:
        return parse_json((folder / "metrics.json").read_bytes())["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def main() -> None:
    """Trains, then writes the network and its figures."""
    with run_folder.open_run(
        "train_subnet",
        "subnet",
        free=training_flags.FREE,
        writes=training_flags.is_chief(),
    ) as folder:
        _train(folder)


def _train(folder: pathlib.Path) -> None:
    if FLAGS.start_from and FLAGS.inherit_from:
        raise UserError("Give --start_from or --inherit_from, not both.")
    from spos_tf.cost.counts import network_cost

    if FLAGS.deploy_form and (FLAGS.quantize or not FLAGS.start_from):
        raise UserError(
            "--deploy_form goes on from a trained network with bits: name it "
            "by --start_from, and leave --quantize out."
        )
    blueprint, encoding = _described()
    blueprint = _fitted(blueprint, encoding)
    if FLAGS.deploy_form and network_cost(blueprint, encoding).bit_ops is None:
        raise UserError(
            "--deploy_form is for networks with bits; this one of "
            f"{blueprint.search_space.name!r} has none. Leave it out."
        )
    options = training_flags.loop_options()
    preprocessing = shared_flags.preprocessing(blueprint)
    team = training_flags.prepare_backend()
    parts = shared_flags.splits(blueprint)

    from spos_tf.export import keras_predictor

    architecture = blueprint.architecture(encoding)
    with team.strategy.scope():
        model = _build(blueprint, encoding)
    # What is gone on from has its weights, whatever became of the supernet.
    resumed = any((folder / "checkpoints").glob("step-*.npz"))
    if not resumed:
        _start(model, blueprint, encoding, parts, preprocessing)

    # Which computes as the files will, with the network's own variables.
    trained = _deploy_form(model, blueprint, encoding) or model

    def accuracy(network):
        return trained_subnet.accuracy(
            keras_predictor(network), parts.test, preprocessing
        )

    started = time.perf_counter()
    if team.is_chief:
        with unfinished(folder / "architecture.json") as path:
            path.write_text(architecture.to_json(), "utf-8")
    training_run.train(
        folder,
        blueprint=blueprint,
        description={"kind": "subnet", "encoding": encoding.tolist()},
        forward=lambda images, path, step: trained(images, training=True),
        variables={variable.path: variable for variable in model.variables},
        gates=[(variable, None) for variable in model.trainable_variables],
        sampler=None,
        path_counts=np.zeros((0, 0), np.int64),
        split=parts.train,
        preprocessing=preprocessing,
        options=options,
        team=team,
        validate=lambda: {"accuracy": accuracy(trained)},
    )
    if not team.is_chief:
        team.wait()
        return
    seconds = round(time.perf_counter() - started, 1)
    model = _in_float32(model, blueprint, encoding)
    form = _deploy_form(model, blueprint, encoding, settled=True)
    with unfinished(folder / "subnet.keras") as path:
        model.save(path)
    cost = network_cost(blueprint, encoding)
    chooses = blueprint.search_space.has_choices
    metrics = {
        "encoding": encoding.tolist() if chooses else None,
        "macs": cost.macs,
        "params": cost.params,
        "bit_ops": cost.bit_ops,
        "test_accuracy": accuracy(model),
        "test_images": len(parts.test),
        "steps": options.steps,
        # Those of a start that was killed are not known.
        "seconds": _seconds_before(folder) if resumed else seconds,
    }
    if form is not None:
        metrics["deploy_form_accuracy"] = accuracy(form)
    with unfinished(folder / "metrics.json") as path:
        path.write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
    logging.info(
        "Test accuracy %.2f %% with %s MACs and %s weights; see %s.",
        100 * metrics["test_accuracy"],
        f"{cost.macs:,}",
        f"{cost.params:,}",
        folder,
    )
    team.wait()


if __name__ == "__main__":
    program.run(main)
