/* explain: why nothing happens, what is awaited from whom, and the way out. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/steps.h"
#include "fsm/snapshot.h"
#include "ini/str.h"
#include "pg/store.h"
#include "pg/store_snapshot.h"

#include "ini/ban.h"

#define ASK_MS 2000
#define FRESH_MS 1500 /* three heartbeats */

/* ---- the snapshot ---- */

/* Without the evidence in the monitor process's memory: what the tables say of it. */
static int
look_tables(struct cmd_ctx *x, const struct store_key *key, struct fsm_group *g)
{
	static struct store_group s;
	struct fsm_settings set;
	int rc;

	if (store_settings(&x->monitor, &set, &x->err))
		return -1;
	rc = store_read(&x->monitor, key, &set, &s, &x->err);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(&x->err, ERR_STATE, "there is no group %s/%d",
		    key->formation, key->group_id);
	*g = s.g;
	for (int i = 0; i < g->n; i++) {
		struct fsm_node *n = &g->node[i];

		n->report_age_ms = s.node[i].report_age_ms;
		n->heard_age_ms += n->report_age_ms;
		n->probe = s.node[i].health == 1   ? FSM_WITNESS_OK
			   : s.node[i].health == 0 ? FSM_WITNESS_SILENT
						   : FSM_WITNESS_NONE;
		n->probe_ok_age_ms = n->probe == FSM_WITNESS_OK ? 0 : FSM_NEVER;
	}
	return 0;
}

static bool
read_answer(struct explain *e, const struct buf *text)
{
	static struct fsm_record r;
	struct fsm_snapshot_wrong wrong = { .line = 0 };
	const char *at = buf_peek(text);

	if (fsm_snapshot_parse(&at, &r, &wrong) != 1)
		return false;
	e->g = r.group;
	e->live = true;
	return true;
}

int
show_explain_look(struct cmd_ctx *x, struct explain *e)
{
	struct store_key key;
	struct buf text = { 0 };
	char name[FSM_NAME_MAX + 16];
	int rc;

	memset(e, 0, sizeof *e);
	if (str_copy(
		key.formation, sizeof key.formation, buf_peek(&x->formation), &x->err) ||
	    cmd_group(x, &key.group_id))
		return -1;
	snprintf(name, sizeof name, "%s/%d", key.formation, key.group_id);
	rc = store_snapshot_ask(&x->monitor, name, ASK_MS, &text, &x->err);
	if (rc > 0 && !read_answer(e, &text))
		e->doubt = "the monitor process is of another version";
	else if (rc == 0)
		e->doubt = "no monitor process has answered within 2 s: nothing is "
			   "decided while none runs";
	buf_drop(&text);
	if (rc < 0 || (!e->live && look_tables(x, &key, &e->g)))
		return -1;
	return 0;
}

/* ---- words ---- */

const char *
show_duration(int64_t ms, char out[24])
{
	if (ms == FSM_NEVER)
		snprintf(out, 24, "never");
	else if (ms < 60000)
		snprintf(out, 24, "%" PRId64 ".%d s", ms / 1000, (int)(ms % 1000 / 100));
	else if (ms < 7200000)
		snprintf(out, 24, "%" PRId64 " min", ms / 60000);
	else
		snprintf(out, 24, "%" PRId64 " h", ms / 3600000);
	return out;
}

/* The rules of section waiting: where a group stays until somebody does something. */
static const struct {
	int rule;
	const char *text;
} way_list[] = {
	{ 500, "bring back the node that writes and those that its commits wait for; or "
	       "elect a primary among the nodes that are known, whatever is lost: "
	       "perform failover --allow-data-loss" },
	{ 501, "bring back the nodes it waits for, or give up what only they hold: "
	       "perform failover --allow-data-loss" },
	{ 503, "it goes on by itself when the lease is over or the old primary is seen "
	       "stopped; sooner: stop its Postgres, drop node --force if it is gone, or "
	       "perform failover --allow-data-loss if nobody can tell" },
	{ 505, "bring either back; or drop node --force the one that is gone for good" },
	{ 507, "bring it back, or a standby that had all it acknowledged; one with "
	       "candidate priority zero is never promoted: set node candidate-priority" },
	{ 509, "disable maintenance, on that node" },
	{ 511, "bring back a node that has data" },
	{ 513, "set node candidate-priority" },
	{ 515, "bring it back; or let commits wait for fewer: "
	       "set formation number-sync-standbys; or drop node" },
	{ 517, "bring back its standbys, or let commits wait for fewer: "
	       "set formation number-sync-standbys; its log says what it tried" },
	{ 519,
	    "it ends by itself 5 minutes after the last failover; show events tells what "
	    "the primaries died of" },
};

