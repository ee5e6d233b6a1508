/*
 * Encoding: every field is checked against its row first, so that nothing is
 * ever written that no reader takes: a message that does not decode would be
 * an accepted job that cannot run.
 *
 * Decoding: the map is read into members, the members are found by key, each
 * field is checked against its row and put into its struct.  The first field
 * that does not fit ends it with CORRUPT, and nothing has been written.
 */

#include "proto/field.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/uuid.h"
#include "codec/msgpack.h"

#define KEY_VERSION 0
/* As many as the reader of the codec takes. */
#define MAX_MEMBERS 64
/* The largest of the structs; checked when a message is decoded. */
#define MAX_STRUCT_BYTES 512

/* ---- the struct's side -------------------------------------------------- */

static int64_t
number_at(const struct synq_proto_field *field, const void *from)
{
	const char *at = (const char *)from + field->at;
	int64_t wide;
	int32_t narrow;
	uint32_t bits;

	if (field->bytes == sizeof(wide)) {
		memcpy(&wide, at, sizeof(wide));
		return wide;
	}
	/* A member whose range goes above int32 is unsigned. */
	if (field->max > INT32_MAX) {
		memcpy(&bits, at, sizeof(bits));
		return bits;
	}
	memcpy(&narrow, at, sizeof(narrow));
	return narrow;
}

static void
number_put(const struct synq_proto_field *field, void *to, int64_t number)
{
	char *at = (char *)to + field->at;
	uint32_t narrow = (uint32_t)number;

	if (field->bytes == sizeof(number))
		memcpy(at, &number, sizeof(number));
	else
		memcpy(at, &narrow, sizeof(narrow));
}

static struct synq_slice
slice_at(const struct synq_proto_field *field, const void *from)
{
	struct synq_slice slice;

	memcpy(&slice, (const char *)from + field->at, sizeof(slice));
	return slice;
}

static struct synq_uuid
uuid_at(const struct synq_proto_field *field, const void *from)
{
	struct synq_uuid id;

	memcpy(&id, (const char *)from + field->at, sizeof(id));
	return id;
}

/* 1 if ${field} holds what stands for "not there" at ${from}, else 0. */
static int
is_absent(const struct synq_proto_field *field, const void *from)
{
	struct synq_uuid id;

	switch (field->type) {
	case SYNQ_PROTO_UUID:
		id = uuid_at(field, from);
		return synq_uuid_is_nil(&id);
	case SYNQ_PROTO_NUMBER:
		return number_at(field, from) == field->absent;
	case SYNQ_PROTO_TEXT:
	case SYNQ_PROTO_BYTES:
		return slice_at(field, from).bytes == 0;
	}
	return 0;
}

static int
slice_fits(const struct synq_proto_field *field, struct synq_slice slice)
{
	if (slice.bytes > (size_t)field->max)
		return 0;
	return field->type != SYNQ_PROTO_TEXT || synq_slice_utf8(slice);
}

/* 1 if what ${field} holds at ${from} may be written, else 0. */
static int
may_write(const struct synq_proto_field *field, const void *from)
{
	int64_t number;

	switch (field->type) {
	case SYNQ_PROTO_UUID:
		return 1; /* is_absent has said no */
	case SYNQ_PROTO_NUMBER:
		number = number_at(field, from);
		return number >= field->min && number <= field->max;
	case SYNQ_PROTO_TEXT:
	case SYNQ_PROTO_BYTES:
		return slice_fits(field, slice_at(field, from));
	}
	return 0;
}

/* ---- encoding ----------------------------------------------------------- */

static void
field_encode(const struct synq_proto_field *field, const void *from,
    struct synq_buf *out)
{
	struct synq_uuid id;

	switch (field->type) {
	case SYNQ_PROTO_UUID:
		id = uuid_at(field, from);
		synq_mp_bytes(out, field->key, synq_uuid_slice(&id));
		break;
	case SYNQ_PROTO_NUMBER:
		synq_mp_int(out, field->key, number_at(field, from));
		break;
	case SYNQ_PROTO_TEXT:
		synq_mp_text(out, field->key, slice_at(field, from));
		break;
	case SYNQ_PROTO_BYTES:
		synq_mp_bytes(out, field->key, slice_at(field, from));
		break;
	}
}

void
synq_proto_encode(const struct synq_proto_message *message, const void *from,
    struct synq_buf *out)
{
	uint64_t written = 0; /* bit i: field i is there */
	uint32_t members = 1;

