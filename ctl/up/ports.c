#include "ctl/up/ports.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rand.h"
#include "ctl/up/file.h"
#include "ctl/up/place.h"
#include "service/install.h"
#include "json/write.h"

#define FIRST_PORT 20000
/* The ports above are for health servers, chosen anew at each start. */
#define PORT_COUNT 6000
#define MAX_PORTS 256
#define MAX_FILE_BYTES (64 * 1024)

struct kept {
	char name[64];
	uint16_t port;
};

struct ports {
	char *path;
	struct kept rows[MAX_PORTS];
	size_t count;
};

int
ports_is_free(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	int rc;

	if (fd < 0)
		return 0;
	/* Connections that have ended are no hindrance; listeners are. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	rc = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	if (rc == 0)
		rc = listen(fd, 1);
	close(fd);
	return rc == 0;
}

/* The inode of the socket that listens on ${port}; 0 if there is none. */
static unsigned long
listener_inode(const char *table, uint16_t port)
{
	char line[512];
	FILE *file = fopen(table, "re");
	unsigned long found = 0;

	while (file != NULL && found == 0 &&
	       fgets(line, sizeof(line), file) != NULL) {
		unsigned local;
		unsigned state;
		unsigned long inode;

		if (sscanf(line,
			" %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s "
			"%*u %*u %lu",
			&local, &state, &inode) == 3 &&
		    state == 0x0A && local == port)
			found = inode;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* 1 if a descriptor of the process ${pid} is the link ${wanted}. */
static int
has_link(const char *pid, const char *wanted)
{
	char path[1024];
	char link[128];
	const struct dirent *entry;
	DIR *folder;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	folder = opendir(path);
	while (folder != NULL && !found && (entry = readdir(folder)) != NULL) {
		ssize_t bytes;

		snprintf(
		    path, sizeof(path), "/proc/%s/fd/%s", pid, entry->d_name);
		bytes = readlink(path, link, sizeof(link) - 1);
		if (bytes > 0) {
			link[bytes] = '\0';
			found = strcmp(link, wanted) == 0;
		}
	}
	if (folder != NULL)
		closedir(folder);
	return found;
}

void
ports_owner(uint16_t port, char *ret, size_t room)
{
	unsigned long inode = listener_inode("/proc/net/tcp", port);
	const struct dirent *entry;
	char wanted[64];
	DIR *folder;

	ret[0] = '\0';
	if (inode == 0)
		inode = listener_inode("/proc/net/tcp6", port);
	folder = inode == 0 ? NULL : opendir("/proc");
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (folder != NULL && (entry = readdir(folder)) != NULL) {
		char path[512];
		char name[64] = "";
		FILE *file;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !has_link(entry->d_name, wanted))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file != NULL && fgets(name, sizeof(name), file) != NULL)
			name[strcspn(name, "\n")] = '\0';
		if (file != NULL)
			fclose(file);
		snprintf(ret, room, " (pid %s, %s)", entry->d_name, name);
		break;
	}
	if (folder != NULL)
		closedir(folder);
}

int
ports_load(const char *dir, struct ports **ret, struct synq_err *err)
{
	struct ports *ports = synq_mem_new(sizeof(*ports));
	struct synq_json_cursor cursor;
	struct synq_slice name;
	struct synq_json json;
	struct synq_buf text;
	int rc;

	ports->path = place_path(dir, "run/ports.json");
	synq_buf_init(&text, MAX_FILE_BYTES);
	rc = file_read_json(ports->path, &text, &json, err);
	if (rc == 0) {
		struct synq_json value;

		cursor = synq_json_walk(json);
		while (ports->count < MAX_PORTS &&
		       synq_json_next(&cursor, &name, &value)) {
			struct kept *kept = &ports->rows[ports->count];
			int64_t port = 0;

			if (synq_json_int(value, &port) != 0 || port < 1 ||
			    port > 65535 || name.bytes < 3 ||
			    name.bytes > sizeof(kept->name))
				continue;
			snprintf(kept->name, sizeof(kept->name), "%.*s",
			    (int)name.bytes - 2, name.data + 1);
			kept->port = (uint16_t)port;
			ports->count++;
		}
	}
	synq_buf_done(&text);
	if (rc != 0 && rc != -SYNQ_E_NOT_FOUND) {
		ports_free(&ports);
		return rc;
	}
	*ret = ports;
	return 0;
}

uint16_t
ports_find(const struct ports *ports, const char *name)
{
	size_t i;

	for (i = 0; i < ports->count; i++) {
		if (strcmp(ports->rows[i].name, name) == 0)
			return ports->rows[i].port;
	}
	return 0;
}

static int
is_kept(const struct ports *ports, uint16_t port)
{
	size_t i;

	for (i = 0; i < ports->count; i++) {
		if (ports->rows[i].port == port)
			return 1;
	}
	return 0;
}

int
ports_take(
    struct ports *ports, const char *name, uint16_t *ret, struct synq_err *err)
{
	uint16_t port = ports_find(ports, name);
	char owner[128];
	int tries;

	if (port != 0 && !ports_is_free(port)) {
		ports_owner(port, owner, sizeof(owner));
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "port %u, kept for %s, is in use by another program%s: "
		    "end that, or let synq choose new ports with: rm %s",
		    (unsigned)port, name, owner, ports->path);
	}
	for (tries = 0; port == 0 && tries < 1000; tries++) {
		uint16_t random;

		synq_rand_system(&random, sizeof(random));
		port = (uint16_t)(FIRST_PORT + random % PORT_COUNT);
		if (is_kept(ports, port) || !ports_is_free(port))
			port = 0;
	}
	if (port == 0 || ports->count == MAX_PORTS)
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "no port from %d to %d is free", FIRST_PORT,
		    FIRST_PORT + PORT_COUNT - 1);
	if (ports_find(ports, name) == 0) {
		struct kept *kept = &ports->rows[ports->count++];

		snprintf(kept->name, sizeof(kept->name), "%s", name);
		kept->port = port;
	}
	*ret = port;
	return 0;
}

int
ports_save(const struct ports *ports, struct synq_err *err)
{
	struct synq_json_writer json;
	struct synq_buf text;
	size_t i;
	int rc;

	synq_buf_init(&text, MAX_FILE_BYTES);
	synq_json_start(&json, &text);
	synq_json_open(&json, '{');
	for (i = 0; i < ports->count; i++) {
		synq_json_key(&json, ports->rows[i].name);
		synq_json_i64(&json, ports->rows[i].port);
	}
	synq_json_close(&json, '}');
	synq_buf_char(&text, '\n');
	rc = synq_install_write(ports->path, synq_buf_view(&text), err);
	synq_buf_done(&text);
	return rc;
}

void
ports_free(struct ports **ports)
{
	if (*ports == NULL)
		return;
	synq_mem_free((*ports)->path);
	synq_mem_free(*ports);
	*ports = NULL;
}