const char *
show_way_out(int rule)
{
	for (size_t i = 0; i < sizeof way_list / sizeof *way_list; i++)
		if (way_list[i].rule == rule)
			return way_list[i].text;
	return NULL;
}

static bool
is_fresh(const struct fsm_node *n)
{
	return n->report_age_ms <= FRESH_MS;
}

/* What is awaited of a node, "" when nothing is; and what an operator can do. */
static const char *
awaited(const struct fsm_node *n, struct buf *b)
{
	char age[24];
	const struct fsm_edge *e =
	    n->reported == n->goal ? NULL : fsm_edge(n->reported, n->goal);

	if (n->reported != n->goal) {
		buf_printf(b, "is to go from %s to %s", fsm_state_name(n->reported),
		    fsm_state_name(n->goal));
		if (e)
			buf_printf(b, " (%s)", fsm_act_text(e->act));
		buf_printf(b, ", since %s", show_duration(n->goal_age_ms, age));
		if (n->fails)
			buf_printf(b, ", %d attempts failed", n->fails);
	}
	if (!is_fresh(n)) {
		buf_printf(b, "%s%s for %s", buf_len(b) ? "; " : "",
		    "its keeper does not report", show_duration(n->report_age_ms, age));
		return "start its keeper; if the host is gone for good: drop node "
		       "--force";
	}
	if (n->goal == FSM_MAINTENANCE && n->reported == n->goal) {
		buf_str(b, "is in maintenance, hands off");
		return "disable maintenance, on that node";
	}
	if (n->fails)
		return "show state tells the error; the log of its keeper tells more";
	return NULL;
}

static const char *
verdict_name(const struct fsm_group *g, const struct fsm_node *n)
{
	switch (facts_verdict(g, n)) {
	case FSM_VERDICT_OK:
		return "ok";
	case FSM_VERDICT_SUSPECT:
		return "suspect";
	case FSM_VERDICT_DOWN:
		return "down";
	}
	return "";
}

/* ---- the answer ---- */

struct answer {
	char text[FSM_TEXT_MAX];
	int rule; /* 0: none says why */
	const char *way;
	const struct fsm_plan *plan;
};

static void
ask(const struct explain *e, struct answer *a)
{
	static struct fsm_plan plan;

	monitor_decide(&e->g, &plan);
	a->plan = &plan;
	a->rule = plan.next.said;
	a->way = show_way_out(a->rule);
	monitor_explain(&e->g, a->text, sizeof a->text);
}

static void
print_nodes(const struct fsm_group *g)
{
	static const struct out_column columns[] = { { "Name", 4, false },
		{ "Reported State", 19, false }, { "Assigned State", 19, false },
		{ "Verdict", 7, false }, { "Report", 6, false }, { "Probe", 7, false },
		{ "Postgres", 8, true } };
	struct out o;
	char age[24];

	out_init(&o, columns, 7);
	for (int i = 0; i < g->n; i++) {
		const struct fsm_node *n = &g->node[i];

		out_cell(&o, "%s", n->name);
		out_cell(&o, "%s", fsm_state_name(n->reported));
		out_cell(&o, "%s", fsm_state_name(n->goal));
		out_cell(&o, "%s", verdict_name(g, n));
		out_cell(&o, "%s", show_duration(n->report_age_ms, age));
		out_cell(&o, "%s", fsm_witness_name(n->probe));
		out_cell(&o, "%s%s", fsm_pg_name(n->pg), n->streaming ? ", streams" : "");
	}
	out_print(&o);
}

static void
print_operation(const struct fsm_group *g)
{
	char age[24];

	if (g->op.kind == FSM_OP_NONE)
		return;
	printf("in progress since %s: %s%s", show_duration(g->op.age_ms, age),
	    g->op.planned ? "planned " : "",
	    g->op.kind == FSM_OP_SWITCH ? "switchover" : "election");
	if (g->op.old_writer)
		printf(", from %s", show_node_name(g, g->op.old_writer));
	if (g->op.candidate)
		printf(", to %s", show_node_name(g, g->op.candidate));
	putchar('\n');
}

