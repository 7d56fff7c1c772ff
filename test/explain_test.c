/* explain: whoever waits is told the way out. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "cmd/steps.h"
#include "test/tap.h"

#include "ini/ban.h"

static void
check_ways(void)
{
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);
		bool waits = strcmp(fsm_rule_section(r), "waiting") == 0;

		OK((show_way_out(fsm_rule_id(r)) != NULL) == waits,
		    "rule %d, %s: %s way out", fsm_rule_id(r), fsm_rule_section(r),
		    waits ? "a" : "no");
	}
	OK(!show_way_out(0), "no rule, no way out");
}

static void
check_durations(void)
{
	static const struct {
		int64_t ms;
		const char *text;
	} list[] = { { 0, "0.0 s" }, { 701, "0.7 s" }, { 59999, "59.9 s" },
		{ 60000, "1 min" }, { 7199999, "119 min" }, { 7200000, "2 h" },
		{ FSM_NEVER, "never" } };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		char text[24];

		IS_STR(show_duration(list[i].ms, text), list[i].text, list[i].text);
	}
}

static void
check_steps(void)
{
	static struct fsm_group g = { .n = 1, .node[0] = { .id = 7, .name = "node_7" } };
	struct fsm_step s = { 301, 7, FSM_SECONDARY, FSM_PREPARE_PROMOTION, "\"why\"" };
	struct buf b = { 0 };

	show_step_text(&b, &g, &s);
	IS_STR(buf_peek(&b), "rule 301, node_7: secondary -> prepare_promotion: \"why\"",
	    "a step");
	buf_reset(&b);
	s.to = s.from;
	s.node = 8;
	show_step_text(&b, &g, &s);
	IS_STR(buf_peek(&b), "rule 301, -: \"why\"", "a message on a node that is gone");
	buf_reset(&b);
	show_step_json(&b, &g, &s);
	IS_STR(buf_peek(&b),
	    "\"rule\": 301, \"node_id\": 8, \"node\": \"-\", \"from\": \"secondary\", "
	    "\"to\": \"secondary\", \"why\": \"\\\"why\\\"\"",
	    "as JSON");
	buf_drop(&b);
}

int
main(void)
{
	check_ways();
	check_durations();
	check_steps();
	return tap_done();
}
