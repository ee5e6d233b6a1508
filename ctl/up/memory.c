#include "ctl/up/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PostgreSQL's server processes are children of its first one. */
#define MAX_CHILDREN 512

static uint64_t
from_rollup(pid_t pid)
{
	char path[64];
	char line[256];
	uint64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, "Private_", 8) == 0 &&
		    strncmp(line, "Private_Hugetlb", 15) != 0)
			kib += strtoull(strchr(line, ':') + 1, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return kib * 1024;
}

static uint64_t
from_statm(pid_t pid)
{
	char path[64];
	unsigned long long resident = 0;
	unsigned long long shared = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %llu %llu", &resident, &shared) != 2 ||
	    shared > resident)
		resident = shared = 0;
	fclose(file);
	return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
of_one(pid_t pid)
{
	uint64_t bytes = from_rollup(pid);

	return bytes > 0 ? bytes : from_statm(pid);
}

uint64_t
memory_private_bytes(pid_t pid)
{
	uint64_t bytes = of_one(pid);
	char path[64];
	FILE *file;
	int child;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
	    (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return bytes;
	while (count++ < MAX_CHILDREN && fscanf(file, "%d", &child) == 1)
		bytes += of_one(child);
	fclose(file);
	return bytes;
}
