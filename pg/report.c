/* The report as text parameters, and the reply from a row. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/report.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/str.h"
#include "pg/db.h"

#include "ini/ban.h"

#define PARAMS 27

const char report_sql[] =
    "select * from pgautofailover.keeper_report($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
    " $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26,"
    " $27)";

const char report_peers_sql[] =
    "select id, name, host, port, lsn, goal from pgautofailover.keeper_peers($1)";

/* The next parameter. A text that does not fit is an error of ours: all of them are cut
 * to their fields, and the buffer holds them together. */
static void add(struct report_params *p, size_t *used, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(struct report_params *p, size_t *used, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + *used, sizeof p->text - *used, fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof p->text - *used && p->n < REPORT_PARAMS_MAX);
	p->value[p->n++] = p->text + *used;
	*used += (size_t)n + 1;
}

static void
add_i64(struct report_params *p, size_t *used, int64_t v)
{
	add(p, used, "%" PRId64, v);
}

static void
add_bool(struct report_params *p, size_t *used, bool v)
{
	add(p, used, "%s", v ? "t" : "f");
}

static void
add_lsn(struct report_params *p, size_t *used, uint64_t v)
{
	char lsn[STR_LSN_MAX];

	add(p, used, "%s", str_lsn_format(v, lsn));
}

/* Sorted by id: the order in which Postgres lists its walsenders is no news. */
static void
add_peers(struct report_params *p, size_t *used, const struct report *r)
{
	struct buf b = { 0 };
	int64_t last = INT64_MIN;

	buf_char(&b, '[');
	for (int i = 0; i < r->npeers; i++) {
		const struct report_peer *next = NULL;
		char lsn[STR_LSN_MAX];

		for (int k = 0; k < r->npeers; k++)
			if (r->peer[k].node_id > last &&
			    (!next || r->peer[k].node_id < next->node_id))
				next = &r->peer[k];
		if (!next)
			break;
		last = next->node_id;
		buf_printf(
		    &b, "%s{\"id\":%" PRId64 ",\"sync\":", i ? "," : "", next->node_id);
		buf_json(&b, next->sync_state);
		buf_printf(&b, ",\"lsn\":\"%s\",\"age\":%" PRId64 "}",
		    str_lsn_format(next->flush_lsn, lsn), next->reply_age_ms);
	}
	buf_char(&b, ']');
	add(p, used, "%s", buf_peek(&b));
	buf_drop(&b);
}

static void
add_promises(struct report_params *p, size_t *n, const struct report *r)
{
	add_i64(p, n, r->promise_term);
	add_i64(p, n, r->promise_tli);
	add_lsn(p, n, r->promise_lsn);
	add_i64(p, n, r->stopped_term);
	add_lsn(p, n, r->final_lsn);
	add_i64(p, n, r->applied_gen);
	add_i64(p, n, r->lease_gen);
}

int
report_format(const struct report *r, struct report_params *p, struct err *e)
{
	size_t n = 0;

	if (r->npeers < 0 || r->npeers > FSM_NODES_MAX)
		return err_set(e, ERR_SYSTEM, "a report with %d peers", r->npeers);
	p->n = 0;
	add_i64(p, &n, r->node_id);
	add_i64(p, &n, r->epoch);
	add_i64(p, &n, r->seen_seq);
	add(p, &n, "%s", fsm_state_name(r->state));
	add(p, &n, "%s", fsm_pg_name(r->pg));
	add_bool(p, &n, r->pg_retrying);
	add_bool(p, &n, r->has_data);
	add_i64(p, &n, r->tli);
	add_lsn(p, &n, r->lsn);
	add_promises(p, &n, r);
	add_i64(p, &n, r->upstream_id);
	add_bool(p, &n, r->streaming);
	add(p, &n, "%s", fsm_witness_name(r->heard));
	/* FSM_NEVER would overflow when ages are added */
	add_i64(p, &n, r->heard_age_ms > INT32_MAX ? INT32_MAX : r->heard_age_ms);
	add_i64(p, &n, r->fails);
	add(p, &n, "%.15s", r->rep_state);
	add(p, &n, "%.31s", r->act);
	add(p, &n, "%.95s", r->progress);
	add(p, &n, "%.255s", r->error);
	add_peers(p, &n, r);
	add_i64(p, &n, r->seen_term);
	assert(p->n == PARAMS);
	return 0;
}

static int
parse_state(const struct row *row, enum fsm_state *s, struct err *e)
{
	int i = fsm_state_find(row_text(row, "goal"));

	if (i < 0)
		return err_set(e, ERR_MONITOR,
		    "the monitor assigned \"%s\", a state that this "
		    "program does not know",
		    row_text(row, "goal"));
	*s = (enum fsm_state)i;
	return 0;
}

int
reply_parse(struct reply *r, const struct row *row, struct err *e)
{
	*r = (struct reply){ 0 };
	if (row_null(row, "goal"))
		return err_set(e, ERR_MONITOR, "the monitor has no order for this node");
	if (parse_state(row, &r->goal, e) ||
	    str_copy(r->upstream_host, sizeof r->upstream_host,
		row_text(row, "upstream_host"), e) ||
	    str_copy(r->names, sizeof r->names, row_text(row, "names"), e))
		return -1;
	r->goal_seq = row_i64(row, "goal_seq");
	r->term = row_i64(row, "term");
	r->epoch = row_i64(row, "epoch");
	r->planned = row_bool(row, "planned");
	r->target_lsn = row_lsn(row, "target_lsn");
	r->upstream_id = row_i64(row, "upstream_id");
	r->upstream_port = row_int(row, "upstream_port");
	r->upstream_tli = row_int(row, "upstream_tli");
	r->gen = row_i64(row, "gen");
	r->gen_k = row_int(row, "gen_k");
	r->lease_gen = row_int(row, "lease_gen");
	r->lease_ms = row_i64(row, "lease_ms");
	r->peers_gen = row_i64(row, "peers_gen");
	r->priority = row_int(row, "priority");
	r->quorum = row_bool(row, "quorum");
	return 0;
}

int
peer_parse(struct peer *p, const struct row *row, struct err *e)
{
	*p = (struct peer){ 0 };
	if (parse_state(row, &p->goal, e) ||
	    str_copy(p->name, sizeof p->name, row_text(row, "name"), e) ||
	    str_copy(p->host, sizeof p->host, row_text(row, "host"), e))
		return -1;
	p->id = row_i64(row, "id");
	p->port = row_int(row, "port");
	p->lsn = row_lsn(row, "lsn");
	return 0;
}
