#ifndef SYNQ_BASE_POISON_H
#define SYNQ_BASE_POISON_H

/*
 * Memory that an arena or a slab holds but nobody may use, made known to
 * AddressSanitizer, so that it finds use after free there too.  Without the
 * sanitizer both functions do nothing.
 */

#include <stddef.h>

#include "base/attr.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SYNQ_POISONS 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SYNQ_POISONS 1
#endif

#ifdef SYNQ_POISONS
#include <sanitizer/asan_interface.h>
#endif

/* Forbid the use of the ${bytes} bytes at ${data}. */
static inline void
synq_poison(const void *data SYNQ_UNUSED, size_t bytes SYNQ_UNUSED)
{
#ifdef SYNQ_POISONS
	__asan_poison_memory_region(data, bytes);
#endif
}

/* Allow the use of the ${bytes} bytes at ${data} again. */
static inline void
synq_unpoison(const void *data SYNQ_UNUSED, size_t bytes SYNQ_UNUSED)
{
#ifdef SYNQ_POISONS
	__asan_unpoison_memory_region(data, bytes);
#endif
}

#endif
