/*
 * What a batch has come to, as one row.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "ctl/job/inner.h"
#include "ctl/print.h"

#define MAX_CELLS 20

struct summary {
	struct print_column columns[MAX_CELLS];
	char texts[MAX_CELLS][32];
	const char *cells[MAX_CELLS];
	size_t count;
};

static void
add_text(struct summary *summary, const char *name, const char *text)
{
	summary->columns[summary->count].name = name;
	summary->cells[summary->count++] = text;
}

static void
add_number(
    struct summary *summary, const char *name, double number, int decimals)
{
	char *text = summary->texts[summary->count];

	(void)snprintf(
	    text, sizeof(summary->texts[0]), "%.*f", decimals, number);
	summary->columns[summary->count].type = PRINT_NUMBER;
	add_text(summary, name, text);
}

static void
add_latency(struct summary *summary, const struct stats *stats)
{
	add_number(summary, "p50_ms", (double)stats_at(stats, 50) / 1000, 1);
	add_number(summary, "p95_ms", (double)stats_at(stats, 95) / 1000, 1);
	add_number(summary, "p99_ms", (double)stats_at(stats, 99) / 1000, 1);
	add_number(summary, "max_ms", (double)stats->max_us / 1000, 1);
}

void
summary_print(const struct batch *batch)
{
	const double seconds = (double)(batch->end_us - batch->start_us) / 1e6;
	const uint64_t ended = batch->succeeded + batch->failed;
	struct summary *summary = synq_mem_new(sizeof(*summary));
	struct print_table *table;

	add_number(summary, "lines", (double)batch->total, 0);
	add_number(summary, "succeeded", (double)batch->succeeded, 0);
	add_number(summary, "failed", (double)batch->failed, 0);
	add_number(summary, "malformed", (double)batch->malformed, 0);
	add_number(summary, "done_before", (double)batch->skipped, 0);
	add_number(summary, "left",
	    (double)(batch->total - ended - batch->skipped), 0);
	add_number(summary, "calls_repeated", (double)batch->repeated, 0);
	add_number(summary, "seconds", seconds, 2);
	add_number(summary, "per_second",
	    seconds > 0 ? (double)ended / seconds : 0, 1);
	add_latency(summary, &batch->stats);
	add_text(summary, "out", batch->order->out);
	table = print_table_new(summary->columns, summary->count);
	print_table_add(table, summary->cells);
	(void)print_table_one(batch->order->cli, table);
	print_table_free(&table);
	synq_mem_free(summary);
}
