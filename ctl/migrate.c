#include "ctl/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "crypto/hash.h"
#include "ctl/cli.h"
#include "ctl/print.h"
#include "ctl/roles.h"
#include "pg/session.h"

/*
 * Read the files, take the lock, make roles and database, compare the history
 * with the files, run each file that is missing in a transaction of its own
 * together with its line of history.
 *
 * Failure modes: the history is not a beginning of the files (a file changed,
 * or was applied by a newer program): nothing is touched.  A migration fails:
 * it is rolled back, those before it stay.
 */

#define MAX_VERSION 999
#define MAX_FILE_BYTES (1 << 20)
#define CHECKSUM_BYTES 32
#define CHECKSUM_CHARS (2 * CHECKSUM_BYTES)

struct migration {
	char *name; /* "0001_roles.sql"; owned */
	char *sql;  /* owned */
	char checksum[CHECKSUM_CHARS + 1];
};

/* What one call works on. */
struct work {
	char folder[PATH_MAX];
	struct migration *files; /* element 0 is version 1 */
	size_t count;
	struct synq_session *owner;
	struct synq_pg_rows *history; /* number, name, checksum; row 0 is 1 */
	size_t applied;
};

static const char make_history[] =
    "CREATE SCHEMA IF NOT EXISTS platform;\n"
    "CREATE TABLE IF NOT EXISTS platform.schema_migration (\n"
    "    version integer PRIMARY KEY,\n"
    "    name text NOT NULL,\n"
    "    checksum text NOT NULL,\n"
    "    applied_at timestamptz NOT NULL DEFAULT now()\n"
    ");\n";

/* ---- files ---- */

static int
is_folder(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/*
 * Where the files are, seen from the program: installed ones first, then the
 * build tree's, whose programs may lie a few folders down.
 */
static int
find_folder(char ret[PATH_MAX], struct synq_err *err)
{
	static const char *const places[] = { "../share/synq/sql",
		"../schema/sql", "../../schema/sql", "../../../schema/sql",
		"../../../../schema/sql" };
	char exe[PATH_MAX];
	ssize_t bytes = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char path[2 * PATH_MAX];
	char *slash;
	size_t i;

	if (bytes < 0)
		return synq_fail(err, SYNQ_E_SYSTEM,
		    "cannot read /proc/self/exe: %s", strerror(errno));
	exe[bytes] = '\0';
	slash = strrchr(exe, '/');
	if (slash != NULL)
		*slash = '\0';
	for (i = 0; i < SYNQ_COUNT(places); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", exe, places[i]);
		if (is_folder(path) && realpath(path, ret) != NULL)
			return 0;
	}
	return synq_fail(err, SYNQ_E_NOT_FOUND,
	    "the migrations are not beside %s; install Synq with make install",
	    exe);
}

static int
is_migration(const char *name)
{
	size_t chars = strlen(name);

	return strspn(name, "0123456789") == 4 && name[4] == '_' && chars > 9 &&
	       strcmp(name + chars - 4, ".sql") == 0;
}

static int
read_file(const char *path, struct migration *ret, struct synq_err *err)
{
	uint8_t hash[CHECKSUM_BYTES];
	struct stat status;
	ssize_t bytes = -1;
	size_t i;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && fstat(fd, &status) == 0 &&
	    status.st_size < MAX_FILE_BYTES) {
		ret->sql = synq_mem_new((size_t)status.st_size + 1);
		bytes = read(fd, ret->sql, (size_t)status.st_size);
	}
	if (fd >= 0)
		close(fd);
	if (bytes < 0 || bytes != status.st_size)
		return synq_fail(err, SYNQ_E_SYSTEM, "cannot read %s", path);
	synq_hash(NULL, synq_slice_text(ret->sql), hash, sizeof(hash));
	for (i = 0; i < sizeof(hash); i++)
		(void)snprintf(&ret->checksum[2 * i], 3, "%02x", hash[i]);
	return 0;
}

/* Note the file ${name} at its number in ${work}. */
static int
add_file(struct work *work, const char *name, struct synq_err *err)
{
	uint64_t version = 0;
	int rc = synq_slice_u64(synq_slice_of(name, 4), MAX_VERSION, &version);

	if (rc != 0 || version == 0)
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "%s/%s: migrations have numbers of 1 to %d", work->folder,
		    name, MAX_VERSION);
	if (work->files[version - 1].name != NULL)
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "%s: %s and %s have the same number", work->folder,
		    work->files[version - 1].name, name);
	work->files[version - 1].name = synq_mem_text(name);
	if (version > work->count)
		work->count = version;
	return 0;
}

static int
list_files(struct work *work, struct synq_err *err)
{
	DIR *folder = opendir(work->folder);
	const struct dirent *entry;
	int rc = 0;

	if (folder == NULL)
		return synq_fail(err, SYNQ_E_SYSTEM, "cannot read %s: %s",
		    work->folder, strerror(errno));
	while (rc == 0 && (entry = readdir(folder)) != NULL) {
		if (is_migration(entry->d_name))
			rc = add_file(work, entry->d_name, err);
	}
	closedir(folder);
	return rc;
}

