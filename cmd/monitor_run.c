/* The monitor's shell: gather evidence, let fsm/ decide, store what it says. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/monitor.h"
#include "cmd/monitor_eyes.h"
#include "cmd/monitor_snapshots.h"
#include "fsm/snapshot.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/store.h"
#include "pg/store_snapshot.h"

#include "ini/ban.h"

#define TICK_MS 250         /* look at the groups even if nobody calls */
#define LIST_MS 1000        /* look for new groups, renew the epoch, read the settings */
#define PRUNE_MS 60000      /* delete old events */
#define EPOCH_STALE_MS 3500 /* a holder that has not renewed for so long is gone */
#define PAUSE_MS 1000    /* a loop that stood still so long has seen nothing meanwhile */
#define RECONNECT_MS 200 /* first wait, doubling to */
#define RECONNECT_MAX_MS 5000
#define RETRY_MAX 5   /* of a decision that met another transaction */
#define ROUNDS_MAX 16 /* decisions on one group in a row: requests in a queue */

/* What this process has seen of a group with its own eyes and clock. */
struct place {
	struct store_key key;
	struct mono decide_at;
	struct mono lease_at; /* the last renewal the writer may hold */
	bool leased;          /* ... followed since before it was revoked */
	bool revoked;         /* ... and there were none since */
	bool asked;           /* somebody wants to see what we see */
	bool present;
};

struct monitor {
	struct monitor_home *home;
	struct service *service;
	struct loop *loop;
	struct db db;
	int db_fd; /* registered, -1 none */
	char holder[320];
	int64_t epoch; /* 0: another process decides */
	struct fsm_settings settings;
	struct mono list_at;
	struct mono prune_at;
	struct mono connect_at;
	int64_t connect_wait_ms;
	struct mono watch_since;
	struct mono round_at; /* end of the last round of the loop */
	struct log_once trouble;
	struct log_once stand_by;
	struct monitor_snapshots snapshots;
	struct monitor_eyes eyes;
	struct place *places;
	size_t nplaces;
	struct postmaster pm;
	int pm_fd;
	struct mono pm_at; /* when to start Postgres again */
	int64_t pm_wait_ms;
	bool ready;
	bool leaving;
};

/* -- evidence -- */

/* The writer is taken to have renewed whenever it reported; after the revocation was
 * stored no report renews. Who revoked has seen every report before; a monitor that
 * finds it revoked cannot know since when. */
static void
see_lease(struct monitor *m, struct place *p, struct fsm_group *g, struct mono now)
{
	const struct mono *heard_at = monitor_eyes_report_at(
	    &m->eyes, g->op.revoked && g->op.old_writer ? g->op.old_writer : g->writer);

	if (!g->op.revoked || (!p->revoked && p->leased))
		p->lease_at = heard_at ? *heard_at : now;
	else if (!p->revoked)
		p->lease_at = now;
	p->revoked = g->op.revoked;
	p->leased = true;
	g->lease_age_ms = mono_age(p->lease_at, now);
}

static void
see_group(struct monitor *m, struct place *p, struct store_group *s)
{
	struct mono now = clock_mono();

	monitor_eyes_see(&m->eyes, s, now);
	see_lease(m, p, &s->g, now);
	s->g.watch_age_ms = mono_age(m->watch_since, now);
}

/* -- decisions -- */

static void
log_steps(const struct fsm_plan *plan)
{
	const struct fsm_group *g = &plan->next;

	for (int i = 0; i < plan->nsteps; i++) {
		const struct fsm_step *s = &plan->step[i];
		const struct fsm_node *n = fsm_node_peek(g, s->node);

		if (s->from == s->to)
			log_info("%s/%d %s: %s (rule %d)", g->formation, g->group_id,
			    n ? n->name : "-", s->text, s->rule);
		else
			log_info("%s/%d %s: %s -> %s: %s (rule %d)", g->formation,
			    g->group_id, n ? n->name : "-", fsm_state_name(s->from),
			    fsm_state_name(s->to), s->text, s->rule);
	}
}

