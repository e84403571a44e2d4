"""What a TFLite file computes with, read from the file itself."""

import dataclasses
from collections.abc import Iterator

from ai_edge_litert import schema_py_generated as schema

from spos_tf.errors import UserError

_OPERATIONS = {
    code: name
    for name, code in vars(schema.BuiltinOperator).items()
    if not name.startswith("_")
}
_TYPES = {
    code: name.lower()
    for name, code in vars(schema.TensorType).items()
    if not name.startswith("_")
}
_FLOATS = {"float16", "float32", "float64", "bfloat16"}


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of a TFLite graph.

    Attributes:
        name: As in TFLite's schema, `CONV_2D`; of an operation that is not
            builtin its own name after `CUSTOM `.
        inputs: Types of its inputs, `"int8"`; absent ones are left out.
        outputs: Types of its outputs.
        reads_graph_input: Whether an input of it is the graph's.
        writes_graph_output: Whether an output of it is the graph's.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reads_graph_input: bool
    writes_graph_output: bool


def operations(content: bytes) -> list[Operation]:
    """All operations of a TFLite file, in the order they run."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return [
        operation
        for graph in model.subgraphs
        for operation in _graph_operations(graph, model.operatorCodes)
    ]


def _graph_operations(
    graph: schema.SubGraphT, codes: list[schema.OperatorCodeT]
) -> Iterator[Operation]:
    def types(indices: list[int]) -> tuple[str, ...]:
        return tuple(_TYPES[graph.tensors[i].type] for i in indices if i >= 0)

    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        # Files keep codes below 127 in a field of the schema's first version.
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = _OPERATIONS[builtin]
        if name == "CUSTOM":
            name = f"CUSTOM {code.customCode.decode()}"
        yield Operation(
            name,
            types(operator.inputs),
            types(operator.outputs),
            bool(set(operator.inputs) & set(graph.inputs)),
            bool(set(operator.outputs) & set(graph.outputs)),
        )


def most_dimensions(content: bytes) -> int:
    """The most dimensions that a tensor of a TFLite file has.

    Delegates of GPUs and NPUs leave what has more than four to the CPU.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return max(
        0 if tensor.shape is None else len(tensor.shape)
        for graph in model.subgraphs
        for tensor in graph.tensors
    )


def check_builtin(content: bytes) -> None:
    """Refuses a file that needs more than TFLite's builtin operations.

    Raises:
        UserError: It holds flex (TensorFlow) or other custom operations.
    """
    custom = {
        operation.name.removeprefix("CUSTOM ")
        for operation in operations(content)
        if operation.name.startswith("CUSTOM")
    }
    if custom:
        raise UserError(
            "TFLite files here use builtin operations only; this network "
            f"needs {', '.join(sorted(custom))}. Leave the TFLite formats out "
            "of `formats`."
        )


def check_integer(
    content: bytes, name: str = "tflite_int8", *, float_classifier: bool = False
) -> None:
    """Refuses a file in which anything but the two ends touches a float.

    Args:
        content: The file.
        name: Of its format.
        float_classifier: Whether the last fully connected layer may multiply
            dequantized integers.

    Raises:
        UserError: An operation other than the QUANTIZE of the input and the
            DEQUANTIZE of the output reads or writes floats.
    """
    floats = [
        operation.name
        for operation in operations(content)
        if _FLOATS & {*operation.inputs, *operation.outputs}
        and not _is_end(operation)
        and not (float_classifier and _is_classifier(operation))
    ]
    if floats:
        raise UserError(
            f"Format {name!r} computes on integers only; the converter "
            f"left {len(floats)} operations in float, of kinds "
            f"{', '.join(sorted(set(floats)))}. Leave {name!r} out of "
            "`formats`."
        )


def _is_classifier(operation: Operation) -> bool:
    if operation.name == "FULLY_CONNECTED":
        return operation.writes_graph_output
    return operation.name == "DEQUANTIZE"


def _is_end(operation: Operation) -> bool:
    if operation.name == "QUANTIZE":
        return operation.reads_graph_input
    return operation.name == "DEQUANTIZE" and operation.writes_graph_output
