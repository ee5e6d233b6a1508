#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ctl/up/file.h"
#include "ctl/up/inner.h"
#include "ctl/up/place.h"
#include "ctl/up/ports.h"
#include "ctl/up/site.h"
#include "service/install.h"
#include "json/write.h"

/*
 * Which units there are: the private servers, and as many instances of each
 * program as run/scale.json says (one of each at first).
 */

#define MAX_FILE_BYTES (64 * 1024)

static const struct recipe *const programs[] = { &program_intake,
	&program_dispatcher, &program_recorder };

int
units_rank(const struct recipe *recipe)
{
	int rank;

	for (rank = 0; rank < (int)SYNQ_COUNT(programs); rank++) {
		if (programs[rank] == recipe)
			break;
	}
	return rank;
}

uint64_t
units_stop_limit_ms(const struct supervisor *supervisor, int rank)
{
	struct synq_link *link, *after;
	uint64_t most_ms = 0;

	synq_list_foreach (&supervisor->units, link, after) {
		const struct unit *unit =
		    SYNQ_CONTAINER(link, struct unit, link);

		if (units_rank(unit->recipe) == rank &&
		    unit->stop_limit_ms > most_ms)
			most_ms = unit->stop_limit_ms;
	}
	return most_ms;
}

const struct recipe *
units_program(const char *name)
{
	size_t i;

	for (i = 0; i < SYNQ_COUNT(programs); i++) {
		if (strcmp(programs[i]->name, name) == 0)
			return programs[i];
	}
	return NULL;
}

struct unit *
units_find(const struct supervisor *supervisor, const char *name)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&supervisor->units, link, after) {
		struct unit *unit = SYNQ_CONTAINER(link, struct unit, link);

		if (strcmp(unit->name, name) == 0)
			return unit;
	}
	return NULL;
}

static struct unit *
add(struct supervisor *supervisor, const struct unit_hooks *hooks,
    const struct recipe *recipe, const char *name, uint16_t port)
{
	struct unit *unit =
	    unit_new(supervisor->loop, supervisor->site, recipe, name, port);

	unit->hooks = *hooks;
	synq_list_push(&supervisor->units, &unit->link);
	return unit;
}

void
units_add_servers(struct supervisor *supervisor, const struct unit_hooks *hooks)
{
	const struct site *site = supervisor->site;

	if (site->owns_kafka)
		add(supervisor, hooks, &kafka_recipe, kafka_recipe.name,
		    site->kafka_port);
	if (site->owns_pg)
		add(supervisor, hooks, &postgres_recipe, postgres_recipe.name,
		    site->pg_port);
	if (site->owns_redis)
		add(supervisor, hooks, &redis_recipe, redis_recipe.name,
		    site->redis_port);
}

static int
intake_port(const struct site *site, const char *name, uint64_t number,
    uint16_t *ret, struct synq_err *err)
{
	uint16_t wanted = (uint16_t)site->config->intake_port;
	char owner[128];
	int rc;

	if (number != 1 || wanted == 0) {
		rc = ports_take(site->ports, name, ret, err);
		return rc != 0 ? rc : ports_save(site->ports, err);
	}
	if (!ports_is_free(wanted)) {
		ports_owner(wanted, owner, sizeof(owner));
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "port %u (intake.port) is in use by another program%s: "
		    "end that, or choose another port in %s/synq.yaml",
		    (unsigned)wanted, owner, site->place->dir);
	}
	*ret = wanted;
	return 0;
}

static int
add_program(struct supervisor *supervisor, const struct unit_hooks *hooks,
    const struct recipe *recipe, uint64_t number, struct synq_err *err)
{
	char name[64];
	uint16_t port = 0;
	int rc = 0;

	snprintf(name, sizeof(name), "%s-%llu", recipe->name,
	    (unsigned long long)number);
	if (units_find(supervisor, name) != NULL)
		return 0;
	if (recipe == &program_intake)
		rc = intake_port(supervisor->site, name, number, &port, err);
	if (rc == 0)
		add(supervisor, hooks, recipe, name, port);
	return rc;
}

/* How many instances of ${recipe} the file ${json} asks for. */
static uint64_t
wanted_of(struct synq_json json, const struct recipe *recipe)
{
	int64_t count = 1;

	if (synq_json_int(synq_json_member(json, recipe->name), &count) != 0 ||
	    count < 0 || count > SUPERVISOR_MAX_INSTANCES)
		return 1;
	return (uint64_t)count;
}

