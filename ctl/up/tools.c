#include "ctl/up/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/up/place.h"

#define MB (1024ULL * 1024)

/* The executable ${name} on PATH or in the usual folders; NULL if none. */
static char *
find_command(const char *name)
{
	const char *path = getenv("PATH");

	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path != '\0') {
		size_t bytes = strcspn(path, ":");
		char *folder = synq_mem_copy(path, bytes);
		char *file = place_path(bytes == 0 ? "." : folder, name);
		struct stat status;

		synq_mem_free(folder);
		if (stat(file, &status) == 0 && S_ISREG(status.st_mode) &&
		    access(file, X_OK) == 0)
			return file;
		synq_mem_free(file);
		path += bytes + (path[bytes] == ':');
	}
	return NULL;
}

/* The major version of the Java at ${java}; 0 if it does not say. */
static int
java_version(const char *java)
{
	static const char mark[] = "JAVA_VERSION=\"";
	char path[PATH_MAX];
	char line[256];
	char *release;
	FILE *file;
	int version = 0;

	if (realpath(java, path) == NULL)
		return 0;
	*strrchr(path, '/') = '\0';
	release = place_path(path, "../release");
	file = fopen(release, "re");
	synq_mem_free(release);
	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, mark, strlen(mark)) == 0)
			version = (int)strtol(line + strlen(mark), NULL, 10);
	}
	fclose(file);
	return version;
}

static int
find_java(struct place *place, struct synq_err *err)
{
	const char *home = getenv("JAVA_HOME");
	int version;

	place->java = find_command("java");
	if (place->java == NULL && home != NULL) {
		place->java = place_path(home, "bin/java");
		if (access(place->java, X_OK) != 0) {
			synq_mem_free(place->java);
			place->java = NULL;
		}
	}
	if (place->java == NULL)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "Java is missing, which Kafka needs: install it with "
		    "\"apt-get install openjdk-17-jre-headless\" or "
		    "\"compose/install run\", or set kafka.brokers to a "
		    "Kafka that runs already");
	version = java_version(place->java);
	if (version != 0 && version < 17)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "%s is Java %d, Kafka needs 17: install it with "
		    "\"apt-get install openjdk-17-jre-headless\"",
		    place->java, version);
	return 0;
}

static int
has_jars(const char *folder)
{
	char *pattern = place_path(folder, "kafka_*.jar");
	glob_t found;
	int rc = glob(pattern, GLOB_NOSORT, NULL, &found);

	if (rc == 0)
		globfree(&found);
	synq_mem_free(pattern);
	return rc == 0;
}

static int
find_jars(struct place *place, struct synq_err *err)
{
	static const char *const folders[] = { "kafka/lib", "../kafka/lib",
		"../build/kafka/lib", "../share/synq/kafka/lib" };
	const char *named = getenv("SYNQ_JARS");
	size_t i;

	if (named != NULL && named[0] != '\0') {
		if (!has_jars(named))
			return synq_fail(err, SYNQ_E_NOT_FOUND,
			    "Kafka's jars are not in %s (SYNQ_JARS): fetch "
			    "them with \"compose/install run\"",
			    named);
		place->jars = synq_mem_text(named);
		return 0;
	}
	for (i = 0; i < SYNQ_COUNT(folders); i++) {
		char *folder = place_path(place->programs, folders[i]);

		if (has_jars(folder)) {
			place->jars = folder;
			return 0;
		}
		synq_mem_free(folder);
	}
	return synq_fail(err, SYNQ_E_NOT_FOUND,
	    "Kafka's jars are missing: fetch them with \"compose/install "
	    "run\", or name their folder in SYNQ_JARS, or set kafka.brokers "
	    "to a Kafka that runs already");
}

