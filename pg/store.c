/* A group from rows, a decision into rows; the outcome of requests for those who wait. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/log.h"
#include "ini/str.h"

#include "ini/ban.h"

#define AGE(column)                                                                      \
	"greatest(0, extract(epoch from clock_timestamp() - " column ") * 1000)::bigint"

/* Parameters are text: numbers are printed into one buffer, as long as the struct. */
struct params {
	int n;
	const char *value[DB_PARAMS_MAX];
	char text[2048];
	size_t used;
};

static void
add_text(struct params *p, const char *v)
{
	assert(p->n < DB_PARAMS_MAX);
	p->value[p->n++] = v;
}

static void
add_i64(struct params *p, int64_t v)
{
	int n = snprintf(p->text + p->used, sizeof p->text - p->used, "%" PRId64, v);

	assert(n > 0 && (size_t)n < sizeof p->text - p->used);
	add_text(p, p->text + p->used);
	p->used += (size_t)n + 1;
}

static void
add_bool(struct params *p, bool v)
{
	add_text(p, v ? "t" : "f");
}

static void
add_lsn(struct params *p, uint64_t v)
{
	assert(sizeof p->text - p->used > STR_LSN_MAX);
	add_text(p, str_lsn_format(v, p->text + p->used));
	p->used += strlen(p->text + p->used) + 1;
}

static int
run(struct db *d, struct rows *rows, const char *sql, const struct params *p,
    struct err *e)
{
	return db_exec(d, rows, sql, db_args(p->n, p->value), e);
}

/* One row, one column named v. */
static int
one(struct db *d, const char *sql, const struct params *p, int64_t *v, struct err *e)
{
	struct rows r = { 0 };

	if (run(d, &r, sql, p, e))
		return -1;
	*v = 0;
	if (r.count) {
		struct row row = row_at(&r, 0);

		*v = row_i64(&row, "v");
	}
	rows_drop(&r);
	return r.count >= 0 ? 0 : -1;
}

/* -- the epoch -- */

/* A holder whose session has ended is gone; one that hangs is so when it renews no more.
 */
/* clang-format off */
#define TAKE_SQL \
	"update pgautofailover.monitor m set epoch = epoch + 1, holder = $1," \
	" session_pid = pg_catalog.pg_backend_pid(), renewed = clock_timestamp()" \
	" where renewed < clock_timestamp() - $2::bigint * interval '1 ms' or not exists" \
	" (select from pg_catalog.pg_stat_activity a where a.pid = m.session_pid)" \
	" returning epoch as v"
/* clang-format on */

int
store_epoch_take(
    struct db *d, const char *holder, int64_t stale_ms, int64_t *epoch, struct err *e)
{
	struct params p = { 0 };

	add_text(&p, holder);
	add_i64(&p, stale_ms);
	if (one(d, TAKE_SQL, &p, epoch, e))
		return -1;
	return *epoch > 0;
}

static int
touch_epoch(struct db *d, int64_t epoch, const char *renewed, struct err *e)
{
	struct params p = { 0 };
	int64_t same;

	add_i64(&p, epoch);
	add_text(&p, renewed);
	if (one(d,
		"update pgautofailover.monitor set renewed = coalesce($2::timestamptz,"
		" clock_timestamp()) where epoch = $1 returning epoch as v",
		&p, &same, e))
		return -1;
	return same == epoch;
}

int
store_epoch_renew(struct db *d, int64_t epoch, struct err *e)
{
	return touch_epoch(d, epoch, NULL, e);
}

int
store_epoch_raise(struct db *d, int64_t *epoch, int64_t seen, struct err *e)
{
	struct params p = { 0 };
	int64_t raised;

	add_i64(&p, *epoch);
	add_i64(&p, seen);
	if (one(d,
		"update pgautofailover.monitor set epoch = $2::bigint + 1 where epoch = "
		"$1"
		" returning epoch as v",
		&p, &raised, e))
		return -1;
	if (raised)
		*epoch = raised;
	return raised > 0;
}

int
store_epoch_leave(struct db *d, int64_t epoch, struct err *e)
{
	return touch_epoch(d, epoch, "-infinity", e);
}

/* -- settings -- */

static int
parse_setting(
    const struct fsm_setting_info *s, const char *text, int64_t *v, struct err *e)
{
	bool flag;

	if (strcmp(s->unit, "bool") == 0) {
		if (str_bool(text, &flag, e))
			return -1;
		*v = flag;
		return 0;
	}
	if (strcmp(s->unit, "ms") == 0  ? str_ms(text, 1, v, e)
	    : strcmp(s->unit, "B") == 0 ? str_bytes(text, v, e)
					: str_i64(text, v, e))
		return -1;
	if (*v < s->min)
		return err_set(e, ERR_CONFIG, "less than %" PRId64, s->min);
	return 0;
}

