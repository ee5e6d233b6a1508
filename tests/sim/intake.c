/*
 * The intakes: two, whose clocks differ.  Requests of a few organizations, one
 * of them busier than all others; some records are written twice, some do not
 * decode, some jobs are cancelled, before or after they are read.
 */

#include <string.h>

#include "proto/signal.h"
#include "tests/sim/sim.h"

#define BIG_BYTES (900 * 1024)
#define USUAL_DEADLINE_US (600 * SECOND)

struct synq_uuid
intake_org(int number)
{
	struct synq_uuid id = { { 0 } };

	id.bytes[0] = 0xaa;
	id.bytes[15] = (uint8_t)(number + 1);
	return id;
}

static struct synq_uuid
intake_id(int number)
{
	struct synq_uuid id = { { 0 } };

	id.bytes[0] = 0xbb;
	id.bytes[14] = (uint8_t)(number >> 8);
	id.bytes[15] = (uint8_t)(number & 255);
	return id;
}

struct job *
intake_job(struct sim *sim, const struct synq_uuid *id)
{
	const int number = id->bytes[14] << 8 | id->bytes[15];

	if (id->bytes[0] != 0xbb || number >= sim->job_count)
		return NULL;
	return &sim->jobs[number];
}

/* The wall clock of one of the intakes. */
static int64_t
intake_clock(const struct sim *sim, const struct job *job)
{
	/* As far as the core allows for (CATALOG_SLACK_US). */
	const int64_t skew_us = ((int64_t)(sim->seed % 5) - 2) * SECOND;

	return sim->now + (job->number % 2 == 0 ? 0 : skew_us);
}

/* 1 if the log is away: ${event} comes again when it is back. */
static int
intake_must_wait(struct sim *sim, struct event *event)
{
	if (sim->down_until <= sim->now)
		return 0;
	synq_heap_push(&sim->events, &event->due,
	    (uint64_t)sim->down_until + 1 + sim->put_off++);
	return 1;
}

static struct entry *
intake_append(struct sim *sim, struct job *job, struct synq_slice value)
{
	struct tape *tape = &sim->requests[job->source];
	struct entry *entry;

	if (sim->traits.wide && sim_chance(sim, 8))
		tape->end += sim_range(sim, 1, 70000);
	entry = tape_append(sim, tape, value, intake_clock(sim, job));
	entry->job = job;
	return entry;
}

static struct synq_request
intake_request(struct sim *sim, const struct job *job, char *body)
{
	static const char *const names[] = { "a", "b", "c" };
	const int known = sim->catalog_new ? 2 : 1;
	size_t bytes = 20;

	if (sim->traits.big && sim_chance(sim, 50))
		bytes = BIG_BYTES;
	memset(body, ' ', bytes);
	memcpy(body, "{}", 2);
	return (struct synq_request){
		.job_id = job->id,
		.organization_id = job->organization_id,
		.key_id = job->organization_id,
		.endpoint = SYNQ_ENDPOINT_CHAT,
		.priority = job->source % 2 ? SYNQ_PRIORITY_BATCH
		                            : SYNQ_PRIORITY_INTERACTIVE,
		.created_at = intake_clock(sim, job),
		.deadline_at = job->deadline_at,
		.max_attempts = job->max_attempts,
		.model = synq_slice_text(names[sim_range(sim, 0, known)]),
		.body = synq_slice_of(body, bytes),
		.request_id = synq_slice_text("req_1"),
		.reply_to = synq_slice_text("c"),
	};
}

static void
intake_again(struct sim *sim, struct event *event)
{
	const struct entry *first = event->object;

	if (intake_must_wait(sim, event))
		return;
	sim_trace(sim, "intake: job %d again", first->job->number);
	(void)intake_append(sim, first->job, first->value);
}

