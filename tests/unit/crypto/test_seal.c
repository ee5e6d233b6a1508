/* Seals: they open for the one who should, and for nobody and nothing else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"
#include "crypto/seal.h"
#include "crypto/secret.h"

#define CONTEXT "provider:0190d8a2-7f00-7000-8000-000000000001"

static struct synq_secret *kek;

static struct synq_slice
context(void)
{
	return synq_slice_text(CONTEXT);
}

/* ${plain} sealed with the test's key as number 7. */
static struct synq_buf
sealed(struct synq_slice plain)
{
	struct synq_buf out;

	synq_buf_init(&out, 10000);
	assert_int_equal(synq_seal(kek, 7, context(), plain, &out), 0);
	return out;
}

static void
expect_closed(const struct synq_secret *key, struct synq_slice bound_to,
    struct synq_slice text)
{
	struct synq_secret *opened = NULL;

	assert_int_equal(
	    synq_unseal(key, bound_to, text, &opened), -SYNQ_E_CORRUPT);
	assert_null(opened);
}

static void
test_sealed_value_opens(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 51, 4095, 4096 };
	static char plain[4096];

	(void)state;
	memset(plain, 'k', sizeof(plain));
	for (size_t i = 0; i < SYNQ_COUNT(sizes); i++) {
		struct synq_slice value = synq_slice_of(plain, sizes[i]);
		struct synq_buf text = sealed(value);
		struct synq_secret *opened;
		uint32_t id;

		assert_int_equal(
		    synq_unseal(kek, context(), synq_buf_view(&text), &opened),
		    0);
		assert_true(synq_slice_equal(synq_secret_view(opened), value));
		assert_int_equal(
		    synq_seal_kek_id(synq_buf_view(&text), &id), 0);
		assert_int_equal(id, 7);
		assert_true(synq_slice_starts(synq_buf_view(&text), "v1.7."));
		synq_secret_free(&opened);
		synq_buf_done(&text);
	}
}

/* What was sealed once must open for ever. */
static void
test_golden_seal_opens(void **state)
{
	static const char golden[] =
	    "v1.1.V2NEZVJFine_X2BX-cwOlRkemKh4yIPtMdvhp1-MTBRQsoxb3cC2FZ5"
	    "LS1QPsX2V3mvD0f3DOvs9gy11qWVdhF-c4OeTB_30CitbkeHDH0XPtUyzrNr"
	    "43QHu2Vb98sLXqHv-N419apo.PJiF-JxeMyuDdSkyY9UwDkpKQ5VMaPBZXl8"
	    "voWkI5ekDzm4duiQ2f8t3OTlhfsrTrASiAEnJEtClbgKvZv830NRqi2q0qWF"
	    "82D2PAWGjpEe3";
	char key[33];
	struct synq_secret *old;
	struct synq_secret *opened;

	(void)state;
	memcpy(key, "0123456789abcdef0123456789abcdef", sizeof(key));
	old = synq_secret_new(synq_slice_of(key, 32));
	assert_int_equal(
	    synq_unseal(old, context(), synq_slice_text(golden), &opened), 0);
	assert_true(synq_slice_is(synq_secret_view(opened), "sk-golden"));
	synq_secret_free(&opened);
	synq_secret_free(&old);
}

static void
test_same_value_never_seals_the_same(void **state)
{
	struct synq_buf a = sealed(synq_slice_text("sk-1"));
	struct synq_buf b = sealed(synq_slice_text("sk-1"));

	(void)state;
	assert_int_equal(a.bytes, b.bytes);
	assert_false(synq_slice_equal(synq_buf_view(&a), synq_buf_view(&b)));
	assert_null(strstr(a.data, "sk-1"));
	synq_buf_done(&a);
	synq_buf_done(&b);
}

static void
test_seal_does_not_open_elsewhere(void **state)
{
	struct synq_buf text = sealed(synq_slice_text("sk-1"));
	struct synq_secret *other = synq_secret_random(32);
	struct synq_secret *shorter = synq_secret_random(31);

	(void)state;
	expect_closed(other, context(), synq_buf_view(&text));
	expect_closed(shorter, context(), synq_buf_view(&text));
	expect_closed(kek, synq_slice_text(""), synq_buf_view(&text));
	expect_closed(kek, synq_slice_text(CONTEXT "2"), synq_buf_view(&text));
	expect_closed(kek, synq_slice_text("P" CONTEXT), synq_buf_view(&text));
	synq_secret_free(&other);
	synq_secret_free(&shorter);
	synq_buf_done(&text);
}