static void
log_request(const struct fsm_request *q)
{
	if (!q->id || q->outcome == FSM_OUTCOME_PENDING)
		return;
	log_info("request %" PRId64 " %s: %s%s%s", q->id, fsm_request_name(q->kind),
	    q->outcome == FSM_OUTCOME_DONE ? "accepted" : "refused",
	    q->text[0] ? ": " : "", q->text);
}

/* Decide under the lock what the unlocked look suggested. 1: look again at once. */
static int
decide_locked(struct monitor *m, struct place *p, struct store_group *s, struct err *e)
{
	static struct fsm_plan plan;
	int rc = store_lock(&m->db, m->epoch, s, e);

	if (rc <= 0)
		return rc;
	see_group(m, p, s);
	monitor_decide(&s->g, &plan);
	if (!store_differs(s, &plan)) {
		store_forget(&m->db);
		return 0;
	}
	if (store_write(&m->db, s, &plan, e))
		return -1;
	log_steps(&plan);
	log_request(&plan.next.request);
	monitor_snapshots_add(&m->snapshots, &s->g, &plan);
	/* deciding again what was just decided changes nothing, but a request may wait */
	return plan.next.request.id != 0;
}

static int
explain(struct monitor *m, const struct store_group *s, struct err *e)
{
	char text[FSM_TEXT_MAX];

	monitor_explain(&s->g, text, sizeof text);
	return store_explain(&m->db, s, text, e);
}

static int
update_health(struct monitor *m, const struct store_group *s, struct err *e)
{
	for (int i = 0; i < s->g.n; i++) {
		int health =
		    monitor_eyes_health(&m->eyes, s->g.node[i].id, s->node[i].health);

		if (health != s->node[i].health &&
		    store_health(&m->db, s->g.node[i].id, health, e))
			return -1;
	}
	return 0;
}

/* Keepers refuse what comes under a lower epoch than they have seen. */
static int
raise_epoch(struct monitor *m, const struct store_group *s, struct err *e)
{
	int64_t seen = 0;
	int rc;

	for (int i = 0; i < s->g.n; i++)
		if (s->node[i].seen_epoch > seen)
			seen = s->node[i].seen_epoch;
	if (seen <= m->epoch)
		return 0;
	rc = store_epoch_raise(&m->db, &m->epoch, seen, e);
	if (rc == 1)
		log_warn(
		    "nodes have seen a later monitor than this one, whose tables are "
		    "an older copy: its epoch is %" PRId64 " from now on",
		    m->epoch);
	return rc < 0 ? -1 : 0;
}

/* One look and what follows from it. 1: look again at once. */
static int
decide_once(struct monitor *m, struct place *p, struct err *e)
{
	static struct store_group s;
	static struct fsm_plan plan;
	int rc;

	p->decide_at = mono_after(clock_mono(), TICK_MS);
	rc = store_read(&m->db, &p->key, &m->settings, &s, e);

	if (rc <= 0)
		return rc;
	if (raise_epoch(m, &s, e))
		return -1;
	see_group(m, p, &s);
	monitor_decide(&s.g, &plan);
	p->decide_at = mono_after(clock_mono(),
	    plan.wake_in_ms > 0 && plan.wake_in_ms < TICK_MS ? plan.wake_in_ms : TICK_MS);
	if (store_differs(&s, &plan))
		return decide_locked(m, p, &s, e);
	monitor_snapshots_add(&m->snapshots, &s.g, &plan);
	if (update_health(m, &s, e))
		return -1;
	return explain(m, &s, e) ? -1 : 0;
}

static bool
is_retryable(const struct err *e)
{
	return strcmp(e->sqlstate, "40001") == 0 || strcmp(e->sqlstate, "40P01") == 0;
}

