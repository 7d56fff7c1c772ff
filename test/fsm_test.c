/* fsm: the tables themselves, the judgements, and the sequences that operators see. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>

#include "fsm/rules.h"
#include "test/tap.h"

#include "ini/ban.h"

#define N(f) (UINT64_C(1) << FACT_##f)
#define G(f) (UINT64_C(1) << GROUP_##f)

/* ---- a tiny world: keepers that obey at once ---- */

static struct fsm_group g;
static struct fsm_plan p;
static bool gone[FSM_NODES_MAX]; /* that keeper is silent */
static char story[16384];
static bool cut;    /* the link between standbys and the primary */
static bool sequel; /* a decision changed something when it was made again */

static struct fsm_node *
node(int64_t id)
{
	return fsm_node_find(&g, id);
}

__attribute__((format(printf, 1, 2))) static void
tell(const char *fmt, ...)
{
	size_t used = strlen(story);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(story + used, sizeof story - used, fmt, ap);
	va_end(ap);
}

static void
world(int nss)
{
	memset(&g, 0, sizeof g);
	memset(gone, 0, sizeof gone);
	cut = false;
	story[0] = '\0';
	fsm_settings_default(&g.settings);
	g.secondary_allowed = true;
	g.nss = nss;
	g.watch_age_ms = 3600000;
}

static void
arrive(int64_t id, int priority, bool quorum)
{
	struct fsm_node *n = &g.node[g.n++];

	memset(n, 0, sizeof *n);
	n->id = id;
	snprintf(n->name, sizeof n->name, "n%lld", (long long)id);
	n->priority = priority;
	n->quorum = quorum;
	n->session = true;
	n->probe = FSM_WITNESS_OK;
	n->state_age_ms = 60000;
	n->lsn = 1000;
}

/* Everything that was decided, and the same decision again, which must be empty. */
static void
decide(void)
{
	static struct fsm_plan again;

	monitor_decide(&g, &p);
	for (int i = 0; i < p.nsteps; i++)
		if (p.step[i].from != p.step[i].to)
			tell("n%lld %s\n", (long long)p.step[i].node,
			    fsm_state_name(p.step[i].to));
	g = p.next;
	monitor_decide(&g, &again);
	if (again.nsteps > 0 && !sequel) {
		sequel = true;
		tap_note("rule %d again: %s", again.step[0].rule, again.step[0].text);
	}
	g.request.kind = FSM_REQ_NONE;
	for (int i = 0, n = 0, all = g.n; i < all; i++)
		if (!g.node[i].dead) {
			gone[n] = gone[i];
			g.node[n++] = g.node[i];
			g.n = n;
		} else if (i == all - 1)
			g.n = n;
}

static int
attached(const struct fsm_config *c)
{
	int n = 0;

	for (int i = 0; i < c->n; i++) {
		const struct fsm_node *m = node(c->member[i]);
		n += m && m->streaming;
	}
	return n;
}

static void
detach(struct fsm_node *n)
{
	n->pg = FSM_PG_STANDBY;
	n->streaming = n->attached = false;
	n->promise_term = g.term;
	n->promise_tli = n->tli;
	n->promise_lsn = n->lsn;
}

static void
leave_all(const struct fsm_node *w)
{
	for (int i = 0; i < g.n; i++)
		if (&g.node[i] != w)
			g.node[i].streaming = g.node[i].attached = false;
}

static void
stop(struct fsm_node *n)
{
	if (n->pg == FSM_PG_RW)
		leave_all(n);
	if (n->pg != FSM_PG_DOWN) /* stopped in good order */
		n->final_lsn = n->lsn;
	n->pg = FSM_PG_DOWN;
	n->streaming = n->attached = false;
	n->stopped_term = g.term;
}

static bool
follow(struct fsm_node *n)
{
	const struct fsm_node *w = node(g.writer);

	if (!w || gone[w - g.node] || w->pg != FSM_PG_RW)
		return false;
	n->pg = FSM_PG_STANDBY;
	n->streaming = n->attached = true;
	n->tli = w->tli;
	n->lsn = w->lsn;
	return true;
}

static bool
write_alone(struct fsm_node *n, enum fsm_state goal)
{
	const struct fsm_config *c = &g.config[g.nconfigs - 1];

	n->pg = FSM_PG_RW;
	n->tli += n->tli == 0;
	n->has_data = true;
	if (goal == FSM_PRIMARY && attached(c) < c->k)
		return false;
	n->applied_gen = c->gen;
	return true;
}

/* What a keeper does for an act; false: not done yet. */
static bool
act(struct fsm_node *n, enum fsm_act a, enum fsm_state goal)
{
	switch (a) {
	case FSM_ACT_INIT:
	case FSM_ACT_SYNC:
	case FSM_ACT_RESUME:
	case FSM_ACT_OPEN:
		return write_alone(n, goal);
	case FSM_ACT_PROMOTE:
		n->tli++;
		return write_alone(n, goal);
	case FSM_ACT_DROP:
		if (n->pg == FSM_PG_STANDBY)
			detach(n);
		stop(n);
		return true;
	case FSM_ACT_STOP:
	case FSM_ACT_FENCE:
		stop(n);
		return true;
	case FSM_ACT_FOLLOW:
		return follow(n);
	case FSM_ACT_PREPARE:
		if (!g.op.planned)
			detach(n);
		return true;
	case FSM_ACT_CLOSED:
		detach(n);
		n->tli++;
		n->pg = FSM_PG_RW;
		return true;
	case FSM_ACT_FETCH:
		n->lsn = g.op.target_lsn;
		detach(n);
		return true;
	case FSM_ACT_DETACH:
		detach(n);
		return true;
	case FSM_ACT_NOTHING:
	case FSM_ACT_RELEASE:
	case FSM_ACT_START:
	case FSM_ACT_COUNT:
		break;
	}
	return true;
}

/* One report of one keeper: it has seen its goal, and is there if it could. */
static void
report(struct fsm_node *n)
{
	const struct fsm_edge *e = fsm_edge(n->reported, n->goal);

	n->report_age_ms = 0;
	if (n->seen_seq != n->goal_seq)
		n->fails = 0;
	n->seen_seq = n->goal_seq;
	if (n->id == g.writer)
		n->lease_gen = g.lease_gen;
	if (n->reported != n->goal && !e)
		tell("n%lld has no way from %s to %s\n", (long long)n->id,
		    fsm_state_name(n->reported), fsm_state_name(n->goal));
	if (n->reported == FSM_REPORT_LSN && n->goal == FSM_REPORT_LSN)
		n->promise_term = g.term;
	if (n->reported == FSM_MAINTENANCE && n->goal == FSM_MAINTENANCE &&
	    n->pg == FSM_PG_STANDBY && g.op.kind == FSM_OP_ELECT && !g.op.planned)
		detach(n); /* named no upstream, it gives its word */
	if ((fsm_state_flags(n->reported) & ST_DOWN) && n->reported == n->goal)
		n->stopped_term = g.term;
	if (n->reported == n->goal &&
	    (n->goal == FSM_SECONDARY || n->goal == FSM_CATCHINGUP) && !cut)
		follow(n);
	if (n->reported != n->goal && e && act(n, e->act, n->goal)) {
		n->reported = n->goal;
		n->state_age_ms = 60000;
	}
}

/* All keepers report in turn until nobody has anything to do. */
static void
settle(void)
{
	for (int round = 0; round < 40; round++) {
		size_t before = strlen(story);
		bool moving = false;

		decide();
		for (int i = 0; i < g.n; i++) {
			bool was = g.node[i].reported != g.node[i].goal ||
				   g.node[i].seen_seq != g.node[i].goal_seq ||
				   (g.node[i].id == g.writer &&
				       g.node[i].lease_gen != g.lease_gen);

			if (gone[i])
				continue;
			report(&g.node[i]);
			moving |= was;
		}
		if (!moving && strlen(story) == before)
			return;
	}
	tell("never settles\n");
}

/* All its processes die, its peers get resets: every witness is sure at once. */
static void
kill_host(int64_t id)
{
	struct fsm_node *n = node(id);

	gone[n - g.node] = true;
	n->report_age_ms = 5000;
	n->session = false;
	n->probe = FSM_WITNESS_REFUSED;
	n->probe_ok_age_ms = 5000;
	n->detached_age_ms = 5000;
	for (int i = 0; i < g.n; i++)
		if (id == g.writer && &g.node[i] != n) {
			g.node[i].heard = FSM_WITNESS_REFUSED;
			g.node[i].heard_age_ms = 5000;
		}
	if (n->pg == FSM_PG_RW)
		leave_all(n);
	n->pg = FSM_PG_DOWN;
	n->final_lsn = 0;
	n->streaming = n->attached = false;
}

static void
heal(int64_t id)
{
	struct fsm_node *n = node(id);

	gone[n - g.node] = false;
	n->session = true;
	n->probe = FSM_WITNESS_OK;
	n->report_age_ms = n->probe_ok_age_ms = 0;
	if (fsm_state_flags(n->reported) & ST_STANDBY) /* its keeper starts it */
		n->pg = FSM_PG_STANDBY;
	else if ((fsm_state_flags(n->reported) & ST_UP) &&
		 !(fsm_state_flags(n->goal) & ST_DOWN))
		n->pg = FSM_PG_RW;
	for (int i = 0; i < g.n; i++)
		g.node[i].heard = FSM_WITNESS_NONE;
}

static void
ask(enum fsm_request_kind kind, int64_t id)
{
	story[0] = '\0';
	memset(&g.request, 0, sizeof g.request);
	g.request.id = 1;
	g.request.kind = kind;
	g.request.node = id;
}

static void
refused(const char *sqlstate, const char *what)
{
	decide();
	if (!OK(p.next.request.outcome == FSM_OUTCOME_REFUSED &&
		    strcmp(p.next.request.sqlstate, sqlstate) == 0 &&
		    p.next.request.text[0],
		"refused: %s", what))
		tap_note("%d %s %s", p.next.request.outcome, p.next.request.sqlstate,
		    p.next.request.text);
}

