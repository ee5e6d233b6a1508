#ifndef SYNQ_TEST_SIM_H
#define SYNQ_TEST_SIM_H

/*
 * The deterministic simulator: a few dispatchers, each the real core of
 * consumers/dispatcher, in a made-up world of virtual time.  Everything that
 * happens comes from one seed, so that the same seed does the same again.
 *
 * What is real: core, partition, work, attempt, gate, opens, life, cancel and
 * all of libsynq that they use.  What is made up, and in which file:
 *
 *	event.c     time: what happens next
 *	tape.c      the log: topics, and readers without a group
 *	lane.c      the producer: acknowledged late, twice, or not at all
 *	group.c     the consumer group: members, moves, expulsions, commits
 *	node.c      the program around the core (dispatcher.c, announce.c)
 *	assign.c    a partition's way to active and back (assign.c, offsets.c)
 *	provider.c  calls, the catalog
 *	intake.c    requests, repeats, cancels
 *	fault.c     what goes wrong, and when
 *	fair.c      what the fair queue is asked, watched for starvation
 *	check.c     what must hold
 *	world.c     one seed from its beginning to its end
 */

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/rand.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "consumers/dispatcher/core.h"
#include "consumers/dispatcher/partition.h"
#include "consumers/dispatcher/work.h"

#define NODES_MAX 4
#define PARTS_MAX 4
#define SOURCES_MAX (2 * PARTS_MAX)
#define ORGS_MAX 6
#define MS 1000LL
#define SECOND (1000 * MS)
#define SESSION_US (6 * SECOND)
#define TEXT_MAX 4096
#define LIVES_MAX 64

struct sim;
struct node;
struct event;
struct send;

/* Ways to break the glue, each of which must be noticed. */
enum wrong {
	WRONG_NOTHING,
	WRONG_EARLY_DONE,  /* an offset is done when its result is sent */
	WRONG_NO_RESULTS,  /* results are not read on assignment */
	WRONG_HELD_DEAD,   /* the members' list is taken for empty */
	WRONG_DECODE_DONE, /* a map that does not decode: all is done */
	WRONG_EARLY_CALL,  /* the call goes out before the acknowledgement */
	WRONG_DEAF,        /* after a pause the loss is heard too late */
	WRONG_ONE_LOOK,    /* results are not read on while attempts are held */
	WRONG_NO_LIVES,    /* nobody hears of the lives of others */
	WRONG_NO_CANCELS,  /* cancels are read from the end only */
	WRONG_LOST_PLAIN,  /* a loss is taken for an orderly revoke */
	WRONG_ACKED_AHEAD, /* the results offset runs ahead of what is open */
	WRONG_NO_REWRITE,  /* ... and of what may be written twice */
	WRONG_MARK_END,    /* where nothing is open no result is read */
	WRONGS
};

/* What happens when ${event} is due. */
typedef void event_fn(struct sim *sim, struct event *event);

/* What happens at a time; allocated in the world's arena. */
struct event {
	struct synq_heap_node due; /* its key is the virtual time */
	event_fn *run;
	struct node *node; /* NULL = the world's own */
	uint32_t life;     /* of the node; another one drops the event */
	uint32_t epoch;    /* for whoever runs it */
	int on_network;    /* waits while the node is cut off */
	void *object;
	int64_t number;
};

/* ---- the log ------------------------------------------------------------ */

struct job;

struct entry {
	int64_t offset;
	int64_t time_us;
	struct synq_slice value;
	struct job *job; /* NULL = it does not decode */
	struct synq_uuid attempt_id;
	enum synq_outcome_kind kind;
	int foreign; /* whoever wrote it does not own the partition now */
};

/* One partition of one topic. */
struct tape {
	struct entry *entries;
	size_t count;
	size_t room;
	int64_t end; /* the next offset */
};

/* A reader without a group. */
struct stream {
	struct tape *tape;
	size_t index;
	int64_t end; /* what stood there when it was looked up */
	int open;
	int ready; /* looked up */
	int caught_up;
	int serving; /* its next serve is planned */
	uint32_t epoch;
};

/* ---- jobs and calls ----------------------------------------------------- */

