#ifndef TESTS_LIB_LOAD_H
#define TESTS_LIB_LOAD_H

/*
 * The connections of the load generator: HTTP/1.1 with keep-alive over epoll,
 * one thread, one request at a time on each connection.
 *
 * Limits: a head of an answer fits into LOAD_ROOM bytes and names its length;
 * what does not breaks the connection.
 */

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "histogram.h"

#define LOAD_PORTS 8
#define LOAD_PIDS 8
#define LOAD_STATUSES 600
#define LOAD_SECONDS 7200
#define LOAD_ROOM 4096

enum load_phase { LOAD_WARMING, LOAD_MEASURING, LOAD_DRAINING };

enum load_kind {
	LOAD_JOB,    /* POST /v1/jobs */
	LOAD_CHAT,   /* POST /v1/chat/completions */
	LOAD_RESULT, /* a job and then its result, by long poll */
};

struct load_conn;

struct load {
	/* What is asked for. */
	uint16_t ports[LOAD_PORTS];
	size_t port_count;
	pid_t pids[LOAD_PIDS];
	size_t pid_count;
	unsigned conn_count;
	enum load_kind kind;
	double rate; /* 0 = closed loop */
	double seconds;
	double warmup_s;
	double drain_s;
	uint64_t count; /* 0 = by time */
	size_t body_bytes;
	size_t body_count;
	uint64_t seed;
	const char *model;
	const char *keys_path;
	const char *log_path;

	/* How it goes. */
	enum load_phase phase;
	char *bodies;
	char **heads; /* one for each key, up to the empty line */
	size_t *head_bytes;
	size_t key_count;
	struct load_conn *conns;
	struct load_conn *idle; /* connected, nothing to do */
	struct load_conn *lost; /* to be connected again */
	int epoll_fd;
	FILE *log;
	int64_t start_wall_us;
	uint64_t start_ns;
	uint64_t window_from_ns;
	uint64_t window_until_ns;
	unsigned out; /* requests without an answer yet */

	/* What came of it. */
	uint64_t started;
	uint64_t answers;
	uint64_t good; /* 2xx */
	uint64_t good_measured;
	uint64_t cut;     /* connection gone before the answer */
	uint64_t refused; /* connections that were not made */
	uint64_t statuses[LOAD_STATUSES];
	uint32_t per_second[LOAD_SECONDS]; /* good answers, from the start */
	size_t seconds_seen;
	double cpu_from[LOAD_PIDS];
	double cpu_until[LOAD_PIDS];
	struct histogram seen;
};

/* The monotonic time in ns. */
uint64_t load_now_ns(void);

/*
 * Read the keys and connect everything that ${load} asks for.  0, or -1 after
 * saying why not.
 */
int load_open(struct load *load);

/* Start what is due and wait for what comes, for a millisecond at most. */
void load_turn(struct load *load);

#endif
