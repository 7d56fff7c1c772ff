/* The checker's Postgres: a log with timelines, standbys that follow, commits that wait.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cmd/model.h"

#include "ini/ban.h"

struct m_broken m_broken;

void
m_break(const char *name, const char *fmt, ...)
{
	va_list ap;

	if (m_broken.name)
		return; /* the first one is the story */
	m_broken.name = name;
	va_start(ap, fmt);
	vsnprintf(m_broken.text, sizeof m_broken.text, fmt, ap);
	va_end(ap);
}

int
m_pair(int a, int b)
{
	return a + b - 1; /* (0,1) (0,2) (1,2) */
}

bool
m_linked(const struct m_world *w, int a, int b)
{
	return w->h[a].up && w->h[b].up && !(w->apart >> m_pair(a, b) & 1);
}

/* Is that position part of what this host has? */
bool
m_holds(const struct m_world *w, const struct m_host *h, uint8_t line, uint8_t lsn)
{
	uint8_t at = h->lsn;

	for (uint8_t l = h->line; l != 0; l = w->line[l].parent) {
		if (l == line)
			return lsn <= at;
		if (w->line[l].fork < at)
			at = w->line[l].fork;
	}
	return line == 0;
}

/* Could the standby go on with what the upstream has? Else it has to be rewound. */
bool
m_fits(const struct m_world *w, int standby, int upstream)
{
	const struct m_host *s = &w->h[standby];

	return m_holds(w, &w->h[upstream], s->line, s->lsn);
}

/* Is there a walreceiver that gets what the upstream writes? */
bool
m_streams(const struct m_world *w, int standby, int upstream)
{
	return w->h[standby].pg == M_PG_STANDBY && w->h[upstream].pg != M_PG_DOWN &&
	       w->h[standby].upstream == upstream + 1 && m_linked(w, standby, upstream) &&
	       m_fits(w, standby, upstream);
}

bool
m_open(const struct m_host *h)
{
	return h->pg == M_PG_RW && !h->closed;
}

/* Would a client's synchronous commit be acknowledged here now? */
bool
m_can_ack(const struct m_world *w, int p)
{
	const struct m_host *h = &w->h[p];
	int count = 0;

	if (!m_open(h))
		return false;
	for (int q = 0; q < m_run.nodes; q++)
		count += q != p && h->force.set >> q & 1 && m_streams(w, q, p);
	return count >= h->force.k;
}

/* A fast stop. Postgres sends all to the standbys that are attached, if it is let. */
void
m_stop(struct m_world *w, int p, bool tail_arrives)
{
	struct m_host *h = &w->h[p];

	if (h->pg == M_PG_RW) {
		h->lsn++; /* the shutdown record */
		if (tail_arrives)
			for (int q = 0; q < m_run.nodes; q++)
				if (q != p && m_streams(w, q, p))
					m_ship(w, p, q);
		h->clean = 1;
	}
	h->pg = M_PG_DOWN;
}

void
m_crash(struct m_host *h)
{
	h->pg = M_PG_DOWN;
	h->clean = 0;
}

/* Started as the disk says. */
void
m_boot(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];

	h->pg = h->guard_file ? M_PG_STANDBY : M_PG_RW;
	h->recovery = h->guard_file;
	h->force = h->conf;
	h->clean = 0;
	if (h->rewinding)
		m_break("NOBOOT", "node %d starts a half rewound directory", i + 1);
	if (h->guard_file)
		return;
	if (fsm_state_flags(h->current) & ST_RW || h->act == FSM_ACT_RESUME ||
	    h->act == FSM_ACT_INIT)
		return;
	if (h->closed && h->act == FSM_ACT_CLOSED)
		return;
	/* crowned already, the door was open when it died */
	if (h->current == FSM_STOP_REPLICATION &&
	    (h->closed || fsm_state_flags(h->goal) & ST_RW))
		return;
	m_break("NOBOOT", "node %d comes up writable in state %s", i + 1,
	    fsm_state_name(h->current));
}

/* Whoever becomes writable must have what clients were told is safe. */
void
m_check_history(struct m_world *w, int i, const char *when)
{
	const struct m_host *h = &w->h[i];

	if (m_holds(w, h, w->acked_line, w->acked_lsn))
		return;
	if (!w->loss)
		m_break(
		    "NOLOSS", "node %d %s without an acknowledged commit", i + 1, when);
	w->acked_line = h->line;
	w->acked_lsn = h->lsn;
}

void
m_promote(struct m_world *w, int i)
{
	struct m_host *h = &w->h[i];
	uint8_t l = 1;

	if (!h->closed) /* else it may be called off yet, and is checked when it opens */
		m_check_history(w, i, "is promoted");
	while (l < M_LINES && w->line[l].tli)
		l++;
	if (l == M_LINES || w->line[h->line].tli + 1 == M_TLIS) {
		m_break("MODEL", "too many timelines");
		return;
	}
	w->line[l].parent = h->line;
	w->line[l].fork = h->lsn;
	w->line[l].tli = (uint8_t)(w->line[h->line].tli + 1);
	h->line = l;
	h->lsn++; /* the end of recovery is a record */
	h->pg = M_PG_RW;
	h->guard_file = h->recovery = 0;
	h->upstream = 0;
	h->force = h->conf;
}

void
m_ship(struct m_world *w, int p, int q)
{
	w->h[q].line = w->h[p].line;
	w->h[q].lsn = w->h[p].lsn;
	m_ack(w, p);
}

/* A commit is acknowledged: from now on it must never be missing. */
static void
acknowledged(struct m_world *w, int p)
{
	const struct m_host *h = &w->h[p];

	if (!m_holds(w, h, w->acked_line, w->acked_lsn))
		m_break("ONEACK", "node %d acknowledges on a branch that is dead", p + 1);
	for (int q = 0; q < m_run.nodes; q++) {
		const struct m_host *o = &w->h[q];

		if (q == p || !m_open(o) || m_holds(w, o, h->line, h->lsn))
			continue;
		/* an old writer that cannot acknowledge any more is no harm */
		if (m_can_ack(w, q) || o->line == h->line)
			m_break("ONEACK",
			    "node %d acknowledges what node %d does not have", p + 1,
			    q + 1);
	}
	w->acked_line = h->line;
	w->acked_lsn = h->lsn;
}

static int
confirming(const struct m_world *w, int p, struct m_names names)
{
	const struct m_host *h = &w->h[p];
	int count = 0;

	for (int q = 0; q < m_run.nodes; q++)
		if (q != p && names.set >> q & 1 && m_streams(w, q, p) &&
		    w->h[q].line == h->line && w->h[q].lsn == h->lsn)
			count++;
	return count;
}

/* Something has reached a standby, or other names are in force: who waits, is released.
 */
void
m_ack(struct m_world *w, int p)
{
	const struct m_host *h = &w->h[p];

	if (!m_open(h) || h->force.k == 0 || confirming(w, p, h->force) < h->force.k)
		return;
	if (w->acked_line != h->line || w->acked_lsn != h->lsn)
		acknowledged(w, p);
}

/* The writer says that synchronous replication is on: all it has written counts. */
void
m_confirmed(struct m_world *w, int p)
{
	struct m_host *h = &w->h[p];

	if (h->conf.k > 0 && (w->acked_line != h->line || w->acked_lsn != h->lsn) &&
	    m_open(h))
		acknowledged(w, p);
}
