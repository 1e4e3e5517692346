#!/bin/sh
# Whether the queue's server answers, with its data read.
set -eu
REDISCLI_AUTH=$(cat /secrets/queue/password)
export REDISCLI_AUTH
test "$(redis-cli --no-auth-warning ping)" = PONG
