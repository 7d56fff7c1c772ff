/* The checker's other search: random walks, deeper than all courses of events can be
 * followed. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/model.h"

#include "ini/ban.h"

/* A step that costs something of the adversary's budget is taken once in so many. */
#define COSTLY_ONE_IN 12
#define STEPS_MAX 400
/* After so many steps it is seen whether the world comes to a good end. */
#define SETTLE_EVERY 4

struct pick {
	uint64_t rng;
	const struct m_world *from;
	uint32_t free_seen, costly_seen;
	struct m_world free, costly;
	struct m_label free_label, costly_label;
	struct m_broken broken; /* by one of the steps */
	struct m_world broken_to;
	struct m_label broken_label;
};

static uint32_t
random_below(uint64_t *rng, uint32_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (uint32_t)((*rng >> 32) * n >> 32);
}

/* One of all steps, each as likely as another, of those that cost and of those that do
 * not. */
static void
consider(void *arg, struct m_world *to, const struct m_label *label)
{
	struct pick *p = arg;
	const struct m_world *from = p->from;
	bool costly =
	    to->faults < from->faults || to->ops < from->ops || to->delays < from->delays;
	uint32_t *seen = costly ? &p->costly_seen : &p->free_seen;

	if (m_broken.name && !p->broken.name) {
		p->broken = m_broken;
		p->broken_to = *to;
		p->broken_label = *label;
	}
	memset(&m_broken, 0, sizeof m_broken);
	if (random_below(&p->rng, ++*seen) != 0)
		return;
	*(costly ? &p->costly : &p->free) = *to;
	*(costly ? &p->costly_label : &p->free_label) = *label;
}

struct walk {
	const struct m_limits *limits;
	struct m_result *result;
	struct pick pick;
	struct m_world at;
	int steps;
};

static void
tell(struct walk *k, const struct m_world *before, const struct m_label *label)
{
	if (!k->limits->trace)
		return;
	printf("# %3d ", k->steps);
	m_print_label(before, label);
	m_print_world(&k->at);
}

static bool
is_broken(struct walk *k)
{
	if (!m_broken.name)
		return false;
	if (strcmp(m_broken.name, "MODEL") ==
	    0) { /* its numbers are small: the walk ends */
		memset(&m_broken, 0, sizeof m_broken);
		return true;
	}
	k->result->broken = m_broken.name;
	k->result->steps = k->steps;
	if (k->limits->trace)
		printf("# %s: %s\n", m_broken.name, m_broken.text);
	memset(&m_broken, 0, sizeof m_broken);
	return true;
}

/* False at a violation, or where nothing can happen. */
static bool
step(struct walk *k)
{
	struct pick *p = &k->pick;
	struct m_world before = k->at;
	struct m_label label;
	bool costly;

	p->from = &before;
	p->free_seen = p->costly_seen = 0;
	m_expand(&before, consider, p);
	if (p->free_seen + p->costly_seen == 0)
		return false;
	costly = p->free_seen == 0 ||
		 (p->costly_seen > 0 && random_below(&p->rng, COSTLY_ONE_IN) == 0);
	k->at = costly ? p->costly : p->free;
	label = costly ? p->costly_label : p->free_label;
	if (p->broken.name) {
		k->at = p->broken_to;
		label = p->broken_label;
		m_broken = p->broken;
		memset(&p->broken, 0, sizeof p->broken);
	}
	k->steps++;
	k->result->states++;
	m_canonical(&k->at);
	if (!m_broken.name)
		m_check(&k->at);
	tell(k, &before, &label);
	return !is_broken(k);
}

static bool
ends_well(struct walk *k)
{
	k->result->settled++;
	if (m_settles(&k->at, false))
		return true;
	if (!m_broken.name)
		m_break("STUCK", "without faults it does not come to a good end");
	if (is_broken(k) && k->limits->trace) {
		printf("# and then, with everything healed:\n");
		m_settles(&k->at, true);
		memset(&m_broken, 0, sizeof m_broken);
	}
	return false;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* From the root until something is wrong, or long enough. The seed says which way. */
static void
one_walk(struct walk *k, const struct m_world *root, uint64_t seed)
{
	memset(&k->pick, 0, sizeof k->pick);
	k->pick.rng = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
	k->at = *root;
	k->steps = 0;
	while (k->steps < STEPS_MAX && step(k))
		if (k->limits->liveness && k->steps % SETTLE_EVERY == 0 && !ends_well(k))
			return;
}

/*
 * Walks from the root until the time is over, the number of states is reached, or a
 * property does not hold; the walk that found it is told again where a trace is wanted.
 */
void
m_walks(
    const struct m_world *root, const struct m_limits *limits, struct m_result *result)
{
	struct m_limits quiet = *limits;
	struct walk k = { .limits = &quiet, .result = result };
	double began = now();
	uint64_t seed;

	memset(result, 0, sizeof *result);
	memset(&m_broken, 0, sizeof m_broken);
	m_forget_settled();
	quiet.trace = false;
	for (seed = limits->seed; !result->broken; seed++) {
		if (limits->seconds > 0 && now() - began > limits->seconds)
			break;
		if (limits->states && result->states >= limits->states)
			break;
		one_walk(&k, root, seed);
		if (k.steps > result->depth)
			result->depth = k.steps;
	}
	result->seconds = now() - began;
	result->seed = result->broken ? seed - 1 : seed;
	if (result->broken && limits->trace) {
		m_forget_settled();
		quiet.trace = true;
		m_print_world(root);
		one_walk(&k, root, seed - 1);
	}
}
