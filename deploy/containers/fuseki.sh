#!/bin/sh
# Runs the store. Its users are those of the credentials file, which the services read as well.
set -eu
secret=/secrets/store/credentials
new-secret.sh "$secret" "basic pllib:"
umask 077
sed -n 's/^basic  *\([^:]*\):\(.*\)$/\1: \2/p' "$secret" > /tmp/users
if ! test -s /tmp/users; then
    echo "$secret must hold one line: basic USER:PASSWORD" >&2
    exit 2
fi
mkdir -p /data/tdb2
# Half of the container's memory as heap: TDB2 reads its files through the system's cache beside it.
exec java -XX:MaxRAMPercentage=50 -XX:-UsePerfData @/fuseki/arguments --auth=basic --passwd=/tmp/users
