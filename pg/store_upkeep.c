/* What the monitor process does to its tables now and then. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <stdio.h>

#include "ini/err.h"
#include "pg/store.h"

#include "ini/ban.h"

int
store_publish(struct db *d, const struct fsm_settings *s, struct err *e)
{
	return db_run(d, e,
	    "update pgautofailover.monitor set node_operations = $1::bool"
	    " where node_operations <> $1::bool",
	    s->node_operations ? "t" : "f", DB_END);
}

/* The oldest are looked at, and no more of them than one statement does in a moment.
 * Requests that are not decided are store_expire's. */
/* clang-format off */
#define PRUNE_SQL \
	"with event_gone as (delete from pgautofailover.event where eventid in (" \
	"  select eventid from (select eventid, eventtime from pgautofailover.event" \
	"   order by eventid limit 1000) o" \
	"  where eventtime < now() - $1::bigint * interval '1 ms' and eventid <=" \
	"   (select max(eventid) - 1000 from pgautofailover.event)) returning 1)," \
	" request_gone as (delete from pgautofailover.request where requestid in (" \
	"  select requestid from (select requestid, asked_at, outcome from" \
	"   pgautofailover.request order by requestid limit 1000) o" \
	"  where outcome is not null and asked_at < now() - $1::bigint * interval '1 ms' and" \
	"   requestid <= (select max(requestid) - 1000 from pgautofailover.request)) returning 1)" \
	" select (select count(*) from event_gone) + (select count(*) from request_gone) as n"
/* clang-format on */

int
store_prune(struct db *d, const struct fsm_settings *s, struct err *e)
{
	struct rows r = { 0 };
	struct row row;
	char ms[24];
	int n;

	if (!s->event_retention_ms)
		return 0;
	snprintf(ms, sizeof ms, "%" PRId64, s->event_retention_ms);
	if (db_query(d, e, &r, PRUNE_SQL, ms, DB_END))
		return err_wrap(e, "delete old events");
	row = row_at(&r, 0);
	n = row_int(&row, "n");
	rows_drop(&r);
	return n;
}
