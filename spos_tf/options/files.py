"""Which files are written for other programs, and how parts are timed."""

import dataclasses
from typing import Literal

from spos_tf.errors import UserError
from spos_tf.options.fields import FREE, PLACE, Options, option
from spos_tf.options.training import ImageOptions


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
        effect=PLACE,
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
        effect=FREE,
    )
    min_agreement: tuple[str, ...] = option(
        (),
        "Least share of images with the network's top class, FORMAT=SHARE; a "
        "bare SHARE counts for all. The defaults are those of the table in "
        "docs/deployment.md.",
        effect=FREE,
    )
    stored_weight_bits: int | None = option(
        None,
        "What a file stores low-bit weights in: 4 (the default) or 8 in "
        "onnx_qdq, 8 in tflite_lowbit and onnx_deploy.",
        effect=FREE,
    )
    num_images: int = option(
        2000,
        "Test images to compare on, chosen at random; 0 for all. They are in "
        "memory at once.",
        least=0,
        effect=FREE,
    )
    num_representative_images: int = option(
        200,
        "Training images that show tflite_int8 the range of every feature.",
        least=1,
        effect=FREE,
    )
    batch_size: int = option(256, "Images at once.", least=1, effect=FREE)


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


# Networks of each kind that are exported beside the parts if nobody says.
EXPORTED_ARCHITECTURES = 10


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
    check_architectures: int | None = option(
        None,
        "Networks of each kind (spread over the range; uniform) to compare "
        "predictions with; 0 for no report. If unset 0, and "
        f"{EXPORTED_ARCHITECTURES} with export_parts.",
        least=0,
    )
    check_rounds: int = option(
        25, "Calls of every network in each series.", least=20
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.check_architectures == 1:
            raise UserError("`check_architectures` is 0 or at least 2; got 1.")
