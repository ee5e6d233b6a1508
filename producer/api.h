#ifndef SYNQ_INTAKE_API_H
#define SYNQ_INTAKE_API_H

/*
 * One API call: from the head of an HTTP request to its answer.
 *
 * A call outlives its exchange while something is asked on its behalf: each
 * asynchronous step holds it (api_hold) and lets go when it has answered
 * (api_release).  A handler that finds exchange NULL has nobody to answer.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/slice.h"
#include "base/uuid.h"
#include "httpd/httpd.h"
#include "job/state.h"
#include "tenant/auth.h"

struct api_call;
struct api_route;
struct intake;

/* "req_", a uuid and a NUL. */
#define API_REQUEST_ID_BYTES 48

#define ROUTE_BODY 1U
#define ROUTE_OPEN 2U

/* Answers ${call}, now or later; its credential and body are there. */
typedef void api_handler(struct api_call *call);

struct api_route {
	const char *method;
	const char *path;
	api_handler *handler;
	unsigned flags;
};

/* What a call waits for, to be undone if its client leaves. */
enum api_stage {
	API_READING,   /* credential and body */
	API_PREPARING, /* nothing of it is on the log yet */
	API_ACCEPTING, /* produced, not acknowledged */
	API_WAITING,   /* accepted, waits for the result */
	API_ANSWERED
};

/* The public id that was made last: most answers name one job twice. */
struct api_public_id {
	int known;
	struct synq_uuid job_id;
	char text[45];
};

struct api_call {
	struct intake *intake;
	struct synq_exchange *exchange; /* NULL = the client is gone */
	const struct api_route *route;
	struct synq_principal principal;
	struct synq_slice segment;             /* of {id} or {model}, decoded */
	char request_id[API_REQUEST_ID_BYTES]; /* "req_..." */
	enum api_stage stage;
	int decided; /* credential says who calls */
	enum synq_auth_answer credential;
	int complete; /* the body is there */
	uint32_t holds;
	struct synq_uuid job_id; /* of the job it made or asks for */
	struct api_public_id public_id;
	enum synq_job_state job_state; /* as its row last said, else queued */
	void (*on_leave)(struct api_call *call); /* its client left; or NULL */
	void *data; /* the handler's own, freed by on_free */
	void (*on_free)(struct api_call *call);
};

/* The server's events, for ${ctx} = the intake. */
struct synq_httpd_events api_events(void);

/* Keep ${call} until api_release. */
void api_hold(struct api_call *call);

/* Let ${call} go; it may be freed now. */
void api_release(struct api_call *call);

/* Answer ${call} with ${status} and the JSON ${body}. */
void api_answer(struct api_call *call, int status, struct synq_slice body);

/* What an error answer says (contracts.md 1.3). */
struct api_error {
	int status;
	const char *type;  /* NULL = by status */
	const char *code;  /* NULL = null */
	const char *param; /* NULL = null */
	int retry_after_s; /* 0 = no header */
	int never_retry;   /* 1 = x-should-retry: false */
};

/* Answer ${call} with ${error} and the message of ${fmt}. */
void api_refuse(struct api_call *call, const struct api_error *error,
    const char *fmt, ...) SYNQ_PRINTF(3, 4);

/* Append the body of ${error} with ${message} to ${out}. */
void api_error_body(const struct api_error *error, struct synq_slice message,
    struct synq_buf *out);

/* Add Location: /v1/jobs/{id} of ${call}->job_id to its answer to come. */
void api_add_location(struct api_call *call);

/* The public id of ${job} of the caller, with a NUL, in ${ret}. */
void api_job_id(
    struct api_call *call, const struct synq_uuid *job, char ret[45]);

#endif
