/*
 * The tracker against hostile metadata, then against hostile work: the first
 * byte chooses.  Metadata is also tried with a checksum that is right, which
 * no fuzzer guesses.  Whatever comes, a map fits and restores to what it was.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text.h"
#include "codec/varint.h"
#include "track/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define BASE 100
#define REACH 70000

static void
check(int truth)
{
	if (!truth)
		abort();
}

/* Encode ${track} and compare it with what comes back. */
static void
check_round_trip(struct synq_track *track)
{
	struct synq_track *again = NULL;
	struct synq_buf text;

	synq_buf_init(&text, 65536);
	synq_track_encode(track, &text);
	check(!text.overflow && text.bytes <= SYNQ_TRACK_MAX_CHARS);
	check(synq_track_restore(synq_track_base(track), synq_buf_view(&text),
		  -1, &again) == 0);
	check(synq_track_base(again) == synq_track_base(track));
	check(synq_track_results_offset(again) ==
	      synq_track_results_offset(track));
	check(synq_track_next(again) <= synq_track_next(track));
	for (int64_t i = synq_track_base(track); i < synq_track_next(track);
	     i++)
		check((synq_track_get(again, i) == SYNQ_TRACK_DONE) ==
		      (synq_track_get(track, i) == SYNQ_TRACK_DONE));
	synq_track_free(&again);
	synq_buf_done(&text);
}

static void
try_metadata(struct synq_slice metadata)
{
	struct synq_track *track = NULL;
	int rc = synq_track_restore(BASE, metadata, BASE + REACH, &track);

	if (rc != 0)
		check(synq_track_next(track) == BASE &&
		      synq_track_results_offset(track) == -1);
	check(synq_track_base(track) == BASE);
	check_round_trip(track);
	synq_track_free(&track);
}

static void
try_checked(struct synq_slice raw)
{
	struct synq_buf whole;
	struct synq_buf text;
	uint32_t crc = synq_crc32c(raw);

	synq_buf_init(&whole, 8192);
	synq_buf_init(&text, 16384);
	synq_buf_slice(&whole, raw);
	for (int i = 0; i < 4; i++)
		synq_buf_char(&whole, (char)(crc >> (8 * i) & 0xff));
	synq_buf_text(&text, "S1:");
	synq_base64url_encode(&text, synq_buf_view(&whole));
	try_metadata(synq_buf_view(&text));
	synq_buf_done(&whole);
	synq_buf_done(&text);
}

/* Three bytes a step: what, and how far from base or from next. */
static void
try_work(const uint8_t *data, size_t bytes)
{
	struct synq_track *track = synq_track_new(BASE);
	int64_t results = 0;
	int64_t read = BASE;
	int64_t at;

	for (size_t i = 0; i + 3 <= bytes; i += 3) {
		int64_t far = data[i + 1] | data[i + 2] << 8;
		int64_t base = synq_track_base(track);

		switch (data[i] % 6) {
		case 0:
			at = synq_track_next(track) + far;
			if (synq_track_seen(track, at) >= 0)
				read = at + 1;
			break;
		case 1:
			while (far-- > 0 && synq_track_room(track)) {
				at = read > base ? read : base;
				check(synq_track_seen(track, at) >= 0);
				read = at + 1;
			}
			break;
		case 2:
			synq_track_mark(track, base + far, SYNQ_TRACK_DONE);
			break;
		case 3:
			synq_track_mark(track, base + far,
			    (enum synq_track_state)(data[i] >> 4 & 3));
			break;
		case 4:
			for (int64_t j = 1; j < 4000; j += 1 + data[i + 2])
				synq_track_mark(track, base + data[i + 1] + j,
				    SYNQ_TRACK_DONE);
			break;
		default:
			results += far;
			synq_track_set_results_offset(track, results);
			break;
		}
		check(synq_track_base(track) >= base);
		check(synq_track_next(track) - synq_track_base(track) <=
		      SYNQ_TRACK_MAX_WINDOW);
	}
	check_round_trip(track);
	synq_track_free(&track);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes == 0 || bytes > 4096)
		return 0;
	struct synq_slice rest = synq_slice_of(data + 1, bytes - 1);

	if (data[0] % 3 == 0)
		try_metadata(rest);
	else if (data[0] % 3 == 1)
		try_checked(rest);
	else
		try_work(data + 1, bytes - 1);
	return 0;
}