static const struct fsm_setting_info *
find_setting(const char *name)
{
	for (size_t i = 0; i < fsm_setting_count; i++)
		if (strcmp(fsm_setting_list[i].name, name) == 0)
			return &fsm_setting_list[i];
	return NULL;
}

static void
take_setting(struct fsm_settings *to, const char *name, const char *text)
{
	static struct log_once once;
	const struct fsm_setting_info *s = find_setting(name);
	struct err e;
	int64_t v;

	if (!s)
		return;
	if (parse_setting(s, text, &v, &e)) {
		log_once(&once, LOG_LEVEL_WARN,
		    "the setting pgautofailover.%s is not understood, its default holds: "
		    "%s",
		    name, e.msg);
		return;
	}
	memcpy((char *)to + s->offset, &v, sizeof v);
}

/* ALTER DATABASE ... SET reaches new sessions only, ours is old: so look it up. */
/* clang-format off */
#define SETTINGS_SQL \
	"with here as (select split_part(c, '=', 1) as name, substr(c, strpos(c, '=') + 1) as value" \
	" from pg_catalog.pg_db_role_setting s cross join unnest(s.setconfig) c where s.setrole = 0" \
	" and s.setdatabase = (select oid from pg_catalog.pg_database where datname =" \
	"  current_database()))" \
	" select n as name, coalesce((select value from pgautofailover.setting where name = n)," \
	"  (select value from here where name = 'pgautofailover.' || n)," \
	"  nullif(current_setting('pgautofailover.' || n, true), '')) as value" \
	" from unnest(string_to_array($1, ' ')) n"
/* clang-format on */

int
store_settings(struct db *d, struct fsm_settings *s, struct err *e)
{
	struct buf names = { 0 };
	struct rows r = { 0 };
	int rc;

	fsm_settings_default(s);
	for (size_t i = 0; i < fsm_setting_count; i++)
		buf_printf(&names, "%s%s", i ? " " : "", fsm_setting_list[i].name);
	rc = db_query(d, e, &r, SETTINGS_SQL, buf_peek(&names), DB_END);
	buf_drop(&names);
	if (rc)
		return err_wrap(e, "read the settings");
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		if (!row_null(&row, "value"))
			take_setting(s, row_text(&row, "name"), row_text(&row, "value"));
	}
	rows_drop(&r);
	return 0;
}

/* -- reading a group -- */

int
store_groups(struct db *d, struct rows *r, struct err *e)
{
	return db_query(d, e, r,
	    "select formationid, groupid from pgautofailover.nodegroup order by 1, 2",
	    DB_END);
}

/* clang-format off */
#define GROUP_SQL \
	"select g.*, f.opt_secondary, f.number_sync_standbys," \
	" " AGE("g.op_at") " as op_age, " AGE("g.op_phase_at") " as phase_age," \
	" (select count(*) from unnest(g.failovers) t where t > now() - interval '5 min') as recent," \
	" (select string_agg(gen || ' ' || k || ' ' || cardinality(members) || ' ' ||" \
	"   array_to_string(members, ' '), ' ' order by gen) from pgautofailover.sync_config c" \
	"  where c.formationid = g.formationid and c.groupid = g.groupid) as configs," \
	" (select string_agg(tli || ' ' || parenttli || ' ' || lsn, ' ' order by tli) from" \
	"  (select distinct on (h.tli) h.tli, h.parenttli, h.switchpoint_lsn - '0/0'::pg_lsn as lsn" \
	"   from pgautofailover.node_timeline_history h join pgautofailover.node n using (nodeid)" \
	"   where n.formationid = g.formationid and n.groupid = g.groupid" \
	"   order by h.tli desc, (n.nodeid = g.writer) desc, n.nodeid limit 64) l) as lineage," \
	" (select accepted_tli from pgautofailover.accepted_timeline a where a.formationid =" \
	"   g.formationid and a.groupid = g.groupid and resolved_at is null" \
	"  order by decided_at desc limit 1) as accepted_tli," \
	" case when g.learning then (select count(*) from pgautofailover.node w" \
	"  cross join jsonb_array_elements(w.peers) p where w.formationid = g.formationid" \
	"   and w.groupid = g.groupid and p ->> 'sync' in ('sync', 'quorum') and not exists" \
	"   (select from pgautofailover.node k where k.nodeid = (p ->> 'id')::bigint))" \
	"  else 0 end as strangers," \
	" q.requestid, q.kind as request, q.nodeid as request_node, q.allow_loss, q.force" \
	" from pgautofailover.nodegroup g join pgautofailover.formation f using (formationid)" \
	" left join lateral (select * from pgautofailover.request q where q.outcome is null" \
	"  and q.asked_at > now() - interval '1 min' and q.formationid = g.formationid and q.groupid = g.groupid order by requestid limit 1)" \
	"  q on true" \
	" where g.formationid = $1 and g.groupid = $2"
