"""A cost of the user's own: a Python function in a file of theirs.

`FILE.py:function` names it. What the function takes is said by the name of its
one parameter: `slot`, a `SlotOption`, where the cost is a sum over the parts
of a network, or `architecture`, an `Architecture`, where it is of the whole.
"""

import dataclasses
import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from spos_tf.cost.table import CostTable, SlotOption, tabulate
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.user_module import load_module, told

_PARAMETERS = ("slot", "architecture")


@dataclasses.dataclass(frozen=True)
class UserCost:
    """A function that was loaded from the user's file.

    Attributes:
        name: Of the function, and of the cost in messages and records.
        source: `FILE.py:function`, as it was given.
        parameter: `"slot"` or `"architecture"`.
        function: Gives a finite number.
    """

    name: str
    source: str
    parameter: str
    function: Callable[[Any], Any]

    def number(self, argument: Any, of: str) -> int | float:
        """The function's result.

        Args:
            argument: A `SlotOption` or an `Architecture`.
            of: What it is, for the message.

        Raises:
            UserError: The function fails, or gives no finite number.
        """
        try:
            value = self.function(argument)
        except UserError:
            raise
        # Whatever the user's code may raise.
        except (Exception, SystemExit) as error:
            path = self.source.rpartition(":")[0]
            raise UserError(
                f"Cost {self.source!r} fails for {of}: {told(error, path)}. "
                "Correct the function."
            ) from None
        # A bool is an Integral in Python; it is no number here.
        if not isinstance(value, bool):
            if isinstance(value, numbers.Integral):
                whole = int(value)
                # Beyond, it is no number of an array of whole numbers.
                return whole if abs(whole) < 2**63 else float(whole)
            if isinstance(value, numbers.Real) and math.isfinite(value):
                return float(value)
        raise UserError(
            f"A cost is one finite number; {self.source!r} gives {value!r} "
            f"for {of}. Correct the function."
        )


class ArchitectureCost:
    """A cost of whole architectures, asked once for each.

    Args:
        blueprint: Whose encodings it takes.
        cost: With parameter `architecture`.
    """

    def __init__(self, blueprint: Blueprint, cost: UserCost) -> None:
        self.name = cost.name
        self._blueprint = blueprint
        self._cost = cost
        self._known: dict[tuple[int, ...], int | float] = {}

    def __call__(self, encodings: npt.ArrayLike) -> npt.NDArray[Any]:
        """Costs of int32 `[n, num_choices]` encodings, `[n]`.

        Raises:
            UserError: The user's function fails or gives no finite number.
        """
        rows = np.asarray(encodings)
        values = []
        for key in map(tuple, rows.tolist()):
            if key not in self._known:
                self._known[key] = self._cost.number(
                    self._blueprint.architecture(key),
                    f"architecture {','.join(map(str, key))}",
                )
            values.append(self._known[key])
        return np.array(values) if values else np.zeros(0)


def is_user_cost(text: str) -> bool:
    """Whether a cost's name has the form `FILE.py:function`.

    >>> is_user_cost("energy.py:energy_mj"), is_user_cost("macs")
    (True, False)
    """
    path, colon, name = text.rpartition(":")
    return bool(colon and name) and path.endswith(".py")


def load_cost(text: str) -> UserCost:
    """Loads the function that `FILE.py:function` names.

    Raises:
        UserError: No such form, file or function, the file fails, or the
            function's only parameter is neither `slot` nor `architecture`.
    """
    path, _, name = text.rpartition(":")
    if not is_user_cost(text):
        raise UserError(
            "A cost of your own is FILE.py:function, for example "
            f"'energy.py:energy_mj'; got {text!r}."
        )
    function = getattr(load_module(path, "a cost"), name, None)
    if not callable(function):
        raise UserError(
            f"File {path!r} has no function {name!r}, which cost {text!r} "
            "names. Check the spelling."
        )
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        parameters = []
    if len(parameters) != 1 or parameters[0] not in _PARAMETERS:
        raise UserError(
            "A cost takes one parameter, called 'slot' (a part of a network) "
            f"or 'architecture' (all of it); {text!r} takes "
            f"({', '.join(parameters)}). Change its parameters."
        )
    return UserCost(name, text, parameters[0], function)


def user_cost(
    blueprint: Blueprint, cost: UserCost
) -> CostTable | ArchitectureCost:
    """The cost over a space: a table if it is per slot.

    Raises:
        UserError: The function fails or gives no finite number for a part.
    """
    if cost.parameter == "architecture":
        return ArchitectureCost(blueprint, cost)

    def cost_of(slot: SlotOption) -> int | float:
        chosen = "".join(
            f" {name}={option}" for name, option in slot.choices.items()
        )
        return cost.number(slot, f"{slot.name}{chosen}")

    return tabulate(blueprint, cost.name, cost_of)
