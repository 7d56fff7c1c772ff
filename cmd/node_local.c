/* The keeper's eyes on its own Postgres: the process, and a session that never blocks. */
/* SPDX-License-Identifier: PostgreSQL */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/node.h"
#include "ini/buf.h"
#include "ini/str.h"
#include "pg/postmaster.h"
#include "pg/slot.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 2000
#define STATEMENT_MS 2000
#define RETRY_MOST_MS 500
#define LOOK_MS 500     /* between two looks when all is quiet */
#define LOOK_FLUX_MS 50 /* ... and while something is going on */
#define SLOTS_MS 5000
#define BLIND_MS 5000 /* silent for so long: not known to be up any more */

/*
 * One look. On a primary the timeline comes from the write position: pg_control keeps the
 * old one until the first checkpoint. So it does on a standby, until a restart point: one
 * that does not stream has the timeline of the last segment it has written to.
 */
static const char look_sql[] =
    "with r as (select rec, case when rec then "
    "coalesce(greatest(pg_last_wal_receive_lsn(),"
    "  pg_last_wal_replay_lsn()), '0/0') else pg_current_wal_flush_lsn() end as lsn"
    "  from (select pg_is_in_recovery() as rec) i),"
    " g as (select div(lsn - '0/0'::pg_lsn - 1, bytes)::bigint as seg,"
    "  (4294967296 / bytes) as per from r, (select setting::bigint as bytes from"
    "  pg_settings where name = 'wal_segment_size') b),"
    " w as (select * from pg_stat_get_wal_receiver())"
    "select r.rec, r.lsn, current_setting('server_version_num') as version,"
    " case when not r.rec then"
    "   ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
    "  else coalesce(nullif(w.received_tli, 0), greatest("
    "   (select timeline_id from pg_control_checkpoint()),"
    "   (select min_recovery_end_timeline from pg_control_recovery()),"
    "   (select max(('x' || substr(f.name, 1, 8))::bit(32)::int) from g, pg_ls_waldir() f"
    "    where f.name ~ '^[0-9A-F]{24}$' and substr(f.name, 9) = upper("
    "    lpad(to_hex(g.seg / g.per), 8, '0') || lpad(to_hex(g.seg % g.per), 8, '0')))))"
    "  end as tli,"
    " coalesce(w.status = 'streaming', false) as receiving,"
    " case when r.rec then pg_is_wal_replay_paused() else false end as paused,"
    " current_setting('synchronous_standby_names') as names,"
    " current_setting('primary_conninfo') as conninfo, p.id, p.sync_state, p.flush_lsn,"
    " p.reply"
    " from r left join w on true"
    " left join (select substr(application_name, 24) as id, sync_state,"
    "  coalesce(flush_lsn, '0/0') as flush_lsn, coalesce(reply_time::text, '') as reply"
    "  from pg_stat_replication where state = 'streaming' and application_name ~"
    "  '^pgautofailover_standby_[0-9]{1,18}$' order by application_name) p on true";

/* -- the process -- */

static void
reap_orphans(const struct node *n)
{
	siginfo_t info;

	/* workers that end leave their Postgres to us; ours have their own callbacks */
	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 ||
		    info.si_pid == 0 || info.si_pid == n->work.pid ||
		    info.si_pid == n->chore.pid)
			return;
		waitpid(info.si_pid, NULL, WNOHANG);
	}
}

static void
count_crash(struct node *n)
{
	for (int i = KEEPER_CRASHES_MAX - 1; i > 0; i--)
		n->crash[i] = n->crash[i - 1];
	n->crash[0] = n->loop.now;
	if (n->ncrashes < KEEPER_CRASHES_MAX)
		n->ncrashes++;
}

static void
postmaster_ended(void *arg, int fd, short revents)
{
	struct node *n = arg;
	/* a worker may be stopping it on purpose */
	bool ours = n->work.pid != 0 || (n->chore.pid != 0 && n->chore_limits);

	(void)revents;
	loop_fd(&n->loop, fd, 0, NULL, NULL);
	close(n->pidfd);
	n->pidfd = -1;
	reap_orphans(n);
	if (!ours) {
		log_warn("Postgres has exited (pid %d)", (int)n->postmaster);
		count_crash(n);
		node_disk_look(n); /* which may be why */
	}
	n->postmaster = 0;
	if (service_part(&n->svc, "postgres", 0, NULL))
		log_debug("the pid file was not updated");
	n->shut = false;
	n->pg = FSM_PG_DOWN;
	n->seen.valid = false;
	watch_close(&n->local.w);
	node_session_watch(n, &n->local);
	node_hurry(n);
}

