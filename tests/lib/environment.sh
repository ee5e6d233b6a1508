#!/bin/bash
#
# What the tests run in, made when first needed: sourced by tests/run.
#
#   prepare_python   build/venv from tests/requirements.txt; sets $python, and
#                    "${pytest[@]}", the command that runs our tests in it
#   prepare_node     build/node with the newest openai that the node at hand
#                    takes; exports NODE_PATH (scripts use require())
#
# Both run in the top folder and return 1 after saying what went wrong.

# Prints the first Python that can make a virtual environment.
usable_python() {
	local candidate
	for candidate in python3 /usr/bin/python3; do
		"$candidate" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 9))' >/dev/null 2>&1 || continue
		command -v "$candidate"
		return
	done
	echo "no python3 of at least 3.9 with venv: compose/install check" >&2
	return 1
}

prepare_python() {
	local dir=build/venv base stamp log
	base=$(usable_python) || return 1
	stamp="$base $("$base" -V) $(cksum <tests/requirements.txt) $PWD"
	python=$PWD/$dir/bin/python
	# shellcheck disable=SC2034  # for those that source this
	pytest=(env PYTHONPATH="$PWD/tests/lib" "$python" -m pytest -q
		-p pytest_stop -c tests/pytest.ini --rootdir=tests)
	[ "$stamp" != "$(cat $dir/.complete 2>/dev/null)" ] || return 0

	echo "making $dir"
	mkdir -p build
	log=$(mktemp)
	rm -rf $dir
	if ! "$base" -m venv $dir >"$log" 2>&1 ||
		! "$python" -m pip install -q --disable-pip-version-check \
			--no-input -r tests/requirements.txt >>"$log" 2>&1; then
		tail -n 8 "$log" >&2
		rm -f "$log"
		echo "cannot make $dir; the lines above say why" >&2
		return 1
	fi
	rm -f "$log"
	echo "$stamp" >$dir/.complete
}

prepare_node() {
	local dir=build/node version stamp log range
	version=$(node --version 2>/dev/null) || {
		echo "no node: compose/install check" >&2
		return 1
	}
	stamp="$version $(cksum <tests/scenario/package.json)"
	export NODE_PATH=$PWD/$dir/node_modules
	[ "$stamp" != "$(cat $dir/.complete 2>/dev/null)" ] || return 0

	echo "making $dir"
	log=$(mktemp)
	# A release that needs a newer node says so and is passed over.
	for range in latest 6 5 4; do
		rm -rf $dir
		mkdir -p $dir
		cp tests/scenario/package.json $dir/
		if npm install --prefix $dir --engine-strict --no-audit \
			--no-fund --loglevel=error "openai@$range" \
			>"$log" 2>&1 </dev/null; then
			rm -f "$log"
			echo "$stamp" >$dir/.complete
			return 0
		fi
		grep -q EBADENGINE "$log" || break
	done
	tail -n 8 "$log" >&2
	rm -f "$log"
	echo "cannot make $dir; the lines above say why" >&2
	return 1
}
