/*
 * Writing: msgpack-c packs each number and length in its shortest form and
 * hands the bytes to the buffer.
 *
 * Reading: msgpack-c would take memory from the heap for every message, and
 * every job is read several times.  So the map is walked here, without any
 * allocation; msgpack-c is the oracle in the tests.  Each item begins with a
 * head: a byte that gives the type and often the value, then up to 8 bytes of
 * number or length.  A head is only accepted if what it announces can still be
 * in the input, so that no claim costs more than the bytes that make it.
 *
 * What fails as CORRUPT: an input that ends early or goes on behind the map; a
 * map that is none; a key that is no unsigned 32-bit number or comes twice;
 * text that is not UTF-8; the byte 0xc1; nesting above 8.  A map with more
 * members than the caller wants or than 64 is TOO_LARGE.
 */

#include "codec/msgpack.h"

#include <msgpack.h>

#include "base/err.h"

#define MAX_MEMBERS 64
#define MAX_DEPTH 8 /* the message's own map is the first level */

/* ---- writing ------------------------------------------------------------ */

static int
mp_write(void *ctx, const char *data, size_t bytes)
{
	struct synq_buf *out = ctx;

	return synq_buf_add(out, data, bytes);
}

static msgpack_packer
mp_packer(struct synq_buf *out)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, out, mp_write);
	return packer;
}

void
synq_mp_map(struct synq_buf *out, uint32_t members)
{
	msgpack_packer packer = mp_packer(out);

	msgpack_pack_map(&packer, members);
}

void
synq_mp_uint(struct synq_buf *out, uint32_t key, uint64_t value)
{
	msgpack_packer packer = mp_packer(out);

	msgpack_pack_uint32(&packer, key);
	msgpack_pack_uint64(&packer, value);
}

void
synq_mp_int(struct synq_buf *out, uint32_t key, int64_t value)
{
	msgpack_packer packer = mp_packer(out);

	msgpack_pack_uint32(&packer, key);
	msgpack_pack_int64(&packer, value);
}

void
synq_mp_text(struct synq_buf *out, uint32_t key, struct synq_slice value)
{
	msgpack_packer packer = mp_packer(out);

	/* The format has 32 bits for a length; msgpack-c would cut it. */
	if (value.bytes > UINT32_MAX) {
		out->overflow = 1;
		return;
	}
	msgpack_pack_uint32(&packer, key);
	msgpack_pack_str(&packer, value.bytes);
	synq_buf_slice(out, value);
}

void
synq_mp_bytes(struct synq_buf *out, uint32_t key, struct synq_slice value)
{
	msgpack_packer packer = mp_packer(out);

	if (value.bytes > UINT32_MAX) {
		out->overflow = 1;
		return;
	}
	msgpack_pack_uint32(&packer, key);
	msgpack_pack_bin(&packer, value.bytes);
	synq_buf_slice(out, value);
}

/* ---- reading ------------------------------------------------------------ */

enum kind {
	KIND_UINT,  /* number holds it */
	KIND_INT,   /* number holds it as two's complement, below 0 */
	KIND_TEXT,  /* number bytes follow */
	KIND_BYTES, /* number bytes follow */
	KIND_SKIP,  /* number bytes follow that nobody wants */
	KIND_ARRAY, /* number items follow */
	KIND_MAP,   /* 2 * number items follow */
	KIND_NONE   /* no msgpack */
};

struct head {
	enum kind kind;
	uint64_t number;
};

/* How to read a first byte from 0xc0 to 0xdf. */
struct form {
	uint8_t kind;         /* enum kind */
	uint8_t number_bytes; /* behind the first byte */
	uint8_t more;         /* to be added to the number */
};

