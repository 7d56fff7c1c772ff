/* What there is to see: state, events, connection strings, settings, files. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "fsm/fsm.h"
#include "ini/clock.h"
#include "ini/file.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/setup.h"
#include "pg/statefile.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define WATCH_MS 500

/* Show commands tell an unknown data directory by 12 (contract, section 1). */
static int
open_for_show(struct cmd_ctx *x)
{
	bool known = x->args.monitor || getenv("PG_AUTOCTL_MONITOR");

	if (!known && buf_len(&x->pgdata) && cmd_load_config(x)) {
		if (x->err.kind == ERR_USAGE)
			x->err.kind = ERR_SYSTEM;
		return -1;
	}
	if (cmd_open_monitor(x))
		return -1;
	if (!x->args.formation && x->have_config && x->config.kind == CONFIG_KEEPER) {
		buf_reset(&x->formation);
		buf_str(&x->formation, x->config.formation);
	}
	return 0;
}

/* The group to look at, as text: --group, on a node its own, else NULL for all. */
static const char *
group_text(struct cmd_ctx *x, char out[16])
{
	if (x->args.group)
		return x->args.group;
	if (!x->have_config || x->config.kind != CONFIG_KEEPER || x->config.group < 0 ||
	    x->args.monitor || x->args.formation)
		return NULL;
	snprintf(out, 16, "%d", x->config.group);
	return out;
}

static int
print_json(struct cmd_ctx *x, struct rows *r)
{
	struct row row = row_at(r, 0);

	(void)x;
	puts(row_null(&row, "json") ? "[\n]" : row_text(&row, "json"));
	rows_drop(r);
	return 0;
}

/* -- state -- */

const char *
cmd_connection_type(const char *state)
{
	int s = fsm_state_find(state);
	unsigned flags = s < 0 ? 0 : fsm_state_flags((enum fsm_state)s);

	if ((flags & ST_RW) || s == FSM_PREPARE_MAINTENANCE)
		return "read-write";
	return flags & ST_UP ? "read-only" : "none";
}

static const char state_sql[] =
    "select s.*, s.reported_lsn::text as lsn "
    "from (select * from pgautofailover.current_state($1)) s "
    "where $2::text is null or s.group_id = $2::int order by s.group_id, s.node_id";
static const char state_json_sql[] =
    "select jsonb_pretty(jsonb_agg(row_to_json(s))) as json "
    "from (select * from pgautofailover.current_state($1) "
    "where $2::text is null or group_id = $2::int) s";

static void
state_row(struct out *o, const struct row *r)
{
	const char *kind = row_text(r, "formation_kind");
	int health = row_int(r, "health");

	out_cell(o, "%s", row_text(r, "nodename"));
	if (strcmp(kind, "citus") == 0)
		out_cell(o, "%s/%s", row_text(r, "group_id"), row_text(r, "node_id"));
	else
		out_cell(o, "%s", row_text(r, "node_id"));
	out_cell(o, "%s:%s", row_text(r, "nodehost"), row_text(r, "nodeport"));
	out_cell(o, "%3s: %s", row_text(r, "reported_tli"), row_text(r, "lsn"));
	out_cell(o, "%s%s", cmd_connection_type(row_text(r, "current_group_state")),
	    health < 0    ? " ?"
	    : health == 0 ? " !"
			  : "");
	out_cell(o, "%s", row_text(r, "current_group_state"));
	out_cell(o, "%s", row_text(r, "assigned_group_state"));
}

static const struct out_column state_columns[] = { { "Name", 4, false },
	{ "Node", 5, false }, { "Host:Port", 10, false }, { "TLI: LSN", 9, false },
	{ "Connection", 12, false }, { "Reported State", 19, false },
	{ "Assigned State", 19, false } };

/* What a node is busy with, why it is not where it should be, what a group waits for:
 * below the table. */