static void
test_seal_with_any_change_does_not_open(void **state)
{
	struct synq_buf text = sealed(synq_slice_text("sk-1"));

	(void)state;
	for (size_t i = 0; i < text.bytes; i++) {
		char was = text.data[i];

		for (unsigned bit = 0; bit < 8; bit++) {
			text.data[i] = (char)(was ^ (1 << bit));
			expect_closed(kek, context(), synq_buf_view(&text));
		}
		text.data[i] = was;
	}
	for (size_t bytes = 0; bytes < text.bytes; bytes++)
		expect_closed(kek, context(), synq_slice_of(text.data, bytes));
	synq_buf_text(&text, ".");
	expect_closed(kek, context(), synq_buf_view(&text));
	synq_buf_done(&text);
}

/* The key of one value beside another, and the two parts exchanged. */
static void
test_parts_of_two_seals_do_not_mix(void **state)
{
	struct synq_buf a = sealed(synq_slice_text("aaaa"));
	struct synq_buf b = sealed(synq_slice_text("bbbb"));
	char *a_value = strrchr(a.data, '.');
	char *b_value = strrchr(b.data, '.');
	struct synq_buf mixed;

	(void)state;
	assert_int_equal(a_value - a.data, b_value - b.data);
	synq_buf_init(&mixed, 1000);
	synq_buf_add(&mixed, a.data, (size_t)(a_value - a.data));
	synq_buf_text(&mixed, b_value);
	expect_closed(kek, context(), synq_buf_view(&mixed));

	synq_buf_clear(&mixed);
	synq_buf_printf(&mixed, "v1.7%s.%.*s", a_value,
	    (int)(a_value - a.data - 5), a.data + 5);
	expect_closed(kek, context(), synq_buf_view(&mixed));
	synq_buf_done(&mixed);
	synq_buf_done(&a);
	synq_buf_done(&b);
}

static void
test_malformed_seal_is_corrupt(void **state)
{
	static const char *const bad[] = { "", ".", "...", "v1", "v1.", "v1.7",
		"v1.7.", "v1.7..", "v1.7.QQ", "v1.7.QQ.", "v1.7..QQ",
		"v1.0.QQ.QQ", "v1.07.QQ.QQ", "v1.-1.QQ.QQ", "v1.+7.QQ.QQ",
		"v1. 7.QQ.QQ", "v1.4294967296.QQ.QQ", "v1.x.QQ.QQ",
		"v2.7.QQ.QQ", "V1.7.QQ.QQ", "1.7.QQ.QQ", " v1.7.QQ.QQ", NULL };
	uint32_t id = 99;

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++) {
		expect_closed(kek, context(), synq_slice_text(bad[i]));
		assert_int_equal(synq_seal_kek_id(synq_slice_text(bad[i]), &id),
		    -SYNQ_E_CORRUPT);
	}
	assert_int_equal(id, 99);
	expect_closed(kek, context(), synq_slice_of(NULL, 0));
	assert_int_equal(
	    synq_seal_kek_id(synq_slice_text("v1.4294967295.QQ.QQ"), &id), 0);
	assert_int_equal(id, UINT32_MAX);
	expect_closed(kek, context(), synq_slice_text("v1.7.QQ.QQ"));
}

static void
test_huge_seal_is_corrupt(void **state)
{
	struct synq_buf text;

	(void)state;
	synq_buf_init(&text, 1 << 21);
	synq_buf_text(&text, "v1.7.QQ.");
	memset(synq_buf_reserve(&text, 1 << 20), 'A', 1 << 20);
	text.bytes += 1 << 20;
	expect_closed(kek, context(), synq_buf_view(&text));
	synq_buf_done(&text);
}

static void
test_seal_keeps_to_its_sizes(void **state)
{
	static char plain[4097];
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 200);
	synq_buf_text(&out, "kept");
	assert_int_equal(synq_seal(kek, 7, context(),
			     synq_slice_of(plain, sizeof(plain)), &out),
	    -SYNQ_E_TOO_LARGE);
	assert_string_equal(out.data, "kept");

	assert_int_equal(
	    synq_seal(kek, 7, context(), synq_slice_text("sk"), &out),
	    -SYNQ_E_TOO_LARGE);
	assert_string_equal(out.data, "kept");
	assert_int_equal(out.bytes, 4);
	assert_int_equal(out.overflow, 1);
	synq_buf_done(&out);
}

static int
setup(void **state)
{
	(void)state;
	if (synq_crypto_init(NULL) != 0)
		return 1;
	kek = synq_secret_random(32);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	synq_secret_free(&kek);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sealed_value_opens),
		cmocka_unit_test(test_golden_seal_opens),
		cmocka_unit_test(test_same_value_never_seals_the_same),
		cmocka_unit_test(test_seal_does_not_open_elsewhere),
		cmocka_unit_test(test_seal_with_any_change_does_not_open),
		cmocka_unit_test(test_parts_of_two_seals_do_not_mix),
		cmocka_unit_test(test_malformed_seal_is_corrupt),
		cmocka_unit_test(test_huge_seal_is_corrupt),
		cmocka_unit_test(test_seal_keeps_to_its_sizes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
