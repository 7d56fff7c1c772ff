/* The monitor's look at a node's Postgres, without ever waiting for it. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_PROBE_H
#define PG_PROBE_H

#include <sys/types.h>

#include "fsm/fsm.h"
#include "pg/watch.h"

/*
 * One session is kept and asked every period; when it ends, a new connection tells at
 * once what has become of the server. Names of hosts are looked up by a child process.
 */
struct probe {
	char host[256];
	int port;
	char address[256]; /* of the host; "" not known yet */
	struct mono address_at;
	pid_t resolver;
	int resolver_fd;
	struct watch watch;
	struct mono began;
	struct mono next_at;

	enum fsm_witness last; /* of the last probe that finished */
	int failed;            /* in a row */
	struct mono ok_at;     /* when one last succeeded, or the watch began */
	bool ever_ok;
	char why[256]; /* it failed */
};

/* How the monitor comes in; NULL or "": libpq's own ways, a password file included. */
struct probe_way {
	const char *sslmode, *sslrootcert, *sslcrl;
	const char *password;
};

struct probe_times {
	int64_t period_ms;
	int64_t timeout_ms;
	int64_t retry_ms; /* after a failure */
	struct probe_way way;
};

void probe_init(struct probe *, const char *host, int port);
void probe_drop(struct probe *);

/* Go on, begin one when it is time. True when a probe has finished. */
bool probe_step(struct probe *, const struct probe_times *, struct mono now);

/* One is wanted soon: other witnesses have lost sight of the node. */
void probe_hurry(struct probe *, struct mono now, int64_t gap_ms);

/* For the poll loop: -1 and 0 when there is nothing to wait for but the time. */
int probe_fd(const struct probe *);
short probe_events(const struct probe *);
struct mono probe_wake(const struct probe *);

#endif
