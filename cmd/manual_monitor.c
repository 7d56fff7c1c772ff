/* manual monitor: what a keeper says to the monitor, once and by hand. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/node_create.h"
#include "ini/log.h"
#include "ini/str.h"
#include "pg/schema.h"

#include "ini/ban.h"

/* "formation/group host:port id:group state", or JSON. */
static void
print_assigned(const struct cmd_ctx *x, const struct keeper *k, const char *state)
{
	const struct config *c = &x->config;
	struct buf b = { 0 };

	if (!x->args.json) {
		printf("%s/%d %s:%d %lld:%d %s\n", c->formation, k->group_id, c->hostname,
		    c->port, (long long)k->node_id, k->group_id, state);
		return;
	}
	buf_str(&b, "{\n    \"formation\": ");
	buf_json(&b, c->formation);
	buf_str(&b, ",\n    \"host\": ");
	buf_json(&b, c->hostname);
	buf_printf(&b,
	    ",\n    \"port\": %d,\n    \"nodeId\": %lld,\n    \"groupId\": %d,\n"
	    "    \"assigned_role\": \"%s\"\n}",
	    c->port, (long long)k->node_id, k->group_id, state);
	puts(buf_peek(&b));
	buf_drop(&b);
}

/* What the directory holds decides between the two states a node can begin in. */
int
cmd_manual_monitor_register(struct cmd_ctx *x)
{
	int state = fsm_state_find(x->word[0]);
	enum node_stage stage;
	struct statefile s;

	if (state != FSM_INIT && state != FSM_SINGLE)
		return err_set(&x->err, ERR_USAGE,
		    "%s: a node is registered as init, or as single when its Postgres "
		    "runs already",
		    x->word[0]);
	if (cmd_local_alone(x) == -1 || node_stage(&x->config, &stage, &x->err) == -1)
		return -1;
	if (stage != NODE_NEW)
		return err_set(
		    &x->err, ERR_STATE, "%s is registered already", buf_peek(&x->pgdata));
	if (node_register(x, &x->config) == -1 || cmd_local_state(x, &s) == -1)
		return -1;
	print_assigned(x, &s.keeper, fsm_state_name((enum fsm_state)state));
	return 0;
}

static const char active_sql[] =
    "select assigned_group_state::text as state from pgautofailover.node_active($1, "
    "$2::bigint, $3::int, $4::pgautofailover.replication_state, $5::bool, $6::int, "
    "$7::pg_lsn, '')";

/* A running keeper says more, and again and again. */
int
cmd_manual_monitor_active(struct cmd_ctx *x)
{
	struct host_position p = { 0 };
	struct statefile s;
	struct rows r = { 0 };
	struct host h;
	char id[24], group[16], tli[16], lsn[STR_LSN_MAX];
	bool up;
	int rc;

	if (cmd_local_alone(x) == -1 || cmd_local_state(x, &s) == -1 ||
	    cmd_local(x, &h) == -1)
		return -1;
	up = host_position(&h, &p, NULL) == 0;
	snprintf(id, sizeof id, "%lld", (long long)s.keeper.node_id);
	snprintf(group, sizeof group, "%d", s.keeper.group_id);
	snprintf(tli, sizeof tli, "%d", p.tli);
	rc = db_query(&x->monitor, &x->err, &r, active_sql, x->config.formation, id,
	    group, fsm_state_name(s.keeper.current), up ? "true" : "false", tli,
	    str_lsn_format(p.lsn, lsn), DB_END);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);
		print_assigned(x, &s.keeper, row_text(&row, "state"));
	}
	rows_drop(&r);
	return rc;
}

/* The schema, brought to what this program is made of. */
int
cmd_manual_monitor_version(struct cmd_ctx *x)
{
	int version, steps;

	if (x->config.kind != CONFIG_MONITOR)
		return err_set(&x->err, ERR_CONFIG,
		    "%s is a node's: run this on the "
		    "monitor",
		    buf_peek(&x->pgdata));
	if (cmd_open_monitor(x) == -1 ||
	    (steps = schema_migrate(&x->monitor, &x->err)) == -1 ||
	    schema_version(&x->monitor, &version, &x->err) == -1)
		return -1;
	if (steps > 0)
		log_info("the schema was brought forward by %d steps", steps);
	printf("%d\n", version);
	return 0;
}

int
cmd_no_citus(struct cmd_ctx *x)
{
	err_set(&x->err, ERR_USAGE, "Citus formations are not supported yet");
	return err_hint(&x->err,
	    "formations of plain Postgres are: \"%s create postgres\"", x->program);
}
