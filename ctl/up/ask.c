#include "ctl/up/ask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

#define HTTP_LIMIT_MS 2000

static int
open_port(uint16_t port, uint32_t limit_ms)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	struct timeval limit = { .tv_sec = limit_ms / 1000,
		.tv_usec = (suseconds_t)(limit_ms % 1000) * 1000 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) ==
	    0)
		return fd;
	close(fd);
	return -1;
}

int
ask_port(uint16_t port, struct synq_slice request, const char *enough,
    uint32_t limit_ms, struct synq_buf *out)
{
	uint64_t until_us = synq_clock_mono_us() + limit_ms * 1000ULL;
	int fd = open_port(port, limit_ms);
	int rc = 0;

	if (fd < 0)
		return -SYNQ_E_UNAVAILABLE;
	if (send(fd, request.data, request.bytes, MSG_NOSIGNAL) !=
	    (ssize_t)request.bytes) {
		rc = -SYNQ_E_UNAVAILABLE;
		goto out;
	}
	while (rc == 0) {
		char part[4096];
		ssize_t bytes = recv(fd, part, sizeof(part), 0);

		if (bytes < 0 && errno == EINTR)
			continue;
		if (bytes < 0)
			rc = errno == EAGAIN ? -SYNQ_E_TIMEOUT
			                     : -SYNQ_E_UNAVAILABLE;
		if (bytes <= 0)
			break;
		if (synq_buf_add(out, part, (size_t)bytes) != 0)
			break;
		if (enough != NULL && strstr(out->data, enough) != NULL)
			break;
		if (synq_clock_mono_us() > until_us)
			rc = -SYNQ_E_TIMEOUT;
	}

out:
	close(fd);
	return rc;
}

int
ask_http(uint16_t port, const char *path, int *ret_status, struct synq_buf *out)
{
	struct synq_buf answer;
	char request[256];
	const char *body;
	int status = 0;
	int rc;

	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n",
	    path);
	synq_buf_init(&answer, 1024 * 1024);
	rc = ask_port(
	    port, synq_slice_text(request), NULL, HTTP_LIMIT_MS, &answer);
	if (rc == 0 && (answer.data == NULL || answer.bytes < 12))
		rc = -SYNQ_E_UNAVAILABLE;
	if (rc == 0) {
		status = (int)strtol(answer.data + 9, NULL, 10);
		body = strstr(answer.data, "\r\n\r\n");
		if (body != NULL)
			synq_buf_text(out, body + 4);
		*ret_status = status;
	}
	synq_buf_done(&answer);
	return rc;
}

int
ask_listens(uint16_t port)
{
	int fd = open_port(port, 1000);

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}
