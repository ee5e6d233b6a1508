/*
 * Writing the map: one pass over the runs of the window tells how long each
 * form would be, a second one writes the shorter.
 *
 * Reading it: length, alphabet, checksum, then the header, then the payload
 * into a fresh tracker.  Every byte is accounted for and only what this file
 * could have written is taken; anything else makes a tracker that knows
 * nothing but base.  Doing work again is safe, taking it for done is not.
 */

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "codec/varint.h"
#include "track/inner.h"

#define PREFIX "S1:"
#define PREFIX_CHARS (sizeof(PREFIX) - 1)
#define MAX_RAW_BYTES ((SYNQ_TRACK_MAX_CHARS - PREFIX_CHARS) * 3 / 4)
#define CRC_BYTES 4

enum map_type { MAP_NONE = 0, MAP_BITS = 1, MAP_RUNS = 2 };

/* ---- writing ------------------------------------------------------------ */

/* Two runs, one after the other: [from, done_at) not done, [.., end) done. */
struct runs {
	int64_t from;
	int64_t done_at;
	int64_t end;
};

/* The pair of runs of ${track} from ${from} on: 1, or 0 if no more is done. */
static int
runs_next(const struct synq_track *track, int64_t from, struct runs *ret)
{
	ret->from = from;
	ret->done_at = synq_track_find(track, from, track->next, 1);
	if (ret->done_at == track->next)
		return 0;
	ret->end = synq_track_find(track, ret->done_at, track->next, 0);
	return 1;
}

static size_t
varint_bytes(int64_t value)
{
	size_t bytes = 1;

	while (value >>= 7)
		bytes++;
	return bytes;
}

static void
write_runs(const struct synq_track *track, struct synq_buf *raw)
{
	struct runs runs;

	for (int64_t at = track->base; runs_next(track, at, &runs);
	     at = runs.end) {
		synq_varint_put(raw, (uint64_t)(runs.done_at - runs.from));
		synq_varint_put(raw, (uint64_t)(runs.end - runs.done_at));
	}
}

static void
write_bits(const struct synq_track *track, size_t bytes, struct synq_buf *raw)
{
	char *bits = synq_buf_reserve(raw, bytes);
	struct runs runs;

	assert(bits); /* synq_track_fits has said so */
	memset(bits, 0, bytes);
	for (int64_t at = track->base; runs_next(track, at, &runs);
	     at = runs.end)
		for (int64_t i = runs.done_at - track->base;
		     i < runs.end - track->base; i++)
			bits[i / 8] = (char)(bits[i / 8] | 1 << i % 8);
	raw->bytes += bytes;
}

static void
write_map(const struct synq_track *track, struct synq_buf *raw)
{
	enum map_type type = MAP_NONE;
	size_t runs_bytes = 0;
	size_t bits_bytes;
	int64_t count = 0;
	struct runs runs;

	for (int64_t at = track->base; runs_next(track, at, &runs);
	     at = runs.end) {
		runs_bytes += varint_bytes(runs.done_at - runs.from) +
		              varint_bytes(runs.end - runs.done_at);
		count = runs.end - track->base;
	}
	bits_bytes = (size_t)(count + 7) / 8;
	if (count > 0)
		type = bits_bytes < runs_bytes ? MAP_BITS : MAP_RUNS;

	synq_buf_char(raw, (char)type);
	synq_buf_char(raw, 0);
	synq_varint_put(raw, (uint64_t)track->results_offset + 1);
	synq_varint_put(raw, (uint64_t)count);
	if (type == MAP_BITS)
		write_bits(track, bits_bytes, raw);
	else
		write_runs(track, raw);
}

static void
write_crc(struct synq_buf *raw)
{
	uint32_t crc = synq_crc32c(synq_buf_view(raw));

	for (int i = 0; i < CRC_BYTES; i++)
		synq_buf_char(raw, (char)(crc >> (8 * i) & 0xff));
}

void
synq_track_encode(struct synq_track *track, struct synq_buf *out)
{
	struct synq_buf raw;

	synq_buf_init(&raw, MAX_RAW_BYTES);
	write_map(track, &raw);
	write_crc(&raw);
	assert(!raw.overflow);

	synq_buf_text(out, PREFIX);
	synq_base64url_encode(out, synq_buf_view(&raw));
	if (!out->overflow)
		track->dirty = 0;
	synq_buf_done(&raw);
}

