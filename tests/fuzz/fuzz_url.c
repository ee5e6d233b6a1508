/*
 * URLs and query strings: the parts lie inside the input and put together
 * again they split the same way; decoding undoes encoding.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/slice.h"
#include "codec/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
demand(int holds)
{
	if (!holds)
		abort();
}

static void
check_inside(struct synq_slice whole, struct synq_slice part)
{
	if (part.bytes > 0)
		demand(part.data >= whole.data &&
		       part.data + part.bytes <= whole.data + whole.bytes);
}

static void
join(struct synq_buf *out, const struct synq_url *url)
{
	int is_ipv6 = 0;

	for (size_t i = 0; i < url->host.bytes; i++)
		is_ipv6 |= url->host.data[i] == ':';
	synq_buf_slice(out, url->scheme);
	synq_buf_text(out, is_ipv6 ? "://[" : "://");
	synq_buf_slice(out, url->host);
	synq_buf_printf(out, "%s:%u", is_ipv6 ? "]" : "", url->port);
	synq_buf_slice(out, url->path);
	synq_buf_char(out, '?');
	synq_buf_slice(out, url->query);
}

static void
fuzz_parse(struct synq_slice input)
{
	struct synq_url url;
	struct synq_url again;
	struct synq_buf out;
	struct synq_err err;

	if (synq_url_parse(input, &url, &err) != 0)
		return;
	check_inside(input, url.host);
	check_inside(input, url.path);
	check_inside(input, url.query);
	demand(url.host.bytes > 0 && url.port > 0);
	demand(url.path.bytes == 0 || url.path.data[0] == '/');

	synq_buf_init(&out, input.bytes + 64);
	join(&out, &url);
	demand(!out.overflow);
	demand(synq_url_parse(synq_buf_view(&out), &again, &err) == 0);
	demand(synq_slice_equal(url.host, again.host));
	demand(url.port == again.port);
	demand(synq_slice_equal(url.path, again.path));
	demand(synq_slice_equal(url.query, again.query));
	synq_buf_done(&out);
}

static void
fuzz_code(struct synq_slice input)
{
	struct synq_buf plain;
	struct synq_buf text;
	struct synq_buf back;

	synq_buf_init(&plain, input.bytes);
	synq_buf_init(&text, 3 * input.bytes);
	synq_buf_init(&back, input.bytes);
	if (synq_url_decode(input, &plain) == 0) {
		struct synq_slice decoded = synq_buf_view(&plain);

		demand(synq_url_encode(decoded, &text) == 0);
		demand(synq_url_decode(synq_buf_view(&text), &back) == 0);
		demand(synq_slice_equal(decoded, synq_buf_view(&back)));
	}
	synq_buf_done(&plain);
	synq_buf_done(&text);
	synq_buf_done(&back);
}

static void
fuzz_query(struct synq_slice input)
{
	struct synq_slice rest = input;
	struct synq_slice name;
	struct synq_slice value;
	struct synq_buf out;
	size_t pairs = 0;

	for (; synq_url_query_next(&rest, &name, &value); pairs++) {
		check_inside(input, name);
		check_inside(input, value);
	}
	demand(pairs <= input.bytes / 2 + 1);
	synq_buf_init(&out, input.bytes);
	if (synq_url_query_get(input, "a", &out) == 0)
		demand(pairs > 0);
	else
		demand(out.bytes == 0);
	synq_buf_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_slice input = synq_slice_of(data, bytes);

	fuzz_parse(input);
	fuzz_code(input);
	fuzz_query(input);
	return 0;
}
