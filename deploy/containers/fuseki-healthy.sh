#!/bin/sh
# Whether the store answers a query.
set -eu
key=$(sed -n 's/^basic  *//p' /secrets/store/credentials | tr -d '\n' | base64 | tr -d '\n')
exec wget -q -O /dev/null --header "Authorization: Basic $key" "http://127.0.0.1:3030/pllib/query?query=ASK%7B%7D"