/* clang-format on */

/* clang-format off */
#define NODES_SQL \
	"select n.*, " AGE("n.goal_at") " as goal_age, " AGE("n.state_at") " as state_age," \
	" " AGE("n.reporttime") " as report_age," \
	" case when n.pg_down_at is null then 0 else " AGE("n.pg_down_at") " end as down_age," \
	" exists (select from pg_catalog.pg_stat_activity a where a.pid = n.session_pid) as session," \
	" (select (p ->> 'age')::bigint from pgautofailover.nodegroup g" \
	"  join pgautofailover.node w on w.nodeid = g.writer" \
	"  cross join jsonb_array_elements(w.peers) p" \
	"  where g.formationid = n.formationid and g.groupid = n.groupid and" \
	"   (p ->> 'id')::bigint = n.nodeid limit 1) as ack_age" \
	" from pgautofailover.node n where n.formationid = $1 and n.groupid = $2 order by n.nodeid"
/* clang-format on */

static void
take_name(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

/* The next number of a list of numbers. */
static int64_t
next(const char **at)
{
	char *end;
	int64_t v = strtoll(*at, &end, 10);

	*at = end;
	return v;
}

static void
parse_configs(struct fsm_group *g, const char *at)
{
	while (*at && g->nconfigs < FSM_CONFIGS_MAX) {
		struct fsm_config *c = &g->config[g->nconfigs++];
		int64_t n;

		c->gen = next(&at);
		c->k = (int)next(&at);
		n = next(&at);
		for (int64_t i = 0; i < n; i++) {
			int64_t id = next(&at);

			if (c->n < FSM_NODES_MAX)
				c->member[c->n++] = id;
		}
		at += strspn(at, " ");
	}
}

static void
parse_lineage(struct fsm_group *g, const char *at)
{
	while (*at && g->nlineage < FSM_LINEAGE_MAX) {
		struct fsm_lineage *l = &g->lineage[g->nlineage++];

		l->tli = (int)next(&at);
		l->parent = (int)next(&at);
		l->switch_lsn = (uint64_t)next(&at);
		at += strspn(at, " ");
	}
}

static void
parse_op(struct fsm_op *o, const struct row *r)
{
	int kind = fsm_op_find(row_text(r, "op_kind"));

	o->kind = kind < 0 ? FSM_OP_NONE : (enum fsm_op_kind)kind;
	o->planned = row_bool(r, "op_planned");
	o->maintenance = row_bool(r, "op_maintenance");
	o->allow_loss = row_bool(r, "op_allow_loss");
	o->writer_gone = row_bool(r, "op_writer_gone");
	o->revoked = row_bool(r, "op_revoked");
	o->since = row_i64(r, "op_since");
	o->old_writer = row_i64(r, "op_old_writer");
	o->candidate = row_i64(r, "op_candidate");
	o->preferred = row_i64(r, "op_preferred");
	o->excluded = row_i64(r, "op_excluded");
	o->source = row_i64(r, "op_source");
	o->target_lsn = row_lsn(r, "op_target_lsn");
	o->phase = row_int(r, "op_phase");
	if (o->kind == FSM_OP_NONE)
		return; /* what is not going on does not grow older */
	o->age_ms = row_i64(r, "op_age");
	o->phase_age_ms = row_i64(r, "phase_age");
}

static void
parse_request(struct fsm_request *q, const struct row *r)
{
	int kind = fsm_request_find(row_text(r, "request"));

	if (row_null(r, "requestid") || kind < 0)
		return;
	q->id = row_i64(r, "requestid");
	q->kind = (enum fsm_request_kind)kind;
	q->node = row_i64(r, "request_node");
	q->allow_loss = row_bool(r, "allow_loss");
	q->force = row_bool(r, "force");
}

static void
parse_group(struct store_group *s, const struct row *r)
{
	struct fsm_group *g = &s->g;

	take_name(g->formation, sizeof g->formation, row_text(r, "formationid"));
	g->group_id = row_int(r, "groupid");
	g->secondary_allowed = row_bool(r, "opt_secondary");
	g->nss = row_int(r, "number_sync_standbys");
	g->writer = row_i64(r, "writer");
	g->term = row_i64(r, "term");
	g->writer_tli = row_int(r, "writer_tli");
	g->floor_lsn = row_lsn(r, "floor_lsn");
	g->dirty = row_bool(r, "dirty");
	g->learning = row_bool(r, "learning");
	g->strangers = row_int(r, "strangers");
	g->lease_gen = row_int(r, "lease_gen");
	g->said = row_int(r, "said");
	g->accepted_tli = row_int(r, "accepted_tli");
	g->recent_failovers = row_int(r, "recent");
	s->lease_ms = row_i64(r, "lease_ms");
	take_name(s->explain, sizeof s->explain, row_text(r, "explain"));
	parse_op(&g->op, r);
	parse_configs(g, row_text(r, "configs"));
	parse_lineage(g, row_text(r, "lineage"));
	parse_request(&g->request, r);
}

static enum fsm_state
parse_state(const char *name)
{
	int i = fsm_state_find(name);

	return i < 0 ? FSM_UNKNOWN : (enum fsm_state)i;
}

static enum fsm_witness
parse_witness(const char *name)
{
	int i = fsm_witness_find(name);

	return i < 0 ? FSM_WITNESS_NONE : (enum fsm_witness)i;
}

static void
parse_reported(struct fsm_node *n, const struct row *r)
{
	int pg = fsm_pg_find(row_text(r, "pg"));

	n->pg = pg < 0 ? FSM_PG_UNKNOWN : (enum fsm_pg)pg;
	n->pg_retrying = row_bool(r, "pg_retrying");
	n->pg_down_age_ms = row_i64(r, "down_age");
	n->has_data = row_bool(r, "has_data");
	n->tli = row_int(r, "reportedtli");
	n->lsn = row_lsn(r, "reportedlsn");
	n->promise_term = row_i64(r, "promise_term");
	n->promise_tli = row_int(r, "promise_tli");
	n->promise_lsn = row_lsn(r, "promise_lsn");
	n->stopped_term = row_i64(r, "stopped_term");
	n->final_lsn = row_lsn(r, "final_lsn");
	n->applied_gen = row_i64(r, "applied_gen");
	n->lease_gen = row_int(r, "lease_gen");
	n->upstream_id = row_i64(r, "upstream_id");
	n->streaming = row_bool(r, "streaming");
	n->attached = !row_null(r, "ack_age");
	n->ack_age_ms = n->attached ? row_i64(r, "ack_age") : FSM_NEVER;
	n->heard = parse_witness(row_text(r, "heard"));
	n->heard_age_ms = row_i64(r, "heard_age");
	n->fails = row_int(r, "fails");
}

static void
parse_node(struct fsm_node *n, struct store_node *x, const struct row *r)
{
	n->id = row_i64(r, "nodeid");
	take_name(n->name, sizeof n->name, row_text(r, "nodename"));
	n->priority = row_int(r, "candidatepriority");
	n->quorum = row_bool(r, "replicationquorum");
	n->reported = parse_state(row_text(r, "reportedstate"));
	n->goal = parse_state(row_text(r, "goalstate"));
	n->goal_seq = row_i64(r, "goal_seq");
	n->seen_seq = row_i64(r, "seen_seq");
	n->seen_term = row_i64(r, "seen_term");
	n->goal_age_ms = row_i64(r, "goal_age");
	n->state_age_ms = row_i64(r, "state_age");
	n->lost = row_bool(r, "lost");
	n->fork_tli = row_int(r, "fork_tli");
	n->fork_lsn = row_lsn(r, "fork_lsn");
	parse_reported(n, r);
	take_name(x->host, sizeof x->host, row_text(r, "nodehost"));
	x->port = row_int(r, "nodeport");
	x->health = row_int(r, "health");
	x->report_seq = row_i64(r, "report_seq");
	x->report_age_ms = row_i64(r, "report_age");
	x->session = row_bool(r, "session");
	x->seen_epoch = row_i64(r, "seen_epoch");
	n->session = x->session;
}

/* Planning them takes longer than running them. */
static const struct db_statement read_group_sql = { "read_group", GROUP_SQL, 1 };
static const struct db_statement read_nodes_sql = { "read_nodes", NODES_SQL, 2 };
static const struct db_statement lock_nodes_sql = { "lock_nodes",
	NODES_SQL " for no key update of n", 4 };

static int
read_nodes(
    struct db *d, struct store_group *s, const struct params *p, bool lock, struct err *e)
{
	struct rows r = { 0 };

	if (db_prepared(d, &r, lock ? &lock_nodes_sql : &read_nodes_sql,
		db_args(p->n, p->value), e))
		return -1;
	if (r.count > FSM_NODES_MAX) {
		rows_drop(&r);
		return err_set(e, ERR_MONITOR, "group %s/%d has more than %d nodes",
		    s->g.formation, s->g.group_id, FSM_NODES_MAX);
	}
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);

		parse_node(&s->g.node[i], &s->node[i], &row);
	}
	s->g.n = r.count;
	rows_drop(&r);
	return 0;
}

