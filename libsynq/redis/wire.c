/*
 * The socket is ours and hiredis only reads the replies: its asynchronous
 * client runs and frees callbacks from inside its own calls, has no time limit
 * and writes once for every command.
 *
 *	CLOSED      for good
 *	WAITING     until the backoff is over; the timer runs
 *	CONNECTING  the kernel is at it; the timer limits it
 *	GREETING    AUTH and PING are on their way; the same limit
 *	READY       commands go and replies come; the timer beats
 *
 * Commands are collected and written when the socket can take them, so that
 * those of one turn share one write.
 *
 * Any error leads to synq_redis_wire_drop and so back to WAITING.  A server
 * that accepts and never answers stays in GREETING until the limit.
 */

#include "redis/wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "loop/loop.h"
#include "redis/redis.h"

#define BACKOFF_FIRST_US 50000
#define BACKOFF_LAST_US 1000000
#define BEAT_US 1000000
/* At least; a longer limit for commands holds here too. */
#define CONNECT_LIMIT_US 1000000
/* Both far above what a healthy exchange needs. */
#define MAX_UNWRITTEN_BYTES ((size_t)64 << 20)
#define MAX_UNREAD_BYTES ((size_t)64 << 20)
#define READ_BYTES ((size_t)16384)
/* Then others of the loop get their turn. */
#define READS_PER_EVENT 16
/* "$" or "*", a number and two line ends. */
#define WORD_HEAD_BYTES ((size_t)32)

enum state { CLOSED, WAITING, CONNECTING, GREETING, READY };

struct synq_redis_wire {
	struct synq_loop *loop;
	const struct synq_redis_config *config; /* borrowed */
	struct synq_redis_hooks hooks;
	enum state state;
	int fd;
	struct synq_watch *watch;
	struct synq_timer *timer;
	redisReader *reader;
	struct synq_buf out; /* not written yet */
	uint64_t written;    /* bytes of this connection */
	int wants_write;
	int greetings; /* replies that GREETING waits for */
	struct synq_rand rand;
	uint64_t backoff_us;
};

static void
close_socket(struct synq_redis_wire *wire)
{
	synq_watch_free(&wire->watch);
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
	if (wire->reader)
		redisReaderFree(wire->reader);
	wire->reader = NULL;
	synq_buf_done(&wire->out);
	wire->wants_write = 0;
}

void
synq_redis_wire_drop(struct synq_redis_wire *wire)
{
	uint64_t half_us = wire->backoff_us / 2;

	if (wire->state == CLOSED)
		return;
	close_socket(wire);
	wire->state = WAITING;
	synq_timer_start(
	    wire->timer, half_us + synq_rand_below(&wire->rand, half_us + 1));
	wire->backoff_us *= 2;
	if (wire->backoff_us > BACKOFF_LAST_US)
		wire->backoff_us = BACKOFF_LAST_US;
	wire->hooks.lost(wire->hooks.ctx);
}

static void
watch_for(struct synq_redis_wire *wire, int wants_write)
{
	if (wants_write == wire->wants_write)
		return;
	wire->wants_write = wants_write;
	synq_watch_set(wire->watch,
	    wants_write ? SYNQ_READABLE | SYNQ_WRITABLE : SYNQ_READABLE);
}

/* Append the command of ${count} ${words}. */
static int
add_command(
    struct synq_redis_wire *wire, const struct synq_slice *words, size_t count)
{
	size_t room = wire->out.max_bytes - wire->out.bytes;
	size_t needed = WORD_HEAD_BYTES;

	for (size_t i = 0; i < count; i++) {
		if (words[i].bytes > room)
			return -SYNQ_E_BUSY;
		needed += WORD_HEAD_BYTES + words[i].bytes;
	}
	if (needed > room)
		return -SYNQ_E_BUSY;
	(void)synq_buf_printf(&wire->out, "*%zu\r\n", count);
	for (size_t i = 0; i < count; i++) {
		(void)synq_buf_printf(&wire->out, "$%zu\r\n", words[i].bytes);
		(void)synq_buf_slice(&wire->out, words[i]);
		(void)synq_buf_text(&wire->out, "\r\n");
	}
	watch_for(wire, 1);
	return 0;
}

int
synq_redis_wire_send(struct synq_redis_wire *wire,
    const struct synq_slice *words, size_t count, uint64_t *ret_end)
{
	int rc;

	assert(wire->state == READY);

	rc = add_command(wire, words, count);
	if (!rc)
		*ret_end = wire->written + wire->out.bytes;
	return rc;
}

static int
greet(struct synq_redis_wire *wire)
{
	const struct synq_slice auth[2] = { synq_slice_text("AUTH"),
		synq_slice_text(wire->config->password) };
	const struct synq_slice ping = synq_slice_text("PING");
	int error = 0;
	socklen_t bytes = sizeof(error);

	if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) || error)
		return -SYNQ_E_UNAVAILABLE;
	wire->state = GREETING;
	wire->greetings = 1;
	if (wire->config->password) {
		wire->greetings++;
		if (add_command(wire, auth, 2))
			return -SYNQ_E_UNAVAILABLE;
	}
	return add_command(wire, &ping, 1);
}

/* A reply while greeting: anything but a status is a reason to leave. */
static int
take_greeting(struct synq_redis_wire *wire, const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_STATUS)
		return -SYNQ_E_UNAVAILABLE;
	if (--wire->greetings)
		return 0;
	wire->state = READY;
	wire->backoff_us = BACKOFF_FIRST_US;
	synq_timer_repeat(wire->timer, BEAT_US);
	wire->hooks.ready(wire->hooks.ctx);
	return 0;
}

