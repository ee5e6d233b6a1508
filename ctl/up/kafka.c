#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "codec/text.h"
#include "conf/conf.h"
#include "crypto/hash.h"
#include "ctl/up/child.h"
#include "ctl/up/place.h"
#include "ctl/up/recipe.h"
#include "ctl/up/site.h"
#include "kafka/admin.h"

/*
 * One broker that is its own controller.  What is not a default, and why:
 *
 * broker.session.timeout.ms  after a SIGKILL the broker waits for its own old
 *                            session to end; 3 s instead of 11 to 15
 * log level error            information doubles the start, quadruples the stop
 * serial GC, first compiler  a quick start matters more than peak speed; one
 *                            that runs for long: kafka.java_options
 * -Xmx256m                   128 MB are enough for a small load
 * class data archive         halves the start; made at the first stop with a
 *                            set of jars, then shared by all installations
 * offsets.retention.minutes  30 days: an idle consumer keeps its place
 */

#define CLUSTER_ID "MkU3OEVBNTcwNTJENDM2Qk"
/* The stop that writes the archive takes 7 s, more on a busy machine. */
#define STOP_LIMIT_MS 60000
#define MAX_JAVA_OPTIONS 32

static const char log_settings[] =
    "status=error\n"
    "appender.f.type=Console\n"
    "appender.f.name=out\n"
    "appender.f.layout.type=PatternLayout\n"
    "appender.f.layout.pattern=%d %p %c{1} - %m%n\n"
    "rootLogger.level=error\n"
    "rootLogger.appenderRef.f.ref=out\n";

/*
 * After a crash the broker reads the newest segment of every partition again,
 * which took a third of its start with segments of 1 GB: they are small.
 */
static const char fixed_settings[] =
    "process.roles=broker,controller\n"
    "node.id=1\n"
    "controller.listener.names=CONTROLLER\n"
    "offsets.topic.replication.factor=1\n"
    "offsets.topic.num.partitions=4\n"
    "offsets.retention.minutes=43200\n"
    "transaction.state.log.replication.factor=1\n"
    "transaction.state.log.min.isr=1\n"
    "transaction.state.log.num.partitions=4\n"
    "group.initial.rebalance.delay.ms=0\n"
    "auto.create.topics.enable=false\n"
    "num.network.threads=2\n"
    "num.io.threads=2\n"
    "log.segment.bytes=8388608\n"
    "log.cleaner.dedupe.buffer.size=4194304\n"
    "broker.session.timeout.ms=2000\n"
    "broker.heartbeat.interval.ms=500\n";

/*
 * The name of the archive for this Java and these jars: one that does not fit
 * would be ignored without a word.
 */
static void
archive_name(const struct place *place, char ret[64])
{
	char *pattern = place_path(place->jars, "*.jar");
	struct synq_buf text;
	struct synq_buf hex;
	uint8_t hash[16];
	glob_t found;
	size_t i;

	synq_buf_init(&text, 1024 * 1024);
	synq_buf_init(&hex, 64);
	synq_buf_printf(&text, "%s\n", place->java);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (i = 0; i < found.gl_pathc; i++) {
			struct stat status = { 0 };

			stat(found.gl_pathv[i], &status);
			synq_buf_printf(&text, "%s %lld %lld\n",
			    found.gl_pathv[i], (long long)status.st_size,
			    (long long)status.st_mtim.tv_sec);
		}
		globfree(&found);
	}
	synq_hash(NULL, synq_buf_view(&text), hash, sizeof(hash));
	synq_hex_encode(&hex, synq_slice_of(hash, 8));
	snprintf(ret, 64, "classes-%s.jsa", hex.data);
	synq_buf_done(&hex);
	synq_buf_done(&text);
	synq_mem_free(pattern);
}

/*
 * Where the archive of ${place} lies: beside the jars, for all installations,
 * or, if we may not write there, in this one's data.
 */
