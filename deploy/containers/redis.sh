#!/bin/sh
# Runs the queue's server. Its password goes in by a pipe: neither its arguments nor its environment show it.
set -eu
secret=/secrets/queue/password
new-secret.sh "$secret"

# Half of the memory is for data: while the log is rewritten, the server is there twice.
memory=0
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    limit=$(cat "$file" 2>/dev/null || true)
    case "$limit" in
        "" | *[!0-9]* | ?????????????????*) ;; # none
        *) memory=$((limit / 2)) ;;
    esac
done

exec redis-server /etc/pllib/redis.conf --maxmemory "$memory" - <<END
requirepass "$(cat "$secret")"
END