/* clang-format off */
static const struct form forms[32] = {
	{ KIND_SKIP, 0, 0 },   /* c0 nil */
	{ KIND_NONE, 0, 0 },   /* c1 */
	{ KIND_SKIP, 0, 0 },   /* c2 false */
	{ KIND_SKIP, 0, 0 },   /* c3 true */
	{ KIND_BYTES, 1, 0 },  /* c4 bin 8 */
	{ KIND_BYTES, 2, 0 },  /* c5 bin 16 */
	{ KIND_BYTES, 4, 0 },  /* c6 bin 32 */
	{ KIND_SKIP, 1, 1 },   /* c7 ext 8; its type is one byte more */
	{ KIND_SKIP, 2, 1 },   /* c8 ext 16 */
	{ KIND_SKIP, 4, 1 },   /* c9 ext 32 */
	{ KIND_SKIP, 0, 4 },   /* ca float 32 */
	{ KIND_SKIP, 0, 8 },   /* cb float 64 */
	{ KIND_UINT, 1, 0 },   /* cc uint 8 */
	{ KIND_UINT, 2, 0 },   /* cd uint 16 */
	{ KIND_UINT, 4, 0 },   /* ce uint 32 */
	{ KIND_UINT, 8, 0 },   /* cf uint 64 */
	{ KIND_INT, 1, 0 },    /* d0 int 8 */
	{ KIND_INT, 2, 0 },    /* d1 int 16 */
	{ KIND_INT, 4, 0 },    /* d2 int 32 */
	{ KIND_INT, 8, 0 },    /* d3 int 64 */
	{ KIND_SKIP, 0, 2 },   /* d4 fixext 1 */
	{ KIND_SKIP, 0, 3 },   /* d5 fixext 2 */
	{ KIND_SKIP, 0, 5 },   /* d6 fixext 4 */
	{ KIND_SKIP, 0, 9 },   /* d7 fixext 8 */
	{ KIND_SKIP, 0, 17 },  /* d8 fixext 16 */
	{ KIND_TEXT, 1, 0 },   /* d9 str 8 */
	{ KIND_TEXT, 2, 0 },   /* da str 16 */
	{ KIND_TEXT, 4, 0 },   /* db str 32 */
	{ KIND_ARRAY, 2, 0 },  /* dc array 16 */
	{ KIND_ARRAY, 4, 0 },  /* dd array 32 */
	{ KIND_MAP, 2, 0 },    /* de map 16 */
	{ KIND_MAP, 4, 0 },    /* df map 32 */
};
/* clang-format on */

struct walk {
	const unsigned char *at;
	const unsigned char *end;
};

static size_t
walk_left(const struct walk *walk)
{
	return (size_t)(walk->end - walk->at);
}

/* A first byte that holds type and number in one. */
static struct head
head_of_byte(unsigned char byte)
{
	if (byte <= 0x7f)
		return (struct head){ KIND_UINT, byte };
	if (byte <= 0x8f)
		return (struct head){ KIND_MAP, byte & 0x0f };
	if (byte <= 0x9f)
		return (struct head){ KIND_ARRAY, byte & 0x0f };
	if (byte <= 0xbf)
		return (struct head){ KIND_TEXT, byte & 0x1f };
	/* Negative: the byte itself is two's complement. */
	return (struct head){ KIND_INT, (uint64_t)byte - 0x100 };
}

/* 1 if what ${head} announces can be in the rest of ${walk}, else 0. */
static int
head_fits(const struct walk *walk, struct head head)
{
	size_t left = walk_left(walk);

	switch (head.kind) {
	case KIND_UINT:
	case KIND_INT:
		return 1;
	case KIND_TEXT:
	case KIND_BYTES:
	case KIND_SKIP:
	case KIND_ARRAY: /* an item is at least one byte */
		return head.number <= left;
	case KIND_MAP:
		return head.number <= left / 2;
	case KIND_NONE:
		break;
	}
	return 0;
}

/* Take the next head off ${walk} into ${ret}.  Error: CORRUPT. */
static int
walk_head(struct walk *walk, struct head *ret)
{
	if (walk_left(walk) == 0)
		return -SYNQ_E_CORRUPT;

	unsigned char first = *walk->at++;
	if (first < 0xc0 || first > 0xdf) {
		*ret = head_of_byte(first);
		return head_fits(walk, *ret) ? 0 : -SYNQ_E_CORRUPT;
	}

	const struct form *form = &forms[first - 0xc0];
	if (walk_left(walk) < form->number_bytes)
		return -SYNQ_E_CORRUPT;
	/* A sign fills what is shifted out in front. */
	int is_negative = form->kind == KIND_INT && (*walk->at & 0x80) != 0;
	uint64_t number = is_negative ? UINT64_MAX : 0;
	for (unsigned i = 0; i < form->number_bytes; i++)
		number = number << 8 | *walk->at++;

	ret->kind = (enum kind)form->kind;
	ret->number = number + form->more;
	/* 5 may be written as a signed number, too. */
	if (ret->kind == KIND_INT && !is_negative)
		ret->kind = KIND_UINT;
	return head_fits(walk, *ret) ? 0 : -SYNQ_E_CORRUPT;
}

