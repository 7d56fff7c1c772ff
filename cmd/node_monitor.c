/* The keeper's session on the monitor: reports out, goals in. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/node.h"
#include "ini/buf.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/store.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 2000
#define STATEMENT_MS 3000
#define RETRY_MOST_MS 2000
#define PARKED_MS 30000
#define RETURN_PRIORITY 50 /* when the monitor has not said another one */
#define NAME_MS 3000       /* a name service that takes longer is worth a line */

/* -- what sessions have in common -- */

static void
on_fd(void *arg, int fd, short revents)
{
	/* the turn that follows every round of the loop looks at all sessions */
	(void)arg;
	(void)fd;
	(void)revents;
}

void
node_session_watch(struct node *n, struct node_session *s)
{
	int fd = watch_fd(&s->w);

	if (s->fd >= 0 && s->fd != fd)
		loop_fd(&n->loop, s->fd, 0, NULL, NULL);
	if (fd >= 0)
		loop_fd(&n->loop, fd, s->w.events, on_fd, s);
	s->fd = fd;
}

void
node_session_lost(struct node *n, struct node_session *s, int64_t most_ms)
{
	int64_t ms = 50;

	for (int i = 0; i < s->fails && ms < most_ms; i++)
		ms *= 2;
	s->fails++;
	s->retry_at = mono_after(n->loop.now, ms < most_ms ? ms : most_ms);
}

int64_t
node_session_wait_ms(const struct node *n, const struct node_session *s)
{
	if (s->w.state == WATCH_CLOSED)
		return mono_between(n->loop.now, s->retry_at);
	if (s->w.state == WATCH_IDLE)
		return 500;
	return mono_between(n->loop.now, s->w.deadline) + 1;
}

/* -- answers -- */

static bool
accept_goal(struct node *n, const struct reply *r)
{
	struct keeper *k = n->k;
	bool news = r->goal != k->goal || r->goal_seq != k->goal_seq ||
		    r->term != k->term || r->epoch != k->epoch;

	if (r->epoch < k->epoch || r->term < k->term) {
		log_once(&n->why, LOG_LEVEL_WARN,
		    "an answer of an older monitor is refused: epoch %lld term %lld, "
		    "seen "
		    "%lld and %lld",
		    (long long)r->epoch, (long long)r->term, (long long)k->epoch,
		    (long long)k->term);
		return false;
	}
	if (!news)
		return true;
	if (r->goal != k->goal)
		log_info("goal %s: %s -> %s (term %lld)", fsm_state_name(r->goal),
		    fsm_state_name(k->current), fsm_state_name(r->goal),
		    (long long)r->term);
	if (r->goal_seq != k->goal_seq) {
		n->fails = 0; /* another goal, another try */
		n->retry_at = n->loop.now;
	}
	k->goal = r->goal;
	k->goal_seq = r->goal_seq;
	k->term = r->term;
	k->epoch = r->epoch;
	if (node_save(n) == -1)
		return false;
	node_hurry(n);
	return true;
}

/* The lease runs from when the report was sent, not from when the answer came. */
static void
accept_lease(struct node *n, const struct reply *r)
{
	if (r->lease_ms == 0)
		return; /* revoked: what is held runs out */
	node_lease_set(n, r->lease_ms, n->asked_at);
	if (r->lease_gen == n->k->lease_gen)
		return;
	/* on disk before the monitor hears of it: a keeper that starts anew must know
	 * that its lease ends */
	n->k->lease_gen = r->lease_gen;
	if (node_save(n) == -1)
		n->k->lease_gen = 0;
	node_hurry(n);
}

static void
got_reply(struct node *n)
{
	struct reply r;
	struct row row;
	struct err e = { 0 };

	if (n->mon.w.rows.count < 1) {
		log_once(&n->mon.trouble, LOG_LEVEL_WARN, "the monitor gave no goal");
		return;
	}
	row = row_at(&n->mon.w.rows, 0);
	if (reply_parse(&r, &row, &e) == -1) {
		log_once_err(&n->mon.trouble, LOG_LEVEL_WARN, &e);
		return;
	}
	if (n->step.frozen || n->step.phase == STEP_STARTING) {
		node_step_heard(n, &r);
		accept_lease(n, &r);
		return;
	}
	if (!accept_goal(n, &r))
		return;
	accept_lease(n, &r);
	n->reply = r;
	n->has_reply = true;
	n->contact = n->asked_at;
	n->told = n->report.state;
	n->k->contact = true;
	n->k->planned = r.planned;
	n->k->wanted_gen = r.gen;
	n->state.monitor_contact_s = clock_wall().ms / 1000;
	if (!n->has_peers || r.peers_gen != n->peers_gen)
		n->asks |= 1U << ASK_PEERS;
}

