#ifndef SYNQ_BASE_LIST_H
#define SYNQ_BASE_LIST_H

/*
 * A doubly linked list whose links live inside the objects.  An object is on
 * at most one list per link; a zeroed link is on none.
 */

#include <stddef.h>

#include "base/attr.h"

struct synq_link {
	struct synq_link *next; /* NULL = on no list */
	struct synq_link *prev;
};

struct synq_list {
	struct synq_link head; /* the ring's fixed point, not an object */
	size_t count;
};

/* Make ${list} empty. */
void synq_list_init(struct synq_list *list);

/* Put ${link}, which is on no list, at the end of ${list}. */
void synq_list_push(struct synq_list *list, struct synq_link *link);

/* Put ${link}, which is on no list, at the front of ${list}. */
void synq_list_unshift(struct synq_list *list, struct synq_link *link);

/* Take ${link} off ${list}; nothing happens if it is on none. */
void synq_list_remove(struct synq_list *list, struct synq_link *link);

/* The first link of ${list}, still on it; NULL if it is empty. */
struct synq_link *synq_list_first(const struct synq_list *list);

/* Take the first link off ${list} and return it; NULL if it is empty. */
struct synq_link *synq_list_shift(struct synq_list *list);

/* The link after ${link} on ${list}; NULL at the end. */
struct synq_link *synq_list_next(
    const struct synq_list *list, const struct synq_link *link);

/* 1 if ${link} is on a list, else 0. */
int synq_link_used(const struct synq_link *link);

/*
 * Visit each link of ${list} as ${link}; ${link} itself may be removed and
 * its object freed in the body, ${after} (a second link pointer) must stay.
 */
#define synq_list_foreach(list, link, after)                                   \
	for ((link) = synq_list_first(list),                                   \
	    (after) = (link) ? synq_list_next((list), (link)) : NULL;          \
	     (link); (link) = (after),                                         \
	    (after) = (link) ? synq_list_next((list), (link)) : NULL)

#endif
