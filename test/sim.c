/* The simulated world's clock, network, faults and final judgement. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

uint64_t
sim_random(struct sim *s)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return s->rng;
}

int64_t
sim_between(struct sim *s, int64_t low, int64_t high)
{
	return low + (int64_t)(sim_random(s) % (uint64_t)(high - low + 1));
}

bool
sim_chance(struct sim *s, int percent)
{
	return (int)(sim_random(s) % 100) < percent;
}

static void say(struct sim *s, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void
say(struct sim *s, const char *fmt, va_list ap)
{
	char *line = s->log[s->nlog++ % SIM_LOG];
	int n = snprintf(line, SIM_LINE, "[%8.3f] ", (double)s->now / 1000);

	vsnprintf(line + n, SIM_LINE - (size_t)n, fmt, ap);
	if (s->verbose)
		printf("# %s\n", line);
}

void
sim_log(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(s, fmt, ap);
	va_end(ap);
}

void
sim_fail(struct sim *s, const char *fmt, ...)
{
	va_list ap;

	if (s->failure[0])
		return;
	va_start(ap, fmt);
	vsnprintf(s->failure, sizeof s->failure, fmt, ap);
	va_end(ap);
	sim_log(s, "FAILURE %s", s->failure);
}

int
sim_host_of(const struct sim *s, int64_t node_id)
{
	for (int h = 0; node_id && h < s->nhosts; h++)
		if (s->host[h].disk.node_id == node_id)
			return h;
	return -1;
}

bool
sim_linked(const struct sim *s, int a, int b)
{
	return !s->cut[a][b] && !s->cut[b][a];
}

/* NULL when it gets lost on the way. */
struct sim_message *
sim_send(struct sim *s, enum sim_message_kind kind, int from, int to)
{
	if (s->cut[from][to] || (!s->calm && sim_chance(s, 1)))
		return NULL;
	for (int i = 0; i < SIM_MESSAGES; i++) {
		struct sim_message *m = &s->message[i];
		if (m->used)
			continue;
		memset(m, 0, sizeof *m);
		m->used = true;
		m->kind = kind;
		m->from = from;
		m->to = to;
		m->at = s->now + sim_between(s, 1, s->calm ? 3 : 12);
		return m;
	}
	return NULL;
}

static void
deliver(struct sim *s, struct sim_message *m)
{
	struct sim_message copy = *m;

	m->used = false;
	if (s->cut[copy.from][copy.to])
		return;
	if (copy.to != SIM_MONITOR && !s->host[copy.to].powered)
		return;
	switch (copy.kind) {
	case MSG_REPORT:
		simmonitor_report(s, &copy);
		break;
	case MSG_REPLY:
		simkeeper_reply(s, &copy);
		break;
	case MSG_HINT:
		s->host[copy.to].report_due = s->now;
		break;
	case MSG_WAL:
		simpg_wal_arrives(s, &copy);
		break;
	case MSG_ACK:
		simpg_ack_arrives(s, &copy);
		break;
	case MSG_REGISTER:
		simmonitor_register(s, copy.from);
		break;
	}
}

static void
power(struct sim *s, int h, bool on)
{
	struct sim_host *x = &s->host[h];

	if (x->powered == on)
		return;
	sim_log(s, "fault: host %d %s", h, on ? "is back" : "dies");
	if (!on) {
		simpg_crash(s, h);
		simkeeper_kill(s, h);
		x->powered = false;
	} else {
		x->powered = true;
		simkeeper_start(s, h);
	}
}

static void
cut_some(struct sim *s, int h)
{
	int other = (int)sim_between(s, 0, s->nhosts);
	bool one_way = sim_chance(s, 25);

	if (other == s->nhosts)
		other = SIM_MONITOR;
	for (int i = 0; i <= SIM_HOSTS; i++) {
		if (i == h || (sim_chance(s, 50) && i != other))
			continue;
		s->cut[h][i] = true;
		s->cut[i][h] = !one_way;
	}
	sim_log(s, "fault: links of host %d are cut", h);
}

static void
heal(struct sim *s, int h)
{
	for (int i = 0; i <= SIM_HOSTS; i++)
		s->cut[h][i] = s->cut[i][h] = false;
	if (!s->host[h].powered)
		power(s, h, true);
	else if (!s->host[h].keeper_up)
		simkeeper_start(s, h);
}