static int
read_group(
    struct db *d, struct store_group *s, const struct params *p, bool lock, struct err *e)
{
	struct rows r = { 0 };

	if (db_prepared(d, &r, &read_group_sql, db_args(p->n, p->value), e))
		return -1;
	if (r.count == 1) {
		struct row row = row_at(&r, 0);

		parse_group(s, &row);
	}
	rows_drop(&r);
	if (!s->g.formation[0])
		return 0;
	return read_nodes(d, s, p, lock, e) ? -1 : 1;
}

int
store_read(struct db *d, const struct store_key *k, const struct fsm_settings *set,
    struct store_group *s, struct err *e)
{
	struct params p = { 0 };

	*s = (struct store_group){ .g.settings = *set };
	add_text(&p, k->formation);
	add_i64(&p, k->group_id);
	return read_group(d, s, &p, false, e);
}

/* Whoever holds a row for long (an operator's open transaction) must not hold us. */
/* clang-format off */
#define LOCK_SQL \
	"with e as (select epoch from pgautofailover.monitor where epoch = $3 for key share)" \
	" select e.epoch as v from e cross join pgautofailover.nodegroup g" \
	" where g.formationid = $1 and g.groupid = $2 for update of g"
/* clang-format on */

int
store_lock(struct db *d, int64_t epoch, struct store_group *s, struct err *e)
{
	struct store_group old = *s;
	struct params p = { 0 };
	int64_t held = 0;
	int rc = -1;

	*s = (struct store_group){ .g.settings = old.g.settings };
	add_text(&p, old.g.formation);
	add_i64(&p, old.g.group_id);
	add_i64(&p, epoch);
	if (db_script(d, "begin", e))
		return -1;
	if (one(d, LOCK_SQL, &p, &held, e) == 0) {
		p.n = 2;
		rc = held ? read_group(d, s, &p, true, e) : 0;
	}
	if (rc <= 0)
		store_forget(d);
	return rc;
}

