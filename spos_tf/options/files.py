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
        "Files to write: saved_model, tflite, tflite_float16, tflite_int8, "
        "onnx and, for networks with bits, tflite_lowbit, onnx_qdq, "
        "onnx_deploy. If unset, every format that can hold the network; "
        "tflite_lowbit and onnx_deploy only if it was trained with "
        "deploy_form.",
        effect=FREE,
    )
    min_agreement: tuple[str, ...] = option(
        (),
        "Smallest share of images (0 to 1) for which a file has to predict "
        "the same class as the network, as FORMAT=SHARE. SHARE alone is for "
        "all formats. The defaults are in docs/deployment.md.",
        effect=FREE,
    )
    stored_weight_bits: int | None = option(
        None,
        "Bits of one stored weight in files of low-bit networks. onnx_qdq: 4 "
        "(the default) or 8. tflite_lowbit and onnx_deploy: 8.",
        effect=FREE,
    )
    num_images: int = option(
        2000,
        "Number of test images to compare on, drawn at random; 0: all of "
        "them. All are in memory at once.",
        least=0,
        effect=FREE,
    )
    num_representative_images: int = option(
        200,
        "Number of training images from which tflite_int8 takes the value "
        "range of every feature.",
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
        "Which images of a data set to measure on. search: the images that "
        "were held out for the search; give its holdout_per_class too.",
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
        "tflite", "Library that runs the networks."
    )
    threads: int = option(1, "CPU threads of the runtime.", least=1)
    batch: int = option(1, "Images in one call of a network.", least=1)
    warmup: int = option(
        3, "Calls of every part or network before the timed ones.", least=0
    )
    repeats: int = option(30, "Timed calls of every part in one pass.", least=1)
    passes: int = option(
        3, "How many times the whole space is measured.", least=1
    )
    check_architectures: int | None = option(
        None,
        "Whole networks to measure and compare with the table's predictions: "
        "this many spread over the latency range, and as many drawn "
        "uniformly. 0: no comparison. If unset, 0, or "
        f"{EXPORTED_ARCHITECTURES} with export_parts.",
        least=0,
    )
    check_rounds: int = option(
        25,
        "Timed calls of every network of check_architectures, in each of two "
        "series.",
        least=20,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.check_architectures == 1:
            raise UserError("`check_architectures` is 0 or at least 2; got 1.")
