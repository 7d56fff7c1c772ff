/* The state machine as a graph. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SHOW_FSM_H
#define CMD_SHOW_FSM_H

#include <stdint.h>

struct buf;

/* The edges between these states, by FSM_BIT; source for mermaid. */
void show_fsm_mermaid(struct buf *, uint32_t states);
void show_fsm_dot(struct buf *);

#endif
