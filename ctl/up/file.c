#include "ctl/up/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
file_read(const char *path, struct synq_buf *text, struct synq_err *err)
{
	FILE *file = fopen(path, "re");
	char part[4096];
	size_t bytes;
	int rc = 0;

	if (file == NULL)
		return synq_fail(err,
		    errno == ENOENT ? SYNQ_E_NOT_FOUND : SYNQ_E_SYSTEM,
		    "cannot read %s: %s", path, strerror(errno));
	while ((bytes = fread(part, 1, sizeof(part), file)) > 0)
		synq_buf_add(text, part, bytes);
	if (ferror(file))
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot read %s", path);
	else if (text->overflow)
		rc = synq_fail(err, SYNQ_E_TOO_LARGE, "%s is too large", path);
	fclose(file);
	return rc;
}

int
file_read_json(const char *path, struct synq_buf *text, struct synq_json *ret,
    struct synq_err *err)
{
	struct synq_json_fault fault;
	int rc = file_read(path, text, err);

	if (rc != 0)
		return rc;
	if (synq_json_parse(synq_buf_view(text), ret, &fault) != 0)
		return synq_fail(err, SYNQ_E_CORRUPT,
		    "%s does not hold what synq up wrote there (line %u); "
		    "remove it and repeat",
		    path, (unsigned)fault.line);
	return 0;
}
