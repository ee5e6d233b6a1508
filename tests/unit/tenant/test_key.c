/*
 * API keys against vectors that zlib and hashlib made, and what is no key.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "crypto/secret.h"
#include "tenant/key.h"

static const char live_key[] = "synq_live_0123456789abcdef_"
			       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			       "2Ayjiq";
static const char test_key[] = "synq_test_ZZZZZZZZZZZZZZZZ_"
			       "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
			       "2aZRhv";

static void
test_parse_takes_a_key_apart(void **state)
{
	struct synq_key_parts parts;

	(void)state;
	assert_int_equal(strlen(live_key), SYNQ_KEY_CHARS);
	assert_int_equal(synq_key_parse(synq_slice_text(live_key), &parts), 0);
	assert_true(synq_slice_is(parts.key_id, "0123456789abcdef"));
	assert_true(synq_slice_is(
	    parts.secret, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_int_equal(parts.live, 1);
	assert_int_equal(synq_key_parse(synq_slice_text(test_key), &parts), 0);
	assert_int_equal(parts.live, 0);
}

/* Every single character matters. */
static void
test_parse_refuses_each_wrong_character(void **state)
{
	static const char wrong[] = "0aZ_ \n\x80";
	char key[SYNQ_KEY_CHARS];
	struct synq_key_parts parts;
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < SYNQ_KEY_CHARS; i++) {
		for (k = 0; k < sizeof(wrong); k++) {
			if (wrong[k] == live_key[i])
				continue;
			memcpy(key, live_key, sizeof(key));
			key[i] = wrong[k];
			assert_int_equal(
			    synq_key_parse(
				synq_slice_of(key, sizeof(key)), &parts),
			    -SYNQ_E_INVALID);
		}
	}
}

static void
test_parse_refuses_each_other_length(void **state)
{
	char key[SYNQ_KEY_CHARS + 1];
	struct synq_key_parts parts;
	size_t bytes;

	(void)state;
	memcpy(key, live_key, sizeof(key));
	for (bytes = 0; bytes <= sizeof(key); bytes++) {
		if (bytes != SYNQ_KEY_CHARS)
			assert_int_equal(
			    synq_key_parse(synq_slice_of(key, bytes), &parts),
			    -SYNQ_E_INVALID);
	}
}

static void
test_made_keys_parse_and_differ(void **state)
{
	struct synq_key_parts parts;
	struct synq_secret *keys[64];
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < SYNQ_COUNT(keys); i++) {
		synq_key_make(i % 2 == 0, &keys[i]);
		assert_int_equal(
		    synq_key_parse(synq_secret_view(keys[i]), &parts), 0);
		assert_int_equal(parts.live, i % 2 == 0);
		for (k = 0; k < i; k++) {
			const char *a = synq_secret_view(keys[i]).data;
			const char *b = synq_secret_view(keys[k]).data;

			assert_memory_not_equal(a + 10, b + 10, 16);
			assert_memory_not_equal(a + 27, b + 27, 43);
		}
	}
	for (i = 0; i < SYNQ_COUNT(keys); i++)
		synq_secret_free(&keys[i]);
}

static void
test_hash_is_keyed_blake2b(void **state)
{
	static const uint8_t expected[32] = { 0x81, 0xf4, 0xdf, 0x03, 0x13,
		0xca, 0x5d, 0x48, 0x01, 0xa7, 0x1a, 0xa4, 0x96, 0x7b, 0xf1,
		0xd7, 0x91, 0xe3, 0xb8, 0x57, 0xe5, 0xa5, 0x2d, 0xdc, 0x11,
		0xca, 0x78, 0x8d, 0x15, 0xe8, 0xe7, 0xd8 };
	struct synq_secret *pepper;
	struct synq_key_parts parts;
	uint8_t hash[32];

	(void)state;
	pepper = synq_secret_new(
	    synq_slice_text("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"));
	assert_int_equal(synq_key_parse(synq_slice_text(live_key), &parts), 0);
	synq_key_hash(pepper, parts.secret, hash);
	assert_memory_equal(hash, expected, sizeof(hash));
	synq_secret_free(&pepper);
}

static int
start_crypto(void **state)
{
	struct synq_err err;

	(void)state;
	return synq_crypto_init(&err);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_takes_a_key_apart),
		cmocka_unit_test(test_parse_refuses_each_wrong_character),
		cmocka_unit_test(test_parse_refuses_each_other_length),
		cmocka_unit_test(test_made_keys_parse_and_differ),
		cmocka_unit_test(test_hash_is_keyed_blake2b),
	};

	return cmocka_run_group_tests(tests, start_crypto, NULL);
}