static void
print_text(const struct explain *e, const struct answer *a)
{
	const struct fsm_group *g = &e->g;

	if (e->doubt)
		printf("%s\nfrom the tables alone:\n", e->doubt);
	printf("%s/%d: %s\n", g->formation, g->group_id, a->text);
	if (a->way)
		printf("  way out: %s\n", a->way);
	print_operation(g);
	for (int i = 0; i < g->n; i++) {
		struct buf b = { 0 };
		const char *way = awaited(&g->node[i], &b);

		if (buf_len(&b))
			printf("%s: %s\n", g->node[i].name, buf_peek(&b));
		if (way)
			printf("  way out: %s\n", way);
		buf_drop(&b);
	}
	for (int i = 0; i < a->plan->nsteps; i++) {
		struct buf b = { 0 };

		show_step_text(&b, g, &a->plan->step[i]);
		if (a->plan->step[i].from != a->plan->step[i].to)
			printf("next: %s\n", buf_peek(&b));
		buf_drop(&b);
	}
	putchar('\n');
	print_nodes(g);
}

static void
json_text(struct buf *b, const char *name, const char *text)
{
	buf_printf(b, ", \"%s\": ", name);
	buf_json(b, text);
}

static void
node_json(struct buf *b, const struct fsm_group *g, const struct fsm_node *n)
{
	struct buf waits = { 0 };
	const char *way = awaited(n, &waits);

	buf_printf(b, "\n        {\"node_id\": %" PRId64, n->id);
	json_text(b, "name", n->name);
	json_text(b, "reported", fsm_state_name(n->reported));
	json_text(b, "assigned", fsm_state_name(n->goal));
	json_text(b, "verdict", verdict_name(g, n));
	json_text(b, "probe", fsm_witness_name(n->probe));
	json_text(b, "postgres", fsm_pg_name(n->pg));
	buf_printf(b, ", \"report_age_ms\": %" PRId64 ", \"streaming\": %s",
	    n->report_age_ms, n->streaming ? "true" : "false");
	json_text(b, "awaited", buf_len(&waits) ? buf_peek(&waits) : NULL);
	json_text(b, "way_out", way);
	buf_char(b, '}');
	buf_drop(&waits);
}

static void
operation_json(struct buf *b, const struct fsm_group *g)
{
	if (g->op.kind == FSM_OP_NONE) {
		buf_str(b, ",\n    \"operation\": null");
		return;
	}
	buf_printf(b,
	    ",\n    \"operation\": {\"kind\": \"%s\", \"planned\": %s, "
	    "\"age_ms\": %" PRId64,
	    fsm_op_name(g->op.kind), g->op.planned ? "true" : "false", g->op.age_ms);
	json_text(
	    b, "from", g->op.old_writer ? show_node_name(g, g->op.old_writer) : NULL);
	json_text(b, "to", g->op.candidate ? show_node_name(g, g->op.candidate) : NULL);
	buf_char(b, '}');
}

static void
print_json(const struct explain *e, const struct answer *a)
{
	const struct fsm_group *g = &e->g;
	struct buf b = { 0 };

	buf_str(&b, "{\n    \"formation\": ");
	buf_json(&b, g->formation);
	buf_printf(
	    &b, ", \"group\": %d, \"live\": %s", g->group_id, e->live ? "true" : "false");
	json_text(&b, "doubt", e->doubt);
	json_text(&b, "explain", a->text);
	buf_printf(&b, ", \"rule\": %d", a->rule);
	json_text(&b, "way_out", a->way);
	json_text(&b, "primary", g->writer ? show_node_name(g, g->writer) : NULL);
	buf_printf(&b, ", \"term\": %" PRId64 ", \"synchronous\": %s", g->term,
	    facts_class_sync(g) ? "true" : "false");
	operation_json(&b, g);
	buf_str(&b, ",\n    \"next\": [");
	for (int i = 0; i < a->plan->nsteps; i++) {
		buf_str(&b, i ? ", {" : "{");
		show_step_json(&b, g, &a->plan->step[i]);
		buf_char(&b, '}');
	}
	buf_str(&b, "],\n    \"nodes\": [");
	for (int i = 0; i < g->n; i++) {
		buf_str(&b, i ? "," : "");
		node_json(&b, g, &g->node[i]);
	}
	buf_str(&b, "\n    ]\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

int
cmd_explain(struct cmd_ctx *x)
{
	static struct explain e;
	struct answer a;

	if (show_explain_look(x, &e))
		return -1;
	if (x->args.if_lost)
		return show_explain_lost(x, &e);
	ask(&e, &a);
	if (x->args.json)
		print_json(&e, &a);
	else
		print_text(&e, &a);
	return 0;
}
