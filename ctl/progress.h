#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

/*
 * How far a long work has come, on the standard error: a bar that is redrawn
 * on a terminal, one line a second elsewhere.
 */

#include <stdint.h>

#include "base/slice.h"

struct cli;

#define PROGRESS_SAMPLES 16

struct progress {
	uint64_t total; /* 0 = not known */
	uint64_t done;  /* failed ones included */
	uint64_t failed;
	uint64_t before; /* of done: what an earlier run did */
	int fd;          /* -1 = nothing is shown */
	int is_terminal;
	int is_drawn; /* a bar stands on the line */
	uint64_t start_us;
	uint64_t shown_us;
	/* The last seconds, for the rate: a ring. */
	struct {
		uint64_t at_us;
		uint64_t fresh; /* done, without before */
	} samples[PROGRESS_SAMPLES];
	size_t sample_count;
};

/*
 * Begin to show the work of ${cli} from ${now_us} on; nothing is shown with
 * --quiet.
 */
void progress_init(
    struct progress *progress, const struct cli *cli, uint64_t now_us);

/* Show ${progress} as it is at ${now_us}, if it is time to. */
void progress_show(struct progress *progress, uint64_t now_us);

/* Show the last state of ${progress} and go to a new line. */
void progress_end(struct progress *progress, uint64_t now_us);

/* Take a bar off the line, so that something else can be written. */
void progress_clear(struct progress *progress);

/*
 * Append the line for ${progress} at ${now_us} to ${out}: plain, or with a bar
 * in ${columns} columns if that is not 0.
 */
void progress_line(const struct progress *progress, uint64_t now_us,
    size_t columns, struct synq_buf *out);

/* How much ${progress} does in a second, over the last seconds. */
double progress_rate(const struct progress *progress, uint64_t now_us);

#endif
