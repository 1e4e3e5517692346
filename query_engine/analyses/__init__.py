"""Named analyses: documented questions with parameters, ready to be asked (docs/reference/analyses.md).

Those that come with the query engine are TOML files: the papers' seven questions in ``papers``, questions across data
stores and workflows in ``stores``, of runs in ``runs``. Users store others of the same form.
"""
