/* A base backup that takes the place of the data directory when it is complete. */
/* SPDX-License-Identifier: PostgreSQL */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/postmaster.h"
#include "pg/setup.h"
#include "pg/standby.h"

#include "ini/ban.h"

/* Inside of a PGDATA that cannot be renamed. */
#define INSIDE_NEW "autoctl.backup"
#define INSIDE_OLD "autoctl.replaced"

struct copy {
	const struct host *h;
	const struct standby_join *j;
	bool inside; /* PGDATA is a mount point, or its parent is not ours: its contents
		      * are exchanged, not the directory */
	char *made;  /* the backup */
	char *old;   /* where the old one steps aside */
	struct standby_spaces spaces;
};

/* -- where -- */

/* The directory above; "/" and "." included. */
static char *
above(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return xstrdup(".");
	if (slash == path)
		return xstrdup("/");
	return xasprintf("%.*s", (int)(slash - path), path);
}

static bool
same_fs(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev;
}

static bool
can_be_renamed(const struct host *h)
{
	char *parent = above(h->pgdata);
	bool yes = access(parent, W_OK | X_OK) == 0 &&
		   (!file_exists(h->pgdata) || same_fs(parent, h->pgdata));

	free(parent);
	return yes;
}

/* The backup must be on PGDATA's file system, for it is renamed into place. */
static int
choose_outside(struct copy *c, struct err *e)
{
	const struct host *h = c->h;
	char *parent = above(h->pgdata);
	char *dir = str_empty(h->cfg->backup_directory)
			? xasprintf("%s/backup/node_%lld", parent, (long long)h->node_id)
			: xstrdup(h->cfg->backup_directory);
	char *dir_parent = above(dir);
	int rc = file_mkdir(dir_parent, 0700, e);

	if (rc == 0 && !same_fs(dir_parent, parent)) {
		log_warn("%s is on another file system than %s: the backup is made "
			 "beside the latter",
		    dir, h->pgdata);
		free(dir);
		dir = xasprintf("%s.backup", h->pgdata);
	}
	c->made = dir;
	c->old = xasprintf("%s.replaced", h->pgdata);
	free(parent);
	free(dir_parent);
	return rc;
}

static int
choose(struct copy *c, struct err *e)
{
	c->inside = !can_be_renamed(c->h);
	if (!c->inside)
		return choose_outside(c, e);
	c->made = xasprintf("%s/" INSIDE_NEW, c->h->pgdata);
	c->old = xasprintf("%s/" INSIDE_OLD, c->h->pgdata);
	return file_mkdir(c->h->pgdata, 0700, e);
}

/* -- the backup -- */

static int
run_backup(const struct copy *c, struct err *e)
{
	const struct host *h = c->h;
	const char *rate = h->cfg->maximum_backup_rate;
	const int n = c->spaces.n;
	struct buf program = { 0 }, source = { 0 };
	char slot[64];
	int rc;

	setup_program(h, "pg_basebackup", &program);
	standby_tool_source(h, &c->j->upstream, &source);
	snprintf(slot, sizeof slot, HOST_STANDBY "%lld", (long long)h->node_id);
	const char *const fixed[] = { buf_peek(&program), "-w", "-d", buf_peek(&source),
		"--pgdata", c->made, "--progress", "--wal-method=stream",
		"--checkpoint=fast", "--slot", slot, "--max-rate",
		str_empty(rate) ? "1024M" : rate };
	const size_t nfixed = sizeof fixed / sizeof fixed[0];
	const char **argv = xcalloc(nfixed + (size_t)n + 1, sizeof *argv);
	char **option = xcalloc((size_t)n + 1, sizeof *option);

	memcpy(argv, fixed, sizeof fixed);
	for (int i = 0; i < n; i++)
		argv[nfixed + (size_t)i] = option[i] =
		    standby_space_option(&c->spaces.space[i]);
	rc = standby_tool(h, "base backup", argv, e);
	for (int i = 0; i < n; i++)
		free(option[i]);
	free(option);
	free(argv);
	buf_drop(&program);
	buf_drop(&source);
	return rc;
}

/* A fresh copy is made ours before it becomes PGDATA: it never starts as the source. */
static int
dress(const struct copy *c, const struct standby_own *own, struct err *e)
{
	struct host there = *c->h;

	if (str_copy(there.pgdata, sizeof there.pgdata, c->made, e) ||
	    standby_spaces_link(&c->spaces, c->made, e))
		return -1;
	return standby_make_own(&there, &c->j->upstream, own, e);
}

