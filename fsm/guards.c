/* The guards that tests may take out, by name. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/fsm.h"

#include "ini/ban.h"

unsigned long long fsm_broken_guards;

const struct fsm_guard_info fsm_guard_list[FSM_GUARD_COUNT] = {
#define GUARD(id, name, text) { name, text },
#include "fsm/guards.def"
#undef GUARD
};