void
store_forget(struct db *d)
{
	if (db_is_open(d))
		(void)!db_run(d, NULL, "rollback", DB_END);
}

/* -- writing a decision -- */

static bool
same_op(const struct fsm_op *a, const struct fsm_op *b)
{
	return a->kind == b->kind && a->planned == b->planned &&
	       a->maintenance == b->maintenance && a->allow_loss == b->allow_loss &&
	       a->writer_gone == b->writer_gone && a->revoked == b->revoked &&
	       a->since == b->since && a->old_writer == b->old_writer &&
	       a->candidate == b->candidate && a->preferred == b->preferred &&
	       a->excluded == b->excluded && a->source == b->source &&
	       a->target_lsn == b->target_lsn && a->phase == b->phase &&
	       a->age_ms <= b->age_ms && a->phase_age_ms <= b->phase_age_ms;
}

static bool
same_configs(const struct fsm_group *a, const struct fsm_group *b)
{
	if (a->nconfigs != b->nconfigs)
		return false;
	for (int i = 0; i < a->nconfigs; i++) {
		const struct fsm_config *x = &a->config[i];
		const struct fsm_config *y = &b->config[i];

		if (x->gen != y->gen || x->k != y->k || x->n != y->n ||
		    memcmp(x->member, y->member, (size_t)x->n * sizeof x->member[0]) != 0)
			return false;
	}
	return true;
}

static bool
same_head(const struct store_group *s, const struct fsm_group *b)
{
	const struct fsm_group *a = &s->g;

	return a->writer == b->writer && a->term == b->term &&
	       a->writer_tli == b->writer_tli && a->floor_lsn == b->floor_lsn &&
	       a->dirty == b->dirty && a->learning == b->learning &&
	       a->lease_gen == b->lease_gen && a->said == b->said && a->nss == b->nss &&
	       a->accepted_tli == b->accepted_tli &&
	       s->lease_ms == b->settings.lease_ms && same_op(&a->op, &b->op);
}

static bool
same_node(const struct fsm_node *a, const struct fsm_node *b)
{
	return a->goal == b->goal && a->goal_seq == b->goal_seq &&
	       a->priority == b->priority && a->quorum == b->quorum &&
	       a->lost == b->lost && a->fork_tli == b->fork_tli &&
	       a->fork_lsn == b->fork_lsn && !b->dead;
}

bool
store_differs(const struct store_group *before, const struct fsm_plan *plan)
{
	const struct fsm_group *a = &before->g;
	const struct fsm_group *b = &plan->next;

	if (plan->nsteps || !same_head(before, b) || !same_configs(a, b) ||
	    b->request.outcome != FSM_OUTCOME_PENDING)
		return true;
	for (int i = 0; i < a->n; i++) {
		const struct fsm_node *n = fsm_node_peek(b, a->node[i].id);

		if (!n || !same_node(&a->node[i], n))
			return true;
	}
	return false;
}

