#!/bin/sh
# new-secrets.sh: makes up the secrets of this folder that are not there yet, each 192 random bits.
set -eu
umask 077
cd "$(dirname "$0")"
new() { test -s "$1" || printf %s "${2:-}$(od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n')" > "$1"; }
new queue-password
new store-credentials "basic pllib:"
new token
