/* inspect monitor: what the monitor knows of this node's group. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/json.h"
#include "cmd/local.h"
#include "cmd/out.h"

#include "ini/ban.h"

/* One row of one column, printed. */
static int
print_answer(struct cmd_ctx *x, const char *sql, const char *param)
{
	char group[16];
	struct rows r = { 0 };
	int rc;

	snprintf(group, sizeof group, "%d", x->config.group);
	rc = db_query(&x->monitor, &x->err, &r, sql, param ? param : x->config.formation,
	    param ? DB_END : group, DB_END);
	if (rc == 0 && r.count > 0) {
		struct row row = row_at(&r, 0);
		puts(row_null(&row, "answer") ? "[\n]" : row_text(&row, "answer"));
	}
	rows_drop(&r);
	return rc;
}

int
cmd_inspect_monitor_get_primary(struct cmd_ctx *x)
{
	return print_answer(x,
	    x->args.json
		? "select jsonb_pretty(jsonb_build_object('formation', $1::text, "
		  "'groupId', $2::int, 'nodeId', primary_node_id, 'name', primary_name, "
		  "'host', primary_host, 'port', primary_port)) as answer "
		  "from pgautofailover.get_primary($1, $2::int)"
		: "select format('%s/%s %s:%s', $1, $2, primary_host, primary_port) "
		  "as answer from pgautofailover.get_primary($1, $2::int)",
	    NULL);
}

/* Who could take over: neither the primary, nor one that is never promoted. */
int
cmd_inspect_monitor_get_candidate_count(struct cmd_ctx *x)
{
	return print_answer(x,
	    x->args.json
		? "select jsonb_pretty(jsonb_build_object('formation', $1::text, "
		  "'groupId', $2::int, 'failoverCandidateCount', count(*))) as answer "
		  "from pgautofailover.node n where n.formationid = $1 and n.groupid = "
		  "$2::int and n.candidatepriority > 0 and not exists (select from "
		  "pgautofailover.state s where s.name = n.goalstate and s.writable)"
		: "select count(*)::text as answer "
		  "from pgautofailover.node n where n.formationid = $1 and n.groupid = "
		  "$2::int and n.candidatepriority > 0 and not exists (select from "
		  "pgautofailover.state s where s.name = n.goalstate and s.writable)",
	    NULL);
}

static int
others_table(struct cmd_ctx *x, const char *id)
{
	static const struct out_column columns[] = { { "Name", 4, false },
		{ "Node", 5, false }, { "Host:Port", 10, false },
		{ "TLI: LSN", 9, false }, { "Primary?", 8, false } };
	struct rows r = { 0 };
	struct out o;

	if (db_query(&x->monitor, &x->err, &r,
		"select o.*, n.reportedtli as tli from "
		"pgautofailover.get_other_nodes($1::bigint) o "
		"join pgautofailover.node n on n.nodeid = o.node_id order by o.node_id",
		id, DB_END) == -1)
		return -1;
	out_init(&o, columns, 5);
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		out_cell(&o, "%s", row_text(&row, "node_name"));
		out_cell(&o, "%s", row_text(&row, "node_id"));
		out_cell(&o, "%s:%s", row_text(&row, "node_host"),
		    row_text(&row, "node_port"));
		out_cell(&o, "%3d: %s", row_int(&row, "tli"), row_text(&row, "node_lsn"));
		out_cell(&o, "%s", row_bool(&row, "node_is_primary") ? "yes" : "no");
	}
	out_print(&o);
	rows_drop(&r);
	return 0;
}

int
cmd_inspect_monitor_get_others(struct cmd_ctx *x)
{
	struct statefile s;
	char id[24];

	if (cmd_local_state(x, &s) == -1)
		return -1;
	snprintf(id, sizeof id, "%lld", (long long)s.keeper.node_id);
	if (!x->args.json)
		return others_table(x, id);
	return print_answer(x,
	    "select jsonb_pretty(jsonb_agg(to_jsonb(o) order by o.node_id)) as answer "
	    "from pgautofailover.get_other_nodes($1::bigint) o",
	    id);
}

static void
copy_member(
    struct buf *out, const char *text, const char *from, const char *to, bool number)
{
	struct buf v = { 0 };

	cmd_json_member(text, from, &v);
	buf_printf(out, "%s\n    \"%s\": ", buf_len(out) > 1 ? "," : "", to);
	if (number && buf_len(&v))
		buf_str(out, buf_peek(&v));
	else
		buf_json(out, buf_peek(&v));
	buf_drop(&v);
}

/* The payload of channel "state". */
int
cmd_inspect_monitor_parse_notification(struct cmd_ctx *x)
{
	const char *text = x->word[0];
	struct buf type = { 0 }, b = { 0 };
	int rc = 0;

	if (!cmd_json_valid(text) || !cmd_json_member(text, "type", &type) ||
	    strcmp(buf_peek(&type), "state") != 0)
		rc = err_set(
		    &x->err, ERR_USAGE, "this is no notification of a state: %s", text);
	if (rc == 0) {
		buf_char(&b, '{');
		copy_member(&b, text, "name", "name", false);
		copy_member(&b, text, "host", "hostname", false);
		copy_member(&b, text, "port", "port", true);
		copy_member(&b, text, "formation", "formationid", false);
		copy_member(&b, text, "reportedState", "reportedState", false);
		copy_member(&b, text, "goalState", "goalState", false);
		buf_str(&b, "\n}");
		puts(buf_peek(&b));
	}
	buf_drop(&type);
	buf_drop(&b);
	return rc;
}
