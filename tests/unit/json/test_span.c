#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "json/span.h"

/* Every byte at every place of every length, against the definition. */
static void
test_span_stops_at_the_first_special_byte(void **state)
{
	(void)state;
	char text[64];

	for (size_t bytes = 0; bytes <= 40; bytes++) {
		for (size_t at = 0; at < bytes; at++) {
			for (int byte = 0; byte < 256; byte++) {
				memset(text, 'x', sizeof(text));
				text[at] = (char)byte;
				int plain = byte >= 0x20 && byte < 0x80 &&
				            byte != '"' && byte != '\\';
				const char *want = text + (plain ? bytes : at);

				assert_ptr_equal(
				    synq_json_span(text, text + bytes), want);
				assert_ptr_equal(
				    synq_json_span_portable(text, text + bytes),
				    want);
			}
		}
	}
}

/* A special byte behind the end, or a second one, changes nothing. */
static void
test_span_finds_the_first_of_two(void **state)
{
	(void)state;
	static const char specials[] = "\"\\\x1f\x80\xff\x01";
	char text[40];

	for (size_t first = 0; first < 36; first++) {
		for (size_t second = first + 1; second < 40; second++) {
			for (size_t i = 0; i < 36; i++) {
				memset(text, '!', sizeof(text));
				text[first] = specials[i / 6];
				text[second] = specials[i % 6];

				assert_ptr_equal(
				    synq_json_span(text, text + 40),
				    text + first);
				assert_ptr_equal(
				    synq_json_span_portable(text, text + 40),
				    text + first);
				assert_ptr_equal(
				    synq_json_span(text, text + first),
				    text + first);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span_stops_at_the_first_special_byte),
		cmocka_unit_test(test_span_finds_the_first_of_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
