/* The monitor's shell: gather evidence, let fsm/ decide, store what it says. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/monitor.h"
#include "cmd/monitor_snapshots.h"
#include "fsm/snapshot.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/conf.h"
#include "pg/hba.h"
#include "pg/probe.h"
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

/* What this process has seen of a node with its own eyes and clock. */
struct eye {
	struct monitor *m;
	int64_t node;
	int64_t report_seq;
	struct mono report_at;
	struct mono attached_at;
	struct probe probe;
	int fd; /* registered with the loop, -1 none */
	int health;
	bool present;
};

/* ... and of a group. */
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
	struct eye **eyes; /* pointers: the loop knows their addresses */
	size_t neyes;
	struct place *places;
	size_t nplaces;
	struct postmaster pm;
	int pm_fd;
	struct mono pm_at; /* when to start Postgres again */
	int64_t pm_wait_ms;
	bool ready;
	bool leaving;
};

/* -- probes -- */

/* Theirs when it is set, else from a password file when there is one, else the one that
 * a node gives the role when it is told none. */
static const char *
health_password(const struct config *c)
{
	const char *home = getenv("HOME");
	char *pgpass;
	bool file;

	if (!str_empty(c->monitor_password))
		return c->monitor_password;
	pgpass = xasprintf("%s/.pgpass", home ? home : "");
	file = getenv("PGPASSFILE") || getenv("PGPASSWORD") || file_exists(pgpass);
	free(pgpass);
	return file ? NULL : HOST_HEALTH;
}

static struct probe_times
times(const struct monitor *m)
{
	const struct config *c = m->home->cfg;
	struct probe_times t = { m->settings.health_check_period_ms,
		m->settings.health_check_timeout_ms,
		m->settings.health_check_retry_delay_ms,
		{ c->sslmode, c->ca_file, c->crl_file, health_password(c) } };
	int64_t half = m->settings.fast_verdict_window_ms / 2;

	/* a verdict by silence needs a finished probe within its window */
	if (t.timeout_ms > half)
		t.timeout_ms = half;
	if (t.retry_ms > half)
		t.retry_ms = half;
	return t;
}

static void eye_serve(void *arg, int fd, short revents);
static void eye_wake(void *arg);

static void
eye_watch(struct eye *x)
{
	struct loop *l = x->m->loop;
	int fd = probe_fd(&x->probe);

	if (x->fd >= 0 && x->fd != fd)
		loop_fd(l, x->fd, 0, NULL, NULL);
	x->fd = fd;
	if (fd >= 0)
		loop_fd(l, fd, probe_events(&x->probe), eye_serve, x);
	loop_timer(l, probe_wake(&x->probe), eye_wake, x);
}

static void
eye_rest(struct eye *x)
{
	if (x->fd >= 0)
		loop_fd(x->m->loop, x->fd, 0, NULL, NULL);
	x->fd = -1;
	loop_timer_stop(x->m->loop, eye_wake, x);
	probe_drop(&x->probe);
}

static void tick_soon(struct monitor *);

static void
eye_step(struct eye *x)
{
	struct probe_times t = times(x->m);
	enum fsm_witness before = x->probe.last;

	/* libpq may close its descriptor in there: take it off the loop's list first */
	if (x->fd >= 0)
		loop_fd(x->m->loop, x->fd, 0, NULL, NULL);
	x->fd = -1;
	if (probe_step(&x->probe, &t, clock_mono()) && x->probe.last != before) {
		log_debug("probe of node %" PRId64 ": %s%s%s", x->node,
		    fsm_witness_name(x->probe.last), x->probe.failed ? ": " : "",
		    x->probe.failed ? x->probe.why : "");
		tick_soon(x->m);
	}
	eye_watch(x);
}

static void
eye_serve(void *arg, int fd, short revents)
{
	(void)fd;
	(void)revents;
	eye_step(arg);
}

static void
eye_wake(void *arg)
{
	eye_step(arg);
}

static struct eye *
eye_find(const struct monitor *m, int64_t node)
{
	for (size_t i = 0; i < m->neyes; i++)
		if (m->eyes[i]->node == node)
			return m->eyes[i];
	return NULL;
}

static struct eye *
eye_new(struct monitor *m, int64_t node, const struct store_node *s)
{
	struct eye *x = xcalloc(1, sizeof *x);
	struct mono now = clock_mono();

	*x = (struct eye){ .m = m, .node = node, .fd = -1, .health = s->health };
	x->report_seq = s->report_seq;
	x->report_at = mono_after(now, -s->report_age_ms);
	x->attached_at = now;
	probe_init(&x->probe, s->host, s->port);
	m->eyes = xrealloc(m->eyes, (m->neyes + 1) * sizeof *m->eyes);
	m->eyes[m->neyes++] = x;
	return x;
}