static void
decide(struct monitor *m, struct place *p)
{
	int failed = 0;

	for (int i = 0; i < ROUNDS_MAX; i++) {
		struct err e = { 0 };
		int rc = decide_once(m, p, &e);

		if (rc == 0) {
			if (!failed)
				log_once_reset(&m->trouble);
			return;
		}
		if (rc < 0 && !(is_retryable(&e) && ++failed < RETRY_MAX)) {
			log_once_err(&m->trouble, LOG_LEVEL_ERROR, &e);
			return;
		}
	}
}

/* -- the groups -- */

static struct place *
place_find(const struct monitor *m, const char *formation, int group_id)
{
	for (size_t i = 0; i < m->nplaces; i++)
		if (m->places[i].key.group_id == group_id &&
		    strcmp(m->places[i].key.formation, formation) == 0)
			return &m->places[i];
	return NULL;
}

static struct place *
place_get(struct monitor *m, const char *formation, int group_id)
{
	struct place *p = place_find(m, formation, group_id);

	if (p)
		return p;
	m->places = xrealloc(m->places, (m->nplaces + 1) * sizeof *m->places);
	p = &m->places[m->nplaces++];
	*p = (struct place){ .key.group_id = group_id, .lease_at = clock_mono() };
	snprintf(p->key.formation, sizeof p->key.formation, "%s", formation);
	return p;
}

static int
list_groups(struct monitor *m, struct err *e)
{
	struct rows r = { 0 };
	size_t kept = 0;

	if (store_groups(&m->db, &r, e))
		return -1;
	for (size_t i = 0; i < m->nplaces; i++)
		m->places[i].present = false;
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		place_get(m, row_text(&row, "formationid"), row_int(&row, "groupid"))
		    ->present = true;
	}
	rows_drop(&r);
	for (size_t i = 0; i < m->nplaces; i++)
		if (m->places[i].present)
			m->places[kept++] = m->places[i];
	m->nplaces = kept;
	return 0;
}

static void
decide_all(struct monitor *m, bool due_only)
{
	for (size_t i = 0; i < m->nplaces && db_is_open(&m->db); i++)
		if (!due_only || mono_reached(clock_mono(), m->places[i].decide_at))
			decide(m, &m->places[i]);
}

static void
tick_soon(void *arg)
{
	struct monitor *m = arg;

	for (size_t i = 0; i < m->nplaces; i++)
		m->places[i].decide_at = clock_mono();
}

/* -- the database -- */

static void db_serve(void *arg, int fd, short revents);

static void
db_unwatch(struct monitor *m)
{
	if (m->db_fd >= 0)
		loop_fd(m->loop, m->db_fd, 0, NULL, NULL);
	m->db_fd = -1;
}

static void
db_lost(struct monitor *m)
{
	db_unwatch(m);
	db_close(&m->db);
	m->epoch = 0;
	m->connect_wait_ms = RECONNECT_MS;
	m->connect_at = mono_after(clock_mono(), m->connect_wait_ms);
}

static int
db_connect(struct monitor *m, struct err *e)
{
	if (monitor_home_fill(m->home, e) || monitor_home_open(m->home, &m->db, e))
		return -1;
	if (db_run(&m->db, e, "listen " STORE_WAKE, DB_END) ||
	    db_run(&m->db, e, "listen " STORE_ASK, DB_END) ||
	    store_settings(&m->db, &m->settings, e)) {
		db_close(&m->db);
		return -1;
	}
	m->db_fd = db_fd(&m->db);
	loop_fd(m->loop, m->db_fd, POLLIN, db_serve, m);
	return 0;
}

static void
db_try(struct monitor *m)
{
	struct err e;

	if (!mono_reached(clock_mono(), m->connect_at))
		return;
	if (db_connect(m, &e)) {
		log_once_err(&m->trouble, LOG_LEVEL_ERROR, &e);
		m->connect_wait_ms = m->connect_wait_ms * 2 > RECONNECT_MAX_MS
					 ? RECONNECT_MAX_MS
					 : m->connect_wait_ms * 2;
		m->connect_at = mono_after(clock_mono(), m->connect_wait_ms);
		return;
	}
	log_once_reset(&m->trouble);
	m->connect_wait_ms = RECONNECT_MS;
	m->list_at = clock_mono();
	if (!m->ready)
		service_ready("connected to the metadata database");
	m->ready = true;
}

