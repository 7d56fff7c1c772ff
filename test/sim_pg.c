/* Simulated Postgres: WAL with lineage, starting, stopping, streaming, synchronous
 * commits. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

#define STREAM_MS 5000 /* wal_sender_timeout, wal_receiver_timeout */

int
wal_uid(const struct sim_wal *w)
{
	return w->n ? w->seg[w->n - 1].uid : 0;
}

int
wal_tli(const struct sim_wal *w)
{
	return w->n ? w->seg[w->n - 1].tli : 0;
}

static uint64_t
segment_end(const struct sim_wal *w, int i)
{
	return i + 1 < w->n ? w->seg[i + 1].start : w->end;
}

/* Does w hold the record that ends at lsn on lineage uid? */
bool
wal_has(const struct sim_wal *w, int uid, uint64_t lsn)
{
	for (int i = 0; i < w->n; i++)
		if (w->seg[i].uid == uid)
			return lsn <= segment_end(w, i) && lsn >= w->seg[i].start;
	return false;
}

/* The position up to which both hold the same records. */
uint64_t
wal_common(const struct sim_wal *a, const struct sim_wal *b)
{
	uint64_t at = 0;

	for (int i = 0; i < a->n && i < b->n; i++) {
		if (a->seg[i].uid != b->seg[i].uid)
			break;
		uint64_t ea = segment_end(a, i);
		uint64_t eb = segment_end(b, i);
		at = ea < eb ? ea : eb;
		if (ea != eb)
			break;
	}
	return at;
}

/* End of recovery: a new timeline begins where the WAL ends. */
void
wal_fork(struct sim *s, struct sim_wal *w)
{
	int tli = wal_tli(w) + 1;

	if (w->n == SIM_SEGMENTS) { /* forget the oldest */
		memmove(&w->seg[0], &w->seg[1], sizeof w->seg[0] * (SIM_SEGMENTS - 1));
		w->n--;
	}
	w->seg[w->n].uid = ++s->next_uid;
	w->seg[w->n].tli = tli;
	w->seg[w->n].start = w->end;
	w->n++;
	w->end += 64;
}

/* Take what `from` has up to lsn; only ever called when to is a prefix of it. */
static void
wal_take(struct sim_wal *to, const struct sim_wal *from, uint64_t lsn)
{
	if (lsn <= to->end && wal_uid(to) == wal_uid(from))
		return;
	*to = *from;
	if (lsn < to->end)
		to->end = lsn;
	while (to->n > 1 && to->seg[to->n - 1].start > to->end)
		to->n--;
}

static void
drop_streams_of(struct sim *s, int h)
{
	for (int i = 0; i < s->nhosts; i++)
		if (s->host[i].stream_from == h && sim_linked(s, h, i)) {
			s->host[i].stream_from = -1;
			s->host[i].stream_retry_at = s->now + sim_between(s, 5, 1000);
		}
	memset(s->host[h].walsender, 0, sizeof s->host[h].walsender);
	memset(s->host[h].ack, 0, sizeof s->host[h].ack);
}

void
simpg_start(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->pg != FSM_PG_DOWN || !x->has_data || !x->powered)
		return;
	x->pg = FSM_PG_STARTING;
	x->incarnation++;
	x->stream_from = -1;
	x->pg_ready_at = s->now + sim_between(s, 40, x->clean ? 200 : 1500);
	x->clean = false;
}

static void
down(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	drop_streams_of(s, h);
	simpg_detach(s, h);
	x->pg = FSM_PG_DOWN;
	x->incarnation++;
}

/* A fast stop of a writer ships everything, the shutdown record included. */
void
simpg_stop(struct sim *s, int h, bool fast)
{
	struct sim_host *x = &s->host[h];

	if (x->pg == FSM_PG_DOWN)
		return;
	if (fast && x->pg == FSM_PG_RW) {
		x->wal.end += 120;
		x->final = x->wal.end;
		x->clean = true;
		for (int i = 0; i < s->nhosts; i++)
			if (s->host[i].stream_from == h && x->walsender[i] &&
			    sim_linked(s, h, i))
				wal_take(&s->host[i].wal, &x->wal, x->wal.end);
	}
	down(s, h);
	x->clean = fast && x->clean;
}

void
simpg_crash(struct sim *s, int h)
{
	s->host[h].final = 0;
	s->host[h].clean = false;
	if (s->host[h].pg != FSM_PG_DOWN)
		down(s, h);
	s->host[h].clean = false;
}

/* The other end learns of it only when the links work. */
void
simpg_detach(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->stream_from >= 0 && sim_linked(s, h, x->stream_from))
		s->host[x->stream_from].walsender[h] = false;
	x->stream_from = -1;
}

