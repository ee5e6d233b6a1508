#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"

/* Every character there is goes to bytes and is found again at its length. */
static void
test_utf8_every_character_has_its_length(void **state)
{
	(void)state;
	char text[4];

	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		size_t bytes = synq_utf8_encode(code, text);
		size_t want = code < 0x80      ? 1
		              : code < 0x800   ? 2
		              : code < 0x10000 ? 3
		                               : 4;

		assert_int_equal(bytes, want);
		if (code >= 0xd800 && code < 0xe000)
			want = 0;
		assert_int_equal(synq_utf8_length(text, bytes), want);
		assert_int_equal(synq_utf8_length(text, bytes - 1), 0);
	}
}

/* All pairs: a byte that begins nothing, or is not followed by a tail. */
static void
test_utf8_two_bytes_are_valid_only_in_their_range(void **state)
{
	(void)state;

	for (unsigned pair = 0; pair < 0x10000; pair++) {
		char text[2] = { (char)(pair >> 8), (char)(pair & 0xff) };
		unsigned lead = pair >> 8;
		unsigned tail = pair & 0xff;
		size_t want = lead < 0x80 ? 1 : 0;

		if (lead >= 0xc2 && lead <= 0xdf && tail >= 0x80 &&
		    tail <= 0xbf)
			want = 2;
		assert_int_equal(synq_utf8_length(text, 2), want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_utf8_every_character_has_its_length),
		cmocka_unit_test(
		    test_utf8_two_bytes_are_valid_only_in_their_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