static const char notes_sql[] =
    "select nodename || ': ' || t as note from pgautofailover.node, "
    "lateral (values (1, concat_ws(', ', nullif(act, ''), nullif(progress, ''))), "
    "(2, error)) v (i, t) "
    "where formationid = $1 and ($2::text is null or groupid = $2::int) and t <> '' "
    "union all "
    "select explain from pgautofailover.nodegroup "
    "where explain not in ('', 'nothing is in progress') "
    "and formationid = $1 and ($2::text is null or groupid = $2::int)";

static int
state_notes(struct cmd_ctx *x, const char *group)
{
	struct rows r = { 0 };

	if (db_query(&x->monitor, &x->err, &r, notes_sql, buf_peek(&x->formation), group,
		DB_END))
		return -1;
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		out_line(row_text(&row, "note"));
	}
	if (r.count)
		putchar('\n');
	rows_drop(&r);
	return 0;
}

static int
state_once(struct cmd_ctx *x)
{
	struct rows r = { 0 };
	struct out o;
	char text[16];
	const char *group = group_text(x, text);

	if (db_query(&x->monitor, &x->err, &r, x->args.json ? state_json_sql : state_sql,
		buf_peek(&x->formation), group, DB_END))
		return -1;
	if (x->args.json)
		return print_json(x, &r);
	out_init(&o, state_columns, 7);
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		state_row(&o, &row);
	}
	out_print(&o);
	rows_drop(&r);
	return state_notes(x, group);
}

static int
check_watch(struct cmd_ctx *x)
{
	const char *other = x->args.json ? "--json" : x->args.local ? "--local" : NULL;

	return x->args.watch && other ? err_set(&x->err, ERR_USAGE,
					    "%s and --watch do not go together", other)
				      : 0;
}

/* Again and again, on a cleared screen. */
static int
again(struct cmd_ctx *x, int (*once)(struct cmd_ctx *))
{
	for (;;) {
		if (x->args.watch)
			fputs("\033[H\033[2J", stdout);
		if (once(x))
			return -1;
		if (!x->args.watch)
			return 0;
		if (fflush(stdout))
			return err_sys(&x->err, "write the answer");
		clock_nap_ms(WATCH_MS);
	}
}

static int
read_state(struct cmd_ctx *x, struct statefile *s)
{
	struct buf path = { 0 };
	int rc = -1;

	if (x->config.kind != CONFIG_KEEPER)
		err_set(&x->err, ERR_MONITOR,
		    "%s is a monitor's: only nodes have a state file",
		    buf_peek(&x->pgdata));
	else if (config_path(buf_peek(&x->pgdata), CONFIG_FILE_STATE, &path, &x->err) ==
		 0)
		rc = statefile_read(buf_peek(&path), s, &x->err);
	buf_drop(&path);
	return rc;
}

/* What pg_controldata knows; what it does not know is 0. */
static void
local_control(const struct cmd_ctx *x, struct control *c)
{
	struct host h;

	memset(c, 0, sizeof *c);
	if (host_init(&h, &x->config, 0, NULL) || setup_find(&h, NULL) ||
	    setup_control(&h, c, NULL))
		memset(c, 0, sizeof *c);
}

static void
local_json(const struct cmd_ctx *x, const struct keeper *k, const struct control *c)
{
	const char *type = cmd_connection_type(fsm_state_name(k->current));
	char lsn[STR_LSN_MAX];
	struct buf b = { 0 };

	buf_printf(&b,
	    "{\n    \"node_id\": %lld,\n    \"group_id\": %d,\n    \"nodename\": ",
	    (long long)k->node_id, k->group_id);
	buf_json(&b, x->config.name ? x->config.name : "");
	buf_str(&b, ",\n    \"nodehost\": ");
	buf_json(&b, x->config.hostname ? x->config.hostname : "");
	buf_printf(&b,
	    ",\n    \"nodeport\": %d,\n    \"current_group_state\": \"%s\",\n"
	    "    \"assigned_group_state\": \"%s\",\n    \"timeline\": %d,\n"
	    "    \"Minimum Recovery Ending LSN\": \"%s\",\n"
	    "    \"reachable\": \"unknown\",\n    \"conntype\": \"%s\"\n}\n",
	    x->config.port, fsm_state_name(k->current), fsm_state_name(k->goal), c->tli,
	    str_lsn_format(c->min_recovery, lsn), type);
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
}

