/* Step mode: a keeper that does nothing by itself, and goes on when it is told to. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_NODE_STEP_H
#define CMD_NODE_STEP_H

#include <stdbool.h>
#include <stddef.h>

#include "ini/clock.h"

struct config;
struct err;
struct node;
struct reply;
struct sockaddr_un;

enum node_step_kind {
	STEP_BOTH,   /* tell the monitor, then go to the goal it gives */
	STEP_REPORT, /* only tell, and keep the goal */
	STEP_ADVANCE /* only go */
};
enum node_step_phase {
	STEP_IDLE,
	STEP_STARTING, /* Postgres, as the state wants it: nobody has to ask for that */
	STEP_ASKING,
	STEP_LINGERING,
	STEP_MOVING
};

struct node_step {
	bool wanted;    /* by the environment */
	bool suspended; /* nothing but steps; not before the node is built */
	int fd;         /* where steps are asked for; -1 closed */
	int client;     /* who waits for the answer */
	char word[64];
	size_t nword;
	enum node_step_kind kind;
	enum node_step_phase phase;
	int old;           /* enum fsm_state it began in */
	bool frozen;       /* the report under way repeats the last one */
	bool again;        /* the decision was waited for */
	struct mono asked; /* reports sent since then count */
	struct mono until;
	char answer[320]; /* "OK old new" or "ERROR text" */
};

/*
 * One line each way, over a socket beside the pid file (contract/protocol 3.6): STEP,
 * REPORT, ADVANCE; without a monitor ASSIGN state. The answer: OK and two states, or
 * ERROR and a text.
 */
int node_step_open(struct node *, struct err *) __attribute__((warn_unused_result));
void node_step_close(struct node *);
void node_step_turn(struct node *);
void node_step_begin(struct node *, enum node_step_kind);

/* May it report, or act, now? Always, when it is not suspended. */
bool node_step_reports(const struct node *);
bool node_step_due(const struct node *);
bool node_step_moves(const struct node *);

/* An answer whose goal is not taken. */
void node_step_heard(struct node *, const struct reply *);

/* The address of the socket; *dir is to be closed after its use. */
int node_step_socket(const char *pgdata, struct sockaddr_un *, int *dir, struct err *)
    __attribute__((warn_unused_result));

/* One step of a node whose keeper does not run; answer as above. */
int node_step_once(const struct config *, enum node_step_kind, char *answer, size_t,
    struct err *) __attribute__((warn_unused_result));

#endif
