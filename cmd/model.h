/* The model checker's world: small hosts, a small store, and the real brain between them.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_MODEL_H
#define CMD_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fsm/fsm.h"
#include "fsm/keeper.h"

/*
 * Everything in a world is a byte, so that a world is compared, hashed and
 * copied as bytes. Nodes are numbered from 0 here; their ids are one more, and
 * 0 means nobody. Positions in the log are small numbers on timelines that are
 * rows of world.line; two timelines may have the same number, as in life.
 */
#define M_NODES 3
#define M_LINES 7 /* timelines somebody still has a position on */
#define M_TLIS 8  /* numbers of timelines */
#define M_CONFIGS 8
#define M_FAILS 3

enum m_pg { M_PG_DOWN, M_PG_STANDBY, M_PG_RW };
enum m_lease { M_LEASE_UNLIMITED, M_LEASE_HELD, M_LEASE_OVER };

struct m_names { /* synchronous_standby_names */
	uint8_t k;
	uint8_t set; /* bit per node */
};

struct m_config {
	uint8_t gen;
	struct m_names names;
};

/* What a reply says beyond the goal; an act goes on with what it began with. */
struct m_order {
	uint8_t term;
	uint8_t upstream;
	uint8_t upstream_tli;
	uint8_t target;
	uint8_t planned;
	struct m_config config;
};

/* What a keeper tells, as the store keeps it. */
struct m_report {
	uint8_t state, seen;
	uint8_t pg, retrying, data, tli, lsn;
	uint8_t promise_term, promise_tli, promise_lsn;
	uint8_t stopped_term, final_lsn, applied, lease_gen;
	uint8_t upstream, streaming, peers, fails;
};

struct m_row {
	uint8_t present, priority, quorum, lost;
	uint8_t fork_tli, fork_lsn;
	uint8_t goal, seq;
	struct m_report said;
};

struct m_op {
	uint8_t kind, planned, maintenance, allow_loss, writer_gone, revoked, since;
	uint8_t old_writer, candidate, preferred, excluded, source, target, phase;
};

struct m_request {
	uint8_t kind, node, allow_loss, force;
};

struct m_lineage {
	uint8_t parent, at;
};

/* The monitor's tables. */
struct m_store {
	uint8_t nss, writer, term, dirty, lease_gen, accepted_tli, writer_tli, floor_lsn;
	uint8_t opened_term; /* in which the writer changed last: the checker's note */
	uint8_t nconfigs;
	struct m_config config[M_CONFIGS];
	struct m_lineage lineage[M_TLIS];
	struct m_op op;
	struct m_request request;
	struct m_row row[M_NODES];
};

struct m_host {
	uint8_t exists; /* registered, and not left */
	uint8_t gone;   /* burnt: it never comes back */
	/* the keeper's state file */
	uint8_t current, goal, seq, term;
	uint8_t promise_term, promise_tli, promise_lsn;
	uint8_t stopped_term, final_lsn, applied, lease_gen, rewinding;
	/* the data directory */
	uint8_t data, line, lsn;
	uint8_t clean;      /* pg_control: shut down, as a writer */
	uint8_t recovery;   /* pg_control: it was a standby when it last ran */
	uint8_t guard_file; /* standby.signal */
	uint8_t closed;     /* pg_hba.conf lets no client in */
	uint8_t upstream;
	struct m_names conf;
	/* what runs */
	uint8_t up, keeper, pg;
	struct m_names force; /* the names that commits obey */
	/* the keeper's memory */
	uint8_t was_up, contact, told, replied, lease;
	uint8_t hopeless; /* restarting it in place has had its time */
	struct m_order reply;
	uint8_t act, to, stage, final;
	uint8_t fails; /* M_FAILS: so often that somebody else should try */
	struct m_order job;
	/* a report that was held up somewhere */
	uint8_t late;
	struct m_report late_report;
};

struct m_line {
	uint8_t parent, fork, tli;
};

struct m_world {
	uint8_t faults, delays, ops, commits; /* what the adversary may still do */
	uint8_t monitor_down;
	uint8_t cut;                   /* links of nodes to the monitor */
	uint8_t slow;                  /* nodes whose reports are late */
	uint8_t apart;                 /* links between nodes: bit m_pair() */
	uint8_t loss;                  /* the operator accepted to lose writes */
	uint8_t acked_line, acked_lsn; /* the last commit a client was told of */
	struct m_line line[M_LINES];
	struct m_store m;
	struct m_host h[M_NODES];
};

struct m_config_of_run {
	int nodes;
	int faults, delays, ops, commits;
	uint64_t lsn_unit; /* bytes between two positions */
	bool guarded_lease;
	bool prompt;       /* time passes only when nobody has anything to do */
	bool unreduced;    /* nothing is left out for being the same as something else */
	bool late_reports; /* of older sessions: the store refuses them, unless this is
			      set */
};
extern struct m_config_of_run m_run;