static int
local_state(struct cmd_ctx *x)
{
	struct statefile s;
	struct control c;
	const struct keeper *k = &s.keeper;
	char lsn[STR_LSN_MAX];
	struct out o;

	if (cmd_load_config(x) || read_state(x, &s))
		return -1;
	local_control(x, &c);
	if (x->args.json) {
		local_json(x, k, &c);
		return 0;
	}
	out_init(&o, state_columns, 7);
	out_cell(&o, "%s", x->config.name ? x->config.name : "");
	out_cell(&o, "%lld", (long long)k->node_id);
	out_cell(
	    &o, "%s:%d", x->config.hostname ? x->config.hostname : "", x->config.port);
	out_cell(&o, "%3d: %s", c.tli,
	    str_lsn_format(c.min_recovery ? c.min_recovery : c.checkpoint, lsn));
	out_cell(&o, "%s ?", cmd_connection_type(fsm_state_name(k->current)));
	out_cell(&o, "%s", fsm_state_name(k->current));
	out_cell(&o, "%s", fsm_state_name(k->goal));
	out_print(&o);
	return 0;
}

int
cmd_show_state(struct cmd_ctx *x)
{
	bool remote = x->args.monitor || getenv("PG_AUTOCTL_MONITOR");

	if (check_watch(x))
		return -1;
	if (!remote && buf_len(&x->pgdata) && cmd_load_config(x)) {
		x->err.kind = x->err.kind == ERR_USAGE ? ERR_SYSTEM : x->err.kind;
		return -1;
	}
	if (x->args.local ||
	    (!remote && x->have_config && x->config.kind == CONFIG_KEEPER &&
		config_no_monitor(&x->config)))
		return local_state(x);
	if (open_for_show(x))
		return -1;
	return again(x, state_once);
}

/* -- events -- */

static const char events_sql[] =
    "select to_char(eventtime, 'YYYY-MM-DD HH24:MI:SS.US TZH') as at, nodeid, groupid, "
    "reportedstate, goalstate, rule_pos, description from "
    "(select * from pgautofailover.event where formationid = $1 and "
    "($2::text is null or groupid = $2::int) order by eventid desc limit $3::int) e "
    "order by eventid";
static const char events_json_sql[] =
    "select jsonb_pretty(jsonb_agg(row_to_json(e) order by eventid)) as json from "
    "(select * from pgautofailover.event where formationid = $1 and "
    "($2::text is null or groupid = $2::int) order by eventid desc limit $3::int) e";

static int
events_once(struct cmd_ctx *x)
{
	static const struct out_column columns[] = { { "Event Time", 30, false },
		{ "Node", 6, false }, { "Current State", 19, false },
		{ "Assigned State", 19, false }, { "Rule", 6, false },
		{ "Comment", 0, true } };
	struct rows r = { 0 };
	struct out o;
	char text[16], count[16];
	int n;

	if (cmd_int(x, "count", x->args.count, 10, &n))
		return -1;
	snprintf(count, sizeof count, "%d", n);
	if (db_query(&x->monitor, &x->err, &r,
		x->args.json ? events_json_sql : events_sql, buf_peek(&x->formation),
		group_text(x, text), count, DB_END))
		return -1;
	if (x->args.json)
		return print_json(x, &r);
	out_init(&o, columns, 6);
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		out_cell(&o, "%s", row_text(&row, "at"));
		out_cell(
		    &o, "%s/%s", row_text(&row, "groupid"), row_text(&row, "nodeid"));
		out_cell(&o, "%s", row_text(&row, "reportedstate"));
		out_cell(&o, "%s", row_text(&row, "goalstate"));
		out_cell(&o, "%s", row_text(&row, "rule_pos"));
		out_cell(&o, "%s", row_text(&row, "description"));
	}
	out_print(&o);
	rows_drop(&r);
	return 0;
}

int
cmd_show_events(struct cmd_ctx *x)
{
	return check_watch(x) || open_for_show(x) ? -1 : again(x, events_once);
}

