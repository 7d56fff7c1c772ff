/* Random faults on simulated groups of 2 to 9 nodes: ./test/sim_test [-s seed] [-n hosts]
 * [-c seeds] [-v] */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int
main(int argc, char **argv)
{
	uint64_t seed = 1, count = 300;
	int hosts = 0, failed = 0;
	bool verbose = false;
	int64_t acks = 0, decisions = 0, failovers = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-v") == 0)
			verbose = true;
		else if (i + 1 < argc && strcmp(argv[i], "-s") == 0) {
			seed = strtoull(argv[++i], NULL, 10);
			count = 1;
		} else if (i + 1 < argc && strcmp(argv[i], "-n") == 0)
			hosts = (int)strtol(argv[++i], NULL, 10);
		else if (i + 1 < argc && strcmp(argv[i], "-c") == 0)
			count = strtoull(argv[++i], NULL, 10);
	}
	for (uint64_t k = seed; k < seed + count && failed < 5; k++) {
		int n = hosts ? hosts : hosts_of(k);
		if (!sim_run(&world, k, n, verbose)) {
			failed++;
			OK(false, "seed %llu, %d hosts: %s", (unsigned long long)k, n,
			    world.failure);
			tell(&world, n);
		}
		acks += world.acks_total;
		decisions += world.decisions;
		failovers += world.failovers;
	}
	OK(failed == 0, "%llu seeds: one writer at a time, nothing lost, nobody stuck",
	    (unsigned long long)count);
	tap_note("%lld writes acknowledged, %lld decisions, %lld unplanned operations",
	    (long long)acks, (long long)decisions, (long long)failovers);
	return tap_done();
}
