"""The options of every job: type, default, range and help, once.

A job takes one of these frozen objects, the command line makes its flags of
their fields, `run.json` holds their values, and workers get them. Nothing here
needs TensorFlow, so that `--help` answers at once.

An option whose default is None may get its value later: from the recipe of
the preset (`with_recipe`), or from the option that it belongs to (`complete`).
"""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Self

from spos_tf.errors import UserError

# Options that say where files are or what a run is called.
_PLACE = "place"
# Options that cannot change the result: a run can be resumed with others.
_FREE = "free"
# Options that can change the result.
_RESULT = "result"


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of an option besides its name, type and default.

    Attributes:
        help: A sentence or two for people.
        least: Smallest value, inclusive.
        most: Largest value, inclusive.
        above: All values are greater.
        below: All values are smaller.
        effect: Whether the option decides the result, where files are, or
            nothing that lasts.
        from_recipe: Whether None stands for the recipe's value.
        belongs_to: Name of the option that has to have a certain value.
        defaults: By that value, what None stands for.
        repeated: Whether a list is given by repeating the flag, and not with
            commas.
    """

    help: str
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    effect: str = _RESULT
    from_recipe: bool = False
    belongs_to: str | None = None
    defaults: Mapping[Any, Any] = dataclasses.field(default_factory=dict)
    repeated: bool = False

    @property
    def decides_result(self) -> bool:
        """Whether a run with another value is another run."""
        return self.effect == _RESULT


class Option(NamedTuple):
    """A field of an options class.

    Attributes:
        name: Of the field.
        kind: `int`, `float`, `bool`, `str`, `tuple` (of texts) or `dict`.
        choices: The values of an enumeration, else empty.
        default: None where it is decided later.
        about: Everything else.
    """

    name: str
    kind: type
    choices: tuple[str, ...]
    default: Any
    about: About

    def full_help(self) -> str:
        """The help text with default rules that stand nowhere else."""
        about = self.about
        text = about.help
        if about.belongs_to is not None:
            cases = [
                f"{about.belongs_to}={value}"
                + ("" if default is None else f" (default {default})")
                for value, default in about.defaults.items()
            ]
            text = f"{text} Only with {' or '.join(cases)}."
        if about.from_recipe:
            text = f"{text} If unset, the preset's recipe decides."
        return text


def option(default: Any, text: str, **about: Any) -> Any:
    """A field of an options class; see `About` for the keywords."""
    field: Any = dataclasses.field(
        default=default, metadata={"about": About(text, **about)}
    )
    return field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all options: every value is checked when the object is made.

    Raises:
        UserError: A value has another type or is out of its range, or an
            option is given that belongs to another choice.
    """

    def __post_init__(self) -> None:
        for one in self.described():
            value = getattr(self, one.name)
            if value is not None:
                object.__setattr__(self, one.name, _checked(one, value))
        for one in self.described():
            self._check_belongs(one)

    def _check_belongs(self, one: Option) -> None:
        value, owner = getattr(self, one.name), one.about.belongs_to
        if value is None or owner is None or value == one.default:
            return
        chosen = getattr(self, owner)
        if chosen not in one.about.defaults:
            owners = " or ".join(
                _setting(owner, wanted) for wanted in one.about.defaults
            )
            raise UserError(
                f"`{one.name}` belongs to {owners}; got "
                f"`{one.name}={value}` with {_setting(owner, chosen)}. Leave "
                "it out."
            )

    @classmethod
    def described(cls) -> Iterator[Option]:
        """All options of the class, in the order of their definition."""
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            kind, choices = _kind(hints[field.name])
            yield Option(
                field.name,
                kind,
                choices,
                field.default,
                field.metadata["about"],
            )

    @classmethod
    def of(cls, other: "Options", **changes: Any) -> Self:
        """An object of this class with the values of another one.

        Args:
            other: Options that this class does not have are left out.
            **changes: Values that replace the other's.
        """
        names = {one.name for one in cls.described()}
        given = {
            one.name: getattr(other, one.name)
            for one in other.described()
            if one.name in names
        }
        return cls(**{**given, **changes})

    def complete(self) -> Self:
        """The same with what None stands for where an option belongs to one."""
        filled = {}
        for one in self.described():
            about = one.about
            if about.belongs_to is None or getattr(self, one.name) is not None:
                continue
            chosen = getattr(self, about.belongs_to)
            if chosen in about.defaults:
                filled[one.name] = about.defaults[chosen]
        return dataclasses.replace(self, **filled)

    def with_recipe(self, recipe: Mapping[str, Any]) -> Self:
        """The same with a recipe's values where nothing was given."""
        names = {o.name for o in self.described() if o.about.from_recipe}
        filled = {
            name: value
            for name, value in recipe.items()
            if name in names and getattr(self, name) is None
        }
        return dataclasses.replace(self, **filled)

    def to_dict(self) -> dict[str, Any]:
        """JSON values by name, as `run.json` holds them."""
        return {
            one.name: _plain(getattr(self, one.name))
            for one in self.described()
        }


