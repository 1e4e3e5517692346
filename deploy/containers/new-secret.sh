#!/bin/sh
# new-secret.sh FILE [BEFORE]: makes up a secret, the first time: 192 random bits after what stands BEFORE them.
set -eu
test -s "$1" && exit 0
umask 077
draft="$1.$$"
echo "${2:-}$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" > "$draft"
mv "$draft" "$1"
echo "made up a secret in $1" >&2
