/* Random faults on simulated groups of 2 to 9 nodes: ./test/sim_test [-s seed] [-n hosts]
 * [-c seeds] [-j processes] [-v] */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/sim.h"
#include "test/tap.h"

#include "ini/ban.h"

static struct sim world;

static int
hosts_of(uint64_t seed)
{
	static const int n[] = { 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6, 7, 8, 9 };

	return n[seed % (sizeof n / sizeof n[0])];
}

static void
tell(const struct sim *s, int hosts)
{
	int from = s->nlog > 60 ? s->nlog - 60 : 0;

	for (int i = from; i < s->nlog; i++)
		tap_note("%s", s->log[i % SIM_LOG]);
	tap_note(
	    "replay: test/sim_test -s %llu -n %d -v", (unsigned long long)s->seed, hosts);
}

struct run {
	uint64_t seed, count, step;
	int hosts, jobs;
	bool verbose;
};

struct sums {
	int failed;
	long long acks, decisions, failovers, copies, wasted, retries;
	int64_t recovery_ms;
	uint64_t slowest;
};

static void
add(struct sums *t, const struct sim *s)
{
	t->acks += s->acks_total;
	t->decisions += s->decisions;
	t->failovers += s->failovers;
	t->copies += s->copies;
	t->wasted += s->copies - s->copies_ended;
	t->retries += s->retries;
	if (s->recovery_ms > t->recovery_ms) {
		t->recovery_ms = s->recovery_ms;
		t->slowest = s->seed;
	}
}

static void
run_all(const struct run *r, struct sums *t)
{
	for (uint64_t k = r->seed; k < r->seed + r->count && t->failed < 5;
	     k += r->step) {
		int n = r->hosts ? r->hosts : hosts_of(k);

		if (!sim_run(&world, k, n, r->verbose)) {
			t->failed++;
			OK(false, "seed %llu, %d hosts: %s", (unsigned long long)k, n,
			    world.failure);
			tell(&world, n);
		}
		add(t, &world);
	}
}

/* One of several processes; its sums go through the pipe. */
static int
run_job(struct run r, int job, int to)
{
	struct sums t = { 0 };

	r.seed += (uint64_t)job;
	r.count -= r.count < (uint64_t)job ? r.count : (uint64_t)job;
	r.step = (uint64_t)r.jobs;
	run_all(&r, &t);
	fflush(stdout);
	return write(to, &t, sizeof t) == (ssize_t)sizeof t ? 0 : 1;
}

static void
sum_up(struct sums *t, const struct sums *o)
{
	t->failed += o->failed;
	t->acks += o->acks;
	t->decisions += o->decisions;
	t->failovers += o->failovers;
	t->copies += o->copies;
	t->wasted += o->wasted;
	t->retries += o->retries;
	if (o->recovery_ms > t->recovery_ms) {
		t->recovery_ms = o->recovery_ms;
		t->slowest = o->slowest;
	}
}

static void
run_jobs(const struct run *r, struct sums *t)
{
	int fd[2];
	struct sums o;

	if (pipe(fd) != 0)
		return;
	for (int i = 0; i < r->jobs; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(run_job(*r, i, fd[1]));
		if (pid < 0)
			OK(false, "process %d", i);
	}
	close(fd[1]);
	for (int i = 0; i < r->jobs; i++)
		if (!OK(read(fd[0], &o, sizeof o) == (ssize_t)sizeof o,
			"one of %d processes comes to its end", r->jobs))
			t->failed++;
		else
			sum_up(t, &o);
	close(fd[0]);
	while (wait(NULL) > 0)
		;
}

static void
options(struct run *r, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			r->verbose = true;
		else if (i + 1 < argc && strcmp(argv[i], "-s") == 0) {
			r->seed = strtoull(argv[++i], NULL, 10);
			r->count = 1;
		} else if (i + 1 < argc && strcmp(argv[i], "-n") == 0)
			r->hosts = (int)strtol(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "-c") == 0)
			r->count = strtoull(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "-j") == 0)
			r->jobs = (int)strtol(argv[++i], NULL, 10);
	}
}

/* What is printed to replay a seed must tell the same story, whatever ran before. */
static bool
same_again(uint64_t seed, int hosts)
{
	int64_t end[2];
	uint64_t dice[2];
	int lines[2];

	for (int i = 0; i < 2; i++) {
		sim_run(&world, seed, hosts, false);
		end[i] = world.now;
		dice[i] = world.rng;
		lines[i] = world.nlog;
		sim_run(&world, seed + 1, hosts, false);
	}
	return end[0] == end[1] && dice[0] == dice[1] && lines[0] == lines[1];
}

int
main(int argc, char **argv)
{
	struct run r = { .seed = 1, .count = 2000, .step = 1, .jobs = 1 };
	struct sums t = { 0 };

	options(&r, argc, argv);
	if (r.count > 1)
		OK(same_again(r.seed, 3) && same_again(r.seed, 9),
		    "a seed tells the same story again");
	if (r.jobs > 1)
		run_jobs(&r, &t);
	else
		run_all(&r, &t);
	OK(t.failed == 0,
	    "%llu seeds: one writer at a time, nothing lost, nobody stuck, no copy in "
	    "vain",
	    (unsigned long long)r.count);
	tap_note("%lld writes acknowledged, %lld decisions, %lld unplanned operations",
	    t.acks, t.decisions, t.failovers);
	tap_note("%lld copies and rewinds, %lld of them broken off by faults; "
		 "%lld decisions made again",
	    t.copies, t.wasted, t.retries);
	tap_note("everything in its place %.1f s after the last fault at the latest: "
		 "seed %llu",
	    (double)t.recovery_ms / 1000, (unsigned long long)t.slowest);
	return tap_done();
}
