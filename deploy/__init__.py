"""Start, watch, look after and stop the services on one machine: ``python -m deploy up``.

The parts: `plan` says which processes there are and how each is started, `supervisor` keeps them running, `processes`
is what it knows of one process, `ports`, `health`, `logs` and `state` are what it touches outside, `commands` starts and
stops; `queue`, `backup` and `restore` look after a stack that runs, over HTTP by `http_calls`; `manifest` is what a backup
says of itself; `arguments` are the words of the command line, `environment` prepares the virtual environment of the Makefile.
"""
