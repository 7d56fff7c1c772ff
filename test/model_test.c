/* Explores small groups exhaustively: the real brain against every order of events. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/model.h"
#include "test/tap.h"

#include "ini/ban.h"

/*
 *	test/model_test			what make check runs
 *	test/model_test -L		what make check-long runs
 *	test/model_test -n 2 -f 3 -o 2 -c 2 [-d 1] [-b GUARD]
 *			 [-gklprtuvw] [-s SECONDS] [-m MILLIONS] [-S SEED]
 *
 * One run: -n nodes, -f faults, -d late reports, -o operator's steps, -c
 * commits; -g from the creation of the group on, -l without liveness, -b with
 * a guard of the brain taken out, -r with reports of older sessions, -w
 * without the guard of the lease, -v tells of each layer, -t prints the story;
 * -p takes time to pass only when nothing is left to do, -u leaves nothing out,
 * -k walks at random, from this seed on.
 */
static struct m_limits limits = { .liveness = true };
static bool walks;

/* States of the walks with all guards in place: no less than any negative test has. */
#define WALKED 200000
#define WALKED_LONG 10000000

/* A group that was built and has come to rest. */
static bool
settled_group(struct m_world *w)
{
	m_first(w);
	w->faults = w->delays = w->ops = w->commits = 0;
	for (int round = 0; round < 60; round++)
		if (!m_fair_round(w, round, getenv("MODEL_BUILD") != NULL))
			break;
	w->faults = (uint8_t)m_run.faults;
	w->delays = (uint8_t)m_run.delays;
	w->ops = (uint8_t)m_run.ops;
	w->commits = (uint8_t)m_run.commits;
	return m_is_good(w) && !m_broken.name;
}

static bool
explore(const char *what, struct m_result *r)
{
	struct m_world root[2];
	uint64_t broken = fsm_broken_guards;
	bool built;

	fsm_broken_guards = 0; /* the group was built by one that is whole */
	built = settled_group(&root[0]);
	fsm_broken_guards = broken;

	if (!built) {
		OK(false, "%s: a group is built", what);
		if (m_broken.name)
			tap_note("%s: %s", m_broken.name, m_broken.text);
		m_print_world(&root[0]);
		return false;
	}
	m_first(&root[1]);
	m_canonical(&root[1]);
	if (walks)
		m_walks(&root[limits.creation], &limits, r);
	else
		m_search(root, 1 + limits.creation, &limits, r);
	tap_note("%s: %lld states of %lld places, depth %d, %.1f s, %lld decisions%s",
	    what, r->states, r->places, r->depth, r->seconds, m_decisions_made,
	    r->whole ? "" : ", not all");
	m_decisions_made = 0;
	return true;
}

static int
guard_find(const char *name)
{
	for (int i = 0; i < FSM_GUARD_COUNT; i++)
		if (strcmp(fsm_guard_list[i].name, name) == 0)
			return i;
	return -1;
}

/* What the adversary may do: its budget in one exploration. */
struct budget {
	int nodes, faults, delays, ops, commits;
	bool creation;
};

static void
spend(const struct budget *b)
{
	m_run = (struct m_config_of_run){ .nodes = b->nodes,
		.faults = b->faults,
		.delays = b->delays,
		.ops = b->ops,
		.commits = b->commits,
		.lsn_unit = 1 << 20,
		.guarded_lease = true };
	limits.creation = b->creation;
}

static void
describe(char *to, size_t size)
{
	snprintf(to, size, "%d nodes%s, %d faults, %d late, %d operations, %d commits",
	    m_run.nodes, limits.creation ? " from nothing" : "", m_run.faults,
	    m_run.delays, m_run.ops, m_run.commits);
}

/* Nothing that must not happen happens, and from everywhere it ends well. */
static bool
holds(void)
{
	struct m_result r;
	char what[100];

	describe(what, sizeof what);
	if (!explore(what, &r))
		return false;
	OK(!r.broken && (r.whole || limits.seconds > 0 || limits.states > 0), "%s", what);
	if (r.broken)
		tap_note("%s in %d steps, seed %llu", r.broken, r.steps,
		    (unsigned long long)r.seed);
	return !r.broken;
}