static void
got_peers(struct node *n)
{
	struct err e = { 0 };
	int count = n->mon.w.rows.count;

	n->npeers = 0;
	for (int i = 0; i < count && n->npeers < FSM_NODES_MAX; i++) {
		struct row row = row_at(&n->mon.w.rows, i);

		if (peer_parse(&n->peer[n->npeers], &row, &e) == -1)
			log_once_err(&n->mon.trouble, LOG_LEVEL_WARN, &e);
		else
			n->npeers++;
	}
	/* the list may be newer than the number it was asked for; then it is asked again
	 */
	if (!n->has_peers || n->peers_gen != n->peers_asked)
		n->chore_due = true;
	n->peers_gen = n->peers_asked;
	n->has_peers = true;
	n->slots_at = n->loop.now;
}

static void
got_answer(struct node *n)
{
	n->mon.fails = 0;
	switch (n->asked) {
	case ASK_REPORT:
		got_reply(n);
		break;
	case ASK_PEERS:
		got_peers(n);
		break;
	case ASK_LISTEN:
		log_info("connected to the monitor");
		n->report_at = n->loop.now;
		break;
	case ASK_PARK:
		n->parking = 2;
		n->k->parked = true;
		node_save(n);
		node_hurry(n);
		break;
	case ASK_UNPARK:
		n->k->parked = false;
		node_save(n);
		break;
	case ASK_HISTORY:
		n->history_tli = n->seen.tli;
		break;
	case ASK_RETURN:
		log_info("the monitor knows this node again");
		n->mon.retry_at = n->report_at = n->loop.now;
		break;
	case ASK_NONE:
	case ASK_SYSID:
	case ASK_VERSION:
	case ASK_METADATA:
	case ASK_COUNT:
		break;
	}
	if (n->asked != ASK_REPORT || n->has_reply)
		log_once_reset(&n->mon.trouble);
}

/* The server refused a statement; the session goes on. */
static void
got_refusal(struct node *n, struct err *e)
{
	enum node_ask asked = n->asked;

	if (asked == ASK_PARK) {
		log_warn("the monitor does not let this node go: %s", e->msg);
		n->parking = 3;
		return;
	}
	if (asked == ASK_UNPARK) {
		log_warn("maintenance is not ended: %s", e->msg);
		n->k->parked = false;
		node_save(n);
		return;
	}
	if (asked == ASK_METADATA) {
		log_warn("the monitor does not take this node's name, host and port: %s",
		    e->msg);
		return;
	}
	log_once_err(&n->mon.trouble, LOG_LEVEL_WARN, e);
	/* P0002: its tables are an older copy, in which there was no such node yet */
	if (asked == ASK_REPORT && strcmp(e->sqlstate, "P0002") == 0)
		n->asks |= 1U << ASK_RETURN;
	/* 42704: there is no such node: it was removed while we were away */
	if ((asked == ASK_REPORT || asked == ASK_RETURN) &&
	    strcmp(e->sqlstate, "42704") == 0) {
		log_error("this node is not known to the monitor any more");
		log_hint("run autoctl drop node on this host to clean up, or create "
			 "postgres to register again");
		n->exit_kind = ERR_SYSTEM;
		n->leave = true;
	}
	/* 55000: an older session of ours said hello late; a new one says it again */
	if (asked == ASK_LISTEN ||
	    (asked == ASK_REPORT && strcmp(e->sqlstate, "55000") == 0))
		watch_close(&n->mon.w);
	node_session_lost(n, &n->mon, RETRY_MOST_MS);
	n->report_at = n->mon.retry_at;
}

/* -- questions -- */

