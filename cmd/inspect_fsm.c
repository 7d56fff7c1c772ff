/* inspect fsm: where this node stands, and the table it goes by. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/local.h"
#include "cmd/out.h"
#include "cmd/setup.h"
#include "cmd/show_fsm.h"
#include "fsm/fsm.h"

#include "ini/ban.h"

/* The local Postgres and the state file; touches neither. */
int
cmd_inspect_fsm_state(struct cmd_ctx *x)
{
	struct show_setup s;
	struct statefile state;
	struct buf b = { 0 };

	if (cmd_local_state(x, &state) == -1 ||
	    show_setup_look(&s, &x->config, &x->err) == -1)
		return -1;
	buf_str(&b, "{\n    \"postgres\": ");
	show_setup_json(&s, "    ", &b);
	buf_str(&b, ",\n    \"state\": ");
	show_state_json(&state, "    ", &b);
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
	return 0;
}

/* -- the table -- */

typedef void pair_fn(void *arg, const char *from, const struct fsm_edge *);

static void
each_pair(pair_fn *fn, void *arg)
{
	for (size_t i = 0; i < fsm_edge_count; i++) {
		const struct fsm_edge *e = &fsm_edge_list[i];

		if ((e->from & FSM_ANY) == FSM_ANY)
			fn(arg, "any", e);
		else
			for (int s = 0; s < FSM_STATE_COUNT; s++)
				if (e->from >> s & 1)
					fn(arg, fsm_state_name((enum fsm_state)s), e);
	}
}

static void
pair_json(void *arg, const char *from, const struct fsm_edge *e)
{
	struct buf *b = arg;

	buf_printf(b, "%s{\"current\":\"%s\",\"assigned\":\"%s\"}",
	    buf_len(b) > 1 ? "," : "", from, fsm_state_name(e->to));
}

static void
pair_row(void *arg, const char *from, const struct fsm_edge *e)
{
	out_cell(arg, "%s", from);
	out_cell(arg, "%s", fsm_state_name(e->to));
	out_cell(arg, "%s", fsm_act_text(e->act));
}

static void
edges_json(struct buf *b)
{
	buf_char(b, '[');
	each_pair(pair_json, b);
	buf_char(b, ']');
}

int
cmd_inspect_fsm_list(struct cmd_ctx *x)
{
	static const struct out_column columns[] = { { "Current", 20, false },
		{ "Reachable", 20, false }, { "Comment", 0, true } };
	struct buf b = { 0 };
	struct out o;

	if (x->args.json) {
		edges_json(&b);
		puts(buf_peek(&b));
		buf_drop(&b);
		return 0;
	}
	out_init(&o, columns, 3);
	each_pair(pair_row, &o);
	out_print(&o);
	return 0;
}

static void
check_json(const struct rows *r)
{
	struct buf b = { 0 };

	buf_printf(
	    &b, "{\n    \"ok\": %s,\n    \"mismatches\": [", r->count ? "false" : "true");
	for (int i = 0; i < r->count; i++) {
		struct row row = row_at(r, i);

		buf_printf(&b, "%s\n        {\"pos\": %d, \"current\": ", i ? "," : "",
		    row_int(&row, "pos"));
		buf_json(&b, row_text(&row, "current"));
		buf_str(&b, ", \"assigned\": ");
		buf_json(&b, row_text(&row, "assigned"));
		buf_str(&b, ", \"comment\": ");
		buf_json(&b, row_text(&row, "comment"));
		buf_char(&b, '}');
	}
	buf_printf(&b, "%s]\n}", r->count ? "\n    " : "");
	puts(buf_peek(&b));
	buf_drop(&b);
}

/* Does this program know every way that the monitor may send it? */
int
cmd_inspect_fsm_check(struct cmd_ctx *x)
{
	struct buf edges = { 0 };
	struct rows r = { 0 };
	int rc;

	edges_json(&edges);
	rc = db_query(&x->monitor, &x->err, &r,
	    "select pos, current_state::text as current, assigned_state::text as "
	    "assigned, comment from pgautofailover.check_fsm_reachability($1::jsonb) "
	    "order by pos",
	    buf_peek(&edges), DB_END);
	if (rc == 0 && x->args.json)
		check_json(&r);
	else if (rc == 0)
		for (int i = 0; i < r.count; i++) {
			struct row row = row_at(&r, i);
			puts(row_text(&row, "comment"));
		}
	if (rc == 0 && !x->args.json && r.count == 0)
		puts("this program can go every way the monitor may send it");
	if (rc == 0 && r.count > 0) {
		rc = err_set(&x->err, ERR_SYSTEM,
		    "the monitor's state machine has %d ways that this program does not "
		    "know",
		    r.count);
		err_hint(&x->err, "upgrade this node to the version of the monitor");
	}
	rows_drop(&r);
	buf_drop(&edges);
	return rc;
}

/* -- graphs -- */

static int
print(struct buf *b)
{
	fputs(buf_peek(b), stdout);
	buf_drop(b);
	return 0;
}

int
cmd_inspect_fsm_gv(struct cmd_ctx *x)
{
	struct buf b = { 0 };

	(void)x;
	show_fsm_dot(&b);
	return print(&b);
}

#define B(s) FSM_BIT(s)

/* The states that occur in each phase of a group's life. */
static const struct {
	const char *name;
	uint32_t states;
} phases[] = {
	{ "init", B(INIT) | B(SINGLE) | B(WAIT_STANDBY) | B(CATCHINGUP) | B(SECONDARY) |
		      B(WAIT_PRIMARY) | B(PRIMARY) },
	{ "steady-state", B(PRIMARY) | B(WAIT_PRIMARY) | B(APPLY_SETTINGS) |
			      B(SECONDARY) | B(CATCHINGUP) },
	{ "failover", B(PRIMARY) | B(SECONDARY) | B(REPORT_LSN) | B(FAST_FORWARD) |
			  B(PREPARE_PROMOTION) | B(STOP_REPLICATION) | B(WAIT_PRIMARY) |
			  B(DRAINING) | B(DEMOTE_TIMEOUT) | B(DEMOTED) | B(CATCHINGUP) |
			  B(JOIN_SECONDARY) },
	{ "maintenance", B(PRIMARY) | B(WAIT_PRIMARY) | B(PREPARE_MAINTENANCE) |
			     B(WAIT_MAINTENANCE) | B(MAINTENANCE) | B(SECONDARY) |
			     B(CATCHINGUP) },
	{ "removal", B(PRIMARY) | B(WAIT_PRIMARY) | B(SINGLE) | B(SECONDARY) |
			 B(CATCHINGUP) | B(REPORT_LSN) | B(DROPPED) },
};

int
cmd_inspect_fsm_mermaid(struct cmd_ctx *x)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
		if (strcmp(x->word[0], phases[i].name) == 0) {
			show_fsm_mermaid(&b, phases[i].states);
			return print(&b);
		}
	err_set(&x->err, ERR_USAGE, "%s: there is no such phase", x->word[0]);
	return err_hint(&x->err, "one of init, steady-state, failover, maintenance, "
				 "removal");
}
