/* The timelines of a group, and the choice of one after a fork. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/out.h"

#include "ini/ban.h"

static const char history_sql[] =
    "select distinct on (h.tli) h.tli, h.parenttli, h.switchpoint_lsn::text as lsn "
    "from pgautofailover.node_timeline_history h "
    "join pgautofailover.node n using (nodeid) "
    "join pgautofailover.nodegroup g using (formationid, groupid) "
    "where n.formationid = $1 and n.groupid = $2::int "
    "order by h.tli, (h.nodeid = g.writer) desc, h.nodeid";
static const char status_sql[] =
    "select node_name, node_id, tli, lsn::text as lsn, reference_tli, "
    "on_accepted_lineage from pgautofailover.node_timeline_status($1, $2::int)";

static int
show_history(struct cmd_ctx *x, const char *group)
{
	static const struct out_column columns[] = { { "TLI", 8, false },
		{ "Parent TLI", 10, false }, { "Switchpoint LSN", 15, false } };
	struct rows r = { 0 };
	struct out o;

	if (db_query(&x->monitor, &x->err, &r, history_sql, buf_peek(&x->formation),
		group, DB_END))
		return -1;
	out_init(&o, columns, 3);
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		out_cell(&o, "%s", row_text(&row, "tli"));
		out_cell(&o, "%s", row_text(&row, "parenttli"));
		out_cell(&o, "%s", row_text(&row, "lsn"));
	}
	out_print(&o);
	rows_drop(&r);
	return 0;
}

static void
status_row(struct out *o, const struct row *row)
{
	out_cell(o, "%s", row_text(row, "node_name"));
	out_cell(o, "%s", row_text(row, "node_id"));
	out_cell(o, "%s", row_text(row, "tli"));
	out_cell(o, "%s", row_text(row, "lsn"));
	if (row_bool(row, "on_accepted_lineage"))
		out_cell(o, "ok, on accepted lineage of timeline %s",
		    row_text(row, "reference_tli"));
	else
		out_cell(o, "FORK, not on the lineage of timeline %s",
		    row_text(row, "reference_tli"));
}

static int
show_status(struct cmd_ctx *x, const char *group)
{
	static const struct out_column columns[] = { { "Name", 20, false },
		{ "NodeId", 6, false }, { "TLI", 4, false }, { "LSN", 11, false },
		{ "Status", 0, true } };
	struct rows r = { 0 };
	struct out o;
	int forks = 0;

	if (db_query(&x->monitor, &x->err, &r, status_sql, buf_peek(&x->formation), group,
		DB_END))
		return -1;
	out_init(&o, columns, 5);
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		status_row(&o, &row);
		forks += !row_bool(&row, "on_accepted_lineage");
	}
	out_print(&o);
	rows_drop(&r);
	if (forks)
		printf("%d of the nodes have a history of their own, and cannot be "
		       "promoted.\n"
		       "To keep theirs instead: %s accept timeline --formation %s "
		       "--group %s --tli <number>\n",
		    forks, x->program, buf_peek(&x->formation), group);
	return 0;
}

int
cmd_show_timeline(struct cmd_ctx *x)
{
	char group[16];
	int g;

	if (cmd_group(x, &g))
		return -1;
	snprintf(group, sizeof group, "%d", g);
	return show_history(x, group) || show_status(x, group) ? -1 : 0;
}

int
cmd_accept_timeline(struct cmd_ctx *x)
{
	char group[16];
	char tli[16];
	int g;
	int t;

	if (cmd_int(x, "tli", x->args.tli, 0, &t))
		return -1;
	if (t <= 0)
		return err_set(&x->err, ERR_USAGE,
		    x->args.tli ? "--tli: timelines are numbered from 1"
				: "which timeline? give --tli");
	if (cmd_group(x, &g))
		return -1;
	snprintf(group, sizeof group, "%d", g);
	snprintf(tli, sizeof tli, "%d", t);
	if (db_run(&x->monitor, &x->err,
		"select pgautofailover.accept_timeline($1, $2::int, $3::int, $4)",
		buf_peek(&x->formation), group, tli, x->args.reason, DB_END))
		return -1;
	printf("Timeline %d is accepted for formation \"%s\", group %d.\n", t,
	    buf_peek(&x->formation), g);
	return 0;
}
