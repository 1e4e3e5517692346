"""The client is written for Python 3.9: clusters do not have the newest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "pllib").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_client_has_the_syntax_of_python_3_9(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    lazy = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    unions = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)]
    named = [node.lineno for node in unions if all(isinstance(side, ast.Name) for side in (node.left, node.right))]
    assert lazy or not named, f"X | Y of types is evaluated in line {named}"