	assert(message->count < MAX_MEMBERS);
	for (size_t i = 0; i < message->count; i++) {
		const struct synq_proto_field *field = &message->fields[i];
		int absent = is_absent(field, from);

		if (absent && !field->required)
			continue;
		if (!may_write(field, from) ||
		    (absent && field->type == SYNQ_PROTO_UUID)) {
			out->overflow = 1;
			return;
		}
		written |= (uint64_t)1 << i;
		members++;
	}

	synq_mp_map(out, members);
	synq_mp_uint(out, KEY_VERSION, SYNQ_PROTO_VERSION);
	for (size_t i = 0; i < message->count; i++)
		if (written >> i & 1)
			field_encode(&message->fields[i], from, out);
}

/* ---- decoding ----------------------------------------------------------- */

struct members {
	struct synq_mp_member all[MAX_MEMBERS];
	const struct synq_mp_member *by_key[MAX_MEMBERS]; /* NULL = not there */
};

static int
members_read(struct synq_slice input, struct members *members)
{
	size_t count = 0;

	if (synq_mp_read(input, members->all, MAX_MEMBERS, &count) != 0)
		return -SYNQ_E_CORRUPT;
	memset(members->by_key, 0, sizeof(members->by_key));
	for (size_t i = 0; i < count; i++)
		if (members->all[i].key < MAX_MEMBERS)
			members->by_key[members->all[i].key] = &members->all[i];
	return 0;
}

static void
field_clear(const struct synq_proto_field *field, void *to)
{
	if (field->type == SYNQ_PROTO_NUMBER)
		number_put(field, to, field->absent);
	else
		memset((char *)to + field->at, 0, field->bytes);
}

static int
uuid_decode(const struct synq_proto_field *field,
    const struct synq_mp_member *member, void *to)
{
	struct synq_uuid id;

	if (member->type != SYNQ_MP_BYTES ||
	    member->slice.bytes != sizeof(id.bytes))
		return -SYNQ_E_CORRUPT;
	memcpy(id.bytes, member->slice.data, sizeof(id.bytes));
	if (field->required && synq_uuid_is_nil(&id))
		return -SYNQ_E_CORRUPT;
	memcpy((char *)to + field->at, &id, sizeof(id));
	return 0;
}

static int
field_decode(const struct synq_proto_field *field,
    const struct synq_mp_member *member, void *to)
{
	enum synq_mp_type wanted = SYNQ_MP_BYTES;

	switch (field->type) {
	case SYNQ_PROTO_UUID:
		return uuid_decode(field, member, to);
	case SYNQ_PROTO_NUMBER:
		if (member->type != SYNQ_MP_INT ||
		    member->number < field->min || member->number > field->max)
			return -SYNQ_E_CORRUPT;
		number_put(field, to, member->number);
		return 0;
	case SYNQ_PROTO_TEXT:
		wanted = SYNQ_MP_TEXT;
		break;
	case SYNQ_PROTO_BYTES:
		break;
	}
	if (member->type != wanted || !slice_fits(field, member->slice))
		return -SYNQ_E_CORRUPT;
	memcpy((char *)to + field->at, &member->slice, sizeof(member->slice));
	return 0;
}

int
synq_proto_decode(const struct synq_proto_message *message,
    struct synq_slice input, void *ret)
{
	_Alignas(max_align_t) char made[MAX_STRUCT_BYTES] = { 0 };
	struct members members;
	const struct synq_mp_member *member;

	assert(message->struct_bytes <= sizeof(made));
	if (members_read(input, &members) != 0)
		return -SYNQ_E_CORRUPT;
	member = members.by_key[KEY_VERSION];
	if (!member || member->type != SYNQ_MP_INT ||
	    member->number != SYNQ_PROTO_VERSION)
		return -SYNQ_E_CORRUPT;

	for (size_t i = 0; i < message->count; i++) {
		const struct synq_proto_field *field = &message->fields[i];

		member = members.by_key[field->key];
		if (!member && field->required)
			return -SYNQ_E_CORRUPT;
		if (!member)
			field_clear(field, made);
		else if (field_decode(field, member, made) != 0)
			return -SYNQ_E_CORRUPT;
	}

	memcpy(ret, made, message->struct_bytes);
	return 0;
}

int64_t
synq_proto_peek(struct synq_slice input, uint32_t key)
{
	struct members members;

	if (key >= MAX_MEMBERS || members_read(input, &members) != 0)
		return -1;
	const struct synq_mp_member *member = members.by_key[key];
	if (!member || member->type != SYNQ_MP_INT)
		return -1;
	return member->number;
}
