/* Our block in pg_hba.conf: who may come in, and the door that can be closed. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef PG_HBA_H
#define PG_HBA_H

#include <stdbool.h>

struct buf;
struct err;
struct host;
struct peer;

/*
 * The block stands at the top of the file, between "# begin autoctl" and "# end autoctl",
 * because the first line that matches decides. Nothing outside of it is ever touched.
 * With hba_level skip nothing is written but the closed door, which leaves no trace when
 * it is opened.
 */
struct hba {
	const struct peer *peer; /* the other nodes of the group */
	int npeers;
	const char *monitor_host; /* NULL: no monitor */
	bool made; /* the cluster is of our making: --username may come from our host */
};

/*
 * Rules for the monitor's probes, the other nodes, and (when we made the cluster) for
 * --username from our own host, with hba_level app from the local network. The door stays
 * as it is. 1: changed (and Postgres was told, if it runs), 0: same. Peers' names are
 * looked up, which may take a while.
 */
int hba_update(const struct host *, const struct hba *, struct err *)
    __attribute__((warn_unused_result));

/* A monitor's: autoctl_node may come from the local network (a warning when that is not
 * known). 1: changed, 0: same. */
int hba_monitor(const struct host *, struct err *) __attribute__((warn_unused_result));

/* All of the local network may come in, to every database and to replicate: two lines
 * behind the block, which stay. 1: changed, 0: they were there. */
int hba_lan(const struct host *, struct err *) __attribute__((warn_unused_result));

/*
 * Closed: no client can connect, and none is connected, but ourselves, the monitor's
 * probes and replication. Verified when 0 is returned. Works on a standby, and while
 * Postgres is down. Idempotent.
 */
int hba_close(const struct host *, struct err *) __attribute__((warn_unused_result));
int hba_open(const struct host *, struct err *) __attribute__((warn_unused_result));
/* Only the rules, written and in force; sessions stay. */
int hba_door(const struct host *, bool closed, struct err *)
    __attribute__((warn_unused_result));
bool hba_is_closed(const struct host *);

/* Our block is kept where a copy or a rewind brings the source's file: take it before
 * (nothing when there is no file), put it back after; the door is open then. */
int hba_take(const struct host *, struct buf *, struct err *)
    __attribute__((warn_unused_result));
int hba_put(const struct host *, const struct buf *, struct err *)
    __attribute__((warn_unused_result));

/* The pure half: text in, text out. */
void hba_edit(const char *text, const char *block, struct buf *);
/* Without what pg_auto_failover wrote for the roles that our block is about. */
void hba_clean(const char *text, struct buf *);
/* One rule; address NULL: a local one. */
struct hba_rule {
	const char *type, *dbname, *user, *address, *method;
};
void hba_rule_format(struct buf *, const struct hba_rule *);

#endif
