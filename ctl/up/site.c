#include "ctl/up/site.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "ctl/up/place.h"
#include "ctl/up/ports.h"
#include "ctl/up/secrets.h"
#include "ctl/up/tools.h"
#include "service/install.h"

/*
 * A server is private unless its address is configured somewhere else than in
 * run/servers.yaml, which is written here.
 */

/* 1 if ${section}.${name} of ${config} was set by a person. */
static int
is_chosen(
    const struct synq_config *config, const char *section, const char *name)
{
	const struct synq_option *option;
	struct synq_buf value;
	size_t i;
	int chosen;

	for (i = 0; (option = synq_option_at(i)) != NULL; i++) {
		if (strcmp(option->section, section) == 0 &&
		    strcmp(option->name, name) == 0)
			break;
	}
	if (option == NULL ||
	    synq_conf_origin(config, option) <= SYNQ_ORIGIN_SERVERS)
		return 0;
	synq_buf_init(&value, 64 * 1024);
	synq_conf_value(config, option, &value);
	chosen = value.bytes > 0;
	synq_buf_done(&value);
	return chosen;
}

static int
find_tools(struct site *site, struct synq_err *err)
{
	static const char *const programs[] = { "synq-intake",
		"synq-dispatcher", "synq-recorder" };
	int rc = 0;
	size_t i;

	if (site->owns_kafka)
		rc = tools_kafka(site->place, err);
	if (rc == 0 && site->owns_pg)
		rc = tools_pg(site->place, err);
	if (rc == 0 && site->owns_redis)
		rc = tools_redis(site->place, err);
	for (i = 0; rc == 0 && i < SYNQ_COUNT(programs); i++) {
		char *path = NULL;

		rc = tools_program(site->place, programs[i], &path, err);
		synq_mem_free(path);
	}
	return rc;
}

static int
take_ports(struct site *site, struct synq_err *err)
{
	struct ports *ports = site->ports;
	int rc = 0;

	if (site->owns_kafka)
		rc = ports_take(ports, "kafka", &site->kafka_port, err);
	if (rc == 0 && site->owns_kafka)
		rc = ports_take(
		    ports, "kafka-controller", &site->controller_port, err);
	if (rc == 0 && site->owns_pg)
		rc = ports_take(ports, "postgresql", &site->pg_port, err);
	if (rc == 0 && site->owns_redis)
		rc = ports_take(ports, "redis", &site->redis_port, err);
	if (rc == 0)
		rc = ports_save(ports, err);
	return rc;
}

static int
write_servers(const struct site *site, struct synq_err *err)
{
	char *path = place_path(site->place->dir, "run/servers.yaml");
	struct synq_buf yaml;
	int rc;

	synq_buf_init(&yaml, 4096);
	synq_buf_text(&yaml,
	    "# Written by synq up: the addresses of the private servers.\n");
	if (site->owns_kafka)
		synq_buf_printf(&yaml, "kafka:\n  brokers: 127.0.0.1:%u\n",
		    (unsigned)site->kafka_port);
	if (site->owns_pg)
		synq_buf_printf(&yaml,
		    "pg:\n  url: host=127.0.0.1 port=%u dbname=synq\n",
		    (unsigned)site->pg_port);
	if (site->owns_redis)
		synq_buf_printf(&yaml, "redis:\n  address: 127.0.0.1:%u\n",
		    (unsigned)site->redis_port);
	rc = synq_install_write(path, synq_buf_view(&yaml), err);
	synq_buf_done(&yaml);
	synq_mem_free(path);
	return rc;
}

/* The configuration once more, with the addresses just written. */
static int
reload(struct site *site, struct synq_err *err)
{
	const struct synq_conf_sources sources = {
		.dir = site->place->dir,
		.settings = site->settings,
	};
	struct synq_buf mistakes;
	int rc;

	synq_buf_init(&mistakes, 64 * 1024);
	rc = synq_conf_load(&sources, &site->config, &mistakes);
	if (rc != 0)
		synq_fail(err, SYNQ_E_CONFIG, "%.*s",
		    (int)strcspn(mistakes.data, "\n"), mistakes.data);
	synq_buf_done(&mistakes);
	return rc;
}

int
site_new(const char *dir, const struct synq_config *config,
    const char *const *settings, struct site **ret, struct synq_err *err)
{
	struct site *site = synq_mem_new(sizeof(*site));
	int rc;

	site->settings = settings;
	site->owns_kafka = !is_chosen(config, "kafka", "brokers");
	site->owns_pg = !is_chosen(config, "pg", "url");
	site->owns_redis = !is_chosen(config, "redis", "address");

	rc = place_new(dir, &site->place, err);
	if (rc == 0)
		rc = find_tools(site, err);
	if (rc == 0)
		rc = secrets_make(dir, err);
	if (rc == 0)
		rc = ports_load(dir, &site->ports, err);
	if (rc == 0)
		rc = take_ports(site, err);
	if (rc == 0)
		rc = write_servers(site, err);
	if (rc == 0)
		rc = reload(site, err);
	if (rc != 0) {
		site_free(&site);
		return rc;
	}
	*ret = site;
	return 0;
}

void
site_free(struct site **site)
{
	if (*site == NULL)
		return;
	ports_free(&(*site)->ports);
	synq_conf_free(&(*site)->config);
	place_free(&(*site)->place);
	synq_mem_free(*site);
	*site = NULL;
}