static int
read_files(struct work *work, struct synq_err *err)
{
	char path[2 * PATH_MAX];
	size_t i;
	int rc;

	work->files = synq_mem_array(MAX_VERSION, sizeof(*work->files));
	rc = list_files(work, err);
	for (i = 0; rc == 0 && i < work->count; i++) {
		const char *name = work->files[i].name;

		if (name == NULL)
			return synq_fail(err, SYNQ_E_CONFLICT,
			    "%s: migration %04zu is missing", work->folder,
			    i + 1);
		(void)snprintf(path, sizeof(path), "%s/%s", work->folder, name);
		rc = read_file(path, &work->files[i], err);
	}
	return rc;
}

static int
work_init(struct work *work, struct synq_err *err)
{
	int rc;

	*work = (struct work){ .count = 0 };
	rc = find_folder(work->folder, err);
	if (rc == 0)
		rc = read_files(work, err);
	return rc;
}

static void
work_done(struct work *work)
{
	size_t i;

	synq_session_rows_free(&work->history);
	synq_session_free(&work->owner);
	for (i = 0; work->files != NULL && i < MAX_VERSION; i++) {
		synq_mem_free(work->files[i].name);
		synq_mem_free(work->files[i].sql);
	}
	synq_mem_free(work->files);
}

/* ---- history ---- */

static int
read_history(struct work *work, struct synq_err *err)
{
	static const struct synq_pg_statement select = {
		"SELECT version, name, checksum FROM platform.schema_migration"
		" ORDER BY version",
		NULL, 0
	};
	int rc = synq_session_query(work->owner, &select, &work->history, err);

	if (rc == 0)
		work->applied = synq_pg_row_count(work->history);
	return rc;
}

/* 1 if line ${index} of the history is the file with that number, else 0. */
static int
is_same(const struct work *work, size_t index)
{
	struct synq_slice checksum = synq_pg_get_slice(work->history, index, 2);

	return index < work->count &&
	       synq_pg_get_int(work->history, index, 0) == (int64_t)index + 1 &&
	       synq_slice_is(checksum, work->files[index].checksum);
}

/* The history must be a beginning of the files. */
static int
check_history(const struct work *work, struct synq_err *err)
{
	size_t i;

	for (i = 0; i < work->applied; i++) {
		struct synq_slice name = synq_pg_get_slice(work->history, i, 1);

		if (is_same(work, i))
			continue;
		if (i >= work->count)
			return synq_fail(err, SYNQ_E_CONFLICT,
			    "the database has %.*s, which this program does "
			    "not know: run the newer version of Synq",
			    (int)name.bytes, name.data);
		return synq_fail(err, SYNQ_E_CONFLICT,
		    "%s/%s is not what was applied as %.*s: restore the file "
		    "and put changes into a new one",
		    work->folder, work->files[i].name, (int)name.bytes,
		    name.data);
	}
	return 0;
}

static int
note_applied(const struct work *work, size_t index, struct synq_err *err)
{
	const struct migration *file = &work->files[index];
	const struct synq_pg_param params[] = {
		synq_pg_int4((int32_t)index + 1),
		synq_pg_text(synq_slice_text(file->name)),
		synq_pg_text(synq_slice_text(file->checksum)),
	};
	const struct synq_pg_statement insert = {
		"INSERT INTO platform.schema_migration"
		" (version, name, checksum) VALUES ($1, $2, $3)",
		params, 3
	};

	return synq_session_query(work->owner, &insert, NULL, err);
}

/* Run the file ${index} and note it, in one transaction. */
static int
run_file(const struct work *work, size_t index, struct synq_err *err)
{
	const struct migration *file = &work->files[index];
	int rc = synq_session_script(work->owner, "BEGIN", err);

	if (rc == 0)
		rc = synq_session_script(work->owner, file->sql, err);
	if (rc == 0)
		rc = note_applied(work, index, err);
	if (rc == 0)
		rc = synq_session_script(work->owner, "COMMIT", err);
	if (rc == 0)
		return 0;
	/* Where this fails the connection is gone, and with it all it did. */
	(void)!synq_session_script(work->owner, "ROLLBACK", NULL);
	return synq_wrap(err, rc, "%s/%s", work->folder, file->name);
}

/* ---- settings ---- */

/*
 * What can never change once there is data is noted at first and compared
 * from then on.
 */
static int
check_partitions(const struct work *work, const struct synq_config *config,
    struct synq_err *err)
{
	static const char sql[] =
	    "WITH made AS (INSERT INTO platform.setting (name, value)"
	    " VALUES ('kafka.partitions', $1) ON CONFLICT DO NOTHING"
	    " RETURNING value)"
	    " SELECT value FROM made UNION ALL"
	    " SELECT value FROM platform.setting"
	    " WHERE name = 'kafka.partitions'";
	struct synq_pg_rows *rows = NULL;
	struct synq_pg_param param;
	struct synq_pg_statement statement = { sql, &param, 1 };
	struct synq_slice value;
	char wanted[24];
	int rc;

