"""Writes the even/odd channel split the way a runtime likes best."""

from collections.abc import Callable
from typing import Any, Literal

import keras

Form = Literal["strided", "transposed"]


def with_channel_split(model: keras.Model, form: Form) -> keras.Model:
    """Clones a network with every even/odd channel split in another form.

    A subnet splits channels by a reshape to `[..., C / 2, 2]` and an index
    on the last axis, which trains fastest in TensorFlow and is the slowest
    form in both other runtimes: onnxruntime then transposes to and from its
    channels-first layout at every block, and LiteRT's XNNPACK delegate, which
    takes no strided slice, is cut into one piece a block.

    Args:
        model: A functional network. Other splits, and networks without any,
            are left as they are.
        form: `"strided"`, `x[..., 0::2]` and `x[..., 1::2]`, for onnxruntime;
            `"transposed"`, the last two axes of `[batch, H * W, C / 2, 2]`
            swapped and then cut into halves, for LiteRT.

    Returns:
        A network with copies of the weights. Its results are the same to the
        bit: only data movement differs.
    """
    clone = keras.models.clone_model(model, call_function=_Rewriter(form))
    for layer in model.layers:
        if layer.weights:
            clone.get_layer(layer.name).set_weights(layer.get_weights())
    return clone


class _Rewriter:
    """The `call_function` of `keras.models.clone_model`."""

    def __init__(self, form: Form) -> None:
        self._split = _SPLITS[form]
        # By identity: the result of a reshape into pairs -> both its halves,
        # with the result itself kept alive so that its id stays its own.
        self._pairs: dict[int, tuple[Any, tuple[Any, Any]]] = {}

    def __call__(self, operation: Any, *args: Any, **kwargs: Any) -> Any:
        if args and id(args[0]) in self._pairs:
            index = _index_on_last_axis(args[1:], kwargs)
            if index is not None:
                return self._pairs[id(args[0])][1][index]
        outputs = operation(*args, **kwargs)
        if _makes_pairs(operation, args):
            # Where nothing reads the reshape any more, it drops out.
            self._pairs[id(outputs)] = outputs, self._split(args[0])
        return outputs


def _makes_pairs(operation: Any, args: tuple[Any, ...]) -> bool:
    if not isinstance(operation, keras.layers.Reshape) or len(args) != 1:
        return False
    shape = tuple(args[0].shape[1:])
    return (
        len(shape) == 3
        and None not in shape
        and tuple(operation.target_shape) == (*shape[:2], shape[2] // 2, 2)
    )


def _index_on_last_axis(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> int | None:
    key = args[0] if args else kwargs.get("key")
    if isinstance(key, (tuple, list)) and len(key) == 2:
        first, last = key
        if first is Ellipsis and type(last) is int and last in (0, 1):
            return last
    return None


def _strided(x: Any) -> tuple[Any, Any]:
    return x[..., 0::2], x[..., 1::2]


def _transposed(x: Any) -> tuple[Any, Any]:
    height, width, channels = x.shape[1:]
    # The batch is the one size left open: LiteRT then needs no operations
    # that compute shapes at run time.
    pairs = keras.ops.reshape(x, (-1, height * width, channels // 2, 2))
    halves = keras.ops.reshape(
        keras.ops.transpose(pairs, (0, 1, 3, 2)), (-1, height, width, channels)
    )
    return halves[..., : channels // 2], halves[..., channels // 2 :]


_SPLITS: dict[Form, Callable[[Any], tuple[Any, Any]]] = {
    "strided": _strided,
    "transposed": _transposed,
}