/* One call to the provider, as the world saw it. */
struct call {
	struct synq_link link; /* on its job's list */
	struct job *job;
	struct synq_uuid attempt_id;
	struct node *node;
	uint32_t life;
	struct work *work; /* NULL = aborted or answered */
	int source;
	int number;
	int excused; /* in flight when its maker died or was expelled */
	int refused; /* it came to nothing, as its maker knows */
	int failed;  /* its attempt.failed is on the log */
	int over;    /* its end is on the log, acknowledged to its maker */
};

struct job {
	struct synq_uuid id;
	struct synq_uuid organization_id;
	int number;
	int source;
	uint32_t max_attempts;
	int64_t deadline_at;
	int64_t latency_us; /* of its calls; -1 = drawn for each */
	int accepted;       /* its record is on the log */
	int cancels;        /* bits: 1 << reason */
	int64_t cancel_at;  /* the first that stops a call; 0 = none */
	int late_end;       /* see check_result */
	struct synq_list calls;
	int64_t ended_at; /* 0 = no result on the log yet */
	enum synq_job_state state;
	uint32_t answer; /* checksum of the first result */
	size_t results;
	size_t replies;
};

/* ---- a dispatcher ------------------------------------------------------- */

/* One record on its way to results or control. */
struct send {
	struct synq_link link; /* on its lane, until acknowledged in order */
	struct node *node;
	uint32_t life;
	struct lane *lane;
	struct tape *tape;
	struct work *work; /* NULL = the announcement of a life */
	struct job *job;
	enum synq_outcome_kind kind;
	struct synq_uuid attempt_id;
	struct synq_slice value;
	int rc;      /* what the acknowledgement will say */
	int wire;    /* it reaches the broker even without its process */
	int written; /* it is on the tape */
	int late;    /* those behind may overtake it */
	int done;    /* acknowledged, waits for those before it */
	int gone;    /* its process is */
	int64_t offset;
	uint32_t round; /* grows when the producer is rebuilt */
};

/* What a producer sends to one partition. */
struct lane {
	struct tape *tape;
	int number;
	struct synq_list sends;
	int64_t write_at; /* not before that */
	int64_t ack_at;
	int64_t acked; /* results: all up to here are answered */
};

enum part_state { PART_NONE, PART_ASSIGNED, PART_STARTED, PART_REVOKING };

/* A source partition in the hands of a consumer. */
struct part {
	struct node *node;
	int source;
	enum part_state state;
	struct partition *partition;
	uint32_t epoch; /* of the assignment */
	struct tape *tape;
	size_t index; /* the next record to read */
	int full;
	int serving;
	struct stream results;
	struct stream cancels;
	int results_done;
	int cancels_done;
	int64_t young; /* the first young result, before the peek */
	int64_t oldest_at;
	uint32_t newest, sent, stored;
	int64_t offset;
	size_t chars;
	int64_t revoke_until;
	char text[TEXT_MAX];
};

enum node_state { NODE_DOWN, NODE_STARTING, NODE_UP, NODE_DRAINING };

struct node {
	struct sim *sim;
	int index;
	char name[24];
	uint32_t life;
	struct synq_uuid boot_id;
	enum node_state state;
	int paused;
	int64_t ended_at[LIVES_MAX]; /* each of its lives; 0 = not yet */
	int zombie; /* goes on after a pause, expelled and unaware */
	int64_t resume_at;
	int64_t cut_until;
	int64_t full_until;
	struct core *core; /* NULL = down */
	struct part parts[SOURCES_MAX];
	struct lane lanes[PARTS_MAX];
	struct lane control_lane;
	struct stream control;
	int joined;
	int64_t joined_at;
	int committing;
	int commit_planned;
	int64_t gate_until;
	int64_t tick_at; /* 0 = the timer rests */
	int64_t pass_at; /* of the commit timer; 0 = not planned */
	int64_t members_at;
	int members_asked;
	int loading;
	int announced;
	int leaving; /* gives its partitions back, then flushes */
	int closing; /* its producer takes nothing any more */
	int64_t close_until;
};

/* ---- the group ---------------------------------------------------------- */

struct member {
	int in;
	uint32_t life;
	int fenced; /* expelled, and does not know yet */
};

struct committed {
	int64_t offset; /* -1 = none */
	size_t chars;
	char text[TEXT_MAX];
};

struct group {
	struct member members[NODES_MAX];
	int owner[SOURCES_MAX];  /* node index; -1 = nobody */
	int target[SOURCES_MAX]; /* whom it goes to; -1 = it stays */
	int planned;
	struct committed committed[SOURCES_MAX];
};

