# Functions over 70 lines, files over 600: awk -f size.awk FILE...
# It works because a function's braces stand in column 0.
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
FNR == 601 {
	print FILENAME ": over 600 lines"
	bad = 1
}
END { exit bad }
