"""Multiply-adds of NAS-Bench-Macro's own network, as a cost of `search`.

A supernet with a stem of stride 2 is a smaller network than that of the
benchmark's table. This cost has the table's multiply-adds all the same:

  spos search ... --constraint='benchmarks/table_macs.py:table_macs<=55e6'
"""

from spos_tf.cost.table import SlotOption, slot_options
from spos_tf.spaces import build_blueprint

_PARTS = {
    (part.name, *part.choices.values()): part.macs
    for part in slot_options(build_blueprint("nas_bench_macro"))
}


def table_macs(slot: SlotOption) -> int:
    """Multiply-adds of the same part in the table's network."""
    return _PARTS[(slot.name, *slot.choices.values())]
