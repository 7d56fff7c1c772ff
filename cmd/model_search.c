/* The checker's search: breadth first, so that what it finds is as short as can be. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ini/mem.h"
#include "cmd/model.h"

#include "ini/ban.h"

#define MAX_STEPS 400

uint64_t
m_hash_bytes(const void *bytes, size_t n, uint64_t seed)
{
	const unsigned char *p = bytes;
	uint64_t h = seed * UINT64_C(0x9E3779B97F4A7C15) + 1, v;

	for (; n >= 8; n -= 8, p += 8) {
		memcpy(&v, p, 8);
		h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	v = 0;
	memcpy(&v, p, n);
	h = (h ^ v) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 29;
}

uint64_t
m_hash(const struct m_world *w, uint64_t seed)
{
	return m_hash_bytes(w, sizeof *w, seed);
}

/*
 * All worlds ever met, as a hash of each, without what the adversary had left to spend;
 * beside it which budgets, as a set, it was met with, or with a larger one: with more
 * to spend the adversary can do all that it could with less, so a world that was met
 * with more, at no greater depth, says nothing new. (Nothing but the adversary looks at
 * its budget.) By number: where each came from.
 */
struct seen {
	uint64_t *key;
	uint64_t *budgets;
	uint64_t mask, used;
	uint32_t *parent;  /* by number */
	uint16_t *ordinal; /* of the step that led here, among those of the parent */
	uint32_t n, room;
};

#define BUDGETS 64

struct open {
	struct m_world *w;
	uint32_t *number;
	uint32_t n, room;
};

struct search {
	struct seen seen;
	struct open now, next;
	const struct m_limits *limits;
	struct m_result *result;
	uint32_t parent;
	uint16_t ordinal;
	bool found;
	uint32_t found_at;
	bool found_dead; /* not what a step breaks, but where it does not go on */
	struct m_broken broken;
	/* of a trace: the step that is looked for */
	int wanted;
	struct m_world got;
	struct m_label label;
};

static void
put(struct seen *s, uint64_t key, uint64_t budgets)
{
	uint64_t at = key & s->mask;

	while (s->key[at])
		at = (at + 1) & s->mask;
	s->key[at] = key;
	s->budgets[at] = budgets;
	s->used++;
}

static void
rehash(struct seen *s)
{
	uint64_t size = s->mask ? s->mask + 1 : 0;
	uint64_t *key = s->key, *budgets = s->budgets;

	s->mask = (size ? size * 2 : 1 << 16) - 1;
	s->key = xcalloc(s->mask + 1, sizeof *s->key);
	s->budgets = xcalloc(s->mask + 1, sizeof *s->budgets);
	s->used = 0;
	for (uint64_t i = 0; i < size; i++)
		if (key[i])
			put(s, key[i], budgets[i]);
	free(key);
	free(budgets);
}

static void
grow(struct seen *s)
{
	s->room = s->room ? s->room * 2 : 1 << 15;
	s->parent = xrealloc(s->parent, s->room * sizeof *s->parent);
	s->ordinal = xrealloc(s->ordinal, s->room * sizeof *s->ordinal);
}

static int
count_budgets(void)
{
	return (m_run.faults + 1) * (m_run.delays + 1) * (m_run.ops + 1) *
	       (m_run.commits + 1);
}

static int
budget_of(int faults, int delays, int ops, int commits)
{
	return ((faults * (m_run.delays + 1) + delays) * (m_run.ops + 1) + ops) *
		   (m_run.commits + 1) +
	       commits;
}

/* All budgets that are no larger than that of this world, itself among them. */
static uint64_t
budgets_below(const struct m_world *w)
{
	uint64_t set = 0;

	if (count_budgets() > BUDGETS || m_run.unreduced)
		return 1;
	for (int f = 0; f <= w->faults; f++)
		for (int d = 0; d <= w->delays; d++)
			for (int o = 0; o <= w->ops; o++)
				for (int c = 0; c <= w->commits; c++)
					set |= UINT64_C(1) << budget_of(f, d, o, c);
	return set;
}

static uint64_t
key_of(const struct m_world *w)
{
	struct m_world bare = *w;

	if (count_budgets() <= BUDGETS && !m_run.unreduced)
		bare.faults = bare.delays = bare.ops = bare.commits = 0;
	return m_hash(&bare, 1) | 1;
}

static int64_t
number_it(struct seen *s, uint32_t parent, uint16_t ordinal)
{
	if (s->n == s->room)
		grow(s);
	s->parent[s->n] = parent;
	s->ordinal[s->n] = ordinal;
	return s->n++;
}

/* Its number, or -1 when it was known. */
static int64_t
remember(struct seen *s, const struct m_world *w, uint32_t parent, uint16_t ordinal)
{
	uint64_t key = key_of(w), below = budgets_below(w);
	uint64_t at;

	if (s->used * 3 >= s->mask * 2)
		rehash(s);
	for (at = key & s->mask; s->key[at]; at = (at + 1) & s->mask) {
		if (s->key[at] != key)
			continue;
		if (!(below & ~s->budgets[at]))
			return -1;
		s->budgets[at] |= below;
		return number_it(s, parent, ordinal);
	}
	put(s, key, below);
	return number_it(s, parent, ordinal);
}

