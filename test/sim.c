/* The simulated world's clock, network, faults and final judgement. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "test/sim.h"

#include "ini/ban.h"

/* In this time everything must be in its place when faults have ended. */
#define RECOVERY_MS 75000

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
		if (i < s->nmessages && s->message_at[i] != SIM_NEVER)
			continue;
		if (i == s->nmessages)
			s->nmessages++;
		memset(m, 0, sizeof *m);
		m->kind = kind;
		m->from = from;
		m->to = to;
		s->message_at[i] = s->now + sim_between(s, 1, s->calm ? 3 : 12);
		if (s->message_at[i] < s->message_next)
			s->message_next = s->message_at[i];
		return m;
	}
	return NULL;
}

void
sim_unsend(struct sim *s, const struct sim_message *m)
{
	s->message_at[m - s->message] = SIM_NEVER;
}

static void
deliver(struct sim *s, const struct sim_message *m)
{
	if (s->cut[m->from][m->to])
		return;
	if (m->to != SIM_MONITOR && !s->host[m->to].powered)
		return;
	switch (m->kind) {
	case MSG_REPORT:
		simmonitor_report(s, m);
		break;
	case MSG_REPLY:
		simkeeper_reply(s, m);
		break;
	case MSG_HINT:
		s->host[m->to].report_due = s->now;
		break;
	case MSG_WAL:
		simpg_wal_arrives(s, m);
		break;
	case MSG_ACK:
		simpg_ack_arrives(s, m);
		break;
	case MSG_REGISTER:
		simmonitor_register(s, m->from);
		break;
	}
}

static void
deliver_all(struct sim *s)
{
	if (s->now < s->message_next)
		return;
	for (int i = 0; i < s->nmessages; i++) {
		struct sim_message copy;

		if (s->message_at[i] > s->now)
			continue;
		copy = s->message[i];
		s->message_at[i] = SIM_NEVER;
		deliver(s, &copy);
	}
	while (s->nmessages > 0 && s->message_at[s->nmessages - 1] == SIM_NEVER)
		s->nmessages--;
	s->message_next = SIM_NEVER;
	for (int i = 0; i < s->nmessages; i++)
		if (s->message_at[i] < s->message_next)
			s->message_next = s->message_at[i];
}

void
sim_power(struct sim *s, int h, bool on)
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
	bool out = true;
	bool in = true;

	if (sim_chance(s, 30)) /* one way only */
		*(sim_chance(s, 50) ? &out : &in) = false;
	if (other == s->nhosts)
		other = SIM_MONITOR;
	for (int i = 0; i <= SIM_HOSTS; i++) {
		if (i == h || (sim_chance(s, 50) && i != other))
			continue;
		s->cut[h][i] |= out;
		s->cut[i][h] |= in;
	}
	sim_log(s, "fault: links of host %d are cut%s", h,
	    out && in ? ""
	    : out     ? ", nothing comes from it"
		      : ", nothing comes to it");
}

static void
heal(struct sim *s, int h)
{
	for (int i = 0; i <= SIM_HOSTS; i++)
		s->cut[h][i] = s->cut[i][h] = false;
	if (!s->host[h].powered)
		sim_power(s, h, true);
	else if (!s->host[h].keeper_up)
		simkeeper_start(s, h);
}

