#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "crypto/secret.h"
#include "ctl/up/ask.h"
#include "ctl/up/child.h"
#include "ctl/up/place.h"
#include "ctl/up/recipe.h"
#include "ctl/up/site.h"
#include "service/install.h"

/*
 * A private Redis with an append-only file.  Everything, the password above
 * all, is in its configuration file: words of a command line can be read by
 * anybody on the machine.
 */

#define STOP_LIMIT_MS 30000
#define PAUSE_NS 50000000L

static int
redis_prepare(const struct recipe_target *target, struct synq_err *err)
{
	const struct site *site = target->site;
	char *path = place_path(site->place->data, "redis/redis.conf");
	struct synq_secret *secret = NULL;
	struct synq_slice view;
	struct synq_buf text;
	char *folder = NULL;
	int rc;

	synq_buf_init(&text, 64 * 1024);
	rc = place_data_folder(site->place, "redis", &folder, err);
	if (rc == 0)
		rc = synq_install_secret(
		    site->place->dir, "redis.password", &secret, err);
	if (rc != 0)
		goto out;
	view = synq_secret_view(secret);
	synq_buf_printf(&text,
	    "bind 127.0.0.1\n"
	    "port %u\n"
	    "dir \"%s\"\n"
	    "requirepass %.*s\n"
	    "daemonize no\n"
	    "appendonly yes\n"
	    "appendfsync everysec\n"
	    "save \"\"\n"
	    "loglevel notice\n"
	    "tcp-keepalive 60\n",
	    (unsigned)site->redis_port, folder, (int)view.bytes, view.data);
	rc = place_write(site->place, path, synq_buf_view(&text), err);

out:
	synq_secret_free(&secret);
	synq_buf_done(&text);
	synq_mem_free(folder);
	synq_mem_free(path);
	return rc == 0 ? 0 : synq_wrap(err, rc, "the data of Redis");
}

static int
redis_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	const struct place *place = target->site->place;

	(void)err;
	child_word(order, place->redis);
	child_word(order,
	    synq_arena_printf(arena, "%s/redis/redis.conf", place->data));
	order->folder = synq_arena_printf(arena, "%s/redis", place->data);
	order->log = synq_arena_printf(arena, "%s/log/redis.log", place->dir);
	order->drops = 1;
	order->death_signal = SIGTERM;
	return 0;
}

/* 1 if Redis is ready, 0 if not yet, -1 if the password is wrong. */
static int
ask(const struct site *site, const struct synq_secret *secret)
{
	struct synq_slice view = synq_secret_view(secret);
	struct synq_buf request;
	struct synq_buf answer;
	int ret = 0;

	synq_buf_init(&request, 4096);
	synq_buf_init(&answer, 4096);
	synq_buf_printf(&request, "AUTH %.*s\r\nPING\r\nQUIT\r\n",
	    (int)view.bytes, view.data);
	if (ask_port(site->redis_port, synq_buf_view(&request), NULL, 1000,
		&answer) == 0 &&
	    answer.data != NULL) {
		if (strstr(answer.data, "+PONG") != NULL)
			ret = 1;
		else if (strstr(answer.data, "WRONGPASS") != NULL)
			ret = -1;
	}
	synq_secret_erase(request.data, request.bytes);
	synq_buf_done(&request);
	synq_buf_done(&answer);
	return ret;
}

static int
redis_probe(const struct recipe_target *target, struct synq_err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	uint64_t until_us =
	    synq_clock_mono_us() + RECIPE_READY_LIMIT_MS * 1000ULL;
	struct synq_secret *secret = NULL;
	int answer = 0;
	int rc = synq_install_secret(
	    target->site->place->dir, "redis.password", &secret, err);

	if (rc != 0)
		return rc;
	while (answer == 0 && synq_clock_mono_us() < until_us) {
		answer = ask(target->site, secret);
		if (answer == 0)
			nanosleep(&pause, NULL);
	}
	synq_secret_free(&secret);
	if (answer == 0)
		return synq_fail(
		    err, SYNQ_E_TIMEOUT, "Redis does not answer PING");
	if (answer < 0)
		return synq_fail(err, SYNQ_E_DENIED,
		    "Redis refuses the password in secrets/redis.password");
	return 0;
}

const struct recipe redis_recipe = {
	.name = "redis",
	.stop_signal = SIGTERM,
	.stop_limit_ms = STOP_LIMIT_MS,
	.prepare = redis_prepare,
	.order = redis_order,
	.probe = redis_probe,
};