static void
story_is(const char *want, const char *what)
{
	IS_STR(story, want, what);
	story[0] = '\0';
}

/* node 1 is primary, the others are secondary */
static void
group_of(int n, int nss)
{
	world(nss);
	for (int i = 1; i <= n; i++) {
		arrive(i, 50, true);
		settle();
	}
	g.nss = nss;
	story[0] = '\0';
}

/* ---- the tables ---- */

static void
note_complaint(void *arg, const char *text)
{
	(void)arg;
	tap_note("%s", text);
}

static void
test_verify(void)
{
	OK(fsm_verify(note_complaint, NULL) == 0, "the tables fit each other");
	fsm_broken_guards = 1ULL << FSM_GUARD_STOP_FROM_ANYWHERE;
	OK(fsm_verify(note_complaint, NULL) > 0, "one that cannot be stopped is seen");
	fsm_broken_guards = 0;
}

static void
test_edges(void)
{
	int pairs = 0;

	for (size_t i = 0; i < fsm_edge_count; i++) {
		const struct fsm_edge *e = &fsm_edge_list[i];

		OK(e->from != 0 && (e->from & ~FSM_ANY) == 0, "edge to %s has states",
		    fsm_state_name(e->to));
		for (size_t j = 0; j < i; j++)
			if (fsm_edge_list[j].to == e->to &&
			    (fsm_edge_list[j].from & e->from))
				OK(false, "edges %zu and %zu overlap", j, i);
		for (int s = 0; s < FSM_STATE_COUNT; s++)
			pairs += e->from >> s & 1;
	}
	for (int s = 0; s < FSM_STATE_COUNT; s++)
		OK(fsm_edge((enum fsm_state)s, FSM_DEMOTED) &&
			fsm_edge((enum fsm_state)s, FSM_DEMOTE_TIMEOUT) &&
			fsm_edge((enum fsm_state)s, FSM_DROPPED),
		    "%s can be stopped and dropped", fsm_state_name((enum fsm_state)s));
	OK(!fsm_edge(FSM_INIT, FSM_SECONDARY) && !fsm_edge(FSM_MAINTENANCE, FSM_SINGLE) &&
		!fsm_edge(FSM_WAIT_STANDBY, FSM_SINGLE) &&
		!fsm_edge(FSM_PRIMARY, FSM_CATCHINGUP),
	    "what must not exist does not");
	tap_note("%zu edges, %d pairs", fsm_edge_count, pairs);
}

static bool
within(uint32_t narrow, uint32_t wide)
{
	return wide == 0 || (narrow != 0 && (narrow & ~wide) == 0);
}

static bool
pattern_within(const struct fsm_pattern *n, const struct fsm_pattern *w)
{
	return within(n->reported, w->reported) && within(n->goal, w->goal) &&
	       (n->need & w->need) == w->need && (n->deny & w->deny) == w->deny;
}

/* Does rule a fire wherever b would? */
static bool
shadows(const struct fsm_rule *a, const struct fsm_rule *b)
{
	return (b->need & a->need) == a->need && (b->deny & a->deny) == a->deny &&
	       pattern_within(&b->x, &a->x) && pattern_within(&b->w, &a->w) &&
	       pattern_within(&b->c, &a->c) &&
	       !((b->flags & RULE_OPERATOR) && !(a->flags & RULE_OPERATOR)) &&
	       !((b->flags & RULE_PREEMPT) && !(a->flags & RULE_PREEMPT)) &&
	       !(b->flags & RULE_SAY && !(a->flags & RULE_SAY));
}

static bool
reachable(uint32_t from, unsigned char to)
{
	static const enum fsm_state desired[] = { FSM_SINGLE, FSM_WAIT_PRIMARY,
		FSM_PRIMARY };

	for (int s = 0; from && to && s < FSM_STATE_COUNT; s++) {
		if (!(from >> s & 1))
			continue;
		if (to != RULE_DESIRED) {
			if (s != to && !fsm_edge((enum fsm_state)s, (enum fsm_state)to))
				return false;
			continue;
		}
		for (int i = 0; i < 3; i++)
			if (s != (int)desired[i] &&
			    !fsm_edge((enum fsm_state)s, desired[i]))
				return false;
	}
	return true;
}

static void
check_rule(const struct fsm_rule *r)
{
	const struct fsm_pattern *pat[] = { &r->x, &r->w, &r->c };
	const unsigned char to[] = { r->to.x, r->to.w, r->to.c };
	bool possible = !(r->need & r->deny);

	for (int i = 0; i < 3; i++) {
		possible &= !(pat[i]->need & pat[i]->deny);
		OK(reachable(pat[i]->reported, to[i]),
		    "rule %d: its goal can be reached from every state of role %d", r->id,
		    i);
		OK(!to[i] || to[i] == RULE_DESIRED ||
			pat[i]->goal != (UINT32_C(1) << to[i]),
		    "rule %d: does not ask for the goal that it gives", r->id);
	}
	OK(possible, "rule %d: can be true", r->id);
	OK(r->why && r->why[0] && fsm_rule_find(r->id) == r && fsm_rule_section(r)[0],
	    "rule %d: says why", r->id);
	OK(r->effects || r->to.x || r->to.w || r->to.c || r->flags & RULE_SAY,
	    "rule %d: does something", r->id);
	OK(!(r->flags & RULE_SAY) || (!r->effects && !r->to.x), "rule %d: only says",
	    r->id);
}

static void
test_rules(void)
{
	for (size_t i = 0; i < fsm_rule_count; i++) {
		const struct fsm_rule *r = &fsm_rule_list[i];

		check_rule(r);
		OK(i == 0 || r[-1].id < r->id, "rule %d: ascends", r->id);
		for (size_t j = 0; j < i; j++)
			if (shadows(&fsm_rule_list[j], r))
				OK(false, "rule %d is shadowed by rule %d", r->id,
				    fsm_rule_list[j].id);
	}
	OK(fsm_rule_at(fsm_rule_count) == NULL && !fsm_rule_find(9999), "no more rules");
	tap_note("%zu rules", fsm_rule_count);
}

/* A state that nobody ever leaves must be meant so. */
static void
test_exits(void)
{
	const uint32_t meant = FSM_BIT(DROPPED) | FSM_BIT(UNKNOWN);

	for (int s = 0; s < FSM_STATE_COUNT; s++) {
		bool leaves = false;

		for (size_t i = 0; i < fsm_rule_count; i++) {
			const struct fsm_rule *r = &fsm_rule_list[i];

			leaves |= r->x.reported >> s & 1 && r->to.x && r->to.x != s;
		}
		OK(leaves || meant >> s & 1, "%s has an exit",
		    fsm_state_name((enum fsm_state)s));
	}
}

static void
test_names(void)
{
	for (int s = 0; s < FSM_STATE_COUNT; s++)
		OK(fsm_state_find(fsm_state_name((enum fsm_state)s)) == s &&
			fsm_state_text((enum fsm_state)s)[0],
		    "%s is found", fsm_state_name((enum fsm_state)s));
	for (int r = 0; r < FSM_REQ_KIND_COUNT; r++)
		OK(fsm_request_find(fsm_request_name((enum fsm_request_kind)r)) == r,
		    "request %d is found", r);
	OK(fsm_state_find("leader") == -1 && fsm_op_find("switch") == FSM_OP_SWITCH &&
		fsm_pg_find("rw") == FSM_PG_RW &&
		fsm_witness_find("silent") == FSM_WITNESS_SILENT,
	    "other names");
	for (int f = 0; f < FACT_COUNT; f++)
		OK(facts_node_name(f)[0], "fact %s", facts_node_name(f));
	for (int f = 0; f < GROUP_COUNT; f++)
		OK(facts_group_name(f)[0], "group fact %s", facts_group_name(f));
	for (size_t i = 0; i < fsm_setting_count; i++)
		OK(fsm_setting_list[i].dflt >= fsm_setting_list[i].min,
		    "%s: the default is allowed", fsm_setting_list[i].name);
}

static void
test_ssn(void)
{
	struct fsm_config c = { .k = 0, .n = 1, .member = { 2 } };
	char to[64];

	OK(ssn_format(&c, to, sizeof to) == 0, "nobody");
	IS_STR(to, "", "k 0 is the empty list");
	c.k = 1;
	OK(ssn_format(&c, to, sizeof to) == 0, "one");
	IS_STR(to, "ANY 1 (pgautofailover_standby_2)", "one name");
	c.k = 2;
	c.n = 3;
	c.member[1] = 13;
	c.member[2] = 7;
	OK(ssn_format(&c, to, sizeof to) == -1 && !to[0], "too long is an error");
	char wide[128];
	OK(ssn_format(&c, wide, sizeof wide) == 0, "three");
	IS_STR(wide,
	    "ANY 2 (pgautofailover_standby_2, pgautofailover_standby_13, "
	    "pgautofailover_standby_7)",
	    "in the order given");
	size_t size = strlen(wide) + 1;
	OK(ssn_format(&c, wide, size) == 0 && ssn_format(&c, wide, size - 1) == -1,
	    "fits to the byte");
}

/* ---- judgements ---- */

/* One row: what is known of the primary n1 of two nodes. */
struct evidence_case {
	int64_t report_age;
	bool session;
	enum fsm_pg pg;
	bool retrying;
	int64_t down_age;
	enum fsm_witness probe;
	int64_t probe_age;
	enum fsm_witness heard;
	int64_t heard_age;
	int64_t watch_age;
	bool async;
	enum fsm_verdict want;
	const char *what;
};

