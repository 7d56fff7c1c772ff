/* The checker's keeper: the real keeper_step(), and acts that can be cut short anywhere.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "cmd/model.h"

#include "ini/ban.h"

#define LONG_MS 3600000

bool
m_connected(const struct m_world *w, int i)
{
	return !w->monitor_down && w->h[i].up && w->h[i].keeper && !(w->cut >> i & 1);
}

/* Has it a reason to think that it is cut off: no monitor, and no standby of ours? */
bool
m_alone(const struct m_world *w, int i)
{
	if (m_connected(w, i))
		return false;
	for (int q = 0; q < m_run.nodes; q++)
		if (q != i && m_streams(w, q, i))
			return false;
	return true;
}

void
m_keeper(const struct m_world *w, int i, struct keeper *k)
{
	const struct m_host *h = &w->h[i];

	memset(k, 0, sizeof *k);
	k->node_id = i + 1;
	k->current = h->current;
	k->goal = h->goal;
	k->goal_seq = h->seq;
	k->term = h->term;
	k->promise_term = h->promise_term;
	k->promise_tli = h->promise_tli;
	k->promise_lsn = h->promise_lsn;
	k->stopped_term = h->stopped_term;
	k->final_lsn = h->final_lsn;
	k->applied_gen = h->applied;
	k->lease_gen = h->lease_gen;
	k->rewinding = h->rewinding;
	k->wanted_gen = h->reply.config.gen;
	k->planned = h->reply.planned;
	k->contact = h->contact;
}

/* Did what the act began with change under it? As in cmd/node_report.c. */
static bool
is_stale(const struct m_host *h)
{
	const struct m_order *was = &h->job;
	const struct m_order *is = &h->reply;

	if (!h->replied)
		return false;
	switch (h->act) {
	case FSM_ACT_FOLLOW:
		return was->upstream != is->upstream;
	case FSM_ACT_FETCH:
		return was->upstream != is->upstream || was->target != is->target;
	case FSM_ACT_CLOSED:
		return was->target != is->target || was->planned != is->planned;
	case FSM_ACT_SYNC:
		return was->config.gen != is->config.gen;
	default:
		return false;
	}
}

static bool
is_streaming(const struct m_world *w, int i)
{
	const struct m_host *h = &w->h[i];

	return h->replied && h->upstream != 0 && h->upstream == h->reply.upstream &&
	       m_streams(w, i, h->upstream - 1) &&
	       w->line[h->line].tli >= h->reply.upstream_tli;
}

static enum fsm_pg
seen_pg(const struct m_host *h)
{
	return h->pg == M_PG_DOWN      ? FSM_PG_DOWN
	       : h->pg == M_PG_STANDBY ? FSM_PG_STANDBY
				       : FSM_PG_RW;
}

void
m_observe(const struct m_world *w, int i, bool alone, struct keeper_obs *o)
{
	const struct m_host *h = &w->h[i];
	int u = h->reply.upstream - 1;

	memset(o, 0, sizeof *o);
	o->pg = seen_pg(h);
	o->pid_alive = h->pg != M_PG_DOWN;
	o->was_up = h->was_up;
	o->has_data = h->data;
	o->sync = h->pg != M_PG_DOWN && h->conf.k > 0;
	o->streaming = is_streaming(w, i);
	o->apart_ms = o->streaming ? 0 : LONG_MS;
	o->heard = u >= 0 && u != i && m_linked(w, i, u) && w->h[u].pg != M_PG_DOWN
		       ? FSM_WITNESS_OK
		       : FSM_WITNESS_SILENT;
	o->has_upstream = h->replied && u >= 0 && u != i;
	o->upstream_ok = h->pg != M_PG_STANDBY ||
			 (o->has_upstream && h->upstream == h->reply.upstream);
	o->told = h->told;
	o->contact_age_ms = alone ? LONG_MS : 0;
	o->vouched_age_ms = alone ? LONG_MS : 0;
	o->lease_left_ms = h->lease == M_LEASE_UNLIMITED ? FSM_NEVER
			   : h->lease == M_LEASE_HELD    ? 10000
							 : 0;
	o->partition_ms = 20000;
	o->grace_ms = 3000;
	o->working = h->act != FSM_ACT_NOTHING;
	o->act = h->act;
	o->act_goal = h->to;
	o->act_stale = is_stale(h);
	o->act_final = h->final;
}

/* -- acts, step by step: whatever lies between two steps can be cut short there -- */

static void
end_act(struct m_host *h)
{
	h->act = FSM_ACT_NOTHING;
	h->to = h->stage = h->final = 0;
	memset(&h->job, 0, sizeof h->job);
}