/* Hear who calls; the payload is formation/group. */
static void
take_notices(struct monitor *m)
{
	struct db_notice n;

	while (db_take_notice(m->db.conn, &n)) {
		bool ask = strcmp(n.channel, STORE_ASK) == 0;
		char *slash = strrchr(n.payload, '/');
		struct place *p;
		int group;

		if ((!ask && strcmp(n.channel, STORE_WAKE) != 0) || !slash ||
		    str_int(slash + 1, &group, NULL))
			continue;
		*slash = '\0';
		p = ask ? place_find(m, n.payload, group)
			: place_get(m, n.payload, group);
		if (ask && p)
			p->asked = true;
		else if (!ask)
			p->decide_at = clock_mono();
	}
}

/* What this process sees of a group, and what it would decide on it now. */
static int
answer(struct monitor *m, struct place *p, struct err *e)
{
	static char text[FSM_SNAPSHOT_MAX];
	static struct fsm_record record;
	static struct store_group s;
	static struct fsm_plan plan;
	char group[FSM_NAME_MAX + 16];
	int rc = store_read(&m->db, &p->key, &m->settings, &s, e);

	if (rc <= 0)
		return rc;
	see_group(m, p, &s);
	monitor_decide(&s.g, &plan);
	fsm_snapshot_fill(&record, &s.g, &plan);
	fsm_snapshot_format(&record, text, sizeof text);
	snprintf(group, sizeof group, "%s/%d", p->key.formation, p->key.group_id);
	return store_snapshot_put(&m->db, group, text, e);
}

static void
answer_all(struct monitor *m)
{
	struct err e;

	for (size_t i = 0; i < m->nplaces && db_is_open(&m->db); i++) {
		if (m->places[i].asked && m->epoch && answer(m, &m->places[i], &e))
			log_once_err(&m->trouble, LOG_LEVEL_WARN, &e);
		m->places[i].asked = false;
	}
}

static void
db_serve(void *arg, int fd, short revents)
{
	struct monitor *m = arg;
	struct err e;

	(void)fd;
	(void)revents;
	if (db_wait_readable(&m->db, 0, &e) < 0) {
		log_once_err(&m->trouble, LOG_LEVEL_ERROR, &e);
		db_lost(m);
	}
}

/* -- who decides -- */

static int
hold_epoch(struct monitor *m, struct err *e)
{
	int rc;

	if (m->epoch) {
		rc = store_epoch_renew(&m->db, m->epoch, e);
		if (rc == 0) {
			log_warn(
			    "another monitor process has taken over, this one stands by");
			m->epoch = 0;
			monitor_eyes_close(&m->eyes);
			for (size_t i = 0; i < m->nplaces; i++)
				m->places[i].leased = m->places[i].revoked = false;
		}
		return rc < 0 ? -1 : 0;
	}
	rc = store_epoch_take(&m->db, m->holder, EPOCH_STALE_MS, &m->epoch, e);
	if (rc < 0)
		return -1;
	if (rc == 0) {
		m->epoch = 0;
		log_once(&m->stand_by, LOG_LEVEL_INFO,
		    "another monitor process decides, this one stands by");
		return 0;
	}
	log_once_reset(&m->stand_by);
	log_info("this monitor decides (epoch %" PRId64 ")", m->epoch);
	m->watch_since = clock_mono();
	return 0;
}

static int
read_snapshots(struct monitor *m, struct err *e)
{
	struct buf where = { 0 };
	int rc = store_setting(&m->db, "log_snapshots", &where, e);

	if (rc == 0)
		monitor_snapshots_set(
		    &m->snapshots, buf_peek(&where), m->service->pgdata);
	buf_drop(&where);
	return rc;
}

