/*
 * The command: sim [--seeds N] [--from S] [--verbose] [--wrong NAME].
 *
 * Runs N seeds from S on and says how fast; the first that fails is named, with
 * the step, what does not hold and how to see it again.  --wrong breaks the
 * glue on purpose: then the exit code is 0 only if that was noticed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tests/sim/sim.h"

static const char *const wrong_names[WRONGS] = {
	[WRONG_NOTHING] = "nothing",
	[WRONG_EARLY_DONE] = "early-done",
	[WRONG_NO_RESULTS] = "no-results",
	[WRONG_HELD_DEAD] = "held-dead",
	[WRONG_DECODE_DONE] = "decode-done",
	[WRONG_EARLY_CALL] = "early-call",
	[WRONG_DEAF] = "deaf",
	[WRONG_ONE_LOOK] = "one-look",
	[WRONG_NO_LIVES] = "no-lives",
	[WRONG_NO_CANCELS] = "no-cancels",
	[WRONG_LOST_PLAIN] = "lost-plain",
	[WRONG_ACKED_AHEAD] = "acked-ahead",
	[WRONG_NO_REWRITE] = "no-rewrite",
	[WRONG_MARK_END] = "mark-end",
};

struct options {
	uint64_t from;
	uint64_t seeds;
	int verbose;
	int go_on; /* after a failure */
	enum wrong wrong;
};

struct totals {
	uint64_t run, failed, steps, jobs, calls, repeats, virtual_us;
};

static int
usage(void)
{
	fprintf(stderr, "usage: sim [--seeds N] [--from S] [--verbose] "
			"[--go-on] [--wrong NAME]\nNAME is one of:");
	for (int i = 1; i < WRONGS; i++)
		fprintf(stderr, " %s", wrong_names[i]);
	fprintf(stderr, "\n");
	return 2;
}

static int
parse_number(const char *text, uint64_t *ret)
{
	return text != NULL &&
	       synq_slice_u64(synq_slice_text(text), UINT64_MAX, ret) == 0;
}

static int
parse_wrong(const char *text, enum wrong *ret)
{
	for (int i = 1; text != NULL && i < WRONGS; i++) {
		if (strcmp(text, wrong_names[i]) == 0) {
			*ret = (enum wrong)i;
			return 1;
		}
	}
	return 0;
}

static int
parse(int argc, char **argv, struct options *ret)
{
	for (int i = 1; i < argc; i++) {
		int ok = 1;

		if (strcmp(argv[i], "--verbose") == 0)
			ret->verbose = 1;
		else if (strcmp(argv[i], "--go-on") == 0)
			ret->go_on = 1;
		else if (strcmp(argv[i], "--seeds") == 0)
			ok = parse_number(argv[++i], &ret->seeds);
		else if (strcmp(argv[i], "--from") == 0)
			ok = parse_number(argv[++i], &ret->from);
		else if (strcmp(argv[i], "--wrong") == 0)
			ok = parse_wrong(argv[++i], &ret->wrong);
		else
			ok = 0;
		if (!ok)
			return 0;
	}
	return 1;
}

static void
tell_failure(const struct sim *sim, const struct options *options)
{
	printf("seed %llu, step %llu, %.3f s: %s\n",
	    (unsigned long long)sim->seed, (unsigned long long)sim->steps,
	    (double)(sim->now - sim->start) / 1e6, sim->failure);
	printf(
	    "  to see it: build/sim/sim --from %llu --seeds 1 --verbose%s%s\n",
	    (unsigned long long)sim->seed,
	    options->wrong == WRONG_NOTHING ? "" : " --wrong ",
	    options->wrong == WRONG_NOTHING ? "" : wrong_names[options->wrong]);
}

static int
run_one(uint64_t seed, const struct options *options, struct totals *totals)
{
	struct sim *sim = synq_mem_new(sizeof(*sim));
	int held;

	sim->seed = seed;
	sim->verbose = options->verbose;
	sim->wrong = options->wrong;
	held = world_run(sim);
	totals->run++;
	totals->failed += !held;
	totals->steps += sim->steps;
	totals->jobs += (uint64_t)sim->job_count;
	totals->calls += (uint64_t)sim->call_count;
	totals->repeats += (uint64_t)sim->repeat_count;
	totals->virtual_us += (uint64_t)(sim->now - sim->start);
	if (!held)
		tell_failure(sim, options);
	synq_mem_free(sim);
	return held;
}

int
main(int argc, char **argv)
{
	struct options options = { .from = 1, .seeds = 10000 };
	struct totals totals = { 0 };
	const uint64_t began_us = synq_clock_mono_us();
	double took_s;

	if (!parse(argc, argv, &options))
		return usage();
	for (uint64_t i = 0; i < options.seeds; i++)
		if (!run_one(options.from + i, &options, &totals) &&
		    !options.go_on)
			break;
	took_s = (double)(synq_clock_mono_us() - began_us) / 1e6;
	printf("%llu seeds in %.1f s: %.0f a second; %.1f hours of virtual "
	       "time, %llu steps, %llu jobs, %llu calls, %llu repeated; %llu "
	       "failed\n",
	    (unsigned long long)totals.run, took_s,
	    (double)totals.run / (took_s > 0 ? took_s : 1),
	    (double)totals.virtual_us / 3.6e9, (unsigned long long)totals.steps,
	    (unsigned long long)totals.jobs, (unsigned long long)totals.calls,
	    (unsigned long long)totals.repeats,
	    (unsigned long long)totals.failed);
	if (options.wrong != WRONG_NOTHING)
		return totals.failed > 0 ? 0 : 1;
	return totals.failed > 0 ? 1 : 0;
}
