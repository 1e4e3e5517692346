"""Named analyses: documented questions with parameters, ready to be asked (docs/reference/analyses.md).

The ones that come with the query engine are the papers' seven questions, a TOML file each in ``papers``; users store
others of the same form.
"""
