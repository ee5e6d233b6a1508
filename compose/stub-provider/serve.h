#ifndef STUB_SERVE_H
#define STUB_SERVE_H

/*
 * The provider: routes, calls that wait for their time, answers in pieces.
 */

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "plan.h"

struct synq_loop;
struct stub;

#define STUB_MAX_MODELS 64

/* A model with a plan of its own. */
struct stub_model {
	char *name; /* owned by who made the configuration */
	struct plan plan;
};

struct stub_config {
	const char *host;
	uint16_t port;
	const char *record_path; /* NULL = none */
	const char *key;         /* that callers must show; NULL = any */
	uint64_t seed;
	struct plan plan; /* of models without their own */
	struct stub_model models[STUB_MAX_MODELS];
	size_t model_count;
	uint32_t max_connections;
};

/* A provider on ${loop} by ${config}, copied.  Errors: CONFLICT, SYSTEM. */
SYNQ_MUST_CHECK int serve_new(struct synq_loop *loop,
    const struct stub_config *config, struct stub **ret, struct synq_err *err);

/* The port that ${stub} listens on. */
uint16_t serve_port(const struct stub *stub);

/* Close everything, write the record, free *${stub}; sets it to NULL. */
void serve_free(struct stub **stub);

#endif
