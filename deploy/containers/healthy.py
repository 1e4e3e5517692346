#!/usr/bin/env python3
"""``healthy.py PORT``: whether the service on that port of this container says that it is usable; the exit code."""

import sys
from http.client import HTTPConnection, HTTPException

connection = HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
try:
    connection.request("GET", "/health")
    answer = connection.getresponse()
    said, usable = answer.read(1000).decode("utf-8", "replace"), answer.status == 200
except (OSError, HTTPException) as error:
    said, usable = str(error), False
print(said)
sys.exit(not usable)
