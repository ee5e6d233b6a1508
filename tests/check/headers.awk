# Every prototype of libsynq has a comment directly above it, and none takes a
# bool: awk -f headers.awk libsynq/*/*.h
#
# A declaration begins in column 0 and ends with ";", "{" or a line that is
# blank.  It is a prototype when it has a parenthesis before any "=" or "{".
function finish()
{
	if (text ~ /^(struct|union|enum)[ \t]+[A-Za-z0-9_]+[ \t]*[;{]/ ||
	    text !~ /\(/ || text ~ /^[^(]*=/ || text ~ /^SYNQ_[A-Z]+_ASSERT/ ||
	    text ~ /^_Static_assert/) {
		text = ""
		return
	}
	if (!commented) {
		print FILENAME ":" line ": no comment above: " first
		bad = 1
	}
	if (text ~ /[(,][ \t]*(const[ \t]+)?bool[ \t]+[a-z]/) {
		print FILENAME ":" line ": a bool parameter: " first
		bad = 1
	}
	text = ""
}
FNR == 1 { text = ""; in_comment = 0; previous = ""; in_macro = 0 }
in_macro { in_macro = /\\$/; previous = ""; next }
/^#/ { in_macro = /\\$/; previous = ""; next }
in_comment {
	if (/\*\//) { in_comment = 0; previous = "comment" }
	next
}
text == "" && /^[ \t]*\/\*/ {
	if (/\*\//) previous = "comment"
	else in_comment = 1
	next
}
text == "" && /^[A-Za-z_]/ {
	text = first = $0
	line = FNR
	commented = previous == "comment"
	previous = ""
	if (/[;{][ \t]*(\/\*.*)?$/) finish()
	next
}
text != "" {
	text = text " " $0
	if (/[;{][ \t]*(\/\*.*)?$/ || NF == 0) finish()
	next
}
{ previous = "" }
END { exit bad }
