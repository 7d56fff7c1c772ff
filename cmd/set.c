/* Properties of nodes and formations: priority, quorum, number of synchronous standbys.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/clock.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/store.h"

#include "ini/ban.h"

#define SETTLE_MS 60000

static int
own_name(struct cmd_ctx *x, const char **name)
{
	*name = x->args.name;
	if (!*name && x->have_config && x->config.kind == CONFIG_KEEPER)
		*name = x->config.name;
	if (!str_empty(*name))
		return 0;
	err_set(&x->err, ERR_USAGE, "which node?");
	return err_hint(&x->err, "give --name");
}

/* {"name": "node_1", "candidate-priority": 50}, or just the value: as it is in JSON. */
static void
print_value(struct cmd_ctx *x, const char *name, const char *key, const char *value)
{
	struct buf b = { 0 };

	if (x->args.json) {
		buf_str(&b, "{\n");
		if (name) {
			buf_str(&b, "    \"name\": ");
			buf_json(&b, name);
			buf_str(&b, ",\n");
		}
		buf_printf(&b, "    \"%s\": %s\n}", key, value);
		puts(buf_peek(&b));
	} else
		puts(value);
	buf_drop(&b);
}

static int
get_node(struct cmd_ctx *x, const char *column, const char *key)
{
	struct rows r = { 0 };
	const char *name;
	int rc = -1;

	if (own_name(x, &name))
		return -1;
	if (db_query(&x->monitor, &x->err, &r,
		"select candidatepriority as priority, "
		"case when replicationquorum then 'true' else 'false' end as quorum, "
		"region, to_json(region) as region_json "
		"from pgautofailover.node where formationid = $1 and nodename = $2",
		buf_peek(&x->formation), name, DB_END))
		return -1;
	if (r.count == 0)
		err_set(&x->err, ERR_MONITOR,
		    "node \"%s\" is not registered in formation \"%s\"", name,
		    buf_peek(&x->formation));
	else {
		struct row row = row_at(&r, 0);
		print_value(x, name, key, row_text(&row, column));
		rc = 0;
	}
	rows_drop(&r);
	return rc;
}

int
cmd_get_node_priority(struct cmd_ctx *x)
{
	return get_node(x, "priority", "candidate-priority");
}

int
cmd_get_node_quorum(struct cmd_ctx *x)
{
	return get_node(x, "quorum", "replication-quorum");
}

int
cmd_get_node_region(struct cmd_ctx *x)
{
	return get_node(x, x->args.json ? "region_json" : "region", "region");
}

int
cmd_get_formation_nss(struct cmd_ctx *x)
{
	struct rows r = { 0 };

	if (db_query(&x->monitor, &x->err, &r,
		"select number_sync_standbys as n from pgautofailover.formation "
		"where formationid = $1",
		buf_peek(&x->formation), DB_END))
		return -1;
	if (r.count == 0) {
		rows_drop(&r);
		return err_set(&x->err, ERR_MONITOR, "unknown formation \"%s\"",
		    buf_peek(&x->formation));
	}
	struct row row = row_at(&r, 0);
	print_value(x, NULL, "number-sync-standbys", row_text(&row, "n"));
	rows_drop(&r);
	return 0;
}

/* Groups of more than one node whose writer has yet to take something over. */
static const char settling_sql[] =
    "select 1 from pgautofailover.nodegroup g "
    "left join pgautofailover.node n on n.nodeid = g.writer "
    "where g.formationid = $1 and (select count(*) from pgautofailover.node m "
    "where m.formationid = g.formationid and m.groupid = g.groupid) > 1 "
    "and (g.dirty or 'apply_settings' in (n.goalstate, n.reportedstate))";

/* What the monitor says meanwhile is for the operator, too. 1: there was something. */
static int
relay(struct cmd_ctx *x, int64_t ms)
{
	struct db_notice n;
	int rc = db_wait_notice(&x->monitor, &n, ms, &x->err);

	if (rc > 0 && strcmp(n.channel, "log") == 0)
		log_info("%s", n.payload);
	return rc;
}

