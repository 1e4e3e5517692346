"""The provenance of MLflow 3 runs: captured from unmodified scripts and servers, when ``PLLIB_MLFLOW=1`` is set.

Nothing here imports MLflow, and ``import pllib`` imports nothing of here. MLflow itself finds ``pllib_mlflow.py`` by the entry
points of the distribution; that asks ``hook`` for what stands between MLflow and its stores.
"""