/* -- uri -- */

static void
monitor_uri_text(struct cmd_ctx *x, struct buf *b)
{
	struct uri_parts p = { .user = "autoctl_node",
		.host = x->config.hostname,
		.port = x->config.port,
		.dbname = "pg_auto_failover",
		.sslmode = x->config.sslmode,
		.sslrootcert = x->config.ca_file,
		.sslcrl = x->config.crl_file };

	if (buf_len(&x->uri))
		buf_str(b, buf_peek(&x->uri));
	else
		uri_format(b, &p);
}

/* The read replicas of a formation are clusters of other names than "default". */
static const char uris_sql[] =
    "select case cluster when 'default' then 'formation' else 'read-replica' end as "
    "type, "
    "case cluster when 'default' then formationid else cluster end as name, "
    "pgautofailover.formation_uri(formationid, cluster, $2, $3, $4) as uri from ("
    "select formationid, 'default' as cluster from pgautofailover.formation union "
    "select formationid, nodecluster from pgautofailover.node) c "
    "where ($1::text is null or formationid = $1) and ($5::text is null or cluster = $5) "
    "order by formationid, cluster <> 'default', cluster";

static void
uris_print(struct cmd_ctx *x, const char *monitor, const struct rows *r)
{
	static const struct out_column columns[] = { { "Type", 12, false },
		{ "Name", 7, false }, { "Connection String", 0, true } };
	struct buf b = { 0 };
	struct out o;

	out_init(&o, columns, 3);
	out_cell(&o, "monitor");
	out_cell(&o, "monitor");
	out_cell(&o, "%s", monitor);
	buf_str(&b, "[\n    {\n        \"type\": \"monitor\",\n        \"name\": "
		    "\"monitor\",\n        "
		    "\"uri\": ");
	buf_json(&b, monitor);
	buf_str(&b, "\n    }");
	for (int i = 0; i < r->count; i++) {
		struct row row = row_at(r, i);
		out_cell(&o, "%s", row_text(&row, "type"));
		out_cell(&o, "%s", row_text(&row, "name"));
		out_cell(&o, "%s", row_text(&row, "uri"));
		buf_str(&b, ",\n    {\n        \"type\": ");
		buf_json(&b, row_text(&row, "type"));
		buf_str(&b, ",\n        \"name\": ");
		buf_json(&b, row_text(&row, "name"));
		buf_str(&b, ",\n        \"uri\": ");
		buf_json(&b, row_text(&row, "uri"));
		buf_str(&b, "\n    }");
	}
	if (x->args.json) {
		puts(buf_peek(&b));
		puts("]");
		out_drop(&o);
	} else
		out_print(&o);
	buf_drop(&b);
}