#define RW FSM_PG_RW
#define DN FSM_PG_DOWN
#define OKW FSM_WITNESS_OK
#define REF FSM_WITNESS_REFUSED
#define SIL FSM_WITNESS_SILENT
#define NON FSM_WITNESS_NONE
#define GOOD FSM_VERDICT_OK
#define SUSP FSM_VERDICT_SUSPECT
#define DEAD FSM_VERDICT_DOWN
/* clang-format off */
static const struct evidence_case evidence[] = {
{ 100, 1, RW, 0, 0, OKW, 100, OKW, 100, 99999, 0, GOOD, "all is well" },
{ 100, 1, RW, 0, 0, SIL, 60000, SIL, 60000, 99999, 0, GOOD, "its keeper knows better than the probe" },
{ 100, 1, DN, 0, 50, OKW, 100, OKW, 100, 99999, 0, DEAD, "its keeper says it is down" },
{ 100, 1, DN, 1, 50, REF, 100, REF, 100, 99999, 0, SUSP, "its keeper starts it again" },
{ 100, 1, DN, 1, 3000, REF, 100, REF, 100, 99999, 0, DEAD, "... and has had its grace" },
{ 2000, 0, RW, 0, 0, REF, 2000, REF, 2000, 99999, 0, DEAD, "all witnesses are sure" },
{ 800, 0, RW, 0, 0, REF, 800, REF, 800, 99999, 1, DEAD, "... in the asynchronous class as well" },
{ 800, 0, RW, 0, 0, REF, 800, REF, 800, 10, 0, DEAD, "... and for a monitor that just started" },
{ 600, 0, RW, 0, 0, REF, 600, REF, 600, 99999, 0, GOOD, "a closed session alone may be a reconnect" },
{ 800, 0, RW, 0, 0, OKW, 100, REF, 800, 99999, 0, SUSP, "the keeper died, Postgres answers" },
{ 60000, 0, RW, 0, 0, OKW, 100, OKW, 100, 99999, 0, SUSP, "... for ever" },
{ 2900, 1, RW, 0, 0, SIL, 2900, SIL, 2900, 99999, 0, SUSP, "silence, shorter than the window" },
{ 3000, 1, RW, 0, 0, SIL, 3000, SIL, 3000, 99999, 0, DEAD, "silence for the window" },
{ 9000, 1, RW, 0, 0, SIL, 9000, SIL, 2000, 99999, 0, SUSP, "the last sign of life counts" },
{ 9000, 1, RW, 0, 0, SIL, 9000, SIL, 9000, 2000, 0, SUSP, "silence counts from the start of the watch" },
{ 3000, 1, RW, 0, 0, SIL, 3000, SIL, 3000, 99999, 1, SUSP, "asynchronous: silence must last" },
{ 20000, 1, RW, 0, 0, SIL, 20000, SIL, 20000, 99999, 1, DEAD, "... as long as upstream waits" },
{ 9000, 1, RW, 0, 0, SIL, 9000, OKW, 100, 99999, 0, SUSP, "only the monitor is cut off" },
{ 20000, 1, RW, 0, 0, SIL, 20000, OKW, 100, 99999, 0, DEAD, "... for long" },
{ 9000, 1, RW, 0, 0, SIL, 9000, OKW, 2000, 99999, 0, SUSP, "an old hearing is silence" },
{ 9000, 1, RW, 0, 0, SIL, 9000, OKW, 4000, 99999, 0, DEAD, "... after the window" },
{ 9000, 1, RW, 0, 0, NON, FSM_NEVER, SIL, 9000, 99999, 0, SUSP, "never probed: no verdict by silence" },
{ 9000, 1, RW, 0, 0, FSM_WITNESS_REJECT, 9000, SIL, 9000, 99999, 0, SUSP, "a postmaster is there" },
};
/* clang-format on */

static void
test_verdict(void)
{
	for (size_t i = 0; i < sizeof evidence / sizeof *evidence; i++) {
		const struct evidence_case *e = &evidence[i];
		struct fsm_node *n;

		group_of(2, 0);
		n = node(1);
		n->report_age_ms = e->report_age;
		n->session = e->session;
		n->pg = e->pg;
		n->pg_retrying = e->retrying;
		n->pg_down_age_ms = e->down_age;
		n->probe = e->probe;
		n->probe_ok_age_ms = e->probe_age;
		node(2)->heard = e->heard;
		node(2)->heard_age_ms = e->heard_age;
		g.watch_age_ms = e->watch_age;
		if (e->async)
			g.config[g.nconfigs - 1].k = 0;
		IS_INT(facts_verdict(&g, n), e->want, e->what);
	}
	group_of(2, 0);
	kill_host(2);
	IS_INT(facts_verdict(&g, node(2)), DEAD, "a dead standby");
	node(2)->goal = FSM_MAINTENANCE;
	heal(2);
	node(2)->pg = DN;
	IS_INT(facts_verdict(&g, node(2)), GOOD, "in maintenance Postgres may be down");
	group_of(2, 0);
	kill_host(1);
	node(1)->session = true;
	node(1)->report_age_ms = node(1)->probe_ok_age_ms = 4000;
	g.recent_failovers = 2;
	IS_INT(facts_verdict(&g, node(1)), SUSP,
	    "two failovers in short order make patient");
}

/* An operation with n1 as the old writer of a group of n, and nobody's promise. */
static void
operation(int n, int nss)
{
	group_of(n, nss);
	g.op = (struct fsm_op){
		.kind = FSM_OP_ELECT, .since = ++g.term, .old_writer = 1, .revoked = true
	};
}

static void
test_safe(void)
{
	operation(2, 0);
	OK(!facts_safe_to_open(&g), "two nodes: not without a promise");
	node(2)->promise_term = g.op.since - 1;
	OK(!facts_safe_to_open(&g), "an old promise does not count");
	node(2)->promise_term = g.op.since;
	OK(facts_safe_to_open(&g), "the only standby's promise is enough");
	g.nconfigs = 2;
	g.config[1] = (struct fsm_config){ .gen = 9 };
	OK(!facts_safe_to_open(&g), "not when '' may be in force");
	node(1)->stopped_term = g.op.since - 1;
	OK(!facts_safe_to_open(&g), "an old stop does not count");
	node(1)->stopped_term = g.op.since;
	OK(facts_safe_to_open(&g), "the old writer has stopped");
	node(1)->stopped_term = 0;
	g.lease_gen = node(1)->lease_gen = 7;
	g.lease_age_ms = 20500;
	OK(!facts_safe_to_open(&g), "the lease: drift and margin are waited for");
	g.lease_age_ms = 20600;
	OK(facts_safe_to_open(&g), "the lease is over");
	g.op.revoked = false;
	OK(!facts_safe_to_open(&g), "it is not when it may be renewed");
	g.op.revoked = true;
	node(1)->lease_gen = 6;
	OK(!facts_safe_to_open(&g), "nor when the writer does not know of it");
	node(1)->reported = FSM_STOP_REPLICATION;
	OK(facts_safe_to_open(&g), "unless it never had another");
	node(1)->reported = FSM_PRIMARY;
	g.op.writer_gone = true;
	OK(facts_safe_to_open(&g), "the old writer is gone");

	operation(3, 1);
	node(2)->promise_term = g.term;
	OK(!facts_safe_to_open(&g), "three nodes: one promise is not enough");
	node(3)->promise_term = g.term;
	OK(facts_safe_to_open(&g), "both are");
	g.nconfigs = 2;
	g.config[1] = g.config[0];
	g.config[1].member[1] = 9;
	OK(facts_safe_to_open(&g), "a member that was removed acknowledges nothing");
	node(3)->promise_term = 0;
	OK(!facts_safe_to_open(&g), "every configuration counts");
	node(3)->goal = FSM_DROPPED;
	OK(!facts_safe_to_open(&g), "one that is to leave may still acknowledge");
	node(3)->reported = FSM_DROPPED;
	OK(facts_safe_to_open(&g), "one that has left does not");
}

static void
vote(int64_t id, int tli, uint64_t lsn)
{
	struct fsm_node *n = node(id);

	n->reported = n->goal = FSM_REPORT_LSN;
	n->promise_term = g.term;
	n->promise_tli = n->tli = tli;
	n->promise_lsn = n->lsn = lsn;
	n->pg = FSM_PG_STANDBY;
}

static void
elected(enum elect_kind kind, int64_t winner, int64_t source, const char *what)
{
	struct elect_result r;

	elect_choose(&g, &r);
	if (!OK(r.kind == kind && r.winner == winner && r.source == source, "%s", what))
		tap_note("got kind %d, winner %lld, source %lld: %s", r.kind,
		    (long long)r.winner, (long long)r.source, r.why);
}

static void
test_elect(void)
{
	operation(3, 1);
	elected(ELECT_WAIT, 0, 0, "nobody has reported");
	vote(2, 1, 1000);
	elected(ELECT_WAIT, 0, 0, "one of two may hold what the other lacks");
	g.op.allow_loss = true;
	elected(ELECT_WINNER, 2, 0, "... unless loss is allowed");
	g.op.allow_loss = false;
	g.settings.guard_data_loss = 0;
	elected(ELECT_WINNER, 2, 0, "... or not guarded against");
	g.settings.guard_data_loss = 1;
	vote(3, 1, 1000);
	elected(ELECT_WINNER, 2, 0, "all alike: the lowest id");
	node(3)->priority = 60;
	elected(ELECT_WINNER, 3, 0, "the highest priority");
	g.op.preferred = 2;
	elected(ELECT_WINNER, 2, 0, "the operator's choice");
	g.op.preferred = 0;
	g.op.excluded = 3;
	elected(ELECT_WINNER, 2, 0, "one that failed comes last");
	g.op.excluded = 0;
	vote(2, 1, 2000);
	elected(ELECT_WINNER, 3, 2, "priority wins, and fetches what it lacks");
	node(2)->pg = DN;
	elected(ELECT_NONE, 0, 0, "not when nobody healthy has it");
	node(2)->pg = FSM_PG_STANDBY;
	node(3)->priority = 0;
	elected(ELECT_WINNER, 2, 0, "priority zero never wins");
	node(2)->priority = 0;
	elected(ELECT_NONE, 0, 0, "nobody may win");
	node(2)->priority = node(3)->priority = 50;
	vote(3, 2, 9000);
	elected(ELECT_WAIT, 0, 0, "another timeline has no vote");
	g.lineage[0] = (struct fsm_lineage){ 2, 1, 500 };
	g.nlineage = 1;
	g.accepted_tli = 2;
	vote(2, 1, 2000);
	elected(ELECT_WAIT, 0, 0, "the operator accepted timeline 2: n2 went on on 1");
	vote(2, 1, 400);
	elected(ELECT_WINNER, 3, 0, "n2 stopped before timelines part, it may follow");
}

