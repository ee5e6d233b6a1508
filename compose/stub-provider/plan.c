/*
 * A plan is read word by word into a copy, which replaces the plan only when
 * all of it was right.
 *
 * Failure modes: an unknown word, a rate outside 0..1, rates that add up to
 * more than 1, a number out of range: INVALID.
 */

#include "plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define MAX_LATENCY_MS 3600000.0
#define MAX_PAD_BYTES 16000000.0

const char plan_help[] =
    "  lat=200        latency in ms, fixed\n"
    "  lat=100-300    uniform between the two\n"
    "  lat=200~0.5    lognormal with this median and sigma\n"
    "  err=0.1        so often an error (status, 500)\n"
    "  status=503     the status of those errors\n"
    "  429=0.05       so often 429 with Retry-After\n"
    "  ra=1           its seconds\n"
    "  stall=0.01     so often no answer ever\n"
    "  cut=0.01       so often the connection closed instead of an answer\n"
    "  cutbody=0.01   so often closed in the middle of the answer\n"
    "  slow=50        the answer in pieces, so many ms apart\n"
    "  pad=1000       content filled up to so many bytes\n";

static const char *const names[PLAN_OUTCOMES] = { [PLAN_OK] = "ok",
	[PLAN_ERROR] = "error",
	[PLAN_LIMITED] = "limited",
	[PLAN_STALL] = "stall",
	[PLAN_CUT] = "cut",
	[PLAN_CUT_BODY] = "cut_body" };

const char *
plan_name(enum plan_outcome outcome)
{
	return names[outcome];
}

struct plan
plan_default(void)
{
	return (struct plan){ .error_status = 500, .retry_after_s = 1 };
}

/* The number at the front of *${text}, which is advanced.  0 or -INVALID. */
static int
take_number(struct synq_slice *text, double max, double *ret)
{
	char copy[32];
	char *end;
	double number;

	if (text->bytes == 0 || text->bytes >= sizeof(copy) ||
	    text->data[0] < '0' || text->data[0] > '9')
		return -SYNQ_E_INVALID;
	memcpy(copy, text->data, text->bytes);
	copy[text->bytes] = '\0';
	/* No exponent, hex or name of a number. */
	copy[strspn(copy, "0123456789.")] = '\0';
	number = strtod(copy, &end);
	if (*end != '\0' || !(number <= max))
		return -SYNQ_E_INVALID;
	*ret = number;
	*text = synq_slice_of(
	    text->data + (end - copy), text->bytes - (size_t)(end - copy));
	return 0;
}

static int
whole_number(struct synq_slice text, double max, double *ret)
{
	int rc = take_number(&text, max, ret);

	return rc == 0 && text.bytes > 0 ? -SYNQ_E_INVALID : rc;
}

static int
read_latency(struct plan *plan, struct synq_slice text)
{
	double latency_ms;
	char mark;

	if (take_number(&text, MAX_LATENCY_MS, &latency_ms) != 0)
		return -SYNQ_E_INVALID;
	plan->latency_ms = latency_ms;
	plan->kind = PLAN_FIXED;
	if (text.bytes == 0)
		return 0;
	mark = text.data[0];
	text = synq_slice_of(text.data + 1, text.bytes - 1);
	if (mark == '-') {
		plan->kind = PLAN_UNIFORM;
		if (whole_number(text, MAX_LATENCY_MS, &plan->spread) != 0)
			return -SYNQ_E_INVALID;
		return plan->spread >= latency_ms ? 0 : -SYNQ_E_INVALID;
	}
	plan->kind = PLAN_LOGNORMAL;
	return mark == '~' ? whole_number(text, 5, &plan->spread)
	                   : -SYNQ_E_INVALID;
}

static int
read_u32(struct synq_slice text, double max, uint32_t *ret)
{
	double number = 0;

	if (whole_number(text, max, &number) != 0)
		return -SYNQ_E_INVALID;
	*ret = (uint32_t)number;
	return 0;
}

static int
read_word(struct plan *plan, struct synq_slice name, struct synq_slice value)
{
	static const struct {
		const char *name;
		enum plan_outcome outcome;
	} rates[] = { { "err", PLAN_ERROR }, { "429", PLAN_LIMITED },
		{ "stall", PLAN_STALL }, { "cut", PLAN_CUT },
		{ "cutbody", PLAN_CUT_BODY } };

	for (size_t i = 0; i < SYNQ_COUNT(rates); i++) {
		if (synq_slice_is(name, rates[i].name))
			return whole_number(
			    value, 1, &plan->rates[rates[i].outcome]);
	}
	if (synq_slice_is(name, "lat"))
		return read_latency(plan, value);
	if (synq_slice_is(name, "status"))
		return read_u32(value, 599, &plan->error_status);
	if (synq_slice_is(name, "ra"))
		return read_u32(value, 86400, &plan->retry_after_s);
	if (synq_slice_is(name, "slow"))
		return read_u32(value, 60000, &plan->slow_ms);
	if (synq_slice_is(name, "pad"))
		return read_u32(value, MAX_PAD_BYTES, &plan->pad_bytes);
	return -SYNQ_E_INVALID;
}

int
plan_read(struct plan *plan, struct synq_slice text, char separator)
{
	struct plan changed = *plan;
	double sum = 0;

	while (text.bytes > 0) {
		const char *end = memchr(text.data, separator, text.bytes);
		size_t n = end ? (size_t)(end - text.data) : text.bytes;
		const char *equals = memchr(text.data, '=', n);
		size_t name = equals ? (size_t)(equals - text.data) : 0;

		if (!equals ||
		    read_word(&changed, synq_slice_of(text.data, name),
			synq_slice_of(equals + 1, n - name - 1)) != 0)
			return -SYNQ_E_INVALID;
		n += end != NULL;
		text = synq_slice_of(text.data + n, text.bytes - n);
	}
	for (int i = PLAN_OK + 1; i < PLAN_OUTCOMES; i++)
		sum += changed.rates[i];
	if (sum > 1.000001 || changed.error_status < 400)
		return -SYNQ_E_INVALID;
	*plan = changed;
	return 0;
}

/* A number from 0 to just below 1. */
static double
draw_unit(struct synq_rand *rand)
{
	return (double)(synq_rand_next(rand) >> 11) * 0x1p-53;
}

enum plan_outcome
plan_draw(const struct plan *plan, struct synq_rand *rand)
{
	double at = draw_unit(rand);

	for (int i = PLAN_OK + 1; i < PLAN_OUTCOMES; i++) {
		if (at < plan->rates[i])
			return (enum plan_outcome)i;
		at -= plan->rates[i];
	}
	return PLAN_OK;
}

/* From the standard normal distribution (Box and Muller 1958). */
static double
draw_normal(struct synq_rand *rand)
{
	double radius = sqrt(-2.0 * log(1.0 - draw_unit(rand)));

	return radius * cos(6.283185307179586 * draw_unit(rand));
}

uint64_t
plan_latency_us(const struct plan *plan, struct synq_rand *rand)
{
	double ms = plan->latency_ms;

	if (plan->kind == PLAN_UNIFORM)
		ms += (plan->spread - ms) * draw_unit(rand);
	else if (plan->kind == PLAN_LOGNORMAL)
		ms *= exp(plan->spread * draw_normal(rand));
	if (ms > MAX_LATENCY_MS)
		ms = MAX_LATENCY_MS;
	return (uint64_t)(ms * 1000);
}
