/*
 * A ring: the head is a link itself, so that adding and removing know no
 * special cases.  A removed link is zeroed, which marks it as being on no
 * list and makes a second removal harmless.
 */

#include "base/list.h"

#include <assert.h>

static void
insert_between(
    struct synq_link *link, struct synq_link *prev, struct synq_link *next)
{
	link->prev = prev;
	link->next = next;
	prev->next = link;
	next->prev = link;
}

void
synq_list_init(struct synq_list *list)
{
	list->head.next = &list->head;
	list->head.prev = &list->head;
	list->count = 0;
}

void
synq_list_push(struct synq_list *list, struct synq_link *link)
{
	assert(!link->next);
	insert_between(link, list->head.prev, &list->head);
	list->count++;
}

void
synq_list_unshift(struct synq_list *list, struct synq_link *link)
{
	assert(!link->next);
	insert_between(link, &list->head, list->head.next);
	list->count++;
}

void
synq_list_remove(struct synq_list *list, struct synq_link *link)
{
	if (!link->next)
		return;
	assert(list->count > 0);
	link->prev->next = link->next;
	link->next->prev = link->prev;
	link->next = NULL;
	link->prev = NULL;
	list->count--;
}

struct synq_link *
synq_list_first(const struct synq_list *list)
{
	return list->head.next == &list->head ? NULL : list->head.next;
}

struct synq_link *
synq_list_shift(struct synq_list *list)
{
	struct synq_link *link = synq_list_first(list);

	if (link)
		synq_list_remove(list, link);
	return link;
}

struct synq_link *
synq_list_next(const struct synq_list *list, const struct synq_link *link)
{
	return link->next == &list->head ? NULL : link->next;
}

int
synq_link_used(const struct synq_link *link)
{
	return link->next != NULL;
}
