/*
 * Happy path: open → addresses and key → start: the next address that is not
 * left alone → curl → done.
 *
 * Failure modes:
 * - no answer, 429, 500, 502, 503, 504 that are not a job's own: the address is
 *   left alone for a while.  Of the many calls that fail together only the
 *   first counts, so that one hiccup is one step of the backoff;
 * - the key is wrong: every call would say so, the caller gives up;
 * - anything else is an answer.
 */

#include "ctl/client.h"

#include <sys/resource.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rand.h"
#include "ctl/job/target.h"
#include "http/http.h"
#include "loop/loop.h"
#include "retry/backoff.h"
#include "service/version.h"
#include "json/scan.h"

#define ARENA_CHUNK_BYTES 4096
#define MAX_ASKED_S 600
/* Standard descriptors, files, the loop's own. */
#define OTHER_DESCRIPTORS 64

static const struct synq_backoff backoff = { .first_us = 250000,
	.max_us = 5000000 };

struct address {
	const char *base; /* the target's */
	uint32_t failures;
	uint64_t held_until_us;
};

struct client {
	struct synq_loop *loop; /* borrowed */
	struct synq_http *http;
	struct target target;
	struct address addresses[TARGET_MAX_ADDRESSES];
	size_t count;
	size_t next; /* whose turn it is */
	struct synq_rand rand;
	struct synq_list calls; /* struct client_call */
};

struct client_call {
	struct client *client;
	struct address *address;
	struct synq_http_call *http;
	struct synq_arena *arena;
	struct synq_link link;
	client_done_fn *done;
	void *ctx;
};

/* ---- life ---- */

/* Every call in flight has a connection; the usual soft limit is 1,024. */
static void
raise_descriptors(size_t wanted)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
	    limit.rlim_cur >= wanted + OTHER_DESCRIPTORS)
		return;
	limit.rlim_cur = wanted + OTHER_DESCRIPTORS < limit.rlim_max
	                     ? wanted + OTHER_DESCRIPTORS
	                     : limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int
client_open(const struct cli *cli, struct synq_loop *loop, size_t max_in_flight,
    struct client **ret)
{
	const struct synq_http_config config = {
		.max_in_flight = (uint32_t)max_in_flight,
		.user_agent = "synq/" SYNQ_VERSION,
	};
	struct client *client = synq_mem_new(sizeof(*client));
	struct synq_err err = { .code = 0 };
	uint64_t seed;

	client->loop = loop;
	synq_list_init(&client->calls);
	synq_rand_system(&seed, sizeof(seed));
	synq_rand_init(&client->rand, seed);
	raise_descriptors(max_in_flight);
	if (target_find(cli, &client->target, &err) != 0 ||
	    synq_http_new(loop, &config, &client->http, &err) != 0)
		goto fail;
	for (; client->count < client->target.count; client->count++)
		client->addresses[client->count].base =
		    client->target.bases[client->count];
	*ret = client;
	return 0;

fail:
	client_close(&client);
	return cli_fail(&err);
}

void
client_close(struct client **client_ptr)
{
	struct client *client = *client_ptr;
	struct synq_link *link;

	if (client == NULL)
		return;
	while ((link = synq_list_first(&client->calls)) != NULL) {
		struct client_call *call =
		    SYNQ_CONTAINER(link, struct client_call, link);

		client_cancel(&call);
	}
	synq_http_free(&client->http);
	target_done(&client->target);
	synq_mem_free(client);
	*client_ptr = NULL;
}

size_t
client_addresses(const struct client *client)
{
	return client->count;
}

const char *
client_address(const struct client *client, size_t index)
{
	return client->addresses[index].base;
}

/* ---- when ---- */

uint64_t
client_ready_us(const struct client *client, uint64_t now_us)
{
	uint64_t first_us = UINT64_MAX;
	size_t i;

	for (i = 0; i < client->count; i++) {
		if (client->addresses[i].held_until_us < first_us)
			first_us = client->addresses[i].held_until_us;
	}
	return first_us < now_us ? now_us : first_us;
}

