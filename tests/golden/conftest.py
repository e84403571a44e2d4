"""The option that renews the golden values."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only where this folder is named on the command line."""
    parser.addoption(
        "--renew",
        action="store_true",
        help="Write values.json anew and say what changed in it.",
    )