static int
send_report(struct node *n, struct err *e)
{
	n->step.frozen = !node_step_reports(n);
	if (!n->step.frozen)
		node_report_fill(n, &n->report);
	if (report_format(&n->report, &n->params, e) == -1)
		return -1;
	n->asked_at = clock_mono();
	n->report_at = mono_after(n->asked_at, n->cfg.report_interval_ms);
	return watch_send(&n->mon.w, report_sql, db_args(n->params.n, n->params.value),
	    STATEMENT_MS, e);
}

/* pg_wal/0000000N.history: "parent<tab>switch point<tab>reason", oldest first; the child
 * of each line is the parent of the next one. */
static bool
history_json(const struct node *n, struct buf *out)
{
	char *path =
	    xasprintf("%s/pg_wal/%08X.history", n->cfg.pgdata, (unsigned)n->seen.tli);
	struct buf text = { 0 };
	const char *p;
	int count = 0;
	int tli[FSM_LINEAGE_MAX + 1];
	char at[FSM_LINEAGE_MAX][32];

	if (file_read(path, &text, NULL) == 0)
		for (p = buf_peek(&text); p && *p && count < FSM_LINEAGE_MAX;
		     p = strchr(p, '\n'), p = p ? p + 1 : NULL)
			if (sscanf(p, "%d\t%31[0-9A-Fa-f/]", &tli[count], at[count]) == 2)
				count++;
	buf_drop(&text);
	free(path);
	if (count == 0)
		return false;
	tli[count] = n->seen.tli;
	buf_char(out, '[');
	for (int i = 0; i < count; i++)
		buf_printf(out, "%s{\"tli\":%d,\"parenttli\":%d,\"switchpoint\":\"%s\"}",
		    i ? "," : "", tli[i + 1], tli[i], at[i]);
	buf_char(out, ']');
	return true;
}

static int
send_history(struct node *n, const char *id, struct err *e)
{
	struct buf json = { 0 };
	int rc;

	if (!history_json(n, &json)) {
		n->asked = ASK_NONE;
		n->history_tli = n->seen.tli;
		return 0;
	}
	rc = watch_send(&n->mon.w,
	    "select pgautofailover.report_timeline_history($1::bigint, $2::jsonb)",
	    db_args(2, (const char *const[]){ id, buf_peek(&json) }), STATEMENT_MS, e);
	buf_drop(&json);
	return rc;
}

static int
send_with_id(struct node *n, const char *sql, const char *second, struct err *e)
{
	char id[24];
	const char *value[2] = { id, second };

	snprintf(id, sizeof id, "%lld", (long long)n->k->node_id);
	return watch_send(
	    &n->mon.w, sql, db_args(second ? 2 : 1, value), STATEMENT_MS, e);
}

static int
send_metadata(struct node *n, const char *id, struct err *e)
{
	char port[16];
	int p = n->pgport ? n->pgport : n->cfg.port;

	if (n->cfg.proxyport > 0)
		p = n->cfg.proxyport;
	snprintf(port, sizeof port, "%d", p);
	return watch_send(&n->mon.w,
	    "select pgautofailover.update_node_metadata($1::bigint, $2, $3, $4::int)",
	    db_args(4, (const char *const[]){ id, n->cfg.name, n->cfg.hostname, port }),
	    STATEMENT_MS, e);
}

static int
send_return(struct node *n, struct err *e)
{
	char id[24], group[16], port[16], sysid[24], seen[24], priority[16];
	const struct keeper *k = n->k;
	const struct config *c = &n->cfg;

	snprintf(id, sizeof id, "%lld", (long long)k->node_id);
	snprintf(group, sizeof group, "%d", k->group_id);
	snprintf(port, sizeof port, "%d", c->proxyport > 0 ? c->proxyport : c->port);
	snprintf(sysid, sizeof sysid, "%lld", (long long)k->system_identifier);
	snprintf(seen, sizeof seen, "%lld", (long long)k->goal_seq);
	snprintf(priority, sizeof priority, "%d",
	    n->has_reply ? n->reply.priority : RETURN_PRIORITY);
	return watch_send(&n->mon.w,
	    "select pgautofailover.keeper_return($1, $2::int, $3::bigint, $4, $5, "
	    "$6::int, $7::bigint, $8, $9::bigint, $10::int, $11::bool)",
	    db_args(11, (const char *const[]){ c->formation, group, id, c->name,
			    c->hostname, port, sysid, fsm_state_name(k->current), seen,
			    priority, n->has_reply && !n->reply.quorum ? "f" : "t" }),
	    STATEMENT_MS, e);
}