static int
prune(struct monitor *m, struct err *e)
{
	if (!mono_reached(m->list_at, m->prune_at))
		return 0;
	m->prune_at = mono_after(m->list_at, PRUNE_MS);
	return store_prune(&m->db, &m->settings, e) < 0 ? -1 : 0;
}

/* Every second, or oftener when another one decides: is it still us, what is set, which
 * groups are there. */
static int
housekeeping(struct monitor *m, struct err *e)
{
	m->list_at = mono_after(clock_mono(), LIST_MS);
	if (hold_epoch(m, e))
		return -1;
	if (!m->epoch) {
		m->list_at =
		    mono_after(clock_mono(), TICK_MS); /* it may go at any time */
		return 0;
	}
	if (store_settings(&m->db, &m->settings, e) ||
	    store_publish(&m->db, &m->settings, e) || store_expire(&m->db, e) ||
	    list_groups(m, e) || read_snapshots(m, e) || prune(m, e))
		return -1;
	monitor_eyes_begin(&m->eyes);
	decide_all(m, false);
	if (db_is_open(&m->db))
		monitor_eyes_end(&m->eyes);
	return 0;
}

/* -- Postgres of our own -- */

static void pm_serve(void *arg, int fd, short revents);

static void
pm_watch(struct monitor *m)
{
	postmaster_find(&m->home->host, &m->pm);
	if (m->pm.pid)
		m->pm_fd = postmaster_pidfd(&m->pm);
	if (m->pm_fd >= 0)
		loop_fd(m->loop, m->pm_fd, POLLIN, pm_serve, m);
	if (m->pm.pid && service_part(m->service, "postgres", m->pm.pid, NULL))
		log_debug("the pid file was not updated");
}

static void
pm_serve(void *arg, int fd, short revents)
{
	struct monitor *m = arg;

	(void)revents;
	loop_fd(m->loop, fd, 0, NULL, NULL);
	close(fd);
	/* ours to bury when this process started it: the next one minds the corpse */
	waitpid(m->pm.pid, NULL, WNOHANG);
	m->pm_fd = -1;
	m->pm_at = clock_mono();
	if (!m->leaving)
		log_warn("the monitor's Postgres (pid %d) has ended", (int)m->pm.pid);
	db_lost(m);
	m->connect_at = clock_mono();
}

static void
pm_keep(struct monitor *m)
{
	struct err e;

	if (!m->home->embedded || m->pm_fd >= 0 || !mono_reached(clock_mono(), m->pm_at))
		return;
	if (postmaster_start(&m->home->host, POSTMASTER_LISTEN, 0, &e)) {
		log_once_err(&m->trouble, LOG_LEVEL_ERROR, &e);
		m->pm_wait_ms = m->pm_wait_ms * 2 > RECONNECT_MAX_MS ? RECONNECT_MAX_MS
								     : m->pm_wait_ms * 2;
		m->pm_at = mono_after(clock_mono(), m->pm_wait_ms);
		return;
	}
	m->pm_wait_ms = RECONNECT_MS;
	pm_watch(m);
	m->connect_at = clock_mono();
}

/* -- the loop -- */

static void
watch_pauses(struct monitor *m)
{
	struct mono now = clock_mono();

	if (mono_between(m->round_at, now) > PAUSE_MS) {
		log_debug("a pause of %" PRId64 " ms: what is silent is watched anew",
		    mono_between(m->round_at, now));
		m->watch_since = now;
	}
	m->round_at = now;
}

