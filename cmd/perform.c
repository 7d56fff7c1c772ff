/* What operators do to a group: failover, promotion, maintenance; watched until done. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "ini/clock.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/statefile.h"
#include "pg/store.h"

#include "ini/ban.h"

#define WAIT_MS INT64_C(60000)
#define FOREVER_MS INT64_C(1000000000)
#define ALONE_SECONDS "10" /* a new primary whose standbys do not come in that time */

struct waiting {
	const char *formation;
	int group;
	int64_t node;       /* reaches ... */
	const char *states; /* ... one of these, both reported and goal */
	int64_t not_node;   /* or: any node but this one reaches it */
	bool or_alone;      /* or writes without a standby, and none comes */
	bool or_before;     /* or was there before anything was asked for */
	const char *what;   /* for the error when the time is over */
};

/* -- the table that grows, one line for each change; with --json an object each -- */

enum { COL_TIME, COL_NAME, COL_NODE, COL_HOST, COL_CURRENT, COL_ASSIGNED, COLUMNS };

struct transitions {
	int64_t first, last; /* event ids: before it began, and shown */
	struct out_column column[COLUMNS];
	struct out out;
	bool titled;
};

static const char nodes_sql[] =
    "select coalesce(max(length(nodename)), 0) as name, "
    "coalesce(max(length(nodehost || ':' || nodeport)), 0) as host, "
    "(select coalesce(max(eventid), 0) from pgautofailover.event) as event "
    "from pgautofailover.node where formationid = $1 and groupid = $2::int";
/* Events that only say again where a node is are left out. */
static const char events_sql[] =
    "select *, json_build_object('eventid', eventid, 'eventtime', eventtime, "
    "'formationid', $1, 'groupid', $2::int, 'nodeid', nodeid, 'nodename', nodename, "
    "'nodehost', nodehost, 'nodeport', nodeport, 'reportedstate', reportedstate, "
    "'goalstate', goalstate) as json from ("
    "select eventid, eventtime, to_char(eventtime, 'HH24:MI:SS') as at, nodename, "
    "nodeid, nodehost, nodeport, reportedstate, goalstate, "
    "lag(reportedstate || ' ' || goalstate) over (partition by nodeid order by eventid) "
    "as before from pgautofailover.event "
    "where formationid = $1 and groupid = $2::int and eventid > $3::bigint) e "
    "where eventid > $4::bigint and before is distinct from "
    "reportedstate || ' ' || goalstate order by eventid";

