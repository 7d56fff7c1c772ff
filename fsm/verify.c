/* The tables on their own: do they fit each other, whatever happens? */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "fsm/fsm.h"
#include "fsm/rules.h"

#include "ini/ban.h"

struct verify {
	fsm_complain *complain;
	void *arg;
	int complaints;
};

static void
say(struct verify *v, const char *what, const char *a, const char *b)
{
	char text[FSM_TEXT_MAX];

	snprintf(text, sizeof text, "%s: %s%s%s", what, a, b[0] ? ", " : "", b);
	v->complaints++;
	v->complain(v->arg, text);
}

static const char *
name(int state)
{
	return fsm_state_name((enum fsm_state)state);
}

/* Neither assigned nor reached: a word for what is not known, and names of the past. */
static bool
is_real(int state)
{
	return state != FSM_UNKNOWN &&
	       !(fsm_state_flags((enum fsm_state)state) & ST_DEPRECATED);
}

static void
check_names(struct verify *v)
{
	for (int s = 0; s < FSM_STATE_COUNT; s++)
		if (fsm_state_find(name(s)) != s)
			say(v, "two states have one name", name(s), "");
}

static void
check_edges(struct verify *v)
{
	static const enum fsm_state stops[] = { FSM_DEMOTED, FSM_DEMOTE_TIMEOUT,
		FSM_DROPPED };

	for (size_t i = 0; i < fsm_edge_count; i++) {
		const struct fsm_edge *e = &fsm_edge_list[i];

		if (!(e->from & FSM_ANY))
			say(v, "an edge comes from nowhere", name(e->to), "");
		if ((fsm_state_flags(e->to) & ST_RW) && (e->from & FSM_BIT(MAINTENANCE)))
			say(v, "writes begin where an operator is in charge", name(e->to),
			    "");
		for (size_t j = 0; j < i; j++)
			if (fsm_edge_list[j].to == e->to &&
			    (fsm_edge_list[j].from & e->from))
				say(v, "two edges lead there from one state", name(e->to),
				    fsm_act_name(e->act));
	}
	for (int s = 0; s < FSM_STATE_COUNT; s++)
		for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
			if (!fsm_edge((enum fsm_state)s, stops[i]))
				say(v, "a node cannot be stopped", name(s),
				    name(stops[i]));
}

/* All states that can be reached from these, these included. */
static uint32_t
closure(uint32_t states)
{
	uint32_t before;

	do {
		before = states;
		for (size_t i = 0; i < fsm_edge_count; i++)
			if (fsm_edge_list[i].from & states)
				states |= UINT32_C(1) << fsm_edge_list[i].to;
	} while (states != before);
	return states;
}

static void
check_ways(struct verify *v)
{
	uint32_t serves = FSM_BIT(SINGLE) | FSM_BIT(PRIMARY) | FSM_BIT(SECONDARY);
	uint32_t born = closure(FSM_BIT(INIT));

	for (int s = 0; s < FSM_STATE_COUNT; s++) {
		if (!is_real(s))
			continue;
		if (!(born >> s & 1))
			say(v, "no node ever gets there", name(s), "");
		if (!(closure(UINT32_C(1) << s) & serves))
			say(v, "no node that is there serves again", name(s), "");
	}
}

/* Can a node that fits the pattern go to that goal? */
static bool
can_go(const struct fsm_pattern *p, int goal)
{
	uint32_t from = p->reported ? p->reported : FSM_ANY;

	for (int s = 0; s < FSM_STATE_COUNT; s++)
		if ((from >> s & 1) &&
		    (s == goal || fsm_edge((enum fsm_state)s, (enum fsm_state)goal)))
			return true;
	return false;
}

static void
check_goal(
    struct verify *v, const struct fsm_rule *r, const struct fsm_pattern *p, int goal)
{
	if (goal == 0 || goal == RULE_DESIRED)
		return;
	if (goal > FSM_STATE_COUNT || !is_real(goal))
		say(v, "a rule assigns what is no goal", fsm_rule_why(r), "");
	else if (!can_go(p, goal))
		say(v, "a rule asks for what its node cannot do", fsm_rule_why(r),
		    name(goal));
}

static void
check_rules(struct verify *v)
{
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = fsm_rule_at(i);

		check_goal(v, r, &r->x, r->to.x);
		check_goal(v, r, &r->w, r->to.w);
		check_goal(v, r, &r->c, r->to.c);
		if (fsm_rule_find(fsm_rule_id(r)) != r)
			say(v, "two rules have one number", fsm_rule_why(r), "");
		if (!fsm_rule_why(r)[0] || !fsm_rule_section(r)[0])
			say(v, "a rule gives no reason", fsm_rule_section(r), "");
	}
}

int
fsm_verify(fsm_complain *complain, void *arg)
{
	struct verify v = { complain, arg, 0 };

	check_names(&v);
	check_edges(&v);
	check_ways(&v);
	check_rules(&v);
	return v.complaints;
}
