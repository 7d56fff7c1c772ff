/* What a standby must not have less of than its primary: looked at, and raised. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/limits.h"

#include <stdio.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/db.h"
#include "pg/host.h"
#include "pg/setup.h"
#include "pg/spawn.h"

#include "ini/ban.h"

#define PROGRAM_MS 5000
#define LIMITS 5

struct limit {
	const char *name;
	int need;
};

static int
read_limits(const struct host *h, struct limit l[LIMITS], struct err *e)
{
	struct control c;

	if (setup_control(h, &c, e))
		return -1;
	l[0] = (struct limit){ "max_connections", c.max_connections };
	l[1] = (struct limit){ "max_worker_processes", c.max_worker_processes };
	l[2] = (struct limit){ "max_wal_senders", c.max_wal_senders };
	l[3] = (struct limit){ "max_prepared_transactions", c.max_prepared_xacts };
	l[4] = (struct limit){ "max_locks_per_transaction", c.max_locks_per_xact };
	return 0;
}

static int
lacks(const struct limit *l, int have, struct err *e)
{
	err_set(e, ERR_POSTGRES, "replay has stopped: %s is %d, and the primary has %d",
	    l->name, have, l->need);
	err_hint(e, "With a restart it is raised here.");
	return 1;
}

int
limits_check(const struct host *h, struct db *d, struct err *e)
{
	struct limit l[LIMITS];
	struct rows r = { 0 };
	int rc = read_limits(h, l, e);

	if (rc == 0)
		rc = db_query(
		    d, e, &r, "select name, setting from pg_catalog.pg_settings", DB_END);
	for (int i = 0; rc == 0 && i < r.count; i++) {
		struct row row = row_at(&r, i);

		for (int k = 0; rc == 0 && k < LIMITS; k++)
			if (strcmp(row_text(&row, "name"), l[k].name) == 0 &&
			    row_int(&row, "setting") < l[k].need)
				rc = lacks(&l[k], row_int(&row, "setting"), e);
	}
	rows_drop(&r);
	return rc;
}

/* What Postgres would start with. */
static int
configured(const struct host *h, const char *name, int *value, struct err *e)
{
	struct buf program = { 0 };
	struct buf out = { 0 };
	const char *argv[] = { NULL, "-C", name, "-D", h->pgdata, NULL };
	struct spawn s = { .argv = argv, .deadline_ms = PROGRAM_MS, .out = &out };
	int rc;

	setup_program(h, "postgres", &program);
	argv[0] = buf_peek(&program);
	rc = spawn_run(&s, e);
	if (rc == 0) {
		buf_cut(&out, strcspn(buf_peek(&out), "\n"));
		rc = str_int(buf_peek(&out), value, e);
	}
	buf_drop(&program);
	buf_drop(&out);
	return rc;
}

static int
raise_one(const struct host *h, const struct limit *l, struct err *e)
{
	char text[16];
	int have;

	if (configured(h, l->name, &have, e))
		return -1;
	if (have >= l->need)
		return 0;
	snprintf(text, sizeof text, "%d", l->need);
	if (conf_auto_set(h, l->name, text, e))
		return -1;
	log_warn("%s is raised from %d to %s in postgresql.auto.conf: the primary has as "
		 "many, and a standby with less does not replay",
	    l->name, have, text);
	return 1;
}

int
limits_raise(const struct host *h, struct err *e)
{
	struct limit l[LIMITS];
	int raised = 0;

	if (read_limits(h, l, e))
		return -1;
	for (int i = 0; i < LIMITS; i++) {
		int rc = raise_one(h, &l[i], e);

		if (rc < 0)
			return -1;
		raised |= rc;
	}
	return raised;
}
