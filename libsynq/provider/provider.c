/*
 * What the dialects share: finding one, replacing the model in a body, reading
 * how long a provider asks to wait.
 */

#include "provider/provider.h"

#include <string.h>

#include "base/arena.h"
#include "provider/openai.h"
#include "json/scan.h"
#include "json/write.h"

#define US_PER_S INT64_C(1000000)

/* No sensible provider asks for more; the job's deadline is sooner. */
#define MAX_WAIT_US (30 * 86400 * US_PER_S)

const struct synq_dialect *
synq_dialect_find(const char *name)
{
	static const struct synq_dialect *const dialects[] = {
		&synq_dialect_openai,
	};

	for (size_t i = 0; i < SYNQ_COUNT(dialects); i++)
		if (strcmp(dialects[i]->name, name) == 0)
			return dialects[i];
	return NULL;
}

/* ---- the model ---------------------------------------------------------- */

/* 1 if the string ${value} stands for ${text}, else 0. */
static int
says(struct synq_json value, struct synq_slice text)
{
	struct synq_buf said;
	int same;

	synq_buf_init(&said, text.bytes);
	same = synq_json_string(value, &said) == 0 &&
	       synq_slice_equal(synq_buf_view(&said), text);
	synq_buf_done(&said);
	return same;
}

/* ${body} with the bytes of ${old}, a part of it, replaced by ${text}. */
static struct synq_slice
replace(struct synq_slice body, struct synq_slice old, struct synq_slice text,
    struct synq_arena *arena)
{
	size_t before = (size_t)(old.data - body.data);
	size_t after = body.bytes - before - old.bytes;
	char *made = synq_arena_raw(arena, before + text.bytes + after);

	memcpy(made, body.data, before);
	memcpy(made + before, text.data, text.bytes);
	memcpy(made + before + text.bytes, old.data + old.bytes, after);
	return synq_slice_of(made, before + text.bytes + after);
}

struct synq_slice
synq_provider_splice_model(
    struct synq_slice body, struct synq_slice model, struct synq_arena *arena)
{
	struct synq_json_writer writer;
	struct synq_json root;
	struct synq_json old;
	struct synq_buf text;
	struct synq_slice made;

	if (synq_json_parse(body, &root, NULL) != 0)
		return body;
	old = synq_json_member(root, "model");
	if (old.type == SYNQ_JSON_NONE || says(old, model))
		return body;

	/* An escape is at most 6 characters for a byte. */
	synq_buf_init(&text, 6 * model.bytes + 2);
	synq_json_start(&writer, &text);
	synq_json_slice(&writer, model);
	made = replace(body, old.raw, synq_buf_view(&text), arena);
	synq_buf_done(&text);
	return made;
}

/* ---- how long to wait --------------------------------------------------- */

/*
 * The decimal ${text} ("2", "1.5") times ${unit_us} in microseconds, cut at
 * MAX_WAIT_US; -1 if it is none.
 */
static int64_t
read_decimal(struct synq_slice text, int64_t unit_us)
{
	int64_t whole_us = 0;
	int64_t part_us = unit_us;
	size_t digits = 0;
	size_t i = 0;

	for (; i < text.bytes && text.data[i] >= '0' && text.data[i] <= '9';
	     i++, digits++) {
		whole_us = whole_us * 10 + (text.data[i] - '0') * unit_us;
		if (whole_us > MAX_WAIT_US)
			whole_us = MAX_WAIT_US;
	}
	if (i < text.bytes && text.data[i] == '.')
		i++;
	for (; i < text.bytes && text.data[i] >= '0' && text.data[i] <= '9';
	     i++, digits++) {
		part_us /= 10;
		whole_us += (text.data[i] - '0') * part_us;
	}
	return digits > 0 && i == text.bytes ? whole_us : -1;
}

/* Days from 1970-01-01 to the date (H. Hinnant, days_from_civil). */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;

	int64_t era = year / 400;
	int64_t in_era = year - era * 400;
	int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day;

	return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 +
	       in_year - 1 - 719468;
}

/* The number of ${count} digits at ${at}; -1 if they are none. */
static int64_t
read_digits(const char *at, size_t count)
{
	int64_t number = 0;

	for (size_t i = 0; i < count; i++) {
		if (at[i] < '0' || at[i] > '9')
			return -1;
		number = number * 10 + (at[i] - '0');
	}
	return number;
}

/* The place of the three letters at ${at} among the months, 1..12; else 0. */
static int64_t
read_month(const char *at)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int64_t i = 0; i < 12; i++)
		if (memcmp(&months[3 * i], at, 3) == 0)
			return i + 1;
	return 0;
}

/*
 * The wall time in microseconds of the HTTP date ${text}, in the one form that
 * may be sent (RFC 9110, 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT"; else -1.
 */
static int64_t
read_date(struct synq_slice text)
{
	static const char form[] = "aaa, 00 aaa 0000 00:00:00 GMT";
	const char *at = text.data;

	if (text.bytes != sizeof(form) - 1)
		return -1;
	for (size_t i = 0; i < text.bytes; i++)
		if (form[i] != 'a' && form[i] != '0' && form[i] != at[i])
			return -1;

	int64_t day = read_digits(at + 5, 2);
	int64_t month = read_month(at + 8);
	int64_t year = read_digits(at + 12, 4);
	int64_t hour = read_digits(at + 17, 2);
	int64_t minute = read_digits(at + 20, 2);
	int64_t second = read_digits(at + 23, 2);
	if (day < 1 || day > 31 || month < 1 || year < 1970 || hour < 0 ||
	    hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
		return -1;
	return (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 +
		   second) *
	       US_PER_S;
}

int64_t
synq_provider_retry_after(
    const struct synq_provider_answer *answer, int64_t now_at)
{
	int64_t wait_us =
	    read_decimal(synq_slice_trim(answer->retry_after_ms), 1000);
	struct synq_slice text = synq_slice_trim(answer->retry_after);

	if (wait_us < 0)
		wait_us = read_decimal(text, US_PER_S);
	if (wait_us >= 0)
		return wait_us > MAX_WAIT_US ? MAX_WAIT_US : wait_us;

	int64_t date = read_date(text);
	if (date < 0)
		return -1;
	if (date <= now_at)
		return 0;
	return date - now_at > MAX_WAIT_US ? MAX_WAIT_US : date - now_at;
}