/* The next address that is not left alone; NULL if all are. */
static struct address *
pick(struct client *client, uint64_t now_us)
{
	size_t i;

	for (i = 0; i < client->count; i++) {
		struct address *address =
		    &client->addresses[(client->next + i) % client->count];

		if (address->held_until_us > now_us)
			continue;
		client->next = (client->next + i + 1) % client->count;
		return address;
	}
	return NULL;
}

int
client_is_passing(const struct client_answer *answer)
{
	if (answer->rc != 0)
		return answer->rc != -SYNQ_E_TOO_LARGE &&
		       answer->rc != -SYNQ_E_INVALID;
	if (answer->is_result)
		return 0;
	return answer->status == 429 || answer->status == 408 ||
	       answer->status == 500 ||
	       (answer->status >= 502 && answer->status <= 504);
}

/* What the server asked to wait, in microseconds; -1 = nothing. */
static int64_t
asked_us(const struct synq_http_result *result)
{
	struct synq_slice text = synq_http_header(result, "retry-after");
	uint64_t seconds;

	if (synq_slice_u64(text, INT64_MAX, &seconds) != 0)
		return -1;
	if (seconds > MAX_ASKED_S)
		seconds = MAX_ASKED_S;
	return (int64_t)seconds * 1000000;
}

/* Note how the call to ${address} went. */
static void
judge(
    struct client *client, struct address *address, int passing, int64_t asked)
{
	uint64_t now_us = synq_loop_now_us(client->loop);

	if (!passing) {
		address->failures = 0;
		return;
	}
	if (address->held_until_us > now_us)
		return;
	address->failures++;
	address->held_until_us =
	    now_us + synq_backoff_asked_us(
			 &backoff, address->failures, asked, &client->rand);
}

/* ---- calls ---- */

static void
forget(struct client_call *call)
{
	synq_list_remove(&call->client->calls, &call->link);
	synq_arena_free(&call->arena);
	synq_mem_free(call);
}

static void
on_done(void *ctx, const struct synq_http_result *result)
{
	struct client_call *call = ctx;
	struct client_answer answer = {
		.rc = result->rc,
		.status = result->status,
		.body = result->body,
		.total_us = result->total_us,
		.error = result->err == NULL ? NULL : result->err->text,
	};
	int passing;

	if (result->rc == 0) {
		answer.request_id = synq_http_header(result, "x-request-id");
		answer.is_result =
		    synq_http_header(result, "x-synq-job-id").bytes > 0;
	}
	passing = client_is_passing(&answer);
	judge(call->client, call->address, passing,
	    result->rc == 0 ? asked_us(result) : -1);
	/* Off the list first: done may close the client. */
	synq_list_remove(&call->client->calls, &call->link);
	call->done(call->ctx, &answer);
	synq_arena_free(&call->arena);
	synq_mem_free(call);
}

/* The headers of ${request}, in the arena of ${call}. */
static const char *const *
headers_of(const struct client_call *call, const struct client_request *request)
{
	const char **headers =
	    synq_arena_alloc(call->arena, 4 * sizeof(*headers));
	size_t count = 0;

	headers[count++] = call->client->target.authorization;
	if (request->body.bytes > 0)
		headers[count++] = "Content-Type: application/json";
	if (request->key != NULL)
		headers[count++] = synq_arena_printf(
		    call->arena, "Idempotency-Key: %s", request->key);
	return headers;
}

int
client_start(struct client *client, const struct client_request *request,
    struct client_call **ret, struct synq_err *err)
{
	const uint64_t now_us = synq_loop_now_us(client->loop);
	struct address *address = pick(client, now_us);
	struct synq_http_request http = {
		.method = request->method,
		.body = request->body,
		.max_result_bytes = CLIENT_MAX_ANSWER_BYTES,
		.deadline_us = now_us + (uint64_t)request->limit_ms * 1000,
		.done = on_done,
	};
	struct client_call *call;
	int rc;

