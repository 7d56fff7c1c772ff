/* Tablespaces, and a pg_wal on a disk of its own: through a copy they stay where this
 * node has them. */
/* SPDX-License-Identifier: PostgreSQL */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/standby.h"

#include "ini/ban.h"

#define MADE "autoctl.copy" /* inside of where it stays: the same file system */

/* Where a link of our data directory leads; also of one that a copy was moving aside. */
static char *
own_place(const struct host *h, const char *link)
{
	static const char *const base[] = { "", "/autoctl.replaced" };
	char to[PATH_MAX];

	for (size_t i = 0; i < sizeof base / sizeof base[0]; i++) {
		char *path = xasprintf("%s%s/%s", h->pgdata, base[i], link);
		ssize_t n = readlink(path, to, sizeof to - 1);

		free(path);
		if (n > 0 && to[0] == '/')
			return xasprintf("%.*s", (int)n, to);
	}
	return NULL;
}

/* Files of a cluster of our major; nobody knows that they are ours. */
static int
refuse_used(const struct host *h, const char *dir, struct err *e)
{
	char prefix[32];
	DIR *d = opendir(dir);
	const struct dirent *entry;
	bool used = false;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "read the tablespace %s", dir);
	snprintf(prefix, sizeof prefix, "PG_%d_", h->version / 10000);
	while (!used && (entry = readdir(d)))
		used = str_starts(entry->d_name, prefix);
	closedir(d);
	if (!used)
		return 0;
	err_set(e, ERR_STATE, "tablespace %s has files of another cluster", dir);
	return err_hint(
	    e, "empty it if they are not needed; two nodes of one host cannot share it");
}

static struct standby_space *
add(struct standby_spaces *s, const char *link)
{
	struct standby_space *x;

	s->space = xrealloc(s->space, (size_t)(s->n + 1) * sizeof *s->space);
	x = &s->space[s->n++];
	*x = (struct standby_space){ .link = xstrdup(link) };
	return x;
}

static int
add_tablespace(
    struct standby_spaces *s, const struct host *h, const struct row *row, struct err *e)
{
	char *link = xasprintf("pg_tblspc/%s", row_text(row, "oid"));
	struct standby_space *x = add(s, link);

	free(link);
	x->there = xstrdup(row_text(row, "location"));
	x->here = own_place(h, x->link);
	if (x->here)
		return 0;
	x->here = xstrdup(x->there);
	return refuse_used(h, x->here, e);
}

int
standby_spaces_find(struct standby_spaces *s, const struct host *h,
    const struct conf_upstream *up, struct err *e)
{
	struct rows r = { 0 };
	char *wal = own_place(h, "pg_wal");
	int rc = standby_source_spaces(h, up, &r, e);

	for (int i = 0; rc == 0 && i < r.count; i++) {
		struct row row = row_at(&r, i);

		rc = add_tablespace(s, h, &row, e);
	}
	rows_drop(&r);
	if (wal)
		add(s, "pg_wal")->here = wal;
	for (int i = 0; i < s->n && rc == 0; i++) {
		s->space[i].made = xasprintf("%s/" MADE, s->space[i].here);
		rc = file_rmtree(s->space[i].made, e); /* of a copy that was cut off */
	}
	return rc;
}

/* pg_basebackup wants its "=" guarded. */
static void
guarded(struct buf *b, const char *path)
{
	for (; *path; path++)
		buf_str(b, *path == '=' ? "\\=" : (char[]){ *path, '\0' });
}

char *
standby_space_option(const struct standby_space *x)
{
	struct buf b = { 0 };

	if (!x->there)
		return xasprintf("--waldir=%s", x->made);
	buf_str(&b, "--tablespace-mapping=");
	guarded(&b, x->there);
	buf_char(&b, '=');
	guarded(&b, x->made);
	return buf_take(&b);
}

int
standby_spaces_link(const struct standby_spaces *s, const char *copy, struct err *e)
{
	for (int i = 0; i < s->n; i++) {
		char *path = xasprintf("%s/%s", copy, s->space[i].link);
		int rc = file_unlink(path, e);

		if (rc == 0 && symlink(s->space[i].here, path))
			rc = err_sys(e, "make the link %s", path);
		free(path);
		if (rc)
			return -1;
	}
	return 0;
}

/* What is in a directory but what we have put there, and what belongs to its disk. */
static int
clear(const struct standby_space *x, struct err *e)
{
	DIR *d = opendir(x->here);
	const struct dirent *entry;
	int rc = 0;

	if (!d)
		return err_sys(e, "read %s", x->here);
	while (rc == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;
		char *path = xasprintf("%s/%s", x->here, name);

		if (strcmp(name, ".") && strcmp(name, "..") && strcmp(name, MADE) &&
		    strcmp(name, "lost+found"))
			rc = file_rmtree(path, e);
		free(path);
	}
	closedir(d);
	return rc;
}

/* Up by one level, each in the place of what had its name. */
static int
move_up(const struct standby_space *x, struct err *e)
{
	DIR *d = opendir(x->made);
	const struct dirent *entry;
	int rc = 0;

	if (!d)
		return err_sys(e, "read %s", x->made);
	while (rc == 0 && (entry = readdir(d))) {
		const char *name = entry->d_name;
		char *from = xasprintf("%s/%s", x->made, name);
		char *to = xasprintf("%s/%s", x->here, name);

		if (strcmp(name, ".") && strcmp(name, ".."))
			rc = file_rmtree(to, e) || file_rename(from, to, e) ? -1 : 0;
		free(from);
		free(to);
	}
	closedir(d);
	return rc;
}

int
standby_spaces_exchange(const struct standby_spaces *s, struct err *e)
{
	for (int i = 0; i < s->n; i++) {
		const struct standby_space *x = &s->space[i];

		/* a tablespace may be shared with another major, pg_wal with nobody */
		if ((!x->there && clear(x, e)) || move_up(x, e) ||
		    file_rmtree(x->made, e))
			return -1;
	}
	return 0;
}

void
standby_spaces_drop(struct standby_spaces *s)
{
	for (int i = 0; i < s->n; i++) {
		struct standby_space *x = &s->space[i];

		if (x->made)
			(void)!file_rmtree(x->made, NULL);
		free(x->link);
		free(x->there);
		free(x->here);
		free(x->made);
	}
	free(s->space);
	*s = (struct standby_spaces){ 0 };
}