void
node_postmaster_look(struct node *n)
{
	struct postmaster found;

	if (n->postmaster != 0)
		return;
	postmaster_find(&n->host, &found);
	if (found.pid == 0 || (n->pidfd = postmaster_pidfd(&found)) == -1) {
		n->pg = FSM_PG_DOWN;
		return;
	}
	n->postmaster = found.pid;
	if (found.port != 0 && found.port != n->pgport) {
		n->pgport = found.port;
		n->asks |= 1U << ASK_METADATA;
	}
	if (service_part(&n->svc, "postgres", found.pid, NULL))
		log_debug("the pid file was not updated");
	n->pg = FSM_PG_STARTING;
	n->seen.valid = false;
	n->local.retry_at = n->loop.now;
	n->local.fails = 0;
	loop_fd(&n->loop, n->pidfd, POLLIN, postmaster_ended, n);
	node_hurry(n);
}

/* -- the session -- */

static int
rank(const char *sync_state)
{
	static const char *const order[] = { "async", "potential", "sync", "quorum" };

	for (int i = 0; i < 4; i++)
		if (strcmp(sync_state, order[i]) == 0)
			return i;
	return -1;
}

/* When did this standby's reply_time last change? It is that standby's clock: only the
 * change counts. */
static void
note_reply(struct node *n, const struct node_seen *old, int i, const char *reply)
{
	struct node_seen *s = &n->seen;

	s->reply_at[i] = n->loop.now;
	snprintf(s->reply_text[i], sizeof s->reply_text[i], "%.39s", reply);
	for (int j = 0; j < old->npeers; j++)
		if (old->peer[j].node_id == s->peer[i].node_id &&
		    strcmp(old->reply_text[j], s->reply_text[i]) == 0)
			s->reply_at[i] = old->reply_at[j];
}

static void
read_peers(struct node *n, const struct rows *rows, const struct node_seen *old)
{
	struct node_seen *s = &n->seen;

	for (int i = 0; i < rows->count && s->npeers < FSM_NODES_MAX; i++) {
		struct row row = row_at(rows, i);
		struct report_peer *p = &s->peer[s->npeers];

		if (row_null(&row, "id"))
			continue;
		p->node_id = row_i64(&row, "id");
		if (str_copy(p->sync_state, sizeof p->sync_state,
			row_text(&row, "sync_state"), NULL) == -1)
			continue;
		p->flush_lsn = row_lsn(&row, "flush_lsn");
		note_reply(n, old, s->npeers, row_text(&row, "reply"));
		if (rank(p->sync_state) > rank(s->rep_state))
			memcpy(s->rep_state, p->sync_state, sizeof s->rep_state);
		s->npeers++;
	}
}

static void
read_upstream(struct node_seen *s, const char *conninfo)
{
	struct buf b = { 0 };

	s->upstream_host[0] = '\0';
	s->upstream_port = 0;
	if (conninfo[0] == '\0')
		return;
	if (uri_get(conninfo, "host", &b, NULL) == 0)
		snprintf(
		    s->upstream_host, sizeof s->upstream_host, "%.255s", buf_peek(&b));
	buf_reset(&b);
	if (uri_get(conninfo, "port", &b, NULL) == -1 ||
	    str_int(buf_peek(&b), &s->upstream_port, NULL) == -1)
		s->upstream_port = 0;
	buf_drop(&b);
}

static void
got_look(struct node *n, const struct rows *rows)
{
	struct node_seen old = n->seen;
	struct node_seen *s = &n->seen;
	struct row row;

	if (rows->count < 1)
		return;
	row = row_at(rows, 0);
	memset(s, 0, sizeof *s);
	s->valid = true;
	s->fresh = n->look_work == n->works; /* asked after the last work was done */
	s->at = n->loop.now;
	s->recovery = row_bool(&row, "rec");
	s->version = row_int(&row, "version");
	s->lsn = row_lsn(&row, "lsn");
	s->tli = row_int(&row, "tli");
	n->promoted_tli = 0;
	s->receiving = row_bool(&row, "receiving");
	s->paused = row_bool(&row, "paused");
	s->has_names =
	    str_copy(s->names, sizeof s->names, row_text(&row, "names"), NULL) == 0;
	read_upstream(s, row_text(&row, "conninfo"));
	read_peers(n, rows, &old);
	n->pg = s->recovery ? FSM_PG_STANDBY : FSM_PG_RW;
	n->pg_up = n->loop.now;
	if (!s->recovery)
		n->was_up = true;
	if (s->recovery && s->receiving)
		n->apart = n->loop.now;
	if (s->npeers > 0)
		n->vouched = n->loop.now;
	if (!old.valid || old.version != s->version)
		n->asks |= 1U << ASK_VERSION;
	if (s->paused && !old.paused)
		n->chore_due = n->chore_limits = true;
}

