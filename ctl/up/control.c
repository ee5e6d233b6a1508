#include "ctl/up/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "ctl/up/place.h"
#include "ctl/up/supervisor.h"
#include "loop/loop.h"

/*
 * A connection: its line is read, its request done; status and down are
 * answered at once, the others wait until nothing is on its way any more, at
 * most SETTLE_LIMIT_US.
 *
 * The path of a Unix socket has at most 107 bytes, an installation's may be
 * longer: both sides go through /proc/self/fd.
 */

#define MAX_CONNECTIONS 16
#define MAX_REQUEST_BYTES 256
#define MAX_ANSWER_BYTES (1024 * 1024)
#define SETTLE_LIMIT_US 110000000ULL

struct connection {
	struct synq_link link;
	struct control *control;
	struct synq_watch *watch;
	struct synq_timer *limit;
	int fd;
	int waits; /* 1 = until everything is settled */
	size_t bytes;
	char request[MAX_REQUEST_BYTES + 1];
};

struct control {
	struct supervisor *supervisor;
	struct synq_watch *watch;
	struct synq_list connections; /* struct connection */
	int fd;
};

/* The address of the socket of ${dir}; the descriptor to close, or -1. */
static int
address_of(const char *dir, struct sockaddr_un *ret)
{
	char *run = place_path(dir, "run");
	int fd = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);

	synq_mem_free(run);
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path),
	    "/proc/self/fd/%d/control", fd);
	return fd;
}

static void
connection_free(struct connection *connection)
{
	synq_list_remove(&connection->control->connections, &connection->link);
	synq_timer_free(&connection->limit);
	synq_watch_free(&connection->watch);
	close(connection->fd);
	synq_mem_free(connection);
}

/*
 * Send ${answer} and close.  It is small and the reader waits for it; one that
 * does not read loses it.
 */
static void
answer(struct connection *connection, struct synq_slice text)
{
	struct timeval limit = { .tv_usec = 200000 };
	int flags = fcntl(connection->fd, F_GETFL);

	setsockopt(
	    connection->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	fcntl(connection->fd, F_SETFL, flags & ~O_NONBLOCK);
	while (text.bytes > 0) {
		ssize_t bytes =
		    send(connection->fd, text.data, text.bytes, MSG_NOSIGNAL);

		if (bytes <= 0)
			break;
		text.data += bytes;
		text.bytes -= (size_t)bytes;
	}
	connection_free(connection);
}

static void
answer_error(struct connection *connection, const struct synq_err *err)
{
	char line[400];

	snprintf(line, sizeof(line), "error %d %s\n", err->code, err->text);
	answer(connection, synq_slice_text(line));
}

static void
answer_status(struct connection *connection)
{
	struct synq_buf text;

	synq_buf_init(&text, MAX_ANSWER_BYTES);
	synq_buf_text(&text, "ok\n");
	supervisor_status(connection->control->supervisor, &text);
	answer(connection, synq_buf_view(&text));
	synq_buf_done(&text);
}

/* Everything is to end; the answer is how long that may take, in ms. */
static void
stop(struct connection *connection)
{
	struct supervisor *supervisor = connection->control->supervisor;
	char line[64];

	supervisor_stop(supervisor);
	snprintf(line, sizeof(line), "ok\n%" PRIu64 "\n",
	    supervisor_stop_limit_ms(supervisor));
	answer(connection, synq_slice_text(line));
}

static int
scale(struct supervisor *supervisor, const char *words, struct synq_err *err)
{
	const char *space = strchr(words, ' ');
	char program[64];
	uint64_t count;

	if (space == NULL || space - words >= (long)sizeof(program) ||
	    synq_slice_u64(synq_slice_text(space + 1), UINT32_MAX, &count))
		return synq_fail(err, SYNQ_E_INVALID,
		    "it is scale PROGRAM N, N a whole number");
	snprintf(program, sizeof(program), "%.*s", (int)(space - words), words);
	return supervisor_scale(supervisor, program, count, err);
}

static void
obey(struct connection *connection)
{
	struct supervisor *supervisor = connection->control->supervisor;
	const char *request = connection->request;
	struct synq_err err = { 0 };
	int rc;

	if (strcmp(request, "status") == 0) {
		answer_status(connection);
		return;
	}
	if (strcmp(request, "down") == 0) {
		stop(connection);
		return;
	}
	if (strncmp(request, "restart ", 8) == 0)
		rc = supervisor_restart(supervisor, request + 8, &err);
	else if (strncmp(request, "scale ", 6) == 0)
		rc = scale(supervisor, request + 6, &err);
	else
		rc = synq_fail(&err, SYNQ_E_INVALID, "unknown request");
	if (rc != 0) {
		answer_error(connection, &err);
		return;
	}
	connection->waits = 1;
	synq_timer_start(connection->limit, SETTLE_LIMIT_US);
	control_settle(connection->control);
}

static void
on_limit(void *ctx)
{
	struct connection *connection = ctx;
	struct synq_err err;
	struct synq_buf what;

	synq_buf_init(&what, 4096);
	supervisor_settled(connection->control->supervisor, &what);
	synq_fail(&err, SYNQ_E_TIMEOUT, "%s",
	    what.bytes == 0 ? "no answer in time" : what.data);
	synq_buf_done(&what);
	answer_error(connection, &err);
}

static void
on_request(void *ctx, unsigned events)
{
	struct connection *connection = ctx;
	char *end;
	ssize_t bytes;

	(void)events;
	bytes = read(connection->fd, connection->request + connection->bytes,
	    MAX_REQUEST_BYTES - connection->bytes);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (bytes <= 0) {
		connection_free(connection);
		return;
	}
	connection->bytes += (size_t)bytes;
	connection->request[connection->bytes] = '\0';
	end = strchr(connection->request, '\n');
	if (end == NULL && connection->bytes < MAX_REQUEST_BYTES)
		return;
	if (end == NULL || connection->waits) {
		connection_free(connection);
		return;
	}
	*end = '\0';
	obey(connection);
}

static void
on_connection(void *ctx, unsigned events)
{
	struct control *control = ctx;
	struct connection *connection;
	int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (control->connections.count == MAX_CONNECTIONS) {
		close(fd);
		return;
	}
	connection = synq_mem_new(sizeof(*connection));
	connection->control = control;
	connection->fd = fd;
	connection->limit = synq_timer_new(
	    supervisor_loop(control->supervisor), on_limit, connection);
	synq_list_push(&control->connections, &connection->link);
	if (synq_watch_new(supervisor_loop(control->supervisor), fd, on_request,
		connection, &connection->watch) != 0)
		connection_free(connection);
	else
		synq_watch_set(connection->watch, SYNQ_READABLE);
}

void
control_settle(struct control *control)
{
	struct synq_link *link;
	struct synq_link *after;
	struct synq_buf what;

	synq_buf_init(&what, 64 * 1024);
	if (supervisor_settled(control->supervisor, &what)) {
		synq_list_foreach (&control->connections, link, after) {
			struct connection *connection =
			    SYNQ_CONTAINER(link, struct connection, link);

			if (connection->waits)
				answer(connection, synq_slice_text("ok\n"));
		}
	}
	synq_buf_done(&what);
}

int
control_new(
    struct supervisor *supervisor, struct control **ret, struct synq_err *err)
{
	struct control *control = synq_mem_new(sizeof(*control));
	struct sockaddr_un address = { 0 };
	int folder = address_of(supervisor_dir(supervisor), &address);
	mode_t before = umask(0177);

	control->supervisor = supervisor;
	synq_list_init(&control->connections);
	control->fd =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Ours is the lock, so what is there is of the dead. */
	unlink(address.sun_path);
	if (folder < 0 || control->fd < 0 ||
	    bind(control->fd, (const struct sockaddr *)&address,
		sizeof(address)) != 0 ||
	    listen(control->fd, MAX_CONNECTIONS) != 0 ||
	    synq_watch_new(supervisor_loop(supervisor), control->fd,
		on_connection, control, &control->watch) != 0) {
		synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot listen at %s/run/"
		    "control: %s",
		    supervisor_dir(supervisor), strerror(errno));
		control_free(&control);
	} else {
		synq_watch_set(control->watch, SYNQ_READABLE);
	}
	umask(before);
	if (folder >= 0)
		close(folder);
	*ret = control;
	return control == NULL ? -SYNQ_E_SYSTEM : 0;
}

