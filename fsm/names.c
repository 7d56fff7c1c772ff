/* Names of everything that has one, both ways. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <string.h>

#include "fsm/fsm.h"

#include "ini/ban.h"

static const char *const state_name[] = {
#define STATE(id, name, flags, text) name,
#include "fsm/states.def"
#undef STATE
};
static const char *const state_text[] = {
#define STATE(id, name, flags, text) text,
#include "fsm/states.def"
#undef STATE
};
static const unsigned state_flags[] = {
#define STATE(id, name, flags, text) flags,
#include "fsm/states.def"
#undef STATE
};
static const char *const act_name[] = {
#define ACT(id, name, text) name,
#include "fsm/acts.def"
#undef ACT
};
static const char *const act_text[] = {
#define ACT(id, name, text) text,
#include "fsm/acts.def"
#undef ACT
};
static const char *const request_name[FSM_REQ_KIND_COUNT] = {
	[FSM_REQ_NONE] = "none",
	[FSM_REQ_FAILOVER] = "failover",
	[FSM_REQ_PROMOTION] = "promotion",
	[FSM_REQ_MAINTENANCE_ON] = "maintenance_on",
	[FSM_REQ_MAINTENANCE_OFF] = "maintenance_off",
	[FSM_REQ_REMOVE] = "remove",
};
static const char *const op_name[FSM_OP_KIND_COUNT] = {
	[FSM_OP_NONE] = "none",
	[FSM_OP_SWITCH] = "switch",
	[FSM_OP_ELECT] = "elect",
};
static const char *const pg_name[FSM_PG_COUNT] = {
	[FSM_PG_UNKNOWN] = "unknown",
	[FSM_PG_DOWN] = "down",
	[FSM_PG_STARTING] = "starting",
	[FSM_PG_STANDBY] = "standby",
	[FSM_PG_RW] = "rw",
};
static const char *const witness_name[FSM_WITNESS_COUNT] = {
	[FSM_WITNESS_NONE] = "none",
	[FSM_WITNESS_OK] = "ok",
	[FSM_WITNESS_REJECT] = "reject",
	[FSM_WITNESS_REFUSED] = "refused",
	[FSM_WITNESS_SILENT] = "silent",
};

static int
name_find(const char *const list[], int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(list[i], name) == 0)
			return i;
	return -1;
}

const char *
fsm_state_name(enum fsm_state s)
{
	assert(s >= 0 && s < FSM_STATE_COUNT);
	return state_name[s];
}

const char *
fsm_state_text(enum fsm_state s)
{
	assert(s >= 0 && s < FSM_STATE_COUNT);
	return state_text[s];
}

unsigned
fsm_state_flags(enum fsm_state s)
{
	assert(s >= 0 && s < FSM_STATE_COUNT);
	return state_flags[s];
}

int
fsm_state_find(const char *name)
{
	return name_find(state_name, FSM_STATE_COUNT, name);
}

const char *
fsm_act_name(enum fsm_act a)
{
	assert(a >= 0 && a < FSM_ACT_COUNT);
	return act_name[a];
}

const char *
fsm_act_text(enum fsm_act a)
{
	assert(a >= 0 && a < FSM_ACT_COUNT);
	return act_text[a];
}

const char *
fsm_request_name(enum fsm_request_kind k)
{
	assert(k >= 0 && k < FSM_REQ_KIND_COUNT);
	return request_name[k];
}

int
fsm_request_find(const char *name)
{
	return name_find(request_name, FSM_REQ_KIND_COUNT, name);
}

const char *
fsm_op_name(enum fsm_op_kind k)
{
	assert(k >= 0 && k < FSM_OP_KIND_COUNT);
	return op_name[k];
}

int
fsm_op_find(const char *name)
{
	return name_find(op_name, FSM_OP_KIND_COUNT, name);
}

const char *
fsm_pg_name(enum fsm_pg p)
{
	assert(p >= 0 && p < FSM_PG_COUNT);
	return pg_name[p];
}

int
fsm_pg_find(const char *name)
{
	return name_find(pg_name, FSM_PG_COUNT, name);
}

const char *
fsm_witness_name(enum fsm_witness w)
{
	assert(w >= 0 && w < FSM_WITNESS_COUNT);
	return witness_name[w];
}

int
fsm_witness_find(const char *name)
{
	return name_find(witness_name, FSM_WITNESS_COUNT, name);
}