static int
send_ask(struct node *n, struct err *e)
{
	char text[32];

	snprintf(text, sizeof text, "%lld", (long long)n->k->node_id);
	switch (n->asked) {
	case ASK_REPORT:
		return send_report(n, e);
	case ASK_LISTEN:
		return send_with_id(n,
		    "select pgautofailover.keeper_hello($1::bigint, $2)", n->state.key,
		    e);
	case ASK_PEERS:
		n->peers_asked = n->reply.peers_gen;
		return send_with_id(n, report_peers_sql, NULL, e);
	case ASK_HISTORY:
		return send_history(n, text, e);
	case ASK_METADATA:
		return send_metadata(n, text, e);
	case ASK_RETURN:
		return send_return(n, e);
	case ASK_SYSID:
		snprintf(text, sizeof text, "%lld", (long long)n->k->system_identifier);
		return send_with_id(n,
		    "select pgautofailover.set_node_system_identifier($1::bigint, "
		    "$2::bigint)",
		    text, e);
	case ASK_VERSION:
		snprintf(text, sizeof text, "%d", n->seen.version);
		return send_with_id(n,
		    "select pgautofailover.report_postgres_version($1::bigint, $2::int, "
		    "($2::int / 10000)::text, 'PostgreSQL ' || $2::int / 10000 || '.' || "
		    "$2::int % 10000)",
		    text, e);
	case ASK_PARK:
		return send_with_id(
		    n, "select pgautofailover.start_maintenance($1::bigint)", NULL, e);
	case ASK_UNPARK:
		return send_with_id(
		    n, "select pgautofailover.stop_maintenance($1::bigint)", NULL, e);
	case ASK_NONE:
	case ASK_COUNT:
		break;
	}
	return 0;
}

/* The report first when something has changed; small questions between reports. */
static enum node_ask
next_ask(struct node *n)
{
	if (n->asks & (1U << ASK_LISTEN))
		return ASK_LISTEN;
	if (n->asks & (1U << ASK_RETURN))
		return mono_reached(n->loop.now, n->mon.retry_at) ? ASK_RETURN : ASK_NONE;
	if (n->step.suspended ? node_step_due(n)
			      : n->told == FSM_UNKNOWN || node_report_due(n))
		return mono_reached(n->loop.now, n->mon.retry_at) ? ASK_REPORT : ASK_NONE;
	for (int a = ASK_PEERS; a < ASK_COUNT; a++)
		if (n->asks & (1U << a))
			return (enum node_ask)a;
	return ASK_NONE;
}

/* The monitor let us go, but there was no time for it: a maintenance that comes much
 * later is somebody else's. */
static void
forget_parked(struct node *n)
{
	unsigned either = fsm_state_flags(n->k->goal) | fsm_state_flags(n->k->current);

	if (!n->k->parked || n->svc.stop != 0 || (either & ST_MAINT) ||
	    n->told != n->k->current || mono_between(n->began, n->loop.now) < PARKED_MS)
		return;
	n->k->parked = false;
	node_save(n);
}

static void
collect_asks(struct node *n)
{
	/* when the database does not know the timeline it cannot choose among nodes */
	if (n->seen.valid && n->seen.tli > 1 && n->history_tli != n->seen.tli)
		n->asks |= 1U << ASK_HISTORY;
	if (n->k->parked && n->svc.stop == 0 && n->told == FSM_MAINTENANCE &&
	    n->k->goal == FSM_MAINTENANCE)
		n->asks |= 1U << ASK_UNPARK;
	forget_parked(n);
	if (n->parking == 1)
		n->asks |= 1U << ASK_PARK;
}

static void
lost(struct node *n, const struct err *e)
{
	log_once(
	    &n->mon.trouble, LOG_LEVEL_WARN, "the monitor is not reached: %s", e->msg);
	n->asked = ASK_NONE;
	node_session_lost(n, &n->mon, RETRY_MOST_MS);
}