/* ---- reading ------------------------------------------------------------ */

/* Take the checksum off the end of ${raw}.  Error: CORRUPT. */
static int
check_crc(struct synq_slice *raw)
{
	uint32_t crc = 0;

	if (raw->bytes < CRC_BYTES)
		return -SYNQ_E_CORRUPT;
	raw->bytes -= CRC_BYTES;
	for (int i = 0; i < CRC_BYTES; i++)
		crc |= (uint32_t)(uint8_t)raw->data[raw->bytes + (size_t)i]
		       << (8 * i);
	return crc == synq_crc32c(*raw) ? 0 : -SYNQ_E_CORRUPT;
}

static int
read_runs(struct synq_track *track, struct synq_slice raw, int64_t end)
{
	int done = 0;

	for (; raw.bytes > 0; done = !done) {
		uint64_t length;

		if (synq_varint_get(&raw, &length) != 0 || length == 0 ||
		    length > (uint64_t)(end - track->next))
			return -SYNQ_E_CORRUPT;
		synq_track_extend(track, track->next + (int64_t)length, done);
	}
	return track->next == end && !done ? 0 : -SYNQ_E_CORRUPT;
}

static int
read_bits(struct synq_track *track, struct synq_slice raw, int64_t end)
{
	int64_t count = end - track->base;
	int last = 0;

	if (raw.bytes != (size_t)(count + 7) / 8)
		return -SYNQ_E_CORRUPT;
	for (int64_t i = 0; i < (int64_t)raw.bytes * 8; i++) {
		int done = raw.data[i / 8] >> i % 8 & 1;

		if (i < count) {
			synq_track_extend(track, track->base + i + 1, done);
			last = done;
		} else if (done) {
			return -SYNQ_E_CORRUPT;
		}
	}
	return last && !(raw.data[0] & 1) ? 0 : -SYNQ_E_CORRUPT;
}

/* The map in ${raw} into the new ${track}.  Error: CORRUPT. */
static int
read_map(
    struct synq_track *track, struct synq_slice raw, int64_t high_watermark)
{
	uint64_t results;
	uint64_t count;
	int64_t end;
	int rc = -SYNQ_E_CORRUPT;

	if (check_crc(&raw) != 0 || raw.bytes < 2 || raw.data[1] != 0)
		return rc;
	enum map_type type = (enum map_type)(uint8_t)raw.data[0];
	raw.data += 2;
	raw.bytes -= 2;
	if (synq_varint_get(&raw, &results) != 0 || results > INT64_MAX ||
	    synq_varint_get(&raw, &count) != 0 || count > SYNQ_TRACK_MAX_WINDOW)
		return rc;
	end = track->base + (int64_t)count;
	if (high_watermark >= 0 && end > high_watermark)
		return rc;

	if (type == MAP_BITS && count > 0)
		rc = read_bits(track, raw, end);
	else if (type == MAP_RUNS && count > 0)
		rc = read_runs(track, raw, end);
	else if (type == MAP_NONE && count == 0 && raw.bytes == 0)
		rc = 0;
	if (rc == 0 && !synq_track_fits(
			   (int64_t)count, track->undone, SYNQ_TRACK_MAX_CHARS))
		rc = -SYNQ_E_CORRUPT;
	track->results_offset = track->results_wanted = (int64_t)results - 1;
	return rc;
}

int
synq_track_restore(int64_t base, struct synq_slice metadata,
    int64_t high_watermark, struct synq_track **ret)
{
	struct synq_buf raw;
	int rc = -SYNQ_E_CORRUPT;

	*ret = synq_track_new(base);
	if (metadata.bytes == 0)
		return 0;

	synq_buf_init(&raw, MAX_RAW_BYTES);
	if (metadata.bytes <= SYNQ_TRACK_MAX_CHARS &&
	    synq_slice_starts(metadata, PREFIX) &&
	    synq_base64url_decode(
		&raw, synq_slice_of(metadata.data + PREFIX_CHARS,
			  metadata.bytes - PREFIX_CHARS)) == 0)
		rc = read_map(*ret, synq_buf_view(&raw), high_watermark);
	synq_buf_done(&raw);

	if (rc != 0) {
		synq_track_free(ret);
		*ret = synq_track_new(base);
		(*ret)->dirty = 1;
	}
	return rc;
}