	if (address == NULL)
		return synq_fail(
		    err, SYNQ_E_BUSY, "every address is left alone for now");
	call = synq_mem_new(sizeof(*call));
	call->client = client;
	call->address = address;
	call->done = request->done;
	call->ctx = request->ctx;
	call->arena =
	    synq_arena_new(ARENA_CHUNK_BYTES, 2 * CLIENT_MAX_ANSWER_BYTES);
	http.ctx = call;
	http.arena = call->arena;
	http.headers = headers_of(call, request);
	http.url = synq_arena_printf(
	    call->arena, "%s%s", address->base, request->path);
	synq_list_push(&client->calls, &call->link);
	rc = synq_http_start(client->http, &http, &call->http, err);
	if (rc != 0)
		forget(call);
	else
		*ret = call;
	return rc;
}

void
client_cancel(struct client_call **call)
{
	if (*call == NULL)
		return;
	synq_http_cancel(&(*call)->http);
	forget(*call);
	*call = NULL;
}

/* ---- one answer, waited for ---- */

struct asking {
	struct client *client;
	struct client_request request;
	struct client_reply *reply;
	struct synq_timer *timer;
	uint64_t give_up_us;
	int code;
};

static void ask_start(void *ctx);

static void
ask_end(struct asking *asking, int code)
{
	asking->code = code;
	synq_loop_stop(asking->client->loop);
}

/* Try again if that is worth it; 0 if not. */
static int
ask_again(struct asking *asking)
{
	uint64_t now_us = synq_loop_now_us(asking->client->loop);
	uint64_t at_us = client_ready_us(asking->client, now_us);

	if (at_us >= asking->give_up_us)
		return 0;
	synq_timer_start(asking->timer, at_us - now_us);
	return 1;
}

static void
ask_on_done(void *ctx, const struct client_answer *answer)
{
	struct asking *asking = ctx;

	if (client_is_passing(answer) && ask_again(asking))
		return;
	if (answer->rc != 0) {
		ask_end(asking,
		    cli_say((enum cli_exit)cli_exit_of(answer->rc),
			"%s does not answer: %s; synq status shows what runs",
			client_address(asking->client, 0), answer->error));
		return;
	}
	asking->reply->status = answer->status;
	asking->reply->is_result = answer->is_result;
	(void)synq_buf_slice(&asking->reply->body, answer->body);
	ask_end(asking, 0);
}

static void
ask_start(void *ctx)
{
	struct asking *asking = ctx;
	struct synq_err err = { .code = 0 };
	struct client_call *call;

	if (client_start(asking->client, &asking->request, &call, &err) != 0 &&
	    !ask_again(asking))
		ask_end(asking, cli_fail(&err));
}

int
client_ask(struct client *client, const struct client_request *request,
    uint64_t patience_us, struct client_reply *ret)
{
	struct asking asking = {
		.client = client, .request = *request, .reply = ret
	};

	*ret = (struct client_reply){ .status = 0 };
	synq_buf_init(&ret->body, CLIENT_MAX_ANSWER_BYTES);
	asking.request.done = ask_on_done;
	asking.request.ctx = &asking;
	asking.timer = synq_timer_new(client->loop, ask_start, &asking);
	asking.give_up_us = synq_clock_mono_us() + patience_us;
	synq_timer_start(asking.timer, 0);
	synq_loop_run(client->loop);
	synq_timer_free(&asking.timer);
	return asking.code;
}

void
client_reply_done(struct client_reply *reply)
{
	synq_buf_done(&reply->body);
}

/* ---- refusals ---- */

void
client_error_text(int status, struct synq_slice body, struct synq_buf *out)
{
	const size_t before = out->bytes;
	struct synq_json answer;

	if (synq_json_parse(body, &answer, NULL) != 0 ||
	    synq_json_string(synq_json_path(answer, "error.message"), out) != 0)
		out->bytes = before;
	if (out->bytes == before)
		synq_buf_printf(out, "HTTP %d", status);
}

int
client_refused(int status, struct synq_slice body)
{
	enum cli_exit code = CLI_FAILED;
	struct synq_buf text;

	if (status == 401 || status == 403)
		code = CLI_AUTH;
	else if (status == 404 || status == 410)
		code = CLI_NOT_FOUND;
	else if (status == 408 || status == 429 || status >= 500)
		code = CLI_UNAVAILABLE;
	synq_buf_init(&text, 4096);
	client_error_text(status, body, &text);
	(void)cli_say(code, "%s", text.data);
	synq_buf_done(&text);
	return (int)code;
}
