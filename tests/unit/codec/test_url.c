/* URLs: what splits, what is refused, percent-decoding, query strings. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"
#include "codec/url.h"

struct parts {
	const char *scheme;
	const char *host;
	unsigned port;
	const char *path;
	const char *query;
};

static void
expect_url(const char *text, struct parts parts)
{
	struct synq_url url;
	struct synq_err err = { .code = 0 };

	if (synq_url_parse(synq_slice_text(text), &url, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	assert_true(synq_slice_is(url.scheme, parts.scheme));
	assert_true(synq_slice_is(url.host, parts.host));
	assert_int_equal(url.port, parts.port);
	assert_true(synq_slice_is(url.path, parts.path));
	assert_true(synq_slice_is(url.query, parts.query));
}

static void
test_url_is_split(void **state)
{
	(void)state;
	expect_url("https://api.example.com/v1/chat?x=1&y=2",
	    (struct parts){
		"https", "api.example.com", 443, "/v1/chat", "x=1&y=2" });
	expect_url("http://localhost:8080",
	    (struct parts){ "http", "localhost", 8080, "", "" });
	expect_url("http://a_b.internal:1?",
	    (struct parts){ "http", "a_b.internal", 1, "", "" });
	expect_url("HTTPS://Example.COM./%7Ea/?q=a?b/c[]=@",
	    (struct parts){
		"https", "Example.COM.", 443, "/%7Ea/", "q=a?b/c[]=@" });
	expect_url("http://10.0.0.1:65535?x",
	    (struct parts){ "http", "10.0.0.1", 65535, "", "x" });
	expect_url("https://[2001:db8::1]:8443/a@b:c",
	    (struct parts){ "https", "2001:db8::1", 8443, "/a@b:c", "" });
	expect_url("http://[::ffff:1.2.3.4]/",
	    (struct parts){ "http", "::ffff:1.2.3.4", 80, "/", "" });
}

static void
expect_refused(struct synq_slice text)
{
	struct synq_url url = { .port = 77 };
	struct synq_err err = { .code = 0 };

	if (synq_url_parse(text, &url, &err) != -SYNQ_E_INVALID)
		fail_msg("accepted: %.*s", (int)text.bytes, text.data);
	assert_int_equal(err.code, SYNQ_E_INVALID);
	assert_true(strlen(err.text) > 10);
	assert_int_equal(url.port, 77);
	assert_int_equal(synq_url_parse(text, &url, NULL), -SYNQ_E_INVALID);
}

static void
test_url_refuses_what_is_ambiguous(void **state)
{
	static const char *const bad[] = { "", "/", "//host/", "host", "http",
		"http:", "http:/", "http://", "http:///path", "http://?x",
		"ftp://host/", "https:host", "httpss://host", "javascript:1",
		"http://user@host/", "http://user:pass@host/", "http://@host/",
		"http://good.example\\@bad.example/", "http://host/#top",
		"http://host#", "http://ho st/", "http://host/a b",
		"http://host/a\tb", "http://host/\r\nX: y", "http://host/\x7f",
		"http://host/\xc3\xa9", "http://\xe4.example/", "http://host/%",
		"http://host/%4", "http://host/%4g", "http://host/%00",
		"http://ho%73t/", "http://host/a\\b", "http://host/\"",
		"http://host/<x>", "http://host/{x}", "http://host/a|b",
		"http://host/^", "http://host/`", " http://h", "http://h ",
		NULL };

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++)
		expect_refused(synq_slice_text(bad[i]));
	expect_refused(synq_slice_of("http://host/\0", 13));
}

static void
test_url_refuses_bad_hosts_and_ports(void **state)
{
	static const char *const bad[] = { "http://.host/", "http://a..b/",
		"http://./", "http://ho~st/", "http://h(st/", "http://host:/",
		"http://host:0/", "http://host:65536/", "http://host:-1/",
		"http://host:+80/", "http://host:8o/", "http://host:80:80/",
		"http://host:99999999999999999999/", "http://::1/",
		"http://[::1/", "http://[]/", "http://[::1]80/",
		"http://[::1]:/", "http://[fe80::1%25eth0]/",
		"http://[1.2.3.4]", "http://[::g]/", "http://[::1]]/",
		"http://[[::1]/", "http://a[::1]/", "http://[v1.a]/",
		"http://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]/",
		NULL };

	(void)state;
	for (size_t i = 0; bad[i] != NULL; i++)
		expect_refused(synq_slice_text(bad[i]));
}

static void
test_url_limits_names(void **state)
{
	char text[400] = "http://";
	struct synq_url url;

	(void)state;
	memset(text + 7, 'a', 63);
	assert_int_equal(
	    synq_url_parse(synq_slice_of(text, 7 + 63), &url, NULL), 0);
	memset(text + 7, 'a', 64);
	expect_refused(synq_slice_of(text, 7 + 64));

	memset(text + 7, 'a', 300);
	for (size_t i = 0; i < 300; i += 50)
		text[7 + i + 49] = '.';
	assert_int_equal(
	    synq_url_parse(synq_slice_of(text, 7 + 253), &url, NULL), 0);
	expect_refused(synq_slice_of(text, 7 + 254));
}

/* Cut anywhere, a URL is still a URL or is refused; it is never read past. */
static void
test_url_reads_only_its_bytes(void **state)
{
	static const char text[] = "https://[2001:db8::1]:8443/%41?a=%42&b";

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(text); bytes++) {
		struct synq_buf copy;
		struct synq_url url;

		synq_buf_init(&copy, bytes);
		synq_buf_add(&copy, text, bytes);
		(void)!synq_url_parse(synq_buf_view(&copy), &url, NULL);
		synq_buf_done(&copy);
	}
}

