/* Text codes: RFC 4648's vectors, strict decoding, round trips. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rand.h"
#include "base/slice.h"
#include "codec/text.h"

typedef int code_fn(struct synq_buf *out, struct synq_slice in);

static void
expect_pair(
    code_fn *encode, code_fn *decode, struct synq_slice plain, const char *text)
{
	struct synq_buf out;

	synq_buf_init(&out, 1000);
	synq_buf_text(&out, ">");
	assert_int_equal(encode(&out, plain), 0);
	assert_int_equal(out.bytes, strlen(text) + 1);
	assert_string_equal(out.data + 1, text);

	synq_buf_clear(&out);
	synq_buf_text(&out, ">");
	assert_int_equal(decode(&out, synq_slice_text(text)), 0);
	assert_int_equal(out.bytes, plain.bytes + 1);
	if (plain.bytes > 0)
		assert_memory_equal(out.data + 1, plain.data, plain.bytes);
	assert_int_equal(out.data[out.bytes], 0);
	synq_buf_done(&out);
}

static void
expect_invalid(code_fn *decode, struct synq_slice text)
{
	struct synq_buf out;

	synq_buf_init(&out, 1000);
	synq_buf_text(&out, "kept");
	assert_int_equal(decode(&out, text), -SYNQ_E_INVALID);
	assert_int_equal(out.bytes, 4);
	assert_string_equal(out.data, "kept");
	assert_int_equal(out.overflow, 0);
	synq_buf_done(&out);
}

static void
expect_invalid_all(code_fn *decode, const char *const *texts)
{
	for (; *texts != NULL; texts++)
		expect_invalid(decode, synq_slice_text(*texts));
}

static void
base64_pair(const char *plain, const char *text)
{
	expect_pair(synq_base64_encode, synq_base64_decode,
	    synq_slice_text(plain), text);
}

/* RFC 4648, section 10. */
static void
test_base64_has_the_known_values(void **state)
{
	(void)state;
	base64_pair("", "");
	base64_pair("f", "Zg==");
	base64_pair("fo", "Zm8=");
	base64_pair("foo", "Zm9v");
	base64_pair("foob", "Zm9vYg==");
	base64_pair("fooba", "Zm9vYmE=");
	base64_pair("foobar", "Zm9vYmFy");
	base64_pair("\xfb\xff\xbf", "+/+/");
}

static void
test_base64_refuses_what_is_not_strict(void **state)
{
	static const char *const bad[] = { "Zg",
		"Zg=", "Zg===", "Zg==Zg==", "Z", "Z===", "====", "=",
		"Zm9v=", "Zm9v====", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", " Zm9v",
		"Zm-_", "Zm9\xc3", "Zm9@", "Z=g=", NULL };

	(void)state;
	expect_invalid_all(synq_base64_decode, bad);
	expect_invalid(synq_base64_decode, synq_slice_of("Zm9\0", 4));
}

static void
test_base64url_is_not_padded(void **state)
{
	static const char *const bad[] = { "Zg==", "Zm8=", "Z", "Zh", "Zm9",
		"Zm9vY", "+/+/", "Zm9v\n", "=", NULL };

	(void)state;
	expect_pair(synq_base64url_encode, synq_base64url_decode,
	    synq_slice_text("f"), "Zg");
	expect_pair(synq_base64url_encode, synq_base64url_decode,
	    synq_slice_text("fooba"), "Zm9vYmE");
	expect_pair(synq_base64url_encode, synq_base64url_decode,
	    synq_slice_of("\xfb\xff\xbf", 3), "-_-_");
	expect_invalid_all(synq_base64url_decode, bad);
}

/*
 * RFC 4648's base32 vectors carried over to Crockford's alphabet, value by
 * value.
 */
static void
test_base32_has_the_known_values(void **state)
{
	static const char *const plain[] = { "", "f", "fo", "foo", "foob",
		"fooba", "foobar" };
	static const char *const text[] = { "", "cr", "csqg", "csqpy",
		"csqpyrg", "csqpyrk1", "csqpyrk1e8" };

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(plain); i++)
		expect_pair(synq_base32_encode, synq_base32_decode,
		    synq_slice_text(plain[i]), text[i]);
	expect_pair(synq_base32_encode, synq_base32_decode,
	    synq_slice_of("\x00\x44\x32\x14\xc7", 5), "01234567");
	expect_pair(synq_base32_encode, synq_base32_decode,
	    synq_slice_of("\xff\xff\xff\xff\xff", 5), "zzzzzzzz");
}

