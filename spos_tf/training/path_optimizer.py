"""Keras optimizers that move only what is on the path."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from spos_tf.errors import UserError
from spos_tf.ops.dispatch import case, on_host
from spos_tf.ops.selection import Path, Selection
from spos_tf.training.path_gradients import Gate, grouped, pack, unpack


def path_optimizer(
    optimizer: keras.optimizers.Optimizer,
    variables: Sequence[keras.Variable],
    gates: Sequence[Gate],
    *,
    l2: float = 0.0,
    l2_filter: Callable[[keras.Variable], bool] | None = None,
) -> keras.optimizers.Optimizer:
    """Makes an optimizer like `optimizer` whose update is gated by the path.

    A branch that was not taken has a gradient of zeros, not None: momentum
    and weight decay would still move it. Here a variable, its slots and its
    decay are touched only on the path. Counters that all variables share
    advance in every step.

    Args:
        optimizer: Any Keras optimizer, not built yet; `LossScaleOptimizer`
            too. Like the variables it is made in the scope of the strategy.
        variables: All trainable variables.
        gates: One a variable.
        l2: Coupled L2: `l2 * variable` is added to the gradient before
            momentum, as PyTorch's SGD does and the paper's `weight_decay`
            means. Keras's own decoupled `weight_decay` stays what it is.
        l2_filter: Which variables have it; all by default.

    Returns:
        The same object, which has become such an optimizer and is built; call
        `apply_on_path(gradients, selection)`.

    Raises:
        UserError: The optimizer is built already, averages weights, or
            accumulates gradients over steps, which mixes paths.
    """
    if optimizer.built:
        raise UserError(
            f"Optimizer {optimizer.name!r} is built for other weights already. "
            "Make a new one."
        )
    scales_loss = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    inner = optimizer.inner_optimizer if scales_loss else optimizer
    for option in ("use_ema", "gradient_accumulation_steps"):
        if getattr(inner, option) and any(gates):
            raise UserError(
                f"A supernet's optimizer cannot have {option}: it would mix "
                "the paths of several steps. Leave it out."
            )
    # The object itself, and no copy by its configuration: Keras could make one
    # only of classes and schedules that are registered with it.
    _join(inner, _PathGated)
    if scales_loss:
        _join(optimizer, _PathLossScale)
    inner.set_gates(
        gates,
        [
            l2 if l2_filter is None or l2_filter(variable) else 0.0
            for variable in variables
        ],
    )
    optimizer.build(list(variables))
    return optimizer


def _join(optimizer: keras.optimizers.Optimizer, mixin: type) -> None:
    kind = type(optimizer)
    name = f"{mixin.__name__.strip('_')}{kind.__name__}"
    object.__setattr__(optimizer, "__class__", type(name, (mixin, kind), {}))


def slots_by_name(
    optimizer: keras.optimizers.Optimizer, names: Sequence[str]
) -> dict[str, keras.Variable]:
    """All variables of an optimizer, under names that outlive a reordering.

    Args:
        optimizer: From `path_optimizer`.
        names: Of the variables that it was built with, in their order.

    Returns:
        `"NAME/SLOT"` for what belongs to a variable, such as
        `"head.fc.kernel/momentum"`; a plain name for what all share, such as
        `"iterations"`.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    state = {id(variable) for variable in optimizer.variables}
    named: dict[str, keras.Variable] = {}

    def add(name: str, variable: Any) -> None:
        if id(variable) not in state:
            return
        state.remove(id(variable))
        # The optimizer inside and the one that scales have some names alike.
        named[f"outer_{name}" if name in named else name] = variable

    for index, slot, variable in inner.slots:
        add(f"{names[index]}/{slot}", variable)
    # What an optimizer makes by itself has the name of its attribute.
    for attribute, values in [*vars(inner).items(), *vars(optimizer).items()]:
        name = attribute.strip("_")
        if not isinstance(values, list):
            add(name, values)
        elif attribute not in ("_variables", "_trainable_variables"):
            for weight, variable in zip(names, values, strict=False):
                add(f"{weight}/{name}", variable)
    for variable in optimizer.variables:
        add(variable.name, variable)
    return named


# Methods of Keras that are not public and are overridden or called below. A
# test fails by name where a release of Keras changes one of them.
PRIVATE_KERAS_METHODS = {
    "_all_reduce_sum_gradients": ("self", "grads_and_vars"),
    "_apply_weight_decay": ("self", "variables"),
    "_distributed_tf_update_step": (
        "self",
        "distribution",
        "grads_and_vars",
        "learning_rate",
    ),
    "_get_variable_index": ("self", "variable"),
    "_use_weight_decay": ("self", "variable"),
}

# What `_PathGated` calls is the Keras optimizer's that it is joined with.
_Mixin: Any = object