static int
copy_file(const char *from, const char *to, struct synq_err *err)
{
	struct stat wanted;
	struct stat there;
	ssize_t bytes = 1;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = -1;
	int rc = 0;

	if (in >= 0 && fstat(in, &wanted) == 0 && stat(to, &there) == 0 &&
	    wanted.st_size == there.st_size) {
		close(in);
		return 0;
	}
	if (in >= 0)
		out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	while (out >= 0 && bytes > 0)
		bytes = copy_file_range(in, NULL, out, NULL, MB, 0);
	if (out < 0 || bytes < 0)
		rc = synq_fail(err, SYNQ_E_SYSTEM, "cannot copy %s to %s: %s",
		    from, to, strerror(errno));
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return rc;
}

/*
 * The servers' account cannot read the jars, as in a clone under root's home:
 * let it have a copy beside its data.
 */
static int
copy_jars(struct place *place, struct synq_err *err)
{
	char *pattern = place_path(place->jars, "*.jar");
	char *folder = place_path(place->data, "jars");
	glob_t found;
	size_t i;
	int rc = place_make_folder(folder, 0755, err);

	if (rc != 0 || glob(pattern, 0, NULL, &found) != 0)
		goto out;
	for (i = 0; i < found.gl_pathc && rc == 0; i++) {
		char *to =
		    place_path(folder, strrchr(found.gl_pathv[i], '/') + 1);

		rc = copy_file(found.gl_pathv[i], to, err);
		synq_mem_free(to);
	}
	globfree(&found);

out:
	synq_mem_free(pattern);
	if (rc != 0) {
		synq_mem_free(folder);
		return rc;
	}
	synq_mem_free(place->jars);
	place->jars = folder;
	return 0;
}

int
tools_kafka(struct place *place, struct synq_err *err)
{
	char path[PATH_MAX];
	int rc = find_java(place, err);

	if (rc == 0)
		rc = find_jars(place, err);
	if (rc != 0)
		return rc;
	if (realpath(place->jars, path) != NULL) {
		synq_mem_free(place->jars);
		place->jars = synq_mem_text(path);
	}
	if (place_account_can(place, place->jars, R_OK | X_OK))
		return 0;
	return copy_jars(place, err);
}

int
tools_pg(struct place *place, struct synq_err *err)
{
	glob_t found;
	char *file = NULL;
	long best = 0;
	size_t i;

	if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0) {
		for (i = 0; i < found.gl_pathc; i++) {
			const char *path = found.gl_pathv[i];
			long version = strtol(
			    path + strlen("/usr/lib/postgresql/"), NULL, 10);

			if (version < 15 || version <= best)
				continue;
			best = version;
			synq_mem_free(file);
			file = synq_mem_text(path);
		}
		globfree(&found);
	}
	if (file == NULL)
		file = find_command("postgres");
	if (file == NULL)
		return synq_fail(err, SYNQ_E_NOT_FOUND,
		    "PostgreSQL 15 is missing: install it with \"apt-get "
		    "install postgresql-15\" or \"compose/install run\", or "
		    "set pg.url to a server that runs already");
	*strrchr(file, '/') = '\0';
	place->pg_bin = file;
	return 0;
}

int
tools_redis(struct place *place, struct synq_err *err)
{
	place->redis = find_command("redis-server");
	if (place->redis != NULL)
		return 0;
	return synq_fail(err, SYNQ_E_NOT_FOUND,
	    "redis-server is missing: install it with \"apt-get install "
	    "redis-server\" or \"compose/install run\", or set redis.address "
	    "to a server that runs already");
}

int
tools_program(const struct place *place, const char *name, char **ret,
    struct synq_err *err)
{
	char *path = place_path(place->programs, name);

	if (access(path, X_OK) == 0) {
		*ret = path;
		return 0;
	}
	synq_fail(err, SYNQ_E_NOT_FOUND,
	    "the program %s is missing: build all programs with \"make\"",
	    path);
	synq_mem_free(path);
	return -SYNQ_E_NOT_FOUND;
}
