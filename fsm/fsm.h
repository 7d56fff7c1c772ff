/* SPDX-License-Identifier: PostgreSQL */
/* What the brain knows: states, the snapshot of a group, the plan that is decided on it.
 */
#ifndef FSM_FSM_H
#define FSM_FSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Nothing in fsm/ reads a clock, allocates, logs or does I/O. Durations in a
 * snapshot are ages: milliseconds between the event and the moment the
 * snapshot was taken, FSM_NEVER when it never happened. So a snapshot is all a
 * decision depends on, and can be stored and decided again.
 */

#define FSM_NODES_MAX 32   /* nodes of one group; sets of nodes are bits of a uint32_t */
#define FSM_CONFIGS_MAX 8  /* configurations possibly in force at once */
#define FSM_LINEAGE_MAX 64 /* timelines a group remembers */
#define FSM_STEPS_MAX 128  /* rule firings of one decision */
#define FSM_NAME_MAX 64
#define FSM_TEXT_MAX 256
#define FSM_NEVER INT64_MAX

enum fsm_state_flags {
	ST_RW = 1 << 0,        /* accepts writes */
	ST_UP = 1 << 1,        /* Postgres must run */
	ST_DOWN = 1 << 2,      /* Postgres must not run */
	ST_STANDBY = 1 << 3,   /* in recovery */
	ST_WAS_RW = 1 << 4,    /* a former writer on its way out */
	ST_PROMOTING = 1 << 5, /* the candidate of an operation */
	ST_MAINT = 1 << 6,     /* counts as being in maintenance */
	ST_HANDS_OFF = 1 << 7, /* the keeper neither starts nor stops Postgres */
	ST_SELF = 1 << 8,      /* a keeper may go there by itself */
	ST_DEPRECATED = 1 << 9
};

enum fsm_state {
#define STATE(id, name, flags, text) FSM_##id,
#include "fsm/states.def"
#undef STATE
	FSM_STATE_COUNT
};

enum fsm_act {
#define ACT(id, name, text) FSM_ACT_##id,
#include "fsm/acts.def"
#undef ACT
	FSM_ACT_COUNT
};

enum fsm_guard {
#define GUARD(id, name, text) FSM_GUARD_##id,
#include "fsm/guards.def"
#undef GUARD
	FSM_GUARD_COUNT
};
struct fsm_guard_info {
	const char *name;
	const char *text;
};
extern const struct fsm_guard_info fsm_guard_list[FSM_GUARD_COUNT];

#define FSM_BIT(s) (UINT32_C(1) << FSM_##s) /* a mask of states */
#define FSM_ANY ((UINT32_C(1) << FSM_STATE_COUNT) - 1)

/* What a keeper says of its Postgres. */
enum fsm_pg {
	FSM_PG_UNKNOWN,
	FSM_PG_DOWN,
	FSM_PG_STARTING,
	FSM_PG_STANDBY,
	FSM_PG_RW,
	FSM_PG_COUNT
};

/* What a witness says: a probe, or a standby's keeper about the writer. */
enum fsm_witness {
	FSM_WITNESS_NONE,    /* nothing was asked yet */
	FSM_WITNESS_OK,      /* it answered */
	FSM_WITNESS_REJECT,  /* a postmaster is there but lets nobody in (57P03) */
	FSM_WITNESS_REFUSED, /* positive evidence: refused, reset or closed */
	FSM_WITNESS_SILENT,  /* nothing came back within the deadline */
	FSM_WITNESS_COUNT
};

enum fsm_verdict { FSM_VERDICT_OK, FSM_VERDICT_SUSPECT, FSM_VERDICT_DOWN };

struct fsm_node {
	int64_t id;
	char name[FSM_NAME_MAX];
	int priority; /* 0: never promoted */
	bool quorum;

