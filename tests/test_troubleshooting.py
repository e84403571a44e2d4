"""Every message that docs/troubleshooting.md explains is one that exists."""

import ast
import re

import pytest

from source_tree import REPO, modules

TEXT = (REPO / "docs" / "troubleshooting.md").read_text("utf-8")
# Lines of TensorFlow.
FOREIGN = {"Out of memory", "ResourceExhaustedError"}
MESSAGES = [
    message
    for row in re.findall(r"^\| (`.*?) \|", TEXT, re.M)
    for message in re.findall(r"`([^`]+)`", row)
    if message not in FOREIGN
]


def messages_of_the_source():
    """All texts of the library, values replaced by an ellipsis."""
    found = []
    for module in modules("spos_tf"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(map(_part, node.values)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def _part(node):
    return node.value if isinstance(node, ast.Constant) else "..."


SOURCE = messages_of_the_source()


def test_there_are_messages():
    assert len(MESSAGES) > 25


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_in_the_source(message):
    parts = [re.escape(part.strip()) for part in message.split("...")]
    assert re.search(".{0,80}".join(parts), SOURCE), message