enum m_kind {
	M_EXCHANGE,
	M_LOST_REPLY,
	M_SLOW,
	M_PROMPT,
	M_HOPELESS,
	M_TICK,
	M_ACT,
	M_ACT_KEEPER_DIES,
	M_ACT_HOST_DIES,
	M_GIVE_UP,
	M_RELOAD,
	M_LEASE_ENDS,
	M_COMMIT,
	M_SHIP,
	M_DECIDE,
	M_KILL_KEEPER,
	M_KILL_PG,
	M_KILL_HOST,
	M_START_KEEPER,
	M_START_HOST,
	M_CUT,
	M_HEAL,
	M_SPLIT,
	M_JOIN,
	M_HOLD_REPORT,
	M_LATE_REPORT,
	M_MONITOR_DOWN,
	M_MONITOR_UP,
	M_OPERATOR,
	M_KIND_COUNT
};

/* What the monitor takes for true when it decides; see model_monitor.c. */
struct m_look {
	uint8_t level[M_NODES]; /* how long what is wrong with it has been so */
	uint8_t falsely;        /* bit per node: silent, although nothing is wrong */
	uint8_t timers;
	uint8_t phase; /* the phase of the operation is as old as that */
	uint8_t lease_over;
};

struct m_label {
	uint8_t kind, a, b;
	struct m_look look;
};

/* The property that does not hold any more, and why; NULL: all do. */
struct m_broken {
	const char *name;
	char text[200];
};
extern struct m_broken m_broken;
void m_break(const char *name, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A state of the search's successors go here. */
typedef void m_emit(void *arg, struct m_world *, const struct m_label *);

/* model_pg.c: Postgres and its log */
int m_pair(int a, int b);
bool m_linked(const struct m_world *, int a, int b);
bool m_holds(const struct m_world *, const struct m_host *, uint8_t line, uint8_t lsn);
bool m_fits(const struct m_world *, int standby, int upstream);
bool m_streams(const struct m_world *, int standby, int upstream);
bool m_open(const struct m_host *);
bool m_can_ack(const struct m_world *, int);
void m_stop(struct m_world *, int, bool tail_arrives);
void m_crash(struct m_host *);
void m_boot(struct m_world *, int);
void m_promote(struct m_world *, int);
void m_check_history(struct m_world *, int, const char *when);
void m_ship(struct m_world *, int upstream, int standby);
void m_ack(struct m_world *, int writer);
void m_confirmed(struct m_world *, int writer);

/* model_keeper.c: the keeper around keeper_step() */
void m_keeper(const struct m_world *, int, struct keeper *);
void m_observe(const struct m_world *, int, bool alone, struct keeper_obs *);
bool m_tick(struct m_world *, int, bool alone);
void m_ticks(struct m_world *);
enum m_progress { M_BLOCKED, M_STEPPED, M_FAILED };
enum m_progress m_act(struct m_world *, int, int variant);
bool m_give_up(struct m_world *, int);
bool m_connected(const struct m_world *, int);
bool m_alone(const struct m_world *, int);

/* model_monitor.c: the store around monitor_decide() */
void m_fill_report(const struct m_world *, int, struct m_report *);
void m_store_report(struct m_world *, int, const struct m_report *);
void m_exchange(struct m_world *, int);
bool m_decide(struct m_world *, const struct m_look *);
void m_decide_each(const struct m_world *, m_emit *, void *arg);
void m_snapshot(const struct m_world *, const struct m_look *, struct fsm_group *);
bool m_decides_now(const struct m_world *);
int m_level_max(const struct m_world *, int);
bool m_lease_may_be_over(const struct m_world *);
extern long long m_decisions, m_decisions_made;

/* model_world.c: what may happen next */
void m_first(struct m_world *);
void m_expand(const struct m_world *, m_emit *, void *arg);
void m_canonical(struct m_world *);
void m_start_keeper(struct m_host *);
void m_operator_text(int which, char *to, size_t size);

/* model_check.c: what must hold in every world, and in the end */
void m_check(struct m_world *);
bool m_settles(const struct m_world *, bool verbose);
bool m_is_good(const struct m_world *);
const char *m_is_parked(const struct m_world *);
bool m_fair_round(struct m_world *, int round, bool verbose);
void m_forget_settled(void);

/* model_search.c */
struct m_result {
	long long states; /* worlds that were followed up */
	long long places; /* ... that differ in more than what may still happen */
	long long settled;
	int depth;
	double seconds;
	bool whole; /* nothing is left unexplored */
	const char *broken;
	int steps;     /* of the trace */
	uint64_t seed; /* of the walk that found it */
};
struct m_limits {
	uint64_t seed; /* the first walk */
	long long states;
	double seconds;
	bool liveness;
	bool creation; /* from the creation of the group on, too */
	bool verbose;
	bool trace;
};
void m_search(
    const struct m_world *roots, int n, const struct m_limits *, struct m_result *);
uint64_t m_hash(const struct m_world *, uint64_t seed);
uint64_t m_hash_bytes(const void *, size_t, uint64_t seed);

/* model_walk.c */
void m_walks(const struct m_world *root, const struct m_limits *, struct m_result *);

/* model_print.c */
void m_print_world(const struct m_world *);
void m_print_label(const struct m_world *before, const struct m_label *);

#endif