/* Until the primary has taken the new settings over: no group is dirty or on its way. */
static int
settle(struct cmd_ctx *x)
{
	struct mono end = mono_after(clock_mono(), SETTLE_MS);
	struct rows r = { 0 };
	bool waiting = true;
	int heard = 1;

	while (waiting) {
		if (db_query(&x->monitor, &x->err, &r, settling_sql,
			buf_peek(&x->formation), DB_END))
			return -1;
		waiting = r.count > 0;
		rows_drop(&r);
		if (waiting && clock_mono().ms > end.ms) {
			err_set(&x->err, ERR_MONITOR,
			    "the setting is stored, but the primary has not taken it "
			    "over yet");
			return err_hint(&x->err,
			    "it does so when it can: see \"%s show state\"", x->program);
		}
		if (waiting && relay(x, 500) < 0)
			return -1;
	}
	while (heard > 0)
		heard = relay(x, 0);
	return heard;
}

static int
set_node(struct cmd_ctx *x, const char *sql, const char *value, const char *key)
{
	struct store_outcome o;
	const char *name;

	if (own_name(x, &name) || store_listen(&x->monitor, &x->err) ||
	    store_submit(&x->monitor, &x->err, &o, sql, buf_peek(&x->formation), name,
		value, DB_END) ||
	    settle(x))
		return -1;
	print_value(x, NULL, key, value);
	return 0;
}

int
cmd_set_node_priority(struct cmd_ctx *x)
{
	return set_node(x,
	    "select pgautofailover.set_node_candidate_priority($1, $2, $3::int)",
	    x->word[0], "candidate-priority");
}

int
cmd_set_node_quorum(struct cmd_ctx *x)
{
	bool on;

	if (str_bool(x->word[0], &on, &x->err))
		return -1;
	return set_node(x,
	    "select pgautofailover.set_node_replication_quorum($1, $2, $3::bool)",
	    on ? "true" : "false", "replication-quorum");
}

/* Nobody has to take it over: it is for people. */
int
cmd_set_node_region(struct cmd_ctx *x)
{
	struct buf b = { 0 };
	const char *name;

	if (str_empty(x->word[0]))
		return err_set(&x->err, ERR_USAGE, "a region must not be empty");
	if (own_name(x, &name) || db_run(&x->monitor, &x->err,
				      "select pgautofailover.set_node_region($1, $2, $3)",
				      buf_peek(&x->formation), name, x->word[0], DB_END))
		return -1;
	buf_json(&b, x->word[0]);
	print_value(x, NULL, "region", x->args.json ? buf_peek(&b) : x->word[0]);
	buf_drop(&b);
	return 0;
}

/* {"number-sync-standbys": 1, "synchronous_standby_names": "..."}: what it came to. */
static int
print_nss(struct cmd_ctx *x)
{
	struct rows r = { 0 };
	struct buf b = { 0 };

	if (!x->args.json) {
		puts(x->word[0]);
		return 0;
	}
	if (db_query(&x->monitor, &x->err, &r,
		"select pgautofailover.synchronous_standby_names($1) as names",
		buf_peek(&x->formation), DB_END))
		return -1;
	struct row row = row_at(&r, 0);
	buf_printf(&b,
	    "{\n    \"number-sync-standbys\": %s,\n    \"synchronous_standby_names\": ",
	    x->word[0]);
	buf_json(&b, row_text(&row, "names"));
	printf("%s\n}\n", buf_peek(&b));
	buf_drop(&b);
	rows_drop(&r);
	return 0;
}

int
cmd_set_formation_nss(struct cmd_ctx *x)
{
	struct store_outcome o;

	if (store_listen(&x->monitor, &x->err) ||
	    store_submit(&x->monitor, &x->err, &o,
		"select pgautofailover.set_formation_number_sync_standbys($1, $2::int)",
		buf_peek(&x->formation), x->word[0], DB_END) ||
	    settle(x))
		return -1;
	return print_nss(x);
}
