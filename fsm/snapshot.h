/* A snapshot and what was decided on it, as text: to be stored, read and decided again.
 */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef FSM_SNAPSHOT_H
#define FSM_SNAPSHOT_H

#include "fsm/fsm.h"

/*
 * One line for the version, then one for each part of the group (group, op, settings,
 * request, config, lineage, node), then one for each step of the decision and one for the
 * decision itself, then "end". A line is its word and every field as name=value, in the
 * order of the struct; texts stand in double quotes. Reading gives back exactly what was
 * written; a line or a field that is missing, unknown or twice there is an error, so
 * that what another version wrote is never taken for something else.
 */
#define FSM_SNAPSHOT_FIRST "autoctl-snapshot 1"
#define FSM_SNAPSHOT_MAX (256 * 1024) /* more than the longest there is */

struct fsm_record {
	struct fsm_group group;
	int nsteps;
	struct fsm_step step[FSM_STEPS_MAX];
	int ndecisions; /* 1: what follows and the steps are what was decided, 0: not
			 * decided */
	struct fsm_decision {
		int64_t wake_in_ms;
		uint64_t next; /* fsm_group_sum() of what was to be stored */
	} decision;
};

/* What does not read, for people. */
struct fsm_snapshot_wrong {
	int line; /* of the text, from 1 */
	char text[FSM_TEXT_MAX];
};

/* As snprintf: at most size bytes with the NUL; the length it would have had. */
size_t fsm_snapshot_format(const struct fsm_record *, char *to, size_t size);

/*
 * Read the next record at *at, which moves behind it; what stands before its first line
 * is skipped. 1: read; 0: there is none any more; -1: wrong is filled, *at is behind the
 * version in its first line.
 */
int fsm_snapshot_parse(const char **at, struct fsm_record *, struct fsm_snapshot_wrong *);

/* Put the snapshot and what was decided on it together; plan NULL: nothing was. */
void fsm_snapshot_fill(
    struct fsm_record *, const struct fsm_group *, const struct fsm_plan *);

/* A sum over the text of a group: equal groups have equal sums. */
uint64_t fsm_snapshot_sum(const struct fsm_group *);

/* snapshot.c's tables, for the test that compares them with fsm.h. */
enum fsm_field_type {
	FSM_FIELD_INT,
	FSM_FIELD_I64,
	FSM_FIELD_U64,
	FSM_FIELD_BOOL,
	FSM_FIELD_LSN,
	FSM_FIELD_TEXT,
	FSM_FIELD_IDS, /* int64_t[], up to the last that is not 0 */
	FSM_FIELD_STATE,
	FSM_FIELD_PG,
	FSM_FIELD_WITNESS,
	FSM_FIELD_OP,
	FSM_FIELD_REQUEST,
	FSM_FIELD_OUTCOME
};
struct fsm_field {
	const char *name;
	enum fsm_field_type type;
	size_t offset; /* in its struct */
	size_t size;
};
struct fsm_section {
	const char *word;
	const char *type; /* the struct's name in fsm.h */
	const struct fsm_field *field;
	size_t nfields;
	size_t offset; /* in struct fsm_record */
	size_t size;   /* of the struct */
	size_t count;  /* offset of an int: how many there are; 0: always one */
	int max;
};
extern const struct fsm_section fsm_section_list[];
extern const size_t fsm_section_count;

#endif
