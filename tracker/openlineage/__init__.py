"""OpenLineage events, taken as integrations send them (docs/how-to/openlineage.md).

``lenient_json`` (bytes to JSON) → ``events`` (checked, one form for all kinds) → ``conversion`` (to PROV-ML documents); ``metadata`` keeps
the event itself, ``intake`` makes it durable, ``routes`` is the thin shell.
"""