/* A link that comes and goes faster than anybody can settle. */
static void
flap(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	bool over = s->now >= x->flap_until;

	if (!x->flap_until || s->now < x->flap_at)
		return;
	x->flap_at = s->now + sim_between(s, 50, sim_chance(s, 30) ? 4000 : 800);
	for (int i = 0; i <= SIM_HOSTS; i++)
		if (i != h && (x->flap_with == i || x->flap_with > SIM_HOSTS))
			s->cut[h][i] = s->cut[i][h] = !over && !s->cut[h][i];
	if (over)
		x->flap_until = 0;
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
ask_maintenance_end(struct sim *s, const struct fsm_node *n)
{
	for (int i = 0; i < s->group.n; i++)
		if (s->group.node[i].goal == FSM_MAINTENANCE)
			n = &s->group.node[i];
	simmonitor_ask(s, FSM_REQ_MAINTENANCE_OFF, n->id);
}

static int
members(const struct sim *s)
{
	int n = 0;

	for (int i = 0; i < s->group.n; i++)
		n += s->group.node[i].goal != FSM_DROPPED;
	return n;
}

/* Is there another node that has all of what the writer had? */
static bool
has_heir(const struct sim *s)
{
	for (int i = 0; i < s->group.n; i++)
		if (s->group.node[i].reported == FSM_SECONDARY &&
		    s->group.node[i].goal == FSM_SECONDARY)
			return true;
	return false;
}

/* Whoever is removed by force is dead: that is what the operator vouches for. */
static void
ask_remove(struct sim *s, const struct fsm_node *n)
{
	int h = sim_host_of(s, n->id);
	bool dead = h >= 0 && !s->host[h].powered;

	if (members(s) < 3 || h < 0 || (dead && !s->may_permit) ||
	    !simmonitor_ask(s, FSM_REQ_REMOVE, n->id))
		return;
	s->careless |= n->id == s->group.writer && !has_heir(s);
	s->group.request.force = dead;
	s->permitted |= dead;
}

static void
change_settings(struct sim *s, struct fsm_node *n)
{
	struct fsm_group *g = &s->group;
	int want = (int)sim_between(s, 0, 3);

	switch (sim_between(s, 0, 2)) {
	case 0:
		n->priority = want * 25;
		break;
	case 1:
		if (want > 2 || (want > 0 && quorum_standbys(g) < want + 1))
			return; /* the SQL function refuses it */
		g->nss = want;
		break;
	default:
		if (n->quorum && g->nss > 0 && quorum_standbys(g) - 1 < g->nss + 1)
			return; /* likewise */
		n->quorum = !n->quorum;
	}
	g->dirty = true;
	s->durable = *g;
	sim_log(s, "operator: node %lld has priority %d, quorum %d; %d standbys confirm",
	    (long long)n->id, n->priority, n->quorum, g->nss);
}

static void
operator_acts(struct sim *s)
{
	struct fsm_node *n = &s->group.node[sim_between(s, 0, s->group.n - 1)];

	switch (sim_between(s, 0, 8)) {
	case 0:
		if (simmonitor_ask(s, FSM_REQ_FAILOVER, 0) && s->may_permit &&
		    sim_chance(s, 50))
			s->permitted = s->group.request.allow_loss = true;
		break;
	case 1:
		simmonitor_ask(s, FSM_REQ_PROMOTION, n->id);
		break;
	case 2:
		simmonitor_ask(s, FSM_REQ_MAINTENANCE_ON, n->id);
		break;
	case 3:
		ask_maintenance_end(s, n);
		break;
	case 4:
		ask_remove(s, n);
		break;
	default:
		change_settings(s, n);
		break;
	}
}

static void
kill_postgres(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];

	if (x->pg == FSM_PG_DOWN)
		return;
	sim_log(s, "fault: postgres of host %d is killed", h);
	simpg_crash(s, h);
	x->crashes = s->now - x->crash_at < KEEPER_CRASH_MS ? x->crashes + 1 : 1;
	x->crash_at = s->now;
}

/* Nothing is broken, but nothing works as it should. */
static void
trouble(struct sim *s, int h)
{
	struct sim_host *x = &s->host[h];
	int64_t until = s->now + sim_between(s, 1000, 30000);

	switch (sim_between(s, 0, 3)) {
	case 0:
		x->slow_until = until;
		sim_log(s, "fault: host %d is slow", h);
		break;
	case 1:
		x->failing_until = until;
		sim_log(s, "fault: on host %d everything fails", h);
		break;
	case 2:
		x->flap_until = until;
		x->flap_at = s->now;
		x->flap_with = (int)sim_between(s, 0, s->nhosts + 1);
		if (x->flap_with == s->nhosts)
			x->flap_with = SIM_MONITOR;
		else if (x->flap_with > s->nhosts)
			x->flap_with = SIM_HOSTS + 1;
		sim_log(s, "fault: links of host %d come and go", h);
		break;
	default:
		if (!x->act.on)
			break;
		x->act.next_at = until;
		sim_log(s, "fault: host %d hangs in %s", h, fsm_act_name(x->act.act));
	}
}

