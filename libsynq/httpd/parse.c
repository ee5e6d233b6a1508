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
 *	400 Transfer-Encoding in HTTP/1.0 (that version does not know it)
 *	400 no Host in HTTP/1.1, more than one anywhere, a value that is none
 *	400 a target that is neither a path, nor http(s)://, nor "*" of OPTIONS
 *	414 a request line above 8 KiB
 *	417 Expect with anything but 100-continue
 *	431 a head above its limit, or more than 100 fields
 *	501 a transfer coding other than "chunked" alone (RFC 9112, 6.1)
 *	505 HTTP/ with a version other than 1.0 and 1.1
 *
 * One empty line before the request line is skipped (RFC 9112, 2.2).
 */

#include "httpd/parse.h"

#include <string.h>

#include "base/err.h"

/* Kinds of bytes. */
enum {
	TOKEN = 1,  /* of a name or method (RFC 9110, 5.6.2) */
	TARGET = 2, /* of a request target: visible ASCII except '#' */
	VALUE = 4,  /* of a field value: visible, space, tab, above 127 */
	HOST = 8    /* of a Host value */
};

static uint8_t kinds[256];
static int kinds_known;

static void
kinds_fill(void)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	static const char hosts[] = "-._~!$&'()*+;=:[]%";

	for (int c = 0; c < 256; c++) {
		int word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		           (c >= 'A' && c <= 'Z');

		if (word)
			kinds[c] |= TOKEN | HOST;
		if (c > 0 && c < 128 && strchr(marks, c))
			kinds[c] |= TOKEN;
		if (c > 0 && c < 128 && strchr(hosts, c))
			kinds[c] |= HOST;
		if (c > ' ' && c < 127 && c != '#')
			kinds[c] |= TARGET;
		if (c == '\t' || (c >= ' ' && c != 127))
			kinds[c] |= VALUE;
	}
	kinds_known = 1;
}

/* How many bytes at the front of ${text} are of ${kind}. */
static size_t
kind_run(struct synq_slice text, int kind)
{
	size_t n = 0;

	while (n < text.bytes && (kinds[(uint8_t)text.data[n]] & kind))
		n++;
	return n;
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
	if (!kinds_known)
		kinds_fill();
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

/* How many bytes of ${target} stand before its path; its length if no path. */
static size_t
before_path(struct synq_slice target)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < SYNQ_COUNT(schemes); i++) {
		size_t n = strlen(schemes[i]);
		struct synq_slice front = synq_slice_of(target.data, n);
		size_t at = n;

		if (target.bytes <= n ||
		    !synq_slice_is_nocase(front, schemes[i]))
			continue;
		at += kind_run(
		    synq_slice_of(target.data + n, target.bytes - n), HOST);
		return at > n ? at : target.bytes;
	}
	return target.bytes;
}