static int
quorum_standbys(const struct fsm_group *g)
{
	int q = 0;

	for (int i = 0; i < g->n; i++)
		q += g->node[i].quorum && g->node[i].id != g->writer;
	return q;
}

static void
operator_acts(struct sim *s)
{
	int want;
	struct fsm_node *n = &s->group.node[sim_between(s, 0, s->group.n - 1)];
	struct fsm_group *g = &s->group;

	switch (sim_between(s, 0, 6)) {
	case 0:
		simmonitor_ask(s, FSM_REQ_FAILOVER, 0);
		break;
	case 1:
		simmonitor_ask(s, FSM_REQ_PROMOTION, n->id);
		break;
	case 2:
		simmonitor_ask(s, FSM_REQ_MAINTENANCE_ON, n->id);
		break;
	case 3:
		for (int i = 0; i < g->n; i++)
			if (g->node[i].goal == FSM_MAINTENANCE)
				n = &g->node[i];
		simmonitor_ask(s, FSM_REQ_MAINTENANCE_OFF, n->id);
		break;
	case 4:
		n->priority = (int)sim_between(s, 1, 3) * 25;
		g->dirty = true;
		sim_log(s, "operator: priority of node %lld is %d", (long long)n->id,
		    n->priority);
		break;
	case 5:
		if ((want = (int)sim_between(s, 0, 2)) > 0 &&
		    quorum_standbys(g) < want + 1)
			break; /* the SQL function refuses it */
		g->nss = want;
		g->dirty = true;
		sim_log(s, "operator: number_sync_standbys is %d", g->nss);
		break;
	default:
		if (n->quorum && g->nss > 0 && quorum_standbys(g) - 1 < g->nss + 1)
			break; /* likewise */
		n->quorum = !n->quorum;
		g->dirty = true;
		sim_log(s, "operator: quorum of node %lld is %d", (long long)n->id,
		    n->quorum);
		break;
	}
}

static void
some_fault(struct sim *s)
{
	int h = (int)sim_between(s, 0, s->nhosts - 1);
	struct sim_host *x = &s->host[h];
	int64_t heal_at = s->now + sim_between(s, 50, sim_chance(s, 20) ? 60000 : 5000);

	switch (sim_between(s, 0, 7)) {
	case 0:
		if (x->pg != FSM_PG_DOWN) {
			sim_log(s, "fault: postgres of host %d is killed", h);
			simpg_crash(s, h);
			x->crashes =
			    s->now - x->crash_at < KEEPER_CRASH_MS ? x->crashes + 1 : 1;
			x->crash_at = s->now;
		}
		break;
	case 1:
		if (x->keeper_up) {
			sim_log(s, "fault: keeper of host %d is killed", h);
			simkeeper_kill(s, h);
		}
		break;
	case 2:
		power(s, h, false);
		break;
	case 3:
	case 4:
		cut_some(s, h);
		break;
	case 5:
		if (s->monitor_up)
			simmonitor_crash(s);
		break;
	default:
		if (s->group.n)
			operator_acts(s);
		return;
	}
	if (heal_at > s->heal_at[h])
		s->heal_at[h] = heal_at;
}

static void
faults(struct sim *s)
{
	if (!s->calm && s->now >= s->fault_at) {
		s->fault_at =
		    s->now + sim_between(s, 200, sim_chance(s, 50) ? 2000 : 20000);
		some_fault(s);
	}
	for (int h = 0; h < s->nhosts; h++)
		if (s->heal_at[h] && s->now >= s->heal_at[h]) {
			s->heal_at[h] = 0;
			heal(s, h);
		}
	if (!s->monitor_up && (s->calm || sim_chance(s, 2)))
		simmonitor_start(s);
}

/* Operators clean up, too: what they left in maintenance or out of the quorum comes back.
 */
static void
calm(struct sim *s)
{
	s->calm = true;
	sim_log(s, "calm: faults end");
	for (int h = 0; h < s->nhosts; h++) {
		s->heal_at[h] = 0;
		heal(s, h);
	}
}

