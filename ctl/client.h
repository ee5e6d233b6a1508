#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

/*
 * Talking to the API: where it lies, as whom, and when to try again.
 *
 * Several addresses are used in turn.  One that is overloaded or does not
 * answer is left alone for a while (full jitter, what it asked for first), so
 * that the others carry the work meanwhile.
 *
 * Thread: every function runs on the loop's thread.
 * Limits: at most max_in_flight calls; answers of up to 32 MiB.
 * Callbacks: done runs exactly once per started call, from the loop, never
 *     inside a function of this header, never after cancel or close.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "ctl/cli.h"

struct client;
struct client_call;
struct synq_loop;

#define CLIENT_MAX_ANSWER_BYTES ((size_t)32 << 20)

/* What came back. */
struct client_answer {
	int rc; /* 0 = an HTTP answer, whatever its status */
	int status;
	int is_result;          /* 1 = the status and body are those of a job */
	struct synq_slice body; /* valid during done */
	struct synq_slice request_id; /* the same */
	uint64_t total_us;
	const char *error; /* of rc; NULL if that is 0 */
};

typedef void client_done_fn(void *ctx, const struct client_answer *answer);

struct client_request {
	const char *method;
	const char *path;       /* from "/v1" on; copied */
	const char *key;        /* Idempotency-Key; copied; NULL = none */
	struct synq_slice body; /* borrowed until done */
	uint32_t limit_ms;      /* of the whole call */
	client_done_fn *done;
	void *ctx;
};

/* An answer that was waited for. */
struct client_reply {
	int status;
	int is_result;
	struct synq_buf body;
};

/* The flags that client_open looks at; every command that calls it has them.
 */
#define CLIENT_FLAGS                                                           \
	{ "url", "URL",                                                        \
		"The API's address, repeatable; else $SYNQ_URL and "           \
		"$SYNQ_URL_2 and so on, else what runs in the folder." },      \
	{                                                                      \
		"key-file", "FILE",                                            \
		    "A file with the API key; else $SYNQ_KEY, else the "       \
		    "installation's first key."                                \
	}

/*
 * Find addresses and key as the flags of ${cli}, the environment and the
 * installation say, for at most ${max_in_flight} calls on ${loop}, into ${ret};
 * the caller closes it.  Returns 0, or the exit code after a complaint.
 */
SYNQ_MUST_CHECK int client_open(const struct cli *cli, struct synq_loop *loop,
    size_t max_in_flight, struct client **ret);

/* Abandon all calls and free *${client}; sets it to NULL. */
void client_close(struct client **client);

/* How many addresses ${client} has. */
size_t client_addresses(const struct client *client);

/* Address ${index} of ${client}. */
const char *client_address(const struct client *client, size_t index);

/*
 * When a call of ${client} may go out: a monotonic time, not above
 * ${now_us} if at once.
 */
uint64_t client_ready_us(const struct client *client, uint64_t now_us);

/*
 * Start ${request}; *${ret} stays valid until done runs or client_cancel
 * returns.  Errors: BUSY before client_ready_us, LIMIT, SYSTEM, INVALID.
 */
SYNQ_MUST_CHECK int client_start(struct client *client,
    const struct client_request *request, struct client_call **ret,
    struct synq_err *err);

/* Abandon *${call}: done will not run.  Sets it to NULL; NULL is fine. */
void client_cancel(struct client_call **call);

/* 1 if the same request may get another answer a little later, else 0. */
int client_is_passing(const struct client_answer *answer);

/*
 * Send ${request}, whose done and ctx are not used, and run the loop until the
 * answer is there, trying again for up to ${patience_us} while trouble is
 * passing; the answer into ${ret}, which the caller frees with
 * client_reply_done.  Returns 0, or the exit code after a complaint.
 */
SYNQ_MUST_CHECK int client_ask(struct client *client,
    const struct client_request *request, uint64_t patience_us,
    struct client_reply *ret);

/* Free what ${reply} owns; a zeroed one is fine. */
void client_reply_done(struct client_reply *reply);

/*
 * Complain about the error in ${body} that came with ${status}; returns the
 * exit code for it.
 */
int client_refused(int status, struct synq_slice body);

/*
 * Append the sentence of the API's error in ${body} to ${out}; "HTTP 500" and
 * the like, from ${status}, if there is none.
 */
void client_error_text(
    int status, struct synq_slice body, struct synq_buf *out);

#endif