	enum fsm_state reported;
	enum fsm_state goal;
	int64_t goal_seq;     /* + 1 with every assignment */
	int64_t seen_seq;     /* the last goal_seq its keeper said it has seen */
	int64_t seen_term;    /* ... and the last term */
	int64_t goal_age_ms;  /* since the goal was assigned */
	int64_t state_age_ms; /* since reported changed */

	enum fsm_pg pg;
	bool pg_retrying;       /* down, and its keeper is restarting it in place */
	int64_t pg_down_age_ms; /* since its keeper last said it was up; 0 when up */
	bool has_data;
	int tli;
	uint64_t lsn;         /* writer: flushed; standby: greatest(received, replayed) */
	int64_t promise_term; /* it takes no WAL of an older term, durably */
	int promise_tli;
	uint64_t promise_lsn;
	int64_t stopped_term; /* stopped, and will not be started for a term <= this */
	uint64_t final_lsn;   /* of a clean stop: end of the shutdown record; else 0 */
	int64_t applied_gen;  /* configuration confirmed in force (writer) */
	int lease_gen;        /* the lease mode its keeper works under */

	int64_t upstream_id; /* whom it follows, 0 nobody */
	bool streaming;      /* walreceiver streams, on the upstream's timeline */
	bool attached;       /* by the writer's word: its walsender streams */
	int64_t
	    detached_age_ms; /* since the writer last saw it attached; 0 while it is */
	int64_t ack_age_ms;  /* ... since the writer last got a reply from it */
	int fork_tli;        /* of the accepted history it holds this timeline ... */
	uint64_t fork_lsn;   /* ... up to here, and then went on by itself, as a candidate
				that was given up; 0 if it did not */
	bool lost; /* it failed as a secondary: it must hold before it counts again */
	enum fsm_witness heard; /* the writer, by a standby's keeper */
	int64_t heard_age_ms;   /* since the writer last answered this keeper */

	int64_t report_age_ms;   /* since its last report was seen arriving */
	bool session;            /* its keeper's session on the monitor is open */
	enum fsm_witness probe;  /* the monitor's last finished probe of its Postgres */
	int64_t probe_ok_age_ms; /* since a probe last succeeded */
	int probe_failed;        /* probes failed in a row */
	int fails;               /* failed attempts of the current act */
	bool dead;               /* in a plan: delete the row */
};

#define FSM_K_UNKNOWN (-1)

/* One value of synchronous_standby_names that was granted to the writer. */
struct fsm_config {
	int64_t gen;
	int k; /* 0: ''; FSM_K_UNKNOWN: whatever was in force before it was learned */
	int n;
	int64_t member[FSM_NODES_MAX]; /* node ids, by priority descending, then id */
};

enum fsm_op_kind { FSM_OP_NONE, FSM_OP_SWITCH, FSM_OP_ELECT, FSM_OP_KIND_COUNT };

/* The operation in progress: what would otherwise be guessed from pairs of states. */
struct fsm_op {
	enum fsm_op_kind kind;
	bool planned;     /* the old writer is asked to drain first */
	bool maintenance; /* ... because it goes to maintenance */
	bool allow_loss;  /* the operator accepts to lose writes; sticky */
	bool writer_gone; /* the old writer was removed */
	bool revoked;     /* the old writer gets no more lease */
	int64_t since;    /* the term it opened with: promises and stops of it count */
	int64_t old_writer;
	int64_t candidate;   /* 0 while none is chosen */
	int64_t preferred;   /* by the operator */
	int64_t excluded;    /* a candidate that failed: the last choice */
	int64_t source;      /* fast_forward: fetch from this node */
	uint64_t target_lsn; /* the candidate must reach it before it is promoted */
	int64_t age_ms;
	int64_t phase_age_ms; /* since the last phase began; see monitor.c */
	int phase;
};

struct fsm_lineage {
	int tli;
	int parent;
	uint64_t switch_lsn;
};