static enum m_progress
reach(struct m_host *h)
{
	if (h->to == FSM_DEMOTE_TIMEOUT && h->goal != h->to &&
	    !(fsm_state_flags(h->goal) & ST_DOWN))
		h->goal = h->to;
	if (h->current != h->to)
		h->told = 0;
	h->current = h->to;
	h->fails = 0;
	end_act(h);
	return M_STEPPED;
}

static enum m_progress
next(struct m_host *h)
{
	h->stage++;
	return M_STEPPED;
}

static void
promise(struct m_world *w, struct m_host *h)
{
	h->promise_term = h->job.term;
	h->promise_tli = w->line[h->line].tli;
	h->promise_lsn = h->lsn;
}

static bool
is_writable(const struct m_world *w, int u)
{
	return u >= 0 && w->h[u].pg == M_PG_RW;
}

static enum m_progress
init(struct m_world *w, struct m_host *h)
{
	if (h->stage == 1) {
		h->applied = h->job.config.gen;
		return reach(h);
	}
	if (!h->data) {
		h->data = 1;
		h->line = 1;
		h->lsn = 1;
		w->line[1].tli = 1;
	}
	h->pg = M_PG_RW;
	return next(h);
}

/* Names are granted with a generation; it counts as applied when commits obey them. */
static enum m_progress
confirm(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	int count = 0;

	if (h->job.config.names.k > 0) {
		if (memcmp(&h->force, &h->conf, sizeof h->conf) != 0)
			return M_BLOCKED;
		for (int q = 0; q < m_run.nodes; q++)
			count += q != i && h->conf.set >> q & 1 && m_streams(w, q, i) &&
				 w->h[q].line == h->line && w->h[q].lsn == h->lsn;
		if (count < h->conf.k)
			return M_BLOCKED;
		m_confirmed(w, i);
	}
	h->applied = h->job.config.gen;
	return M_STEPPED;
}

/* The names in the file are in force when a fresh session sees them and two checkpoints
 * are done: nobody waits for that while the door is closed. */
static enum m_progress
sync_names(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->pg != M_PG_RW)
		return M_FAILED;
	if (h->stage == 0) {
		h->conf = h->job.config.names;
		return next(h);
	}
	return confirm(w, i) == M_STEPPED ? reach(h) : M_BLOCKED;
}

static void
start_alone(struct m_world *w, int i)
{
	w->h[i].guard_file = 1;
	w->h[i].upstream = 0;
	m_boot(w, i);
}

static enum m_progress
open_door(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->pg != M_PG_RW)
		return M_FAILED;
	switch (h->stage) {
	case 0:
		h->conf = h->job.config.names;
		return next(h);
	case 1:
		if (h->conf.k > 0 && memcmp(&h->force, &h->conf, sizeof h->conf) != 0)
			return M_BLOCKED;
		return next(h);
	case 2:
		m_check_history(w, i, "opens");
		h->closed = 0;
		return next(h);
	default:
		if (h->conf.k == 0)
			confirm(w, i);
		return reach(h);
	}
}

static enum m_progress
resume(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	switch (h->stage) {
	case 0:
		if (h->pg == M_PG_STANDBY)
			m_crash(h);
		else if (h->pg == M_PG_RW)
			h->stage = 3;
		return next(h);
	case 1:
		h->conf = h->job.config.names;
		return next(h);
	case 2:
		if (!h->recovery)
			h->guard_file = h->upstream = 0;
		return next(h);
	case 3:
		if (h->recovery && h->pg == M_PG_DOWN) {
			start_alone(w, i);
			return M_STEPPED;
		}
		if (h->pg == M_PG_DOWN)
			m_boot(w, i);
		else if (h->pg == M_PG_STANDBY)
			m_promote(w, i);
		return next(h);
	default:
		if (h->pg != M_PG_RW)
			return M_FAILED;
		m_check_history(w, i, "resumes");
		h->closed = 0;
		return reach(h);
	}
}

static enum m_progress
promote(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->pg == M_PG_DOWN) {
		if (h->stage > 0)
			return M_FAILED;
		start_alone(w, i);
		return M_STEPPED;
	}
	switch (h->stage) {
	case 0:
		h->conf = h->job.config.names;
		return next(h);
	case 1:
		h->final = 1;
		if (h->pg == M_PG_STANDBY)
			m_promote(w, i);
		return next(h);
	default:
		h->closed = 0;
		if (h->conf.k == 0)
			confirm(w, i);
		return reach(h);
	}
}

static enum m_progress
stop(struct m_world *w, int i, int variant)
{
	struct m_host *h = &w->h[i];

	switch (h->stage) {
	case 0:
		h->guard_file = h->data;
		return next(h);
	case 1:
		m_stop(w, i, variant == 0);
		return next(h);
	default:
		h->stopped_term = h->job.term;
		h->final_lsn = h->clean ? h->lsn : 0;
		return reach(h);
	}
}

