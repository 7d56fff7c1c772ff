/* postgresql.auto.conf: by ALTER SYSTEM while Postgres runs, by hand while it does not.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/db.h"
#include "pg/host.h"

#include "ini/ban.h"

/* Belong to one node: what a copy or a rewind brings of them is the source's. The last
 * ones are in our file, and would be overruled from here. */
static const char *const own[] = { "synchronous_standby_names",
	"default_transaction_read_only", "primary_conninfo", "primary_slot_name",
	"recovery_target_timeline", "recovery_target_lsn", "recovery_target_action",
	"recovery_target_inclusive", "recovery_target" };

#define OWN_FOLLOW 2 /* the first of those that say whom to follow */
#define OWN_COUNT (sizeof own / sizeof own[0])

static bool
sets(const char *line, const char *name)
{
	size_t n = strlen(name);

	line += strspn(line, " \t");
	return strncasecmp(line, name, n) == 0 &&
	       strchr(" \t=\n", line[n]); /* also finds the NUL */
}

void
conf_auto_edit(const char *text, const char *name, const char *value, struct buf *out)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (!sets(text, name)) {
			buf_add(out, text, n);
			buf_char(out, '\n');
		}
		text += n + (text[n] == '\n');
	}
	if (value) {
		buf_printf(out, "%s = ", name);
		buf_conf(out, value);
		buf_char(out, '\n');
	}
}

static int
edit_file(const struct host *h, const char *const *names, size_t n, const char *value,
    struct err *e)
{
	char *path = xasprintf("%s/postgresql.auto.conf", h->pgdata);
	struct buf text = { 0 };
	int rc = file_read(path, &text, e);

	if (rc && errno == ENOENT)
		rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct buf next = { 0 };

		conf_auto_edit(buf_peek(&text), names[i], value, &next);
		buf_drop(&text);
		text = next;
	}
	if (rc == 0 && file_update(path, &text, 0600, e) < 0)
		rc = -1;
	buf_drop(&text);
	free(path);
	return rc;
}

int
conf_auto_set(const struct host *h, const char *name, const char *value, struct err *e)
{
	return edit_file(h, &name, 1, value, e);
}

int
conf_auto_reset(const struct host *h, struct err *e)
{
	return edit_file(h, own, OWN_COUNT, NULL, e);
}

int
conf_alter(struct db *d, const char *name, const char *value, struct err *e)
{
	struct buf sql = { 0 };
	int rc;

	buf_printf(&sql, "alter system %s %s", value ? "set" : "reset", name);
	if (value) {
		buf_str(&sql, " = '");
		for (const char *s = value; *s; s++)
			buf_str(&sql, *s == '\'' ? "''" : (char[]){ *s, '\0' });
		buf_char(&sql, '\'');
	}
	rc = db_run(d, e, buf_peek(&sql), DB_END);
	buf_drop(&sql);
	return rc;
}

/* Old ways to follow somebody (pg_basebackup -R writes them there) would overrule ours.
 */
int
conf_alter_follow(struct db *d, struct err *e)
{
	struct rows r = { 0 };
	int rc;

	rc = db_query(d, e, &r,
	    "select distinct name from pg_catalog.pg_file_settings"
	    " where sourcefile ~ 'postgresql[.]auto[.]conf$'",
	    DB_END);
	for (int i = 0; rc == 0 && i < r.count; i++) {
		struct row row = row_at(&r, i);

		for (size_t k = OWN_FOLLOW; rc == 0 && k < OWN_COUNT; k++)
			if (strcasecmp(row_text(&row, "name"), own[k]) == 0)
				rc = conf_alter(d, own[k], NULL, e);
	}
	rows_drop(&r);
	return rc;
}

/*
 * A setting that waits for a restart looks like one that could not be applied: those are
 * left out, by their context.
 */
int
conf_check(struct db *d, struct err *e)
{
	struct rows r = { 0 };
	int rc;

	rc = db_query(d, e, &r,
	    "select f.sourcefile, f.sourceline, f.name, f.error"
	    " from pg_catalog.pg_file_settings f"
	    " left join pg_catalog.pg_settings s on s.name = f.name"
	    " where f.error is not null and not coalesce(s.context = 'postmaster', false)"
	    " order by f.seqno limit 1",
	    DB_END);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);

		rc = err_set(e, ERR_CONFIG, "%s line %s: %s%s%s",
		    row_text(&row, "sourcefile"), row_text(&row, "sourceline"),
		    row_text(&row, "name"), row_null(&row, "name") ? "" : ": ",
		    row_text(&row, "error"));
	}
	rows_drop(&r);
	return rc;
}

int
conf_missing(struct db *d, struct buf *out, struct err *e)
{
	struct rows r = { 0 };
	int rc;

	rc = db_query(d, e, &r,
	    "select name, setting, want from pg_catalog.pg_settings"
	    " join (values ('max_wal_senders', '12'), ('max_replication_slots', '12'),"
	    " ('wal_level', 'replica'), ('wal_log_hints', 'on'), ('hot_standby', 'on'))"
	    " as w (setting_name, want) on name = setting_name"
	    " where case when want ~ '^[0-9]+$' then setting::int < want::int"
	    " when name = 'wal_level' then setting not in ('replica', 'logical')"
	    " when name = 'wal_log_hints' then setting <> want and"
	    " pg_catalog.current_setting('data_checksums') <> 'on'"
	    " else setting <> want end order by name",
	    DB_END);
	for (int i = 0; rc == 0 && i < r.count; i++) {
		struct row row = row_at(&r, i);

		buf_printf(out, "%s is %s, needs %s\n", row_text(&row, "name"),
		    row_text(&row, "setting"), row_text(&row, "want"));
	}
	rows_drop(&r);
	return rc;
}
