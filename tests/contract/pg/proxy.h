#ifndef SYNQ_TEST_PROXY_H
#define SYNQ_TEST_PROXY_H

/*
 * A relay between a client and a server, on a thread of its own, that can go
 * deaf or hang up: the faults of a network that a server cannot be asked for.
 */

#include <stdint.h>

struct proxy;

/* A relay to ${host}:${port}; the caller frees it. */
struct proxy *proxy_new(const char *host, uint16_t port);

/* The loopback port of ${proxy}. */
uint16_t proxy_port(const struct proxy *proxy);

/* From now on ${proxy} passes nothing, in neither direction. */
void proxy_stall(struct proxy *proxy);

/* ${proxy} hangs up on all it has, and passes what comes afterwards. */
void proxy_cut(struct proxy *proxy);

/* Hang up and free *${proxy}; sets it to NULL. */
void proxy_free(struct proxy **proxy);

#endif