static bool
wants_slots(const struct node *n)
{
	unsigned flags = fsm_state_flags(n->k->current);

	/* only with a list that is known to be right: it says who is gone */
	return n->has_peers && (flags & ST_UP) && !node_work_moves(n) &&
	       mono_reached(n->loop.now, n->slots_at);
}

static int
send_slots(struct node *n, struct err *e)
{
	struct slot_params p = { 0 };
	int rc;

	slot_params(&p, n->peer, n->npeers);
	rc = watch_send(&n->local.w, slot_keep_sql, db_args(2, p.value), STATEMENT_MS, e);
	slot_params_drop(&p);
	n->slots_sent = true;
	n->slots_at = mono_after(n->loop.now, SLOTS_MS);
	return rc;
}

static void
lost(struct node *n, const struct err *e)
{
	enum watch_lost why = n->local.w.lost;

	n->slots_sent = false;
	if (why == WATCH_LOST_REJECT && n->pg != FSM_PG_STARTING) {
		/* one backend crashed and all start again, or it is stopping */
		n->pg = FSM_PG_STARTING;
		n->seen.valid = false;
	}
	log_once(&n->local.trouble, LOG_LEVEL_DEBUG, "the local Postgres: %s", e->msg);
	node_session_lost(n, &n->local, n->pg == FSM_PG_STARTING ? 40 : RETRY_MOST_MS);
}

static void
begin_connect(struct node *n)
{
	struct host_target to;
	struct err e = { 0 };

	host_target(&n->host, &to);
	to.t.application_name = "autoctl keeper";
	to.t.connect_ms = CONNECT_MS;
	if (watch_open(&n->local.w, &to.t, &e) == -1)
		lost(n, &e);
}

static void
take_events(struct node *n)
{
	struct err e = { 0 };
	enum watch_event event;

	while ((event = watch_step(&n->local.w, n->loop.now, &e)) != WATCH_NOTHING) {
		if (event == WATCH_OPEN)
			n->local.fails = 0;
		else if (event == WATCH_RESULT && !n->slots_sent)
			got_look(n, &n->local.w.rows);
		else if (event == WATCH_FAILED)
			log_once_err(&n->local.trouble, LOG_LEVEL_WARN, &e);
		else if (event == WATCH_LOST)
			lost(n, &e);
		n->slots_sent = false;
	}
}

void
node_local_turn(struct node *n)
{
	struct err e = { 0 };

	reap_orphans(n);
	if (n->postmaster == 0)
		node_postmaster_look(n);
	if (n->postmaster == 0)
		return;
	if (n->local.w.state == WATCH_CLOSED &&
	    mono_reached(n->loop.now, n->local.retry_at))
		begin_connect(n);
	take_events(n);
	if (n->local.w.state == WATCH_IDLE && mono_reached(n->loop.now, n->look_at)) {
		bool flux = !mono_reached(n->loop.now, n->flux_until);

		n->look_at = mono_after(n->loop.now, flux ? LOOK_FLUX_MS : LOOK_MS);
		n->look_work = n->works;
		if (watch_send(
			&n->local.w, look_sql, db_args(0, NULL), STATEMENT_MS, &e) == -1)
			lost(n, &e);
	} else if (n->local.w.state == WATCH_IDLE && wants_slots(n)) {
		if (send_slots(n, &e) == -1)
			lost(n, &e);
	}
	take_events(n);
	if (n->seen.valid && mono_between(n->seen.at, n->loop.now) > BLIND_MS) {
		n->seen.valid = false;
		n->pg = FSM_PG_UNKNOWN;
	}
	node_session_watch(n, &n->local);
}

int64_t
node_local_wait_ms(const struct node *n)
{
	int64_t ms;

	if (n->postmaster == 0)
		return 100; /* somebody else may start it */
	ms = node_session_wait_ms(n, &n->local);
	if (n->local.w.state == WATCH_IDLE) {
		int64_t left = mono_between(n->loop.now, n->look_at);

		if (left < ms)
			ms = left;
	}
	return ms;
}