static int
begin_transitions(struct cmd_ctx *x, const struct waiting *w, struct transitions *t)
{
	static const struct out_column column[COLUMNS] = { { "Time", 8, false },
		{ "Name", 4, false }, { "Node", 5, false }, { "Host:Port", 10, false },
		{ "Current State", 19, false }, { "Assigned State", 19, false } };
	struct rows r = { 0 };
	char group[16];

	memset(t, 0, sizeof *t);
	memcpy(t->column, column, sizeof column);
	out_init(&t->out, t->column, COLUMNS);
	snprintf(group, sizeof group, "%d", w->group);
	if (db_query(&x->monitor, &x->err, &r, nodes_sql, w->formation, group, DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	t->first = t->last = row_i64(&row, "event");
	if (row_int(&row, "name") > t->column[COL_NAME].width)
		t->column[COL_NAME].width = row_int(&row, "name");
	if (row_int(&row, "host") > t->column[COL_HOST].width)
		t->column[COL_HOST].width = row_int(&row, "host");
	rows_drop(&r);
	return 0;
}

static void
show_row(struct transitions *t, const struct row *r)
{
	out_cell(&t->out, "%s", row_text(r, "at"));
	out_cell(&t->out, "%s", row_text(r, "nodename"));
	out_cell(&t->out, "%s", row_text(r, "nodeid"));
	out_cell(&t->out, "%s:%s", row_text(r, "nodehost"), row_text(r, "nodeport"));
	out_cell(&t->out, "%s", row_text(r, "reportedstate"));
	out_cell(&t->out, "%s", row_text(r, "goalstate"));
}

static int
show_transitions(struct cmd_ctx *x, const struct waiting *w, struct transitions *t)
{
	struct rows r = { 0 };
	char group[16], first[24], last[24];

	snprintf(group, sizeof group, "%d", w->group);
	snprintf(first, sizeof first, "%lld", (long long)t->first);
	snprintf(last, sizeof last, "%lld", (long long)t->last);
	if (db_query(&x->monitor, &x->err, &r, events_sql, w->formation, group, first,
		last, DB_END))
		return -1;
	if (r.count && !t->titled && !x->args.json) {
		out_begin(&t->out);
		t->titled = true;
	}
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		t->last = row_i64(&row, "eventid");
		if (x->args.json)
			puts(row_text(&row, "json"));
		else
			show_row(t, &row);
	}
	if (x->args.json)
		fflush(stdout);
	else
		out_flush(&t->out);
	rows_drop(&r);
	return 0;
}

/* The old primary may be gone for good, and no other standby left: then the new one
 * accepts writes, but never becomes `primary`. */
static const char reached_sql[] =
    "select nodename, goalstate = any(string_to_array($3, ' ')) as there "
    "from pgautofailover.node join pgautofailover.nodegroup using (formationid, groupid) "
    "where formationid = $1 and groupid = $2::int and reportedstate = goalstate "
    "and (goalstate = any(string_to_array($3, ' ')) "
    "or ($6::bool and nodeid = writer and goalstate = 'wait_primary' "
    "and statechangetime < clock_timestamp() - interval '" ALONE_SECONDS " s')) "
    "and ($4::bigint = 0 or nodeid = $4::bigint) and nodeid <> $5::bigint "
    "order by there desc";

static int
is_reached(struct cmd_ctx *x, const struct waiting *w, bool *yes)
{
	struct rows r = { 0 };
	char group[16], node[24], other[24];

	snprintf(group, sizeof group, "%d", w->group);
	snprintf(node, sizeof node, "%lld", (long long)w->node);
	snprintf(other, sizeof other, "%lld", (long long)w->not_node);
	if (db_query(&x->monitor, &x->err, &r, reached_sql, w->formation, group,
		w->states, node, other, w->or_alone ? "true" : "false", DB_END))
		return -1;
	*yes = r.count > 0;
	if (r.count) {
		struct row row = row_at(&r, 0);
		if (!row_bool(&row, "there"))
			log_warn("%s accepts writes; no standby has joined it yet",
			    row_text(&row, "nodename"));
	}
	rows_drop(&r);
	return 0;
}

static int
wait_for(struct cmd_ctx *x, const struct waiting *w, struct transitions *t, int64_t ms)
{
	struct mono end = mono_after(clock_mono(), ms);
	struct db_notice n;
	bool yes = false;

	for (;;) {
		if (show_transitions(x, w, t) || is_reached(x, w, &yes))
			return -1;
		if (yes) {
			if (t->titled)
				putchar('\n');
			return 0;
		}
		int64_t left = end.ms - clock_mono().ms;
		if (left <= 0)
			break;
		if (db_wait_notice(&x->monitor, &n, left < 1000 ? left : 1000, &x->err) <
		    0)
			return -1;
	}
	err_set(&x->err, ERR_SYSTEM, "after %lld s it is not true that %s",
	    (long long)(ms / 1000), w->what);
	return err_hint(&x->err,
	    "the operation goes on; \"%s show state\" and \"%s show events\" "
	    "tell how far it is",
	    x->program, x->program);
}

/* -- failover, promotion -- */

static int
wait_option(struct cmd_ctx *x, int64_t *ms)
{
	if (cmd_seconds(x, "wait", x->args.wait, WAIT_MS, ms))
		return -1;
	if (*ms == 0)
		*ms = FOREVER_MS;
	return 0;
}

static int
writer_of(struct cmd_ctx *x, int group, int64_t *id)
{
	struct rows r = { 0 };
	char g[16];

	snprintf(g, sizeof g, "%d", group);
	if (db_query(&x->monitor, &x->err, &r,
		"select writer from pgautofailover.nodegroup "
		"where formationid = $1 and groupid = $2::int",
		buf_peek(&x->formation), g, DB_END))
		return -1;
	*id = 0;
	if (r.count) {
		struct row row = row_at(&r, 0);
		*id = row_i64(&row, "writer");
	}
	rows_drop(&r);
	return 0;
}

/* A request that was taken may come with a word of warning. */
static void
say_warning(const struct store_outcome *o)
{
	if (o->text[0])
		log_warn("%s", o->text);
}

/* What --allow-data-loss says holds for the request of this session. */
static int
permit_loss(struct cmd_ctx *x)
{
	return x->args.allow_data_loss
		   ? db_run(&x->monitor, &x->err,
			 "set pgautofailover.guard_data_loss to off", DB_END)
		   : 0;
}

int
cmd_perform_failover(struct cmd_ctx *x)
{
	struct waiting w = { .formation = buf_peek(&x->formation),
		.states = "primary wait_primary single",
		.what = "another node is primary" };
	struct store_outcome o;
	struct transitions t;
	char group[16];
	int64_t ms;

	if (wait_option(x, &ms) || cmd_group(x, &w.group) ||
	    writer_of(x, w.group, &w.not_node) || store_listen(&x->monitor, &x->err) ||
	    begin_transitions(x, &w, &t))
		return -1;
	snprintf(group, sizeof group, "%d", w.group);
	if (permit_loss(x) || store_submit(&x->monitor, &x->err, &o,
				  "select pgautofailover.perform_failover($1, $2::int)",
				  w.formation, group, DB_END))
		return -1;
	say_warning(&o);
	/* the new primary first, then the old one is a standby again */
	w.states = w.not_node ? "primary" : w.states;
	w.or_alone = true;
	return wait_for(x, &w, &t, ms);
}

/* --name, else the name of the node whose directory this is. */
static int
node_by_name(struct cmd_ctx *x, int64_t *id, int *group, const char **name)
{
	struct rows r = { 0 };

	*name = x->args.name;
	if (!*name && x->have_config && x->config.kind == CONFIG_KEEPER)
		*name = x->config.name;
	if (str_empty(*name)) {
		err_set(&x->err, ERR_USAGE, "which node?");
		return err_hint(&x->err, "give --name");
	}
	if (db_query(&x->monitor, &x->err, &r,
		"select nodeid, groupid from pgautofailover.node "
		"where formationid = $1 and nodename = $2",
		buf_peek(&x->formation), *name, DB_END))
		return -1;
	if (r.count == 0) {
		rows_drop(&r);
		return err_set(&x->err, ERR_MONITOR,
		    "node \"%s\" is not registered in formation \"%s\"", *name,
		    buf_peek(&x->formation));
	}
	struct row row = row_at(&r, 0);
	*id = row_i64(&row, "nodeid");
	*group = row_int(&row, "groupid");
	rows_drop(&r);
	return 0;
}

int
cmd_perform_promotion(struct cmd_ctx *x)
{
	struct waiting w = { .formation = buf_peek(&x->formation),
		.states = "primary single",
		.or_alone = true,
		.what = "the node is primary" };
	struct store_outcome o;
	struct transitions t;
	const char *name;
	int64_t ms;

	if (node_by_name(x, &w.node, &w.group, &name)) {
		if (x->err.kind == ERR_MONITOR)
			x->err.kind = ERR_USAGE;
		return -1;
	}
	if (wait_option(x, &ms) || store_listen(&x->monitor, &x->err) ||
	    begin_transitions(x, &w, &t))
		return -1;
	if (permit_loss(x) || store_submit(&x->monitor, &x->err, &o,
				  "select pgautofailover.perform_promotion($1, $2)",
				  w.formation, name, DB_END))
		return -1;
	say_warning(&o);
	if (o.id == 0) {
		log_info("%s is the primary already", name);
		return 0;
	}
	return wait_for(x, &w, &t, ms);
}

/* -- maintenance of the local node -- */

static int
own_node(struct cmd_ctx *x, struct statefile *s)
{
	struct buf path = { 0 };
	int rc = config_path(buf_peek(&x->pgdata), CONFIG_FILE_STATE, &path, &x->err);

	if (rc == 0)
		rc = statefile_read(buf_peek(&path), s, &x->err);
	buf_drop(&path);
	if (rc == 0 && s->keeper.node_id <= 0)
		rc = err_set(&x->err, ERR_STATE, "this node is not registered yet");
	return rc;
}

/* The monitor's word on the node: is it known, is it there already? */
static int
node_is(struct cmd_ctx *x, const char *id, const char *state, bool *yes)
{
	struct rows r = { 0 };

	if (db_query(&x->monitor, &x->err, &r,
		"select reportedstate = goalstate and "
		"goalstate = any(string_to_array($2, ' ')) as yes "
		"from pgautofailover.node where nodeid = $1::bigint",
		id, state, DB_END))
		return -1;
	if (r.count == 0) {
		rows_drop(&r);
		return err_set(&x->err, ERR_MONITOR,
		    "the monitor does not know this node any more (node %s)", id);
	}
	struct row row = row_at(&r, 0);
	*yes = row_bool(&row, "yes");
	rows_drop(&r);
	return 0;
}

static int
maintenance(struct cmd_ctx *x, const char *sql, struct waiting *w, int64_t ms)
{
	struct statefile s;
	struct store_outcome o;
	struct transitions t;
	char id[24];
	bool already = false;

	if (own_node(x, &s))
		return -1;
	w->formation = x->config.formation;
	w->node = s.keeper.node_id;
	w->group = s.keeper.group_id;
	snprintf(id, sizeof id, "%lld", (long long)w->node);
	if (node_is(x, id, w->states, &already))
		return -1;
	if (already && w->or_before) {
		log_info("already done: %s", w->what);
		return 0;
	}
	if (store_listen(&x->monitor, &x->err) || begin_transitions(x, w, &t) ||
	    store_submit(&x->monitor, &x->err, &o, sql, id, DB_END))
		return -1;
	say_warning(&o);
	if (wait_for(x, w, &t, ms) == 0)
		return 0;
	if (x->err.kind == ERR_SYSTEM)
		x->err.kind = ERR_MONITOR;
	return -1;
}

int
cmd_enable_maintenance(struct cmd_ctx *x)
{
	struct waiting w = { .states = "maintenance",
		.or_before = true,
		.what = "the node is in maintenance" };
	struct statefile s;
	bool writer;

	if (own_node(x, &s))
		return -1;
	writer = fsm_state_flags(s.keeper.current) & ST_RW;
	if (writer && !x->args.allow_failover) {
		err_set(&x->err, ERR_USAGE,
		    "this node is the primary: maintenance means a failover");
		return err_hint(&x->err, "give --allow-failover");
	}
	return maintenance(x, "select pgautofailover.start_maintenance($1::bigint)", &w,
	    writer ? 180000 : WAIT_MS);
}

/* A node that is not in maintenance is refused, as by the SQL function: it may be the
 * wrong host. */
int
cmd_disable_maintenance(struct cmd_ctx *x)
{
	struct waiting w = { .states = "secondary primary wait_primary single",
		.what = "the node is back" };

	return maintenance(
	    x, "select pgautofailover.stop_maintenance($1::bigint)", &w, WAIT_MS);
}