static const struct budget check_list[] = {
	{ .nodes = 2, .faults = 1, .commits = 1, .creation = true },
	{ .nodes = 2, .ops = 1, .commits = 1, .creation = true },
	{ .nodes = 2, .faults = 1, .delays = 1, .commits = 1 },
	{ .nodes = 2, .faults = 2, .commits = 1 },
	{ .nodes = 2, .faults = 1, .ops = 1, .commits = 1 },
	{ .nodes = 2, .ops = 2, .commits = 1 },
};

static const struct budget long_list[] = {
	{ .nodes = 2,
	    .faults = 1,
	    .delays = 1,
	    .ops = 1,
	    .commits = 1,
	    .creation = true },
	{ .nodes = 2, .faults = 2, .delays = 1, .commits = 1 },
	{ .nodes = 2, .faults = 1, .delays = 1, .ops = 1, .commits = 1 },
	{ .nodes = 2, .delays = 1, .ops = 2, .commits = 1 },
	{ .nodes = 2, .faults = 2, .ops = 1 },
	{ .nodes = 2, .faults = 1, .ops = 2 },
	{ .nodes = 2, .faults = 3 },
};

/* What random walks may do, in make check and in make check-long. */
static const struct budget walk_list[] = {
	{ .nodes = 2, .faults = 4, .delays = 1, .ops = 2, .commits = 2 },
	{ .nodes = 3, .faults = 4, .delays = 1, .ops = 2, .commits = 2 },
};

/*
 * Defects of the field, each kept away by a guard: without the guard the checker must
 * find it, or the checker is blind. Those without a number of states are found by
 * following all courses of events. The others are found by walks: by the one with this
 * seed, or, when rules have changed and it takes another course, by one of as many as
 * visit that many states (and its seed is to be written down here). With the guard in
 * place the walk that found it finds nothing.
 */
static const struct blind {
	const char *guard;
	struct budget budget;
	uint64_t seed;
	long long states;
} blind_list[] = {
	{ "stop_from_anywhere", { .nodes = 2, .faults = 2, .commits = 1 }, 0, 0 },
	{ "stops_of_this_op", { .nodes = 2, .faults = 2, .commits = 1 }, 0, 0 },
	{ "self_fence_returns", { 2, 4, 1, 2, 2, false }, 0, 100000 },
	{ "lease_runs_out", { 2, 4, 1, 2, 2, false }, 2495, 1000000 },
	{ "removed_stops", { 2, 4, 1, 2, 2, false }, 472, 200000 },
	{ "give_up_candidate", { 2, 4, 1, 2, 2, false }, 30, 100000 },
	{ "old_writer_demoted", { 2, 4, 1, 2, 2, false }, 12, 100000 },
	{ "joint_configs", { 3, 4, 1, 2, 2, false }, 152, 200000 },
	{ "config_confirmed", { 3, 4, 1, 2, 2, false }, 48, 100000 },
	{ "votes_complete", { 3, 4, 1, 2, 2, false }, 28, 100000 },
	{ "source_is_other", { 3, 4, 1, 2, 2, false }, 28, 100000 },
	{ "frozen_until_seen", { 3, 4, 1, 2, 2, false }, 123, 100000 },
	{ "writers_start", { 3, 4, 1, 2, 2, false }, 3297, 1000000 },
	{ "stable_is_seen", { 3, 5, 1, 2, 2, false }, 302, 1000000 },
	{ "one_lineage", { 3, 5, 1, 2, 2, false }, 258, 1000000 },
	{ "stopped_first", { 3, 5, 1, 2, 2, false }, 28034, 1000000 },
	{ "excluded_stays_out", { 3, 5, 1, 2, 2, false }, 2054, 1000000 },
};

static bool
is_seen(const struct blind *b, uint64_t seed, long long states, struct m_result *r)
{
	limits.seed = seed;
	limits.states = states;
	walks = b->states > 0;
	return explore(b->guard, r) && r->broken;
}

static void
must_be_found(const struct blind *b)
{
	struct m_result r, whole = { 0 };

	spend(&b->budget);
	limits.trace = false;
	fsm_broken_guards = 1ULL << guard_find(b->guard);
	if (!is_seen(b, b->seed, b->states > 0, &r) && b->states > 0)
		is_seen(b, 0, b->states, &r);
	fsm_broken_guards = 0;
	if (r.broken && b->states > 0 && is_seen(b, r.seed, 1, &whole))
		tap_note("and with the guard: %s", whole.broken);
	if (OK(r.broken && !whole.broken, "without the guard %s a violation is found",
		b->guard))
		tap_note("guard %s: found %s in %d steps, seed %llu", b->guard, r.broken,
		    r.steps, (unsigned long long)r.seed);
	limits.states = 0;
	limits.seed = 0;
	walks = false;
}

