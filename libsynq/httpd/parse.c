/*
 * The parser reads whole lines: it looks for the next LF, checks that a CR
 * stands before it, and then judges the line at once.  A line is judged only
 * when complete and only by its own bytes and those before, so pieces cannot
 * change the outcome; the limits are checked before the content for the same
 * reason.
 *
 * Refused, with the status:
 *
 *	400 LF without CR, CR elsewhere, control bytes, a folded line, space
 *	    before the colon, an empty or wrong name, no colon
 *	400 both Content-Length and Transfer-Encoding; either of them twice; a
 *	    length that is not 1 to 18 digits (so no list, sign or space)
 *	400 Transfer-Encoding in HTTP/1.0 (that version does not know it), or
 *	    one that does not end with the only "chunked" (RFC 9112, 6.3)
 *	400 no Host in HTTP/1.1, more than one anywhere, a value that is none
 *	400 a target that is neither a path, nor http(s)://, nor "*" of OPTIONS
 *	414 a request line above 8 KiB
 *	417 Expect with anything but 100-continue
 *	431 a head above its limit, or more than 100 fields
 *	501 a transfer coding before "chunked" (RFC 9112, 6.1)
 *	501 CONNECT, because what follows it is no HTTP; a method of more than
 *	    32 bytes (RFC 9112, 3)
 *	505 HTTP/ with a version other than 1.0 and 1.1.  1.2 to 1.9 too, which
 *	    RFC 9110, 2.5 would take for 1.1: nobody speaks them in earnest
 *
 * One empty line before the request line is skipped (RFC 9112, 2.2).
 */

#include "httpd/parse.h"

#include <string.h>

#include "base/err.h"
#include "httpd/kind.h"

/* How many bytes at the front of ${text} are of ${kind}. */
static size_t
kind_run(struct synq_slice text, enum synq_kind kind)
{
	size_t n = 0;

	while (n < text.bytes && synq_kind_is(text.data[n], kind))
		n++;
	return n;
}

/*
 * 1 if all of ${value} is of SYNQ_KIND_VALUE.  Values are most of a head, so
 * eight bytes are judged at once: none below space, none 127.  A byte that is
 * then in doubt, such as a tab, is looked up.
 */
static int
is_value(struct synq_slice value)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (value.bytes >= sizeof(uint64_t)) {
		uint64_t word, low, del;

		memcpy(&word, value.data, sizeof(word));
		low = (word - ones * ' ') & ~word;
		del = word ^ (ones * 127);
		del = (del - ones) & ~del;
		if (((low | del) & (ones * 128)) &&
		    kind_run(synq_slice_of(value.data, sizeof(word)),
			SYNQ_KIND_VALUE) < sizeof(word))
			return 0;
		value = synq_slice_of(
		    value.data + sizeof(word), value.bytes - sizeof(word));
	}
	return kind_run(value, SYNQ_KIND_VALUE) == value.bytes;
}

static enum synq_parse_verdict
refuse(struct synq_parse_head *head, int status, const char *reason)
{
	head->status = status;
	head->reason = reason;
	return SYNQ_PARSE_REFUSED;
}

static struct synq_parse_span
span_of(size_t at, size_t bytes)
{
	return (struct synq_parse_span){ (uint32_t)at, (uint32_t)bytes };
}

struct synq_slice
synq_parse_part(struct synq_slice text, struct synq_parse_span span)
{
	return synq_slice_of(text.data + span.at, span.bytes);
}

void
synq_parse_head_init(struct synq_parse_head *head, size_t max_bytes)
{
	synq_kind_init();
	/* The fields are written before they are read: clearing 1.6 KB for
	 * each request would cost more than parsing it. */
	memset(head, 0, offsetof(struct synq_parse_head, fields));
	head->max_bytes = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
}

/* ---- the request line ---- */

static enum synq_parse_verdict
take_version(struct synq_parse_head *head, struct synq_slice version)
{
	const char *v = version.data;

	if (version.bytes != 8 || memcmp(v, "HTTP/", 5) != 0 || v[6] != '.' ||
	    v[5] < '0' || v[5] > '9' || v[7] < '0' || v[7] > '9')
		return refuse(head, 400, "the request line is not valid");
	if (v[5] != '1' || v[7] > '1')
		return refuse(
		    head, 505, "only HTTP/1.0 and HTTP/1.1 are spoken");
	head->minor = v[7] - '0';
	return SYNQ_PARSE_MORE;
}