/* clang-format off */
#define HEAD_SQL \
	"update pgautofailover.nodegroup set writer = $3, term = $4, writer_tli = $5, dirty = $6," \
	" lease_gen = $7, said = $8, lease_ms = $9, op_kind = $10, op_planned = $11," \
	" op_maintenance = $12, op_allow_loss = $13, op_writer_gone = $14, op_revoked = $15," \
	" op_since = $16, op_old_writer = $17, op_candidate = $18, op_preferred = $19," \
	" op_excluded = $20, op_source = $21, op_target_lsn = $22, op_phase = $23," \
	" op_at = clock_timestamp() - $24::bigint * interval '1 ms'," \
	" op_phase_at = clock_timestamp() - $25::bigint * interval '1 ms'," \
	" failovers = case when $26 then (select array_agg(t) from unnest(failovers || now()) t" \
	"  where t > now() - interval '5 min') else failovers end," \
	" floor_lsn = $27, learning = $28, learned_at = case when $28 then now() else" \
	" learned_at end" \
	" where formationid = $1 and groupid = $2"
/* clang-format on */

static void
add_op(struct params *p, const struct fsm_op *o)
{
	add_text(p, fsm_op_name(o->kind));
	add_bool(p, o->planned);
	add_bool(p, o->maintenance);
	add_bool(p, o->allow_loss);
	add_bool(p, o->writer_gone);
	add_bool(p, o->revoked);
	add_i64(p, o->since);
	add_i64(p, o->old_writer);
	add_i64(p, o->candidate);
	add_i64(p, o->preferred);
	add_i64(p, o->excluded);
	add_i64(p, o->source);
	add_lsn(p, o->target_lsn);
	add_i64(p, o->phase);
	add_i64(p, o->age_ms);
	add_i64(p, o->phase_age_ms);
}

static int
write_head(struct db *d, const struct store_group *before, const struct fsm_plan *plan,
    struct err *e)
{
	const struct fsm_group *a = &before->g;
	const struct fsm_group *g = &plan->next;
	struct params p = { 0 };

	if (same_head(before, g))
		return 0;
	add_text(&p, a->formation);
	add_i64(&p, a->group_id);
	add_i64(&p, g->writer);
	add_i64(&p, g->term);
	add_i64(&p, g->writer_tli);
	add_bool(&p, g->dirty);
	add_i64(&p, g->lease_gen);
	add_i64(&p, g->said);
	add_i64(&p, g->settings.lease_ms);
	add_op(&p, &g->op);
	add_bool(&p, plan->failover);
	add_lsn(&p, g->floor_lsn);
	add_bool(&p, g->learning);
	return run(d, NULL, HEAD_SQL, &p, e);
}

/* What belongs to the formation, and the pin of a timeline. */
static int
write_rest(
    struct db *d, const struct fsm_group *a, const struct fsm_group *g, struct err *e)
{
	struct params p = { 0 };

	add_text(&p, a->formation);
	add_i64(&p, a->nss != g->nss ? g->nss : a->group_id);
	if (a->nss != g->nss &&
	    run(d, NULL,
		"update pgautofailover.formation set number_sync_standbys = $2"
		" where formationid = $1",
		&p, e))
		return -1;
	if (!a->accepted_tli || g->accepted_tli)
		return 0;
	p = (struct params){ 0 };
	add_text(&p, a->formation);
	add_i64(&p, a->group_id);
	return run(d, NULL,
	    "update pgautofailover.accepted_timeline set resolved_at = now()"
	    " where formationid = $1 and groupid = $2 and resolved_at is null",
	    &p, e);
}

static int
write_config(
    struct db *d, const struct fsm_group *g, const struct fsm_config *c, struct err *e)
{
	struct params p = { 0 };
	struct buf members = { 0 };
	char names[2048];
	int rc;

	if (ssn_format(c, names, sizeof names))
		return err_set(
		    e, ERR_MONITOR, "the names of %d standbys do not fit", c->n);
	buf_char(&members, '{');
	for (int i = 0; i < c->n; i++)
		buf_printf(&members, "%s%" PRId64, i ? "," : "", c->member[i]);
	buf_char(&members, '}');
	add_text(&p, g->formation);
	add_i64(&p, g->group_id);
	add_i64(&p, c->gen);
	add_i64(&p, c->k);
	add_text(&p, buf_peek(&members));
	add_text(&p, names);
	rc = run(d, NULL,
	    "insert into pgautofailover.sync_config values ($1, $2, $3, $4, $5, $6)", &p,
	    e);
	buf_drop(&members);
	return rc;
}

static int
write_configs(
    struct db *d, const struct fsm_group *a, const struct fsm_group *g, struct err *e)
{
	struct params p = { 0 };

	if (same_configs(a, g))
		return 0;
	add_text(&p, a->formation);
	add_i64(&p, a->group_id);
	if (run(d, NULL,
		"delete from pgautofailover.sync_config where formationid = $1 and "
		"groupid = $2",
		&p, e))
		return -1;
	for (int i = 0; i < g->nconfigs; i++)
		if (write_config(d, g, &g->config[i], e))
			return -1;
	return 0;
}

static int
write_node(
    struct db *d, const struct fsm_node *a, const struct fsm_node *n, struct err *e)
{
	struct params p = { 0 };

