# Functions and forms that are not used: awk -f banned.awk FILE...
#
# Comments and strings are taken out first.  Allocation belongs to base; the
# tests and the stub provider may allocate as they like.
FNR == 1 { in_comment = 0 }
{
	code = strip($0)
	if (FILENAME !~ /base\/banned\.h$/)
		refuse("(strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|" \
		    "strtok|atoi|atol|atoll|atof|localtime|gmtime|gets|" \
		    "asctime|ctime|alloca|rand|tmpnam|mktemp)")
	if (FILENAME !~ /^tests\//)
		refuse("(system|popen)")
	if (FILENAME !~ /^(libsynq\/base|tests|compose)\//)
		refuse("(malloc|calloc|realloc|reallocarray|free|strdup|" \
		    "strndup|asprintf|vasprintf)")
	if (code ~ /^[ \t]*typedef[ \t]/ && code !~ /\(/)
		complain("typedef of something other than a function")
	if ($0 ~ /(TODO|FIXME|XXX)/ && $0 !~ /["'][^"']*XXX[^"']*["']/)
		complain("work left undone")
	if ($0 ~ /NOLINT/ && $0 !~ /NOLINT[A-Z]*\([^)]*\):? +[^ ]/ &&
	    $0 !~ /NOLINTEND/)
		complain("NOLINT without the check's name and a reason")
	if ($0 ~ /cppcheck-suppress/ && $0 !~ /cppcheck-suppress +[a-zA-Z]+ +[^ ]+ +[^ ]/)
		complain("cppcheck-suppress without a reason")
}
function refuse(names)
{
	if (match(code, "(^|[^A-Za-z0-9_.>])" names "[ \t]*\\(")) {
		what = substr(code, RSTART, RLENGTH)
		gsub(/^[^A-Za-z_]|[ \t]*\($/, "", what)
		complain(what " is not used here")
	}
}
function complain(what)
{
	print FILENAME ":" FNR ": " what
	bad = 1
}
# Without strings, character constants and comments.
function strip(s,    out, at)
{
	if (in_comment) {
		at = index(s, "*/")
		if (!at)
			return ""
		s = substr(s, at + 2)
		in_comment = 0
	}
	gsub(/\\./, "", s)
	gsub(/"[^"]*"/, "\"\"", s)
	gsub(/'[^']*'/, "0", s)
	sub(/\/\/.*/, "", s)
	while ((at = index(s, "/*"))) {
		out = substr(s, 1, at - 1)
		s = substr(s, at + 2)
		at = index(s, "*/")
		if (!at) {
			in_comment = 1
			return out
		}
		s = out substr(s, at + 2)
	}
	return s
}
END { exit bad }