	(void)snprintf(wanted, sizeof(wanted), "%lld",
	    (long long)config->kafka_partitions);
	param = synq_pg_text(synq_slice_text(wanted));
	rc = synq_session_query(work->owner, &statement, &rows, err);
	if (rc != 0)
		return rc;
	value = synq_pg_get_slice(rows, 0, 0);
	if (!synq_slice_is(value, wanted))
		rc = synq_fail(err, SYNQ_E_CONFIG,
		    "kafka.partitions is %s but this installation was made "
		    "with %.*s; set kafka.partitions: %.*s in synq.yaml",
		    wanted, (int)value.bytes, value.data, (int)value.bytes,
		    value.data);
	synq_session_rows_free(&rows);
	return rc;
}

/* ---- the whole ---- */

static int
apply_all(
    struct work *work, const struct synq_config *config, struct synq_err *err)
{
	size_t i;
	int rc = synq_session_script(work->owner, make_history, err);

	if (rc == 0)
		rc = read_history(work, err);
	if (rc == 0)
		rc = check_history(work, err);
	for (i = work->applied; rc == 0 && i < work->count; i++)
		rc = run_file(work, i, err);
	if (rc == 0)
		rc = check_partitions(work, config, err);
	return rc;
}

int
migrate_apply(
    const char *dir, const struct synq_config *config, struct synq_err *err)
{
	struct synq_session *super = NULL;
	struct work work;
	int rc = work_init(&work, err);

	if (rc == 0)
		rc = roles_lock(dir, config, &super, err);
	if (rc == 0)
		rc = roles_apply(super, dir, config, err);
	if (rc == 0)
		rc = roles_log_in(dir, config, "synq_owner", &work.owner, err);
	if (rc == 0)
		rc = apply_all(&work, config, err);
	work_done(&work);
	synq_session_free(&super);
	return rc;
}

static void
show(const struct work *work, struct synq_buf *out)
{
	size_t i;

	for (i = 0; i < work->count || i < work->applied; i++) {
		struct synq_slice name =
		    i < work->count ? synq_slice_text(work->files[i].name)
				    : synq_pg_get_slice(work->history, i, 1);
		const char *state = "pending";

		if (i >= work->count)
			state = "unknown";
		else if (i < work->applied)
			state = is_same(work, i) ? "applied" : "changed";
		synq_buf_printf(out, "%zu %.*s %s\n", i + 1, (int)name.bytes,
		    name.data, state);
	}
}

int
migrate_status(const char *dir, const struct synq_config *config,
    struct synq_buf *out, struct synq_err *err)
{
	struct work work;
	int rc = work_init(&work, err);

	if (rc == 0)
		rc = roles_log_in(dir, config, "synq_owner", &work.owner, err);
	if (rc == 0)
		rc = read_history(&work, err);
	if (rc == 0)
		show(&work, out);
	work_done(&work);
	return rc;
}

/* ---- the command ---- */

extern const struct cli_command cli_migrate_commands[];

/* Write the lines of migrate_status as a list. */
static int
print_status(const struct cli *cli, struct synq_buf *lines)
{
	static const struct print_column columns[] = {
		{ .name = "version", .type = PRINT_NUMBER },
		{ .name = "name" },
		{ .name = "state" },
	};
	struct print_table *table =
	    print_table_new(columns, SYNQ_COUNT(columns));
	char *line = lines->data;
	int code;

	while (line != NULL && *line != '\0') {
		const char *cells[SYNQ_COUNT(columns)];
		size_t i;

		for (i = 0; i < SYNQ_COUNT(columns); i++) {
			cells[i] = line;
			line += strcspn(line, " \n");
			*line++ = '\0';
		}
		print_table_add(table, cells);
	}
	code = print_table_list(cli, table);
	print_table_free(&table);
	return code;
}

static int
run_migrate(struct cli *cli)
{
	struct synq_err err = { 0 };
	struct synq_buf lines;
	int code = cli_config(cli);
	int rc = 0;

	if (code != 0)
		return code;
	synq_buf_init(&lines, MAX_FILE_BYTES);
	if (!cli_has(cli, "status"))
		rc = migrate_apply(cli->dir, cli->config, &err);
	if (rc == 0)
		rc = migrate_status(cli->dir, cli->config, &lines, &err);
	code = rc == 0 ? print_status(cli, &lines) : cli_fail(&err);
	synq_buf_done(&lines);
	return code;
}

static const struct cli_flag flags[] = {
	{ "status", NULL, "Change nothing, show what is applied." },
	{ NULL, NULL, NULL },
};

const struct cli_command cli_migrate_commands[] = {
	{ .noun = "migrate",
	    .summary = "Bring the database to what this version knows",
	    .examples = "$ synq migrate\n$ synq migrate --status -o json\n",
	    .flags = flags,
	    .run = run_migrate },
	{ .noun = NULL },
};
