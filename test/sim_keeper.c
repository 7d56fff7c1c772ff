/* Simulated keeper processes: the real keeper_step over a simulated host. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

#define REPORT_MS 500
#define LOOK_MS 8
#define LEASE_NONE INT64_MAX

void
simkeeper_start(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	x->keeper_up = true;
	x->k = x->disk;
	x->k.contact = false;
	x->k.fails = 0;
	x->act.on = false;
	x->was_up = false;
	x->told_state = FSM_UNKNOWN;
	x->have_reply = false;
	x->report_flying = false;
	x->report_due = s->now;
	x->retry_at = 0;
	x->contact_sent = s->now;
	x->vouched_at = s->now;
	x->lease_until =
	    x->k.lease_gen % 2 ? s->now : LEASE_NONE; /* unknown: take it to be over */
	x->heard = FSM_WITNESS_NONE;
	x->pg_down_since = x->pg == FSM_PG_DOWN ? s->now : 0;
	sim_log(s, "host %d: keeper starts in %s", h, fsm_state_name(x->k.current));
}

void
simkeeper_kill(struct sim *s, int h)
{
	s->host[h].keeper_up = false;
	s->host[h].act.on = false;
	s->host[h].report_flying = false;
}

static bool
streaming(const struct sim *s, int h)
{
	const struct sim_host *x = &s->host[h];

	return x->pg == FSM_PG_STANDBY && x->stream_from >= 0 &&
	       wal_uid(&x->wal) == wal_uid(&s->host[x->stream_from].wal);
}

/* What the act in progress was begun with is no longer what is wanted. */
static bool
act_stale(const struct sim_host *x)
{
	const struct sim_act *a = &x->act;

	switch (a->act) {
	case FSM_ACT_FOLLOW:
		return a->upstream != x->upstream_id;
	case FSM_ACT_FETCH:
		return a->upstream != x->upstream_id || a->target != x->target_lsn;
	case FSM_ACT_SYNC:
	case FSM_ACT_RESUME:
		return a->config.gen != x->wanted.gen;
	case FSM_ACT_PREPARE:
	case FSM_ACT_CLOSED:
	case FSM_ACT_DETACH:
		return a->term != x->k.term || a->planned != x->k.planned;
	case FSM_ACT_NOTHING:
	case FSM_ACT_INIT:
	case FSM_ACT_PROMOTE:
	case FSM_ACT_OPEN:
	case FSM_ACT_STOP:
	case FSM_ACT_RELEASE:
	case FSM_ACT_DROP:
	case FSM_ACT_START:
	case FSM_ACT_FENCE:
	case FSM_ACT_COUNT:
		break;
	}
	return false;
}

static bool
act_final(const struct sim_host *x)
{
	return (x->act.act == FSM_ACT_CLOSED && x->act.phase >= 2) ||
	       (x->act.act == FSM_ACT_PROMOTE && x->act.phase >= 1) ||
	       x->act.act == FSM_ACT_OPEN;
}

static void
observe(struct sim *s, int h, struct keeper_obs *o)
{
	struct sim_host *x = &s->host[h];

	memset(o, 0, sizeof *o);
	for (int i = 0; i < s->nhosts; i++)
		if (x->pg == FSM_PG_RW && x->walsender[i] && sim_linked(s, h, i))
			x->vouched_at = s->now;
	if (x->pg == FSM_PG_STANDBY || x->pg == FSM_PG_RW)
		x->pg_down_since = 0;
	else if (!x->pg_down_since)
		x->pg_down_since = s->now;
	o->pg = x->pg;
	o->pid_alive = x->pg != FSM_PG_DOWN;
	o->was_up = x->was_up;
	o->sync = x->names.k > 0;
	o->heard = x->heard;
	o->has_upstream = x->upstream_id && x->upstream_id != x->k.node_id;
	o->upstream_ok = x->conf_upstream == x->upstream_id;
	o->told = x->told_state == x->k.current;
	o->grace_ms = 3000;
	o->crashes = s->now - x->crash_at < KEEPER_CRASH_MS ? x->crashes : 0;
	o->act_stale = x->act.on && act_stale(x);
	o->act_final = x->act.on && act_final(x);
	o->has_data = x->has_data;
	o->streaming = streaming(s, h);
	if (o->streaming || x->pg != FSM_PG_STANDBY || !x->apart_since)
		x->apart_since = s->now;
	o->apart_ms = s->now - x->apart_since;
	if (x->pg == FSM_PG_RW)
		x->was_up = true;
	o->contact_age_ms = s->now - x->contact_sent;
	o->lease_left_ms =
	    x->lease_until == LEASE_NONE ? FSM_NEVER : x->lease_until - s->now;
	o->vouched_age_ms = s->now - x->vouched_at;
	o->partition_ms = 20000;
	o->down_age_ms = x->pg_down_since ? s->now - x->pg_down_since : 0;
	o->working = x->act.on;
	o->act = x->act.act;
	o->act_goal = x->act.to;
	o->retry_in_ms = x->retry_at > s->now ? x->retry_at - s->now : 0;
}