static void
uri_one(struct cmd_ctx *x, const char *monitor, const char *name, const char *uri)
{
	struct buf b = { 0 };

	if (!x->args.json) {
		puts(uri ? uri : monitor);
		return;
	}
	buf_str(&b, "{\n    \"monitor\": ");
	buf_json(&b, monitor);
	if (uri) {
		buf_str(&b, ",\n    ");
		buf_json(&b, name);
		buf_str(&b, ": ");
		buf_json(&b, uri);
	}
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

/* One formation's URI alone; its read replicas' with --citus-cluster. */
static int
uri_of(struct cmd_ctx *x, const char *monitor, const struct rows *r)
{
	const char *f = x->args.formation, *cluster = x->args.citus_cluster;
	struct row row = { 0 };

	if (r->count)
		row = row_at(r, 0);
	if (r->count && !row_null(&row, "uri")) {
		uri_one(x, monitor, f, row_text(&row, "uri"));
		return 0;
	}
	return err_set(&x->err, ERR_MONITOR,
	    cluster ? "formation \"%s\" has no nodes in cluster \"%s\""
		    : "formation \"%s\" has no nodes",
	    f, cluster);
}

static const char *
or_else(const char *text, const char *other)
{
	return str_empty(text) ? other : text;
}

static int
uris(struct cmd_ctx *x, const char *monitor)
{
	static const struct config none = { 0 };
	const struct config *c = x->have_config ? &x->config : &none;
	const char *f = x->args.formation, *cluster = x->args.citus_cluster;
	struct rows r = { 0 };
	int rc = 0;

	/* of the formation itself there is one, the first */
	if (db_query(&x->monitor, &x->err, &r, uris_sql, f, or_else(c->sslmode, "prefer"),
		or_else(c->ca_file, ""), or_else(c->crl_file, ""),
		f && !cluster ? "default" : cluster, DB_END))
		return -1;
	if (f)
		rc = uri_of(x, monitor, &r);
	else
		uris_print(x, monitor, &r);
	rows_drop(&r);
	return rc;
}

int
cmd_show_uri(struct cmd_ctx *x)
{
	const char *f = x->args.formation;
	struct buf m = { 0 };
	int rc = 0;

	if (open_for_show(x))
		return -1;
	monitor_uri_text(x, &m);
	if (f && strcmp(f, "monitor") == 0)
		uri_one(x, buf_peek(&m), NULL, NULL);
	else
		rc = uris(x, buf_peek(&m));
	buf_drop(&m);
	return rc;
}

/* -- settings, standby names -- */

static const char settings_json_sql[] =
    "select jsonb_pretty(jsonb_build_object("
    "'formation', (select jsonb_agg(row_to_json(s)) from s where context = 'formation'), "
    "'primary', (select jsonb_agg(row_to_json(s)) from s where context = 'primary'), "
    "'nodes', (select jsonb_agg(row_to_json(s)) from s where context = 'node'))) as json "
    "from (select 1) one where exists (select from s)";

int
cmd_show_settings(struct cmd_ctx *x)
{
	static const struct out_column columns[] = { { "Context", 9, false },
		{ "Name", 4, false }, { "Setting", 7, false }, { "Value", 5, true } };
	struct rows r = { 0 };
	struct buf sql = { 0 };
	struct out o;
	int rc = -1;

	buf_str(&sql, "with s as (select * from pgautofailover.formation_settings($1)) ");
	buf_str(&sql, x->args.json ? settings_json_sql
				   : "select * from s order by array_position("
				     "array['formation', 'primary', 'node'], context), "
				     "setting, group_id, node_id");
	if (db_query(&x->monitor, &x->err, &r, buf_peek(&sql), buf_peek(&x->formation),
		DB_END))
		;
	else if (r.count == 0)
		err_set(&x->err, ERR_MONITOR, "unknown formation \"%s\"",
		    buf_peek(&x->formation));
	else if (x->args.json)
		rc = print_json(x, &r);
	else {
		out_init(&o, columns, 4);
		for (int i = 0; i < r.count; i++) {
			struct row row = row_at(&r, i);
			out_cell(&o, "%s", row_text(&row, "context"));
			out_cell(&o, "%s", row_text(&row, "nodename"));
			out_cell(&o, "%s", row_text(&row, "setting"));
			out_cell(&o, "%s", row_text(&row, "value"));
		}
		out_print(&o);
		rc = 0;
	}
	rows_drop(&r);
	buf_drop(&sql);
	return rc;
}

int
cmd_show_standby_names(struct cmd_ctx *x)
{
	struct rows r = { 0 };
	struct buf b = { 0 };
	char group[16];
	int g;

	if (cmd_group(x, &g))
		return -1;
	snprintf(group, sizeof group, "%d", g);
	if (db_query(&x->monitor, &x->err, &r,
		"select pgautofailover.synchronous_standby_names($1, $2::int) as names",
		buf_peek(&x->formation), group, DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	if (x->args.json) {
		buf_str(&b, "{\n    \"formation\": ");
		buf_json(&b, buf_peek(&x->formation));
		buf_printf(
		    &b, ",\n    \"group\": %d,\n    \"synchronous_standby_names\": ", g);
		buf_json(&b, row_text(&row, "names"));
		buf_str(&b, "\n}");
		puts(buf_peek(&b));
	} else
		printf("'%s'\n", row_text(&row, "names"));
	buf_drop(&b);
	rows_drop(&r);
	return 0;
}