/* What no walk of a million states has shown: another guard stands before it, or the
 * model is too small. */
static void
tell_unseen(void)
{
	for (int g = 0; g < FSM_GUARD_COUNT; g++) {
		bool listed = false;

		for (size_t i = 0; i < sizeof blind_list / sizeof *blind_list; i++)
			listed |=
			    strcmp(blind_list[i].guard, fsm_guard_list[g].name) == 0;
		if (!listed)
			tap_note("guard %s: has no negative test: %s",
			    fsm_guard_list[g].name, fsm_guard_list[g].text);
	}
}

/* Random walks with all guards in place. */
static void
walk_all(long long states)
{
	walks = true;
	for (size_t i = 0; i < sizeof walk_list / sizeof *walk_list; i++) {
		spend(&walk_list[i]);
		limits.states = states;
		if (!holds())
			limits.trace = false;
	}
	limits.states = 0;
	walks = false;
}

static int
run_list(const struct budget *list, size_t n, long long walked)
{
	for (size_t i = 0; i < n; i++) {
		spend(&list[i]);
		if (!holds())
			limits.trace = false; /* one story is enough */
	}
	walk_all(walked);
	for (size_t i = 0; i < sizeof blind_list / sizeof *blind_list; i++)
		must_be_found(&blind_list[i]);
	tell_unseen();
	return tap_done();
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: model_test [-n nodes] [-f faults] [-o operations] [-c commits]"
	    " [-b guard] [-s seconds] [-lvt]\n");
	return 2;
}

static int
one_run(const char *guard)
{
	if (guard) {
		if (guard_find(guard) < 0) {
			fprintf(stderr, "no such guard: %s\n", guard);
			return 2;
		}
		fsm_broken_guards = 1ULL << guard_find(guard);
	}
	holds();
	return tap_done();
}

static int
number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

static bool
option(int c, const char *value, const char **guard)
{
	switch (c) {
	case 'n':
		m_run.nodes = number(value);
		return m_run.nodes >= 1 && m_run.nodes <= M_NODES;
	case 'f':
		m_run.faults = number(value);
		return true;
	case 'd':
		m_run.delays = number(value);
		return true;
	case 'o':
		m_run.ops = number(value);
		return true;
	case 'c':
		m_run.commits = number(value);
		return true;
	case 'b':
		*guard = value;
		return true;
	case 's':
		limits.seconds = number(value);
		return true;
	case 'S':
		limits.seed = (uint64_t)strtoull(value, NULL, 10);
		return true;
	case 'm':
		limits.states = (long long)number(value) * 1000000;
		return true;
	default:
		return false;
	}
}

static bool
flag(int c)
{
	switch (c) {
	case 'g':
		limits.creation = true;
		return true;
	case 'l':
		limits.liveness = false;
		return true;
	case 'r':
		m_run.late_reports = true;
		return true;
	case 't':
		limits.trace = true;
		return true;
	case 'v':
		limits.verbose = true;
		return true;
	case 'p':
		m_run.prompt = true;
		return true;
	case 'u':
		m_run.unreduced = true;
		return true;
	case 'w':
		m_run.guarded_lease = false;
		return true;
	case 'k':
		walks = true;
		return true;
	default:
		return false;
	}
}

int
main(int argc, char **argv)
{
	const char *guard = NULL;
	int c;

	if (argc == 1)
		limits.trace = true;
	if (argc == 1)
		return run_list(
		    check_list, sizeof check_list / sizeof *check_list, WALKED);
	if (argc == 2 && strcmp(argv[1], "-L") == 0)
		return run_list(
		    long_list, sizeof long_list / sizeof *long_list, WALKED_LONG);
	spend(&(struct budget){ .nodes = 2, .faults = 1, .ops = 1, .commits = 1 });
	while ((c = getopt(argc, argv, "n:f:d:o:c:b:s:S:m:gklprtuvw")) != -1)
		if (!option(c, optarg, &guard) && !flag(c))
			return usage();
	return one_run(guard);
}
