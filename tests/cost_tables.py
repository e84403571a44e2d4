"""Cost tables without a network, for tests."""

import numpy as np

from spos_tf.cost.table import CostTable


def table_by_choice(name, constant, table, num_options):
    """A table with a row a choice, all of whose options are legal."""
    return CostTable(
        name,
        constant,
        table,
        tuple(np.arange(count) for count in num_options),
        tuple(((position, 1),) for position in range(len(num_options))),
    )