	if (!n || same_node(a, n) || n->dead)
		return 0;
	add_i64(&p, n->id);
	add_text(&p, fsm_state_name(n->goal));
	add_i64(&p, n->goal_seq);
	add_i64(&p, n->priority);
	add_bool(&p, n->quorum);
	add_bool(&p, n->lost);
	add_i64(&p, n->fork_tli);
	add_lsn(&p, n->fork_lsn);
	return run(d, NULL,
	    "update pgautofailover.node set goal_at = case when goal_seq <> $3 then"
	    " clock_timestamp() else goal_at end, statechangetime = case when goal_seq "
	    "<> $3 then"
	    " clock_timestamp() else statechangetime end, goalstate = $2, goal_seq = $3,"
	    " candidatepriority = $4, replicationquorum = $5, lost = $6,"
	    " fork_tli = $7, fork_lsn = $8 where nodeid = "
	    "$1",
	    &p, e);
}

static int
delete_node(struct db *d, int64_t id, struct err *e)
{
	struct params p = { 0 };

	add_i64(&p, id);
	return run(d, NULL,
	    "with gone as (delete from pgautofailover.node n where nodeid = $1 returning "
	    "n.*)"
	    " select pg_catalog.pg_notify('log', 'Removing ' || "
	    "pgautofailover.label(gone.*::"
	    "pgautofailover.node) || ' from formation ' || formationid) from gone",
	    &p, e);
}

static int
write_nodes(
    struct db *d, const struct fsm_group *a, const struct fsm_plan *plan, struct err *e)
{
	const struct fsm_group *b = &plan->next;

	for (int i = 0; i < a->n; i++)
		if (write_node(d, &a->node[i], fsm_node_peek(b, a->node[i].id), e))
			return -1;
	for (int i = 0; i < plan->nsteps; i++) {
		const struct fsm_step *s = &plan->step[i];
		const struct fsm_rule *rule = fsm_rule_find(s->rule);
		struct params p = { 0 };

		add_i64(&p, s->node);
		add_text(&p, s->text);
		add_i64(&p, s->rule);
		add_text(&p, rule ? fsm_rule_section(rule) : NULL);
		add_text(&p, fsm_state_name(s->to));
		if (run(d, NULL, "select pgautofailover.add_event($1, $2, $3, $4, $5)",
			&p, e))
			return -1;
	}
	for (int i = 0; i < a->n; i++) {
		const struct fsm_node *n = fsm_node_peek(b, a->node[i].id);

		if ((!n || n->dead) && delete_node(d, a->node[i].id, e))
			return -1;
	}
	return 0;
}

static int
write_outcome(struct db *d, const struct fsm_request *q, struct err *e)
{
	struct params p = { 0 };

	if (!q->id || q->outcome == FSM_OUTCOME_PENDING)
		return 0;
	add_i64(&p, q->id);
	add_text(&p, q->outcome == FSM_OUTCOME_DONE ? "done" : "refused");
	add_text(&p, q->sqlstate);
	add_text(&p, q->text);
	return run(d, NULL,
	    "with q as (update pgautofailover.request set outcome = $2, sqlstate = $3,"
	    " message = $4, decided_at = now() where requestid = $1 returning requestid)"
	    " select pg_catalog.pg_notify('" STORE_REQUEST "', requestid::text) from q",
	    &p, e);
}

/* Tell the keepers whose standing order is another one now. */
static int
tell(struct db *d, const struct store_group *before, const struct fsm_group *b,
    struct err *e)
{
	const struct fsm_group *a = &before->g;
	bool everybody = !same_head(before, b) || !same_configs(a, b) || a->n != b->n;

	for (int i = 0; i < a->n; i++) {
		const struct fsm_node *n = fsm_node_peek(b, a->node[i].id);
		struct params p = { 0 };

		if (!everybody && n && same_node(&a->node[i], n))
			continue;
		add_i64(&p, a->node[i].id);
		if (run(d, NULL, "select pg_catalog.pg_notify('" STORE_GOAL "', $1)", &p,
			e))
			return -1;
	}
	return 0;
}

int
store_write(struct db *d, const struct store_group *before, const struct fsm_plan *plan,
    struct err *e)
{
	const struct fsm_group *a = &before->g;
	const struct fsm_group *b = &plan->next;

	if (write_head(d, before, plan, e) || write_rest(d, a, b, e) ||
	    write_configs(d, a, b, e) || write_nodes(d, a, plan, e) ||
	    write_outcome(d, &b->request, e) || tell(d, before, b, e) ||
	    db_run(d, e, "commit", DB_END)) {
		store_forget(d);
		return err_wrap(
		    e, "store a decision on group %s/%d", a->formation, a->group_id);
	}
	return 0;
}

