/*
 * The msgpack reader: whatever comes in, what it lends lies inside the input,
 * keys are unique, and what it accepts can be written and read again.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/slice.h"
#include "codec/msgpack.h"

#define MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
demand(int holds)
{
	if (!holds)
		abort();
}

static void
check_lent(
    struct synq_slice input, const struct synq_mp_member *members, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct synq_slice slice = members[i].slice;

		if (slice.bytes > 0)
			demand(slice.data > input.data &&
			       slice.data + slice.bytes <=
				   input.data + input.bytes);
		if (members[i].type == SYNQ_MP_TEXT)
			demand(synq_slice_utf8(slice));
		for (size_t k = 0; k < i; k++)
			demand(members[i].key != members[k].key);
	}
}

static void
write_members(
    struct synq_buf *out, const struct synq_mp_member *members, size_t count)
{
	synq_mp_map(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct synq_mp_member *member = &members[i];

		switch (member->type) {
		case SYNQ_MP_INT:
			synq_mp_int(out, member->key, member->number);
			break;
		case SYNQ_MP_TEXT:
			synq_mp_text(out, member->key, member->slice);
			break;
		case SYNQ_MP_BYTES:
			synq_mp_bytes(out, member->key, member->slice);
			break;
		case SYNQ_MP_OTHER:
			synq_mp_uint(out, member->key, UINT64_MAX);
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_slice input = synq_slice_of(data, bytes);
	struct synq_mp_member members[MAX];
	struct synq_mp_member again[MAX];
	struct synq_buf out;
	size_t count = 0;
	size_t count_again = 0;

	if (synq_mp_read(input, members, MAX, &count) != 0)
		return 0;
	check_lent(input, members, count);

	synq_buf_init(&out, 2 * bytes + 1024);
	write_members(&out, members, count);
	demand(!out.overflow);
	demand(
	    synq_mp_read(synq_buf_view(&out), again, MAX, &count_again) == 0);
	demand(count == count_again);
	for (size_t i = 0; i < count; i++)
		demand(members[i].key == again[i].key &&
		       members[i].type == again[i].type &&
		       members[i].number == again[i].number &&
		       synq_slice_equal(members[i].slice, again[i].slice));
	synq_buf_done(&out);
	return 0;
}