static void
push(struct open *o, const struct m_world *w, uint32_t number)
{
	if (o->n == o->room) {
		o->room = o->room ? o->room * 2 : 1 << 12;
		o->w = xrealloc(o->w, o->room * sizeof *o->w);
		o->number = xrealloc(o->number, o->room * sizeof *o->number);
	}
	o->w[o->n] = *w;
	o->number[o->n++] = number;
}

static void
found(struct search *s, uint32_t at, bool dead)
{
	s->found = true;
	s->found_at = at;
	s->found_dead = dead;
	s->broken = m_broken;
	memset(&m_broken, 0, sizeof m_broken);
}

static void
meet(void *arg, struct m_world *w, const struct m_label *label)
{
	struct search *s = arg;
	int64_t number;

	(void)label;
	s->ordinal++;
	if (s->found)
		return;
	m_canonical(w);
	number = remember(&s->seen, w, s->parent, s->ordinal);
	if (!m_broken.name && number < 0)
		return;
	if (!m_broken.name)
		m_check(w);
	if (m_broken.name) {
		if (number < 0) { /* a bad step to a known place */
			number = number_it(&s->seen, s->parent, s->ordinal);
		}
		found(s, (uint32_t)number, false);
		return;
	}
	push(&s->next, w, (uint32_t)number);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool
is_enough(const struct search *s, double began)
{
	return (s->limits->states && s->seen.n >= s->limits->states) ||
	       (s->limits->seconds > 0 && now() - began > s->limits->seconds);
}

/* One layer; false when there is a reason to stop. */
static bool
layer(struct search *s, double began)
{
	for (uint32_t i = 0; i < s->now.n; i++) {
		const struct m_world *w = &s->now.w[i];

		s->parent = s->now.number[i];
		s->ordinal = 0;
		m_expand(w, meet, s);
		if (s->found)
			return false;
		if (s->limits->liveness) {
			bool fine = m_settles(w, false);

			s->result->settled++;
			if (!fine) {
				if (!m_broken.name)
					m_break("STUCK",
					    "without faults it does not come to "
					    "a good end");
				found(s, s->parent, true);
				return false;
			}
		}
		if ((i & 255) == 0 && is_enough(s, began))
			return false;
	}
	return true;
}

/* -- the story of a violation -- */

static void
pick(void *arg, struct m_world *w, const struct m_label *label)
{
	struct search *s = arg;

	if (++s->ordinal == s->wanted) {
		s->got = *w;
		s->label = *label;
	}
}

static int
path_to(const struct seen *s, uint32_t at, uint32_t *path)
{
	int n = 0;

	for (; s->parent[at] != at && n < MAX_STEPS; at = s->parent[at])
		path[n++] = at;
	path[n] = at;
	return n;
}

static void
tell(struct search *s, const struct m_world *roots, int nroots)
{
	static uint32_t path[MAX_STEPS + 1];
	int n = path_to(&s->seen, s->found_at, path);
	struct m_world w = roots[path[n] < (uint32_t)nroots ? path[n] : 0];

	s->result->steps = n;
	if (!s->limits->trace)
		return;
	printf("# %s: %s\n", s->broken.name, s->broken.text);
	m_print_world(&w);
	for (int i = n - 1; i >= 0; i--) {
		s->ordinal = 0;
		s->wanted = s->seen.ordinal[path[i]];
		m_expand(&w, pick, s);
		memset(&m_broken, 0, sizeof m_broken);
		printf("# %3d ", n - i);
		m_print_label(&w, &s->label);
		w = s->got;
		m_canonical(&w);
		m_print_world(&w);
	}
	if (s->found_dead) {
		printf("# and then, with everything healed:\n");
		m_settles(&w, true);
		memset(&m_broken, 0, sizeof m_broken);
	}
}

static void
clean(struct search *s)
{
	free(s->seen.key);
	free(s->seen.budgets);
	free(s->seen.parent);
	free(s->seen.ordinal);
	free(s->now.w);
	free(s->now.number);
	free(s->next.w);
	free(s->next.number);
}

void
m_search(const struct m_world *roots, int n, const struct m_limits *limits,
    struct m_result *result)
{
	struct search s = { .limits = limits, .result = result };
	double began = now();

	memset(result, 0, sizeof *result);
	memset(&m_broken, 0, sizeof m_broken);
	m_forget_settled();
	for (int i = 0; i < n; i++)
		push(&s.next, &roots[i],
		    (uint32_t)remember(&s.seen, &roots[i], (uint32_t)i, 0));
	while (s.next.n > 0 && !s.found) {
		struct open was = s.now;

		s.now = s.next;
		s.next = was;
		s.next.n = 0;
		if (limits->verbose)
			printf("# depth %d: %u open, %u known, %.1f s\n", result->depth,
			    s.now.n, s.seen.n, now() - began);
		if (!layer(&s, began))
			break;
		result->depth++;
	}
	result->states = s.seen.n;
	result->places = (long long)s.seen.used;
	result->whole = s.next.n == 0 && !s.found;
	result->seconds = now() - began;
	if (s.found) {
		result->broken = s.broken.name;
		tell(&s, roots, n);
	}
	clean(&s);
}
