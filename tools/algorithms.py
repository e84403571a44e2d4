"""How a supernet is trained: --algorithm, its flags, and what they exclude."""

from typing import TYPE_CHECKING, Any

from absl import flags

import limits
from spos_tf.errors import UserError

if TYPE_CHECKING:
    from spos_tf.networks.blueprint import Blueprint
    from spos_tf.training.path_dropout import PathDropoutSampler

FLAGS = flags.FLAGS

_LEARNED: dict[str, Any] = {
    "architecture_every": 5,
    "architecture_warmup": 0.1,
    "architecture_cost": "macs",
    "architecture_cost_weight": 0.0,
    "architecture_cost_exponent": 0.6,
}
# Flags of each algorithm and what they are where nobody says. They are unset
# otherwise, so that one given to another algorithm is noticed.
_OF: dict[str, dict[str, Any]] = {
    "single_path": {
        "sampler": "uniform_constraint",
        "constraint_ranges": None,
        "untied": None,
    },
    "path_dropout": {"keep_rate": 0.5, "keep_rate_schedule": "constant"},
    "gumbel": {
        "temperature": 5.0,
        "final_temperature": 0.1,
        "architecture_learning_rate": 0.01,
        **_LEARNED,
    },
    "two_path": {"architecture_learning_rate": 0.001, **_LEARNED},
}
# Those with architecture parameters.
LEARNING = ("gumbel", "two_path")


def define_algorithm() -> None:
    """--algorithm and the flags of those that are not single_path."""
    flags.DEFINE_enum(
        "algorithm",
        "single_path",
        [*_OF],
        "single_path: the paper's. path_dropout: branches dropped at random. "
        "gumbel: all branches, weighted (FBNet). two_path: two branches "
        "compared (ProxylessNAS). See docs/algorithms.md.",
    )
    flags.DEFINE_float(
        "keep_rate",
        None,
        "path_dropout: probability that a branch is kept, 0 to 1 (0.5).",
    )
    flags.DEFINE_enum(
        "keep_rate_schedule",
        None,
        ["constant", "linear"],
        "path_dropout: constant (default), or linear from 1 to --keep_rate.",
    )
    flags.DEFINE_float(
        "temperature", None, "gumbel: of the softmax in the first step (5)."
    )
    flags.DEFINE_float(
        "final_temperature", None, "gumbel: in the last step (0.1)."
    )
    flags.DEFINE_float(
        "architecture_learning_rate",
        None,
        "gumbel (0.01), two_path (0.001): Adam's, of architecture parameters.",
    )
    flags.DEFINE_integer(
        "architecture_every",
        None,
        "gumbel, two_path: steps of the weights to one of the architecture "
        "parameters (5).",
        lower_bound=1,
    )
    flags.DEFINE_float(
        "architecture_warmup",
        None,
        "gumbel, two_path: share of the steps before architecture parameters "
        "are trained (0.1).",
    )
    flags.DEFINE_string(
        "architecture_cost",
        None,
        "gumbel, two_path: cost that the loss is multiplied with (macs); one "
        "of your own is FILE.py:function.",
    )
    flags.DEFINE_float(
        "architecture_cost_weight",
        None,
        "gumbel, two_path: alpha in FBNet's alpha log(cost)^beta. 0, the "
        "default: the cost is left out.",
        lower_bound=0.0,
    )
    flags.DEFINE_float(
        "architecture_cost_exponent", None, "gumbel, two_path: beta (0.6)."
    )


def settle(blueprint: "Blueprint") -> None:
    """Checks what the flags say together and fills in what they do not.

    Raises:
        UserError: A flag is another algorithm's, a number is out of its
            range, or the space cannot be trained so.
    """
    name = FLAGS.algorithm
    for flag in {flag: None for of in _OF.values() for flag in of}:
        value = FLAGS[flag].value
        if value is not None and flag not in _OF[name]:
            owners = [one for one, of in _OF.items() if flag in of]
            raise UserError(
                f"--{flag} is of --algorithm={' and '.join(owners)}; got "
                f"--{flag}={value} with --algorithm={name}. Leave it out."
            )
    for flag, default in _OF[name].items():
        if FLAGS[flag].value is None:
            FLAGS[flag].value = default
    if name == "single_path":
        return
    _check_space(blueprint)
    limited = limits.given_limits()
    if limited:
        raise UserError(
            "A limit is kept path by path, and --algorithm="
            f"{name} runs several together; got one of {limited[0][0]!r}. "
            "Limit the search instead"
            + (
                ", or use --architecture_cost_weight."
                if name in LEARNING
                else "."
            )
        )
    if name in LEARNING:
        _check_learning()


def _check_space(blueprint: "Blueprint") -> None:
    elastic = [one for one in blueprint.segments if one.elastic]
    if elastic:
        raise UserError(
            f"--algorithm={FLAGS.algorithm} weighs branches against each "
            f"other; choice {elastic[0].elastic[0]!r} of space "
            f"{blueprint.search_space.name!r} sizes one branch and has none "
            "to weigh. Use --algorithm=single_path, or a space without widths "
            "and bits."
        )


def _check_learning() -> None:
    if FLAGS.jit_compile:
        raise UserError(
            f"--jit_compile is not for --algorithm={FLAGS.algorithm}, which "
            "has two kinds of steps. Leave it out."
        )
    if not FLAGS.holdout_per_class:
        raise UserError(
            "Architecture parameters learn from images that the weights do "
            "not see; --holdout_per_class=0 leaves none. Give some."
        )
    if not 0 <= FLAGS.architecture_warmup < 1:
        raise UserError(
            "--architecture_warmup is a share in [0, 1); got "
            f"{FLAGS.architecture_warmup}."
        )
    if not 0 < FLAGS.architecture_learning_rate < float("inf"):
        raise UserError(
            "--architecture_learning_rate is above 0; got "
            f"{FLAGS.architecture_learning_rate}."
        )
    if not warmup_steps() + FLAGS.architecture_every <= FLAGS.steps:
        raise UserError(
            f"In {FLAGS.steps} steps architecture parameters would never be "
            f"updated: the first {warmup_steps()} are without, then it is "
            f"every {FLAGS.architecture_every} steps. Give more --steps, or a "
            "smaller --architecture_every or --architecture_warmup."
        )


def warmup_steps() -> int:
    """Steps before architecture parameters are trained."""
    return int(FLAGS.architecture_warmup * FLAGS.steps)


def path_dropout(blueprint: "Blueprint") -> "PathDropoutSampler":
    """The sampler of --algorithm=path_dropout.

    Raises:
        UserError: The keep rate is out of its range.
    """
    from spos_tf.training.path_dropout import PathDropoutSampler

    return PathDropoutSampler(
        blueprint.search_space,
        FLAGS.keep_rate,
        schedule=FLAGS.keep_rate_schedule,
        steps=FLAGS.steps,
        seed=FLAGS.seed,
    )
