/* Closing the door for certain: nobody comes in any more, and nobody is in. */
/* SPDX-License-Identifier: PostgreSQL */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ini/clock.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/db.h"
#include "pg/hba.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/proc.h"

#include "ini/ban.h"

#define CLEAR_MS 10000
#define STEP_MS 5
#define QUIET_LOOKS 2 /* one that was let in may not be in the view yet */

/*
 * Everybody but ourselves (local, as our user, under our application name), the monitor's
 * probe, and the other keepers. A walsender with a database runs SQL, so it goes, too.
 */
static const char end_others[] =
    "select pg_catalog.count(pg_catalog.pg_terminate_backend(pid)) as n"
    " from pg_catalog.pg_stat_activity"
    " where pid <> pg_catalog.pg_backend_pid()"
    " and (backend_type = 'client backend'"
    "  or backend_type = 'walsender' and datid is not null)"
    " and usename not in ('" HOST_REPLICATOR "', '" HOST_HEALTH "')"
    " and not (usename = current_user and application_name ~ '^autoctl'"
    "  and (client_addr is null or client_addr = '127.0.0.1'))";

/*
 * A backend has the rules of the moment it was forked, and may take a minute over its
 * password: end those that have not got further. Their title is still the postmaster's,
 * or says so. How many there were.
 */
static int
end_arriving(const struct host *h, struct mono before)
{
	struct postmaster pm;
	struct host_process *list;
	char title[512], parent[512];
	long tick = sysconf(_SC_CLK_TCK);
	size_t n = host_process_list(h, &list);
	int hit = 0;

	postmaster_find(h, &pm);
	host_process_title(pm.pid, parent, sizeof parent);
	for (size_t i = 0; i < n; i++) {
		if (list[i].parent != pm.pid ||
		    (int64_t)list[i].start * 1000 / tick > before.ms)
			continue;
		host_process_title(list[i].pid, title, sizeof title);
		if (strcmp(title, parent) != 0 && !str_ends(title, " authentication"))
			continue;
		host_process_signal(list[i].pid, list[i].start, SIGTERM);
		hit++;
	}
	free(list);
	return hit;
}

static int
count_others(struct db *d, int *n, struct err *e)
{
	struct rows r = { 0 };
	int rc = db_query(d, e, &r, end_others, DB_END);

	if (rc == 0) {
		struct row row = row_at(&r, 0);

		*n = row_int(&row, "n");
	}
	rows_drop(&r);
	return rc;
}

static int
clear(const struct host *h, struct db *d, struct mono closed, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), CLEAR_MS);
	int quiet = 0;
	int n = 0;

	do {
		if (count_others(d, &n, e))
			return -1;
		n += end_arriving(h, closed);
		quiet = n ? 0 : quiet + 1;
		if (quiet == QUIET_LOOKS)
			return 0;
	} while (clock_nap_until(deadline, STEP_MS));
	return err_set(e, ERR_POSTGRES, "%d client sessions do not end", n);
}

int
hba_close(const struct host *h, struct err *e)
{
	struct postmaster pm;
	struct mono closed;
	struct db d = { 0 };
	int rc;

	if (hba_door(h, true, e))
		return err_wrap(e, "close the door");
	closed = clock_mono();
	postmaster_find(h, &pm);
	if (pm.pid == 0)
		return 0;
	if (host_open(h, &d, 0, e))
		return -1;
	rc = clear(h, &d, closed, e);
	db_close(&d);
	return rc ? err_wrap(e, "close the door") : 0;
}
