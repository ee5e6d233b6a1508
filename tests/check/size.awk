# Functions over 70 lines, files over 600, code nested more than 3 deep:
# awk -f size.awk FILE...
# It works because a function's braces stand in column 0 and each level of
# nesting is one tab.  A continued line may be further in, so that only lines
# that begin a statement with a keyword are looked at.
FNR == 1 { start = 0 }
/^{/ { start = FNR }
/^}/ && start {
	if (FNR - start - 1 > 70) {
		print FILENAME ":" start ": a function of " FNR - start - 1 \
		    " lines, 70 allowed"
		bad = 1
	}
	start = 0
}
start && /^\t\t\t\t\t+(if|for|while|switch|do|return|break|continue|goto)[ ;(]/ {
	print FILENAME ":" FNR ": nested more than 3 deep"
	bad = 1
}
FNR == 601 {
	print FILENAME ": over 600 lines"
	bad = 1
}
END { exit bad }
