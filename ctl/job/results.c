/*
 * Lines are gathered and written whole, so that a process that is killed leaves
 * whole lines and at most one torn one, which the next run cuts off; what was
 * not written is fetched again, because the jobs themselves are not lost.
 */

#include "ctl/job/results.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/client.h"
#include "ctl/job/lines.h"
#include "ctl/job/seen.h"
#include "json/scan.h"
#include "json/write.h"

#define MAX_LINE_BYTES (CLIENT_MAX_ANSWER_BYTES + (1U << 20))
#define GATHER_BYTES ((size_t)256 * 1024)
/* Of an answer that is no JSON and is kept as a string. */
#define MAX_TEXT_BYTES 65536
#define MAX_NAME_BYTES 4096

struct results {
	char *path;
	int fd;
	struct synq_buf out;
	int failed_errno; /* of a write; 0 = none */
};

/* ---- what is there ---- */

/* Note the name of the result ${line}; -1 if it is none. */
static int
read_result(
    struct synq_json line, struct seen *seen, struct results_before *before)
{
	const struct synq_json custom_id = synq_json_member(line, "custom_id");
	const struct synq_json id = synq_json_member(line, "id");
	const struct synq_json error = synq_json_member(line, "error");
	const int is_named = custom_id.type == SYNQ_JSON_STRING;
	struct synq_buf name;
	int64_t status = 0;
	int rc;

	if (synq_json_member(line, "response").type == SYNQ_JSON_NONE)
		return -1;
	synq_buf_init(&name, MAX_NAME_BYTES);
	rc = synq_json_string(is_named ? custom_id : id, &name);
	if (rc == 0) {
		(void)seen_add(seen, is_named ? 'c' : 'i', synq_buf_view(&name),
		    SEEN_OUTPUT);
		before->count++;
		if (error.type == SYNQ_JSON_OBJECT ||
		    synq_json_int(synq_json_path(line, "response.status_code"),
			&status) != 0 ||
		    status >= 400)
			before->failed++;
	}
	synq_buf_done(&name);
	return rc == 0 ? 0 : -1;
}

/* Where the whole lines of ${results} end, into ${ret_end}. */
static int
read_before(struct results *results, struct seen *seen,
    struct results_before *before, uint64_t *ret_end, struct synq_err *err)
{
	struct lines *lines = lines_new(results->fd, MAX_LINE_BYTES);
	struct synq_json value;
	struct line line;
	int rc;

	*ret_end = UINT64_MAX;
	while ((rc = lines_next(lines, &line, err)) == 1) {
		if (line.is_torn) {
			*ret_end = line.offset;
			before->cut_bytes = line.text.bytes;
			rc = 0;
			break;
		}
		if (line.is_too_long ||
		    synq_json_parse(line.text, &value, NULL) != 0 ||
		    read_result(value, seen, before) != 0) {
			rc = synq_fail(err, SYNQ_E_CONFLICT,
			    "%s:%llu: not a result line; it is left as it is, "
			    "name another --out",
			    results->path, (unsigned long long)line.number);
			break;
		}
	}
	lines_free(&lines);
	return rc;
}

int
results_open(const char *path, struct seen *seen, struct results_before *before,
    struct results **ret, struct synq_err *err)
{
	struct results *results = synq_mem_new(sizeof(*results));
	uint64_t end = UINT64_MAX;
	struct stat what;
	int rc;

	*before = (struct results_before){ .count = 0 };
	results->path = synq_mem_text(path);
	synq_buf_init(&results->out, GATHER_BYTES + 8 * MAX_LINE_BYTES);
	results->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (results->fd < 0) {
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot write %s: %s", path,
		    strerror(errno));
		goto fail;
	}
	if (flock(results->fd, LOCK_EX | LOCK_NB) != 0) {
		rc = synq_fail(err, SYNQ_E_CONFLICT,
		    "another run writes %s; wait for its end", path);
		goto fail;
	}
	/* A pipe or a device holds nothing to go on with. */
	rc = fstat(results->fd, &what) != 0 || !S_ISREG(what.st_mode)
	         ? 0
	         : read_before(results, seen, before, &end, err);
	if (rc != 0)
		goto fail;
	if (end != UINT64_MAX && ftruncate(results->fd, (off_t)end) != 0) {
		rc = synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot cut off the torn last line of %s: %s", path,
		    strerror(errno));
		goto fail;
	}
	*ret = results;
	return 0;