enum fsm_request_kind {
	FSM_REQ_NONE,
	FSM_REQ_FAILOVER,
	FSM_REQ_PROMOTION, /* of node */
	FSM_REQ_MAINTENANCE_ON,
	FSM_REQ_MAINTENANCE_OFF,
	FSM_REQ_REMOVE,
	FSM_REQ_KIND_COUNT
};

enum fsm_outcome { FSM_OUTCOME_PENDING, FSM_OUTCOME_DONE, FSM_OUTCOME_REFUSED };

struct fsm_request {
	int64_t id;
	enum fsm_request_kind kind;
	int64_t node; /* 0: none is named */
	bool allow_loss;
	bool force;
	enum fsm_outcome outcome; /* written by monitor_decide() */
	char sqlstate[6];
	char text[FSM_TEXT_MAX]; /* why it was refused, or a warning */
};

/* One field per row of fsm/settings.def. */
struct fsm_settings {
#define SETTING(field, name, unit, dflt, min, text) int64_t field;
#include "fsm/settings.def"
#undef SETTING
};

struct fsm_group {
	char formation[FSM_NAME_MAX];
	int group_id;
	bool secondary_allowed;
	int nss;        /* number_sync_standbys */
	int64_t writer; /* who may write, 0 nobody */
	int64_t term;   /* + 1 whenever somebody else is to write */
	struct fsm_op op;
	bool dirty;    /* settings changed, the writer was not told yet */
	bool learning; /* the tables are older than what nodes have seen: nothing is
			  decided until it is known who writes */
	int strangers; /* who writers wait for in their commits, and is not known here */
	int nconfigs;  /* configurations possibly in force, by gen; the last is wanted */
	struct fsm_config config[FSM_CONFIGS_MAX];
	int lease_gen; /* odd: the writer's lease is finite */
	int64_t
	    lease_age_ms;   /* since the last renewal the writer may hold, as seen here */
	int accepted_tli;   /* pinned by the operator, 0 none */
	int writer_tli;     /* timeline of the writer of this term, 0 unknown */
	uint64_t floor_lsn; /* on it: what standbys had confirmed when that was no longer
			       asked of them, 0 nothing */
	int nlineage;
	struct fsm_lineage lineage[FSM_LINEAGE_MAX];
	int64_t watch_age_ms; /* since this monitor watches without a pause */
	int recent_failovers; /* automatic ones in the last 5 minutes */
	int said; /* the rule whose message was given last, so that it is given once */
	struct fsm_settings settings;
	struct fsm_request request;
	int n;
	struct fsm_node node[FSM_NODES_MAX]; /* by id */
};

/* One firing; the event is made from it. from == to: a message only. */
struct fsm_step {
	int rule;
	int64_t node;
	enum fsm_state from;
	enum fsm_state to;
	char text[FSM_TEXT_MAX];
};

struct fsm_plan {
	struct fsm_group next; /* what is to be stored */
	int nsteps;
	struct fsm_step step[FSM_STEPS_MAX];
	int64_t wake_in_ms; /* decide again by then, even if nothing happens */
	bool failover;      /* the writer is being replaced, and nobody asked for it */
};

/* An edge: how a keeper gets from any state of a mask to a goal. */
struct fsm_edge {
	uint32_t from;
	enum fsm_state to;
	enum fsm_act act;
	unsigned flags;
};

enum fsm_edge_flags {
	EDGE_OPENS = 1 << 0,   /* may make the node writable */
	EDGE_CLOSES = 1 << 1,  /* ends writes */
	EDGE_LONG = 1 << 2,    /* may take minutes, reports progress */
	EDGE_UPSTREAM = 1 << 3 /* needs to know the upstream */
};

