/*
 * Lines go to a buffer; the first one starts a timer of FLUSH_US, at whose end
 * the buffer is written with one call.  Above FLUSH_BYTES it is written at
 * once.
 *
 * Failure modes: the file cannot be opened: SYSTEM.  It cannot be written: the
 * process ends with a message, since a record with holes proves nothing.
 */

#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "json/write.h"

#define FLUSH_US 100000
#define FLUSH_BYTES ((size_t)256 << 10)
#define MAX_LINE_BYTES ((size_t)64 << 10)

struct totals {
	uint64_t calls;
	uint64_t outcomes[PLAN_OUTCOMES];
	uint64_t gone;
	uint64_t refused;
	uint64_t prompt_tokens;
	uint64_t completion_tokens;
	uint64_t most_in_flight;
};

struct record {
	struct synq_loop *loop;
	struct synq_timer *timer;
	int fd;
	struct synq_buf lines;
	struct totals totals;
	uint64_t in_flight;
};

static void
flush(struct record *record)
{
	size_t at = 0;

	while (at < record->lines.bytes) {
		ssize_t n = write(record->fd, record->lines.data + at,
		    record->lines.bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			fprintf(stderr, "the record cannot be written: %s\n",
			    strerror(errno));
			exit(1);
		}
		at += (size_t)n;
	}
	synq_buf_clear(&record->lines);
}

static void
on_timer(void *ctx)
{
	flush(ctx);
}

int
record_new(struct synq_loop *loop, const char *path, struct record **ret,
    struct synq_err *err)
{
	struct record *record;
	int fd = -1;

	if (path) {
		fd =
		    open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0)
			return synq_fail(err, SYNQ_E_SYSTEM, "%s: %s", path,
			    strerror(errno));
	}
	record = synq_mem_new(sizeof(*record));
	record->loop = loop;
	record->fd = fd;
	record->timer = synq_timer_new(loop, on_timer, record);
	synq_buf_init(&record->lines, FLUSH_BYTES + MAX_LINE_BYTES);
	*ret = record;
	return 0;
}

/* See that the line just added is written in time. */
static void
line_added(struct record *record)
{
	synq_buf_char(&record->lines, '\n');
	if (record->lines.bytes >= FLUSH_BYTES)
		flush(record);
	else if (!synq_timer_active(record->timer))
		synq_timer_start(record->timer, FLUSH_US);
}

static void
put_slice(struct synq_json_writer *w, const char *name, struct synq_slice text)
{
	/* Names longer than this are nobody's; the line has its limit. */
	if (text.bytes > 512)
		text.bytes = 512;
	if (text.bytes == 0)
		return;
	synq_json_key(w, name);
	synq_json_slice(w, text);
}

static void
put_number(struct synq_json_writer *w, const char *name, uint64_t number)
{
	synq_json_key(w, name);
	synq_json_i64(w, (int64_t)number);
}

static void
write_call(struct record *record, const struct record_call *call)
{
	struct synq_json_writer w;

	synq_json_start(&w, &record->lines);
	synq_json_open(&w, '{');
	synq_json_key(&w, "event");
	synq_json_text(&w, "call");
	put_number(&w, "seq", call->seq);
	synq_json_key(&w, "at_us");
	synq_json_i64(&w, synq_loop_wall_us(record->loop));
	put_slice(&w, "path", call->path);
	put_slice(&w, "model", call->model);
	put_slice(&w, "job_id", call->job_id);
	put_slice(&w, "attempt_id", call->attempt_id);
	put_slice(&w, "attempt", call->attempt);
	put_slice(&w, "request_id", call->request_id);
	put_slice(&w, "idempotency_key", call->key);
	synq_json_key(&w, "outcome");
	synq_json_text(&w, plan_name(call->outcome));
	put_number(&w, "status", (uint64_t)call->status);
	put_number(&w, "latency_us", call->latency_us);
	put_number(&w, "prompt_tokens", call->prompt_tokens);
	put_number(&w, "completion_tokens", call->completion_tokens);
	synq_json_close(&w, '}');
	line_added(record);
}

void
record_arrived(struct record *record, const struct record_call *call)
{
	struct totals *totals = &record->totals;

	totals->calls++;
	totals->outcomes[call->outcome]++;
	totals->prompt_tokens += call->prompt_tokens;
	totals->completion_tokens += call->completion_tokens;
	record->in_flight++;
	if (record->in_flight > totals->most_in_flight)
		totals->most_in_flight = record->in_flight;
	if (record->fd >= 0)
		write_call(record, call);
}

void
record_refused(struct record *record)
{
	record->totals.refused++;
}

void
record_ended(struct record *record, uint64_t seq, int answered)
{
	record->in_flight--;
	if (answered)
		return;
	record->totals.gone++;
	if (record->fd < 0)
		return;
	synq_buf_printf(&record->lines,
	    "{\"event\":\"gone\",\"seq\":%llu,\"at_us\":%lld}",
	    (unsigned long long)seq,
	    (long long)synq_loop_wall_us(record->loop));
	line_added(record);
}

void
record_totals(const struct record *record, struct synq_buf *out)
{
	const struct totals *totals = &record->totals;
	struct synq_json_writer w;

	synq_json_start(&w, out);
	synq_json_open(&w, '{');
	put_number(&w, "calls", totals->calls);
	for (int i = 0; i < PLAN_OUTCOMES; i++)
		put_number(
		    &w, plan_name((enum plan_outcome)i), totals->outcomes[i]);
	put_number(&w, "gone", totals->gone);
	put_number(&w, "refused", totals->refused);
	put_number(&w, "in_flight", record->in_flight);
	put_number(&w, "most_in_flight", totals->most_in_flight);
	put_number(&w, "prompt_tokens", totals->prompt_tokens);
	put_number(&w, "completion_tokens", totals->completion_tokens);
	synq_json_close(&w, '}');
}

void
record_reset(struct record *record)
{
	memset(&record->totals, 0, sizeof(record->totals));
	record->totals.most_in_flight = record->in_flight;
}

void
record_free(struct record **record_ptr)
{
	struct record *record = *record_ptr;

	if (!record)
		return;
	if (record->fd >= 0) {
		flush(record);
		close(record->fd);
	}
	synq_timer_free(&record->timer);
	synq_buf_done(&record->lines);
	synq_mem_free(record);
	*record_ptr = NULL;
}
