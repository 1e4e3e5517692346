"""Start, watch and stop the services on one machine: ``python -m deploy up``.

The parts: `plan` says which processes there are and how each is started, `supervisor` keeps them running, `processes`
is what it knows of one process, `ports`, `health`, `logs` and `state` are what it touches outside, `commands` are
the words of the command line, `environment` prepares the virtual environment of the Makefile.
"""
