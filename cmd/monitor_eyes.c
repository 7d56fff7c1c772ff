/* What a monitor has seen of each node: the probes of its Postgres, the age of its words.
 */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/monitor_eyes.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/loop.h"
#include "ini/config.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/host.h"
#include "pg/probe.h"
#include "pg/store.h"

#include "ini/ban.h"

struct eye {
	struct monitor_eyes *of;
	int64_t node;
	int64_t report_seq;
	struct mono report_at;
	struct mono attached_at;
	struct probe probe;
	int fd; /* registered with the loop, -1 none */
	bool present;
};

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
times(const struct monitor_eyes *eyes)
{
	const struct config *c = eyes->cfg;
	struct probe_times t = { eyes->settings->health_check_period_ms,
		eyes->settings->health_check_timeout_ms,
		eyes->settings->health_check_retry_delay_ms,
		{ c->sslmode, c->ca_file, c->crl_file, health_password(c) } };
	int64_t half = eyes->settings->fast_verdict_window_ms / 2;

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
	struct loop *l = x->of->loop;
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
		loop_fd(x->of->loop, x->fd, 0, NULL, NULL);
	x->fd = -1;
	loop_timer_stop(x->of->loop, eye_wake, x);
	probe_drop(&x->probe);
}

static void
eye_step(struct eye *x)
{
	struct probe_times t = times(x->of);
	enum fsm_witness before = x->probe.last;

	/* libpq may close its descriptor in there: take it off the loop's list first */
	if (x->fd >= 0)
		loop_fd(x->of->loop, x->fd, 0, NULL, NULL);
	x->fd = -1;
	if (probe_step(&x->probe, &t, clock_mono()) && x->probe.last != before) {
		log_debug("probe of node %" PRId64 ": %s%s%s", x->node,
		    fsm_witness_name(x->probe.last), x->probe.failed ? ": " : "",
		    x->probe.failed ? x->probe.why : "");
		x->of->changed(x->of->arg);
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
eye_find(const struct monitor_eyes *eyes, int64_t node)
{
	for (size_t i = 0; i < eyes->n; i++)
		if (eyes->eye[i]->node == node)
			return eyes->eye[i];
	return NULL;
}

static struct eye *
eye_new(struct monitor_eyes *eyes, int64_t node, const struct store_node *s)
{
	struct eye *x = xcalloc(1, sizeof *x);
	struct mono now = clock_mono();

	*x = (struct eye){ .of = eyes, .node = node, .fd = -1 };
	x->report_seq = s->report_seq;
	x->report_at = mono_after(now, -s->report_age_ms);
	x->attached_at = now;
	probe_init(&x->probe, s->host, s->port);
	eyes->eye = xrealloc(eyes->eye, (eyes->n + 1) * sizeof *eyes->eye);
	eyes->eye[eyes->n++] = x;
	return x;
}

static void
sweep(struct monitor_eyes *eyes, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < eyes->n; i++) {
		struct eye *x = eyes->eye[i];

		if (x->present && !all) {
			eyes->eye[kept++] = x;
			continue;
		}
		eye_rest(x);
		free(x);
	}
	eyes->n = kept;
}

static void
eye_probe(struct eye *x, const struct store_node *s)
{
	if (!x->of->settings->enable_health_checks) {
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
	if (!loop_timer_set(x->of->loop, eye_wake, x))
		eye_step(x);
}

static void
see_node(struct monitor_eyes *eyes, struct fsm_node *n, const struct store_node *s,
    struct mono now)
{
	struct eye *x = eye_find(eyes, n->id);

	if (!x)
		x = eye_new(eyes, n->id, s);
	x->present = true;
	if (x->report_seq != s->report_seq) {
		x->report_seq = s->report_seq;
		x->report_at = now;
	}
	if (n->attached)
		x->attached_at = now;
	eye_probe(x, s);
	n->report_age_ms = mono_age(x->report_at, now);
	n->heard_age_ms += n->report_age_ms;
	n->detached_age_ms = n->attached ? 0 : mono_age(x->attached_at, now);
	n->probe = x->probe.last;
	n->probe_failed = x->probe.failed;
	n->probe_ok_age_ms = x->probe.ever_ok ? mono_age(x->probe.ok_at, now) : FSM_NEVER;
	/* silence is looked into soon, and so is a report that the last probe contradicts
	 */
	if (n->report_age_ms > 600 ||
	    (n->probe != FSM_WITNESS_OK &&
		(n->pg == FSM_PG_STANDBY || n->pg == FSM_PG_RW)))
		probe_hurry(&x->probe, now, eyes->settings->fast_verdict_window_ms / 6);
}

void
monitor_eyes_see(struct monitor_eyes *eyes, struct store_group *s, struct mono now)
{
	for (int i = 0; i < s->g.n; i++)
		see_node(eyes, &s->g.node[i], &s->node[i], now);
}

const struct mono *
monitor_eyes_report_at(const struct monitor_eyes *eyes, int64_t node)
{
	const struct eye *x = eye_find(eyes, node);

	return x ? &x->report_at : NULL;
}

int
monitor_eyes_health(const struct monitor_eyes *eyes, int64_t node, int health)
{
	const struct eye *x = eye_find(eyes, node);

	if (x->probe.last == FSM_WITNESS_OK)
		return 1;
	if (x->probe.failed >= eyes->settings->health_check_max_retries &&
	    (x->probe.ever_ok || health != -1))
		return 0;
	return health;
}

void
monitor_eyes_begin(struct monitor_eyes *eyes)
{
	for (size_t i = 0; i < eyes->n; i++)
		eyes->eye[i]->present = false;
}

void
monitor_eyes_end(struct monitor_eyes *eyes)
{
	sweep(eyes, false);
}

void
monitor_eyes_close(struct monitor_eyes *eyes)
{
	sweep(eyes, true);
	free(eyes->eye);
	eyes->eye = NULL;
}
