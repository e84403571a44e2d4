"""What a TFLite file computes with, read from the file itself."""

import dataclasses
from collections.abc import Iterator

import flatbuffers
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


def read_model(content: bytes) -> schema.ModelT:
    """The objects of a TFLite file's schema, which may be changed."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def model_content(model: schema.ModelT) -> bytes:
    """The TFLite file of such objects."""
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def builtin_codes(model: schema.ModelT) -> list[int]:
    """What the operations of a file are, by their `opcodeIndex`."""
    # Files keep codes below 127 in a field of the schema's first version.
    return [
        max(code.builtinCode, code.deprecatedBuiltinCode)
        for code in model.operatorCodes
    ]


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
    model = read_model(content)
    names = [_OPERATIONS[code] for code in builtin_codes(model)]
    for index, code in enumerate(model.operatorCodes):
        if names[index] == "CUSTOM":
            names[index] = f"CUSTOM {code.customCode.decode()}"
    return [
        operation
        for graph in model.subgraphs
        for operation in _graph_operations(graph, names)
    ]


def _graph_operations(
    graph: schema.SubGraphT, names: list[str]
) -> Iterator[Operation]:
    def types(indices: list[int]) -> tuple[str, ...]:
        return tuple(_TYPES[graph.tensors[i].type] for i in indices if i >= 0)

    for operator in graph.operators:
        yield Operation(
            names[operator.opcodeIndex],
            types(operator.inputs),
            types(operator.outputs),
            bool(set(operator.inputs) & set(graph.inputs)),
            bool(set(operator.outputs) & set(graph.outputs)),
        )


def most_dimensions(content: bytes) -> int:
    """The most dimensions that a tensor of a TFLite file has.

    Delegates of GPUs and NPUs leave what has more than four to the CPU.
    """
    return max(
        0 if tensor.shape is None else len(tensor.shape)
        for graph in read_model(content).subgraphs
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
