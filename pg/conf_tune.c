/* Settings that follow from the machine: memory and processors. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/file.h"
#include "pg/conf.h"

#include "ini/ban.h"

#define MB (INT64_C(1024) * 1024)
#define GB (1024 * MB)

/* A container's limit counts, when it is less than the machine has. */
static int64_t
cgroup_memory(void)
{
	static const char *const files[] = { "/sys/fs/cgroup/memory.max",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes" };
	int64_t limit = 0;

	for (size_t i = 0; i < sizeof files / sizeof files[0] && limit <= 0; i++) {
		struct buf text = { 0 };

		if (file_read(files[i], &text, NULL) == 0)
			limit = strtoll(buf_peek(&text), NULL, 10); /* "max": 0 */
		buf_drop(&text);
	}
	return limit;
}

/* Tests run many servers beside each other. */
static bool
small(void)
{
	return getenv("PG_AUTOCTL_DEBUG") && getenv("PG_REGRESS_SOCK_DIR");
}

int64_t
conf_machine_memory(void)
{
	int64_t limit = cgroup_memory();
	struct sysinfo si;
	int64_t ram;

	if (small() || sysinfo(&si))
		return 0;
	ram = (int64_t)si.totalram * (int64_t)si.mem_unit;
	return limit > 0 && limit < ram ? limit : ram;
}

int
conf_machine_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return small() || n < 1 ? 1 : (int)n;
}

static void
size_line(struct buf *b, const char *name, int64_t bytes)
{
	if (bytes % GB == 0)
		buf_printf(b, "%s = '%lld GB'\n", name, (long long)(bytes / GB));
	else
		buf_printf(b, "%s = '%lld MB'\n", name, (long long)(bytes / MB));
}

static int64_t
step(int64_t memory, const int64_t value[4])
{
	return memory <= 8 * GB     ? value[0]
	       : memory <= 64 * GB  ? value[1]
	       : memory <= 256 * GB ? value[2]
				    : value[3];
}

static int
workers(int cpus)
{
	static const int below[] = { 16, 24, 32, 48, 64 };
	static const int count[] = { 3, 4, 6, 8, 12 };

	for (size_t i = 0; i < sizeof below / sizeof below[0]; i++)
		if (cpus < below[i])
			return count[i];
	return 16;
}

/* memory 0: not known, or not to be used: values that any machine has. */
void
conf_tune(struct buf *b, int64_t memory, int cpus)
{
	static const int64_t work[] = { 16 * MB, 24 * MB, 32 * MB, 64 * MB };
	static const int64_t maintenance[] = { 256 * MB, 512 * MB, GB, 2 * GB };
	int64_t shared = memory <= 64 * GB    ? memory / 4
			 : memory <= 256 * GB ? 16 * GB
					      : 32 * GB;

	buf_str(b, "# basic tuning computed by pg_auto_failover\n");
	buf_str(b, "track_functions = pl\n");
	size_line(b, "shared_buffers", memory ? shared : 128 * MB);
	size_line(b, "work_mem", memory ? step(memory, work) : 4 * MB);
	size_line(
	    b, "maintenance_work_mem", memory ? step(memory, maintenance) : 64 * MB);
	size_line(b, "effective_cache_size", memory ? memory - shared : 4 * GB);
	buf_printf(b, "autovacuum_max_workers = %d\n", workers(cpus));
	buf_str(b, "autovacuum_vacuum_scale_factor = 0.08\n");
	buf_str(b, "autovacuum_analyze_scale_factor = 0.02\n");
}