/* Who was left behind a cut is missed when the links work again, or by its silence. */
static void
end_walsenders(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	for (int i = 0; i < s->nhosts; i++)
		if (x->walsender[i] && s->host[i].stream_from != h &&
		    (sim_linked(s, h, i) || s->now - x->replied_at[i] > STREAM_MS))
			x->walsender[i] = false;
}

/* New names are in force; with '' whoever waits is let go. */
void
simpg_names(struct sim *s, int h, const struct fsm_config *c)
{
	s->host[h].names = *c;
	sim_acks_check(s);
}

/* How many members of a configuration hold lsn, by the writer's walsenders. */
int
simpg_confirmed(const struct sim *s, int h, const struct fsm_config *c, uint64_t lsn)
{
	int count = 0;

	for (int i = 0; i < c->n; i++) {
		int m = sim_host_of(s, c->member[i]);
		if (m >= 0 && s->host[h].walsender[m] && s->host[h].ack[m] >= lsn)
			count++;
	}
	return count;
}

static void
try_attach(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	int u = sim_host_of(s, x->conf_upstream);

	x->stream_retry_at = s->now + sim_between(s, 50, 1000);
	if (u < 0 || u == h || !sim_linked(s, h, u))
		return;
	struct sim_host *up = &s->host[u];
	if (up->pg != FSM_PG_RW && up->pg != FSM_PG_STANDBY)
		return;
	if (wal_common(&x->wal, &up->wal) < x->wal.end)
		return; /* diverged, or ahead: `waiting` for ever */
	x->stream_from = u;
	x->stream_incarnation = up->incarnation;
	x->stream_heard_at = s->now;
	up->walsender[h] = true;
	up->replied_at[h] = s->now;
	up->ack[h] = 0;
	struct sim_message *m = sim_send(s, MSG_WAL, u, h);
	if (m) {
		m->incarnation = up->incarnation;
		m->lsn = up->wal.end;
	}
}

void
simpg_wal_arrives(struct sim *s, const struct sim_message *m)
{
	struct sim_host *x = &s->host[m->to];
	struct sim_host *up = &s->host[m->from];

	if (x->pg != FSM_PG_STANDBY || x->stream_from != m->from ||
	    x->stream_incarnation != m->incarnation)
		return;
	if (wal_common(&x->wal, &up->wal) < x->wal.end)
		return;
	wal_take(&x->wal, &up->wal, m->lsn);
	x->stream_heard_at = s->now;
	struct sim_message *a = sim_send(s, MSG_ACK, m->to, m->from);
	if (a) {
		a->incarnation = m->incarnation;
		a->lsn = x->wal.end;
	}
}

void
simpg_ack_arrives(struct sim *s, const struct sim_message *m)
{
	struct sim_host *x = &s->host[m->to];

	if (x->incarnation != m->incarnation || !x->walsender[m->from])
		return;
	x->replied_at[m->from] = s->now;
	if (m->lsn > x->ack[m->from])
		x->ack[m->from] = m->lsn;
	sim_acks_check(s);
}

/* What got lost on the way is sent again, as TCP does. */
static void
send_again(struct sim *s, int h, int u)
{
	struct sim_host *x = &s->host[h];

	if (x->wal.end >= s->host[u].wal.end || s->now < x->resend_at)
		return;
	x->resend_at = s->now + 200;
	struct sim_message *m = sim_send(s, MSG_WAL, u, h);
	if (m) {
		m->incarnation = s->host[u].incarnation;
		m->lsn = s->host[u].wal.end;
	}
}

/* What Postgres does by itself as time passes. */
void
simpg_step(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->pg == FSM_PG_STARTING && s->now >= x->pg_ready_at) {
		x->pg = x->guarded ? FSM_PG_STANDBY : FSM_PG_RW;
		x->stream_retry_at = s->now;
		if (x->pg == FSM_PG_RW)
			sim_log(s, "host %d: postgres is up, writable", h);
	}
	end_walsenders(s, h);
	if (x->pg != FSM_PG_STANDBY)
		return;
	if (x->stream_from >= 0) {
		int u = x->stream_from;
		bool gone = s->host[u].incarnation != x->stream_incarnation;
		if (x->conf_upstream == 0 || sim_host_of(s, x->conf_upstream) != u)
			simpg_detach(s, h);
		else if (sim_linked(s, h, u) && gone)
			simpg_detach(s, h);
		else if (!sim_linked(s, h, u) && s->now - x->stream_heard_at > STREAM_MS)
			simpg_detach(s, h);
		else if (sim_linked(s, h, u)) {
			x->stream_heard_at = s->host[u].replied_at[h] = s->now;
			send_again(s, h, u);
		}
	}
	if (x->stream_from < 0 && x->conf_upstream && s->now >= x->stream_retry_at)
		try_attach(s, h);
}

