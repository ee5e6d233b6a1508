/*
 * Splitting a URL: every byte is checked against the characters that RFC 3986
 * allows, the scheme is cut off, the authority ends at the first '/' or '?',
 * and what follows is path and query.
 *
 * What fails, and why it is not repaired: two programs that read the same URL
 * in two ways are how a request reaches a host that was not meant.  So user
 * information ("https://good@bad/"), backslashes, characters that must be
 * escaped, bad escapes, empty ports and hosts that are not names are refused.
 * Errors name the rule and never quote the URL, which may hold a secret.
 */

#include "codec/url.h"

#include <arpa/inet.h>
#include <string.h>

/* The longest DNS name as text, and the longest label in it (RFC 1035). */
#define MAX_HOST_BYTES 253
#define MAX_LABEL_BYTES 63

static int
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int
is_unreserved(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/* 1 if ${c} is one of ${set}; a NUL is in no set. */
static int
is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* The value of the hex digit ${c}, or -1. */
static int
hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte that the escape at ${at} in ${text} stands for; -1 if it is bad. */
static int
escape_value(struct synq_slice text, size_t at)
{
	if (text.bytes - at < 3)
		return -1;

	int high = hex_value(text.data[at + 1]);
	int low = hex_value(text.data[at + 2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* The first ${bytes} of *${text}, which then begins behind them. */
static struct synq_slice
url_take(struct synq_slice *text, size_t bytes)
{
	struct synq_slice front = synq_slice_of(text->data, bytes);

	if (bytes > 0)
		text->data += bytes;
	text->bytes -= bytes;
	return front;
}

/* How many bytes of ${text} come before the first that is in ${set}. */
static size_t
url_until(struct synq_slice text, const char *set)
{
	size_t i = 0;

	while (i < text.bytes && !is_one_of(text.data[i], set))
		i++;
	return i;
}

/*
 * Refuse what no part of a URL may hold.  Brackets are let through: they
 * delimit an IPv6 address, and many send them bare in a query.
 */
static int
url_check_bytes(struct synq_slice text, struct synq_err *err)
{
	for (size_t i = 0; i < text.bytes; i++) {
		char c = text.data[i];

		if (c == '#')
			return synq_fail(err, SYNQ_E_INVALID,
			    "a URL must not have a fragment (#)");
		if (c == '%' && escape_value(text, i) <= 0)
			return synq_fail(err, SYNQ_E_INVALID,
			    "%% in a URL must be followed by two hex digits "
			    "that are not 00");
		if (!is_unreserved(c) && !is_one_of(c, "%:/?[]@!$&'()*+,;="))
			return synq_fail(err, SYNQ_E_INVALID,
			    "byte %zu of the URL must be percent-encoded",
			    i + 1);
	}
	return 0;
}

static int
url_take_scheme(
    struct synq_slice *text, struct synq_url *url, struct synq_err *err)
{
	static const char *const schemes[] = { "https", "http" };
	static const uint16_t ports[] = { 443, 80 };

	size_t bytes = url_until(*text, ":");
	struct synq_slice scheme = synq_slice_of(text->data, bytes);
	struct synq_slice rest =
	    synq_slice_of(text->bytes > bytes ? text->data + bytes : NULL,
		text->bytes - bytes);

	for (size_t i = 0; i < SYNQ_COUNT(schemes); i++) {
		if (!synq_slice_is_nocase(scheme, schemes[i]))
			continue;
		if (!synq_slice_starts(rest, "://"))
			break;
		url->scheme = synq_slice_text(schemes[i]);
		url->port = ports[i];
		url_take(text, bytes + 3);
		return 0;
	}
	return synq_fail(
	    err, SYNQ_E_INVALID, "a URL must begin with http:// or https://");
}

/* Letters, digits, '-' and '_' in labels; one dot at the end is allowed. */
static int
url_check_name(struct synq_slice host)
{
	size_t label = 0;

	if (host.bytes == 0 || host.bytes > MAX_HOST_BYTES)
		return -SYNQ_E_INVALID;
	for (size_t i = 0; i < host.bytes; i++) {
		char c = host.data[i];

		if (c != '.') {
			label++;
			if (!is_unreserved(c) || c == '~' ||
			    label > MAX_LABEL_BYTES)
				return -SYNQ_E_INVALID;
			continue;
		}
		if (label == 0)
			return -SYNQ_E_INVALID;
		label = 0;
	}
	return 0;
}

/* An IPv6 address, without a zone. */
static int
url_check_ipv6(struct synq_slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (host.bytes >= sizeof(text))
		return -SYNQ_E_INVALID;
	memcpy(text, host.data, host.bytes);
	text[host.bytes] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1 ? 0 : -SYNQ_E_INVALID;
}

/* Take the host off the front of ${authority}, which leaves ":port" or "". */
static int
url_take_host(
    struct synq_slice *authority, struct synq_url *url, struct synq_err *err)
{
	if (!synq_slice_starts(*authority, "[")) {
		url->host = url_take(authority, url_until(*authority, ":"));
		if (url_check_name(url->host) != 0)
			return synq_fail(err, SYNQ_E_INVALID,
			    "the host of the URL is not a valid name");
		return 0;
	}

	url_take(authority, 1);
	size_t bytes = url_until(*authority, "]");
	if (bytes == authority->bytes)
		return synq_fail(
		    err, SYNQ_E_INVALID, "the URL has a [ without a ]");
	url->host = url_take(authority, bytes);
	url_take(authority, 1);
	if (url_check_ipv6(url->host) != 0)
		return synq_fail(err, SYNQ_E_INVALID,
		    "the host of the URL is not a valid IPv6 address");
	return 0;
}

/* Read ${text}, which is empty or ":" and a port. */
static int
url_read_port(
    struct synq_slice text, struct synq_url *url, struct synq_err *err)
{
	uint64_t port;

	if (text.bytes == 0)
		return 0;
	if (text.data[0] == ':') {
		url_take(&text, 1);
		if (synq_slice_u64(text, UINT16_MAX, &port) == 0 && port > 0) {
			url->port = (uint16_t)port;
			return 0;
		}
	}
	return synq_fail(err, SYNQ_E_INVALID,
	    "the port of the URL must be a number from 1 to 65535");
}

int
synq_url_parse(
    struct synq_slice text, struct synq_url *ret, struct synq_err *err)
{
	struct synq_url url = { .port = 0 };
	int rc;

	rc = url_check_bytes(text, err);
	if (rc != 0)
		return rc;
	rc = url_take_scheme(&text, &url, err);
	if (rc != 0)
		return rc;

	struct synq_slice authority = url_take(&text, url_until(text, "/?"));
	if (url_until(authority, "@") < authority.bytes)
		return synq_fail(err, SYNQ_E_INVALID,
		    "a URL must not hold a user name or password");
	rc = url_take_host(&authority, &url, err);
	if (rc != 0)
		return rc;
	rc = url_read_port(authority, &url, err);
	if (rc != 0)
		return rc;

	url.path = url_take(&text, url_until(text, "?"));
	if (text.bytes > 0)
		url_take(&text, 1);
	url.query = text;
	*ret = url;
	return 0;
}

/* What a '+' stands for. */
enum plus {
	PLUS_IS_PLUS, /* in a path */
	PLUS_IS_SPACE /* in a query */
};

/*
 * The next decoded byte of *${text}, which is advanced past it; -1 for a
 * bad escape or a NUL.
 */
static int
url_next_byte(struct synq_slice *text, enum plus plus)
{
	char c = text->data[0];
	int value = (unsigned char)c;
	size_t bytes = 1;

	if (c == '%') {
		value = escape_value(*text, 0);
		bytes = 3;
	} else if (c == '+' && plus == PLUS_IS_SPACE) {
		value = ' ';
	}
	if (value <= 0)
		return -1;
	url_take(text, bytes);
	return value;
}

static int
url_decode(struct synq_slice text, enum plus plus, struct synq_buf *out)
{
	struct synq_slice rest = text;
	size_t bytes = 0;

	/* First without writing, so that nothing is added on failure. */
	for (; rest.bytes > 0; bytes++)
		if (url_next_byte(&rest, plus) < 0)
			return -SYNQ_E_INVALID;
	if (bytes == 0)
		return 0;

	char *to = synq_buf_reserve(out, bytes);
	if (to == NULL) {
		out->overflow = 1;
		return -SYNQ_E_TOO_LARGE;
	}
	while (text.bytes > 0)
		*to++ = (char)url_next_byte(&text, plus);
	out->bytes += bytes;
	return 0;
}

int
synq_url_decode(struct synq_slice text, struct synq_buf *out)
{
	return url_decode(text, PLUS_IS_PLUS, out);
}

int
synq_url_encode(struct synq_slice text, struct synq_buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t bytes = 0;

	for (size_t i = 0; i < text.bytes; i++)
		bytes += is_unreserved(text.data[i]) ? 1 : 3;
	if (bytes == 0)
		return 0;

	char *to = synq_buf_reserve(out, bytes);
	if (to == NULL) {
		out->overflow = 1;
		return -SYNQ_E_TOO_LARGE;
	}
	for (size_t i = 0; i < text.bytes; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (is_unreserved(text.data[i])) {
			*to++ = text.data[i];
			continue;
		}
		*to++ = '%';
		*to++ = hex[c >> 4];
		*to++ = hex[c & 15];
	}
	out->bytes += bytes;
	return 0;
}

int
synq_url_query_next(struct synq_slice *query, struct synq_slice *ret_name,
    struct synq_slice *ret_value)
{
	struct synq_slice pair = { .bytes = 0 };

	/* "a=1&&b=2" has two pairs. */
	while (query->bytes > 0 && pair.bytes == 0) {
		pair = url_take(query, url_until(*query, "&"));
		if (query->bytes > 0)
			url_take(query, 1);
	}
	if (pair.bytes == 0)
		return 0;

	*ret_name = url_take(&pair, url_until(pair, "="));
	if (pair.bytes > 0)
		url_take(&pair, 1);
	*ret_value = pair;
	return 1;
}

/* 1 if the encoded ${name} means ${wanted}, else 0. */
static int
url_name_is(struct synq_slice name, const char *wanted)
{
	while (name.bytes > 0) {
		int value = url_next_byte(&name, PLUS_IS_SPACE);

		/* A bad escape is no name that anybody asks for. */
		if (value < 0 || value != (unsigned char)*wanted)
			return 0;
		wanted++;
	}
	return *wanted == '\0';
}

int
synq_url_query_get(
    struct synq_slice query, const char *name, struct synq_buf *out)
{
	struct synq_slice found_value = { .bytes = 0 };
	struct synq_slice name_at;
	struct synq_slice value_at;
	int found = 0;

	while (synq_url_query_next(&query, &name_at, &value_at)) {
		if (!url_name_is(name_at, name))
			continue;
		if (found)
			return -SYNQ_E_CONFLICT;
		found = 1;
		found_value = value_at;
	}
	if (!found)
		return -SYNQ_E_NOT_FOUND;
	return url_decode(found_value, PLUS_IS_SPACE, out);
}