/* A voter is removed in the middle of an election. */
static void
test_elect_removed(void)
{
	struct elect_result r;

	operation(3, 1);
	vote(2, 1, 1000);
	node(3)->goal = FSM_DROPPED;
	elect_choose(&g, &r);
	IS_INT(r.kind, ELECT_WAIT, "what it holds is not known");
	IS_STR(r.why, "not enough nodes have reported, missing: n3, which is removed",
	    "that is said");
	vote(3, 1, 1000);
	node(3)->goal = FSM_DROPPED;
	elected(ELECT_WINNER, 2, 0, "it has told before: n2 holds as much");
	node(3)->reported = FSM_DROPPED;
	node(3)->priority = 90;
	elected(ELECT_WINNER, 2, 0, "... and has left: it cannot win itself");
	node(3)->promise_lsn = 1001;
	elected(ELECT_NONE, 0, 0, "it holds more, and is no source");
	g.op.allow_loss = true;
	elected(ELECT_WINNER, 2, 0, "unless that may be lost");
}

static void
test_elect_more(void)
{
	operation(3, 1);
	vote(2, 1, 1000);
	vote(3, 1, 1000);
	node(3)->reported = FSM_SECONDARY;
	g.config[0].n = 1;
	g.op.phase_age_ms = 100;
	elected(ELECT_WAIT, 0, 0, "a healthy node is given a moment");
	g.op.phase_age_ms = 600;
	elected(ELECT_WINNER, 2, 0, "and not more");

	operation(3, 1);
	vote(2, 1, node(1)->lsn);
	node(1)->stopped_term = g.term;
	node(1)->final_lsn = node(1)->lsn = 1500;
	vote(2, 1, 1400);
	elected(ELECT_WAIT, 0, 0, "the old writer left more than n2 has");
	vote(2, 1, 1500);
	elected(ELECT_WINNER, 2, 0, "n2 has all that a cleanly stopped writer left");

	operation(3, 0);
	g.config[0].k = g.config[0].n = 0;
	node(1)->lsn = 50000000;
	vote(2, 1, 1000);
	elected(ELECT_NONE, 0, 0, "asynchronous: too far behind the last report");
	g.op.allow_loss = true;
	elected(ELECT_WINNER, 2, 0, "... unless loss is allowed");
}

/* ---- sequences ---- */

static bool
in_goal(int64_t id, enum fsm_state s)
{
	return node(id)->goal == s;
}

/* The tables of then, and what the nodes of now say. */
static void
restore(const struct fsm_group *then)
{
	static struct fsm_group now;

	now = g;
	g = *then;
	g.watch_age_ms = 0;
	for (int i = 0; i < g.n; i++) {
		const struct fsm_node *n = fsm_node_peek(&now, g.node[i].id);
		struct fsm_node *to = &g.node[i];

		to->report_age_ms = 60000;
		to->session = false;
		if (!n || gone[i])
			continue;
		*to = *n;
		to->goal = then->node[i].goal;
		to->goal_seq = then->node[i].goal_seq;
		to->seen_seq = n->goal_seq;
		to->seen_term = now.term;
	}
	story[0] = '\0';
}

static void
pass(int64_t ms)
{
	g.watch_age_ms += ms;
	for (int i = 0; i < g.n; i++)
		if (gone[i])
			g.node[i].report_age_ms += ms;
}

/* Tables are copied into then; after that node 2 gets to be the primary. */
static void
copy_then_switch(struct fsm_group *then)
{
	world(0);
	arrive(1, 50, true);
	arrive(2, 50, true);
	settle();
	*then = g;
	ask(FSM_REQ_FAILOVER, 0);
	settle();
}

static void
test_older_tables(void)
{
	static struct fsm_group then;

	copy_then_switch(&then);
	IS_INT(g.writer, 2, "node 2 is the primary when the tables get old");
	restore(&then);
	settle();
	IS_INT(g.writer, 2, "it still is");
	story_is("n2 apply_settings\nn2 primary\n", "nobody has stopped");
	OK(!g.learning && facts_class_sync(&g) && g.nconfigs == 1,
	    "what is in force is known again");
	OK(g.term > then.term + 1, "nothing that was said before counts");

	/* a node of then is gone, a node of now is not known */
	copy_then_switch(&then);
	gone[0] = true;
	restore(&then);
	g.strangers = 1;
	decide();
	OK(g.learning && g.writer == 0, "its commits wait for somebody who is not known");
	story_is("", "nothing happens");
	ask(FSM_REQ_FAILOVER, 0);
	decide();
	story_is("", "nor when it is asked for");
	pass(4000);
	g.strangers = 0;
	settle();
	IS_INT(g.writer, 2, "all are known: who writes goes on");
	pass(60000);
	node(1)->probe = FSM_WITNESS_REFUSED;
	settle();
	OK(in_goal(2, FSM_WAIT_PRIMARY) || in_goal(2, FSM_PRIMARY),
	    "without the old primary");

	/* nobody writes */
	copy_then_switch(&then);
	gone[1] = true;
	restore(&then);
	node(1)->seen_term++;
	pass(60000);
	node(2)->probe = FSM_WITNESS_REFUSED;
	settle();
	OK(g.learning, "the node that wrote is not there: nobody takes over");
	story_is("", "whatever the old tables say");
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	IS_INT(g.writer, 1, "until the operator accepts what is lost");
}

static void
test_create(void)
{
	world(0);
	arrive(1, 50, true);
	settle();
	story_is("n1 single\n", "the first node");
	IS_INT(g.writer, 1, "it is the writer");
	arrive(2, 50, true);
	settle();
	story_is(
	    "n2 wait_standby\nn1 wait_primary\nn2 catchingup\nn2 secondary\nn1 primary\n",
	    "the second node");
	OK(facts_class_sync(&g) && g.lease_gen % 2 == 0,
	    "synchronous, the lease is unlimited");
	IS_INT(g.config[g.nconfigs - 1].k, 1, "one standby confirms");
	arrive(3, 50, true);
	settle();
	story_is("n3 wait_standby\nn3 catchingup\nn3 secondary\nn1 apply_settings\nn1 "
		 "primary\n",
	    "the third node");
	IS_INT(g.nss, 1, "number_sync_standbys is 1 with two quorum standbys");
	IS_INT(g.config[g.nconfigs - 1].n, 2, "both are named");
	arrive(4, 0, false);
	settle();
	story_is(
	    "n4 wait_standby\nn4 catchingup\nn4 secondary\n", "one outside the quorum");

	world(0);
	arrive(1, 50, true);
	node(1)->reported = FSM_PRIMARY;
	node(1)->pg = FSM_PG_RW;
	settle();
	story_is("n1 single\n", "who wrote under another monitor goes on");

	world(0);
	arrive(1, 0, true);
	settle();
	story_is("", "priority zero founds no group");
	OK(g.said == 513, "and is told why");
}

static void
test_async_group(void)
{
	world(0);
	arrive(1, 50, false);
	settle();
	arrive(2, 50, false);
	settle();
	story_is(
	    "n1 single\nn2 wait_standby\nn1 wait_primary\nn2 catchingup\nn2 secondary\n"
	    "n1 primary\n",
	    "two nodes outside the quorum");
	OK(!facts_class_sync(&g) && g.lease_gen % 2 == 1, "the lease is finite");
	kill_host(1);
	settle();
	story_is(
	    "n1 draining\nn2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n",
	    "closed until the lease is over");
	OK(g.said == 503, "and it is told why");
	g.lease_age_ms = 30000;
	settle();
	story_is("n2 wait_primary\n", "open when the lease is over");
	heal(1);
	settle();
	story_is(
	    "n1 demoted\nn1 catchingup\nn1 secondary\nn2 primary\n", "the old one joins");
}

static void
test_switchover(void)
{
	group_of(2, 0);
	ask(FSM_REQ_FAILOVER, 0);
	decide();
	IS_INT(p.next.request.outcome, FSM_OUTCOME_DONE, "the request is served");
	story_is("n1 draining\nn2 prepare_promotion\n", "both begin at once");
	node(1)->lsn = 777;
	report(node(2));
	decide();
	story_is("", "the candidate waits for the old writer");
	report(node(1));
	decide();
	story_is("n1 demote_timeout\nn2 stop_replication\n", "it has stopped");
	IS_INT(
	    (long long)g.op.target_lsn, 777, "the candidate must have all that it left");
	report(node(2));
	decide();
	story_is("n1 demoted\nn2 wait_primary\n", "open in one decision");
	IS_INT(g.writer, 2, "n2 is the writer");
	report(node(2));
	report(node(1));
	decide();
	story_is("n1 catchingup\n", "the old one joins at once");
	IS_INT(g.op.kind, FSM_OP_NONE, "the operation is over");
	settle();
	story_is("n1 secondary\nn2 primary\n", "and counts");
	ask(FSM_REQ_PROMOTION, 1);
	settle();
	story_is(
	    "n2 draining\nn1 prepare_promotion\nn2 demote_timeout\nn1 stop_replication\n"
	    "n2 demoted\nn1 wait_primary\nn2 catchingup\nn2 secondary\nn1 primary\n",
	    "back by promotion");

	group_of(2, 0);
	node(2)->fails = 9;
	ask(FSM_REQ_FAILOVER, 0);
	settle();
	story_is("n1 draining\nn2 prepare_promotion\nn1 demote_timeout\n"
		 "n2 stop_replication\nn1 demoted\nn2 wait_primary\nn1 catchingup\n"
		 "n1 secondary\nn2 primary\n",
	    "what failed before on the other node does not count");
}

