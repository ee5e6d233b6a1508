#ifndef SYNQ_BASE_ATTR_H
#define SYNQ_BASE_ATTR_H

/*
 * Attributes that every module uses.  The only macros of this kind.
 */

#define SYNQ_MUST_CHECK __attribute__((warn_unused_result))
#define SYNQ_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SYNQ_NORETURN __attribute__((noreturn))
#define SYNQ_UNUSED __attribute__((unused))

/* The object that embeds ${member}, from a pointer to that member. */
#define SYNQ_CONTAINER(ptr, type, member)                                      \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* How many elements the array ${a} has. */
#define SYNQ_COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