/* 1 if ${text} is a host with or without a port (RFC 9110, 7.2). */
static int
is_host(struct synq_slice text)
{
	size_t n = kind_run(text, SYNQ_KIND_HOST);

	if (n == 0 && text.bytes > 0 && text.data[0] == '[') {
		size_t inner = 1;

		while (inner < text.bytes &&
		       strchr("0123456789abcdefABCDEF:.", text.data[inner]) &&
		       text.data[inner] != '\0')
			inner++;
		if (inner > 2 && inner < text.bytes && text.data[inner] == ']')
			n = inner + 1;
	}
	if (n == 0)
		return 0;
	if (n < text.bytes && text.data[n] == ':')
		n++;
	else
		return n == text.bytes;
	while (n < text.bytes && text.data[n] >= '0' && text.data[n] <= '9')
		n++;
	return n == text.bytes;
}

/* How many bytes of the absolute ${target} are "http://" or "https://". */
static size_t
scheme_of(struct synq_slice target)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < SYNQ_COUNT(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (target.bytes > n &&
		    synq_slice_is_nocase(
			synq_slice_of(target.data, n), schemes[i]))
			return n;
	}
	return 0;
}

/* Path and query: the ${bytes} at ${at} of ${text}. */
static void
take_path(struct synq_parse_head *head, struct synq_slice text, size_t at,
    size_t bytes)
{
	const char *mark = memchr(text.data + at, '?', bytes);

	head->path =
	    span_of(at, mark ? (size_t)(mark - (text.data + at)) : bytes);
	if (mark)
		head->query = span_of(
		    at + head->path.bytes + 1, bytes - head->path.bytes - 1);
}