fail:
	results_close(&results);
	return rc;
}

void
results_close(struct results **results)
{
	if (*results == NULL)
		return;
	if ((*results)->fd >= 0)
		close((*results)->fd);
	synq_buf_done(&(*results)->out);
	synq_mem_free((*results)->path);
	synq_mem_free(*results);
	*results = NULL;
}

int
results_is_file(const struct results *results, int fd)
{
	struct stat a;
	struct stat b;

	return fstat(results->fd, &a) == 0 && fstat(fd, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* ---- what is added ---- */

static void
write_out(struct results *results)
{
	size_t at = 0;

	while (at < results->out.bytes && results->failed_errno == 0) {
		ssize_t n = write(results->fd, results->out.data + at,
		    results->out.bytes - at);

		if (n < 0 && errno != EINTR)
			results->failed_errno = errno;
		else if (n > 0)
			at += (size_t)n;
	}
	synq_buf_clear(&results->out);
}

/*
 * An answer on one line: in valid JSON a line's end stands between tokens
 * only, where a blank does as well.
 */
static void
add_body(struct results *results, struct synq_json_writer *json,
    struct synq_slice body)
{
	struct synq_json value;
	size_t from;
	size_t i;

	if (body.bytes == 0) {
		synq_json_null(json);
	} else if (synq_json_parse(body, &value, NULL) == 0) {
		from = results->out.bytes;
		synq_json_raw(json, value.raw);
		for (i = from; i < results->out.bytes; i++) {
			if (results->out.data[i] == '\n' ||
			    results->out.data[i] == '\r')
				results->out.data[i] = ' ';
		}
	} else {
		if (body.bytes > MAX_TEXT_BYTES)
			body.bytes = MAX_TEXT_BYTES;
		synq_json_slice(json, body);
	}
}

static void
add_response(struct results *results, struct synq_json_writer *json,
    const struct results_line *line)
{
	synq_json_open(json, '{');
	synq_json_key(json, "status_code");
	synq_json_i64(json, line->status);
	synq_json_key(json, "request_id");
	synq_json_slice(json, line->request_id);
	synq_json_key(json, "body");
	add_body(results, json, line->body);
	synq_json_close(json, '}');
}

static void
add_error(struct synq_json_writer *json, const struct results_line *line)
{
	synq_json_open(json, '{');
	synq_json_key(json, "code");
	synq_json_text(json, line->code);
	synq_json_key(json, "message");
	synq_json_text(json, line->message);
	synq_json_close(json, '}');
}

void
results_add(struct results *results, const struct results_line *line)
{
	struct synq_json_writer json;

	synq_json_start(&json, &results->out);
	synq_json_open(&json, '{');
	synq_json_key(&json, "id");
	synq_json_slice(&json, line->id);
	synq_json_key(&json, "custom_id");
	if (line->custom_id.bytes == 0)
		synq_json_null(&json);
	else
		synq_json_raw(&json, line->custom_id);
	synq_json_key(&json, "response");
	if (line->status == 0)
		synq_json_null(&json);
	else
		add_response(results, &json, line);
	synq_json_key(&json, "error");
	if (line->code == NULL)
		synq_json_null(&json);
	else
		add_error(&json, line);
	synq_json_close(&json, '}');
	(void)synq_buf_char(&results->out, '\n');
	if (results->out.bytes >= GATHER_BYTES)
		write_out(results);
}

int
results_flush(struct results *results, struct synq_err *err)
{
	write_out(results);
	if (results->failed_errno == 0)
		return 0;
	return synq_fail(err, SYNQ_E_SYSTEM, "cannot write %s: %s",
	    results->path, strerror(results->failed_errno));
}

int
results_sync(struct results *results, struct synq_err *err)
{
	int rc = results_flush(results, err);

	/* A pipe or a device has nothing to keep. */
	if (rc == 0 && fdatasync(results->fd) != 0 && errno != EINVAL &&
	    errno != EROFS)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot write %s: %s",
		    results->path, strerror(errno));
	return rc;
}
