"""Queries over provenance and the data that it refers to (docs/decisions/0011-polystore.md).

The service finds the provenance rows, and which data they refer to (``provenance``, ``references``); a process of its
own for each request reads that data and runs the client's SQL over both (``engine`` starts it). In that process:
``worker`` is its main, ``places`` opens files below a registered root, ``reading`` makes tables of the data,
``statement`` says whether a text is one harmless SELECT, ``answer`` runs it.
"""