static void
begin(struct sim *s, int h, const struct keeper_step *st)
{
	struct sim_host *x = &s->host[h];

	if (st->act == FSM_ACT_FOLLOW) { /* it is going to hold more than it told */
		x->k.promise_term = x->k.promise_tli = 0;
		x->k.promise_lsn = 0;
		x->disk = x->k;
	}
	memset(&x->act, 0, sizeof x->act);
	x->act.on = true;
	x->act.act = st->act;
	x->act.to = st->to;
	x->act.seq = x->k.goal_seq;
	x->act.term = x->k.term;
	x->act.planned = x->k.planned;
	x->act.upstream = x->upstream_id;
	x->act.target = x->target_lsn;
	x->act.config = x->wanted;
	x->act.next_at = s->now + sim_between(s, 1, 6);
	x->act.deadline = s->now + 30000;
	sim_log(s, "host %d: %s, from %s to %s (%s)", h, fsm_act_name(st->act),
	    fsm_state_name(x->k.current), fsm_state_name(st->to), st->why ? st->why : "");
}

static void
move(struct sim *s, int h, enum fsm_state to)
{
	struct sim_host *x = &s->host[h];

	if (x->k.current != to) {
		size_t used = strlen(s->way[h]);

		sim_log(s, "host %d: is %s", h, fsm_state_name(to));
		snprintf(s->way[h] + used, sizeof s->way[h] - used, "%s%s",
		    used ? " " : "", fsm_state_name(to));
	}
	x->k.current = to;
	x->k.fails = 0;
	x->disk = x->k;
	x->report_due = s->now;
}

static void
run_act(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (!x->act.on || s->now < x->act.next_at)
		return;
	/* a worker that dies: the k-th outside call fails */
	if (!s->calm && sim_chance(s, s->now < x->failing_until ? 30 : 1)) {
		x->act.on = false;
		x->retry_at = s->now + 100;
		x->k.fails++;
		return;
	}
	switch (simact_run(s, h)) {
	case SIM_AGAIN:
		break;
	case SIM_DONE:
		x->act.on = false;
		x->retry_at = 0;
		move(s, h, x->act.to);
		break;
	case SIM_FAILED:
		x->act.on = false;
		x->k.fails++;
		x->retry_at = s->now + keeper_backoff_ms(x->k.fails);
		x->report_due = s->now;
		break;
	}
}

/* No more bytes than needed: a copy is only given up for another one's. */
static bool
is_waste(const struct sim_host *x)
{
	const struct fsm_edge *e = fsm_edge(x->k.current, x->k.goal);

	return x->act.act == FSM_ACT_FOLLOW && x->act.phase == 3 &&
	       x->act.upstream == x->upstream_id && e && e->act == FSM_ACT_FOLLOW;
}

static void
decide(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	struct keeper_obs o;
	struct keeper_step st;

	for (int round = 0; round < 4; round++) {
		observe(s, h, &o);
		memset(&st, 0, sizeof st);
		keeper_step(&x->k, &o, &st);
		switch (st.what) {
		case KEEPER_WAIT:
			if (!st.why && !x->act.on && x->k.current == x->k.goal)
				x->k.fails = 0;
			return;
		case KEEPER_BEGIN:
			if (x->act.on)
				sim_fail(s, "host %d: a second act is begun", h);
			begin(s, h, &st);
			return;
		case KEEPER_ABORT:
			sim_log(s, "host %d: %s is given up (%s)", h,
			    fsm_act_name(x->act.act), st.why ? st.why : "");
			if (is_waste(x))
				sim_fail(s,
				    "COPY: host %d gives up a copy of node %lld that it "
				    "needs again",
				    h, (long long)x->act.upstream);
			x->act.on = false;
			break;
		case KEEPER_MOVE:
			move(s, h, st.to);
			break;
		case KEEPER_EXIT:
			x->keeper_up = false;
			s->heal_at[h] = s->now + 3000; /* it is created again */
			sim_log(s, "host %d: keeper leaves", h);
			return;
		}
	}
}

static void
ping(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	int w = sim_host_of(s, x->upstream_id);

	x->ping_at = s->now + REPORT_MS;
	if (w < 0 || w == h) {
		x->heard = FSM_WITNESS_NONE;
		return;
	}
	enum fsm_witness before = x->heard;
	if (!sim_linked(s, h, w))
		x->heard = s->now - x->heard_at > 1000 ? FSM_WITNESS_SILENT : x->heard;
	else if (s->host[w].pg == FSM_PG_DOWN)
		x->heard = FSM_WITNESS_REFUSED;
	else if (s->host[w].pg == FSM_PG_STARTING)
		x->heard = FSM_WITNESS_REJECT;
	else {
		x->heard = FSM_WITNESS_OK;
		x->heard_at = s->now;
	}
	if (before != x->heard)
		x->report_due = s->now;
}