static void
tick(void *arg)
{
	struct monitor *m = arg;
	struct mono now = clock_mono();
	struct mono next = mono_after(now, TICK_MS);
	struct err e;

	pm_keep(m);
	if (!db_is_open(&m->db) && (!m->home->embedded || m->pm_fd >= 0))
		db_try(m);
	if (db_is_open(&m->db) && mono_reached(clock_mono(), m->list_at)) {
		if (housekeeping(m, &e))
			log_once_err(&m->trouble, LOG_LEVEL_ERROR, &e);
		if (!service_is_ours(m->service)) {
			log_warn("the pid file is not ours any more: leaving");
			m->leaving = true;
		}
	}
	loop_timer(m->loop, next, tick, m);
}

/* After whatever happened in a round: decide where it is time, plan the next wake-up. */
static void
settle(struct monitor *m)
{
	if (db_is_open(&m->db)) {
		take_notices(m);
		if (m->epoch)
			decide_all(m, true);
		answer_all(m);
		if (db_is_open(&m->db))
			take_notices(m);
	}
	if (!db_is_open(&m->db) && m->db_fd >= 0)
		db_lost(m);
}

static int64_t
next_ms(const struct monitor *m)
{
	struct mono now = clock_mono();
	int64_t ms = TICK_MS;

	for (size_t i = 0; i < m->nplaces && m->epoch; i++) {
		int64_t left = mono_age(now, m->places[i].decide_at);

		if (left < ms)
			ms = left;
	}
	return ms;
}

static void
reload(struct monitor *m)
{
	struct err e;

	m->service->reload = false;
	log_info("reloading the settings");
	m->list_at = clock_mono();
	if (monitor_home_reload(m->home, &e))
		log_err(LOG_LEVEL_ERROR, &e);
	/* what it decided is in its tables: it may be another program at any time */
	if (service_binary_changed() && service_binary_exec(&e))
		log_err(LOG_LEVEL_ERROR, &e);
}

static int
leave(struct monitor *m, struct err *e)
{
	struct postmaster_stop how = { .mode = POSTMASTER_FAST, .deadline_ms = 5000 };
	int rc = 0;

	service_stopping();
	m->leaving = true;
	if (db_is_open(&m->db) && m->epoch &&
	    store_epoch_leave(&m->db, m->epoch, NULL) < 0)
		log_debug("the epoch was not left");
	db_unwatch(m);
	db_close(&m->db);
	monitor_eyes_close(&m->eyes);
	if (m->home->embedded && m->service->stop) {
		log_info("stopping the monitor's Postgres");
		rc = postmaster_stop(&m->home->host, &how, e);
	}
	if (m->pm_fd >= 0)
		close(m->pm_fd);
	return rc;
}

static void
set_holder(struct monitor *m)
{
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	snprintf(m->holder, sizeof m->holder, "%s:%.60s", host,
	    m->service->pgdata +
		(strlen(m->service->pgdata) > 60 ? strlen(m->service->pgdata) - 60 : 0));
}

int
monitor_serve(
    struct monitor_home *home, struct service *service, struct loop *loop, struct err *e)
{
	static struct monitor m;
	int rc = 0;

	m = (struct monitor){
		.home = home, .service = service, .loop = loop, .db_fd = -1, .pm_fd = -1
	};
	m.connect_wait_ms = m.pm_wait_ms = RECONNECT_MS;
	m.round_at = clock_mono();
	fsm_settings_default(&m.settings);
	m.eyes = (struct monitor_eyes){ .loop = loop,
		.cfg = home->cfg,
		.settings = &m.settings,
		.changed = tick_soon,
		.arg = &m };
	set_holder(&m);
	loop_timer(loop, clock_mono(), tick, &m);
	log_info("the monitor runs, pid %d", (int)getpid());
	while (rc == 0 && !service->stop && !m.leaving) {
		rc = loop_once(loop, next_ms(&m), e);
		watch_pauses(&m);
		if (service->reload)
			reload(&m);
		if (rc == 0)
			settle(&m);
	}
	if (leave(&m, rc ? NULL : e))
		rc = -1;
	buf_drop(&m.snapshots.path);
	free(m.places);
	log_info("the monitor has stopped");
	return rc;
}
