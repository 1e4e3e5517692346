"""What the public ``provlake`` client sends, taken as it is (docs/how-to/coming-from-provlake.md).

``lenient_json`` (bytes to JSON) → ``messages`` (all dialects to one form) → ``values`` and ``conversion`` (to capture records); from there
on everything is as for our own client. ``names`` is what the elements of its lists and dicts are called, ``prospective`` its
specifications, ``routes`` the thin shell.
"""