static void
expect_decoded(const char *text, const char *plain)
{
	struct synq_buf out;

	synq_buf_init(&out, 100);
	synq_buf_text(&out, "/");
	assert_int_equal(synq_url_decode(synq_slice_text(text), &out), 0);
	assert_string_equal(out.data + 1, plain);
	assert_int_equal(out.bytes, strlen(plain) + 1);
	synq_buf_done(&out);
}

static void
test_url_decode_reads_escapes(void **state)
{
	static const char *const bad[] = { "%", "%4", "%zz", "a%00", "ok%2",
		"%%41", "% 41", "%-1", NULL };
	struct synq_buf out;

	(void)state;
	expect_decoded("", "");
	expect_decoded("a+b%20c", "a+b c");
	expect_decoded("%e2%82%AC", "\xe2\x82\xac");
	expect_decoded("%2541", "%41");

	synq_buf_init(&out, 5);
	for (size_t i = 0; bad[i] != NULL; i++)
		assert_int_equal(synq_url_decode(synq_slice_text(bad[i]), &out),
		    -SYNQ_E_INVALID);
	assert_int_equal(
	    synq_url_decode(synq_slice_of("a\0b", 3), &out), -SYNQ_E_INVALID);
	assert_int_equal(out.bytes, 0);
	assert_int_equal(synq_url_decode(synq_slice_text("abcdef"), &out),
	    -SYNQ_E_TOO_LARGE);
	assert_int_equal(out.bytes, 0);
	assert_int_equal(out.overflow, 1);
	/* What counts is the decoded size. */
	assert_int_equal(
	    synq_url_decode(synq_slice_text("%61%62%63%64%65"), &out), 0);
	assert_string_equal(out.data, "abcde");
	synq_buf_done(&out);
}

static void
test_url_encode_keeps_the_unreserved(void **state)
{
	struct synq_buf out;
	struct synq_buf back;
	char all[255];

	(void)state;
	synq_buf_init(&out, 1000);
	synq_buf_init(&back, 1000);
	assert_int_equal(
	    synq_url_encode(synq_slice_text("aZ09-._~ /?%+\xff"), &out), 0);
	assert_string_equal(out.data, "aZ09-._~%20%2F%3F%25%2B%FF");

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (char)(i + 1);
	synq_buf_clear(&out);
	assert_int_equal(
	    synq_url_encode(synq_slice_of(all, sizeof(all)), &out), 0);
	assert_int_equal(synq_url_decode(synq_buf_view(&out), &back), 0);
	assert_int_equal(back.bytes, sizeof(all));
	assert_memory_equal(back.data, all, sizeof(all));
	synq_buf_done(&back);

	synq_buf_init(&back, 2);
	assert_int_equal(
	    synq_url_encode(synq_slice_text(" "), &back), -SYNQ_E_TOO_LARGE);
	assert_int_equal(back.bytes, 0);
	synq_buf_done(&out);
	synq_buf_done(&back);
}

