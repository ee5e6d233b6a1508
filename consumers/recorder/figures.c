/*
 * A batch is counted when it is in the database, once, however often it was
 * tried.
 */

#include "figures.h"

#include "metric/metric.h"

/* The series of ${id} whose one label is ${value}. */
static struct synq_series *
figures_one(
    struct synq_metrics *metrics, enum synq_metric_id id, const char *value)
{
	return synq_metric_series(metrics, id, (const char *const[]){ value });
}

void
figures_init(struct figures *figures, struct synq_metrics *metrics)
{
	figures->batches =
	    synq_metric_series(metrics, SYNQ_M_RECORDER_BATCH_SECONDS, NULL);
	figures->jobs = figures_one(metrics, SYNQ_M_RECORDER_ROWS_TOTAL, "job");
	figures->attempts =
	    figures_one(metrics, SYNQ_M_RECORDER_ROWS_TOTAL, "attempt");
	figures->fenced =
	    synq_metric_series(metrics, SYNQ_M_RECORDER_FENCED_TOTAL, NULL);
	figures->corrupt =
	    figures_one(metrics, SYNQ_M_RECORDS_SKIPPED_TOTAL, "corrupt");
	figures->illegal_moves =
	    synq_metric_series(metrics, SYNQ_M_ILLEGAL_MOVES_TOTAL, NULL);
}

void
figures_written(
    struct figures *figures, const struct synq_batch *batch, uint64_t took_us)
{
	struct synq_batch_totals totals;

	synq_batch_count(batch, &totals);
	synq_series_observe(figures->batches, (double)took_us / 1e6);
	synq_series_add(figures->jobs, totals.jobs);
	synq_series_add(figures->attempts, totals.attempts);
	synq_series_add(figures->illegal_moves, totals.illegal_moves);
}

void
figures_fenced(struct figures *figures)
{
	synq_series_add(figures->fenced, 1);
}

void
figures_corrupt(struct figures *figures)
{
	synq_series_add(figures->corrupt, 1);
}
