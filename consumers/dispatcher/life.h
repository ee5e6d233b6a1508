#ifndef SYNQ_DISPATCHER_LIFE_H
#define SYNQ_DISPATCHER_LIFE_H

/*
 * Who lives.  The broker keeps a static member's first client id when the
 * process starts again (measured on 4.3.1), so the group alone cannot tell an
 * earlier life from the present one.  Therefore each dispatcher announces its
 * boot id on synq.control before it joins; an attempt is over if its instance
 * is no member or lives with another boot id.
 */

#include "core.h"

/*
 * 1 if the life ${maker} is over: announced anew, or (${names} not NULL) no
 * longer among the ${count} members ${names}.  Our own never is: the call is
 * in our hands.
 */
int life_has_ended(const struct core *core, const struct maker *maker,
    const char *const *names, size_t count);

/* Free what is known of lives. */
void life_free_all(struct core *core);

#endif
