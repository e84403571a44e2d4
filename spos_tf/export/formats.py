"""The one table of the formats that a network can leave in.

Loading this module is quick: writers and loaders are imported when they are
used.
"""

import dataclasses
import importlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from spos_tf.errors import UserError

# What a network computes with: floats, features of few bits that it was
# trained with, or tfmot's 8-bit quantizers.
Kind = Literal["float", "low_bit", "int8"]


@dataclasses.dataclass(frozen=True)
class Format:
    """A format of exported networks.

    Attributes:
        name: In options and in the manifest.
        file_name: Of the file or folder within an export folder.
        help: What is in the file, in one line.
        kinds: Networks that the format can hold.
        loader: Name of the function in `spos_tf.export.runtimes` that loads
            it; the one that writes it has the format's name in
            `spos_tf.export.writing`.
        min_agreement: Share of the images whose top class has to be the
            reference's, unless a caller asks for another. Where the format is
            exact it is all of them.
        is_exact: Whether it computes with float32 weights, so that its logits
            have to be the reference's up to rounding.
        weight_bits: Bits that low-bit weights can be stored in, the usual
            ones first; empty for formats that store none of them.
        is_deploy_form: Whether the reference is the network's deploy form.
    """

    name: str
    file_name: str
    help: str
    kinds: tuple[Kind, ...]
    loader: str
    min_agreement: float = 0.999
    is_exact: bool = False
    weight_bits: tuple[int, ...] = ()
    is_deploy_form: bool = False

    def load_writer(self) -> Callable[..., dict[str, int]]:
        """Imports the writer, which takes a `Network` and a path."""
        writing = importlib.import_module("spos_tf.export.writing")
        writer: Callable[..., dict[str, int]] = getattr(writing, self.name)
        return writer

    def load_loader(self) -> Callable[[str, int], Any]:
        """Imports the loader, which takes a path and a number of threads."""
        runtimes = importlib.import_module("spos_tf.export.runtimes")
        loader: Callable[[str, int], Any] = getattr(runtimes, self.loader)
        return loader

    def for_kind(self, kind: Kind) -> "Format":
        """The format as it is for networks of a kind.

        Where a network rounds features to few levels, a difference in the
        last place is now and then one of a whole level, and the logits of
        that image are others.
        """
        if kind != "low_bit":
            return self
        return dataclasses.replace(self, is_exact=False)


# No file, but what two of them are compared with; compared itself with the
# network.
DEPLOY_FORM = Format(
    "deploy_form", "", "the network as integers", ("low_bit",), "", 0.99
)
FORMATS = {
    known.name: known
    for known in (
        Format(
            "saved_model",
            "saved_model",
            "a SavedModel for TensorFlow and TensorFlow Serving",
            ("float", "low_bit", "int8"),
            "load_saved_model",
            is_exact=True,
        ),
        Format(
            "tflite",
            "model.tflite",
            "LiteRT in float32",
            ("float", "low_bit"),
            "load_tflite",
            is_exact=True,
        ),
        Format(
            "tflite_float16",
            "model_float16.tflite",
            "LiteRT with float16 weights",
            # Half precision would move levels.
            ("float",),
            "load_tflite",
            0.99,
        ),
        Format(
            "tflite_int8",
            "model_int8.tflite",
            "LiteRT with 8-bit weights and features",
            ("float", "int8"),
            "load_tflite",
            0.95,
        ),
        Format(
            "onnx",
            "model.onnx",
            "ONNX in float32",
            ("float", "low_bit"),
            "load_onnx",
            is_exact=True,
        ),
        Format(
            "tflite_lowbit",
            "model_lowbit.tflite",
            "LiteRT in integers, weights on their few levels",
            ("low_bit",),
            "load_tflite",
            weight_bits=(8,),
            is_deploy_form=True,
        ),
        Format(
            "onnx_qdq",
            "model_qdq.onnx",
            "ONNX in float32 with few-bit weights stored as integers",
            ("low_bit",),
            "load_onnx_qdq",
            weight_bits=(4, 8),
        ),
        Format(
            "onnx_deploy",
            "model_deploy.onnx",
            "ONNX whose operations runtimes fuse into integer ones",
            ("low_bit",),
            "load_onnx",
            weight_bits=(8,),
            is_deploy_form=True,
        ),
    )
}


def formats_of(kind: Kind) -> tuple[str, ...]:
    """Names of the formats that hold networks of a kind."""
    return tuple(name for name, one in FORMATS.items() if kind in one.kinds)


def find_format(name: str) -> Format:
    """The format of that name.

    Raises:
        UserError: There is none.
    """
    if name not in FORMATS:
        raise UserError(
            f"Unknown export format {name!r}. "
            f"The formats are: {', '.join(FORMATS)}."
        )
    return FORMATS[name]


def check_formats(
    names: Iterable[str], *, space: str, allowed: Sequence[str]
) -> tuple[Format, ...]:
    """The formats of those names, each once, in the order given.

    Args:
        names: Keys of `FORMATS`.
        space: Name of the search space, for the message.
        allowed: Names of the formats that hold the network.

    Raises:
        UserError: There is no such format, or the network cannot be exported to
            it, or none was named.
    """
    found = tuple(find_format(name) for name in dict.fromkeys(names))
    if not found:
        raise UserError(
            "An export names at least one format; got none. "
            f"The formats are: {', '.join(allowed)}."
        )
    for one in found:
        if one.name not in allowed:
            raise UserError(
                f"Networks of space {space!r} cannot be exported to "
                f"{one.name!r}. Their formats are: {', '.join(allowed)}."
            )
    return found


def check_weight_bits(targets: Iterable[Format], bits: int | None) -> None:
    """Refuses to store weights as no format of those can.

    Args:
        targets: Formats that are written.
        bits: That are asked for; None asks for nothing.

    Raises:
        UserError: A format stores low-bit weights in other bits only, or none
            stores any.
    """
    if bits is None:
        return
    storing = [one for one in targets if one.weight_bits]
    if not storing:
        names = [one.name for one in FORMATS.values() if one.weight_bits]
        raise UserError(
            f"`stored_weight_bits` is for the formats {', '.join(names)}; got "
            f"`stored_weight_bits={bits}` and none of them. Leave it out, or "
            "add one to `formats`."
        )
    for one in storing:
        if bits not in one.weight_bits:
            possible = " or ".join(map(str, one.weight_bits))
            raise UserError(
                f"Format {one.name!r} stores weights in {possible} bits; got "
                f"`stored_weight_bits={bits}`. Leave it out: the values of the "
                "weights are the same however they are stored."
            )
