/* SPDX-License-Identifier: PostgreSQL */
/* The shape of a rule: data only; the inside of fsm/. */
#ifndef FSM_RULES_H
#define FSM_RULES_H

#include "fsm/facts.h"

/* What a role must look like. Zero masks do not care; a pattern that is all zero needs
 * nobody in the role. */
struct fsm_pattern {
	uint32_t reported;
	uint32_t goal;
	fsm_facts need;
	fsm_facts deny;
};

#define RULE_DESIRED FSM_STATE_COUNT /* as a goal: where the writer should be now */

struct fsm_goals {
	unsigned char x; /* 0: none. init is never a goal that is assigned */
	unsigned char w;
	unsigned char c;
};

enum fsm_effects {
	DO_OPEN_SWITCH = 1 << 0, /* begin an operation whose candidate is X */
	DO_OPEN_ELECT = 1 << 1,  /* begin an election */
	DO_PLANNED = 1 << 2,     /* ... the old writer is to drain first */
	DO_MAINTENANCE = 1 << 3, /* ... for its maintenance */
	DO_CLOSE = 1 << 4,       /* the operation is over */
	DO_TERM = 1 << 5,        /* a new term */
	DO_ASK = 1 << 6,         /* the electors are asked: a new phase */
	DO_CHOOSE = 1 << 7,      /* X is the candidate */
	DO_FETCH = 1 << 8,       /* ... and fetches from the election's source */
	DO_FORGET = 1 << 9,      /* no candidate any more */
	DO_PROMOTE = 1 << 10,    /* a new phase; the target is what the old writer left */
	DO_CROWN = 1 << 11,      /* C is the writer */
	DO_FOUND = 1 << 12,      /* X is the writer, of a group of its own */
	DO_DELETE = 1 << 13,     /* the row of X goes */
	DO_ANSWER = 1 << 14,     /* the request is done */
	DO_WARN = 1 << 15,       /* ... with a warning if commits will wait */
	DO_ALLOW = 1 << 16,      /* the request's permissions go to the operation */
	DO_REPAIR = 1 << 17,     /* number_sync_standbys shrinks with the group */
	DO_REGISTER = 1 << 18,   /* ... and becomes 1 with the second quorum standby */
	DO_DIRTY = 1 << 19,      /* the writer must be told new settings */
	DO_CLEAN = 1 << 20,      /* ... is being told */
	DO_JOIN = 1 << 21,       /* X counts again */
	DO_LOSE = 1 << 22,       /* X does not count, and must hold when it comes back */
	DO_LEASE = 1 << 23,      /* the lease changes between finite and unlimited */
	DO_GRANT = 1 << 24,      /* what the writer is to have in force has changed */
	DO_EXCLUDE = 1 << 26,    /* X is the last choice from now on */
	DO_DROP_CANDIDATE = 1 << 25, /* if X is the candidate there is none any more */
	DO_RELEARN =
	    1 << 27,        /* a term above all that was seen; who writes is not known */
	DO_ADOPT = 1 << 28, /* where X is, is where it is to be */
	DO_LEARNED = 1 << 29, /* X is the writer, if there is an X; no longer learning */
};

enum fsm_rule_flags {
	RULE_GROUP =
	    1 << 0, /* no subject: X is the writer in its text, if there is one */
	RULE_PREEMPT = 1 << 1,  /* may replace a goal that its keeper has not seen yet */
	RULE_OPERATOR = 1 << 2, /* may touch a node that stands aside */
	RULE_SAY = 1 << 3,      /* changes nothing; told once while it holds */
	RULE_LEARN = 1 << 4,    /* holds while the group is learned, too */
};

/*
 * X is any node, in the order of ids; W the writer (during an operation the
 * old one, until its candidate opens), C the candidate. A rule fires when all
 * patterns match and every node that gets a goal can get there from wherever
 * its keeper may be. In why, the words X, W, C and E stand for names and for
 * what the election says.
 */
struct fsm_rule {
	short id;
	unsigned flags;
	int guard; /* 0, or 1 + the guard that this rule is */
	fsm_facts need;
	fsm_facts deny;
	struct fsm_pattern x;
	struct fsm_pattern w;
	struct fsm_pattern c;
	struct fsm_goals to;
	unsigned effects;
	const char *why;
};

extern const struct fsm_rule fsm_rule_list[];

/* Why a request cannot be served: the first that matches answers it. X is the node that
 * is named. */
struct fsm_refusal {
	enum fsm_request_kind kind;
	bool done;      /* not refused: there is nothing to do */
	fsm_facts need; /* of the group */
	fsm_facts deny;
	struct fsm_pattern x;
	struct fsm_pattern w;
	const char *sqlstate;
	const char *text;
};

extern const struct fsm_refusal fsm_refusal_list[];
extern const size_t fsm_refusal_count;

#endif