static void
test_query_gives_each_pair(void **state)
{
	static const char *const names[] = { "a", "b", "", "c%20", "d" };
	static const char *const values[] = { "1", "", "x", "2=3+", "" };
	struct synq_slice query = synq_slice_text("a=1&b&&=x&c%20=2=3+&d=&");
	struct synq_slice name;
	struct synq_slice value;

	(void)state;
	for (size_t i = 0; i < SYNQ_COUNT(names); i++) {
		assert_int_equal(synq_url_query_next(&query, &name, &value), 1);
		assert_true(synq_slice_is(name, names[i]));
		assert_true(synq_slice_is(value, values[i]));
	}
	assert_int_equal(synq_url_query_next(&query, &name, &value), 0);
	assert_int_equal(synq_url_query_next(&query, &name, &value), 0);

	query = synq_slice_text("");
	assert_int_equal(synq_url_query_next(&query, &name, &value), 0);
	query = synq_slice_text("&&&");
	assert_int_equal(synq_url_query_next(&query, &name, &value), 0);
	query = (struct synq_slice){ .data = NULL };
	assert_int_equal(synq_url_query_next(&query, &name, &value), 0);
}

static int
query_get(const char *query, const char *name, struct synq_buf *out)
{
	synq_buf_clear(out);
	return synq_url_query_get(synq_slice_text(query), name, out);
}

static void
test_query_get_finds_one_value(void **state)
{
	struct synq_buf out;

	(void)state;
	synq_buf_init(&out, 10);
	assert_int_equal(query_get("a=1&limit=20", "limit", &out), 0);
	assert_string_equal(out.data, "20");
	assert_int_equal(query_get("q=a+b%2B%20c", "q", &out), 0);
	assert_string_equal(out.data, "a b+ c");
	assert_int_equal(query_get("l%69mit=7", "limit", &out), 0);
	assert_string_equal(out.data, "7");
	assert_int_equal(query_get("a+b=7", "a b", &out), 0);
	assert_int_equal(query_get("x", "x", &out), 0);
	assert_int_equal(out.bytes, 0);

	assert_int_equal(query_get("", "x", &out), -SYNQ_E_NOT_FOUND);
	assert_int_equal(
	    query_get("xy=1&X=2&=3", "x", &out), -SYNQ_E_NOT_FOUND);
	assert_int_equal(query_get("%zz=1", "x", &out), -SYNQ_E_NOT_FOUND);
	assert_int_equal(query_get("x=1&x=1", "x", &out), -SYNQ_E_CONFLICT);
	assert_int_equal(query_get("x=1&%78=2", "x", &out), -SYNQ_E_CONFLICT);
	assert_int_equal(query_get("x=%g0", "x", &out), -SYNQ_E_INVALID);
	assert_int_equal(query_get("x=%00", "x", &out), -SYNQ_E_INVALID);
	assert_int_equal(
	    query_get("x=12345678901", "x", &out), -SYNQ_E_TOO_LARGE);
	synq_buf_done(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_is_split),
		cmocka_unit_test(test_url_refuses_what_is_ambiguous),
		cmocka_unit_test(test_url_refuses_bad_hosts_and_ports),
		cmocka_unit_test(test_url_limits_names),
		cmocka_unit_test(test_url_reads_only_its_bytes),
		cmocka_unit_test(test_url_decode_reads_escapes),
		cmocka_unit_test(test_url_encode_keeps_the_unreserved),
		cmocka_unit_test(test_query_gives_each_pair),
		cmocka_unit_test(test_query_get_finds_one_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