/* Hand over all whole replies that have been read. */
static int
take_replies(struct synq_redis_wire *wire)
{
	int rc = 0;

	/* A hook may have closed the wire, and with it the reader. */
	while (!rc && wire->reader) {
		void *got = NULL;
		redisReply *reply;

		if (redisReaderGetReply(wire->reader, &got) != REDIS_OK)
			return -SYNQ_E_UNAVAILABLE;
		if (!got)
			return 0;
		reply = got;
		rc = wire->state == GREETING
		         ? take_greeting(wire, reply)
		         : wire->hooks.reply(wire->hooks.ctx, reply);
		freeReplyObject(reply);
	}
	return rc;
}

static int
read_some(struct synq_redis_wire *wire)
{
	char bytes[READ_BYTES];
	int rc = 0;

	for (int i = 0; i < READS_PER_EVENT && !rc && wire->reader; i++) {
		ssize_t count = read(wire->fd, bytes, sizeof(bytes));

		if (count < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (count <= 0 ||
		    redisReaderFeed(wire->reader, bytes, (size_t)count) !=
			REDIS_OK ||
		    wire->reader->len > MAX_UNREAD_BYTES)
			return -SYNQ_E_UNAVAILABLE;
		rc = take_replies(wire);
	}
	return rc;
}

static int
write_some(struct synq_redis_wire *wire)
{
	ssize_t count = 0;

	if (wire->out.bytes)
		count = send(
		    wire->fd, wire->out.data, wire->out.bytes, MSG_NOSIGNAL);
	if (count < 0)
		return errno == EAGAIN || errno == EINTR ? 0
		                                         : -SYNQ_E_UNAVAILABLE;
	wire->written += (uint64_t)count;
	synq_buf_consume(&wire->out, (size_t)count);
	watch_for(wire, wire->out.bytes > 0);
	return 0;
}

static void
wire_event(void *ctx, unsigned events)
{
	struct synq_redis_wire *wire = ctx;
	int rc = 0;

	if (wire->state == CONNECTING)
		rc = greet(wire);
	if (!rc && (events & SYNQ_READABLE))
		rc = read_some(wire);
	if (!rc && wire->fd >= 0 && (events & SYNQ_WRITABLE))
		rc = write_some(wire);
	if (rc)
		synq_redis_wire_drop(wire);
}

/* The address of the configuration; its size, 0 if it is not numeric. */
static socklen_t
address(const struct synq_redis_config *config, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, config->host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(config->port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, config->host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(config->port);
		return sizeof(*v6);
	}
	return 0;
}

static int
start_connecting(struct synq_redis_wire *wire)
{
	struct sockaddr_storage at;
	socklen_t bytes = address(wire->config, &at);
	int one = 1;

	wire->fd =
	    socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (wire->fd < 0)
		return -SYNQ_E_SYSTEM;
	(void)setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(wire->fd, (struct sockaddr *)&at, bytes) &&
	    errno != EINPROGRESS)
		return -SYNQ_E_UNAVAILABLE;
	if (synq_watch_new(
		wire->loop, wire->fd, wire_event, wire, &wire->watch))
		return -SYNQ_E_SYSTEM;
	wire->reader = redisReaderCreate();
	if (!wire->reader)
		return -SYNQ_E_SYSTEM;
	wire->written = 0;
	wire->state = CONNECTING;
	synq_buf_init(&wire->out, MAX_UNWRITTEN_BYTES);
	watch_for(wire, 1);
	return 0;
}

static void
wire_timer(void *ctx)
{
	struct synq_redis_wire *wire = ctx;
	uint64_t limit_us = (uint64_t)wire->config->limit_ms * 1000;

	if (wire->state == READY) {
		wire->hooks.beat(wire->hooks.ctx);
		return;
	}
	if (wire->state == WAITING && !start_connecting(wire)) {
		synq_timer_start(wire->timer,
		    limit_us > CONNECT_LIMIT_US ? limit_us : CONNECT_LIMIT_US);
		return;
	}
	synq_redis_wire_drop(wire);
}

struct synq_redis_wire *
synq_redis_wire_new(struct synq_loop *loop,
    const struct synq_redis_config *config,
    const struct synq_redis_hooks *hooks)
{
	struct synq_redis_wire *wire = synq_mem_new(sizeof(*wire));
	uint64_t seed;

	wire->loop = loop;
	wire->config = config;
	wire->hooks = *hooks;
	wire->state = WAITING;
	wire->fd = -1;
	wire->backoff_us = BACKOFF_FIRST_US;
	synq_rand_system(&seed, sizeof(seed));
	synq_rand_init(&wire->rand, seed);
	wire->timer = synq_timer_new(loop, wire_timer, wire);
	synq_timer_start(wire->timer, 0);
	return wire;
}

void
synq_redis_wire_close(struct synq_redis_wire *wire)
{
	if (!wire)
		return;
	wire->state = CLOSED;
	close_socket(wire);
	synq_timer_free(&wire->timer);
}

void
synq_redis_wire_free(struct synq_redis_wire **wire)
{
	synq_redis_wire_close(*wire);
	synq_mem_free(*wire);
	*wire = NULL;
}

int
synq_redis_wire_ready(const struct synq_redis_wire *wire)
{
	return wire && wire->state == READY;
}

uint64_t
synq_redis_wire_written(const struct synq_redis_wire *wire)
{
	return wire->written;
}