static void
warn_of_room(const struct copy *c, const struct standby_source *source)
{
	struct host_disk disk;

	if (host_disk(c->h, &disk, NULL) == 0 && disk.data_free < source->bytes)
		log_warn("%lld MB are free, and the databases of %s:%d have %lld MB",
		    (long long)(disk.data_free >> 20), c->j->upstream.host,
		    c->j->upstream.port, (long long)(source->bytes >> 20));
}

/* Our slot is for one: neither for a standby that runs until the exchange, nor for what
 * is left of an earlier copy. */
static int
free_slot(const struct copy *c, struct err *e)
{
	const struct conf_upstream *up = &c->j->upstream;
	struct host_position p;
	struct postmaster pm;

	postmaster_find(c->h, &pm);
	if (pm.pid && standby_detach(c->h, &p, NULL))
		log_warn("the running Postgres does not let go of its upstream");
	if (standby_source_slot(c->h, up, e))
		return -1;
	return standby_source_release(c->h, up, e);
}

/* -- the exchange -- */

static int
exchange_directory(const struct copy *c, struct err *e)
{
	if (file_exists(c->h->pgdata) && file_rename(c->h->pgdata, c->old, e))
		return -1;
	if (file_rename(c->made, c->h->pgdata, e)) {
		if (file_exists(c->old) && rename(c->old, c->h->pgdata))
			log_warn("%s could not be put back as %s", c->old, c->h->pgdata);
		return -1;
	}
	return 0;
}

/* Everything in a directory but our own two and the file system's. */
static int
move_contents(const char *from, const char *to, struct err *e)
{
	DIR *d = opendir(from);
	const struct dirent *entry;
	int rc = 0;

	if (!d)
		return err_sys(e, "read %s", from);
	while (rc == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;
		char *a, *b;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
		    strcmp(name, "lost+found") == 0 || strcmp(name, INSIDE_NEW) == 0 ||
		    strcmp(name, INSIDE_OLD) == 0)
			continue;
		a = xasprintf("%s/%s", from, name);
		b = xasprintf("%s/%s", to, name);
		if (rename(a, b))
			rc = err_sys(e, "rename %s to %s", a, b);
		free(a);
		free(b);
	}
	closedir(d);
	if (rc == 0)
		rc = file_fsync_dir(from, e);
	return rc == 0 ? file_fsync_dir(to, e) : rc;
}

/* Not at one stroke: the directory is marked until it is done. */
static int
exchange_contents(const struct copy *c, struct err *e)
{
	if (standby_half_made(c->h, c->j, true, e) || file_mkdir(c->old, 0700, e) ||
	    move_contents(c->h->pgdata, c->old, e) ||
	    move_contents(c->made, c->h->pgdata, e))
		return -1;
	return file_rmtree(c->made, e);
}

static int
exchange(const struct copy *c, struct err *e)
{
	static const struct postmaster_stop fast = { .mode = POSTMASTER_FAST };

	if (file_rmtree(c->old, e))
		return -1;
	/* it served reads until now */
	if (postmaster_stop(c->h, &fast, e))
		return -1;
	if (c->spaces.n > 0 && standby_half_made(c->h, c->j, true, e))
		return -1;
	if (c->inside ? exchange_contents(c, e) : exchange_directory(c, e))
		return -1;
	if (standby_spaces_exchange(&c->spaces, e))
		return -1;
	return file_rmtree(c->old, e);
}

int
standby_copy(const struct host *h, const struct standby_join *j,
    const struct standby_source *source, struct err *e)
{
	struct copy c = { .h = h, .j = j };
	struct standby_own own = { 0 };
	int rc = -1;

	if (choose(&c, e) == 0 && file_rmtree(c.made, e) == 0 &&
	    standby_own_take(h, &own, e) == 0 &&
	    standby_spaces_find(&c.spaces, h, &j->upstream, e) == 0 &&
	    free_slot(&c, e) == 0) {
		warn_of_room(&c, source);
		if (run_backup(&c, e) == 0 && dress(&c, &own, e) == 0 &&
		    exchange(&c, e) == 0) /* what was half made is gone */
			rc = standby_half_made(h, j, false, e);
	}
	/* of a failure nothing is left but, in the midst of an exchange, the old files */
	if (rc && c.made && file_rmtree(c.made, NULL))
		log_warn("%s could not be removed", c.made);
	standby_own_drop(&own);
	standby_spaces_drop(&c.spaces);
	free(c.made);
	free(c.old);
	return rc ? err_wrap(e, "base backup") : 0;
}

int
standby_copy_mend(const struct host *h, struct err *e)
{
	char *old = xasprintf("%s.replaced", h->pgdata);
	int rc = 0;

	if (!file_exists(h->pgdata) && file_is_dir(old)) {
		log_warn("%s was left in the midst of a copy: putting it back", old);
		rc = file_rename(old, h->pgdata, e);
	}
	free(old);
	return rc;
}
