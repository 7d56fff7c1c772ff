/* Simulated acts: what a worker process does to its host, cut where a crash can cut it.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

static enum sim_result
wait_ms(struct sim *s, struct sim_host *x, int64_t low, int64_t high)
{
	x->act.next_at =
	    s->now + sim_between(s, low, high) * (s->now < x->slow_until ? 10 : 1);
	return SIM_AGAIN;
}

/* Start in place and wait; SIM_DONE when it runs. */
static enum sim_result
running(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->pg == FSM_PG_DOWN)
		simpg_start(s, h);
	if (x->pg == FSM_PG_DOWN)
		return SIM_FAILED;
	if (x->pg == FSM_PG_STARTING)
		return wait_ms(s, x, 10, 30);
	return SIM_DONE;
}

/* Let go of the upstream, verified; the promise is durable before anything follows. */
static enum sim_result
promise(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	x->conf_upstream = 0;
	simpg_detach(s, h);
	x->k.promise_term = x->act.term;
	x->k.promise_tli = wal_tli(&x->wal);
	x->k.promise_lsn = x->wal.end;
	x->disk = x->k;
	return SIM_DONE;
}

static enum sim_result
act_init(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (!x->has_data) {
		x->has_data = true;
		x->guarded = false;
		memset(&x->wal, 0, sizeof x->wal);
		x->wal.n = 1;
		x->wal.seg[0].uid = ++s->next_uid;
		x->wal.seg[0].tli = 1;
		x->wal.end = 1000;
		return wait_ms(s, x, 200, 800);
	}
	enum sim_result r = running(s, h);
	if (r != SIM_DONE)
		return r;
	simpg_names(s, h, &x->act.config);
	x->k.applied_gen = x->act.config.gen;
	return SIM_DONE;
}

/* Names in force, then confirmed: fsm.md 5.6. */
static enum sim_result
act_sync(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r;

	switch (x->act.phase) {
	case 0:
		if (x->guarded && x->pg != FSM_PG_RW)
			return SIM_FAILED; /* not a writer any more: nobody may make it
					      one here */
		if ((r = running(s, h)) != SIM_DONE)
			return r;
		if (x->pg != FSM_PG_RW)
			return SIM_FAILED;
		x->act.phase = 1;
		return wait_ms(s, x, 3, 60);
	case 1:
		simpg_names(s, h, &x->act.config);
		x->act.lsn = x->wal.end;
		x->act.phase = 2;
		return wait_ms(s, x, 5, 120); /* two checkpoints */
	default:
		if (x->pg != FSM_PG_RW)
			return SIM_FAILED;
		if (simpg_confirmed(s, h, &x->act.config, x->act.lsn) < x->act.config.k)
			return wait_ms(s, x, 10, 50);
		x->k.applied_gen = x->act.config.gen;
		return SIM_DONE;
	}
}

/* The names are in force from the first commit; who confirms them comes back only now. */
static enum sim_result
act_resume(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r;

	if (x->act.phase == 0 && x->pg == FSM_PG_STANDBY)
		simpg_stop(s, h, true);
	if (x->act.phase == 0 && x->pg == FSM_PG_DOWN) {
		x->guarded = false;
		simpg_names(s, h, &x->act.config);
	}
	x->act.phase = 1;
	if ((r = running(s, h)) != SIM_DONE)
		return r;
	x->door_closed = false;
	return x->pg == FSM_PG_RW ? SIM_DONE : SIM_FAILED;
}

/* End recovery: with the door closed, or open at once (to single). */
static enum sim_result
promote(struct sim *s, int h, bool closed)
{
	struct sim_host *x = &s->host[h];

	if (x->pg == FSM_PG_STANDBY) {
		x->door_closed = closed;
		simpg_names(s, h, &x->act.config);
		wal_fork(s, &x->wal);
		x->pg = FSM_PG_RW;
		x->incarnation++; /* who followed it as a standby connects anew */
		x->guarded = false;
		memset(x->ack, 0, sizeof x->ack);
		for (int i = 0; i < s->nhosts; i++)
			x->walsender[i] = false;
		sim_log(s, "host %d: promoted to timeline %d%s", h, wal_tli(&x->wal),
		    closed ? ", door closed" : "");
	}
	if (!closed) {
		x->door_closed = false;
		if (x->act.config.k == 0)
			x->k.applied_gen = x->act.config.gen;
	}
	return SIM_DONE;
}