/* ---- the world ---------------------------------------------------------- */

/* How this seed's world is. */
struct traits {
	int node_count, part_count, org_count, job_count;
	int wide;            /* gaps in the offsets of requests */
	int big;             /* large bodies */
	int slow;            /* percent of calls that take very long */
	int errors;          /* percent of calls that fail */
	int repeats;         /* percent of requests that are written twice */
	int cancels;         /* percent of jobs that are cancelled */
	int short_deadlines; /* percent of jobs */
	int ack_faults;      /* per thousand of acknowledgements */
	int commit_faults;   /* percent of commits */
	int64_t ack_us;      /* a usual acknowledgement */
	int64_t load_us;     /* how long requests come in */
	int fault_count;
	int fault_kinds; /* bits */
	uint32_t in_flight, org_in_flight, provider_in_flight;
	int64_t call_limit_us;
};

struct sim {
	uint64_t seed;
	enum wrong wrong;
	int verbose;
	struct synq_rand rand;
	struct traits traits;
	struct synq_arena *arena;
	struct synq_heap events;
	int64_t now;
	int64_t start;
	uint64_t steps;
	uint64_t put_off; /* keeps the order of what is put off */
	uint64_t ids;     /* of attempts and boots */
	int settling;     /* no more faults */
	int64_t down_until;
	int64_t slow_until;
	struct tape requests[SOURCES_MAX];
	struct tape results[PARTS_MAX];
	struct tape cancels[PARTS_MAX];
	struct tape control;
	struct group group;
	struct node nodes[NODES_MAX];
	struct job *jobs;
	int job_count;
	int jobs_open; /* planned or accepted, without a result */
	int call_count;
	int repeat_count; /* calls that were repeated, excused */
	int held_count;
	int64_t settle_until;
	int over;
	int catalog_new; /* the second model is there */
	int failed;
	char failure[400];
};

/* The world that runs now: what the wrapped functions belong to. */
extern struct sim *sim_now;

/* ---- event.c ------------------------------------------------------------ */

/* Let ${run} happen at ${at}, for ${node} (NULL = for the world). */
struct event *event_at(
    struct sim *sim, int64_t at, event_fn *run, struct node *node);
/* The same, but it waits while ${node} or the broker is cut off. */
struct event *event_net(
    struct sim *sim, int64_t at, event_fn *run, struct node *node);
/* Let the next thing happen; 0 if there is none. */
int event_next(struct sim *sim);
/* A number from ${low} to ${high}. */
int64_t sim_range(struct sim *sim, int64_t low, int64_t high);
/* 1 in ${percent} of 100. */
int sim_chance(struct sim *sim, int percent);
/* Note ${fmt} if the world is followed. */
void sim_trace(struct sim *sim, const char *fmt, ...) SYNQ_PRINTF(2, 3);

/* ---- tape.c ------------------------------------------------------------- */

/* Append ${value} to ${tape} with the time ${time_us}; its entry. */
struct entry *tape_append(struct sim *sim, struct tape *tape,
    struct synq_slice value, int64_t time_us);
/* The index of the first entry of ${tape} at or behind ${offset}. */
size_t tape_at_offset(const struct tape *tape, int64_t offset);
/* The index of the first entry of ${tape} that is not older than ${time_us}. */
size_t tape_at_time(const struct tape *tape, int64_t time_us);

/* ---- lane.c ------------------------------------------------------------- */

/* core_io.send. */
int lane_send(void *ctx, struct work *work, const struct synq_outcome *outcome);
/* Announce the life of ${node}. */
void lane_announce(struct node *node);
/* core_io.acked. */
int64_t lane_acked(void *ctx, int32_t number);
/* Give up all that ${node} has on its way: its process is gone. */
void lane_drop_all(struct node *node, int64_t ghosts_us);
/* The producer of ${node} is rebuilt: all goes out again. */
void lane_rebuild(struct node *node);
/* Answer all that is open with UNCERTAIN: the producer ends. */
void lane_end(struct node *node);

/* ---- group.c ------------------------------------------------------------ */

