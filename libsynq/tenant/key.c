#include "tenant/key.h"

#include <string.h>

#include "base/rand.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

/*
 * Parse: length, prefix, alphabet, CRC; nothing of a text that fails is used.
 * Make: random bytes from the kernel, written in base62, most significant
 * digit first; the CRC likewise.
 *
 * Failure modes: none but "not a key", on purpose one answer for all.
 */

#define PREFIX_CHARS 10 /* synq_live_ */
#define KEY_ID_CHARS 16
#define SECRET_CHARS 43
#define CRC_CHARS 6
#define SECRET_AT (PREFIX_CHARS + KEY_ID_CHARS + 1)
#define CRC_AT (SECRET_AT + SECRET_CHARS)

static const char digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static int
is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z');
}

static int
are_digits(const char *text, size_t chars)
{
	size_t i;

	for (i = 0; i < chars; i++) {
		if (!is_digit(text[i]))
			return 0;
	}
	return 1;
}

/* Write the CRC of the ${CRC_AT} characters at ${text} to ${ret}. */
static void
write_crc(const char *text, char ret[CRC_CHARS])
{
	uint32_t crc = synq_crc32(synq_slice_of(text, CRC_AT));
	size_t i;

	for (i = CRC_CHARS; i > 0; i--) {
		ret[i - 1] = digits[crc % 62];
		crc /= 62;
	}
}

int
synq_key_parse(struct synq_slice text, struct synq_key_parts *ret)
{
	char crc[CRC_CHARS];
	int live;

	if (text.bytes != SYNQ_KEY_CHARS)
		return -SYNQ_E_INVALID;
	live = synq_slice_starts(text, "synq_live_");
	if (!live && !synq_slice_starts(text, "synq_test_"))
		return -SYNQ_E_INVALID;
	if (!are_digits(text.data + PREFIX_CHARS, KEY_ID_CHARS) ||
	    text.data[SECRET_AT - 1] != '_' ||
	    !are_digits(text.data + SECRET_AT, SECRET_CHARS + CRC_CHARS))
		return -SYNQ_E_INVALID;
	write_crc(text.data, crc);
	if (memcmp(crc, text.data + CRC_AT, CRC_CHARS) != 0)
		return -SYNQ_E_INVALID;
	ret->key_id = synq_slice_of(text.data + PREFIX_CHARS, KEY_ID_CHARS);
	ret->secret = synq_slice_of(text.data + SECRET_AT, SECRET_CHARS);
	ret->live = live;
	return 0;
}

/* Write ${chars} random digits to ${ret}; each is equally likely. */
static void
write_random(char *ret, size_t chars)
{
	uint8_t bytes[64];
	size_t used = sizeof(bytes);
	size_t i = 0;

	while (i < chars) {
		if (used == sizeof(bytes)) {
			synq_rand_system(bytes, sizeof(bytes));
			used = 0;
		}
		/* Above the largest multiple of 62 some were likelier. */
		if (bytes[used] < 248)
			ret[i++] = digits[bytes[used] % 62];
		used++;
	}
	synq_secret_erase(bytes, sizeof(bytes));
}

/* Write 256 random bits as a number of SECRET_CHARS digits to ${ret}. */
static void
write_secret(char ret[SECRET_CHARS])
{
	uint8_t number[32];
	size_t at;
	size_t i;

	synq_rand_system(number, sizeof(number));
	for (at = SECRET_CHARS; at > 0; at--) {
		uint32_t rest = 0;

		for (i = 0; i < sizeof(number); i++) {
			rest = rest << 8 | number[i];
			number[i] = (uint8_t)(rest / 62);
			rest %= 62;
		}
		ret[at - 1] = digits[rest];
	}
	synq_secret_erase(number, sizeof(number));
}

void
synq_key_make(int live, struct synq_secret **ret)
{
	char text[SYNQ_KEY_CHARS];

	memcpy(text, live ? "synq_live_" : "synq_test_", PREFIX_CHARS);
	write_random(text + PREFIX_CHARS, KEY_ID_CHARS);
	text[SECRET_AT - 1] = '_';
	write_secret(text + SECRET_AT);
	write_crc(text, text + CRC_AT);
	*ret = synq_secret_new(synq_slice_of(text, sizeof(text)));
	synq_secret_erase(text, sizeof(text));
}

void
synq_key_hash(
    const struct synq_secret *pepper, struct synq_slice secret, uint8_t ret[32])
{
	synq_hash(pepper, secret, ret, 32);
}