static enum sim_result
act_promote(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r = running(s, h);

	if (r != SIM_DONE)
		return r;
	if (x->act.phase == 0) {
		promise(s, h);
		x->act.phase = 1;
		return wait_ms(s, x, 30, 150);
	}
	return promote(s, h, false);
}

static enum sim_result
act_closed(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r = running(s, h);

	if (r != SIM_DONE)
		return r;
	if (x->pg == FSM_PG_RW && !x->door_closed && x->act.phase < 2) {
		x->door_closed =
		    true; /* promoted before a crash; the door file survived */
		return SIM_DONE;
	}
	switch (x->act.phase) {
	case 0:
		if (x->act.planned && x->wal.end < x->act.target) {
			if (x->act.lsn != x->wal.end) {
				x->act.lsn = x->wal.end;
				x->act.still_until = s->now + 1000;
			}
			return s->now < x->act.still_until ? wait_ms(s, x, 5, 20)
							   : SIM_FAILED;
		}
		x->act.phase = 1;
		return wait_ms(s, x, 5, 15);
	case 1:
		if (x->pg == FSM_PG_STANDBY)
			promise(s, h);
		x->act.phase = 2;
		return wait_ms(s, x, 40, 150);
	default:
		return promote(s, h, true);
	}
}

static enum sim_result
act_open(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r = running(s, h);

	if (r != SIM_DONE)
		return r;
	if (x->pg != FSM_PG_RW)
		return SIM_FAILED;
	if (x->act.phase == 0) {
		x->door_closed = true;
		simpg_names(s, h, &x->act.config);
		x->act.phase = 1;
		return wait_ms(s, x, 10, 40);
	}
	x->door_closed = false;
	x->k.applied_gen = x->act.config.gen;
	return SIM_DONE;
}

static enum sim_result
act_stop(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	switch (x->act.phase) {
	case 0:
		x->act.phase = 1;
		if (x->act.planned && x->pg == FSM_PG_RW)
			return wait_ms(s, x, 10, 200); /* checkpoint, writes go on */
		return wait_ms(s, x, 1, 5);
	case 1:
		if (x->has_data)
			x->guarded = true;
		x->act.phase = 2;
		return wait_ms(s, x, 5, 60);
	default:
		if (x->pg == FSM_PG_STARTING)
			return wait_ms(s, x, 10, 30);
		simpg_stop(s, h, true);
		x->k.stopped_term = x->act.term;
		x->k.final_lsn = x->final;
		return SIM_DONE;
	}
}

static enum sim_result
act_fence(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->has_data)
		x->guarded = true;
	if (x->pg != FSM_PG_DOWN)
		simpg_crash(s, h);
	x->k.stopped_term = x->k.term;
	x->k.final_lsn = 0;
	return SIM_DONE;
}

/* Copy or rewind: afterwards it holds what the upstream held. */
static void
take_all(struct sim *s, int h, int u)
{
	s->host[h].wal = s->host[u].wal;
	s->host[h].has_data = true;
	s->host[h].clean = true;
	s->host[h].final = 0;
}

/* The ladder: follow, rewind, copy; nothing is touched while the upstream is out of
 * reach. */
