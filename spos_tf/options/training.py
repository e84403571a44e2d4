"""How images are prepared and weights are trained, and the recipes."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from spos_tf.errors import UserError
from spos_tf.options.fields import FREE, PLACE, Options, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageOptions(Options):
    """How images become inputs of a network."""

    seed: int = option(
        0, "Seed of all random numbers.", least=0, most=2**32 - 1
    )
    holdout_per_class: int | None = option(
        None,
        "Training images of every class that are held out: the weights never "
        "see them, and paths are scored on them. If unset, a fifth of the "
        "smallest class but at most 50 for a supernet, the supernet's own "
        "number in a search, and 0 for a single network.",
        least=0,
    )
    augmentation: Literal["imagenet", "cifar", "shift", "none"] | None = option(
        None,
        "Augmentation of training images. imagenet: random resized crop, "
        "colour jitter, flip. cifar: pad by 4, crop, flip. shift: pad by 1, "
        "crop. If unset, imagenet from 64 pixels on, cifar from 16, shift "
        "below.",
    )
    color_jitter: float = option(
        0.4,
        "Strength of the colour jitter of augmentation=imagenet.",
        least=0,
        most=1,
    )
    eval_resize: int | None = option(
        None,
        "Images of an evaluation are resized to this short side, in pixels, "
        "before the centre crop. If unset, 256/224 of the image size from 64 "
        "pixels on, else the image size.",
        least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeightsOptions(Options):
    """Which weights of a trained supernet are read."""

    weights: Literal["averaged", "last"] | None = option(
        None,
        "Which weights of the supernet to use. last: those of the last step. "
        "averaged: their averages (average_every). If unset, last.",
    )


Distribution = Literal["one_device", "mirrored", "multi_worker"]
# As Keras names them; weights are float32 in all of them.
DtypePolicy = Literal["float32", "mixed_float16", "mixed_bfloat16"]


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
    epochs: float | None = option(
        None, "Passes over the training images, instead of steps.", above=0
    )
    batch_size: int | None = option(
        None, "Images of one step, over all devices.", least=1, from_recipe=True
    )
    learning_rate: float | None = option(
        None, "Highest learning rate.", least=0, from_recipe=True
    )
    schedule: Literal["linear", "cosine", "constant"] | None = option(
        None, "How the learning rate decays after its peak.", from_recipe=True
    )
    final_learning_rate: float | None = option(
        None,
        "Learning rate that a linear or cosine schedule ends at; 0 lets it "
        "decay to zero.",
        least=0,
        from_recipe=True,
    )
    warmup_steps: int = option(
        0,
        "Steps in which the learning rate rises from zero to its peak.",
        least=0,
    )
    optimizer: str | None = option(
        None,
        "Name of a Keras optimizer; sgd beside a learning rate or arguments of"
        " yours. From a recipe sgd takes ten times the learning rate of "
        "others.",
        from_recipe=True,
    )
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
    dtype_policy: DtypePolicy = option(
        "float32", "Precision of the computation; weights are float32."
    )
    distribution: Distribution | None = option(
        None,
        "mirrored: all GPUs of this machine. multi_worker: the GPUs (or, "
        "without any, the CPUs) of all hosts that TF_CONFIG names; start the "
        "command on each, with a work_dir that all share. If unset, mirrored "
        "where there are several GPUs.",
    )
    batch_norm: Literal["replica", "synchronized"] = option(
        "replica",
        "replica: batch norm sees the images of its own device. synchronized: "
        "it sees those of all devices.",
    )
    jit_compile: bool = option(
        False,
        "Compile the step with XLA. It is meant for GPUs and TPUs; on a CPU "
        "it is slower. A supernet with elastic widths then needs "
        "width_mode=mask. Paths are drawn by XLA's generator, so a seed gives"
        " other paths than without.",
    )
    deterministic: bool = option(
        True,
        "Make runs repeat bit for bit on a CPU. On GPUs it costs speed, and "
        "some operations have no deterministic form.",
    )
    log_every: int = option(50, "Steps between reports.", least=1, effect=FREE)
    profile_steps: str | None = option(
        None,
        "FROM:TO, for example 10:20. Profile these steps for TensorBoard.",
        effect=FREE,
    )
    checkpoint_every: int = option(
        1000, "Steps between checkpoints.", least=1, effect=FREE
    )
    keep_checkpoints: int = option(
        3, "How many of the newest checkpoints to keep.", least=1, effect=FREE
    )
    validate_every: int = option(
        5000, "Steps between validations; 0: never.", least=0, effect=FREE
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "learning_rate" in (self.optimizer_arguments or {}):
            raise UserError(
                "The learning rate is set by `learning_rate` and `schedule`; "
                "`optimizer_arguments` sets one too, "
                f"{(self.optimizer_arguments or {})['learning_rate']!r}. Leave "
                "it out there."
            )
        if self.steps is not None and self.epochs is not None:
            raise UserError(
                f"Give `steps` or `epochs`, not both; got {self.steps} and "
                f"{self.epochs:g}."
            )
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise UserError(
                f"`warmup_steps` is below `steps`; got {self.warmup_steps} of "
                f"{self.steps}."
            )

        self._check_final_rate()

    def _check_final_rate(self) -> None:
        final, peak = self.final_learning_rate, self.learning_rate
        if not final:
            return
        if self.schedule == "constant":
            raise UserError(
                "`schedule=constant` stays at `learning_rate`; got "
                f"`final_learning_rate={final}` too. Leave one of them out."
            )
        if peak is not None and final > peak:
            raise UserError(
                "`final_learning_rate` is at most `learning_rate`; got "
                f"{final} and {peak}."
            )

    def with_recipe(self, recipe: Mapping[str, Any]) -> Self:
        """The same with a recipe's values where nothing was given.

        A recipe's rates belong to its optimizer: between SGD and others they
        differ by a factor of ten (docs/results.md). Its final rate belongs to
        its peak: beside another `learning_rate` it is the same share of that,
        and `schedule=constant` has none.
        """
        values = dict(recipe)
        theirs = values.get("optimizer", _SGD)
        # Rates and arguments that name no optimizer are meant for SGD.
        rates = self.learning_rate is not None or self.final_learning_rate
        if rates or self.optimizer_arguments:
            values["optimizer"] = _SGD
        ours = self.optimizer or values.get("optimizer", _SGD)
        for rate in _RATES & values.keys():
            if _is_sgd(ours) and not _is_sgd(theirs):
                values[rate] *= _SGD_TIMES
            elif _is_sgd(theirs) and not _is_sgd(ours):
                values[rate] /= _SGD_TIMES
        if values.get("final_learning_rate"):
            if self.schedule == "constant":
                values["final_learning_rate"] = 0.0
            elif self.learning_rate is not None:
                share = self.learning_rate / values["learning_rate"]
                values["final_learning_rate"] *= share
        return super().with_recipe(values)

    @property
    def optimizer_name(self) -> str:
        """Name of the optimizer: `optimizer`, or sgd where that is open."""
        return self.optimizer or _SGD

    @property
    def all_optimizer_arguments(self) -> dict[str, Any]:
        """`optimizer_arguments`, or the default of the optimizer."""
        if self.optimizer_arguments is not None:
            return dict(self.optimizer_arguments)
        return {"momentum": 0.9} if _is_sgd(self.optimizer_name) else {}


_SGD = "sgd"
_RATES = {"learning_rate", "final_learning_rate"}
# As many times as large as those of Adam and its like.
_SGD_TIMES = 10


def _is_sgd(optimizer: str) -> bool:
    return optimizer.lower() == _SGD


_LEARNED = ("gumbel", "two_path")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SupernetOptions(TrainingOptions):
    """How a supernet is trained: `TrainingOptions`, and which paths.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> SupernetOptions(steps=20_000, sampler="uniform").sampler
        'uniform'
    """

    confirm_per_class: int | None = option(
        None,
        "Training images of every class that neither the weights nor a search "
        "see. At its end, a search scores the winner and random networks on "
        "them. If unset, 50 or a tenth of the smallest class, whichever is "
        "less, if at least half of the class is left to train on; else none. "
        "In a data set that does not fit in memory, the mean size of a class "
        "counts.",
        least=0,
    )

    algorithm: Literal["single_path", "path_dropout", "gumbel", "two_path"] = (
        option(
            "single_path",
            "How the supernet is trained. single_path: on one branch of every "
            "choice (the paper's). path_dropout: on branches dropped at "
            "random. gumbel: on all branches, weighted (FBNet). two_path: two "
            "branches are compared (ProxylessNAS). See docs/algorithms.md.",
        )
    )
    sampler: (
        Literal["uniform", "uniform_constraint", "strict_fairness"] | None
    ) = option(
        None,
        "How paths are drawn. uniform: every option is equally likely. "
        "uniform_constraint: a cost range is drawn uniformly, then a path "
        "inside it (the paper's). strict_fairness: in every m steps each of m "
        "options is drawn once (only the sampling of FairNAS: here each path "
        "is an update of its own, there the m gradients are summed to one "
        "update).",
        belongs_to="algorithm",
        defaults={"single_path": "uniform_constraint"},
    )
    constraint_cost: str = option(
        "macs",
        "Cost of sampler=uniform_constraint; FILE.py:function names one of "
        "your own.",
    )
    constraint_ranges: str | None = option(
        None,
        "Cost ranges of sampler=uniform_constraint as FROM:TO:STEP. If unset, "
        "7 equal ranges between the 1st and 99th percentile of random paths; "
        "for the MACs of the paper's shufflenet_blocks 290e6:360e6:10e6, as "
        "in the official code.",
        belongs_to="algorithm",
        defaults={"single_path": None},
    )
    untied: bool | None = option(
        None,
        "Where several blocks share a choice, as the cells of nasbench201 do,"
        " let every block draw its own option in training. The supernet is "
        "searched with the shared choices all the same. With sampler=uniform,"
        " a cell in which nothing reaches a node is drawn again; with "
        "strict_fairness it is kept.",
        belongs_to="algorithm",
        defaults={"single_path": False},
    )
    initialization: Literal["independent", "aligned"] | None = option(
        None,
        "independent: every option starts with weights of its own (as in the "
        "official code). aligned: the options of a choice start as the same "
        "function, larger kernels as the 3x3 one with zeros around; this "
        "learns faster where steps are few.",
        from_recipe=True,
    )
    validation_paths: int = option(
        3,
        "How many fixed random paths a validation scores.",
        least=1,
        effect=FREE,
    )
    recalibration_images: int = option(
        20_000,
        "Number of training images that batch norm is recalibrated on for a "
        "validation, as in the search; all of them where there are fewer.",
        least=1,
        effect=FREE,
    )
    average_every: int = option(
        10,
        "Steps between updates of the averaged weights, which are stored "
        "beside the last ones. The average of a branch moves only in steps "
        "that run it. 0: no averages are stored.",
        least=0,
    )
    width_mode: Literal["slice", "mask"] = option(
        "slice",
        "How elastic widths are computed. slice: only the channels in use are"
        " computed. mask: all channels are computed and the others set to "
        "zero; shapes are static then, as jit_compile needs.",
    )
    keep_rate: float | None = option(
        None,
        "Probability with which a branch is kept.",
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
        "Steps of the weights for each step of the architecture parameters.",
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
        "Cost that the loss is multiplied with; FILE.py:function names one of "
        "your own.",
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
        if self.steps is None:
            return
        first = self.architecture_warmup_steps
        every = self._of_algorithm("architecture_every")
        if first + every > self.steps:
            raise UserError(
                f"In {self.steps} steps architecture parameters would never "
                f"be updated: the first {first} steps train weights only, and "
                f"then the parameters are updated every {every} steps. Give "
                "more `steps`, or a smaller `architecture_every` or "
                "`architecture_warmup`."
            )

    def _of_algorithm(self, name: str) -> Any:
        """An option's value, or what None stands for with this algorithm."""
        about = self.__dataclass_fields__[name].metadata["about"]
        value = getattr(self, name)
        return about.defaults[self.algorithm] if value is None else value

    @property
    def learns_architecture(self) -> bool:
        """Whether there are architecture parameters."""
        return self.algorithm in _LEARNED

    @property
    def architecture_warmup_steps(self) -> int:
        """Steps before architecture parameters are trained."""
        share = self._of_algorithm("architecture_warmup")
        return int(share * (self.steps or 0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubnetOptions(TrainingOptions):
    """How a single network is trained: `TrainingOptions`, and its form.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> SubnetOptions(steps=500, quantize="int8").quantize
        'int8'
    """

    fit_macs: float | None = option(
        None,
        "Scale all stage widths by one factor, to the largest network with at"
        " most this many multiply-adds.",
        above=0,
    )
    quantize: Literal["int8"] | None = option(
        None,
        "Train with tfmot's 8-bit quantizers in the network. The export then "
        "writes a TFLite file of integers without representative images.",
    )
    deploy_form: bool = option(
        False,
        "Train a network with bits as the integer files will compute it, with"
        " the batch norm statistics of start_from. A tenth of the usual "
        "learning rate is enough.",
    )
    recalibration_images: int | None = option(
        None,
        "Number of training images that batch norm is recalibrated on if the "
        "network starts with a supernet's weights; all of them where there are "
        "fewer. If unset, as many as the training of the supernet used in its "
        "validations, as in the search.",
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
class StartOptions(WeightsOptions):
    """The weights that a single network starts with."""

    search_name: str = option(
        "default",
        "The search whose best.json is trained, if no network is named.",
    )
    inherit_from: str | None = option(
        None,
        "Work_dir of a supernet whose weights the network starts with.",
        effect=PLACE,
    )
    start_from: str | None = option(
        None,
        "Name of a trained network in the same work_dir. Training starts with "
        "its weights, so it must have the same architecture. With quantize it "
        "is usually the network in float.",
    )


# Training images of an option from which on scores of a supernet tell networks
# apart, as measured in docs/results.md. What a search advises.
USUAL_IMAGES_PER_OPTION = 300_000

# Images a step and so on, by what is trained and by preset. `imagenet` is the
# paper's (section 4.1 and the official code).
_PAPER: Mapping[str, Any] = {
    "batch_size": 1024,
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "schedule": "linear",
    "final_learning_rate": 0.0,
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
        # A branch has few steps; with Adam it learns more in them.
        "cifar": {
            **_SMALL,
            "steps": 40_000,
            "optimizer": "adam",
            "learning_rate": 0.005,
        },
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
    trained: Literal["supernet", "subnet"], preset: str | None, image_size: int
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
