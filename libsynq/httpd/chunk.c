/*
 * The chunked body, byte by byte between the runs of data.
 *
 * Refused, always with 400:
 *
 *	a size without a digit, of more than 16, with a sign, "0x" or space
 *	    (also before ';', where 9112, 7.1.1 would bear with it)
 *	an extension without a name, above 256 bytes, with a control byte
 *	data that is longer than its size; a line that does not end with CR LF
 *	a trailer that is no header line, or trailers above 8 KiB in all
 */

#include "httpd/chunk.h"

#include "httpd/kind.h"

void
synq_parse_chunks_init(struct synq_parse_chunks *chunks)
{
	synq_kind_init();
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
	if (chunks->extras == 0 && !synq_kind_is(c, SYNQ_KIND_TOKEN))
		return "a chunk extension has no name";
	if (c == '\r') {
		chunks->state = SYNQ_CHUNK_SIZE_LF;
		return NULL;
	}
	if (!synq_kind_is(c, SYNQ_KIND_VALUE))
		return "a chunk extension is not valid";
	if (++chunks->extras > SYNQ_PARSE_MAX_EXTENSION_BYTES)
		return "a chunk extension is too long";
	return NULL;
}

/* The trailer fields are checked as far as framing goes, and dropped. */
static const char *
chunk_trailer_byte(struct synq_parse_chunks *chunks, char c)
{
	if (++chunks->trailers > SYNQ_PARSE_MAX_TRAILER_BYTES)
		return "the trailer is too large";
	if (chunks->state == SYNQ_CHUNK_TRAILER && c == '\r') {
		chunks->state = SYNQ_CHUNK_END_LF;
		return NULL;
	}
	if (chunks->state == SYNQ_CHUNK_TRAILER_VALUE) {
		if (c == '\r')
			chunks->state = SYNQ_CHUNK_TRAILER_LF;
		return c == '\r' || synq_kind_is(c, SYNQ_KIND_VALUE)
		           ? NULL
		           : "a trailer is not valid";
	}
	if (chunks->state == SYNQ_CHUNK_TRAILER_NAME && c == ':') {
		chunks->state = SYNQ_CHUNK_TRAILER_VALUE;
		return NULL;
	}
	chunks->state = SYNQ_CHUNK_TRAILER_NAME;
	return synq_kind_is(c, SYNQ_KIND_TOKEN) ? NULL
	                                        : "a trailer is not valid";
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