static enum m_progress
fence(struct m_host *h)
{
	switch (h->stage) {
	case 0:
		if (h->pg != M_PG_DOWN)
			m_crash(h);
		return next(h);
	case 1:
		h->guard_file = h->data;
		return next(h);
	default:
		h->stopped_term = h->job.term;
		h->final_lsn = 0;
		return reach(h);
	}
}

static enum m_progress
release(struct m_host *h)
{
	if (h->pg == M_PG_DOWN && h->data) {
		h->guard_file = 1;
		h->upstream = 0;
	}
	return reach(h);
}

/* Bring it to run as a standby. M_BLOCKED: it does. */
static enum m_progress
run_as_standby(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->rewinding)
		return M_FAILED;
	if (h->pg == M_PG_RW) {
		m_stop(w, i, true);
		return M_STEPPED;
	}
	if (h->pg == M_PG_DOWN) {
		m_boot(w, i);
		return M_STEPPED;
	}
	return M_BLOCKED;
}

/* Everything becomes as it is at the source, its settings too: a copy or a rewind. */
static void
copy_from(struct m_world *w, struct m_host *h, int u)
{
	h->data = 1;
	h->line = w->h[u].line;
	h->lsn = w->h[u].lsn;
	h->conf = w->h[u].conf;
	h->guard_file = 1;
	h->recovery = 1;
	h->closed = 0;
	h->clean = 0;
	h->rewinding = 0;
}

static enum m_progress
follow(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	int u = h->job.upstream - 1;
	bool linked = u >= 0 && m_linked(w, i, u) && w->h[u].pg != M_PG_DOWN;

	if (u < 0)
		return M_FAILED;
	if (h->stage == 0) {
		h->guard_file = h->data;
		h->upstream = h->job.upstream;
		return next(h);
	}
	if (!h->data || h->rewinding) {
		if (!linked || !is_writable(w, u))
			return M_BLOCKED;
		copy_from(w, h, u);
		h->upstream = h->job.upstream;
		return M_STEPPED;
	}
	if (linked && is_writable(w, u) && !m_fits(w, i, u)) {
		h->pg = M_PG_DOWN;
		h->rewinding = 1;
		return M_STEPPED;
	}
	if (run_as_standby(w, i) == M_STEPPED)
		return M_STEPPED;
	if (h->to == FSM_SECONDARY && !(m_streams(w, i, u) && h->line == w->h[u].line))
		return M_BLOCKED;
	return reach(h);
}

static enum m_progress
let_go(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	switch (h->stage) {
	case 0:
		if (h->rewinding || !h->data)
			return M_FAILED;
		h->guard_file = 1;
		h->upstream = 0;
		return next(h);
	case 1:
		return run_as_standby(w, i) == M_STEPPED ? M_STEPPED : next(h);
	case 2:
		if (h->pg != M_PG_STANDBY)
			return M_FAILED;
		promise(w, h);
		return next(h);
	default:
		return reach(h);
	}
}

static enum m_progress
prepare(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (!h->job.planned)
		return let_go(w, i);
	if (h->pg == M_PG_DOWN) {
		m_boot(w, i);
		return M_STEPPED;
	}
	return reach(h);
}

static enum m_progress
promote_closed(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->pg == M_PG_DOWN) {
		if (h->rewinding || h->stage > 0)
			return M_FAILED;
		start_alone(w, i);
		return M_STEPPED;
	}
	if (h->stage < 3 && h->pg == M_PG_RW)
		h->stage = 3; /* by an earlier attempt */
	switch (h->stage) {
	case 0:
		if (h->job.planned && h->lsn < h->job.target)
			return M_BLOCKED;
		h->upstream = 0;
		return next(h);
	case 1:
		promise(w, h);
		return next(h);
	case 2:
		return next(h);
	case 3:
		h->closed = 1;
		return next(h);
	case 4:
		h->final = 1;
		if (h->pg == M_PG_STANDBY)
			m_promote(w, i);
		return next(h);
	default:
		return reach(h);
	}
}

static enum m_progress
fetch(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	if (h->stage > 0 && h->pg != M_PG_STANDBY)
		return M_FAILED;
	switch (h->stage) {
	case 0:
		h->guard_file = 1;
		h->upstream = h->job.upstream;
		return run_as_standby(w, i) == M_STEPPED ? M_STEPPED : next(h);
	case 1:
		if (h->lsn < h->job.target)
			return M_BLOCKED;
		h->upstream = 0;
		return next(h);
	case 2:
		promise(w, h);
		return next(h);
	default:
		return reach(h);
	}
}

