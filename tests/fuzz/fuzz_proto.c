/*
 * Every message against hostile bytes: the first byte chooses which.  What
 * decodes must encode, and that must decode to the same bytes again.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/attempt.h"
#include "proto/request.h"
#include "proto/signal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

union any {
	struct synq_request request;
	struct synq_outcome outcome;
	struct synq_cancel cancel;
	struct synq_control control;
	struct synq_event event;
	struct synq_reply reply;
};

static int
decode(unsigned which, struct synq_slice input, union any *ret)
{
	switch (which) {
	case 0:
		return synq_request_decode(input, &ret->request);
	case 1:
		return synq_outcome_decode(input, &ret->outcome);
	case 2:
		return synq_cancel_decode(input, &ret->cancel);
	case 3:
		return synq_control_decode(input, &ret->control);
	case 4:
		return synq_event_decode(input, &ret->event);
	default:
		return synq_reply_decode(input, &ret->reply);
	}
}

static void
encode(unsigned which, const union any *any, struct synq_buf *out)
{
	switch (which) {
	case 0:
		synq_request_encode(&any->request, out);
		break;
	case 1:
		synq_outcome_encode(&any->outcome, out);
		break;
	case 2:
		synq_cancel_encode(&any->cancel, out);
		break;
	case 3:
		synq_control_encode(&any->control, out);
		break;
	case 4:
		synq_event_encode(&any->event, out);
		break;
	default:
		synq_reply_encode(&any->reply, out);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct synq_buf first;
	struct synq_buf second;
	union any any;

	if (bytes == 0)
		return 0;
	unsigned which = data[0] % 6;
	if (decode(which, synq_slice_of(data + 1, bytes - 1), &any) != 0)
		return 0;

	synq_buf_init(&first, 1 << 23);
	synq_buf_init(&second, 1 << 23);
	encode(which, &any, &first);
	if (first.overflow || decode(which, synq_buf_view(&first), &any) != 0)
		abort();
	encode(which, &any, &second);
	if (!synq_slice_equal(synq_buf_view(&first), synq_buf_view(&second)))
		abort();
	synq_buf_done(&first);
	synq_buf_done(&second);
	return 0;
}