void
control_free(struct control **control_ptr)
{
	struct control *control = *control_ptr;
	struct sockaddr_un address = { 0 };
	struct synq_link *link;
	struct synq_link *after;
	int folder;

	if (control == NULL)
		return;
	folder = address_of(supervisor_dir(control->supervisor), &address);
	if (folder >= 0) {
		unlink(address.sun_path);
		close(folder);
	}
	synq_list_foreach (&control->connections, link, after)
		connection_free(SYNQ_CONTAINER(link, struct connection, link));
	synq_watch_free(&control->watch);
	if (control->fd >= 0)
		close(control->fd);
	synq_mem_free(control);
	*control_ptr = NULL;
}

static int
connect_to(const char *dir, uint32_t limit_ms)
{
	struct sockaddr_un address = { 0 };
	struct timeval limit = { .tv_sec = limit_ms / 1000 + 1 };
	int folder = address_of(dir, &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
	    (folder < 0 || connect(fd, (const struct sockaddr *)&address,
			       sizeof(address)) != 0)) {
		close(fd);
		fd = -1;
	}
	if (folder >= 0)
		close(folder);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* Take the first line of ${text} off; what it says is the result. */
static int
take_verdict(struct synq_buf *text, struct synq_err *err)
{
	char *end = text->bytes == 0 ? NULL : strchr(text->data, '\n');
	long code;
	char *rest;

	if (end == NULL)
		return synq_fail(err, SYNQ_E_UNAVAILABLE,
		    "the supervisor ended before it answered");
	*end = '\0';
	if (strcmp(text->data, "ok") == 0) {
		synq_buf_consume(text, 3);
		return 0;
	}
	code = strtol(text->data + strlen("error "), &rest, 10);
	if (code < 1 || code >= SYNQ_E_COUNT)
		code = SYNQ_E_SYSTEM;
	return synq_fail(err, (enum synq_code)code, "%s", rest + 1);
}

int
control_ask(const char *dir, const char *request, uint32_t limit_ms,
    struct synq_buf *out, struct synq_err *err)
{
	int fd = connect_to(dir, limit_ms);
	struct synq_buf line;
	ssize_t bytes = 1;
	char part[4096];

	if (fd < 0)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "nothing runs in %s; start it with: synq up", dir);
	synq_buf_init(&line, MAX_REQUEST_BYTES + 1);
	synq_buf_printf(&line, "%s\n", request);
	if (line.overflow || send(fd, line.data, line.bytes, MSG_NOSIGNAL) < 0)
		bytes = -1;
	synq_buf_done(&line);
	while (bytes > 0) {
		bytes = read(fd, part, sizeof(part));
		if (bytes > 0)
			synq_buf_add(out, part, (size_t)bytes);
	}
	close(fd);
	if (bytes < 0)
		return synq_fail(
		    err, SYNQ_E_TIMEOUT, "the supervisor does not answer");
	return take_verdict(out, err);
}
