/*
 * The line is "412 of 5000 done, 3 failed, 96.4/s, 0:47 left"; scripts may
 * read it.  On a terminal a bar stands before it.
 */

#include "ctl/progress.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl/cli.h"

#define MAX_LINE_BYTES 1024
#define LINE_US 1000000
#define BAR_US 100000
#define SAMPLE_US 500000
#define MAX_BAR_COLUMNS 40
#define DEFAULT_COLUMNS 80

static size_t
columns_of(int fd)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return DEFAULT_COLUMNS;
	return size.ws_col;
}

/* A terminal that has gone away is no reason to stop. */
static void
write_out(const struct progress *progress, const struct synq_buf *text)
{
	size_t at = 0;

	while (at < text->bytes) {
		ssize_t n =
		    write(progress->fd, text->data + at, text->bytes - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		at += (size_t)n;
	}
}

void
progress_init(struct progress *progress, const struct cli *cli, uint64_t now_us)
{
	memset(progress, 0, sizeof(*progress));
	progress->fd = cli->quiet ? -1 : STDERR_FILENO;
	progress->is_terminal = isatty(STDERR_FILENO);
	progress->start_us = now_us;
	progress->shown_us = now_us;
}

double
progress_rate(const struct progress *progress, uint64_t now_us)
{
	uint64_t from_us = progress->start_us;
	uint64_t from = 0;
	size_t oldest;

	if (progress->sample_count >= PROGRESS_SAMPLES) {
		oldest = progress->sample_count % PROGRESS_SAMPLES;
		from_us = progress->samples[oldest].at_us;
		from = progress->samples[oldest].fresh;
	}
	if (now_us <= from_us)
		return 0;
	return (double)(progress->done - progress->before - from) * 1e6 /
	       (double)(now_us - from_us);
}

static void
add_left(const struct progress *progress, double rate, struct synq_buf *out)
{
	uint64_t left_s;

	if (progress->total <= progress->done || rate <= 0)
		return;
	left_s = (uint64_t)((double)(progress->total - progress->done) / rate);
	if (left_s >= 3600)
		synq_buf_printf(out, ", %llu:%02u:%02u left",
		    (unsigned long long)(left_s / 3600),
		    (unsigned)(left_s / 60 % 60), (unsigned)(left_s % 60));
	else
		synq_buf_printf(out, ", %u:%02u left", (unsigned)(left_s / 60),
		    (unsigned)(left_s % 60));
}

/* "[####----] " in at most ${columns} columns. */
static void
add_bar(const struct progress *progress, size_t columns, struct synq_buf *out)
{
	const size_t width =
	    columns > MAX_BAR_COLUMNS ? MAX_BAR_COLUMNS : columns;
	size_t full;
	size_t i;

	if (progress->total == 0 || width < 10)
		return;
	full = (size_t)((double)(width - 3) * (double)progress->done /
			(double)progress->total);
	synq_buf_char(out, '[');
	for (i = 0; i < width - 3; i++)
		synq_buf_char(out, i < full ? '#' : '-');
	synq_buf_text(out, "] ");
}

void
progress_line(const struct progress *progress, uint64_t now_us, size_t columns,
    struct synq_buf *out)
{
	const double rate = progress_rate(progress, now_us);
	struct synq_buf text;

	synq_buf_init(&text, MAX_LINE_BYTES);
	synq_buf_printf(&text, "%llu", (unsigned long long)progress->done);
	if (progress->total > 0)
		synq_buf_printf(
		    &text, " of %llu", (unsigned long long)progress->total);
	synq_buf_printf(&text, " done, %llu failed, %.1f/s",
	    (unsigned long long)progress->failed, rate);
	add_left(progress, rate, &text);
	if (columns > text.bytes)
		add_bar(progress, columns - text.bytes - 1, out);
	if (columns > 0 && text.bytes >= columns)
		text.bytes = columns - 1;
	synq_buf_slice(out, synq_buf_view(&text));
	synq_buf_done(&text);
}

static void
draw(struct progress *progress, uint64_t now_us)
{
	struct synq_buf out;

	if (progress->fd < 0)
		return;
	synq_buf_init(&out, MAX_LINE_BYTES);
	if (progress->is_terminal) {
		/* To the left edge; the rest of the line is wiped after. */
		synq_buf_char(&out, '\r');
		progress_line(progress, now_us, columns_of(progress->fd), &out);
		synq_buf_text(&out, "\033[K");
		progress->is_drawn = 1;
	} else {
		progress_line(progress, now_us, 0, &out);
		synq_buf_char(&out, '\n');
	}
	write_out(progress, &out);
	synq_buf_done(&out);
}

static void
take_sample(struct progress *progress, uint64_t now_us)
{
	const size_t at = progress->sample_count % PROGRESS_SAMPLES;
	const size_t last =
	    (progress->sample_count + PROGRESS_SAMPLES - 1) % PROGRESS_SAMPLES;

	if (progress->sample_count > 0 &&
	    now_us < progress->samples[last].at_us + SAMPLE_US)
		return;
	progress->samples[at].at_us = now_us;
	progress->samples[at].fresh = progress->done - progress->before;
	progress->sample_count++;
}

void
progress_show(struct progress *progress, uint64_t now_us)
{
	const uint64_t period_us = progress->is_terminal ? BAR_US : LINE_US;

	take_sample(progress, now_us);
	if (now_us < progress->shown_us + period_us)
		return;
	progress->shown_us = now_us;
	draw(progress, now_us);
}

void
progress_end(struct progress *progress, uint64_t now_us)
{
	draw(progress, now_us);
	if (progress->is_drawn)
		(void)!write(progress->fd, "\n", 1);
	progress->is_drawn = 0;
}

void
progress_clear(struct progress *progress)
{
	static const char wipe[] = "\r\033[K";

	if (progress->is_drawn)
		(void)!write(progress->fd, wipe, sizeof(wipe) - 1);
	progress->is_drawn = 0;
}
