/* Make a new cluster: all of it or nothing. */
/* SPDX-License-Identifier: PostgreSQL */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/setup.h"
#include "pg/spawn.h"

#include "ini/ban.h"

#define INITDB_MS 300000
#define LAST "global" /* with pg_control: what makes a directory a cluster */

typedef int entry_fn(const char *from, const char *to, struct err *);

/* Without a language initdb would make the encoding SQL_ASCII, which keeps any bytes. */
static bool
plain_locale(void)
{
	const char *names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < 3; i++) {
		const char *v = getenv(names[i]);

		if (!str_empty(v))
			return strcmp(v, "C") == 0 || strcmp(v, "POSIX") == 0;
	}
	return true;
}

static int
run_initdb(const struct host *h, const char *dir, struct err *e)
{
	struct buf program = { 0 }, out = { 0 };
	const char *argv[] = { NULL, "--pgdata", dir, "--username", h->osuser, "--auth",
		"trust", plain_locale() ? "--encoding=UTF8" : NULL, NULL };
	struct spawn s = { .argv = argv, .deadline_ms = INITDB_MS, .out = &out };
	int rc;

	setup_program(h, "initdb", &program);
	argv[0] = buf_peek(&program);
	rc = spawn_run(&s, e);
	buf_drop(&program);
	buf_drop(&out); /* not worth showing */
	return rc;
}

/* Call fn for dir/entry and to/entry, for all but "except" and what is not ours. */
static int
for_entries(
    const char *dir, const char *to, const char *except, entry_fn *fn, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc = 0;

	if (!d)
		return err_sys(e, "read %s", dir);
	while (rc == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;

		if (str_eq(name, ".") || str_eq(name, "..") ||
		    str_eq(name, "lost+found") || str_eq(name, except))
			continue;
		char *here = xasprintf("%s/%s", dir, name);
		char *there = xasprintf("%s/%s", to, name);
		rc = fn(here, there, e);
		free(here);
		free(there);
	}
	closedir(d);
	return rc;
}

static int
remove_entry(const char *from, const char *to, struct err *e)
{
	(void)to;
	return file_rmtree(from, e);
}

/* Build it inside, then bring it up; the entry that makes it a cluster comes last. */
static int
build(const struct host *h, const char *inside, struct err *e)
{
	char *from = xasprintf("%s/" LAST, inside);
	char *to = xasprintf("%s/" LAST, h->pgdata);
	int rc = -1;

	if (for_entries(h->pgdata, h->pgdata, SETUP_UNFINISHED, remove_entry, e) == 0 &&
	    file_rmtree(inside, e) == 0 && file_mkdir(inside, 0700, e) == 0 &&
	    run_initdb(h, inside, e) == 0 &&
	    for_entries(inside, h->pgdata, LAST, file_rename, e) == 0 &&
	    file_rename(from, to, e) == 0)
		rc = file_rmtree(inside, e);
	free(from);
	free(to);
	return rc;
}

int
setup_initdb(const struct host *h, struct err *e)
{
	enum setup_state state;
	char *inside;
	int rc;

	if (setup_state(h, &state, e))
		return -1;
	if (state == SETUP_FOREIGN)
		return err_set(e, ERR_STATE,
		    "%s is not empty and is not a Postgres cluster", h->pgdata);
	if (state != SETUP_MISSING && state != SETUP_EMPTY)
		return err_set(e, ERR_STATE, "%s has a cluster already", h->pgdata);
	if (file_mkdir(h->pgdata, 0700, e))
		return -1;
	inside = xasprintf("%s/" SETUP_UNFINISHED, h->pgdata);
	rc = build(h, inside, e);
	free(inside);
	return rc ? err_wrap(e, "initdb %s", h->pgdata) : 0;
}