static uint64_t
told(const struct sim_host *x, bool st, int64_t attached)
{
	uint64_t v[] = { (uint64_t)x->k.current, (uint64_t)x->k.goal_seq, (uint64_t)x->pg,
		(uint64_t)x->k.promise_term, (uint64_t)x->k.stopped_term,
		(uint64_t)x->k.applied_gen, (uint64_t)x->k.lease_gen, st,
		(uint64_t)attached, (uint64_t)x->heard };
	uint64_t sum = 1469598103934665603u;

	for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
		sum = (sum ^ v[i]) * 1099511628211u;
	return sum;
}

static void
report(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	int64_t attached = 0;

	if (x->report_flying && s->now - x->report_sent > 2000)
		x->report_flying = false;
	for (int i = 0; i < s->nhosts; i++)
		if (x->walsender[i])
			attached |= INT64_C(1) << i;
	bool st = streaming(s, h);
	uint64_t sum = told(x, st, attached);
	if (x->report_flying || !x->k.node_id ||
	    (s->now < x->report_due && sum == x->last_told))
		return;
	struct sim_message *m = sim_send(s, MSG_REPORT, h, SIM_MONITOR);
	x->report_due = s->now + REPORT_MS;
	x->report_sent = s->now;
	x->report_flying = true;
	x->last_told = sum;
	if (!m)
		return;
	m->sent = s->now;
	m->attached = attached;
	for (int i = 0; i < s->nhosts; i++)
		m->ack_age_ms[i] = s->now - x->replied_at[i];
	struct fsm_node *n = &m->report;
	memset(n, 0, sizeof *n);
	n->id = x->k.node_id;
	n->reported = x->k.current;
	n->seen_seq = x->k.goal_seq;
	n->pg = x->pg;
	struct keeper_obs o;
	observe(s, h, &o);
	n->pg_retrying = keeper_retrying(&x->k, &o);
	n->has_data = x->has_data;
	n->tli = wal_tli(&x->wal);
	if (x->k.current == FSM_STOP_REPLICATION && x->told_state != x->k.current &&
	    sim_chance(s, 20))
		n->tli = 0; /* it has not looked yet */
	n->lsn = x->pg == FSM_PG_DOWN && !x->k.final_lsn ? 0 : x->wal.end;
	n->promise_term = x->k.promise_term;
	n->promise_tli = x->k.promise_tli;
	n->promise_lsn = x->k.promise_lsn;
	n->stopped_term = x->k.stopped_term;
	n->final_lsn = x->k.final_lsn;
	n->applied_gen = x->k.applied_gen;
	n->lease_gen = x->k.lease_gen;
	n->upstream_id = x->conf_upstream;
	n->streaming = st;
	n->heard = x->heard;
	n->heard_age_ms = s->now - x->heard_at;
	n->fails = x->k.fails;
}

void
simkeeper_reply(struct sim *s, const struct sim_message *m)
{
	struct sim_host *x = &s->host[m->to];

	if (!x->keeper_up)
		return;
	x->report_flying = false;
	if (m->term < x->k.term)
		return; /* it was overtaken by a newer one */
	x->have_reply = true;
	x->told_state = m->report.reported;
	if (x->k.goal_seq != m->goal_seq) {
		x->report_due = s->now;
		x->retry_at = 0;
		x->k.fails = 0;
	}
	x->k.goal = m->goal;
	x->k.goal_seq = m->goal_seq;
	x->k.term = m->term;
	x->k.planned = m->planned;
	x->k.wanted_gen = m->config.gen;
	x->k.contact = true;
	x->wanted = m->config;
	x->upstream_id = m->upstream;
	x->target_lsn = m->target;
	x->contact_sent = m->sent;
	if (m->lease_ms != 0 && x->k.lease_gen != m->lease_gen) {
		x->k.lease_gen = m->lease_gen;
		x->report_due = s->now;
	}
	if (m->lease_ms < 0)
		x->lease_until = LEASE_NONE;
	else if (m->lease_ms > 0)
		x->lease_until = m->sent + m->lease_ms;
	x->disk = x->k;
}

void
simkeeper_step(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	/* the second process of a keeper watches the lease when the first is gone */
	if (!x->keeper_up && x->powered && x->pg != FSM_PG_DOWN &&
	    s->now >= x->lease_until) {
		sim_log(s, "host %d: the lease is over, postgres is stopped", h);
		simpg_crash(s, h);
	}
	if (!x->keeper_up || !x->powered)
		return;
	if (!x->k.node_id) {
		if (s->now >= x->report_due) {
			sim_send(s, MSG_REGISTER, h, SIM_MONITOR);
			x->report_due = s->now + 1000;
		}
		return;
	}
	if (s->now >= x->ping_at)
		ping(s, h);
	run_act(s, h);
	if (s->now < x->look_at)
		return;
	x->look_at = s->now + LOOK_MS; /* a process is not woken at once */
	decide(s, h);
	if (x->keeper_up)
		report(s, h);
}