/* A keeper that reports its promotion before it has looked at its Postgres again. */
static void
test_timeline_told_late(void)
{
	struct fsm_node *n;

	group_of(3, 1);
	n = node(2);
	ask(FSM_REQ_FAILOVER, 0);
	for (int i = 0; i < 20 && n->reported != FSM_STOP_REPLICATION; i++) {
		decide();
		for (int id = 1; id <= 3; id++)
			report(node(id));
	}
	n->tli = n->promise_tli;
	decide();
	IS_INT(g.writer, 1, "n2 does not open before its timeline is known");
	n->tli = n->promise_tli + 1;
	decide();
	IS_INT(g.writer, 2, "then it does");
	report(n);
	decide();
	OK(!node(1)->fork_tli && !node(3)->fork_tli,
	    "who is on the one before has not gone astray");
	kill_host(2);
	story[0] = '\0';
	settle();
	OK(g.writer == 1 || g.writer == 3, "it dies at once: another one takes over");
	if (!OK(node(g.writer)->reported == FSM_PRIMARY, "with a standby"))
		tap_note("%s", story);
}

static void
test_switchover_of_the_silent(void)
{
	group_of(2, 0);
	gone[0] = true; /* its keeper is held, Postgres runs */
	node(1)->report_age_ms = 5000;
	ask(FSM_REQ_FAILOVER, 0);
	settle();
	story_is("n1 draining\nn2 prepare_promotion\n", "the drain is waited for");
	g.op.phase_age_ms = 10000;
	settle();
	story_is("n1 demote_timeout\nn2 stop_replication\nn2 wait_primary\n",
	    "after the grace, the promise is enough");
	gone[0] = false;
	settle();
	story_is(
	    "n1 demoted\nn1 catchingup\nn1 secondary\nn2 primary\n", "it comes back");
}

static void
test_failover(void)
{
	group_of(2, 0);
	kill_host(1);
	settle();
	story_is(
	    "n1 draining\nn2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n"
	    "n2 wait_primary\n",
	    "two nodes, the primary is killed");
	IS_INT(node(1)->goal, FSM_DEMOTE_TIMEOUT, "nobody knows whether it stopped");
	heal(1);
	settle();
	story_is(
	    "n1 demoted\nn1 catchingup\nn1 secondary\nn2 primary\n", "it comes back");

	group_of(2, 0);
	node(1)->pg = DN; /* its keeper lives and cannot start it */
	settle();
	story_is(
	    "n1 draining\nn2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n"
	    "n1 demoted\nn2 wait_primary\nn1 catchingup\nn1 secondary\nn2 primary\n",
	    "two nodes, Postgres cannot start");
}

static void
test_standby_lost(void)
{
	group_of(2, 0);
	kill_host(2);
	decide();
	story_is(
	    "n2 catchingup\nn1 wait_primary\n", "the only standby is lost: one decision");
	OK(!facts_class_sync(&g) && g.nconfigs == 2,
	    "both configurations may be in force");
	settle();
	IS_INT(g.nconfigs, 1, "until the writer confirms");
	story[0] = '\0';
	heal(2);
	report(node(2));
	node(2)->state_age_ms = 4000;
	settle();
	story_is("", "it must hold for a while");
	node(2)->state_age_ms = 5000;
	settle();
	story_is("n2 secondary\nn1 primary\n", "then it counts");

	group_of(2, 0);
	cut = true;
	node(2)->attached = node(2)->streaming = false;
	node(2)->detached_age_ms = 9000;
	settle();
	story_is("", "not attached for 9 s");
	node(2)->detached_age_ms = 10000;
	decide();
	story_is("n2 catchingup\nn1 wait_primary\n", "the link between them is cut");

	group_of(3, 1);
	kill_host(3);
	settle();
	story_is("n3 catchingup\n", "one of two: the primary goes on");
	kill_host(2);
	settle();
	story_is("n2 catchingup\n", "both: it waits, as asked for");
	OK(g.said == 515, "and says so");
	group_of(3, 1);
	kill_host(3);
	settle();
	OK(g.said == 0, "with one of two there is nothing to say");
}

static void
test_wait_primary_lost(void)
{
	group_of(2, 0);
	kill_host(2);
	settle();
	heal(2);
	settle();
	/* n2 is secondary again, but n1 dies before it confirms */
	node(1)->reported = node(1)->goal = FSM_WAIT_PRIMARY;
	g.config[0].k = g.config[0].n = 0;
	g.lease_gen = node(1)->lease_gen = 11;
	story[0] = '\0';
	kill_host(1);
	settle();
	story_is(
	    "n2 prepare_promotion\nn2 stop_replication\n", "its goal stays wait_primary");
	g.lease_age_ms = 30000;
	settle();
	story_is("n1 demoted\nn2 wait_primary\n", "when its lease is over");
	heal(1);
	settle();
	story_is("n1 catchingup\nn1 secondary\nn2 primary\n", "it comes back");
}

static void
test_maintenance(void)
{
	group_of(2, 0);
	ask(FSM_REQ_MAINTENANCE_ON, 1);
	settle();
	story_is("n1 prepare_maintenance\nn2 prepare_promotion\nn2 stop_replication\n"
		 "n1 maintenance\nn2 wait_primary\n",
	    "of the primary");
	settle();
	story_is("", "and nothing more");
	ask(FSM_REQ_MAINTENANCE_OFF, 1);
	settle();
	story_is("n1 catchingup\nn1 secondary\nn2 primary\n", "it ends");
	ask(FSM_REQ_MAINTENANCE_ON, 1);
	settle();
	story_is("n2 wait_primary\nn1 wait_maintenance\nn1 maintenance\n",
	    "of the only standby");
	ask(FSM_REQ_MAINTENANCE_ON, 1);
	decide();
	IS_INT(p.next.request.outcome, FSM_OUTCOME_DONE, "asked for again: done");
	ask(FSM_REQ_MAINTENANCE_OFF, 1);
	settle();
	story_is("n1 catchingup\nn1 secondary\nn2 primary\n", "it ends");

	group_of(3, 1);
	ask(FSM_REQ_MAINTENANCE_ON, 3);
	settle();
	story_is("n3 maintenance\n", "of one of two standbys");
	IS_INT(g.config[g.nconfigs - 1].n, 2, "it stays listed");
	ask(FSM_REQ_MAINTENANCE_ON, 2);
	decide();
	OK(p.next.request.outcome == FSM_OUTCOME_DONE &&
		strstr(p.next.request.text, "block writes"),
	    "of the other one: with a warning");
	settle();
	story_is("n2 maintenance\n", "both");
	kill_host(1);
	settle();
	story_is("", "the primary dies with nobody to replace it: no draining");
	ask(FSM_REQ_MAINTENANCE_OFF, 2);
	settle();
	story_is("n2 catchingup\nn1 draining\nn2 report_lsn\nn2 prepare_promotion\n"
		 "n1 demote_timeout\nn2 stop_replication\nn2 wait_primary\n",
	    "one of them comes back: it takes over, with the word of the other one");
	ask(FSM_REQ_MAINTENANCE_OFF, 3);
	settle();
	story_is("n3 catchingup\nn3 secondary\nn2 primary\n",
	    "and so does the other one, when commits wait for it");

	group_of(4, 1);
	ask(FSM_REQ_MAINTENANCE_ON, 4);
	settle();
	story[0] = '\0';
	node(4)->pg = DN;
	kill_host(1);
	settle();
	story_is("n1 draining\nn2 report_lsn\nn3 report_lsn\n",
	    "one in maintenance that does not run cannot give its word");
	node(4)->pg = FSM_PG_STANDBY;
	report(node(4));
	settle();
	story_is("n2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n"
		 "n3 join_secondary\nn2 wait_primary\nn3 secondary\nn2 primary\n",
	    "when it runs it does, and stays where it is");
	IS_INT(node(4)->goal, FSM_MAINTENANCE, "in maintenance");
}

static void
test_removal(void)
{
	group_of(2, 0);
	ask(FSM_REQ_REMOVE, 2);
	settle();
	story_is("n2 dropped\nn1 single\n", "the standby of two");
	IS_INT(g.n, 1, "its row is gone");

	group_of(2, 0);
	ask(FSM_REQ_REMOVE, 1);
	settle();
	story_is("n1 dropped\nn2 report_lsn\nn2 single\n", "the primary of two");
	IS_INT(g.n, 1, "its row is gone");
	IS_INT(g.writer, 2, "the other one writes");

	group_of(2, 0);
	kill_host(1);
	g.node[0].session = true;
	g.node[0].probe = SIL;
	g.node[0].report_age_ms = 2000;
	g.node[0].probe_ok_age_ms = 2000;
	ask(FSM_REQ_REMOVE, 1);
	g.request.force = true;
	settle();
	story_is("n2 report_lsn\nn2 single\n", "the primary of two, by force");

	group_of(3, 1);
	ask(FSM_REQ_REMOVE, 3);
	settle();
	story_is("n3 dropped\nn1 apply_settings\nn1 primary\n", "a standby of three");
	IS_INT(g.nss, 0, "number_sync_standbys is repaired");
	IS_INT(g.config[g.nconfigs - 1].n, 1, "it is listed no more");

	group_of(3, 1);
	ask(FSM_REQ_REMOVE, 3);
	decide();
	report(node(3));
	kill_host(1);
	settle();
	story_is("n3 dropped\nn1 apply_settings\nn1 draining\nn2 report_lsn\n"
		 "n2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n"
		 "n2 wait_primary\n",
	    "... and the primary dies before it knows: what n3 told when it left counts");

	group_of(3, 1);
	ask(FSM_REQ_REMOVE, 1);
	settle();
	story_is("n1 dropped\nn2 report_lsn\nn3 report_lsn\nn2 prepare_promotion\n"
		 "n2 stop_replication\nn3 join_secondary\nn2 wait_primary\nn3 secondary\n"
		 "n2 primary\n",
	    "the primary of three");
	world(0);
	arrive(1, 50, true);
	settle();
	ask(FSM_REQ_REMOVE, 1);
	settle();
	story_is("n1 dropped\n", "the last one");
	OK(g.n == 0 && g.op.kind == FSM_OP_NONE && g.writer == 0, "nothing is left");
}