/* The oracle: what one acknowledgement may mean. */
static void
acknowledge(struct sim *s, int h, int uid, uint64_t lsn)
{
	struct sim_host *x = &s->host[h];

	if (!s->permitted && s->last_ack_uid &&
	    !wal_has(&x->wal, s->last_ack_uid, s->last_ack_lsn))
		sim_fail(s,
		    "ONEACK: host %d acknowledges on lineage %d without holding what was "
		    "acknowledged last on lineage %d",
		    h, uid, s->last_ack_uid);
	for (int i = 0; i < s->nhosts && !s->permitted; i++) {
		struct sim_host *o = &s->host[i];
		if (i != h && o->powered && o->pg == FSM_PG_RW && !o->door_closed &&
		    o->names.k == 0)
			sim_fail(s,
			    "ONEACK: host %d acknowledges while host %d could, too", h,
			    i);
	}
	if (s->last_ack_at && s->now - s->last_ack_at > s->worst_gap)
		s->worst_gap = s->now - s->last_ack_at;
	s->last_ack_at = s->now;
	s->acks_total++;
	if (x->names.k == 0 || s->permitted)
		return; /* an asynchronous era promises nothing beyond this host */
	s->last_ack_uid = uid;
	s->last_ack_lsn = lsn;
	if (s->nacked < (int)(sizeof s->acked / sizeof s->acked[0])) {
		s->acked[s->nacked].uid = uid;
		s->acked[s->nacked].lsn = lsn;
		s->nacked++;
	}
}

/* Who waits, is waited for no more, or is answered. */
void
sim_acks_check(struct sim *s)
{
	for (int c = 0; c < SIM_CLIENTS; c++) {
		struct sim_client *cl = &s->client[c];
		if (!cl->waiting)
			continue;
		struct sim_host *x = &s->host[cl->host];
		if (x->pg != FSM_PG_RW || x->incarnation != cl->incarnation) {
			cl->waiting = false; /* the connection broke: nobody knows */
			cl->next_at = s->now + 20;
		} else if (x->names.k == 0 || simpg_confirmed(s, cl->host, &x->names,
						  cl->lsn) >= x->names.k) {
			cl->waiting = false;
			cl->next_at = s->now + sim_between(s, 10, 60);
			acknowledge(s, cl->host, cl->uid, cl->lsn);
		}
	}
}

/* Whoever the monitor knows to be the writer shows everything that was acknowledged. (One
 * that it cannot reach, and that was replaced, shows what it has until it is stopped.) */
static void
client_reads(struct sim *s, int h)
{
	const struct fsm_node *n = fsm_node_peek(&s->group, s->group.writer);

	if (n && s->host[h].disk.node_id == n->id && !s->permitted && s->last_ack_uid &&
	    !wal_has(&s->host[h].wal, s->last_ack_uid, s->last_ack_lsn))
		sim_fail(s, "READ: host %d does not show what was acknowledged last", h);
}

/* A client writes wherever it is let in; each starts looking at another host. */
void
sim_client_step(struct sim *s, int c)
{
	struct sim_client *cl = &s->client[c];

	if (cl->waiting) {
		if (s->now - cl->since > 4000)
			cl->waiting =
			    false; /* cancelled by a lost patience, not acknowledged */
		cl->next_at = s->now + 200;
		return;
	}
	cl->next_at = s->now + sim_between(s, 10, 60);
	for (int i = 0; i < s->nhosts; i++) {
		int h = (c + i) % s->nhosts;
		struct sim_host *x = &s->host[h];
		if (!x->powered || x->pg != FSM_PG_RW || x->door_closed)
			continue;
		client_reads(s, h);
		x->wal.end += 64;
		cl->host = h;
		cl->incarnation = x->incarnation;
		cl->uid = wal_uid(&x->wal);
		cl->lsn = x->wal.end;
		cl->since = s->now;
		cl->waiting = true;
		for (int i2 = 0; i2 < s->nhosts; i2++)
			if (x->walsender[i2] && s->host[i2].stream_from == h) {
				struct sim_message *m = sim_send(s, MSG_WAL, h, i2);
				if (m) {
					m->incarnation = x->incarnation;
					m->lsn = x->wal.end;
				}
			}
		sim_acks_check(s);
		if (sim_chance(s, 70))
			return;
	}
}
