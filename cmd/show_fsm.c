/* The state machine as it is compiled in: states, edges, rules. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "cmd/out.h"
#include "cmd/show_fsm.h"
#include "fsm/fsm.h"

#include "ini/ban.h"

typedef void edge_fn(struct buf *, enum fsm_state from, enum fsm_state to, enum fsm_act);

static void
each_edge_of(struct buf *b, edge_fn *fn, uint32_t states)
{
	for (int from = 0; from < FSM_STATE_COUNT; from++)
		for (int to = 0; to < FSM_STATE_COUNT; to++) {
			const struct fsm_edge *e =
			    fsm_edge((enum fsm_state)from, (enum fsm_state)to);
			if (e && from != FSM_UNKNOWN && (states >> from & 1) &&
			    (states >> to & 1))
				fn(b, (enum fsm_state)from, (enum fsm_state)to, e->act);
		}
}

static void
each_edge(struct buf *b, edge_fn *fn)
{
	each_edge_of(b, fn, FSM_ANY);
}

static void
edge_dot(struct buf *b, enum fsm_state from, enum fsm_state to, enum fsm_act act)
{
	buf_printf(b, "\t%s -> %s [label=\"%s\"];\n", fsm_state_name(from),
	    fsm_state_name(to), fsm_act_name(act));
}

static void
edge_mermaid(struct buf *b, enum fsm_state from, enum fsm_state to, enum fsm_act act)
{
	buf_printf(b, "    %s --> %s: %s\n", fsm_state_name(from), fsm_state_name(to),
	    fsm_act_name(act));
}

void
show_fsm_mermaid(struct buf *b, uint32_t states)
{
	buf_str(b, "stateDiagram-v2\n");
	each_edge_of(b, edge_mermaid, states);
}

void
show_fsm_dot(struct buf *b)
{
	buf_str(b, "digraph autoctl {\n");
	each_edge(b, edge_dot);
	buf_str(b, "}\n");
}

static void
edge_tsv(struct buf *b, enum fsm_state from, enum fsm_state to, enum fsm_act act)
{
	buf_printf(b, "edge\t%s\t%s\t%s\n", fsm_state_name(from), fsm_state_name(to),
	    fsm_act_name(act));
}

static void
edge_json(struct buf *b, enum fsm_state from, enum fsm_state to, enum fsm_act act)
{
	const char *text = buf_peek(b);
	bool first = buf_len(b) && text[buf_len(b) - 1] == '[';

	buf_printf(b,
	    "%s\n    {\"current\": \"%s\", \"assigned\": \"%s\", \"act\": \"%s\"}",
	    first ? "" : ",", fsm_state_name(from), fsm_state_name(to),
	    fsm_act_name(act));
}

static void
show_json(struct buf *b)
{
	buf_str(b, "{\n\"states\": [");
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		buf_printf(b, "%s\n    {\"name\": \"%s\", \"meaning\": ", i ? "," : "",
		    fsm_state_name((enum fsm_state)i));
		buf_json(b, fsm_state_text((enum fsm_state)i));
		buf_str(b, "}");
	}
	buf_str(b, "\n],\n\"edges\": [");
	each_edge(b, edge_json);
	buf_str(b, "\n],\n\"rules\": [");
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);
		buf_printf(b,
		    "%s\n    {\"id\": %d, \"section\": \"%s\", \"why\": ", i ? "," : "",
		    fsm_rule_id(r), fsm_rule_section(r));
		buf_json(b, fsm_rule_why(r));
		buf_str(b, "}");
	}
	buf_str(b, "\n]\n}\n");
}

static void
show_tsv(struct buf *b)
{
	for (int i = 0; i < FSM_STATE_COUNT; i++)
		buf_printf(b, "state\t%s\t%s\n", fsm_state_name((enum fsm_state)i),
		    fsm_state_text((enum fsm_state)i));
	each_edge(b, edge_tsv);
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);
		buf_printf(b, "rule\t%d\t%s\t%s\n", fsm_rule_id(r), fsm_rule_section(r),
		    fsm_rule_why(r));
	}
}

/* From-states of an edge, "any" for all of them. */
static void
from_text(uint32_t from, struct buf *b)
{
	uint32_t all = FSM_ANY;
	const char *comma = "";

	if ((from & all) == all) {
		buf_str(b, "any");
		return;
	}
	for (int i = 0; i < FSM_STATE_COUNT; i++)
		if (from >> i & 1) {
			buf_printf(b, "%s%s", comma, fsm_state_name((enum fsm_state)i));
			comma = ", ";
		}
}