static enum m_progress
start(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	unsigned flags = fsm_state_flags(h->to);

	if (h->pg != M_PG_DOWN)
		return reach(h);
	if (h->stage == 0) {
		if (flags & ST_STANDBY)
			h->guard_file = 1;
		if (h->to == FSM_REPORT_LSN)
			h->upstream = 0;
		if (flags & ST_RW && !h->recovery)
			h->guard_file = 0;
		return next(h);
	}
	m_boot(w, i);
	return M_STEPPED;
}

static enum m_progress
step(struct m_world *w, int i, int variant)
{
	struct m_host *h = &w->h[i];

	switch (h->act) {
	case FSM_ACT_INIT:
		return init(w, h);
	case FSM_ACT_SYNC:
		return sync_names(w, i);
	case FSM_ACT_RESUME:
		return resume(w, i);
	case FSM_ACT_PROMOTE:
		return promote(w, i);
	case FSM_ACT_OPEN:
		return open_door(w, i);
	case FSM_ACT_STOP:
		return stop(w, i, variant);
	case FSM_ACT_RELEASE:
		return release(h);
	case FSM_ACT_FOLLOW:
		return follow(w, i);
	case FSM_ACT_PREPARE:
		return prepare(w, i);
	case FSM_ACT_CLOSED:
		return promote_closed(w, i);
	case FSM_ACT_DETACH:
		return let_go(w, i);
	case FSM_ACT_FETCH:
		return fetch(w, i);
	case FSM_ACT_DROP:
		return stop(w, i, 0);
	case FSM_ACT_START:
		return start(w, i);
	case FSM_ACT_FENCE:
		return fence(h);
	default:
		return M_FAILED;
	}
}

/* One step of the act under way. */
enum m_progress
m_act(struct m_world *w, int i, int variant)
{
	struct m_host *h = &w->h[i];
	enum m_progress p;

	if (!h->keeper || h->act == FSM_ACT_NOTHING ||
	    (variant && h->act != FSM_ACT_STOP))
		return M_BLOCKED;
	p = step(w, i, variant);
	if (p == M_FAILED)
		end_act(h); /* it is tried again */
	return p;
}

/* What is waited for does not come: the attempt fails, time and again. */
bool
m_give_up(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	struct m_world probe = *w;

	if (!h->keeper || (h->act != FSM_ACT_CLOSED && h->act != FSM_ACT_FETCH) ||
	    m_act(&probe, i, 0))
		return false;
	end_act(h);
	h->fails = M_FAILS;
	return true;
}

/* What begins now may end what was true until now; as in cmd/node_work.c. */
static void
begin(struct m_host *h, const struct keeper_step *s)
{
	switch ((int)s->act) {
	case FSM_ACT_RESUME:
	case FSM_ACT_OPEN:
	case FSM_ACT_INIT:
	case FSM_ACT_PROMOTE:
	case FSM_ACT_CLOSED:
		h->stopped_term = h->final_lsn = 0;
		break;
	case FSM_ACT_START:
		if (fsm_state_flags(h->current) & ST_RW)
			h->stopped_term = h->final_lsn = 0;
		break;
	case FSM_ACT_FOLLOW:
		h->promise_term = h->promise_tli = h->promise_lsn = 0;
		break;
	case FSM_ACT_STOP:
	case FSM_ACT_FENCE:
		h->was_up = 0;
		break;
	default:
		break;
	}
	h->act = (uint8_t)s->act;
	h->to = (uint8_t)s->to;
	h->stage = h->final = 0;
	if (h->replied)
		h->job = h->reply;
	h->job.term = h->term;
}

/* The keeper looks at where it is; true when that changes anything. */
bool
m_tick(struct m_world *w, int i, bool alone)
{
	struct m_host *h = &w->h[i];
	struct keeper k;
	struct keeper_obs o;
	struct keeper_step s;

	if (!h->exists || !h->up || !h->keeper)
		return false;
	m_keeper(w, i, &k);
	m_observe(w, i, alone, &o);
	keeper_step(&k, &o, &s);
	switch (s.what) {
	case KEEPER_WAIT:
		return false;
	case KEEPER_BEGIN:
		begin(h, &s);
		return true;
	case KEEPER_ABORT:
		h->fails = 0;
		end_act(h);
		return true;
	case KEEPER_MOVE:
		h->to = (uint8_t)s.to;
		reach(h);
		return true;
	case KEEPER_EXIT:
		h->exists = 0;
		return true;
	}
	return false;
}

/* A keeper looks after everything that happens. */
void
m_ticks(struct m_world *w)
{
	for (int i = 0; i < m_run.nodes; i++)
		for (int n = 0; n < 8 && m_tick(w, i, false); n++)
			;
}