static void
archive_paths(
    const struct place *place, struct synq_buf *shared, struct synq_buf *own)
{
	char name[64];

	archive_name(place, name);
	synq_buf_init(shared, 8192);
	synq_buf_init(own, 8192);
	synq_buf_printf(shared, "%s/../%s", place->jars, name);
	synq_buf_printf(own, "%s/kafka/%s", place->data, name);
}

/* The flag that uses the archive; NULL while there is none. */
static const char *
archive_in_use(const struct place *place, struct synq_arena *arena)
{
	struct synq_buf shared;
	struct synq_buf own;
	const char *flag = NULL;

	archive_paths(place, &shared, &own);
	if (place_account_can(place, shared.data, R_OK))
		flag = synq_arena_printf(
		    arena, "-XX:SharedArchiveFile=%s", shared.data);
	else if (place_account_can(place, own.data, R_OK))
		flag = synq_arena_printf(
		    arena, "-XX:SharedArchiveFile=%s", own.data);
	synq_buf_done(&shared);
	synq_buf_done(&own);
	return flag;
}

/* The flag that uses the archive, or makes it at the next stop. */
static const char *
archive_flag(const struct place *place, struct synq_arena *arena)
{
	const char *flag = archive_in_use(place, arena);

	if (flag == NULL)
		flag = synq_arena_printf(arena,
		    "-XX:ArchiveClassesAtExit=%s/kafka/classes.new",
		    place->data);
	return flag;
}

/* The words that every start of Java here has. */
static void
add_java(const struct place *place, struct child_order *order,
    struct synq_arena *arena, const char *archive)
{
	child_word(order, place->java);
	child_word(order, "-Xmx256m");
	child_word(order, "-XX:+UseSerialGC");
	child_word(order, "-XX:TieredStopAtLevel=1");
	child_word(order, "-Xlog:disable");
	if (archive != NULL)
		child_word(order, archive);
	child_word(
	    order, synq_arena_printf(arena,
		       "-Dlog4j2.configurationFile=%s/kafka/log4j2.properties",
		       place->data));
	child_word(order, "-cp");
	child_word(order, synq_arena_printf(arena, "%s/*", place->jars));
	order->folder = synq_arena_printf(arena, "%s/kafka", place->data);
	order->log = synq_arena_printf(arena, "%s/log/kafka.log", place->dir);
	order->drops = 1;
}

static int
write_settings(const struct site *site, struct synq_err *err)
{
	const struct place *place = site->place;
	char *path = place_path(place->data, "kafka/server.properties");
	struct synq_buf text;
	int rc;

	synq_buf_init(&text, 64 * 1024);
	synq_buf_text(&text, fixed_settings);
	synq_buf_printf(&text,
	    "controller.quorum.voters=1@127.0.0.1:%u\n"
	    "listeners=PLAINTEXT://127.0.0.1:%u,CONTROLLER://127.0.0.1:%u\n"
	    "log.dirs=%s/kafka/data\n",
	    (unsigned)site->controller_port, (unsigned)site->kafka_port,
	    (unsigned)site->controller_port, place->data);
	rc = place_write(place, path, synq_buf_view(&text), err);
	synq_buf_done(&text);
	synq_mem_free(path);
	if (rc != 0)
		return rc;
	path = place_path(place->data, "kafka/log4j2.properties");
	rc = place_write(place, path, synq_slice_text(log_settings), err);
	synq_mem_free(path);
	return rc;
}

/* Give the broker's folder its identity, once. */
static int
format(const struct site *site, struct synq_err *err)
{
	const struct place *place = site->place;
	char *mark = place_path(place->data, "kafka/data/meta.properties");
	struct child_order order = { .death_signal = SIGKILL };
	struct synq_arena *arena = NULL;
	int rc = 0;

	if (access(mark, F_OK) == 0)
		goto out;
	arena = synq_arena_new(4096, 1024 * 1024);
	add_java(place, &order, arena, archive_in_use(place, arena));
	child_word(&order, "kafka.tools.StorageTool");
	child_word(&order, "format");
	child_word(&order, "-t");
	child_word(&order, CLUSTER_ID);
	child_word(&order, "-c");
	child_word(&order, synq_arena_printf(arena,
			       "%s/kafka/server.properties", place->data));
	child_word(&order, "--ignore-formatted");
	rc = child_run(place, &order, err);

out:
	synq_arena_free(&arena);
	synq_mem_free(mark);
	return rc;
}