static void
test_settings(void)
{
	group_of(2, 0);
	g.dirty = true;
	settle();
	story_is("n1 apply_settings\nn1 primary\n", "a setting changes");
	OK(!g.dirty, "once");
	node(2)->quorum = false;
	g.dirty = true;
	settle();
	story_is("n1 apply_settings\nn1 primary\n", "the standby leaves the quorum");
	OK(g.config[g.nconfigs - 1].k == 0 && g.lease_gen % 2 == 1,
	    "asynchronous, with a lease");
	group_of(3, 1);
	g.nss = 0;
	g.dirty = true;
	node(3)->priority = 90;
	settle();
	story_is("n1 apply_settings\nn1 primary\n", "priority");
	IS_INT(
	    g.config[g.nconfigs - 1].member[0], 3, "names are in the order of priority");
}

static void
test_self_fence(void)
{
	group_of(2, 0);
	node(2)->priority = 0;
	node(1)->reported = FSM_DEMOTE_TIMEOUT;
	node(1)->state_age_ms = 0;
	stop(node(1));
	decide();
	story_is("", "it fenced itself and nobody replaced it");
	OK(node(1)->stopped_term < g.term && g.op.kind == FSM_OP_NONE,
	    "it may go on, in a new term");
	settle();
	story_is("", "and does");
	OK(node(1)->reported == FSM_PRIMARY && node(1)->pg == RW, "it writes");
}

static void
test_old_writer_returns(void)
{
	for (int s = 0; s < FSM_STATE_COUNT; s++) {
		if (s == FSM_UNKNOWN || s == FSM_DROPPED || s == FSM_MAINTENANCE)
			continue;
		group_of(2, 0);
		kill_host(1);
		settle();
		heal(1);
		node(1)->reported = (enum fsm_state)s; /* it lost, or kept, any state */
		node(1)->pg = fsm_state_flags((enum fsm_state)s) & ST_RW ? RW : DN;
		settle();
		if (!OK(node(1)->reported == FSM_SECONDARY &&
			    node(2)->reported == FSM_PRIMARY,
			"an old writer that reports %s becomes a standby",
			fsm_state_name((enum fsm_state)s)))
			tap_note("%s", story);
	}
	for (int s = 0; s < FSM_STATE_COUNT; s++) {
		if (s == FSM_UNKNOWN || s == FSM_DROPPED || s == FSM_MAINTENANCE)
			continue;
		group_of(2, 0);
		node(1)->reported = (enum fsm_state)s;
		node(2)->priority = 0;
		settle();
		if (!OK(node(1)->reported == FSM_PRIMARY &&
			    node(2)->reported == FSM_SECONDARY,
			"a writer that reports %s becomes primary again",
			fsm_state_name((enum fsm_state)s)))
			tap_note("%s", story);
	}
}

static void
test_candidate_dies(void)
{
	group_of(2, 0);
	ask(FSM_REQ_FAILOVER, 0);
	decide();
	report(node(1));
	kill_host(2);
	settle();
	story_is("n1 draining\nn2 prepare_promotion\nn1 wait_primary\nn2 catchingup\n",
	    "the candidate dies, the drained writer goes on");
	heal(2);
	settle();
	story_is("n2 secondary\nn1 primary\n", "the candidate comes back");

	group_of(2, 0);
	kill_host(1);
	decide();
	report(node(2));
	decide();
	report(node(2)); /* promoted behind the door */
	kill_host(2);
	node(2)->session = false;
	g.nconfigs = 1;
	g.config[0].k = 0; /* so that it does not open at once */
	settle();
	story_is(
	    "n1 draining\nn2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n",
	    "both are dead");
	OK(g.said != 0, "why is told");
	heal(1);
	settle();
	story_is("n1 wait_primary\nn2 catchingup\n",
	    "the old writer is back first: it goes on");
	heal(2);
	settle();
	story_is("n2 secondary\nn1 primary\n", "and the other joins it");
}

static void
test_three(void)
{
	group_of(3, 1);
	kill_host(1);
	settle();
	story_is("n1 draining\nn2 report_lsn\nn3 report_lsn\nn2 prepare_promotion\n"
		 "n1 demote_timeout\nn2 stop_replication\nn3 join_secondary\n"
		 "n2 wait_primary\nn3 secondary\nn2 primary\n",
	    "three nodes, the primary is killed");
	heal(1);
	settle();
	story_is(
	    "n1 demoted\nn1 catchingup\nn1 secondary\nn2 apply_settings\nn2 primary\n",
	    "it comes back");
	ask(FSM_REQ_PROMOTION, 3);
	settle();
	story_is(
	    "n2 draining\nn1 report_lsn\nn3 report_lsn\nn3 prepare_promotion\n"
	    "n2 demote_timeout\nn3 stop_replication\nn1 join_secondary\nn2 demoted\n"
	    "n3 wait_primary\nn1 secondary\nn2 catchingup\nn3 primary\nn2 secondary\n"
	    "n3 apply_settings\nn3 primary\n",
	    "promotion of a chosen node");
	ask(FSM_REQ_MAINTENANCE_ON, 3);
	settle();
	story_is(
	    "n3 prepare_maintenance\nn1 report_lsn\nn2 report_lsn\nn1 prepare_promotion\n"
	    "n1 stop_replication\nn2 join_secondary\nn3 maintenance\nn1 wait_primary\n"
	    "n2 secondary\nn1 primary\n",
	    "maintenance of the primary of three");
}

static void
test_three_blocked(void)
{
	group_of(3, 1);
	kill_host(3);
	settle();
	story[0] = '\0';
	kill_host(1);
	settle();
	g.op.phase_age_ms = 60000;
	settle();
	story_is("n1 draining\nn2 report_lsn\nn3 report_lsn\n",
	    "a sole survivor is not elected under guard");
	OK(g.said == 501, "and it is told why");
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	story_is("n2 prepare_promotion\nn1 demote_timeout\nn2 stop_replication\n",
	    "allowed to lose, but two that are not long silent may write together");
	heal(3);
	settle();
	story_is("n3 join_secondary\nn2 wait_primary\nn3 secondary\nn2 primary\n",
	    "the other survivor's promise opens it");

	group_of(3, 1);
	kill_host(3);
	settle();
	kill_host(1);
	settle();
	story[0] = '\0';
	heal(1);
	settle();
	story_is("", "the old writer is back: there is a moment for the election");
	g.op.phase_age_ms = 10000;
	settle();
	story_is("n1 primary\nn2 secondary\n", "then it goes on");
}

/* Writer and one standby of three are gone for longer than any lease. */
static void
test_written_off(void)
{
	const struct {
		bool allowed, standby_probed, writer_heard, writer_probed, async;
		bool opens;
		const char *what;
	} list[] = {
		{ true, false, false, false, false, true,
		    "the operator's word opens when both are silent for a lease" },
		{ false, false, false, false, false, false,
		    "not without it, whatever the guard is set to" },
		{ true, true, false, false, false, false,
		    "not while the other standby answers" },
		{ true, false, true, false, false, false,
		    "not while a standby hears the old writer" },
		{ true, false, false, true, false, false,
		    "not while the old writer answers" },
		{ true, false, false, false, true, false,
		    "not when it commits alone, without a lease that ends" },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		operation(3, 1);
		vote(2, 1, 1000);
		g.op.allow_loss = list[i].allowed;
		g.settings.guard_data_loss = list[i].allowed;
		kill_host(3);
		kill_host(1);
		node(1)->report_age_ms = node(3)->report_age_ms = 20500;
		OK(!facts_safe_to_open(&g), "shorter than a lease: %s", list[i].what);
		node(1)->report_age_ms = node(3)->report_age_ms = 20600;
		if (list[i].standby_probed)
			node(3)->probe = FSM_WITNESS_OK;
		if (list[i].writer_probed)
			node(1)->probe = FSM_WITNESS_REJECT;
		if (list[i].writer_heard) {
			node(2)->heard = FSM_WITNESS_OK;
			node(2)->heard_age_ms = 100;
		}
		if (list[i].async)
			g.config[0].k = 0;
		OK(facts_safe_to_open(&g) == list[i].opens, "%s", list[i].what);
	}

	group_of(3, 1);
	kill_host(3);
	settle();
	kill_host(1);
	settle();
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	node(1)->report_age_ms = node(3)->report_age_ms = 20600;
	story[0] = '\0';
	settle();
	story_is("n2 wait_primary\n", "the election goes on to its end");
	OK(g.nss == 1 && g.config[g.nconfigs - 1].k == 0, "and n2 commits alone");
	heal(3);
	heal(1);
	settle();
	OK(g.writer == 2 && node(2)->reported == FSM_PRIMARY &&
		node(1)->reported == FSM_SECONDARY && node(3)->reported == FSM_SECONDARY,
	    "who returns joins it");
	OK(g.config[g.nconfigs - 1].k == 1, "commits wait for one of them again");
}

/* Two of three are removed, and the last may lack what they hold. */
static void
test_last_one(void)
{
	group_of(3, 1);
	kill_host(3);
	settle();
	node(1)->lsn = node(2)->lsn = 2000;
	ask(FSM_REQ_REMOVE, 1);
	decide();
	report(node(1));
	report(node(2));
	decide();
	ask(FSM_REQ_REMOVE, 2);
	decide();
	report(node(2));
	heal(3);
	story[0] = '\0';
	settle();
	story_is("", "n3 is alone, and lacks something");
	IS_INT(g.said, 501, "it says so");
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	OK(g.writer == 3 && g.n == 1 && node(3)->reported == FSM_SINGLE,
	    "that may be lost: it writes alone, and the others are gone");
}