/* names.c: both ways; _find returns -1 when there is no such name. */
const char *fsm_state_name(enum fsm_state);
const char *fsm_state_text(enum fsm_state);
unsigned fsm_state_flags(enum fsm_state);
int fsm_state_find(const char *name);
const char *fsm_act_name(enum fsm_act);
const char *fsm_act_text(enum fsm_act);
const char *fsm_request_name(enum fsm_request_kind);
int fsm_request_find(const char *name);
const char *fsm_op_name(enum fsm_op_kind);
int fsm_op_find(const char *name);
const char *fsm_pg_name(enum fsm_pg);
int fsm_pg_find(const char *name);
const char *fsm_witness_name(enum fsm_witness);
int fsm_witness_find(const char *name);

struct fsm_setting_info {
	const char *name; /* without the prefix pgautofailover. */
	const char *unit; /* "ms", "B", "bool", "" */
	int64_t dflt;
	int64_t min;
	const char *text;
	size_t offset; /* of an int64_t in struct fsm_settings */
};
extern const struct fsm_setting_info fsm_setting_list[];
extern const size_t fsm_setting_count;
void fsm_settings_default(struct fsm_settings *);

/* edges.c: the keeper's table. NULL: there is no way, on purpose. */
extern const struct fsm_edge fsm_edge_list[];
extern const size_t fsm_edge_count;
const struct fsm_edge *fsm_edge(enum fsm_state from, enum fsm_state to);

/* Borrowed; NULL when there is no such node. */
struct fsm_node *fsm_node_find(struct fsm_group *, int64_t id);
const struct fsm_node *fsm_node_peek(const struct fsm_group *, int64_t id);

/*
 * ssn.c: the value of synchronous_standby_names, '' when k is 0, else like
 * ANY 1 (pgautofailover_standby_2). Returns -1 when it does not fit.
 */
int ssn_format(const struct fsm_config *, char *to, size_t size);

/*
 * guards.c: for tests that must fail without a guard (fsm/guards.def). Bit
 * 1 << FSM_GUARD_x takes that guard out. Nothing in the program writes it.
 */
extern unsigned long long fsm_broken_guards;

/* facts.c */
enum fsm_verdict facts_verdict(const struct fsm_group *, const struct fsm_node *);
bool facts_class_sync(const struct fsm_group *);
bool facts_safe_to_open(const struct fsm_group *); /* fsm.md 5.6 */

/* elect.c */
enum elect_kind { ELECT_WAIT, ELECT_NONE, ELECT_WINNER };
struct elect_result {
	enum elect_kind kind;
	int64_t winner;
	int64_t source; /* who holds the most advanced position */
	uint64_t target_lsn;
	bool loss; /* of acknowledged writes cannot be ruled out, and is allowed */
	char why[FSM_TEXT_MAX]; /* who is missing, or why nobody can be chosen */
};
void elect_choose(const struct fsm_group *, struct elect_result *);

/*
 * monitor.c: all decisions. plan->next is the group as it is to be stored;
 * deciding that again without new input changes nothing.
 */
void monitor_decide(const struct fsm_group *, struct fsm_plan *);

/* monitor.c: why nothing happens now, or what is awaited from whom; one sentence. */
void monitor_explain(const struct fsm_group *, char *to, size_t size);

/* rules.c: for events, show fsm, the manual and the table fsm. */
struct fsm_rule;
extern const size_t fsm_rule_count;
const struct fsm_rule *fsm_rule_at(size_t i);
const struct fsm_rule *fsm_rule_find(int id);
int fsm_rule_id(const struct fsm_rule *);
const char *fsm_rule_section(const struct fsm_rule
	*); /* api_triggered, early_checks, reporting_node, primary_node, waiting */
const char *fsm_rule_why(const struct fsm_rule *);

/*
 * verify.c: what can be said of the tables without following any course of events: edges
 * do not overlap, a stop is possible from everywhere, every state has a way there and a
 * way on, every rule asks for what its nodes can do. The number of complaints.
 */
typedef void fsm_complain(void *arg, const char *text);
int fsm_verify(fsm_complain *, void *arg);

#endif
