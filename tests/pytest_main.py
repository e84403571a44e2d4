"""Runs pytest on the files it is given: the main of every Bazel test."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:]))