static enum sim_result
act_follow(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	int u = sim_host_of(s, x->act.upstream);
	bool there =
	    u >= 0 && u != h && sim_linked(s, h, u) && s->host[u].pg == FSM_PG_RW;

	switch (x->act.phase) {
	case 0:
		if (!there)
			return SIM_FAILED;
		if (!x->has_data) {
			x->act.phase = 3;
			s->copies++;
			return wait_ms(s, x, 500, 3000);
		}
		if (x->pg == FSM_PG_STARTING)
			return wait_ms(s, x, 10, 30);
		x->guarded = true;
		if (x->pg == FSM_PG_RW)
			simpg_stop(s, h, true);
		if (wal_common(&x->wal, &s->host[u].wal) < x->wal.end) {
			simpg_stop(s, h, true);
			s->copies++;
			x->k.rewinding = true;
			x->disk = x->k;
			x->act.phase = 3;
			return wait_ms(s, x, 200, 1500);
		}
		x->act.phase = 1;
		return wait_ms(s, x, 2, 10);
	case 3:
		if (!there)
			return SIM_FAILED;
		take_all(s, h, u);
		s->copies_ended++;
		x->guarded = true;
		x->k.rewinding = false;
		x->disk = x->k;
		x->act.phase = 1;
		return wait_ms(s, x, 2, 10);
	case 1:
		x->conf_upstream = x->act.upstream;
		x->stream_retry_at = s->now;
		x->act.phase = 2;
		__attribute__((fallthrough));
	default:
		if (running(s, h) == SIM_FAILED)
			return SIM_FAILED;
		if (there && x->pg == FSM_PG_STANDBY &&
		    wal_common(&x->wal, &s->host[u].wal) < x->wal.end) {
			x->act.phase = 0;
			return wait_ms(s, x, 10, 40);
		}
		x->door_closed = false;
		if (x->pg == FSM_PG_STANDBY && x->act.to == FSM_CATCHINGUP)
			return SIM_DONE;
		if (x->stream_from == u && there &&
		    wal_uid(&x->wal) == wal_uid(&s->host[u].wal))
			return SIM_DONE;
		return wait_ms(s, x, 10, 40);
	}
}

static enum sim_result
act_detach(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r;

	if (x->act.phase == 0) {
		if (x->pg == FSM_PG_RW) { /* a former writer steps back to a standby */
			x->guarded = true;
			simpg_stop(s, h, true);
		}
		x->guarded = x->has_data;
		x->conf_upstream = 0;
		x->act.phase = 1;
		return wait_ms(s, x, 5, 30);
	}
	if ((r = running(s, h)) != SIM_DONE)
		return r;
	return promise(s, h);
}

static enum sim_result
act_fetch(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r = running(s, h);

	if (r != SIM_DONE)
		return r;
	if (x->act.phase == 0) {
		x->conf_upstream = x->act.upstream;
		x->stream_retry_at = s->now;
		x->act.phase = 1;
	}
	if (x->wal.end < x->act.target)
		return wait_ms(s, x, 5, 30);
	return promise(s, h);
}

static enum sim_result
act_prepare(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	enum sim_result r = running(s, h);

	if (r != SIM_DONE)
		return r;
	if (x->pg != FSM_PG_STANDBY)
		return SIM_FAILED;
	if (x->act.planned)
		return SIM_DONE;
	if (x->act.phase == 0) {
		x->act.phase = 1;
		return wait_ms(s, x, 5, 60);
	}
	return promise(s, h);
}

enum sim_result
simact_run(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (s->now > x->act.deadline)
		return SIM_FAILED;
	switch (x->act.act) {
	case FSM_ACT_INIT:
		return act_init(s, h);
	case FSM_ACT_SYNC:
		return act_sync(s, h);
	case FSM_ACT_RESUME:
		return act_resume(s, h);
	case FSM_ACT_PROMOTE:
		return act_promote(s, h);
	case FSM_ACT_OPEN:
		return act_open(s, h);
	case FSM_ACT_DROP:
		if (x->pg == FSM_PG_STANDBY && x->act.phase == 0)
			promise(s, h);
		return act_stop(s, h);
	case FSM_ACT_STOP:
		return act_stop(s, h);
	case FSM_ACT_FENCE:
		return act_fence(s, h);
	case FSM_ACT_FOLLOW:
		return act_follow(s, h);
	case FSM_ACT_PREPARE:
		return act_prepare(s, h);
	case FSM_ACT_CLOSED:
		return act_closed(s, h);
	case FSM_ACT_DETACH:
		return act_detach(s, h);
	case FSM_ACT_FETCH:
		return act_fetch(s, h);
	case FSM_ACT_START:
		return running(s, h);
	case FSM_ACT_NOTHING:
	case FSM_ACT_RELEASE:
	case FSM_ACT_COUNT:
		break;
	}
	return SIM_DONE;
}