/* A sentence of the manual: it begins large and ends with a full stop. */
static void
mdoc_sentence(struct buf *b, const char *text)
{
	char first = text[0];

	if (first >= 'a' && first <= 'z')
		first &= ~0x20;
	buf_printf(b, "%c%s.\n", first, text + 1);
}

static void
mdoc_list(struct buf *b, const char *title)
{
	buf_printf(b, ".Ss %s\n.Bl -tag -width Ds\n", title);
}

static void
show_mdoc(struct buf *b)
{
	mdoc_list(b, "States");
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		buf_printf(b, ".It Cm %s\n", fsm_state_name((enum fsm_state)i));
		mdoc_sentence(b, fsm_state_text((enum fsm_state)i));
	}
	buf_str(b, ".El\n");
	mdoc_list(b, "What a keeper does for a goal, and from where");
	for (size_t i = 0; i < fsm_edge_count; i++) {
		buf_printf(b, ".It Cm %s : Ic %s\nFrom ",
		    fsm_state_name(fsm_edge_list[i].to),
		    fsm_act_name(fsm_edge_list[i].act));
		from_text(fsm_edge_list[i].from, b);
		buf_str(b, ".\n");
	}
	buf_str(b, ".El\n");
	mdoc_list(b, "Rules of the monitor");
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);

		const char *way = show_way_out(fsm_rule_id(r));

		buf_printf(b, ".It %d\n", fsm_rule_id(r));
		mdoc_sentence(b, fsm_rule_why(r));
		if (way)
			buf_printf(b, "The way out:\n%s.\n", way);
	}
	buf_str(b, ".El\n");
}

static void
show_text(void)
{
	static const struct out_column states[] = { { "State", 19, true },
		{ "Meaning", 0, true } };
	static const struct out_column edges[] = { { "Goal", 19, true },
		{ "Act", 14, true }, { "From", 0, true } };
	static const struct out_column rules[] = { { "Rule", 5, false },
		{ "Section", 14, true }, { "Why", 0, true } };
	struct out o;

	out_init(&o, states, 2);
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		out_cell(&o, "%s", fsm_state_name((enum fsm_state)i));
		out_cell(&o, "%s", fsm_state_text((enum fsm_state)i));
	}
	out_print(&o);
	out_init(&o, edges, 3);
	for (size_t i = 0; i < fsm_edge_count; i++) {
		struct buf from = { 0 };
		from_text(fsm_edge_list[i].from, &from);
		out_cell(&o, "%s", fsm_state_name(fsm_edge_list[i].to));
		out_cell(&o, "%s", fsm_act_name(fsm_edge_list[i].act));
		out_cell(&o, "%s", buf_peek(&from));
		buf_drop(&from);
	}
	out_print(&o);
	out_init(&o, rules, 3);
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);
		out_cell(&o, "%d", fsm_rule_id(r));
		out_cell(&o, "%s", fsm_rule_section(r));
		out_cell(&o, "%s", fsm_rule_why(r));
	}
	out_print(&o);
}

int
cmd_show_fsm(struct cmd_ctx *x)
{
	struct cmd_args *a = &x->args;
	struct buf b = { 0 };

	if (a->json + a->dot + a->mermaid + a->tsv + a->mdoc > 1)
		return err_set(&x->err, ERR_USAGE, "one form at a time");
	if (a->json)
		show_json(&b);
	else if (a->dot)
		show_fsm_dot(&b);
	else if (a->mermaid)
		show_fsm_mermaid(&b, FSM_ANY);
	else if (a->tsv)
		show_tsv(&b);
	else if (a->mdoc)
		show_mdoc(&b);
	else
		show_text();
	fputs(buf_peek(&b), stdout);
	buf_drop(&b);
	return 0;
}
