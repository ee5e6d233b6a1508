/*
 * malloc that does not return when memory is out: one line on stderr, exit 70.
 * The process ends with _exit, because atexit handlers would allocate again.
 *
 * An injected failure (synq_mem_fail_at) takes the same way out, so that a
 * test sees exactly what a machine without memory would show.
 */

#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"

/* Allocations until the injected failure; 0 = none is planned. */
static atomic_size_t fail_in;

SYNQ_NORETURN static void
out_of_memory(void)
{
	static const char line[] = "out of memory\n";
	ssize_t written;

	do {
		written = write(STDERR_FILENO, line, sizeof(line) - 1);
	} while (written < 0 && errno == EINTR);
	_exit(SYNQ_EXIT_NO_MEMORY);
}

static void
count_allocation(void)
{
	size_t left = atomic_load_explicit(&fail_in, memory_order_relaxed);

	while (left > 0) {
		if (!atomic_compare_exchange_weak(&fail_in, &left, left - 1))
			continue;
		if (left == 1)
			out_of_memory();
		return;
	}
}

void *
synq_mem_new(size_t bytes)
{
	count_allocation();
	void *ptr = calloc(1, bytes ? bytes : 1);
	if (!ptr)
		out_of_memory();
	return ptr;
}

void *
synq_mem_array(size_t count, size_t bytes)
{
	size_t total;

	if (__builtin_mul_overflow(count, bytes, &total))
		out_of_memory();
	return synq_mem_new(total);
}

void *
synq_mem_resize(void *ptr, size_t bytes)
{
	count_allocation();
	void *moved = realloc(ptr, bytes ? bytes : 1);
	if (!moved)
		out_of_memory();
	return moved;
}

char *
synq_mem_text(const char *text)
{
	return text ? synq_mem_copy(text, strlen(text)) : NULL;
}

char *
synq_mem_copy(const void *data, size_t bytes)
{
	size_t total;

	if (__builtin_add_overflow(bytes, 1, &total))
		out_of_memory();
	char *copy = synq_mem_resize(NULL, total);
	if (bytes > 0)
		memcpy(copy, data, bytes);
	copy[bytes] = '\0';
	return copy;
}

void
synq_mem_free(void *ptr)
{
	free(ptr);
}

void
synq_mem_fail_at(size_t nth)
{
	atomic_store(&fail_in, nth);
}