/* Somebody asks for a failover when the primary is dead already. */
static void
test_asked_when_dead(void)
{
	group_of(2, 0);
	kill_host(1);
	decide();
	OK(g.op.kind == FSM_OP_SWITCH, "a failover is in progress");
	ask(FSM_REQ_FAILOVER, 0);
	decide();
	IS_INT(p.next.request.outcome, FSM_OUTCOME_DONE,
	    "one that is asked for is that one");
	settle();
	OK(g.writer == 2 && node(2)->reported == FSM_WAIT_PRIMARY, "which ends well");

	group_of(2, 0);
	kill_host(2);
	settle();
	kill_host(1);
	heal(2);
	settle();
	OK(g.op.kind == FSM_OP_NONE && node(2)->goal == FSM_CATCHINGUP,
	    "the primary went on alone and died: n2 lacks what it did");
	ask(FSM_REQ_FAILOVER, 0);
	refused("XX000", "a failover that may lose");
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	story_is("n1 draining\nn2 report_lsn\nn2 prepare_promotion\nn1 demote_timeout\n"
		 "n2 stop_replication\n",
	    "unless it is allowed to");
	OK(g.said == 503, "the dead one may write: it must be dropped by force");
	ask(FSM_REQ_REMOVE, 1);
	g.request.force = true;
	settle();
	OK(g.writer == 2 && node(2)->pg == RW && g.op.kind == FSM_OP_NONE,
	    "which opens the other");
}

/* The monitor does not see a standby; does the writer? */
static void
test_writer_hears(void)
{
	const struct {
		int64_t report_age, ack_age, writer_age;
		bool attached;
		enum fsm_verdict want;
		const char *what;
	} list[] = {
		{ 9000, 100, 100, true, SUSP,
		    "the writer hears from it: it confirms commits" },
		{ 9000, 2300, 200, true, SUSP, "... just now" },
		{ 9000, 2400, 200, true, DEAD, "... not any more" },
		{ 9000, 100, 1600, true, DEAD, "the writer's word is old" },
		{ 9000, 100, 100, false, DEAD, "it does not stream" },
		{ 9000, FSM_NEVER, 100, true, DEAD, "nobody knows when" },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		struct fsm_node *n;

		group_of(2, 0);
		n = node(2);
		n->report_age_ms = n->probe_ok_age_ms = list[i].report_age;
		n->probe = SIL;
		n->attached = list[i].attached;
		n->ack_age_ms = list[i].ack_age;
		node(1)->report_age_ms = list[i].writer_age;
		IS_INT(facts_verdict(&g, n), list[i].want, list[i].what);
		monitor_decide(&g, &p);
		OK(list[i].want == DEAD || p.wake_in_ms <= 2501 - list[i].ack_age,
		    "... and that is looked into again in time");
	}
}

/* Automatic failovers are counted, whatever their kind; the others are not. */
static void
test_back_off(void)
{
	for (int n = 2; n <= 3; n++) {
		group_of(n, 0);
		ask(FSM_REQ_FAILOVER, 0);
		decide();
		OK(g.op.kind != FSM_OP_NONE && !p.failover,
		    "a switchover of %d nodes does not count", n);
		group_of(n, 0);
		kill_host(1);
		decide();
		OK(g.op.kind != FSM_OP_NONE && p.failover,
		    "a failover of %d nodes counts", n);
		decide();
		OK(!p.failover, "once");
		g.recent_failovers = 2;
		settle();
		heal(1);
		settle();
		IS_INT(g.said, 519, "the second: it is told that the next one waits");
	}
	group_of(2, 0);
	ask(FSM_REQ_REMOVE, 1);
	decide();
	OK(!p.failover, "nor does a removal");
}

static void
test_fast_forward(void)
{
	group_of(3, 1);
	node(3)->priority = 90;
	node(3)->lsn = 500;
	node(2)->lsn = 900;
	node(1)->lsn = 900;
	kill_host(1);
	settle();
	story_is("n1 draining\nn2 report_lsn\nn3 report_lsn\nn3 fast_forward\n"
		 "n3 prepare_promotion\nn1 demote_timeout\nn3 stop_replication\n"
		 "n2 join_secondary\nn3 wait_primary\nn2 secondary\nn3 primary\n",
	    "the preferred node fetches what it lacks");
	IS_INT((long long)node(3)->promise_lsn, 900, "it had it when it was promoted");

	group_of(4, 1);
	node(3)->priority = 90;
	node(3)->lsn = 500;
	node(2)->lsn = node(4)->lsn = node(1)->lsn = 900;
	kill_host(1);
	for (int i = 0; i < 2; i++) {
		decide();
		for (int n = 2; n <= 4; n++)
			report(node(n));
	}
	node(3)->reported = FSM_REPORT_LSN; /* it is told to fetch, and has not */
	node(3)->promise_lsn = node(3)->lsn = 500;
	OK(node(3)->goal == FSM_FAST_FORWARD && g.op.source == 2, "n3 fetches from n2");
	kill_host(2);
	decide();
	OK(node(3)->goal == FSM_REPORT_LSN && g.op.candidate == 0, "the source dies");
	settle();
	OK(g.op.kind == FSM_OP_NONE && g.writer == 3, "it fetches from the other one");
}

/* The losers wait for the winner, which is promoted; rounds says how far it gets. */
static void
until_it_wins(int rounds)
{
	group_of(3, 1);
	kill_host(1);
	for (int i = 0; i < rounds; i++) {
		decide();
		report(node(2));
		report(node(3));
	}
	kill_host(2);
	story[0] = '\0';
}

static void
test_winner_dies(void)
{
	until_it_wins(3);
	OK(node(3)->reported == FSM_JOIN_SECONDARY && g.op.candidate == 2 &&
		g.writer == 1,
	    "n3 waits for the winner n2");
	settle();
	story_is("n2 report_lsn\nn3 report_lsn\n",
	    "the winner dies: the loser is asked again, and not enough");
	heal(1);
	g.op.phase_age_ms = 10000;
	settle();
	OK(g.writer == 1 && node(1)->reported == FSM_PRIMARY &&
		node(3)->reported == FSM_SECONDARY,
	    "the old writer returns and goes on");
	heal(2);
	settle();
	OK(node(2)->reported == FSM_SECONDARY, "the failed winner joins");

	until_it_wins(4);
	IS_INT(g.writer, 2, "n2 may write, and dies");
	settle();
	story_is("n3 report_lsn\nn3 prepare_promotion\nn3 stop_replication\nn2 demoted\n"
		 "n3 wait_primary\n",
	    "it acknowledged nothing without the loser, which may win");
	heal(1);
	heal(2);
	settle();
	OK(g.writer == 3 && node(3)->reported == FSM_PRIMARY &&
		node(1)->reported == FSM_SECONDARY && node(2)->reported == FSM_SECONDARY,
	    "both old writers join");
}

static void
test_unconfirmed_winner(void)
{
	group_of(3, 1);
	node(3)->lsn = 500;
	node(2)->lsn = node(1)->lsn = 900;
	kill_host(1);
	for (int i = 0; i < 4; i++) {
		decide();
		report(node(2));
		if (i < 3) /* it never attaches to the winner */
			report(node(3));
	}
	IS_INT(g.writer, 2, "n2 had more than n3 and may write");
	kill_host(2);
	story[0] = '\0';
	settle();
	story_is("n3 report_lsn\n", "n3 never had what n2 began with: it is not elected");
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	settle();
	OK(g.writer == 3, "unless loss is allowed");
}

static void
test_fenced_while_replaced(void)
{
	group_of(3, 0);
	g.config[0].k = g.config[0].n = 0;
	node(1)->reported = node(1)->goal = FSM_WAIT_PRIMARY;
	g.lease_gen = node(1)->lease_gen = 11;
	g.lease_age_ms = 100;
	kill_host(1);
	for (int i = 0; i < 3; i++) {
		decide();
		report(node(2));
		report(node(3));
	}
	story[0] = '\0';
	heal(1);
	node(1)->reported = FSM_DEMOTE_TIMEOUT;
	node(1)->stopped_term = g.term - 1;
	node(1)->pg = DN;
	decide();
	OK(node(1)->goal == FSM_DEMOTE_TIMEOUT,
	    "an old writer that fenced itself is told of it");
	settle();
	OK(g.writer == 2 && node(1)->reported == FSM_SECONDARY,
	    "and the candidate opens before the lease is over");
}

/* It comes back, stopped by itself, when its successor has failed as well. */
static void
test_fenced_and_successor_fails(void)
{
	group_of(2, 0);
	g.config[0].k = g.config[0].n = 0;
	node(1)->reported = node(1)->goal = FSM_WAIT_PRIMARY;
	g.lease_gen = node(1)->lease_gen = 11;
	kill_host(1);
	decide();
	OK(g.op.kind == FSM_OP_SWITCH && g.op.candidate == 2, "the other takes over");
	kill_host(2);
	heal(1);
	node(1)->reported = FSM_DEMOTE_TIMEOUT;
	node(1)->stopped_term = g.term - 1;
	node(1)->goal_age_ms = 5000;
	node(1)->pg = DN;
	story[0] = '\0';
	decide();
	story_is("n2 catchingup\n", "nobody is left but the old writer: no detour");
	OK(g.op.kind == FSM_OP_NONE && node(1)->goal == FSM_WAIT_PRIMARY,
	    "it writes again");
}

/* The operator accepts a loss where nothing is to be lost. */
static void
test_well_before_it_is_replaced(void)
{
	group_of(3, 0);
	g.config[0].n = 1;
	g.config[0].member[0] = 3;
	node(1)->reported = node(1)->goal = FSM_WAIT_PRIMARY;
	kill_host(1);
	gone[2] = true;
	decide();
	ask(FSM_REQ_FAILOVER, 0);
	g.request.allow_loss = true;
	for (int i = 0; i < 4; i++) {
		decide();
		report(node(2));
		g.op.phase_age_ms = 1000;
	}
	OK(node(2)->reported == FSM_STOP_REPLICATION && g.writer == 1,
	    "who does not know enough is promoted, as allowed, and stays closed");
	heal(1);
	node(1)->pg = FSM_PG_RW;
	story[0] = '\0';
	decide();
	story_is("n2 catchingup\n", "but the old writer is well, and goes on");
	gone[2] = false;
	settle();
	OK(g.writer == 1 && node(2)->reported == FSM_SECONDARY &&
		node(3)->reported == FSM_SECONDARY,
	    "with all");
}