static void
test_base32_refuses_what_is_not_strict(void **state)
{
	static const char *const bad[] = { "c", "csq", "csqpyr", "cs", "CR",
		"ci", "cl", "co", "cu", "cr======", "c-r", "csqpyrg\n", NULL };

	(void)state;
	expect_invalid_all(synq_base32_decode, bad);
}

static void
test_hex_reads_both_cases_and_writes_lower(void **state)
{
	static const char *const bad[] = { "0", "000", "0g", "0x00", "0 ",
		"ff=", NULL };
	struct synq_buf out;

	(void)state;
	expect_pair(synq_hex_encode, synq_hex_decode,
	    synq_slice_of("\x00\x01\x9a\xff", 4), "00019aff");
	expect_invalid_all(synq_hex_decode, bad);

	synq_buf_init(&out, 10);
	assert_int_equal(synq_hex_decode(&out, synq_slice_text("AbFf")), 0);
	assert_memory_equal(out.data, "\xab\xff", 2);
	synq_buf_done(&out);
}

static code_fn *const encoders[] = { synq_base64_encode, synq_base64url_encode,
	synq_base32_encode, synq_hex_encode };
static code_fn *const decoders[] = { synq_base64_decode, synq_base64url_decode,
	synq_base32_decode, synq_hex_decode };

static void
test_text_survives_any_bytes(void **state)
{
	struct synq_rand rand;
	struct synq_buf text;
	struct synq_buf back;
	char bytes[300];

	(void)state;
	synq_rand_init(&rand, 2);
	synq_buf_init(&text, 1000);
	synq_buf_init(&back, 1000);
	for (size_t length = 0; length < sizeof(bytes); length++) {
		size_t which = length % SYNQ_COUNT(encoders);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (char)synq_rand_next(&rand);
		synq_buf_clear(&text);
		synq_buf_clear(&back);
		assert_int_equal(
		    encoders[which](&text, synq_slice_of(bytes, length)), 0);
		assert_int_equal(
		    decoders[which](&back, synq_buf_view(&text)), 0);
		assert_int_equal(back.bytes, length);
		if (length > 0)
			assert_memory_equal(back.data, bytes, length);
	}
	synq_buf_done(&text);
	synq_buf_done(&back);
}

/* Of all texts of two characters, each byte has exactly one. */
static void
test_text_has_one_form_per_byte(void **state)
{
	static const size_t bits[] = { 6, 5, 4 };

	(void)state;
	for (size_t which = 1; which < SYNQ_COUNT(decoders); which++) {
		struct synq_buf out;
		unsigned good = 0;

		synq_buf_init(&out, 1 << 20);
		for (unsigned pair = 0; pair < 65536; pair++) {
			char text[2] = { (char)(pair >> 8), (char)pair };
			good +=
			    decoders[which](&out, synq_slice_of(text, 2)) == 0;
		}
		/* Hex has two forms of each of six digits of 16. */
		assert_int_equal(good, bits[which - 1] == 4 ? 22 * 22 : 256);
		synq_buf_done(&out);
	}
}

static void
test_text_keeps_to_the_maximum(void **state)
{
	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(encoders); i++) {
		struct synq_buf out;
		struct synq_buf text;

		synq_buf_init(&out, 9);
		synq_buf_init(&text, 100);
		assert_int_equal(
		    encoders[i](&out, synq_slice_text("0123456789")),
		    -SYNQ_E_TOO_LARGE);
		assert_int_equal(out.bytes, 0);
		assert_int_equal(out.overflow, 1);

		assert_int_equal(
		    encoders[i](&text, synq_slice_text("0123456789")), 0);
		synq_buf_clear(&out);
		assert_int_equal(
		    decoders[i](&out, synq_buf_view(&text)), -SYNQ_E_TOO_LARGE);
		assert_int_equal(out.bytes, 0);
		assert_int_equal(out.overflow, 1);
		synq_buf_done(&out);
		synq_buf_done(&text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_has_the_known_values),
		cmocka_unit_test(test_base64_refuses_what_is_not_strict),
		cmocka_unit_test(test_base64url_is_not_padded),
		cmocka_unit_test(test_base32_has_the_known_values),
		cmocka_unit_test(test_base32_refuses_what_is_not_strict),
		cmocka_unit_test(test_hex_reads_both_cases_and_writes_lower),
		cmocka_unit_test(test_text_survives_any_bytes),
		cmocka_unit_test(test_text_has_one_form_per_byte),
		cmocka_unit_test(test_text_keeps_to_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
