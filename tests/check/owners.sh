#!/bin/bash
#
# Each foreign library is included from the folders named here and from nowhere
# else: owners.sh FILE...  Tests may include what they like.

set -u
bad=0
while read -r header folders; do
	found=$(printf '%s\n' "$@" | grep -v '^tests/' |
		xargs -r -d '\n' grep -HnE "^[ 	]*#[ 	]*include[ 	]*[<\"]$header" |
		grep -vE "^($folders)/")
	if [ -n "$found" ]; then
		printf '%s\n' "$found" | sed "s|\$|: only in ${folders//|/ }|"
		bad=1
	fi
done <<'LIST'
librdkafka/ libsynq/kafka
(libpq|postgres) libsynq/pg
hiredis libsynq/redis
curl/ libsynq/http
msgpack libsynq/codec
sodium libsynq/crypto
yaml libsynq/conf
openssl libsynq/httpd
nghttp2 libsynq/httpd
wslay libsynq/httpd
cjose libsynq/tenant
uv(\.h|/) libsynq/(loop|kafka|pg|redis|http|httpd|service)
json-c tests
LIST
exit $bad