static void
test_writer_returns(void)
{
	group_of(3, 0);
	g.config[0].k = g.config[0].n = 0;
	node(1)->reported = node(1)->goal = FSM_WAIT_PRIMARY;
	g.lease_gen = node(1)->lease_gen = 11;
	kill_host(1);
	gone[1] = gone[2] = true;
	node(2)->seen_seq--; /* busy with a former goal */
	node(3)->seen_seq--;
	decide();
	OK(g.op.kind == FSM_OP_ELECT, "an election begins");
	heal(1);
	gone[1] = gone[2] = false;
	decide();
	OK(g.op.kind == FSM_OP_NONE && !g.op.revoked,
	    "the writer is back before it has a result");
	settle();
	OK(g.writer == 1 && node(1)->reported == FSM_PRIMARY &&
		node(2)->reported == FSM_SECONDARY && node(3)->reported == FSM_SECONDARY,
	    "and goes on");
}

static void
test_more_standbys_while_waiting(void)
{
	group_of(4, 2);
	g.nconfigs = 1;
	g.config[0] = (struct fsm_config){ .gen = 50, .k = 2, .n = 1, .member = { 2 } };
	node(1)->reported = FSM_WAIT_PRIMARY; /* waits for one more than is named */
	node(3)->reported = node(3)->goal = FSM_CATCHINGUP;
	decide();
	OK(node(3)->goal == FSM_SECONDARY && g.nconfigs == 2 && g.config[1].k == 2 &&
		g.config[1].n >= 2,
	    "a standby that joins is granted to a writer that waits for it");
	settle();
	OK(node(1)->reported == FSM_PRIMARY, "which completes it");
}

/* ---- anything may happen; when it stops, the group must find together ---- */

static uint64_t rng;

static int
pick(int n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (int)(rng % (uint64_t)n);
}

/* A few keepers report, in any order; some are slow. */
static void
some_reports(void)
{
	for (int i = pick(2 * g.n + 1); i > 0 && g.n > 0; i--) {
		int at = pick(g.n);

		if (!gone[at])
			report(&g.node[at]);
		if (pick(2))
			decide();
	}
	if (pick(3) == 0 && g.op.kind != FSM_OP_NONE)
		g.op.phase_age_ms += 11000;
	if (pick(4) == 0)
		g.lease_age_ms = 30000;
}

static void
mishap(void)
{
	static const enum fsm_request_kind kind[] = { FSM_REQ_FAILOVER, FSM_REQ_PROMOTION,
		FSM_REQ_MAINTENANCE_ON, FSM_REQ_MAINTENANCE_OFF, FSM_REQ_REMOVE };
	struct fsm_node *n = &g.node[pick(g.n)];
	int k = pick(12);

	if (k < 3 && !gone[n - g.node])
		kill_host(n->id);
	else if (k < 6)
		heal(n->id);
	else if (k < 10) {
		enum fsm_request_kind what = kind[pick(5)];

		if (what == FSM_REQ_REMOVE && (pick(3) || g.n < 2))
			return;
		ask(what, what == FSM_REQ_FAILOVER ? 0 : n->id);
		g.request.allow_loss = pick(2);
		g.request.force = pick(2);
	} else if (k == 10) {
		n->priority = pick(3) * 50;
		g.dirty = true;
	} else if (n->pg == RW && !gone[n - g.node]) { /* it fences itself */
		stop(n);
		n->stopped_term = g.term;
		n->reported = FSM_DEMOTE_TIMEOUT;
	}
}

static bool
is_together(void)
{
	const struct fsm_node *w = node(g.writer);

	if (g.n == 0 || g.said != 0)
		return true; /* gone, or it is told what is missing */
	if (!w || w->pg != RW || g.op.kind != FSM_OP_NONE)
		return false;
	for (int i = 0; i < g.n; i++) {
		const struct fsm_node *n = &g.node[i];
		bool fine =
		    n == w
			? n->reported == FSM_PRIMARY || n->reported == FSM_SINGLE ||
			      n->reported == FSM_WAIT_PRIMARY
			: n->reported == FSM_SECONDARY || n->reported == FSM_MAINTENANCE;

		if (!fine || n->goal != n->reported)
			return false;
	}
	return true;
}

static bool
one_life(uint64_t seed)
{
	int nodes;

	rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	nodes = 2 + pick(4);
	group_of(nodes, pick(nodes - 1));
	for (int i = 0; i < 25 && g.n > 0; i++) {
		mishap();
		decide();
		if (g.n > 0)
			some_reports();
	}
	for (int i = 0; i < g.n; i++)
		heal(g.node[i].id);
	g.lease_age_ms = 30000;
	settle();
	for (int i = 0; i < g.n; i++)
		if (g.node[i].priority == 0)
			g.node[i].priority = 50;
	for (int round = 0; round < 3; round++) {
		g.op.phase_age_ms = 60000;
		for (int i = 0; i < g.n; i++)
			g.node[i].goal_age_ms = 60000;
		settle();
	}
	return is_together();
}

static void
test_anything(void)
{
	int failed = 0;
	int parked = 0;

	for (uint64_t seed = 1; seed <= 3000 && failed < 3; seed++) {
		bool fine = one_life(seed);

		parked += g.said != 0;
		if (fine)
			continue;
		failed++;
		OK(false, "life %d ends with everything in place", (int)seed);
		for (int i = 0; i < g.n; i++)
			tap_note("%s: %s, goal %s, %s", g.node[i].name,
			    fsm_state_name(g.node[i].reported),
			    fsm_state_name(g.node[i].goal), fsm_pg_name(g.node[i].pg));
		tap_note("writer %lld, operation %s, %s", (long long)g.writer,
		    fsm_op_name(g.op.kind),
		    story + (strlen(story) > 600 ? strlen(story) - 600 : 0));
	}
	OK(parked < 100, "%d of 3000 lives end with an open question", parked);
	OK(failed == 0, "3000 lives: whatever happened, the group finds together");
}

/* ---- requests ---- */

static void
test_refusals(void)
{
	world(0);
	arrive(1, 50, true);
	settle();
	ask(FSM_REQ_FAILOVER, 0);
	refused("XX000", "failover of one node");
	ask(FSM_REQ_PROMOTION, 1);
	decide();
	OK(p.next.request.outcome == FSM_OUTCOME_DONE &&
		strcmp(p.next.request.text,
		    "cannot perform promotion: node n1 is already a primary.") == 0,
	    "promotion of the primary is nothing");
	ask(FSM_REQ_MAINTENANCE_ON, 1);
	refused("55000", "maintenance of a single node");
	ask(FSM_REQ_PROMOTION, 7);
	refused("42704", "a node that is not there");

	group_of(2, 0);
	node(2)->priority = 0;
	ask(FSM_REQ_FAILOVER, 0);
	refused("XX000", "failover to priority zero");
	ask(FSM_REQ_PROMOTION, 2);
	refused("XX000", "promotion of priority zero");
	ask(FSM_REQ_MAINTENANCE_ON, 1);
	refused("55000", "maintenance of the primary without a candidate");
	ask(FSM_REQ_MAINTENANCE_OFF, 2);
	refused("55000", "end of maintenance that never was");
	node(2)->priority = 50;
	kill_host(2);
	settle();
	ask(FSM_REQ_FAILOVER, 0);
	refused("XX000", "failover from wait_primary");
	ask(FSM_REQ_MAINTENANCE_ON, 2);
	refused("55000", "maintenance while the primary waits");
	ask(FSM_REQ_PROMOTION, 2);
	refused("55000", "promotion of catchingup");

	group_of(2, 0);
	ask(FSM_REQ_FAILOVER, 0);
	decide();
	ask(FSM_REQ_FAILOVER, 0);
	refused("XX000", "failover during a failover");
	ask(FSM_REQ_MAINTENANCE_ON, 2);
	refused("55000", "maintenance during a failover");
}

static void
test_explain(void)
{
	char text[FSM_TEXT_MAX];

	group_of(2, 0);
	monitor_explain(&g, text, sizeof text);
	IS_STR(text, "nothing is in progress", "all is well");
	kill_host(2);
	settle();
	monitor_explain(&g, text, sizeof text);
	IS_STR(text, "n2 is to go from secondary to catchingup, but does not report",
	    "a dead standby");
	kill_host(1);
	settle();
	monitor_explain(&g, text, sizeof text);
	IS_STR(text, "n1 is down and no other node may be promoted", "both dead");
}

int
main(void)
{
	test_verify();
	test_edges();
	test_rules();
	test_exits();
	test_names();
	test_ssn();
	test_verdict();
	test_safe();
	test_elect();
	test_elect_removed();
	test_elect_more();
	test_create();
	test_older_tables();
	test_async_group();
	test_switchover();
	test_timeline_told_late();
	test_switchover_of_the_silent();
	test_failover();
	test_standby_lost();
	test_wait_primary_lost();
	test_maintenance();
	test_removal();
	test_settings();
	test_self_fence();
	test_old_writer_returns();
	test_candidate_dies();
	test_three();
	test_three_blocked();
	test_written_off();
	test_last_one();
	test_asked_when_dead();
	test_writer_hears();
	test_back_off();
	test_fast_forward();
	test_winner_dies();
	test_unconfirmed_winner();
	test_fenced_while_replaced();
	test_fenced_and_successor_fails();
	test_well_before_it_is_replaced();
	test_writer_returns();
	test_more_standbys_while_waiting();
	test_refusals();
	test_explain();
	test_anything();
	OK(!sequel, "no decision changes anything when it is made again");
	return tap_done();
}