static int
kafka_prepare(const struct recipe_target *target, struct synq_err *err)
{
	char *folder = NULL;
	int rc = place_data_folder(target->site->place, "kafka", &folder, err);

	synq_mem_free(folder);
	if (rc == 0)
		rc = write_settings(target->site, err);
	if (rc == 0)
		rc = format(target->site, err);
	return rc == 0 ? 0 : synq_wrap(err, rc, "Kafka's data");
}

/* The operator's words for Java; of one kind the last counts. */
static int
add_options(const char *options, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	char *rest = synq_arena_printf(arena, "%s", options);
	size_t most = order->argc + MAX_JAVA_OPTIONS;
	char *word;

	while ((word = strtok_r(rest, " ", &rest)) != NULL) {
		if (order->argc == most)
			return synq_fail(err, SYNQ_E_CONFIG,
			    "kafka.java_options has more than %d words",
			    MAX_JAVA_OPTIONS);
		child_word(order, word);
	}
	return 0;
}

static int
kafka_order(const struct recipe_target *target, struct child_order *order,
    struct synq_arena *arena, struct synq_err *err)
{
	const struct place *place = target->site->place;
	int rc;

	add_java(place, order, arena, archive_flag(place, arena));
	rc = add_options(
	    target->site->config->kafka_java_options, order, arena, err);
	if (rc != 0)
		return rc;
	child_word(order, "kafka.Kafka");
	child_word(order, synq_arena_printf(arena, "%s/kafka/server.properties",
			      place->data));
	order->death_signal = SIGTERM;
	return 0;
}

static int
kafka_probe(const struct recipe_target *target, struct synq_err *err)
{
	return synq_kafka_wait(
	    target->site->config->kafka_brokers, RECIPE_READY_LIMIT_MS, err);
}

/* Copy the file ${from} to ${to}, which appears as a whole; 0 or -1. */
static int
publish(const char *from, const char *to)
{
	struct synq_buf beside;
	ssize_t bytes = 1;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = -1;
	int rc = -1;

	synq_buf_init(&beside, 8192);
	synq_buf_printf(&beside, "%s.%d.new", to, (int)getpid());
	if (in >= 0)
		out = open(beside.data,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	while (out >= 0 && bytes > 0)
		bytes = copy_file_range(in, NULL, out, NULL, 1 << 20, 0);
	if (out >= 0 && bytes == 0 && fchmod(out, 0644) == 0 &&
	    rename(beside.data, to) == 0)
		rc = 0;
	else if (out >= 0)
		unlink(beside.data);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	synq_buf_done(&beside);
	return rc;
}

/* Let all installations with these jars have the archive just made. */
static void
kafka_ended(const struct recipe_target *target)
{
	const struct place *place = target->site->place;
	char *fresh = place_path(place->data, "kafka/classes.new");
	struct synq_buf shared;
	struct synq_buf own;

	archive_paths(place, &shared, &own);
	if (access(fresh, F_OK) == 0 && publish(fresh, shared.data) != 0 &&
	    rename(fresh, own.data) != 0)
		unlink(fresh);
	unlink(fresh);
	synq_buf_done(&shared);
	synq_buf_done(&own);
	synq_mem_free(fresh);
}

const struct recipe kafka_recipe = {
	.name = "kafka",
	.stop_signal = SIGTERM,
	.stop_limit_ms = STOP_LIMIT_MS,
	.prepare = kafka_prepare,
	.order = kafka_order,
	.probe = kafka_probe,
	.ended = kafka_ended,
};