static void
some_fault(struct sim *s)
{
	int h = (int)sim_between(s, 0, s->nhosts - 1);
	struct sim_host *x = &s->host[h];
	int64_t heal_at = s->now + sim_between(s, 50, sim_chance(s, 20) ? 60000 : 5000);

	switch (sim_between(s, 0, 9)) {
	case 0:
		kill_postgres(s, h);
		break;
	case 1:
		if (x->keeper_up) {
			sim_log(s, "fault: keeper of host %d is killed", h);
			simkeeper_kill(s, h);
		}
		break;
	case 2:
		sim_power(s, h, false);
		break;
	case 3:
	case 4:
		cut_some(s, h);
		break;
	case 5:
		if (s->monitor_up)
			simmonitor_crash(s);
		break;
	case 6:
	case 7:
		trouble(s, h);
		return;
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
	for (int h = 0; h < s->nhosts; h++) {
		flap(s, h);
		if (s->heal_at[h] && s->now >= s->heal_at[h]) {
			s->heal_at[h] = 0;
			heal(s, h);
		}
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
		s->heal_at[h] = s->host[h].flap_until = 0;
		s->host[h].slow_until = s->host[h].failing_until = 0;
		heal(s, h);
	}
	for (int i = 0; i < s->group.n; i++)
		if (s->group.node[i].priority == 0) {
			s->group.node[i].priority = 50;
			s->group.dirty = true;
		}
}

static void
tidy(struct sim *s)
{
	for (int i = 0; i < s->group.n; i++) {
		struct fsm_node *n = &s->group.node[i];
		if (n->reported == FSM_MAINTENANCE && n->goal == FSM_MAINTENANCE)
			simmonitor_ask(s, FSM_REQ_MAINTENANCE_OFF, n->id);
		/* what is only on a node that they removed is lost */
		if ((n->reported == FSM_DROPPED || s->careless) &&
		    s->now > s->fault_end + 30000 && s->group.op.kind == FSM_OP_ELECT &&
		    simmonitor_ask(s, FSM_REQ_FAILOVER, 0))
			s->permitted = s->group.request.allow_loss = true;
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

/*
 * What was permitted to be lost is lost when a writer is at work and nobody else can be
 * written to: what this one holds is promised again.
 */
static void
promise_again(struct sim *s)
{
	int w = sim_host_of(s, s->group.writer);
	int kept = 0;

	if (w < 0 || s->group.op.kind != FSM_OP_NONE ||
	    s->group.request.kind != FSM_REQ_NONE)
		return;
	for (int h = 0; h < s->nhosts; h++)
		if ((s->host[h].pg == FSM_PG_RW && !s->host[h].door_closed) != (h == w))
			return;
	for (int i = 0; i < s->nacked; i++)
		if (wal_has(&s->host[w].wal, s->acked[i].uid, s->acked[i].lsn))
			s->acked[kept++] = s->acked[i];
	s->nacked = kept;
	if (!wal_has(&s->host[w].wal, s->last_ack_uid, s->last_ack_lsn))
		s->last_ack_uid = 0;
	s->permitted = false;
	sim_log(s, "nothing may be lost any more: host %d writes alone", w);
}

/* One millisecond of the world; quiet ones are skipped. */
static void
tick(struct sim *s)
{
	faults(s);
	deliver_all(s);
	for (int h = 0; h < s->nhosts; h++) {
		simpg_step(s, h);
		simkeeper_step(s, h);
	}
	if (s->permitted)
		promise_again(s);
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
	s->message_next = SIM_NEVER;
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
	s->may_permit = seed % 4 == 3;
	if (hosts > 2 && sim_chance(s, 30)) { /* the last one comes later */
		sim_power(s, hosts - 1, false);
		s->heal_at[hosts - 1] = s->now + sim_between(s, 2000, 80000);
	}
}

/* Every write that was promised is held by whoever writes now. */
static void
nothing_lost(struct sim *s)
{
	int w = sim_host_of(s, s->group.writer);
	int lost = 0;

	for (int i = 0; w >= 0 && !s->permitted && i < s->nacked; i++)
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
		s->recovery_ms = s->now - s->fault_end;
		if (s->recovery_ms > RECOVERY_MS) {
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

void
sim_begin(struct sim *s, uint64_t seed, int hosts)
{
	world(s, seed, hosts, false);
	s->calm = true;
	for (int h = 0; h < hosts; h++) {
		s->heal_at[h] = 0;
		sim_power(s, h, true);
	}
}

void
sim_pass(struct sim *s, int64_t ms)
{
	for (int64_t end = s->now + ms; s->now < end && !s->failure[0];) {
		s->now += 2;
		tick(s);
	}
}
