/* A simulated world: hosts, Postgres, network, monitor store, clients; one seed, one
 * story. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include "fsm/fsm.h"
#include "fsm/keeper.h"

#define SIM_HOSTS 9
#define SIM_SEGMENTS 40
#define SIM_CLIENTS 3
#define SIM_MESSAGES 512
#define SIM_LOG 600
#define SIM_LINE 160
#define SIM_NEVER INT64_MAX
#define SIM_MONITOR SIM_HOSTS /* its number in the link matrix */

/*
 * WAL as positions on named lineages: two hosts hold the same record when the
 * segments that cover it have the same uid. Timelines are only numbers, as in
 * Postgres: two forks may carry the same one.
 */
struct sim_wal {
	int n;
	struct {
		int uid;
		int tli;
		uint64_t start;
	} seg[SIM_SEGMENTS];
	uint64_t end;
};

enum sim_result { SIM_AGAIN, SIM_DONE, SIM_FAILED };

struct sim_act {
	bool on;
	enum fsm_act act;
	enum fsm_state to;
	int64_t seq; /* of the goal it serves */
	int64_t term;
	bool planned;
	int64_t upstream; /* node id */
	uint64_t target;
	struct fsm_config config;
	int phase;
	int64_t next_at;
	int64_t deadline;
	uint64_t lsn; /* scratch: the position a confirmation waits for */
	int64_t still_until;
};

struct sim_host {
	bool used;
	bool powered;
	/* disk */
	bool has_data;
	bool guarded; /* standby.signal */
	bool clean;   /* the last stop of a writer wrote its shutdown record */
	uint64_t final;
	struct sim_wal wal;
	struct fsm_config names;
	int64_t conf_upstream; /* primary_conninfo: a node id, 0 empty */
	struct keeper disk;    /* the state file */
	/* Postgres */
	enum fsm_pg pg;
	int64_t pg_ready_at;
	int incarnation;
	bool door_closed;
	int stream_from; /* host, -1 none */
	int stream_incarnation;
	int64_t stream_heard_at;
	int64_t stream_retry_at;
	int64_t resend_at;
	uint64_t ack[SIM_HOSTS]; /* the writer's view of its walsenders */
	bool walsender[SIM_HOSTS];
	int64_t replied_at[SIM_HOSTS];
	int crashes;
	int64_t crash_at;
	/* what is wrong with the host for a while */
	int64_t slow_until;    /* everything takes ten times as long */
	int64_t failing_until; /* what is tried fails */
	int64_t flap_until, flap_at;
	int flap_with; /* the link that comes and goes; SIM_HOSTS + 1: all */
	/* keeper process */
	bool keeper_up;
	int64_t look_at; /* until then it sleeps, except for its act */
	int64_t keeper_up_at;
	struct keeper k;
	bool have_reply;
	bool was_up;
	enum fsm_state told_state;
	int64_t apart_since;
	struct sim_act act;
	int64_t retry_at;
	int64_t pg_down_since;
	int64_t report_due;
	bool report_flying;
	int64_t report_sent;
	int64_t contact_sent;
	int64_t lease_until;
	int64_t vouched_at;
	int64_t heard_at;
	enum fsm_witness heard;
	int64_t ping_at;
	int64_t upstream_id; /* by the last reply */
	uint64_t target_lsn;
	struct fsm_config wanted;
	uint64_t last_told; /* checksum of what the last report said */
};

enum sim_message_kind { MSG_REPORT, MSG_REPLY, MSG_HINT, MSG_WAL, MSG_ACK, MSG_REGISTER };

/* The part of a report that the store keeps, and of a reply that the keeper keeps. */
struct sim_message {
	enum sim_message_kind kind;
	int from, to;
	int incarnation;
	uint64_t lsn;
	int64_t sent;
	struct fsm_node report; /* the reported half of it */
	int64_t attached;       /* bits of hosts, of a writer */
	int64_t ack_age_ms[SIM_HOSTS];
	enum fsm_state goal;
	int64_t goal_seq, term, upstream;
	bool planned;
	uint64_t target;
	struct fsm_config config;
	int lease_gen;
	int64_t lease_ms;
};

struct sim_evidence { /* what the monitor process knows of one node, in memory */
	int64_t report_at;
	int64_t goal_at, state_at, down_at, attached_at;
	int64_t ack_age_ms;
	enum fsm_witness probe;
	int64_t probe_ok_at, probe_next;
	int probe_failed;
};

struct sim_client {
	int64_t next_at;
	bool waiting;
	int host, incarnation, uid;
	uint64_t lsn;
	int64_t since;
};