class _PathGated(_Mixin):
    """Overrides the methods by which Keras sums gradients and updates."""

    def set_gates(self, gates: Sequence[Gate], l2: Sequence[float]) -> None:
        self._gates = tuple(gates)
        self._l2 = tuple(l2)
        self._selection: Selection | None = None
        # For each slot the number of its variable, its name, and itself; not
        # set as an attribute, which TensorFlow would track.
        slots: list[tuple[int, str, keras.Variable]] = []
        self.__dict__["slots"] = slots

    def apply_on_path(
        self, gradients: Sequence[tf.Tensor], selection: Selection | None
    ) -> None:
        """Applies the gradients of all variables, in their order.

        Args:
            gradients: One a variable the optimizer was built with. Under a
                strategy they are summed over replicas.
            selection: What ran; None where nothing is gated.
        """
        with self.on_path(selection):
            self.apply(gradients)

    @contextlib.contextmanager
    def on_path(self, selection: Selection | None) -> Iterator[None]:
        """Gates the updates in it; Keras passes nothing of ours through."""
        self._selection = selection
        try:
            yield
        finally:
            self._selection = None

    def build(self, variables: Sequence[keras.Variable]) -> None:
        self.__dict__["numbers"] = {
            id(one): i for i, one in enumerate(variables)
        }
        super().build(variables)

    def add_variable_from_reference(
        self,
        reference_variable: keras.Variable,
        name: str | None = None,
        **arguments: Any,
    ) -> keras.Variable:
        slot = super().add_variable_from_reference(
            reference_variable, name=name, **arguments
        )
        number = self.numbers[id(reference_variable)]
        self.slots.append((number, name or "var", slot))
        return slot

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        # Moved into update_step, where the gate is.
        del variables

    def _all_reduce_sum_gradients(
        self, grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]]
    ) -> list[tuple[tf.Tensor, tf.Variable]]:
        # Keras calls this in the replica context; off the path nothing is to
        # be summed.
        selection = self._selection
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1 or not isinstance(selection, Path):
            return super()._all_reduce_sum_gradients(grads_and_vars)
        gradients, variables = zip(*grads_and_vars, strict=True)
        shared = [i for i, gate in enumerate(self._gates) if gate is None]
        packed = pack(selection.options, self._gates, gradients)
        *always, chosen = tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.SUM,
            [gradients[index] for index in shared] + [list(packed.values())],
        )
        summed = dict(zip(shared, always, strict=True))
        vectors = dict(zip(packed, chosen, strict=True))
        for index, gate in enumerate(self._gates):
            if gate is not None:
                # It holds all variables of a choice, unpacked behind the gate.
                summed[index] = vectors[gate[0]]
        return [
            (summed[index], variable)
            for index, variable in enumerate(variables)
        ]

    def _distributed_tf_update_step(
        self,
        distribution: tf.distribute.Strategy,
        grads_and_vars: Sequence[tuple[tf.Tensor, tf.Variable]],
        learning_rate: tf.Tensor,
    ) -> None:
        # Keras calls this in the cross-replica context, with gradients that
        # are summed. Variables of one branch are updated together: 81 gates
        # instead of 335 are traced faster and dispatched faster.
        for gate, indexes in grouped(self._gates).items():
            gradients, variables = zip(
                *(grads_and_vars[index] for index in indexes), strict=True
            )
            distribution.extended.update(
                variables[0],
                functools.partial(self._update_group, gate),
                args=(variables, gradients, learning_rate),
                group=False,
            )

    def _update_group(
        self,
        gate: Gate,
        _: tf.Variable,
        variables: Sequence[tf.Variable],
        gradients: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> None:
        def update() -> tf.Tensor:
            packed = gradients[0].shape != variables[0].shape
            own = unpack(gradients[0], variables) if packed else gradients
            for variable, gradient in zip(variables, own, strict=True):
                self.update_step(gradient, variable, learning_rate)
            return tf.constant(True)

        if gate is None or self._selection is None:
            update()
            return
        with on_host():
            active = tf.cast(self._selection.runs(*gate), tf.int32)
        # Not tf.cond, whose dead branches the executor would walk.
        case(active, [lambda: tf.constant(False), update])

    def update_step(
        self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor
    ) -> None:
        index = self._get_variable_index(variable)
        changed = gradient
        if self._l2[index]:
            changed = gradient + self._l2[index] * variable
        if self.weight_decay is not None and self._use_weight_decay(variable):
            rate = tf.cast(learning_rate, variable.dtype)
            variable.assign_sub(variable * self.weight_decay * rate)
        super().update_step(changed, variable, learning_rate)


class _PathLossScale(_Mixin):
    """Scales the loss for float16; the optimizer inside is gated."""

    def apply_on_path(
        self, gradients: Sequence[tf.Tensor], selection: Selection | None
    ) -> None:
        """See `_PathGated.apply_on_path`; skips steps that overflow."""
        with self.inner_optimizer.on_path(selection):
            self.apply(gradients)

    @property
    def iterations(self) -> keras.Variable:
        """Steps that were applied; old Keras counts nothing out here."""
        return self.inner_optimizer.iterations

    def check_finite(self, grads: Sequence[tf.Tensor]) -> tf.Tensor:
        # Keras asks one replica and takes its word for all.
        finite = super().check_finite(grads)
        replica = tf.distribute.get_replica_context()
        overflows = replica.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.cast(~finite, tf.float32)
        )
        return tf.equal(overflows, 0.0)


def takes_l2(variable: keras.Variable) -> bool:
    """Whether coupled L2 is for a variable.

    As in the official code it is for kernels of convolutions (depthwise too)
    and dense layers; no bias, gamma or beta. Clip levels have it as well
    (PACT, section 3), which draws them in where little is clipped.
    """
    return len(variable.shape) > 1 or variable.name == "alpha"