def flag_lines(
    values: Mapping[str, Any], described: Iterable[Option]
) -> list[str]:
    """A flag file's lines for options, by which a run can be repeated.

    Args:
        values: As `Options.to_dict` gives them; None is left out.
        described: Which options, in which order.

    >>> flag_lines({"steps": 5, "deterministic": False},
    ...            TrainingOptions.described())
    ['--steps=5', '--nodeterministic']
    """
    lines = []
    for one in described:
        value = values.get(one.name)
        if value is None:
            continue
        if one.kind is bool:
            lines.append(f"--{'' if value else 'no'}{one.name}")
        elif one.kind is dict:
            lines.append(f"--{one.name}={json.dumps(value)}")
        elif one.kind is tuple and one.about.repeated:
            lines += [f"--{one.name}={text}" for text in value]
        elif one.kind is tuple:
            lines.append(f"--{one.name}={','.join(value)}")
        else:
            lines.append(f"--{one.name}={value}")
    return lines


def _setting(name: str, value: Any) -> str:
    return f"`{name}={str(value).lower() if value in (True, False) else value}`"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


def _kind(hint: Any) -> tuple[type, tuple[str, ...]]:
    """The plain type of an annotation, and an enumeration's values."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is (
        typing.Union
    ):
        (hint,) = (
            one for one in typing.get_args(hint) if one is not types.NoneType
        )
    origin = typing.get_origin(hint)
    if origin is Literal:
        return str, typing.get_args(hint)
    if origin is not None:
        return (dict if issubclass(origin, Mapping) else origin), ()
    return hint, ()


_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    tuple: "a list of texts",
    dict: "a JSON object",
}


def _checked(one: Option, value: Any) -> Any:
    """The value as the option keeps it.

    Raises:
        UserError: It is of another type, or out of its range.
    """
    fits, value = _converted(one.kind, value)
    if not fits:
        raise UserError(f"`{one.name}` is {_WORDS[one.kind]}; got {value!r}.")
    if one.choices and value not in one.choices:
        raise UserError(
            f"`{one.name}` is one of {', '.join(one.choices)}; got {value!r}."
        )
    about = one.about
    if one.kind not in (int, float):
        return value
    low, high = _bounds(about)
    inside = math.isfinite(value) and not (
        (about.least is not None and value < about.least)
        or (about.most is not None and value > about.most)
        or (about.above is not None and value <= about.above)
        or (about.below is not None and value >= about.below)
    )
    if not inside:
        rule = " and ".join(part for part in (low, high) if part) or "finite"
        raise UserError(f"`{one.name}` is {rule}; got {value}.")
    return value


def _bounds(about: About) -> tuple[str, str]:
    low = high = ""
    if about.least is not None:
        low = f"at least {about.least}"
    elif about.above is not None:
        low = f"above {about.above}"
    if about.most is not None:
        high = f"at most {about.most}"
    elif about.below is not None:
        high = f"below {about.below}"
    return low, high


def _converted(kind: type, value: Any) -> tuple[bool, Any]:
    if kind is bool:
        return isinstance(value, bool), value
    if isinstance(value, bool):
        return False, value
    if kind is int:
        # NumPy's integers too.
        whole = hasattr(value, "__index__")
        return whole, int(value) if whole else value
    if kind is float:
        number = isinstance(value, int | float) or hasattr(value, "__float__")
        return number, float(value) if number else value
    if kind is tuple:
        listed = isinstance(value, list | tuple)
        texts = listed and all(isinstance(one, str) for one in value)
        return texts, tuple(value) if texts else value
    if kind is dict:
        return isinstance(value, Mapping), value
    return isinstance(value, kind), value


# ---------------------------------------------------------------------------
# Where a run is, and what it is of: the command line's words for arguments
# that are objects in Python.


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Where a run's results go."""

    work_dir: str | None = option(None, "Folder of all results.", effect=_PLACE)
    name: str = option(
        "default",
        "Folder of this run, below the folder of its kind in the work_dir.",
        effect=_PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreadOptions(Options):
    """What the process may use."""

    threads: int | None = option(
        None,
        "CPU threads of this process; all cores if unset. The number decides "
        "the last bits of scores, so it is part of a run.",
        least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions(Options):
    """Which networks."""

    search_space: str | None = option(
        None,
        "Search space: a name that `describe --list` prints "
        "(shufflenet_blocks if no file says which), or a Python file of your "
        "own, path/to/file.py or path/to/file.py:space, whose code is run "
        "(docs/custom_space.md).",
    )
    preset: str | None = option(
        None, "Size of the networks: imagenet (default), cifar or demo."
    )
    image_size: int | None = option(
        None, "Height and width in pixels; the preset's if unset.", least=1
    )
    num_classes: int | None = option(
        None, "Number of classes; the preset's if unset.", least=1
    )
    space_arguments: Mapping[str, Any] | None = option(
        None,
        "Further arguments of the space as a JSON object, for example "
        "'{\"stage_widths\": [32, 64, 128, 256]}'.",
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """All arguments of the space that are given."""
        named = {
            name: getattr(self, name)
            for name in ("preset", "image_size", "num_classes")
            if getattr(self, name) is not None
        }
        return {**(self.space_arguments or {}), **named}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkOptions(Options):
    """Which single network of a space."""

    network: str | None = option(
        None,
        "Name of a published network that `describe --list` prints. Its "
        "space is known; preset, image size, classes and space arguments "
        "apply.",
    )
    uniform_bits: int | None = option(
        None,
        "The network of full width with this many bits of weights and "
        "features in all blocks; the search space is one of bits.",
    )
    encoding: str | None = option(
        None, "Comma-separated option indices of a network."
    )
    architecture: str | None = option(
        None,
        "Architecture file of a network, for example a best.json. The space "
        "is the file's.",
        effect=_PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SourceOptions(Options):
    """Which images."""

    dataset: str = option(
        "imagenet2012",
        "digits, folder:PATH (PATH/{train,test}/<class>/*), or the name of "
        "any TFDS image-classification set.",
        # What it holds decides, not how it is spelled.
        effect=_PLACE,
    )
    data_dir: str | None = option(
        None, "Folder in which TFDS has prepared its sets.", effect=_PLACE
    )
    test_fraction: float = option(
        0.0,
        "Share of the images that is test, of a folder:PATH without train "
        "and test folders.",
        least=0,
        below=1,
    )
    first_classes: int | None = option(
        None,
        "Only the images of so many first classes: 120 of "
        "imagenet_resized/16x16 are ImageNet16-120.",
        least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetNameOptions(Options):
    """Which supernet of a work_dir."""

    supernet_name: str = option(
        "default", "Name of the supernet: its folder below supernet/."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitOptions(Options):
    """Hard limits on what a network may cost, and costs that are told."""

    max_macs: float | None = option(None, "Most multiply-adds, inclusive.")
    min_macs: float | None = option(None, "Least multiply-adds, inclusive.")
    max_params: float | None = option(None, "Most weights, inclusive.")
    min_params: float | None = option(None, "Least weights, inclusive.")
    max_latency_ms: float | None = option(
        None, "Most milliseconds by the latency table, inclusive."
    )
    min_latency_ms: float | None = option(
        None, "Least milliseconds by the latency table, inclusive."
    )
    max_bit_ops: float | None = option(
        None, "Most BitOps in units of 2^30, inclusive; for spaces of bits."
    )
    min_bit_ops: float | None = option(
        None, "Least BitOps in units of 2^30, inclusive; for spaces of bits."
    )
    constraint: tuple[str, ...] = option(
        (),
        "Repeatable; a limit on any cost, for example 'macs<=330e6', or on "
        "one of your own: 'energy.py:energy_mj<=5'.",
        repeated=True,
    )
    cost: tuple[str, ...] = option(
        (),
        "Repeatable; FILE.py:function, a cost of your own that is written "
        "down without being limited.",
        repeated=True,
    )
    latency_table: tuple[str, ...] = option(
        (),
        "Repeatable; YAML table that the cost latency_ms is read from. The "
        "first table that has all parts of the networks is taken.",
        repeated=True,
        effect=_PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PinOptions(Options):
    """Choices that are fixed in advance."""

    fix: tuple[str, ...] = option(
        (),
        "Repeatable; fixes a choice, for example 'stage1.block1.op=3x3'.",
        repeated=True,
    )
    fix_from: str | None = option(
        None,
        "Architecture file, for example a best.json: fixes every choice that "
        "the file has; this space must have these choices.",
        effect=_PLACE,
    )


# ---------------------------------------------------------------------------
# Images


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """How images become inputs of a network."""

    seed: int = option(0, "Seed of everything random.", least=0, most=2**32 - 1)
    holdout_per_class: int | None = option(
        None,
        "Training images a class that the weights never see: paths are "
        "scored on them. If unset, 50 for a supernet, the supernet's own "
        "number in a search, and 0 for a single network.",
        least=0,
    )
    augmentation: Literal["imagenet", "cifar", "shift", "none"] | None = option(
        None,
        "What is done to training images. imagenet: random resized crop, "
        "colour jitter, flip. cifar: pad by 4, crop, flip. shift: pad by 1, "
        "crop. If unset, imagenet from 64 pixels on, cifar from 16, shift "
        "below.",
    )
    color_jitter: float = option(
        0.4, "Strength of the colour jitter of imagenet.", least=0, most=1
    )
    eval_resize: int | None = option(
        None,
        "Short side in pixels before evaluation's centre crop. If unset, "
        "256/224 of the image size from 64 pixels on, else the image size.",
        least=1,
    )


# ---------------------------------------------------------------------------
# Training

Distribution = Literal["one_device", "mirrored", "multi_worker"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions(ImageOptions):
    """How weights are trained.

    Options that are None take the value of the preset's recipe
    (`recipe_of`); `imagenet` has the paper's.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> TrainingOptions(steps=20_000, batch_size=64).steps
        20000
    """

    steps: int | None = option(
        None, "Training steps of the whole run.", least=1, from_recipe=True
    )
    batch_size: int | None = option(
        None, "Images a step, over all devices.", least=1, from_recipe=True
    )
    learning_rate: float | None = option(
        None, "Highest learning rate.", least=0, from_recipe=True
    )
    schedule: Literal["linear", "cosine", "constant"] | None = option(
        None, "How the rate decays to zero.", from_recipe=True
    )
    warmup_steps: int = option(0, "Steps from zero to the peak.", least=0)
    optimizer: str = option("sgd", "Name of any Keras optimizer.")
    optimizer_arguments: Mapping[str, Any] | None = option(
        None,
        "Further arguments of the optimizer as a JSON object, such as "
        "Keras's decoupled weight_decay and clipping. If unset, "
        '{"momentum": 0.9} for sgd and nothing for others.',
    )
    l2: float | None = option(
        None,
        "Coupled L2 of conv, depthwise and dense kernels, added to the "
        "gradient before momentum: the paper's weight decay.",
        least=0,
        from_recipe=True,
    )
    label_smoothing: float | None = option(
        None,
        "Label smoothing of the default loss.",
        least=0,
        below=1,
        from_recipe=True,
    )
    dtype_policy: Literal["float32", "mixed_float16", "mixed_bfloat16"] = (
        option(
            "float32",
            "Precision of the computation; weights are float32.",
        )
    )
    distribution: Distribution | None = option(
        None,
        "mirrored: all GPUs of this machine. multi_worker: the GPUs (without "
        "any, the CPUs) of all hosts that TF_CONFIG names; started on each, "
        "with a work_dir that all share. If unset, mirrored where there are "
        "several GPUs.",
    )
    batch_norm: Literal["replica", "synchronized"] = option(
        "replica",
        "Whether batch norm sees the images of its device or of all devices.",
    )
    jit_compile: bool = option(
        False,
        "Compiles the step with XLA; for GPUs and TPUs, on CPU it is slower. "
        "A supernet with elastic widths then needs width_mode=mask. Paths "
        "are drawn by XLA's generator: other ones than without, for a seed.",
    )
    deterministic: bool = option(
        True,
        "Bit-identical runs on CPU. On GPUs it costs speed, and some ops have "
        "no deterministic form.",
    )
    log_every: int = option(50, "Steps between reports.", least=1, effect=_FREE)
    profile_steps: str | None = option(
        None,
        "FROM:TO, for example 10:20: profiles these steps for TensorBoard.",
        effect=_FREE,
    )
    checkpoint_every: int = option(
        1000, "Steps between checkpoints.", least=1, effect=_FREE
    )
    keep_checkpoints: int = option(
        3, "How many of the newest checkpoints are kept.", least=1, effect=_FREE
    )
    validate_every: int = option(
        5000, "Steps between validations; 0: never.", least=0, effect=_FREE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "learning_rate" in (self.optimizer_arguments or {}):
            raise UserError(
                "The rate is `learning_rate` with `schedule`; "
                "`optimizer_arguments` has "
                f"{(self.optimizer_arguments or {})['learning_rate']!r} too. "
                "Leave it out there."
            )
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise UserError(
                f"`warmup_steps` is below `steps`; got {self.warmup_steps} of "
                f"{self.steps}."
            )

    @property
    def all_optimizer_arguments(self) -> dict[str, Any]:
        """`optimizer_arguments`, or the default of the optimizer."""
        if self.optimizer_arguments is not None:
            return dict(self.optimizer_arguments)
        return {"momentum": 0.9} if self.optimizer.lower() == "sgd" else {}


_LEARNED = ("gumbel", "two_path")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetOptions(TrainingOptions):
    """How a supernet is trained: `TrainingOptions`, and which paths."""

    algorithm: Literal["single_path", "path_dropout", "gumbel", "two_path"] = (
        option(
            "single_path",
            "single_path: the paper's. path_dropout: branches dropped at "
            "random. gumbel: all branches, weighted (FBNet). two_path: two "
            "branches compared (ProxylessNAS). See docs/algorithms.md.",
        )
    )
    sampler: (
        Literal["uniform", "uniform_constraint", "strict_fairness"] | None
    ) = option(
        None,
        "How paths are drawn. uniform: every option alike. "
        "uniform_constraint: a cost range drawn uniformly, then a path inside "
        "it (the paper's). strict_fairness: over m steps each of m options "
        "once, each in an update of its own (the sampling of FairNAS alone: "
        "FairNAS adds up the m gradients to one update).",
        belongs_to="algorithm",
        defaults={"single_path": "uniform_constraint"},
    )
    constraint_cost: str = option(
        "macs",
        "Cost of sampler=uniform_constraint; one of your own is "
        "FILE.py:function.",
    )
    constraint_ranges: str | None = option(
        None,
        "FROM:TO:STEP, for example 290e6:360e6:10e6 (the official code's, and "
        "the default for the MACs of shufflenet_blocks as in the paper); "
        "otherwise 7 equal ranges between the 1st and 99th percentile of "
        "random paths.",
        belongs_to="algorithm",
        defaults={"single_path": None},
    )
    untied: bool | None = option(
        None,
        "Where several blocks share a choice, as the cells of nasbench201 do, "
        "every block draws its own; a cell in which nothing reaches a node is "
        "drawn anew. The supernet is searched with the shared choices all the "
        "same. For sampler=uniform or strict_fairness (which draws none "
        "anew).",
        belongs_to="algorithm",
        defaults={"single_path": False},
    )
    initialization: Literal["independent", "aligned"] | None = option(
        None,
        "independent: every option starts with weights of its own (official). "
        "aligned: the options of a choice start alike, larger kernels as the "
        "3x3 one with zeros around; learns faster where steps are few.",
        from_recipe=True,
    )
    validation_paths: int = option(
        3,
        "How many fixed random paths a validation scores.",
        least=1,
        effect=_FREE,
    )
    recalibration_images: int = option(
        20_000,
        "Most training images that batch norm is recalibrated on for a "
        "validation, as in the search.",
        least=1,
        effect=_FREE,
    )
    width_mode: Literal["slice", "mask"] = option(
        "slice",
        "How elastic widths are computed. slice: only the channels that are "
        "taken are computed. mask: all are, and the others set to zero; "
        "shapes are static, as jit_compile needs.",
    )
    keep_rate: float | None = option(
        None,
        "Probability that a branch is kept.",
        above=0,
        most=1,
        belongs_to="algorithm",
        defaults={"path_dropout": 0.5},
    )
    keep_rate_schedule: Literal["constant", "linear"] | None = option(
        None,
        "constant: the same in every step. linear: from 1 to keep_rate.",
        belongs_to="algorithm",
        defaults={"path_dropout": "constant"},
    )
    temperature: float | None = option(
        None,
        "Temperature of the softmax in the first step.",
        above=0,
        belongs_to="algorithm",
        defaults={"gumbel": 5.0},
    )
    final_temperature: float | None = option(
        None,
        "Temperature of the softmax in the last step.",
        above=0,
        belongs_to="algorithm",
        defaults={"gumbel": 0.1},
    )
    architecture_learning_rate: float | None = option(
        None,
        "Learning rate of Adam for the architecture parameters.",
        above=0,
        belongs_to="algorithm",
        defaults={"gumbel": 0.01, "two_path": 0.001},
    )
    architecture_every: int | None = option(
        None,
        "Steps of the weights to one of the architecture parameters.",
        least=1,
        belongs_to="algorithm",
        defaults=dict.fromkeys(_LEARNED, 5),
    )
    architecture_warmup: float | None = option(
        None,
        "Share of the steps before architecture parameters are trained.",
        least=0,
        below=1,
        belongs_to="algorithm",
        defaults=dict.fromkeys(_LEARNED, 0.1),
    )
    architecture_cost: str | None = option(
        None,
        "Cost that the loss is multiplied with; one of your own is "
        "FILE.py:function.",
        belongs_to="algorithm",
        defaults=dict.fromkeys(_LEARNED, "macs"),
    )
    architecture_cost_weight: float | None = option(
        None,
        "alpha in FBNet's factor alpha log(cost)^beta of the loss; 0 leaves "
        "the cost out.",
        least=0,
        belongs_to="algorithm",
        defaults=dict.fromkeys(_LEARNED, 0.0),
    )
    architecture_cost_exponent: float | None = option(
        None,
        "beta in FBNet's factor alpha log(cost)^beta of the loss.",
        belongs_to="algorithm",
        defaults=dict.fromkeys(_LEARNED, 0.6),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.learns_architecture:
            return
        if self.jit_compile:
            raise UserError(
                f"`jit_compile` is not for `algorithm={self.algorithm}`, "
                "which has two kinds of steps. Leave it out."
            )
        if self.holdout_per_class == 0:
            raise UserError(
                "Architecture parameters learn from images that the weights "
                "do not see; `holdout_per_class=0` leaves none. Give some."
            )
        self._check_updates()

    def _check_updates(self) -> None:
        full = self.complete_architecture()
        warmup, every = full["architecture_warmup"], full["architecture_every"]
        if self.steps is None:
            return
        first = int(warmup * self.steps)
        if first + every > self.steps:
            raise UserError(
                f"In {self.steps} steps architecture parameters would never "
                f"be updated: the first {first} are without, then it is every "
                f"{every} steps. Give more `steps`, or a smaller "
                "`architecture_every` or `architecture_warmup`."
            )

    def complete_architecture(self) -> dict[str, Any]:
        """Values of the options that begin with `architecture_`."""
        found = {}
        for one in self.described():
            if one.name.startswith("architecture_"):
                value = getattr(self, one.name)
                if value is None:
                    value = one.about.defaults.get(self.algorithm)
                found[one.name] = value
        return found

    @property
    def learns_architecture(self) -> bool:
        """Whether there are architecture parameters."""
        return self.algorithm in _LEARNED

    @property
    def architecture_warmup_steps(self) -> int:
        """Steps before architecture parameters are trained."""
        warmup = self.complete_architecture()["architecture_warmup"]
        return int(warmup * (self.steps or 0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubnetOptions(TrainingOptions):
    """How a single network is trained: `TrainingOptions`, and its form."""

    fit_macs: float | None = option(
        None,
        "Scale all stage widths by one factor to the most multiply-adds at or "
        "below this.",
        above=0,
    )
    quantize: Literal["int8"] | None = option(
        None,
        "Trains with 8-bit quantizers of tfmot in the network; the export "
        "then writes a full-integer TFLite file without representative "
        "images.",
    )
    deploy_form: bool = option(
        False,
        "Trains a network with bits as the integer files will compute it, "
        "with the batch norm statistics of start_from; a tenth of the usual "
        "learning rate is plenty.",
    )
    recalibration_images: int = option(
        20_000,
        "Most training images that batch norm is recalibrated on where the "
        "weights are a supernet's, as in the search.",
        least=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.deploy_form and self.quantize:
            raise UserError(
                "`deploy_form` is for networks with bits, `quantize` for "
                "networks in float. Leave one of them out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StartOptions(Options):
    """The weights that a single network starts with."""

    search_name: str = option(
        "default",
        "The search whose best.json is trained, where no network is named.",
    )
    inherit_from: str | None = option(
        None,
        "Work_dir of a supernet whose weights the network starts with.",
        effect=_PLACE,
    )
    start_from: str | None = option(
        None,
        "Name of a trained network of the same architecture in the same "
        "work_dir whose weights this one starts with: with quantize usually "
        "the network in float.",
    )


# Images a step and so on, by what is trained and by preset. `imagenet` is the
# paper's (section 4.1 and the official code).
_PAPER: Mapping[str, Any] = {
    "batch_size": 1024,
    "learning_rate": 0.5,
    "schedule": "linear",
    "l2": 4e-5,
    "label_smoothing": 0.1,
    "initialization": "independent",
}
_SMALL: Mapping[str, Any] = {
    **_PAPER,
    "batch_size": 64,
    "learning_rate": 0.05,
    "schedule": "cosine",
    "initialization": "aligned",
}
RECIPES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "supernet": {
        "imagenet": {**_PAPER, "steps": 150_000},
        "cifar": {**_SMALL, "steps": 40_000},
        "demo": {**_SMALL, "steps": 2_000, "learning_rate": 0.1},
    },
    "subnet": {
        "imagenet": {**_PAPER, "steps": 300_000},
        "cifar": {**_SMALL, "steps": 40_000},
        "demo": {**_SMALL, "steps": 1_000, "learning_rate": 0.1},
    },
}


class Recipe(NamedTuple):
    """Training options that suit a kind of network.

    Attributes:
        name: What logs and `run.json` call it.
        values: By the option's name.
    """

    name: str
    values: Mapping[str, Any]


def recipe_of(
    trained: Literal["supernet", "subnet"],
    preset: str | None,
    image_size: int,
) -> Recipe:
    """The recipe for what is trained.

    Args:
        trained: A supernet or a single network.
        preset: The space's; None or one without a recipe takes the recipe of
            the image size.
        image_size: Pixels.
    """
    known = RECIPES[trained]
    if preset is None or preset not in known:
        by_size = ((64, "imagenet"), (16, "cifar"), (0, "demo"))
        preset = next(name for least, name in by_size if image_size >= least)
    return Recipe(f"{trained}/{preset}", known[preset])


# ---------------------------------------------------------------------------
# Scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoringOptions(ImageOptions):
    """How paths of a trained supernet are scored."""

    recalibration_images: int = option(
        20_000,
        "Most training images that batch norm is recalibrated on for every "
        "path; all of them where there are fewer.",
        least=1,
    )
    evaluation_batch_size: int = option(200, "Images at once.", least=1)
    scoring: Literal["single", "tree"] = option(
        "single",
        "single: one path after the other. tree: those of a generation "
        "together, what their paths share computed once; scores are the same.",
        effect=_FREE,
    )
    chunk_size: int = option(
        0,
        "With scoring=tree: paths that are scored together and then recorded. "
        "0: a whole generation.",
        least=0,
        effect=_FREE,
    )
    width_mode: Literal["slice", "mask"] = option(
        "slice",
        "How elastic widths are computed; as in the training of a supernet.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorkerOptions(Options):
    """Who scores paths."""

    workers: Literal["local", "ray"] = option(
        "local",
        "Who scores paths. local: this process. ray: processes of Ray's, "
        "here or on a cluster, with the CPU threads of this process each (1 "
        "if unset); record and result are the same. Needs the extra 'ray'.",
        effect=_FREE,
    )
    num_workers: int | None = option(
        None,
        "Worker processes; 0: as many as there is room for.",
        least=0,
        belongs_to="workers",
        defaults={"ray": 0},
        effect=_FREE,
    )
    worker_gpus: float | None = option(
        None,
        "GPUs of a worker, 0.5 for two workers a GPU; one where there are "
        "GPUs if unset.",
        least=0,
        belongs_to="workers",
        defaults={"ray": None},
        effect=_FREE,
    )
    ray_address: str | None = option(
        None,
        "Address of a cluster, HOST:PORT or auto; one is started on this "
        "machine if unset. Every machine needs the package, and image files or "
        "the prepared TFDS set at the same paths.",
        belongs_to="workers",
        defaults={"ray": None},
        effect=_FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasuringOptions(Options):
    """Whether the best candidates of a search are timed."""

    measure_latency: bool = option(
        False,
        "Measures the final best candidates end to end on this machine.",
        effect=_FREE,
    )
    measured_candidates: int = option(
        5,
        "With measure_latency: how many of the best.",
        least=1,
        effect=_FREE,
    )
    runtime: Literal["tflite", "onnxruntime", "tensorflow"] = option(
        "tflite", "What runs the networks that are measured.", effect=_FREE
    )
    latency_threads: int = option(
        1, "CPU threads of that runtime.", least=1, effect=_FREE
    )
    latency_batch: int = option(1, "Images of one call.", least=1, effect=_FREE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchOptions(MeasuringOptions, WorkerOptions, ScoringOptions):
    """How a trained supernet is searched (paper, Algorithm 1).

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> SearchOptions(population=20, generations=5).budget
        100
    """

    strategy: Literal["evolution", "random", "nsga2"] = option(
        "evolution",
        "evolution: Algorithm 1. random: as many random candidates. nsga2: "
        "the front of score and objective; needs the extra 'nsga2'.",
    )
    objective: str | None = option(
        None,
        "Cost of the front; one of your own is FILE.py:function.",
        belongs_to="strategy",
        defaults={"nsga2": "macs"},
    )
    population: int = option(50, "Candidates a generation, P.", least=1)
    generations: int = option(20, "Generations, T.", least=1)
    top_k: int = option(
        10, "Parents of a generation, k; evolution only.", least=1
    )
    crossover: int | None = option(
        None,
        "Offspring by crossover, n; P/2 if unset. Evolution only.",
        least=0,
    )
    mutation: int | None = option(
        None, "Offspring by mutation, m; P/2 if unset. Evolution only.", least=0
    )
    mutation_probability: float = option(
        0.1, "That a choice is redrawn in mutation.", above=0, most=1
    )
    asynchronous: bool = option(
        False,
        "A new candidate for every result instead of whole generations, so "
        "that no worker waits for the slowest of one; evolution only. Other "
        "candidates than without, the same for any number of workers.",
    )
    lag: int | None = option(
        None,
        "Candidates that may be under way at once, P/2 if unset. At least "
        "twice the workers keeps all of them busy.",
        least=1,
        belongs_to="asynchronous",
        defaults={True: None},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_crossover + self.num_mutation > self.population:
            raise UserError(
                "`crossover` and `mutation` together give at most a "
                f"`population` of {self.population}; got {self.num_crossover} "
                f"+ {self.num_mutation}."
            )
        if not self.asynchronous:
            return
        for name, wanted in (("strategy", "evolution"), ("scoring", "single")):
            if getattr(self, name) != wanted:
                raise UserError(
                    f"`asynchronous` goes with `{name}={wanted}`; got "
                    f"`{name}={getattr(self, name)}`. Leave one of them out."
                )

    @property
    def budget(self) -> int:
        """Evaluations of a whole search."""
        return self.population * self.generations

    @property
    def num_crossover(self) -> int:
        """Offspring of two parents a generation, n in the paper."""
        if self.crossover is not None:
            return self.crossover
        if self.mutation is not None:
            return max(self.population - self.mutation, 0)
        return self.population // 2

    @property
    def num_mutation(self) -> int:
        """Mutated copies of one parent a generation, m in the paper.

        Where crossover and mutation are fewer than the population, random
        architectures fill the generation.
        """
        if self.mutation is not None:
            return self.mutation
        return max(self.population - self.num_crossover, 0)

    @property
    def most_under_way(self) -> int:
        """Candidates that an asynchronous search evaluates at once at most."""
        return self.lag or max(1, self.population // 2)

    @property
    def num_random(self) -> int:
        """Candidates that an asynchronous search begins with, all random."""
        return min(max(self.population, self.most_under_way), self.budget)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitsTableOptions(Options):
    """Searches under limit after limit, and networks beside them."""

    limits: tuple[str, ...] = option(
        (),
        "Repeatable; a search under this limit, for example 'macs<=290e6', or "
        "under several with a comma between them; besides the limits that "
        "hold in every search.",
        repeated=True,
        effect=_FREE,
    )
    baseline: tuple[str, ...] = option(
        (),
        "Repeatable; a published network that `describe --list` prints.",
        repeated=True,
        effect=_FREE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorrelationOptions(ScoringOptions):
    """How a supernet's ranking is compared with a benchmark's."""

    num_architectures: int = option(
        500,
        "Architectures to compare, drawn with the seed from those of the "
        "table that are in the space; 0: all of them.",
        least=0,
    )
    supernet_step: tuple[str, ...] = option(
        (),
        "Checkpoints of the supernet, by training steps: one, several with "
        "commas between them, or all. Several also give tau over training. If "
        "unset, the newest. (Training keeps keep_checkpoints of them.)",
        effect=_FREE,
    )
    scored_images: int = option(
        0,
        "Held-out images that an architecture is scored on, as many of every "
        "class as can be, drawn with the seed; 0: all of them.",
        least=0,
    )
    statistics: Literal["recalibrated", "shared"] = option(
        "recalibrated",
        "What batch norm uses. recalibrated: statistics of each architecture "
        "by itself, as in the search. shared: one set for all, averaged over "
        "shared_paths random paths, as moving averages of the training would "
        "be; this is scoring without recalibration.",
    )
    shared_paths: int = option(
        200,
        "With statistics=shared: random paths, a training batch each.",
        least=1,
    )
    top_k: tuple[str, ...] = option(
        ("10", "1%", "5%", "10%"),
        "How many of the table's best are looked for among as many with the "
        "best scores; numbers or percentages.",
        effect=_FREE,
    )
    resamples: int = option(
        1000,
        "Resamples of the bootstrap that gives tau's 95 % interval.",
        least=1,
        effect=_FREE,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.statistics == "shared" and self.scoring == "tree":
            raise UserError(
                "`scoring=tree` shares recalibration, of which "
                "`statistics=shared` has none. Leave one of them out."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableOptions(Options):
    """A benchmark's table."""

    table: str | None = option(
        None, "The benchmark's table, .npz or .csv.", effect=_PLACE
    )
    accuracy_column: str | None = option(
        None,
        "Column of the table to compare with; a wrong one lists those there "
        "are.",
    )


# ---------------------------------------------------------------------------
# Files for other programs


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubnetNameOptions(Options):
    """Which trained network of a work_dir."""

    subnet_name: str | None = option(
        None,
        "Name of the network: its folder below subnet/; the run's name if "
        "unset.",
    )
    architecture: str | None = option(
        None,
        "Architecture file of the network; the architecture.json beside it if "
        "unset.",
        effect=_PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(ImageOptions):
    """Which files are written, and how they are compared with the network."""

    formats: tuple[str, ...] | None = option(
        None,
        "Any of saved_model, tflite, tflite_float16, tflite_int8, onnx and, "
        "for networks with bits, tflite_lowbit, onnx_qdq, onnx_deploy. If "
        "unset all that can hold the network; tflite_lowbit and onnx_deploy "
        "only after a training with deploy_form.",
        effect=_FREE,
    )
    min_agreement: tuple[str, ...] = option(
        (),
        "Least share of images with the network's top class, FORMAT=SHARE; a "
        "bare SHARE counts for all. The defaults are those of the table in "
        "docs/deployment.md.",
        effect=_FREE,
    )
    stored_weight_bits: int | None = option(
        None,
        "What a file stores low-bit weights in: 4 (the default) or 8 in "
        "onnx_qdq, 8 in tflite_lowbit and onnx_deploy.",
        effect=_FREE,
    )
    num_images: int = option(
        2000,
        "Test images to compare on, chosen at random; 0 for all. They are in "
        "memory at once.",
        least=0,
        effect=_FREE,
    )
    num_representative_images: int = option(
        200,
        "Training images that show tflite_int8 the range of every feature.",
        least=1,
        effect=_FREE,
    )
    batch_size: int = option(256, "Images at once.", least=1, effect=_FREE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationOptions(ImageOptions):
    """What is measured of a trained network, and on which images."""

    format: Literal[
        "keras",
        "saved_model",
        "tflite",
        "tflite_float16",
        "tflite_int8",
        "onnx",
        "tflite_lowbit",
        "onnx_qdq",
        "onnx_deploy",
    ] = option(
        "keras",
        "keras: the network itself. Others: the exported file, in its runtime.",
    )
    split: Literal["train", "search", "test"] = option(
        "test",
        "Images of a data set to measure on. search needs the "
        "holdout_per_class of the search.",
    )
    batch_size: int = option(256, "Images at once.", least=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyOptions(Options):
    """How a space's parts are timed."""

    runtime: Literal["tflite", "onnxruntime", "tensorflow"] = option(
        "tflite", "What runs the networks."
    )
    threads: int = option(1, "CPU threads of the runtime.", least=1)
    batch: int = option(1, "Images of one call.", least=1)
    warmup: int = option(3, "Rounds before those that are measured.", least=0)
    repeats: int = option(30, "Calls of every part in each pass.", least=1)
    passes: int = option(
        3, "Times that the whole space is gone through.", least=1
    )
    check_architectures: int = option(
        0,
        "Networks of each kind (spread over the range; uniform) to compare "
        "predictions with; 0 for no report.",
        least=0,
    )
    check_rounds: int = option(
        25, "Calls of every network in each series.", least=20
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.check_architectures == 1:
            raise UserError("`check_architectures` is 0 or at least 2; got 1.")