/* ${node} joins the group. */
void group_join(struct node *node);
/* The session of ${node} is over. */
void group_expel(struct node *node);
/* The session of life ${life} of ${node} is over at ${at}, if it goes on so. */
void group_expel_at(struct node *node, int64_t at);
/* ${node} goes on after a pause: it hears of the group first. */
void group_resumed(struct node *node);
/* ${node} has given ${source} back. */
void group_released(struct node *node, int source);
/* Look at who has what, after ${delay_us}. */
void group_plan(struct sim *sim, int64_t delay_us);
/* Let ${source} move to another member, as nothing sticky would. */
void group_shuffle(struct sim *sim, int source);

/* ---- node.c ------------------------------------------------------------- */

/* A new life of ${node}. */
void node_start(struct node *node);
/* The process of ${node} ends at once; records may still arrive for a while. */
void node_kill(struct node *node, int64_t ghosts_us);
/* The process of ${node} stands still for ${us}. */
void node_pause(struct node *node, int64_t us);
/* Begin to end ${node} as an operator would. */
void node_drain(struct node *node);
/* Something may wait in the core now. */
void node_wake(struct node *node);
/* ${run} happened to ${node}: plan its timers. */
void node_after(struct node *node, event_fn *run);
/* Load providers and models after a while. */
void node_load_catalog(struct node *node);

/* ---- assign.c ----------------------------------------------------------- */

/* The part of ${node} that is ${partition}. */
struct part *assign_part_of(
    struct node *node, const struct partition *partition);
/* The group gave ${part} to its node. */
void assign_on_assign(struct part *part);
/* The group takes ${part}; ${lost}: it has done so already. */
void assign_on_revoke(struct part *part, int lost);
/* core_io.resume. */
void assign_resume(void *ctx, struct partition *partition);
/* Look at what is held: who lives, and is the reading of results over. */
void assign_check_held(struct node *node);
/* Plan the next delivery of ${part}. */
void assign_serve_part(struct part *part);
/* Deliver what ${tape} got to whoever reads it. */
void assign_tape_grew(struct sim *sim, const struct tape *tape);
/* Follow synq.control from its beginning; then join. */
void assign_follow_control(struct node *node);

/* ---- commit.c ----------------------------------------------------------- */

/* core_io.commit. */
void commit_newest(void *ctx, struct partition *partition, int64_t offset,
    struct synq_slice metadata);

/* ---- provider.c --------------------------------------------------------- */

/* core_io.call. */
void provider_call(void *ctx, struct work *work);
/* core_io.abort. */
void provider_abort(void *ctx, struct work *work);
/* core_io.reload. */
void provider_reload(void *ctx);

/* ---- intake.c ----------------------------------------------------------- */

/* Plan all requests, repeats and cancels. */
void intake_plan(struct sim *sim);
/* The id of organization ${number}. */
struct synq_uuid intake_org(int number);
/* The job with ${id}; NULL if there is none. */
struct job *intake_job(struct sim *sim, const struct synq_uuid *id);

/* ---- fault.c ------------------------------------------------------------ */

/* Plan what goes wrong. */
void fault_plan(struct sim *sim);
/* Nothing goes wrong any more; whoever is down starts again. */
void fault_end(struct sim *sim);

/* ---- fair.c ------------------------------------------------------------- */

/* Forget the queues of the world before. */
void fair_reset(void);

/* ---- check.c ------------------------------------------------------------ */

/* ${what} does not hold. */
void check_fail(struct sim *sim, const char *fmt, ...) SYNQ_PRINTF(2, 3);
/* ${work} of ${node} is about to be called. */
struct call *check_call(struct node *node, struct work *work);
/* ${entry} came onto results. */
void check_result(
    struct sim *sim, struct entry *entry, const struct synq_outcome *outcome);
/* core_io.reply. */
void check_reply(
    void *ctx, struct work *work, const struct synq_outcome *outcome);
/* ${part} claims ${offset} and ${metadata}. */
void check_commit(
    const struct part *part, int64_t offset, struct synq_slice metadata);
/* What ${node} holds stays within its limits. */
void check_node(struct node *node);
/* No attempt of a life that is over is held by ${node} for long. */
void check_held(struct node *node);
/* The calls of ${node} (${source} -1 = of all) that are out are excused. */
void check_excuse(struct node *node, int source);
/* All is over: nothing may be missing. */
void check_end(struct sim *sim);

/* ---- world.c ------------------------------------------------------------ */

/* Run the seed of ${sim} to its end; 1 if all held. */
int world_run(struct sim *sim);

#endif
