/* The file of snapshots: where it is, what goes there, how big it gets. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/monitor_snapshots.h"
#include "fsm/snapshot.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "test/tap.h"

#include "ini/ban.h"

static char dir[] = "/tmp/autoctl-snapshots.XXXXXX";
static struct monitor_snapshots s;
static struct fsm_group g;
static struct fsm_plan plan;

static const char *
path_by(const char *env, const char *debug, const char *setting)
{
	unsetenv("PG_AUTOCTL_SNAPSHOTS");
	unsetenv("PG_AUTOCTL_DEBUG");
	if (env)
		setenv("PG_AUTOCTL_SNAPSHOTS", env, 1);
	if (debug)
		setenv("PG_AUTOCTL_DEBUG", debug, 1);
	monitor_snapshots_set(&s, setting, dir);
	return buf_peek(&s.path);
}

static void
check_places(void)
{
	char *in_dir = xasprintf("%s/snapshots.log", dir);

	IS_STR(path_by(NULL, NULL, ""), "", "nobody wants it");
	IS_STR(path_by(NULL, NULL, "/a/b"), "/a/b", "the setting");
	IS_STR(path_by("/c", NULL, "/a/b"), "/c", "the environment goes first");
	IS_STR(path_by("", NULL, "/a/b"), "/a/b", "unless it is empty");
	IS_STR(path_by(NULL, NULL, dir), in_dir, "a directory gets a file");
	IS_STR(path_by(NULL, "1", ""), in_dir, "debugging: beside the data");
	IS_STR(path_by(NULL, "1", "/a/b"), "/a/b", "but the setting goes first");
	free(in_dir);
}

/* How many records the file has, -1: it is not there, or one does not read. */
static int
records(const char *path)
{
	static struct fsm_record r;
	struct fsm_snapshot_wrong wrong = { .line = 0 };
	struct buf b = { 0 };
	const char *at;
	int n = 0;
	int rc = -1;

	if (file_read(path, &b, NULL) == 0) {
		at = buf_peek(&b);
		while ((rc = fsm_snapshot_parse(&at, &r, &wrong)) > 0)
			n++;
	}
	buf_drop(&b);
	return rc < 0 ? -1 : n;
}

static void
check_file(const char *path)
{
	char *old = xasprintf("%s.1", path);
	struct stat st;

	g.settings.lease_ms = 1;
	monitor_decide(&g, &plan);
	IS_INT(plan.nsteps, 0, "a decision that changes nothing");
	monitor_snapshots_add(&s, &g, &plan);
	IS_INT(records(path), -1, "is not kept");
	log_level_set(LOG_LEVEL_DEBUG);
	monitor_snapshots_add(&s, &g, &plan);
	IS_INT(records(path), 1, "but at level debug");
	log_level_set(LOG_LEVEL_INFO);
	plan.nsteps = 1;
	monitor_snapshots_add(&s, &g, &plan);
	monitor_snapshots_add(&s, &g, &plan);
	IS_INT(records(path), 3, "others are, one behind the other");
	OK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "for its owner only");
	OK(truncate(path, MONITOR_SNAPSHOTS_BYTES) == 0, "a file as big as it gets");
	monitor_snapshots_add(&s, &g, &plan);
	IS_INT(records(path), 1, "a new one is begun");
	OK(stat(old, &st) == 0 && st.st_size == MONITOR_SNAPSHOTS_BYTES,
	    "the old one is kept");
	OK(truncate(path, MONITOR_SNAPSHOTS_BYTES - 1) == 0, "almost as big");
	monitor_snapshots_add(&s, &g, &plan);
	OK(stat(path, &st) == 0 && st.st_size > MONITOR_SNAPSHOTS_BYTES, "goes on");
	free(old);
}

/* Whatever is named by mistake stays as it is. */
static void
check_others(const char *path)
{
	struct buf b = { 0 };

	buf_str(&b, "precious\n");
	OK(file_write_new(path, &b, 0600, NULL) == 0, "somebody's file");
	buf_reset(&b);
	monitor_snapshots_add(&s, &g, &plan);
	OK(file_read(path, &b, NULL) == 0, "it is there");
	IS_STR(buf_peek(&b), "precious\n", "as it was");
	buf_drop(&b);
}

int
main(void)
{
	char *path;

	if (!OK(mkdtemp(dir) != NULL, "a directory"))
		return tap_done();
	check_places();
	path = xasprintf("%s/kept", dir);
	path_by(path, NULL, "");
	check_file(path);
	free(path);
	path = xasprintf("%s/other", dir);
	path_by(path, NULL, "");
	check_others(path);
	free(path);
	buf_drop(&s.path);
	OK(file_rmtree(dir, NULL) == 0, "nothing is left");
	return tap_done();
}
