/* Debian keeps a cluster's settings in /etc: bring them to where ours are (contract 9).
 */
/* SPDX-License-Identifier: PostgreSQL */
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
#include "pg/conf.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/setup.h"

#include "ini/ban.h"

static const char *const files[] = { "postgresql.conf", "pg_hba.conf", "pg_ident.conf" };

#define FILES (sizeof files / sizeof files[0])

/* Would make Postgres look into /etc again. */
static const char *const elsewhere[] = { "data_directory", "hba_file", "ident_file",
	"include_dir", "stats_temp_directory" };

/* /etc/postgresql/15/main for .../15/main; NULL when PGDATA is not of that kind. */
static char *
etc_dir(const struct host *h)
{
	char pgdata[PATH_MAX];
	char *conf = xasprintf("%s/postgresql.conf", h->pgdata);
	bool has = file_exists(conf);
	char *cluster, *major, *dir;

	free(conf);
	memcpy(pgdata, h->pgdata, sizeof pgdata);
	cluster = strrchr(pgdata, '/');
	if (has || !cluster || cluster == pgdata)
		return NULL;
	*cluster++ = '\0';
	major = strrchr(pgdata, '/');
	if (!major || strtol(major + 1, NULL, 10) != h->version / 10000)
		return NULL;
	dir = xasprintf("/etc/postgresql/%s/%s", major + 1, cluster);
	for (size_t i = 0; dir && i < FILES; i++) {
		char *file = xasprintf("%s/%s", dir, files[i]);

		if (!file_exists(file)) {
			free(dir);
			dir = NULL;
		}
		free(file);
	}
	return dir;
}

static bool
leads_elsewhere(const char *line)
{
	line += strspn(line, " \t");
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
		size_t n = strlen(elsewhere[i]);

		if (strncmp(line, elsewhere[i], n) == 0 && strchr(" \t='", line[n]))
			return true;
	}
	return false;
}

static void
comment_out(const char *text, struct buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (leads_elsewhere(text))
			buf_str(out, "# edited by pg_auto_failover\n# ");
		buf_add(out, text, n);
		buf_char(out, '\n');
		text += n + (text[n] == '\n');
	}
}

/* Another file system, so a copy; then a link is left where it was. */
static int
move(const char *from, const char *to, bool settings, struct err *e)
{
	struct buf text = { 0 };
	struct buf edited = { 0 };
	char *link = xasprintf("%s.autoctl", from);
	int rc = file_read(from, &text, e);

	if (rc == 0) {
		if (settings)
			comment_out(buf_peek(&text), &edited);
		rc = file_replace(to, settings ? &edited : &text, 0600, e);
	}
	if (rc == 0 && (symlink(to, link) || rename(link, from))) {
		/* /etc may be root's: Postgres does not look there any more */
		log_warn("%s could not become a link to %s", from, to);
		unlink(link);
	}
	buf_drop(&text);
	buf_drop(&edited);
	free(link);
	return rc;
}

static void
disable_start(const char *dir)
{
	char *path = xasprintf("%s/start.conf", dir);
	struct buf text = { 0 };
	struct err e = { 0 };

	buf_str(&text, "disabled\n");
	if (file_exists(path) && file_replace(path, &text, 0644, &e))
		log_err(LOG_LEVEL_WARN, &e);
	buf_drop(&text);
	free(path);
}

/* One that runs goes on reading /etc, where it looks for what its settings include. */
static int
link_included(const struct host *h, const char *dir, struct err *e)
{
	static const char *const included[] = { CONF_MAIN, CONF_STANDBY };
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof included / sizeof included[0]; i++) {
		char *from = xasprintf("%s/%s", dir, included[i]);
		char *to = xasprintf("%s/%s", h->pgdata, included[i]);

		if (symlink(to, from) && errno != EEXIST) {
			rc = err_sys(e, "make the link %s", from);
			err_hint(
			    e, "let %s write there, or stop Postgres first", h->osuser);
		}
		free(from);
		free(to);
	}
	return rc;
}

int
setup_debian(const struct host *h, struct err *e)
{
	char *dir = etc_dir(h);
	struct postmaster pm = { 0 };
	int rc = 0;

	if (dir)
		postmaster_find(h, &pm);
	if (pm.pid)
		rc = link_included(h, dir, e);

	/* postgresql.conf last: while it is missing in PGDATA this is done again */
	for (size_t i = FILES; dir && rc == 0 && i-- > 0;) {
		char *from = xasprintf("%s/%s", dir, files[i]);
		char *to = xasprintf("%s/%s", h->pgdata, files[i]);
		struct stat st;

		if (lstat(from, &st) == 0 && S_ISREG(st.st_mode))
			rc = move(from, to, i == 0, e);
		free(from);
		free(to);
	}
	if (dir && rc == 0)
		disable_start(dir);
	free(dir);
	return rc ? err_wrap(e, "settings from /etc/postgresql") : 0;
}
