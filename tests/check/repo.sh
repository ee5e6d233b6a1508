#!/bin/bash
#
# What the repository holds: nothing unexpected at the top, no path of a
# machine, no address of a package registry, nothing generated.
# Usage: repo.sh FILE...

set -u
bad=0
complain() {
	echo "$*"
	bad=1
}

allowed=' producer consumers schema libsynq tests compose ctl docs .ci
Makefile README.md LICENSE CONTRIBUTING.md CHANGELOG.md SECURITY.md
.clang-format .clang-tidy .gitignore '
while read -r name; do
	[[ " ${allowed//$'\n'/ } " == *" $name "* ]] ||
		complain "$name: not one of the names at the top level"
done < <(printf '%s\n' "$@" | cut -d/ -f1 | sort -u)

# Brackets keep these lines from finding themselves.
machine='/[w]ork/|/[r]oot/|/[h]ome/[a-z]|/tmp/[s]ynq/|/[U]sers/[a-z]'
hosts='repo1?\.[m]aven|maven\.[a]pache\.org/maven2|[p]ypi\.org|'
hosts+='[p]ythonhosted|registry\.[n]pmjs|deb\.[d]ebian\.org|'
hosts+='index-[u]rl|[a]rtifactory|proxy\.[g]olang'
found=$(printf '%s\0' "$@" | xargs -0 grep -InE "$machine" /dev/null) &&
	complain "$found"$'\n'"a path of one machine"
found=$(printf '%s\0' "$@" | xargs -0 grep -InE "$hosts" /dev/null) &&
	complain "$found"$'\n'"the address of a registry"

for file in "$@"; do
	case $file in
	build/* | var/* | *.o | *.a | *.so | *.pyc | *.orig | *.rej | *~)
		complain "$file: generated, not to be kept" ;;
	esac
	[ ! -f "$file" ] || [ "$(stat -c %s "$file")" -le 1048576 ] ||
		complain "$file: over 1 MiB"
done
exit $bad
