#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "ctl/up/child.h"
#include "ctl/up/place.h"
#include "ctl/up/recipe.h"
#include "ctl/up/site.h"
#include "pg/session.h"
#include "service/install.h"

/*
 * A private cluster: TCP on loopback with passwords only, no Unix sockets.
 * initdb works in a folder of another name that is renamed when it is whole,
 * so that an interrupted first start leaves nothing half made.
 */

#define STOP_LIMIT_MS 30000
#define PAUSE_NS 50000000L

/*
 * synchronous_commit stays on for those who do not ask otherwise; jit costs
 * more than it brings for small statements; the rest bounds memory and disk
 * on a machine that does other things too.  After a crash all since the last
 * checkpoint but one is done again, at some 90 MB a second: max_wal_size is
 * four seconds of that.
 */
static const char *const settings[] = {
	"listen_addresses=127.0.0.1",
	"unix_socket_directories=",
	"fsync=on",
	"max_connections=200",
	"shared_buffers=128MB",
	"max_wal_size=400MB",
	"min_wal_size=160MB",
	"checkpoint_timeout=15min",
	"wal_compression=lz4",
	"jit=off",
	"timezone=UTC",
	"log_timezone=UTC",
	"logging_collector=off",
	"log_min_messages=warning",
	"log_line_prefix=%m [%p] %u@%d ",
	"password_encryption=scram-sha-256",
};

static int
write_password(const struct site *site, const char *path, struct synq_err *err)
{
	struct synq_secret *secret = NULL;
	struct synq_slice view;
	int rc = synq_install_secret(
	    site->place->dir, "pg.synq_super", &secret, err);

	if (rc != 0)
		return rc;
	view = synq_secret_view(secret);
	rc = place_write(site->place, path, view, err);
	synq_secret_free(&secret);
	return rc;
}

static int
run_initdb(const struct site *site, const char *fresh, const char *password,
    struct synq_err *err)
{
	const struct place *place = site->place;
	struct synq_arena *arena = synq_arena_new(4096, 1024 * 1024);
	struct child_order order = { .drops = 1, .death_signal = SIGKILL };
	int rc;

	child_word(
	    &order, synq_arena_printf(arena, "%s/initdb", place->pg_bin));
	child_word(&order, "--encoding=UTF8");
	child_word(&order, "--locale=C.UTF-8");
	child_word(&order, "--auth=scram-sha-256");
	child_word(&order, "--username=synq_super");
	child_word(&order, "--data-checksums");
	child_word(&order, synq_arena_printf(arena, "--pwfile=%s", password));
	child_word(&order, synq_arena_printf(arena, "--pgdata=%s", fresh));
	order.folder = synq_arena_printf(arena, "%s/pg", place->data);
	order.log =
	    synq_arena_printf(arena, "%s/log/postgresql.log", place->dir);
	rc = child_run(place, &order, err);
	synq_arena_free(&arena);
	return rc;
}

/* Remove what an interrupted initdb has left. */
static int
remove_remains(const struct site *site, const char *fresh, struct synq_err *err)
{
	const struct place *place = site->place;
	char *log = place_path(place->dir, "log/postgresql.log");
	struct child_order order = { .drops = 1, .death_signal = SIGKILL };
	int rc = 0;

	if (access(fresh, F_OK) == 0) {
		child_word(&order, "/bin/rm");
		child_word(&order, "-rf");
		child_word(&order, fresh);
		order.folder = place->data;
		order.log = log;
		rc = child_run(place, &order, err);
	}
	synq_mem_free(log);
	return rc;
}

static int
postgres_prepare(const struct recipe_target *target, struct synq_err *err)
{
	const struct site *site = target->site;
	const struct place *place = site->place;
	char *cluster = place_path(place->data, "pg/cluster");
	char *fresh = place_path(place->data, "pg/cluster.new");
	char *password = place_path(place->data, "pg/password");
	char *folder = NULL;
	int rc = place_data_folder(place, "pg", &folder, err);

	if (rc != 0 || access(cluster, F_OK) == 0)
		goto out;
	rc = remove_remains(site, fresh, err);
	if (rc == 0)
		rc = write_password(site, password, err);
	if (rc == 0)
		rc = run_initdb(site, fresh, password, err);
	unlink(password);
	if (rc == 0 && rename(fresh, cluster) != 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "rename %s: %s", fresh,
		    strerror(errno));

out:
	synq_mem_free(folder);
	synq_mem_free(cluster);
	synq_mem_free(fresh);
	synq_mem_free(password);
	return rc == 0 ? 0 : synq_wrap(err, rc, "PostgreSQL's data");
}

static int
postgres_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	const struct place *place = target->site->place;
	size_t i;

	(void)err;
	child_word(
	    order, synq_arena_printf(arena, "%s/postgres", place->pg_bin));
	child_word(order, "-D");
	child_word(
	    order, synq_arena_printf(arena, "%s/pg/cluster", place->data));
	child_word(order, "-p");
	child_word(order,
	    synq_arena_printf(arena, "%u", (unsigned)target->site->pg_port));
	for (i = 0; i < SYNQ_COUNT(settings); i++) {
		child_word(order, "-c");
		child_word(order, settings[i]);
	}
	order->folder = synq_arena_printf(arena, "%s/pg", place->data);
	order->log =
	    synq_arena_printf(arena, "%s/log/postgresql.log", place->dir);
	order->drops = 1;
	/* The fast shutdown: clients are cut off, nothing is lost. */
	order->death_signal = SIGINT;
	return 0;
}

static int
add_url(const struct site *site, struct synq_buf *url, struct synq_err *err)
{
	struct synq_secret *secret = NULL;
	struct synq_slice view;
	int rc = synq_install_secret(
	    site->place->dir, "pg.synq_super", &secret, err);

	if (rc != 0)
		return rc;
	view = synq_secret_view(secret);
	synq_buf_printf(url,
	    "host=127.0.0.1 port=%u dbname=postgres user=synq_super "
	    "password=%.*s",
	    (unsigned)site->pg_port, (int)view.bytes, view.data);
	synq_secret_free(&secret);
	return 0;
}

static int
postgres_probe(const struct recipe_target *target, struct synq_err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until_us =
	    synq_clock_mono_us() + RECIPE_READY_LIMIT_MS * 1000ULL;
	struct synq_buf url;
	int rc;

	synq_buf_init(&url, 4096);
	rc = add_url(target->site, &url, err);
	while (rc == 0) {
		struct synq_session *session = NULL;

		rc = synq_session_new(url.data, 2000, &session, err);
		synq_session_free(&session);
		if (rc == 0 || rc == -SYNQ_E_DENIED ||
		    synq_clock_mono_us() > until_us)
			break;
		nanosleep(&pause, NULL);
		rc = 0;
	}
	if (rc == -SYNQ_E_DENIED)
		synq_wrap(err, rc,
		    "the password in secrets/pg.synq_super is not that of "
		    "this data");
	synq_buf_done(&url);
	return rc;
}

const struct recipe postgres_recipe = {
	.name = "postgresql",
	.stop_signal = SIGINT,
	.stop_limit_ms = STOP_LIMIT_MS,
	.prepare = postgres_prepare,
	.order = postgres_order,
	.probe = postgres_probe,
};
