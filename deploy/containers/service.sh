#!/bin/sh
# service.sh MODULE [ARGUMENT ...]: runs a service, once the secrets that it is told to read are there.
# Their servers make them up at their first start, which may come after this one. A token is asked for where there is one.
set -eu
trap 'exit 0' TERM INT
for file in "${PLLIB_STORE_CREDENTIALS_FILE:-}" "${PLLIB_TRACKER_QUEUE_PASSWORD_FILE:-}"; do
    test -z "$file" || test -s "$file" || echo "waiting for $file" >&2
    until test -z "$file" || test -s "$file"; do
        sleep 0.5 &
        wait $!
    done
done
if test -s /secrets/access/token; then
    export PLLIB_TOKEN_FILE=/secrets/access/token
fi
exec python3 -m "$@"
