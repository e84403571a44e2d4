"""Which files are written for other programs, and how parts are timed."""

import dataclasses
from typing import Literal

from spos_tf.errors import UserError
from spos_tf.options.fields import FREE, PLACE, Options, option
from spos_tf.options.training import DtypePolicy, ImageOptions


@dataclasses.dataclass(frozen=True, kw_only=True)
class SubnetNameOptions(Options):
    """Which trained network of a work_dir."""

    subnet_name: str | None = option(
        None,
        "Name of the network: its folder below subnet/. If unset, the name of"
        " the run.",
    )
    architecture: str | None = option(
        None,
        "Architecture file of the network. If unset, the architecture.json "
        "beside it.",
        effect=PLACE,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportOptions(ImageOptions):
    """Which files are written, and how they are compared with the network.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> ExportOptions(formats=("tflite", "onnx")).num_images
        2000
    """

    formats: tuple[str, ...] | None = option(
        None,
        "Any of saved_model, tflite, tflite_float16, tflite_int8, onnx and, "
        "for networks with bits, tflite_lowbit, onnx_qdq, onnx_deploy. If "
        "unset, all that can hold the network, but tflite_lowbit and "
        "onnx_deploy only after a training with deploy_form.",
        effect=FREE,
    )
    min_agreement: tuple[str, ...] = option(
        (),
        "Smallest share of images for which a file has to give the network's "
        "class, as FORMAT=SHARE; a bare SHARE is for all formats. The "
        "defaults are in docs/deployment.md.",
        effect=FREE,
    )
    stored_weight_bits: int | None = option(
        None,
        "Bits in which a file stores low-bit weights: 4 (the default) or 8 in"
        " onnx_qdq, 8 in tflite_lowbit and onnx_deploy.",
        effect=FREE,
    )
    num_images: int = option(
        2000,
        "Number of test images to compare on, drawn at random; 0: all of "
        "them. They are in memory at once.",
        least=0,
        effect=FREE,
    )
    num_representative_images: int = option(
        200,
        "Number of training images from which tflite_int8 takes the range of "
        "every feature.",
        least=1,
        effect=FREE,
    )
    batch_size: int = option(256, "Images of one batch.", least=1, effect=FREE)


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
        "keras: the network itself. Any other: the exported file of this "
        "format, in its runtime.",
    )
    split: Literal["train", "search", "test"] = option(
        "test",
        "Which images of a data set to measure on. search: those that were "
        "held out; it needs the holdout_per_class of the search.",
    )
    batch_size: int = option(256, "Images of one batch.", least=1)
    dtype_policy: DtypePolicy | None = option(
        None,
        "Precision in which the network computes; weights are float32.",
        belongs_to="format",
        defaults={"keras": "float32"},
    )


# Networks of each kind that are exported beside the parts if nobody says.
EXPORTED_ARCHITECTURES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatencyOptions(Options):
    """How a space's parts are timed.

    Raises:
        UserError: A value is out of its range, or two contradict each other.

    Example:
        >>> LatencyOptions(runtime="onnxruntime", threads=2).repeats
        30
    """

    runtime: Literal["tflite", "onnxruntime", "tensorflow"] = option(
        "tflite", "What runs the networks."
    )
    threads: int = option(1, "CPU threads of the runtime.", least=1)
    batch: int = option(1, "Images of one call.", least=1)
    warmup: int = option(3, "Rounds before those that are measured.", least=0)
    repeats: int = option(30, "Calls of every part in one pass.", least=1)
    passes: int = option(3, "How often the whole space is measured.", least=1)
    check_architectures: int | None = option(
        None,
        "Networks of each kind (spread over the range; uniform) to compare "
        "predictions with; 0 for no report. If unset 0, and "
        f"{EXPORTED_ARCHITECTURES} with export_parts.",
        least=0,
    )
    check_rounds: int = option(
        25, "Calls of every network in one series.", least=20
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.check_architectures == 1:
            raise UserError("`check_architectures` is 0 or at least 2; got 1.")