/* The connection string with the address beside the name. */
static bool
find_monitor(struct node *n, struct buf *uri)
{
	enum node_name_is is;

	buf_reset(uri);
	if (uri_get(n->cfg.monitor, "host", uri, NULL) == -1)
		return false;
	is = node_name_find(&n->mon_name, &n->loop, buf_peek(uri));
	buf_reset(uri);
	if (is == NODE_NAME_SOON) {
		n->mon.retry_at = mono_after(n->loop.now, 20);
		if (mono_between(n->contact, n->loop.now) > NAME_MS)
			log_once(&n->mon.trouble, LOG_LEVEL_WARN,
			    "the monitor's address is looked up: %s", n->mon_name.host);
	} else if (is == NODE_NAME_NONE)
		buf_str(uri, n->cfg.monitor);
	else if (uri_set(n->cfg.monitor, "hostaddr", n->mon_name.address, uri, NULL) ==
		 -1)
		return false;
	return is != NODE_NAME_SOON;
}

static void
begin_connect(struct node *n)
{
	struct buf uri = { 0 };
	char name[64];
	struct db_target t = { .application_name = name, .connect_ms = CONNECT_MS };
	struct err e = { 0 };

	if (find_monitor(n, &uri)) {
		snprintf(
		    name, sizeof name, "autoctl keeper %lld", (long long)n->k->node_id);
		n->asks |= 1U << ASK_LISTEN;
		n->asks &= ~(1U << ASK_RETURN);
		n->asked = ASK_NONE;
		n->told = FSM_UNKNOWN;
		n->history_tli = 0; /* its tables may be others than they were */
		t.uri = buf_peek(&uri);
		if (watch_open(&n->mon.w, &t, &e) == -1)
			lost(n, &e);
	}
	buf_drop(&uri);
}

/* A hint that the goal may have changed; the report fetches it. */
static void
take_notices(struct node *n)
{
	struct db_notice note;
	char id[24];

	snprintf(id, sizeof id, "%lld", (long long)n->k->node_id);
	while (n->mon.w.state != WATCH_CLOSED && watch_notice(&n->mon.w, &note))
		if (strcmp(note.channel, STORE_GOAL) == 0 && str_eq(note.payload, id)) {
			n->report_at = n->loop.now;
			n->noticed = true;
		}
}

static void
take_events(struct node *n)
{
	struct err e = { 0 };
	enum watch_event event;

	while ((event = watch_step(&n->mon.w, n->loop.now, &e)) != WATCH_NOTHING) {
		if (event == WATCH_RESULT)
			got_answer(n);
		else if (event == WATCH_FAILED)
			got_refusal(n, &e);
		else if (event == WATCH_LOST)
			lost(n, &e);
		if (event == WATCH_RESULT || event == WATCH_FAILED)
			n->asked = ASK_NONE;
	}
}

void
node_monitor_turn(struct node *n)
{
	struct err e = { 0 };

	if (config_no_monitor(&n->cfg))
		return;
	if (n->mon.w.state == WATCH_CLOSED && mono_reached(n->loop.now, n->mon.retry_at))
		begin_connect(n);
	take_events(n);
	take_notices(n);
	collect_asks(n);
	while (n->mon.w.state == WATCH_IDLE && (n->asked = next_ask(n)) != ASK_NONE) {
		n->asks &= ~(1U << n->asked);
		if (send_ask(n, &e) == -1) {
			if (n->mon.w.state == WATCH_CLOSED)
				lost(n, &e);
			else
				log_once_err(&n->mon.trouble, LOG_LEVEL_ERROR, &e);
			break;
		}
		take_events(n);
	}
	node_session_watch(n, &n->mon);
}

int64_t
node_monitor_wait_ms(const struct node *n)
{
	int64_t ms;

	if (config_no_monitor(&n->cfg))
		return 500;
	ms = node_session_wait_ms(n, &n->mon);
	if (n->mon.w.state == WATCH_IDLE) {
		int64_t left = mono_between(n->loop.now, n->report_at);

		if (left < ms)
			ms = left;
	}
	return ms;
}
