/* The rules as rows of table fsm: what pg_auto_failover's view of that name tells. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>

#include "fsm/rules.h"
#include "ini/buf.h"
#include "ini/err.h"
#include "pg/db.h"
#include "pg/schema.h"

#include "ini/ban.h"

enum column {
	C_POS,
	C_SECTION,
	C_COMMENT,
	C_X_STATE,
	C_W_STATE,
	C_C_STATE,
	C_X_FACTS,
	C_W_FACTS,
	C_C_FACTS,
	C_GROUP,
	C_X_GOAL,
	C_W_GOAL,
	C_MORE,
	C_PATH,
	C_COUNT
};

static void
separate(struct buf *b)
{
	if (buf_len(b))
		buf_str(b, ", ");
}

/* The states of the mask, or, where these are fewer, those that are not. */
static void
add_states(struct buf *b, const char *what, uint32_t mask)
{
	uint32_t without = FSM_ANY & ~mask;
	bool not = __builtin_popcount(without) < __builtin_popcount(mask);

	for (int i = 0; mask && i < FSM_STATE_COUNT; i++) {
		if (!((not ? without : mask) >> i & 1))
			continue;
		separate(b);
		if (*what || not )
			buf_printf(b, "%s%s", *what ? what : "state", not ? "!=" : "=");
		buf_str(b, fsm_state_name((enum fsm_state)i));
	}
}

static void
add_pattern(struct buf *b, const struct fsm_pattern *p)
{
	if (p->reported == p->goal) {
		add_states(b, "", p->reported);
		return;
	}
	add_states(b, "reported", p->reported);
	add_states(b, "goal", p->goal);
}

static void
add_facts(struct buf *b, fsm_facts need, fsm_facts deny, const char *(*name)(int))
{
	for (int i = 0; i < 64; i++) {
		if (!((need | deny) >> i & 1))
			continue;
		separate(b);
		buf_printf(b, "%s=%s", name(i), need >> i & 1 ? "true" : "false");
	}
}

static void
add_goal(struct buf *b, unsigned char goal)
{
	if (goal && goal < FSM_STATE_COUNT)
		buf_str(b, fsm_state_name((enum fsm_state)goal));
}

static void
describe(const struct fsm_rule *r, struct buf c[C_COUNT])
{
	buf_printf(&c[C_POS], "%d", fsm_rule_id(r));
	buf_str(&c[C_SECTION], fsm_rule_section(r));
	buf_str(&c[C_COMMENT], fsm_rule_why(r));
	add_pattern(&c[C_X_STATE], &r->x);
	add_pattern(&c[C_W_STATE], &r->w);
	add_pattern(&c[C_C_STATE], &r->c);
	add_facts(&c[C_X_FACTS], r->x.need, r->x.deny, facts_node_name);
	add_facts(&c[C_W_FACTS], r->w.need, r->w.deny, facts_node_name);
	add_facts(&c[C_C_FACTS], r->c.need, r->c.deny, facts_node_name);
	add_facts(&c[C_GROUP], r->need, r->deny, facts_group_name);
	add_goal(&c[C_X_GOAL], r->to.x);
	add_goal(&c[C_W_GOAL], r->to.w);
	buf_str(&c[C_MORE], r->effects ? "t" : "f");
	buf_str(&c[C_PATH], fsm_rule_section(r));
}

/* clang-format off */
#define INSERT_SQL \
	"insert into pgautofailover.fsm (pos, section, comment, active_node_current_state," \
	" other_node_current_state, candidate_node_current_state, active_node_conditions," \
	" other_node_conditions, candidate_node_conditions, group_conditions," \
	" active_node_assigned_state, other_node_assigned_state, has_extra_action, section_path)" \
	" values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11, ''), nullif($12, '')," \
	" $13, $14)"
/* clang-format on */

static int
fill_rule(struct db *d, const struct fsm_rule *r, struct err *e)
{
	struct buf c[C_COUNT] = { 0 };
	const char *value[C_COUNT];
	int rc;

	describe(r, c);
	for (int i = 0; i < C_COUNT; i++)
		value[i] = buf_peek(&c[i]);
	rc = db_exec(d, NULL, INSERT_SQL, db_args(C_COUNT, value), e);
	for (int i = 0; i < C_COUNT; i++)
		buf_drop(&c[i]);
	return rc;
}

int
schema_fill_rules(struct db *d, struct err *e)
{
	if (db_run(d, e, "delete from pgautofailover.fsm", DB_END))
		return -1;
	for (size_t i = 0; i < fsm_rule_count; i++)
		if (fill_rule(d, fsm_rule_at(i), e))
			return -1;
	return 0;
}