struct sim {
	uint64_t seed, rng;
	int64_t now;
	int nhosts;
	bool verbose;
	struct sim_host host[SIM_HOSTS];
	bool cut[SIM_HOSTS + 1][SIM_HOSTS + 1]; /* [from][to] */
	int nmessages;                          /* slots that may be in use */
	int64_t message_next;                   /* when the first of them arrives */
	int64_t message_at[SIM_MESSAGES];       /* SIM_NEVER: that slot is free */
	struct sim_message message[SIM_MESSAGES];
	struct sim_client client[SIM_CLIENTS];
	/* the monitor */
	struct fsm_group group;
	struct fsm_group durable; /* what a crash of its database leaves */
	int64_t next_node_id;
	bool monitor_up;
	int64_t monitor_since;
	int64_t decide_at;
	int64_t lease_seen_at;
	int64_t op_at, phase_at;
	int op_kind_seen, op_phase_seen;
	struct sim_evidence seen[SIM_HOSTS]; /* by host */
	int64_t next_request;
	/* faults */
	int64_t fault_at, fault_end;
	int64_t heal_at[SIM_HOSTS];
	bool calm;
	bool may_permit; /* operators may allow to lose writes ... */
	bool careless;   /* they removed the only one that had everything */
	bool permitted;  /* ... and did: nothing is promised until all is well again */
	/* what happened */
	int next_uid;
	struct {
		int uid;
		uint64_t lsn;
	} acked[8192];
	int nacked;
	int acks_total;
	int64_t last_ack_at, worst_gap;
	int last_ack_uid;
	uint64_t last_ack_lsn;
	int decisions, failovers, copies, copies_ended, retries;
	int64_t recovery_ms; /* from the end of all faults on */
	char failure[SIM_LINE * 2];
	char way[SIM_HOSTS][256]; /* the states of each host, in words */
	char log[SIM_LOG][SIM_LINE];
	int nlog;
};

/* sim.c: time and the world. Return of sim_run: true when all invariants held. */
bool sim_run(struct sim *, uint64_t seed, int hosts, bool verbose);
/* A world without faults, but for those that the caller makes. */
void sim_begin(struct sim *, uint64_t seed, int hosts);
void sim_pass(struct sim *, int64_t ms);
void sim_power(struct sim *, int h, bool on);
void sim_log(struct sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
uint64_t sim_random(struct sim *);
int64_t sim_between(struct sim *, int64_t low, int64_t high);
bool sim_chance(struct sim *, int percent);
int sim_host_of(const struct sim *, int64_t node_id); /* -1: none */
bool sim_linked(const struct sim *, int a, int b);    /* both ways */
struct sim_message *sim_send(struct sim *, enum sim_message_kind, int from, int to);
void sim_unsend(struct sim *, const struct sim_message *);

/* sim_pg.c: WAL, starting and stopping, streaming, commits. */
bool wal_has(const struct sim_wal *, int uid, uint64_t lsn);
uint64_t wal_common(const struct sim_wal *, const struct sim_wal *);
int wal_uid(const struct sim_wal *);
int wal_tli(const struct sim_wal *);
void wal_fork(struct sim *, struct sim_wal *);
void simpg_start(struct sim *, int h);
void simpg_stop(struct sim *, int h, bool fast);
void simpg_crash(struct sim *, int h);
void simpg_step(struct sim *, int h);
void simpg_names(struct sim *, int h, const struct fsm_config *);
void simpg_wal_arrives(struct sim *, const struct sim_message *);
void simpg_ack_arrives(struct sim *, const struct sim_message *);
void simpg_detach(struct sim *, int h);
int simpg_confirmed(const struct sim *, int h, const struct fsm_config *, uint64_t lsn);
void sim_client_step(struct sim *, int c);
void sim_acks_check(struct sim *);

/* sim_keeper.c: the real keeper_step over a simulated host. */
void simkeeper_start(struct sim *, int h);
void simkeeper_kill(struct sim *, int h);
void simkeeper_step(struct sim *, int h);
void simkeeper_reply(struct sim *, const struct sim_message *);
int64_t simkeeper_next(const struct sim *, int h);
enum sim_result simact_run(struct sim *, int h);

/* sim_monitor.c: the real monitor_decide over a simulated store. */
void simmonitor_register(struct sim *, int h);
void simmonitor_report(struct sim *, const struct sim_message *);
void simmonitor_step(struct sim *);
void simmonitor_crash(struct sim *);
void simmonitor_start(struct sim *);
bool simmonitor_ask(struct sim *, enum fsm_request_kind, int64_t node);

#endif