static enum synq_parse_verdict
take_target(struct synq_parse_head *head, struct synq_slice text, size_t at,
    size_t bytes)
{
	struct synq_slice target = synq_slice_of(text.data + at, bytes);
	size_t skip = 0;
	const char *mark;

	if (bytes == 0 || kind_run(target, TARGET) != bytes)
		return refuse(head, 400, "the request target is not valid");
	if (synq_slice_is(target, "*")) {
		head->path = span_of(at, 1);
		if (synq_slice_is(
			synq_parse_part(text, head->method), "OPTIONS"))
			return SYNQ_PARSE_MORE;
		return refuse(head, 400, "the request target is not valid");
	}
	if (target.data[0] != '/')
		skip = before_path(target);
	if (skip == bytes || target.data[skip] != '/')
		return refuse(head, 400, "the request target is not valid");

	at += skip;
	bytes -= skip;
	mark = memchr(text.data + at, '?', bytes);
	head->path =
	    span_of(at, mark ? (size_t)(mark - (text.data + at)) : bytes);
	if (mark)
		head->query = span_of(
		    at + head->path.bytes + 1, bytes - head->path.bytes - 1);
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_request_line(struct synq_parse_head *head, struct synq_slice text,
    size_t at, size_t bytes)
{
	struct synq_slice line = synq_slice_of(text.data + at, bytes);
	size_t method = kind_run(line, TOKEN);
	const char *space;
	size_t target_at, target_bytes;
	enum synq_parse_verdict verdict;

	if (bytes == 0) {
		if (head->has_blank)
			return refuse(head, 400, "the request line is empty");
		head->has_blank = 1;
		return SYNQ_PARSE_MORE;
	}
	if (method == 0 || method > SYNQ_PARSE_MAX_METHOD_BYTES ||
	    method == bytes || line.data[method] != ' ')
		return refuse(head, 400, "the request line is not valid");
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
		return refuse(
		    head, 501, "the only transfer coding known is chunked");
	head->framing = SYNQ_PARSE_CHUNKED;
	return SYNQ_PARSE_MORE;
}

static enum synq_parse_verdict
take_host(struct synq_parse_head *head, struct synq_slice value)
{
	if (++head->hosts > 1)
		return refuse(head, 400, "there are two Host fields");
	if (kind_run(value, HOST) != value.bytes)
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
	size_t name = kind_run(line, TOKEN);
	struct synq_slice value;
	struct synq_parse_field *field;

	if (line.data[0] == ' ' || line.data[0] == '\t')
		return refuse(head, 400, "a header line is folded");
	if (name == 0 || name == bytes || line.data[name] != ':')
		return refuse(head, 400, "a header name is not valid");
	value = synq_slice_of(line.data + name + 1, bytes - name - 1);
	if (kind_run(value, VALUE) != value.bytes)
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

/* ---- chunks ---- */

void
synq_parse_chunks_init(struct synq_parse_chunks *chunks)
{
	if (!kinds_known)
		kinds_fill();
	*chunks = (struct synq_parse_chunks){ .state = SYNQ_CHUNK_SIZE };
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* ${c} in the line with the size.  Returns NULL or why it is refused. */
static const char *
chunk_size_byte(struct synq_parse_chunks *chunks, char c)
{
	int digit = hex_value(c);

	if (digit >= 0) {
		if (++chunks->digits > 16)
			return "a chunk size is too long";
		chunks->left = chunks->left << 4 | (uint64_t)digit;
		return NULL;
	}
	if (chunks->digits == 0 || (c != ';' && c != '\r'))
		return "a chunk size is not valid";
	chunks->state = c == ';' ? SYNQ_CHUNK_EXTENSION : SYNQ_CHUNK_SIZE_LF;
	return NULL;
}

static const char *
chunk_extension_byte(struct synq_parse_chunks *chunks, char c)
{
	if (c == '\r') {
		chunks->state = SYNQ_CHUNK_SIZE_LF;
		return NULL;
	}
	if (!(kinds[(uint8_t)c] & VALUE))
		return "a chunk extension is not valid";
	if (++chunks->extras > SYNQ_PARSE_MAX_EXTENSION_BYTES)
		return "a chunk extension is too long";
	return NULL;
}

/* The trailer fields are checked as far as framing goes, and dropped. */
static const char *
chunk_trailer_byte(struct synq_parse_chunks *chunks, char c)
{
	int kind = kinds[(uint8_t)c];

	if (++chunks->trailers > SYNQ_PARSE_MAX_TRAILER_BYTES)
		return "the trailer is too large";
	if (chunks->state == SYNQ_CHUNK_TRAILER && c == '\r') {
		chunks->state = SYNQ_CHUNK_END_LF;
		return NULL;
	}
	if (chunks->state == SYNQ_CHUNK_TRAILER_VALUE) {
		if (c == '\r')
			chunks->state = SYNQ_CHUNK_TRAILER_LF;
		return c == '\r' || (kind & VALUE) ? NULL
		                                   : "a trailer is not valid";
	}
	if (chunks->state == SYNQ_CHUNK_TRAILER_NAME && c == ':') {
		chunks->state = SYNQ_CHUNK_TRAILER_VALUE;
		return NULL;
	}
	chunks->state = SYNQ_CHUNK_TRAILER_NAME;
	return kind & TOKEN ? NULL : "a trailer is not valid";
}

static const char *
chunk_lf_byte(struct synq_parse_chunks *chunks, char c)
{
	if (c != '\n')
		return "a line of the body does not end with CR LF";
	if (chunks->state == SYNQ_CHUNK_SIZE_LF) {
		chunks->state =
		    chunks->left ? SYNQ_CHUNK_DATA : SYNQ_CHUNK_TRAILER;
		chunks->digits = 0;
		chunks->extras = 0;
	} else if (chunks->state == SYNQ_CHUNK_DATA_LF) {
		chunks->state = SYNQ_CHUNK_SIZE;
	} else if (chunks->state == SYNQ_CHUNK_TRAILER_LF) {
		chunks->state = SYNQ_CHUNK_TRAILER;
	} else {
		chunks->state = SYNQ_CHUNK_END;
	}
	return NULL;
}

static const char *
chunk_byte(struct synq_parse_chunks *chunks, char c)
{
	switch (chunks->state) {
	case SYNQ_CHUNK_SIZE:
		return chunk_size_byte(chunks, c);
	case SYNQ_CHUNK_EXTENSION:
		return chunk_extension_byte(chunks, c);
	case SYNQ_CHUNK_DATA_CR:
		chunks->state = SYNQ_CHUNK_DATA_LF;
		return c == '\r' ? NULL : "a chunk is longer than its size";
	case SYNQ_CHUNK_TRAILER:
	case SYNQ_CHUNK_TRAILER_NAME:
	case SYNQ_CHUNK_TRAILER_VALUE:
		return chunk_trailer_byte(chunks, c);
	case SYNQ_CHUNK_SIZE_LF:
	case SYNQ_CHUNK_DATA_LF:
	case SYNQ_CHUNK_TRAILER_LF:
	case SYNQ_CHUNK_END_LF:
		return chunk_lf_byte(chunks, c);
	case SYNQ_CHUNK_DATA:
	case SYNQ_CHUNK_END:
		break;
	}
	return "the body goes on behind its end";
}

enum synq_parse_verdict
synq_parse_chunks_feed(struct synq_parse_chunks *chunks,
    struct synq_slice *text, struct synq_slice *ret_data)
{
	*ret_data = synq_slice_of(text->data, 0);
	while (!chunks->reason && text->bytes > 0 &&
	       chunks->state != SYNQ_CHUNK_END) {
		size_t n = 1;

		if (chunks->state == SYNQ_CHUNK_DATA) {
			n = text->bytes < chunks->left ? text->bytes
			                               : (size_t)chunks->left;
			*ret_data = synq_slice_of(text->data, n);
			chunks->left -= n;
			if (chunks->left == 0)
				chunks->state = SYNQ_CHUNK_DATA_CR;
		} else {
			chunks->reason = chunk_byte(chunks, text->data[0]);
		}
		*text = synq_slice_of(text->data + n, text->bytes - n);
		if (ret_data->bytes > 0)
			return SYNQ_PARSE_MORE;
	}
	if (chunks->reason)
		return SYNQ_PARSE_REFUSED;
	return chunks->state == SYNQ_CHUNK_END ? SYNQ_PARSE_DONE
	                                       : SYNQ_PARSE_MORE;
}