int
store_health(struct db *d, int64_t node, int health, struct err *e)
{
	struct params p = { 0 };

	add_i64(&p, node);
	add_i64(&p, health);
	return run(d, NULL,
	    "with n as (update pgautofailover.node n set health = $2, healthchecktime = "
	    "now()"
	    " where nodeid = $1 and health <> $2 returning n.*)"
	    " select pgautofailover.add_event(nodeid, 'Node ' || "
	    "pgautofailover.label(n.*::"
	    "pgautofailover.node) || case when health = 1 then ' is marked as healthy by "
	    "the"
	    " monitor' else ' is marked as unhealthy by the monitor' end) from n",
	    &p, e);
}

int
store_explain(struct db *d, const struct store_group *s, const char *text, struct err *e)
{
	struct params p = { 0 };

	if (strcmp(s->explain, text) == 0)
		return 0;
	add_text(&p, s->g.formation);
	add_i64(&p, s->g.group_id);
	add_text(&p, text);
	return run(d, NULL,
	    "update pgautofailover.nodegroup set explain = $3 where formationid = $1 and"
	    " groupid = $2",
	    &p, e);
}

int
store_expire(struct db *d, struct err *e)
{
	return db_run(d, e,
	    "update pgautofailover.request set outcome = 'refused', sqlstate = '57014',"
	    " message = 'too old: no monitor process was there to decide it', decided_at "
	    "= now()"
	    " where outcome is null and asked_at < now() - interval '1 min'",
	    DB_END);
}

/* -- for commands -- */

int
store_listen(struct db *d, struct err *e)
{
	return db_script(d, "listen state; listen log", e);
}

/* 1: decided, 0: not yet. */
static int
read_outcome(struct db *d, struct store_outcome *o, struct err *e)
{
	struct rows r = { 0 };
	struct params p = { 0 };
	bool decided = false;

	add_i64(&p, o->id);
	if (run(d, &r,
		"select outcome, sqlstate, message from pgautofailover.request where "
		"requestid = $1"
		" and outcome is not null",
		&p, e))
		return -1;
	if (r.count) {
		struct row row = row_at(&r, 0);

		decided = true;
		o->refused = strcmp(row_text(&row, "outcome"), "refused") == 0;
		take_name(o->sqlstate, sizeof o->sqlstate, row_text(&row, "sqlstate"));
		take_name(o->text, sizeof o->text, row_text(&row, "message"));
	}
	rows_drop(&r);
	return decided;
}

static int
refusal(const struct store_outcome *o, struct err *e)
{
	if (!o->refused)
		return 0;
	err_set(e, ERR_MONITOR, "%s", o->text);
	if (e)
		memcpy(e->sqlstate, o->sqlstate, sizeof e->sqlstate);
	return -1;
}

static int
withdraw(struct db *d, struct store_outcome *o, struct err *e)
{
	struct params p = { 0 };
	struct rows r = { 0 };
	struct row row;
	bool late;
	int rc;

	add_i64(&p, o->id);
	if (run(d, &r, "select pgautofailover.withdraw_request($1) as v", &p, e))
		return -1;
	row = row_at(&r, 0);
	late = row_bool(&row, "v");
	rows_drop(&r);
	rc = read_outcome(d, o, e);
	if (rc < 0)
		return -1;
	if (!late && rc)
		return refusal(o, e);
	err_set(e, ERR_SYSTEM, "the monitor has not decided within %d s",
	    STORE_DECIDE_MS / 1000);
	return err_hint(e, "Is the monitor process running? The request is withdrawn.");
}

/* Notifications are hints: the row decides. They are left for the caller to take. */
static int
await(struct db *d, struct store_outcome *o, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), STORE_DECIDE_MS);

	for (;;) {
		int rc = read_outcome(d, o, e);

		if (rc < 0)
			return -1;
		if (rc)
			return refusal(o, e);
		if (mono_reached(clock_mono(), deadline))
			return withdraw(d, o, e);
		if (db_wait_readable(d, 100, e) < 0)
			return -1;
	}
}

int
store_submit(struct db *d, struct err *e, struct store_outcome *o, const char *sql, ...)
{
	const char *value[DB_PARAMS_MAX];
	struct params none = { 0 };
	va_list ap;
	int n;

	va_start(ap, sql);
	n = db_params(ap, value);
	va_end(ap);
	*o = (struct store_outcome){ 0 };
	if (db_run(d, e, "listen " STORE_REQUEST, DB_END) ||
	    db_run(
		d, e, "select set_config('pgautofailover.request', '', false)", DB_END) ||
	    db_exec(d, NULL, sql, db_args(n, value), e) ||
	    one(d,
		"select coalesce(nullif(current_setting('pgautofailover.request', true), "
		"''), '0')"
		" as v",
		&none, &o->id, e))
		return -1;
	return o->id ? await(d, o, e) : 0;
}