static void
eyes_sweep(struct monitor *m, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->neyes; i++) {
		struct eye *x = m->eyes[i];

		if (x->present && !all) {
			m->eyes[kept++] = x;
			continue;
		}
		eye_rest(x);
		free(x);
	}
	m->neyes = kept;
}

static void
eye_probe(struct eye *x, const struct store_node *s)
{
	if (!x->m->settings.enable_health_checks) {
		if (x->probe.last != FSM_WITNESS_NONE || x->fd >= 0) {
			eye_rest(x);
			probe_init(&x->probe, s->host, s->port);
		}
		return;
	}
	if (strcmp(x->probe.host, s->host) != 0 || x->probe.port != s->port) {
		eye_rest(x);
		probe_init(&x->probe, s->host, s->port);
	}
	if (!loop_timer_set(x->m->loop, eye_wake, x))
		eye_step(x);
}

/* -- evidence -- */

static int64_t
age(struct mono since, struct mono now)
{
	int64_t ms = mono_between(since, now);

	return ms > 0 ? ms : 0;
}

static void
see_node(
    struct monitor *m, struct fsm_node *n, const struct store_node *s, struct mono now)
{
	struct eye *x = eye_find(m, n->id);

	if (!x)
		x = eye_new(m, n->id, s);
	x->present = true;
	x->health = s->health;
	if (x->report_seq != s->report_seq) {
		x->report_seq = s->report_seq;
		x->report_at = now;
	}
	if (n->attached)
		x->attached_at = now;
	eye_probe(x, s);
	n->report_age_ms = age(x->report_at, now);
	n->heard_age_ms += n->report_age_ms;
	n->detached_age_ms = n->attached ? 0 : age(x->attached_at, now);
	n->probe = x->probe.last;
	n->probe_failed = x->probe.failed;
	n->probe_ok_age_ms = x->probe.ever_ok ? age(x->probe.ok_at, now) : FSM_NEVER;
	/* silence is looked into soon, and so is a report that the last probe contradicts
	 */
	if (n->report_age_ms > 600 ||
	    (n->probe != FSM_WITNESS_OK &&
		(n->pg == FSM_PG_STANDBY || n->pg == FSM_PG_RW)))
		probe_hurry(&x->probe, now, m->settings.fast_verdict_window_ms / 6);
}

/* The writer is taken to have renewed whenever it reported; after the revocation was
 * stored no report renews. Who revoked has seen every report before; a monitor that
 * finds it revoked cannot know since when. */
static void
see_lease(struct monitor *m, struct place *p, struct fsm_group *g, struct mono now)
{
	const struct eye *writer =
	    eye_find(m, g->op.revoked && g->op.old_writer ? g->op.old_writer : g->writer);

	if (!g->op.revoked || (!p->revoked && p->leased))
		p->lease_at = writer ? writer->report_at : now;
	else if (!p->revoked)
		p->lease_at = now;
	p->revoked = g->op.revoked;
	p->leased = true;
	g->lease_age_ms = age(p->lease_at, now);
}

static void
see_group(struct monitor *m, struct place *p, struct store_group *s)
{
	struct mono now = clock_mono();

	for (int i = 0; i < s->g.n; i++)
		see_node(m, &s->g.node[i], &s->node[i], now);
	see_lease(m, p, &s->g, now);
	s->g.watch_age_ms = age(m->watch_since, now);
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
		const struct eye *x = eye_find(m, s->g.node[i].id);
		int health = s->node[i].health;

		if (x->probe.last == FSM_WITNESS_OK)
			health = 1;
		else if (x->probe.failed >= m->settings.health_check_max_retries &&
			 (x->probe.ever_ok || health != -1))
			health = 0;
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
tick_soon(struct monitor *m)
{
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
			eyes_sweep(m, true);
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
	for (size_t i = 0; i < m->neyes; i++)
		m->eyes[i]->present = false;
	decide_all(m, false);
	if (db_is_open(&m->db))
		eyes_sweep(m, false);
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
		int64_t left = mono_between(now, m->places[i].decide_at);

		if (left < ms)
			ms = left > 0 ? left : 0;
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
	eyes_sweep(m, true);
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
	free(m.eyes);
	free(m.places);
	log_info("the monitor has stopped");
	return rc;
}