/* How many items follow ${head}. */
static uint64_t
head_items(struct head head)
{
	if (head.kind == KIND_ARRAY)
		return head.number;
	return head.kind == KIND_MAP ? 2 * head.number : 0;
}

/* Skip the items of ${list}, a member's value and so at level 2. */
static int
walk_skip_items(struct walk *walk, struct head list)
{
	uint64_t left[MAX_DEPTH + 1]; /* items, by level */
	unsigned level = 2;
	struct head head;

	left[level] = head_items(list);
	while (level >= 2) {
		if (left[level] == 0) {
			level--;
			continue;
		}
		left[level]--;
		if (walk_head(walk, &head) != 0)
			return -SYNQ_E_CORRUPT;
		if (head.kind == KIND_ARRAY || head.kind == KIND_MAP) {
			if (level == MAX_DEPTH)
				return -SYNQ_E_CORRUPT;
			left[++level] = head_items(head);
		} else if (head.kind != KIND_UINT && head.kind != KIND_INT) {
			walk->at += head.number;
		}
	}
	return 0;
}

static int
walk_key(struct walk *walk, uint32_t *ret)
{
	struct head head;

	if (walk_head(walk, &head) != 0 || head.kind != KIND_UINT ||
	    head.number > UINT32_MAX)
		return -SYNQ_E_CORRUPT;
	*ret = (uint32_t)head.number;
	return 0;
}

/* Take the value of ${ret} off ${walk}. */
static int
walk_value(struct walk *walk, struct synq_mp_member *ret)
{
	struct head head;

	if (walk_head(walk, &head) != 0)
		return -SYNQ_E_CORRUPT;

	ret->type = SYNQ_MP_OTHER;
	ret->number = 0;
	ret->slice = (struct synq_slice){ .bytes = 0 };
	switch (head.kind) {
	case KIND_UINT:
		if (head.number > INT64_MAX)
			return 0;
		ret->type = SYNQ_MP_INT;
		ret->number = (int64_t)head.number;
		return 0;
	case KIND_INT:
		ret->type = SYNQ_MP_INT;
		ret->number = (int64_t)head.number;
		return 0;
	case KIND_TEXT:
	case KIND_BYTES:
		ret->type =
		    head.kind == KIND_TEXT ? SYNQ_MP_TEXT : SYNQ_MP_BYTES;
		ret->slice = synq_slice_of(walk->at, (size_t)head.number);
		walk->at += head.number;
		if (head.kind == KIND_TEXT && !synq_slice_utf8(ret->slice))
			return -SYNQ_E_CORRUPT;
		return 0;
	case KIND_SKIP:
		walk->at += head.number;
		return 0;
	case KIND_ARRAY:
	case KIND_MAP:
		return walk_skip_items(walk, head);
	case KIND_NONE:
		break;
	}
	return -SYNQ_E_CORRUPT;
}

/*
 * 1 if ${key} is one of the ${count} keys of ${members}, else 0.  Keys below
 * 64, which is what messages have, are found as bits of *${small}, where
 * ${key} is noted.
 */
static int
key_is_used(const struct synq_mp_member *members, size_t count, uint32_t key,
    uint64_t *small)
{
	if (key < 64) {
		uint64_t bit = (uint64_t)1 << key;
		int used = (*small & bit) != 0;

		*small |= bit;
		return used;
	}
	for (size_t i = 0; i < count; i++)
		if (members[i].key == key)
			return 1;
	return 0;
}

int
synq_mp_read(struct synq_slice input, struct synq_mp_member *ret, size_t max,
    size_t *ret_count)
{
	const unsigned char *data = (const unsigned char *)input.data;
	struct walk walk = { data, data };
	uint64_t small = 0;
	struct head head;

	if (input.bytes > 0)
		walk.end += input.bytes;
	if (walk_head(&walk, &head) != 0 || head.kind != KIND_MAP)
		return -SYNQ_E_CORRUPT;
	if (head.number > MAX_MEMBERS || head.number > max)
		return -SYNQ_E_TOO_LARGE;

	for (size_t i = 0; i < head.number; i++) {
		uint32_t key;

		if (walk_key(&walk, &key) != 0 ||
		    key_is_used(ret, i, key, &small))
			return -SYNQ_E_CORRUPT;
		ret[i].key = key;
		if (walk_value(&walk, &ret[i]) != 0)
			return -SYNQ_E_CORRUPT;
	}

	if (walk_left(&walk) > 0)
		return -SYNQ_E_CORRUPT;
	*ret_count = (size_t)head.number;
	return 0;
}