int
units_add_programs(struct supervisor *supervisor,
    const struct unit_hooks *hooks, struct synq_err *err)
{
	char *path = place_path(supervisor->site->place->dir, "run/scale.json");
	struct synq_json json = { .type = SYNQ_JSON_NONE };
	struct synq_err ignored;
	struct synq_buf text;
	size_t i;
	int rc = 0;

	synq_buf_init(&text, MAX_FILE_BYTES);
	if (file_read_json(path, &text, &json, &ignored) != 0)
		json.type = SYNQ_JSON_NONE;
	for (i = 0; rc == 0 && i < SYNQ_COUNT(programs); i++) {
		uint64_t wanted = wanted_of(json, programs[i]);
		uint64_t number;

		for (number = 1; rc == 0 && number <= wanted; number++)
			rc = add_program(
			    supervisor, hooks, programs[i], number, err);
	}
	synq_buf_done(&text);
	synq_mem_free(path);
	return rc;
}

/* Keep how many instances there are, those that are stopping left out. */
static int
save_scale(const struct supervisor *supervisor, struct synq_err *err)
{
	char *path = place_path(supervisor->site->place->dir, "run/scale.json");
	struct synq_json_writer json;
	struct synq_link *link;
	struct synq_link *after;
	struct synq_buf text;
	size_t i;
	int rc;

	synq_buf_init(&text, MAX_FILE_BYTES);
	synq_json_start(&json, &text);
	synq_json_open(&json, '{');
	for (i = 0; i < SYNQ_COUNT(programs); i++) {
		int64_t count = 0;

		synq_list_foreach (&supervisor->units, link, after) {
			const struct unit *unit =
			    SYNQ_CONTAINER(link, struct unit, link);

			if (unit->recipe == programs[i] &&
			    (unit->again || (unit->state != UNIT_STOPPING &&
						unit->state != UNIT_IDLE)))
				count++;
		}
		synq_json_key(&json, programs[i]->name);
		synq_json_i64(&json, count);
	}
	synq_json_close(&json, '}');
	synq_buf_char(&text, '\n');
	rc = synq_install_write(path, synq_buf_view(&text), err);
	synq_buf_done(&text);
	synq_mem_free(path);
	return rc;
}

/* Stop and drop the instance ${number} of ${program}, if there is one. */
static void
remove_program(struct supervisor *supervisor, const struct recipe *program,
    uint64_t number)
{
	struct unit *unit;
	char name[64];

	snprintf(name, sizeof(name), "%s-%llu", program->name,
	    (unsigned long long)number);
	unit = units_find(supervisor, name);
	if (unit != NULL)
		unit_stop(unit);
}

int
units_scale(struct supervisor *supervisor, const struct unit_hooks *hooks,
    const struct recipe *program, uint64_t count, struct synq_err *err)
{
	uint64_t number;
	int rc = 0;

	for (number = 1; rc == 0 && number <= count; number++) {
		char name[64];
		struct unit *unit;

		rc = add_program(supervisor, hooks, program, number, err);
		snprintf(name, sizeof(name), "%s-%llu", program->name,
		    (unsigned long long)number);
		unit = units_find(supervisor, name);
		if (unit != NULL && unit->state == UNIT_IDLE)
			unit_start(unit);
		else if (unit != NULL && unit->state == UNIT_STOPPING)
			unit->again = 1;
	}
	for (; rc == 0 && number <= SUPERVISOR_MAX_INSTANCES; number++)
		remove_program(supervisor, program, number);
	return rc == 0 ? save_scale(supervisor, err) : rc;
}

void
units_note(const struct supervisor *supervisor)
{
	char *path =
	    place_path(supervisor->site->place->dir, "run/children.json");
	struct synq_json_writer json;
	struct synq_link *link;
	struct synq_link *after;
	struct synq_buf text;
	struct synq_err err;

	synq_buf_init(&text, MAX_FILE_BYTES);
	synq_json_start(&json, &text);
	synq_json_open(&json, '[');
	synq_list_foreach (&supervisor->units, link, after) {
		const struct unit *unit =
		    SYNQ_CONTAINER(link, struct unit, link);

		if (unit->child.pid == 0)
			continue;
		synq_json_open(&json, '{');
		synq_json_key(&json, "name");
		synq_json_text(&json, unit->name);
		synq_json_key(&json, "pid");
		synq_json_i64(&json, unit->child.pid);
		synq_json_key(&json, "ticks");
		synq_json_i64(&json, (int64_t)child_ticks(unit->child.pid));
		synq_json_close(&json, '}');
	}
	synq_json_close(&json, ']');
	synq_buf_char(&text, '\n');
	/* It only speeds up the start after a crash of the supervisor. */
	if (synq_install_write(path, synq_buf_view(&text), &err) != 0)
		synq_log(SYNQ_LOG_WARN, "supervisor.note_failed",
		    SYNQ_F_ERR(&err), SYNQ_F_END);
	synq_buf_done(&text);
	synq_mem_free(path);
}
