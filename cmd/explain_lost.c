/* explain --if-lost: what would be decided, how long it takes, what it may cost. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "cmd/steps.h"
#include "fsm/whatif.h"
#include "ini/str.h"

#include "ini/ban.h"

/* By its name, else by its number. */
static const struct fsm_node *
find_node(const struct fsm_group *g, const char *name)
{
	int64_t id;

	for (int i = 0; i < g->n; i++)
		if (strcmp(g->node[i].name, name) == 0)
			return &g->node[i];
	return str_i64(name, &id, NULL) ? NULL : fsm_node_peek(g, id);
}

static void
print_steps(const struct fsm_group *g, const struct fsm_whatif *w)
{
	for (int i = 0; i < w->nsteps; i++) {
		struct buf b = { 0 };
		char at[24];

		show_step_text(&b, g, &w->step[i].step);
		printf("  %7s  %s\n", show_duration(w->step[i].at_ms, at), buf_peek(&b));
		buf_drop(&b);
	}
	if (w->nsteps == 0)
		puts("           nothing is decided");
}

static void
print_writes(const struct fsm_group *g, const struct fsm_whatif *w)
{
	const char *who = show_node_name(g, w->writer);
	char ms[24];

	show_duration(w->commits_ms, ms);
	if (!w->writer)
		printf("nobody takes writes then: %s\n", w->waits);
	else if (w->commits_ms == 0)
		printf("%s stays the primary, commits do not stop\n", who);
	else if (w->was_writer && w->writer != w->lost)
		printf("%s is the primary then; commits stop for %s by the timers, and "
		       "what the keepers need\n",
		    who, ms);
	else
		printf("%s stays the primary; commits wait for %s by the timers, and "
		       "what the keepers need\n",
		    who, ms);
}

static void
print_loss(const struct fsm_group *g, const struct fsm_whatif *w)
{
	const char *lost = show_node_name(g, w->lost);

	if (!w->was_writer)
		puts("nothing is lost: it is not the primary");
	else if (!w->writer)
		printf("nothing is given up: what %s acknowledged is on it, or on those "
		       "that wait\n",
		    lost);
	else if (!w->may_lose)
		puts("no acknowledged commit is lost: each is on a standby that takes "
		     "part");
	else
		printf("what %s acknowledged without a standby may be lost: %" PRIu64
		       " bytes by the last reports\n",
		    lost, w->lost_bytes);
}

static bool
same_end(const struct fsm_whatif *a, const struct fsm_whatif *b)
{
	if (a->nsteps != b->nsteps || a->writer != b->writer)
		return false;
	for (int i = 0; i < a->nsteps; i++)
		if (a->step[i].step.rule != b->step[i].step.rule ||
		    a->step[i].step.node != b->step[i].step.node)
			return false;
	return true;
}

static void
print_text(const struct explain *e, const struct fsm_whatif *gone,
    const struct fsm_whatif *silent)
{
	const struct fsm_group *g = &e->g;
	const char *name = show_node_name(g, gone->lost);
	char ms[24];

	if (e->doubt)
		printf("%s\nfrom the tables alone:\n", e->doubt);
	printf("if %s were lost now, and connections to it refused:\n", name);
	print_steps(g, gone);
	print_writes(g, gone);
	print_loss(g, gone);
	if (same_end(gone, silent)) {
		printf("if it fell silent instead, the same, the first step after %s\n",
		    show_duration(silent->nsteps ? silent->step[0].at_ms : 0, ms));
		return;
	}
	puts("if it fell silent instead:");
	print_steps(g, silent);
	print_writes(g, silent);
	print_loss(g, silent);
}

static void
case_json(struct buf *b, const struct fsm_group *g, const struct fsm_whatif *w)
{
	buf_str(b, "{\"primary\": ");
	buf_json(b, w->writer ? show_node_name(g, w->writer) : NULL);
	buf_str(b, ", \"commits_after_ms\": ");
	if (w->commits_ms == FSM_NEVER)
		buf_str(b, "null");
	else
		buf_printf(b, "%" PRId64, w->commits_ms);
	buf_printf(b, ", \"may_lose\": %s, \"lost_bytes\": %" PRIu64 ", \"explain\": ",
	    w->may_lose ? "true" : "false", w->lost_bytes);
	buf_json(b, w->waits);
	buf_str(b, ",\n        \"steps\": [");
	for (int i = 0; i < w->nsteps; i++) {
		buf_printf(b, "%s\n            {\"at_ms\": %" PRId64 ", ", i ? "," : "",
		    w->step[i].at_ms);
		show_step_json(b, g, &w->step[i].step);
		buf_char(b, '}');
	}
	buf_str(b, "]}");
}

static void
print_json(const struct explain *e, const struct fsm_whatif *gone,
    const struct fsm_whatif *silent)
{
	const struct fsm_group *g = &e->g;
	struct buf b = { 0 };

	buf_str(&b, "{\n    \"formation\": ");
	buf_json(&b, g->formation);
	buf_printf(&b, ", \"group\": %d, \"live\": %s, \"lost\": ", g->group_id,
	    e->live ? "true" : "false");
	buf_json(&b, show_node_name(g, gone->lost));
	buf_printf(&b, ", \"was_primary\": %s, \"synchronous\": %s,\n    \"refused\": ",
	    gone->was_writer ? "true" : "false", gone->sync ? "true" : "false");
	case_json(&b, g, gone);
	buf_str(&b, ",\n    \"silent\": ");
	case_json(&b, g, silent);
	buf_str(&b, "\n}");
	puts(buf_peek(&b));
	buf_drop(&b);
}

int
show_explain_lost(struct cmd_ctx *x, const struct explain *e)
{
	static struct fsm_whatif gone, silent;
	const struct fsm_node *n = find_node(&e->g, x->args.if_lost);

	if (!n)
		return err_set(&x->err, ERR_STATE, "group %s/%d has no node \"%s\"",
		    e->g.formation, e->g.group_id, x->args.if_lost);
	fsm_whatif(&e->g, n->id, false, &gone);
	fsm_whatif(&e->g, n->id, true, &silent);
	if (x->args.json)
		print_json(e, &gone, &silent);
	else
		print_text(e, &gone, &silent);
	return 0;
}
