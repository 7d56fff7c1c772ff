/* A keeper without a monitor: its goal is the operator's, its peers are in a file. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_NODE_ALONE_H
#define CMD_NODE_ALONE_H

#include <stdbool.h>

#include "pg/report.h"

struct err;
struct node;

struct alone {
	int n;
	struct alone_peer {
		struct peer peer;
		bool primary;
	} peer[FSM_NODES_MAX]; /* by id */
};

/* The file of nodes (contract/config 3.5). ERR_CONFIG says what is wrong with it. */
int node_alone_parse(const char *json, struct alone *, struct err *)
    __attribute__((warn_unused_result));

/* Where there is no monitor the standing goal is all there is. */
void node_alone_turn(struct node *);

#endif