/* A target that begins with a scheme; what it names is this server. */
static enum synq_parse_verdict
take_absolute(struct synq_parse_head *head, struct synq_slice text, size_t at,
    size_t bytes)
{
	struct synq_slice target = synq_slice_of(text.data + at, bytes);
	size_t scheme = scheme_of(target);
	size_t skip = scheme;

	while (skip < bytes && target.data[skip] != '/' &&
	       target.data[skip] != '?')
		skip++;
	if (scheme == 0 ||
	    !is_host(synq_slice_of(target.data + scheme, skip - scheme)))
		return refuse(head, 400, "the request target is not valid");
	take_path(head, text, at + skip, bytes - skip);
	/* No path means "/" (RFC 9110, 4.2.3): the scheme's stands for it. */
	if (head->path.bytes == 0)
		head->path = span_of(at + scheme - 1, 1);
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_target(struct synq_parse_head *head, struct synq_slice text, size_t at,
    size_t bytes)
{
	struct synq_slice method = synq_parse_part(text, head->method);
	struct synq_slice target = synq_slice_of(text.data + at, bytes);

	if (bytes == 0 || kind_run(target, SYNQ_KIND_TARGET) != bytes)
		return refuse(head, 400, "the request target is not valid");
	if (method.bytes == 7 && synq_slice_is(method, "CONNECT"))
		return refuse(
		    head, 501, "this is no proxy: CONNECT is not done");
	head->is_head = method.bytes == 4 && synq_slice_is(method, "HEAD");
	if (target.data[0] == '/') {
		take_path(head, text, at, bytes);
		return SYNQ_PARSE_MORE;
	}
	if (!synq_slice_is(target, "*"))
		return take_absolute(head, text, at, bytes);
	head->path = span_of(at, 1);
	if (!synq_slice_is(method, "OPTIONS"))
		return refuse(head, 400, "the request target is not valid");
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_request_line(struct synq_parse_head *head, struct synq_slice text,
    size_t at, size_t bytes)
{
	struct synq_slice line = synq_slice_of(text.data + at, bytes);
	size_t method = kind_run(line, SYNQ_KIND_TOKEN);
	const char *space;
	size_t target_at, target_bytes;
	enum synq_parse_verdict verdict;

	if (bytes == 0) {
		if (head->has_blank)
			return refuse(head, 400, "the request line is empty");
		head->has_blank = 1;
		return SYNQ_PARSE_MORE;
	}
	if (method == 0 || method == bytes || line.data[method] != ' ')
		return refuse(head, 400, "the request line is not valid");
	if (method > SYNQ_PARSE_MAX_METHOD_BYTES)
		return refuse(head, 501, "there is no such method");
	head->method = span_of(at, method);

	target_at = method + 1;
	space = memchr(line.data + target_at, ' ', bytes - target_at);
	if (!space)
		return refuse(head, 400, "the request line is not valid");
	target_bytes = (size_t)(space - line.data) - target_at;
	verdict = take_version(head,
	    synq_slice_of(space + 1, bytes - target_at - target_bytes - 1));
	if (verdict == SYNQ_PARSE_REFUSED)
		return verdict;
	head->has_line = 1;
	return take_target(head, text, at + target_at, target_bytes);
}

/* ---- fields ---- */

static enum synq_parse_verdict
take_length(struct synq_parse_head *head, struct synq_slice value)
{
	if (++head->lengths > 1)
		return refuse(head, 400, "there are two Content-Length fields");
	if (value.bytes == 0 || value.bytes > 18 ||
	    synq_slice_u64(value, UINT64_MAX, &head->length) != 0)
		return refuse(head, 400, "Content-Length is not a number");
	head->framing = SYNQ_PARSE_LENGTH;
	return SYNQ_PARSE_MORE;
}

/*
 * Without "chunked" at the end nobody can tell where the body ends, and twice
 * it is none: that is 400.  Another coding under it is merely not known.
 */
static enum synq_parse_verdict
refuse_coding(struct synq_parse_head *head, struct synq_slice value)
{
	int chunked = 0, others = 0;

	while (value.bytes > 0 && !chunked) {
		const char *comma = memchr(value.data, ',', value.bytes);
		size_t n = comma ? (size_t)(comma - value.data) : value.bytes;

		chunked = synq_slice_is_nocase(
		    synq_slice_trim(synq_slice_of(value.data, n)), "chunked");
		others += !chunked && n > 0;
		if (comma && chunked)
			others = 0; /* it is not the last */
		n += comma != NULL;
		value = synq_slice_of(value.data + n, value.bytes - n);
	}
	if (chunked && others > 0)
		return refuse(
		    head, 501, "the only transfer coding known is chunked");
	return refuse(head, 400, "the transfer coding is not chunked alone");
}

static enum synq_parse_verdict
take_coding(struct synq_parse_head *head, struct synq_slice value)
{
	if (++head->codings > 1)
		return refuse(
		    head, 400, "there are two Transfer-Encoding fields");
	if (head->minor == 0)
		return refuse(
		    head, 400, "HTTP/1.0 does not know Transfer-Encoding");
	if (!synq_slice_is_nocase(value, "chunked"))
		return refuse_coding(head, value);
	head->framing = SYNQ_PARSE_CHUNKED;
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_host(struct synq_parse_head *head, struct synq_slice value)
{
	if (++head->hosts > 1)
		return refuse(head, 400, "there are two Host fields");
	if (!is_host(value))
		return refuse(head, 400, "Host is not valid");
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_expect(struct synq_parse_head *head, struct synq_slice value)
{
	if (!synq_slice_is_nocase(value, "100-continue"))
		return refuse(
		    head, 417, "the only expectation known is 100-continue");
	/* RFC 9110, 10.1.1: to be ignored from HTTP/1.0. */
	head->wants_expect = head->minor == 1;
	return SYNQ_PARSE_MORE;
}

/* "close" may stand anywhere in the list; nothing else matters to us. */
static enum synq_parse_verdict
take_connection(struct synq_parse_head *head, struct synq_slice value)
{
	while (value.bytes > 0) {
		const char *comma = memchr(value.data, ',', value.bytes);
		size_t n = comma ? (size_t)(comma - value.data) : value.bytes;

		if (synq_slice_is_nocase(
			synq_slice_trim(synq_slice_of(value.data, n)), "close"))
			head->wants_close = 1;
		n += comma != NULL;
		value = synq_slice_of(value.data + n, value.bytes - n);
	}
	return SYNQ_PARSE_MORE;
}

/* The fields that decide how the request is read; others are only kept. */
static enum synq_parse_verdict
take_meaning(struct synq_parse_head *head, struct synq_slice name,
    struct synq_slice value)
{
	switch (name.bytes) {
	case 4:
		if (synq_slice_is_nocase(name, "host"))
			return take_host(head, value);
		break;
	case 6:
		if (synq_slice_is_nocase(name, "expect"))
			return take_expect(head, value);
		break;
	case 10:
		if (synq_slice_is_nocase(name, "connection"))
			return take_connection(head, value);
		break;
	case 14:
		if (synq_slice_is_nocase(name, "content-length"))
			return take_length(head, value);
		break;
	case 17:
		if (synq_slice_is_nocase(name, "transfer-encoding"))
			return take_coding(head, value);
		break;
	default:
		break;
	}
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_field(struct synq_parse_head *head, struct synq_slice text, size_t at,
    size_t bytes)
{
	struct synq_slice line = synq_slice_of(text.data + at, bytes);
	size_t name = kind_run(line, SYNQ_KIND_TOKEN);
	struct synq_slice value;
	struct synq_parse_field *field;

	if (line.data[0] == ' ' || line.data[0] == '\t')
		return refuse(head, 400, "a header line is folded");
	if (name == 0 || name == bytes || line.data[name] != ':')
		return refuse(head, 400, "a header name is not valid");
	value = synq_slice_of(line.data + name + 1, bytes - name - 1);
	if (!is_value(value))
		return refuse(head, 400, "a header value is not valid");
	if (head->count == SYNQ_PARSE_MAX_FIELDS)
		return refuse(head, 431, "there are too many header fields");

	value = synq_slice_trim(value);
	field = &head->fields[head->count++];
	field->name = span_of(at, name);
	field->value = span_of((size_t)(value.data - text.data), value.bytes);
	return take_meaning(head, synq_slice_of(line.data, name), value);
}

/* What only the whole head can tell. */
static enum synq_parse_verdict
take_end(struct synq_parse_head *head)
{
	if (head->lengths && head->codings)
		return refuse(head, 400,
		    "there are both Content-Length and Transfer-Encoding");
	if (head->minor == 1 && head->hosts == 0)
		return refuse(head, 400, "there is no Host field");
	if (head->framing == SYNQ_PARSE_LENGTH && head->length == 0)
		head->framing = SYNQ_PARSE_NO_BODY;
	return SYNQ_PARSE_DONE;
}

/* ---- lines ---- */

/* The line from line_at to before ${bytes}, without its end, is too long. */
static enum synq_parse_verdict
check_limits(struct synq_parse_head *head, size_t bytes)
{
	if (!head->has_line &&
	    (bytes > head->max_bytes ||
		bytes - head->line_at > SYNQ_PARSE_MAX_LINE_BYTES))
		return refuse(head, 414, "the request line is too long");
	if (bytes > head->max_bytes)
		return refuse(head, 431, "the header is too large");
	return SYNQ_PARSE_MORE;
}

/* The line that ends with the LF at ${end}. */
static enum synq_parse_verdict
take_line(struct synq_parse_head *head, struct synq_slice text, size_t end)
{
	size_t at = head->line_at;
	size_t bytes = end - at;

	if (check_limits(head, end + 1) == SYNQ_PARSE_REFUSED)
		return SYNQ_PARSE_REFUSED;
	if (bytes == 0 || text.data[end - 1] != '\r')
		return refuse(head, 400, "a line ends with LF alone");
	bytes--;
	head->line_at = end + 1;
	if (!head->has_line)
		return take_request_line(head, text, at, bytes);
	if (bytes > 0)
		return take_field(head, text, at, bytes);
	head->bytes = end + 1;
	return take_end(head);
}

enum synq_parse_verdict
synq_parse_head_feed(struct synq_parse_head *head, struct synq_slice text)
{
	while (head->reason == NULL && head->seen < text.bytes) {
		const char *lf = memchr(
		    text.data + head->seen, '\n', text.bytes - head->seen);
		enum synq_parse_verdict verdict;

		if (!lf) {
			head->seen = text.bytes;
			return check_limits(head, text.bytes);
		}
		head->seen = (size_t)(lf - text.data) + 1;
		verdict = take_line(head, text, head->seen - 1);
		if (verdict != SYNQ_PARSE_MORE)
			return verdict;
	}
	return head->reason ? SYNQ_PARSE_REFUSED : SYNQ_PARSE_MORE;
}
