"""Tests with frameworks that are too large for the usual environment.

``make test-torch`` names the Python that has PyTorch, ``make test-mlflow2`` those that have MLflow 2.
"""

from __future__ import annotations

import os

collect_ignore = [] if "PLLIB_TORCH_PYTHON" in os.environ else ["test_torch.py", "test_prov4ml_torch.py"]
collect_ignore += [] if "PLLIB_MLFLOW2_PYTHONS" in os.environ else ["test_mlflow2.py"]