static void
intake_accept(struct sim *sim, struct event *event)
{
	static char body[BIG_BYTES];
	struct job *job = event->object;
	struct synq_request request;
	struct synq_buf value;
	struct entry *copy;

	if (intake_must_wait(sim, event))
		return;
	if (sim_chance(sim, 1))
		(void)tape_append(sim, &sim->requests[job->source],
		    synq_slice_text("\x01nonsense"), sim->now);
	job->deadline_at += sim->now;
	request = intake_request(sim, job, body);
	synq_buf_init(&value, 2U << 20);
	synq_request_encode(&request, &value);
	copy = synq_arena_alloc(sim->arena, sizeof(*copy));
	*copy = *intake_append(sim, job, synq_buf_view(&value));
	synq_buf_done(&value);
	job->accepted = 1;
	sim_trace(sim, "intake: job %d, source %d, offset %lld", job->number,
	    job->source, (long long)copy->offset);
	if (sim_chance(sim, sim->traits.repeats))
		event_at(sim, sim->now + sim_range(sim, MS, 3 * SECOND),
		    intake_again, NULL)
		    ->object = copy;
}

static void
intake_cancel(struct sim *sim, struct event *event)
{
	struct job *job = event->object;
	const struct synq_cancel cancel = { .job_id = job->id,
		.organization_id = job->organization_id,
		.reason = (enum synq_cancel_reason)event->number,
		.asked_at = sim->now };
	struct synq_buf value;

	if (intake_must_wait(sim, event))
		return;
	sim_trace(sim, "intake: cancel of job %d, reason %d", job->number,
	    (int)event->number);
	job->cancels |= 1 << event->number;
	if (cancel.reason != SYNQ_CANCEL_GONE && job->cancel_at == 0)
		job->cancel_at = sim->now;
	synq_buf_init(&value, 4096);
	synq_cancel_encode(&cancel, &value);
	(void)tape_append(sim, &sim->cancels[job->source / 2],
	    synq_buf_view(&value), intake_clock(sim, job));
	synq_buf_done(&value);
}

static void
intake_plan_job(struct sim *sim, struct job *job)
{
	const struct traits *traits = &sim->traits;
	const int64_t at = sim->start + sim_range(sim, 0, traits->load_us);
	const int org = sim_chance(sim, 40)
	                    ? 0
	                    : (int)sim_range(sim, 0, traits->org_count - 1);
	struct event *event;

	job->number = (int)(job - sim->jobs);
	job->id = intake_id(job->number);
	job->organization_id = intake_org(org);
	job->source = org % traits->part_count * 2 + sim_chance(sim, 25);
	job->max_attempts = (uint32_t)sim_range(sim, 1, 5);
	job->deadline_at = sim_chance(sim, traits->short_deadlines)
	                       ? sim_range(sim, 500 * MS, 20 * SECOND)
	                       : USUAL_DEADLINE_US;
	job->latency_us = -1;
	synq_list_init(&job->calls);
	event_at(sim, at, intake_accept, NULL)->object = job;
	if (!sim_chance(sim, traits->cancels))
		return;
	event = event_at(sim,
	    at + (sim_chance(sim, 20) ? -sim_range(sim, 0, 200 * MS)
				      : sim_range(sim, 0, 10 * SECOND)),
	    intake_cancel, NULL);
	event->object = job;
	event->number = sim_range(sim, SYNQ_CANCEL_ASKED, SYNQ_CANCEL_UNSURE);
}

static void
intake_new_model(struct sim *sim, struct event *event)
{
	(void)event;
	sim->catalog_new = 1;
}

void
intake_plan(struct sim *sim)
{
	sim->job_count = sim->jobs_open = sim->traits.job_count;
	sim->jobs = synq_arena_alloc(
	    sim->arena, (size_t)sim->job_count * sizeof(*sim->jobs));
	for (int i = 0; i < sim->job_count; i++)
		intake_plan_job(sim, &sim->jobs[i]);
	event_at(sim, sim->start + sim_range(sim, 0, sim->traits.load_us),
	    intake_new_model, NULL);
}
