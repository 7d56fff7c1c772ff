/* The steps of a decision, for people and for programs. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/steps.h"

#include <inttypes.h>

#include "fsm/fsm.h"
#include "ini/buf.h"

#include "ini/ban.h"

const char *
show_node_name(const struct fsm_group *g, int64_t id)
{
	const struct fsm_node *n = fsm_node_peek(g, id);

	return n ? n->name : "-";
}

void
show_step_text(struct buf *b, const struct fsm_group *g, const struct fsm_step *s)
{
	buf_printf(b, "rule %d, %s: ", s->rule, show_node_name(g, s->node));
	if (s->from != s->to)
		buf_printf(
		    b, "%s -> %s: ", fsm_state_name(s->from), fsm_state_name(s->to));
	buf_str(b, s->text);
}

void
show_step_json(struct buf *b, const struct fsm_group *g, const struct fsm_step *s)
{
	buf_printf(
	    b, "\"rule\": %d, \"node_id\": %" PRId64 ", \"node\": ", s->rule, s->node);
	buf_json(b, show_node_name(g, s->node));
	buf_printf(b,
	    ", \"from\": \"%s\", \"to\": \"%s\", \"why\": ", fsm_state_name(s->from),
	    fsm_state_name(s->to));
	buf_json(b, s->text);
}
