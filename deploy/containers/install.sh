#!/bin/sh
# install.sh EXTRA ...: an environment in /opt/pllib that holds the needs of these extras in the versions of constraints.txt.
set -eu
python3 - "$@" > needs.txt <<'END'
import sys, tomllib

with open("pyproject.toml", "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
print(*(need for extra in sys.argv[1:] for need in extras[extra]), sep="\n")
END
python3 -m venv --without-pip /opt/pllib
exec python3 -m pip --python /opt/pllib/bin/python install --no-cache-dir --disable-pip-version-check --no-input \
    --retries 8 --timeout 60 --progress-bar off --only-binary :all: --constraint constraints.txt --requirement needs.txt
