# Who may include whom: awk -f layers.awk libsynq/LAYERS FILE...
#
# A line of LAYERS is "module: the modules it may include", each of them above
# it.  A program may include every module and its own folder; a test, anything.
FILENAME == ARGV[1] {
	if ($0 ~ /^#/ || NF == 0)
		next
	m = $1
	sub(":", "", m)
	known[m] = 1
	for (i = 2; i <= NF; i++) {
		if (!known[$i])
			complain("LAYERS", FNR, m, $i)
		may[m, $i] = 1
	}
	next
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	split(FILENAME, at, "/")
	n = split(q[2], to, "/")
	if (at[1] == "tests")
		next
	if (at[1] == "libsynq") {
		if (n == 1)
			complain(FILENAME, FNR, "a module", q[2] \
			    " without its folder")
		else if (!known[at[2]])
			complain(FILENAME, FNR, at[2], "anything: it is not" \
			    " in LAYERS")
		else if (to[1] != at[2] && !may[at[2], to[1]])
			complain(FILENAME, FNR, at[2], to[1])
		next
	}
	if (n == 1 || known[to[1]])
		next
	own = at[1]
	if (own == "consumers" || own == "compose")
		own = at[1] "/" at[2]
	if (index(q[2], own "/") != 1)
		complain(FILENAME, FNR, own, q[2])
}
function complain(file, line, who, what)
{
	print file ":" line ": " who " may not include " what
	bad = 1
}
END { exit bad }
