#ifndef SYNQ_HTTPD_SERVER_H
#define SYNQ_HTTPD_SERVER_H

/*
 * The server itself, as its connections and exchanges see it: what they share
 * and the turn's end, where answers are sent and closed connections freed.
 */

#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "httpd/httpd.h"
#include "loop/loop.h"

struct synq_httpd_conn;

/* What one recv takes at most; all connections share the buffer. */
#define SYNQ_HTTPD_READ_BYTES 65536
/* "Date: Sun, 06 Nov 1994 08:49:37 GMT" and the line's end. */
#define SYNQ_HTTPD_DATE_BYTES 37

struct synq_httpd {
	struct synq_loop *loop;
	struct synq_httpd_config config;
	int fd;
	uint16_t port;
	struct synq_watch *watch;
	struct synq_timer *pause;     /* until accepting is tried again */
	struct synq_timer *timer;     /* fires at the first deadline */
	uint64_t timer_us;            /* when; UINT64_MAX = not armed */
	struct synq_heap deadlines;   /* struct synq_httpd_conn */
	struct synq_list conns;       /* all that are open */
	struct synq_list dirty;       /* those with something to send */
	struct synq_list dead;        /* closed, freed at the turn's end */
	struct synq_list exchanges;   /* unused, kept for the next request */
	struct synq_map *addresses;   /* key => struct synq_httpd_address */
	struct synq_httpd_conn *busy; /* its input is being handled */
	uint32_t refused;             /* of conns, those above the limit */
	int flush_due;                /* 1 = deferred to the turn's end */
	int flushing;
	int freeing;
	int draining;
	void (*drain_fn)(void *ctx);
	void *drain_ctx;
	int64_t date_s; /* of the date below */
	char date[SYNQ_HTTPD_DATE_BYTES + 1];
	char input[SYNQ_HTTPD_READ_BYTES];
};

/* Let ${conn} be flushed at the end of this turn. */
void synq_httpd_mark(struct synq_httpd_conn *conn);

/* Free ${conn}, which is closed, at the end of this turn. */
void synq_httpd_bury(struct synq_httpd_conn *conn);

/* See that the timer of ${httpd} fires at ${deadline_us} or before. */
void synq_httpd_arm(struct synq_httpd *httpd, uint64_t deadline_us);

/* The Date line of this second, SYNQ_HTTPD_DATE_BYTES long. */
const char *synq_httpd_date(struct synq_httpd *httpd);

#endif
