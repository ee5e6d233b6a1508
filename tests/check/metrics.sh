#!/bin/bash
#
# Every row of metrics.def is set by some program: a number that is declared
# and never set is a promise to dashboards that nobody keeps.
# Usage: metrics.sh METRICS.DEF FILE...   (tests and the table do not count)

set -u
table=$1
shift
bad=0
sources=()
for file in "$@"; do
	[[ $file == tests/* || $file == "$table" ]] || sources+=("$file")
done

rows=$(sed -n 's/^SYNQ_METRIC(\([A-Z_0-9]*\),.*/\1/p' "$table")
used=$(printf '%s\0' "${sources[@]}" |
	xargs -0 grep -hoE '\<SYNQ_M_[A-Z_0-9]+\>' | sort -u)
[ -n "$rows" ] || {
	echo "$table: no row was found"
	exit 1
}
for id in $rows; do
	grep -qx "SYNQ_M_$id" <<<"$used" || {
		echo "$table: $id is set by no program"
		bad=1
	}
done
exit $bad
