#ifndef SYNQ_DISPATCHER_CATALOG_H
#define SYNQ_DISPATCHER_CATALOG_H

/*
 * Providers, models and credentials from PostgreSQL, read again when they are
 * old or synq.control says that they changed; the last copy is kept while
 * PostgreSQL is gone (decisions 25).
 */

struct dispatcher;

/* Load now, unless a load is running. */
void catalog_load(struct dispatcher *dispatcher);

/* Follow synq.control from its start. */
void catalog_follow(struct dispatcher *dispatcher);

#endif