static void
tidy(struct sim *s)
{
	for (int i = 0; i < s->group.n; i++) {
		struct fsm_node *n = &s->group.node[i];
		if (n->reported == FSM_MAINTENANCE && n->goal == FSM_MAINTENANCE)
			simmonitor_ask(s, FSM_REQ_MAINTENANCE_OFF, n->id);
	}
}

static bool
converged(const struct sim *s)
{
	int writers = 0;

	if (s->group.n != s->nhosts || s->group.op.kind != FSM_OP_NONE)
		return false;
	for (int i = 0; i < s->group.n; i++) {
		const struct fsm_node *n = &s->group.node[i];
		if (n->reported != n->goal)
			return false;
		if (n->id == s->group.writer &&
		    (n->goal == FSM_PRIMARY || n->goal == FSM_WAIT_PRIMARY ||
			n->goal == FSM_SINGLE))
			writers++;
		else if (n->goal != FSM_SECONDARY)
			return false;
	}
	return writers == 1 && s->now - s->last_ack_at < 1000;
}

/* One millisecond of the world; quiet ones are skipped. */
static void
tick(struct sim *s)
{
	faults(s);
	for (int i = 0; i < SIM_MESSAGES; i++)
		if (s->message[i].used && s->message[i].at <= s->now)
			deliver(s, &s->message[i]);
	for (int h = 0; h < s->nhosts; h++) {
		simpg_step(s, h);
		simkeeper_step(s, h);
	}
	sim_acks_check(s);
	for (int c = 0; c < SIM_CLIENTS; c++)
		if (s->now >= s->client[c].next_at)
			sim_client_step(s, c);
	simmonitor_step(s);
}

static void
world(struct sim *s, uint64_t seed, int hosts, bool verbose)
{
	memset(s, 0, sizeof *s);
	s->seed = seed;
	s->rng = seed * 2654435761u + 88172645463325252u;
	s->nhosts = hosts;
	s->verbose = verbose;
	s->now = 1000;
	for (int h = 0; h < hosts; h++) {
		s->host[h].used = s->host[h].powered = true;
		s->host[h].stream_from = -1;
		s->host[h].pg = FSM_PG_DOWN;
		s->host[h].disk.current = s->host[h].disk.goal = FSM_INIT;
		simkeeper_start(s, h);
		s->host[h].report_due = s->now + 200 * h;
	}
	snprintf(s->group.formation, sizeof s->group.formation, "default");
	s->group.secondary_allowed = true;
	fsm_settings_default(&s->group.settings);
	simmonitor_start(s);
	for (int i = 0; i < 50; i++)
		sim_random(s);
	s->fault_at = s->now + sim_between(s, 500, 15000);
	s->fault_end = s->now + 90000;
}

/* Every write that was promised is held by whoever writes now. */
static void
nothing_lost(struct sim *s)
{
	int w = sim_host_of(s, s->group.writer);
	int lost = 0;

	for (int i = 0; w >= 0 && i < s->nacked; i++)
		if (!wal_has(&s->host[w].wal, s->acked[i].uid, s->acked[i].lsn))
			lost++;
	if (lost)
		sim_fail(s, "NOLOSS: %d of %d acknowledged writes are not on host %d",
		    lost, s->nacked, w);
}

bool
sim_run(struct sim *s, uint64_t seed, int hosts, bool verbose)
{
	int64_t good_since = 0;

	world(s, seed, hosts, verbose);
	while (!s->failure[0]) {
		s->now += 2;
		tick(s);
		if (!s->calm && s->now >= s->fault_end)
			calm(s);
		if (!s->calm)
			continue;
		if (s->now % 1000 < 2)
			tidy(s);
		if (!converged(s))
			good_since = 0;
		else if (!good_since)
			good_since = s->now;
		else if (s->now - good_since > 2000)
			break;
		if (s->now > s->fault_end + 120000) {
			char why[FSM_TEXT_MAX] = "";
			monitor_explain(&s->group, why, sizeof why);
			sim_fail(s, "STUCK: %s", why);
			for (int i = 0; i < s->group.n; i++)
				sim_log(s, "node %lld: %s, goal %s",
				    (long long)s->group.node[i].id,
				    fsm_state_name(s->group.node[i].reported),
				    fsm_state_name(s->group.node[i].goal));
		}
	}
	if (!s->failure[0])
		nothing_lost(s);
	return !s->failure[0];
}
