/* A formation live on a full screen: states, lag, health, what is awaited, events. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/screen.h"
#include "ini/clock.h"

#include "ini/ban.h"

#define EVERY_MS 1000
#define STATEMENT_MS 3000

enum {
	NAME,
	NODE,
	REGION,
	QUORUM,
	PRIORITY,
	HOST,
	TLI,
	LAG,
	CONNECTION,
	REPORT,
	CHECK,
	REPORTED,
	ASSIGNED,
	COLUMNS
};

#define RANKS 6

static const struct {
	const char *title, *name;
	int rank; /* columns with the highest are left out first */
	bool left;
} columns[COLUMNS] = { { "Name", "nodename", 0, true }, { "Node", "nodeid", 3, false },
	{ "Region", "region", RANKS, true }, { "Quorum", "quorum", 5, true },
	{ "Priority", "priority", 5, false }, { "Host:Port", "host", 2, true },
	{ "TLI: LSN", "lsn", 1, false }, { "Lag", "lag", 0, false },
	{ "Connection", "reportedstate", 4, true }, { "Report", "age", 0, false },
	{ "Check", "health", 0, true }, { "Reported State", "reportedstate", 0, true },
	{ "Assigned State", "goalstate", 0, true } };

static const char nodes_sql[] =
    "select n.nodename, n.nodeid, n.region, case when n.replicationquorum then 'yes' "
    "else 'no' end as quorum, n.candidatepriority as priority, n.nodehost || ':' || "
    "n.nodeport as host, "
    "n.reportedtli || ': ' || n.reportedlsn as lsn, "
    "case when w.nodeid is null then '' else pg_catalog.pg_size_pretty("
    "greatest(0, w.reportedlsn - n.reportedlsn)) end as lag, "
    "greatest(0, extract(epoch from clock_timestamp() - n.reporttime)::int) || ' s' "
    "as age, case n.health when 1 then 'good' when 0 then 'BAD' else '?' end as health, "
    "n.reportedstate, n.goalstate, n.nodeid = g.writer as writer, "
    "n.health = 0 as alarm from pgautofailover.node n "
    "left join pgautofailover.nodegroup g using (formationid, groupid) "
    "left join pgautofailover.node w on w.nodeid = g.writer "
    "where n.formationid = $1 and ($2::text is null or n.groupid = $2::int) "
    "order by n.groupid, n.nodeid";
static const char notes_sql[] =
    "select to_char(clock_timestamp(), 'HH24:MI:SS') || '  formation ' || formationid || "
    "', number_sync_standbys ' || number_sync_standbys as line "
    "from pgautofailover.formation where formationid = $1 union all "
    "select explain from pgautofailover.nodegroup where formationid = $1 and "
    "explain <> '' and ($2::text is null or groupid = $2::int)";
static const char events_sql[] =
    "select to_char(eventtime, 'HH24:MI:SS') || '  ' || nodename || '  ' || "
    "coalesce(description, '') as line from pgautofailover.event "
    "where formationid = $1 and ($2::text is null or groupid = $2::int) "
    "order by eventid desc limit 200";

static const char *
cell(const struct row *r, int c)
{
	const char *text = row_text(r, columns[c].name);

	return c == CONNECTION ? cmd_connection_type(text) : text;
}

static void
choose(const struct rows *r, int cols, int width[COLUMNS])
{
	int rank = RANKS, sum;

	for (int c = 0; c < COLUMNS; c++) {
		width[c] = screen_width(columns[c].title);
		for (int i = 0; i < r->count; i++) {
			struct row row = row_at(r, i);
			int w = screen_width(cell(&row, c));
			width[c] = w > width[c] ? w : width[c];
		}
	}
	do {
		sum = 0;
		for (int c = 0; c < COLUMNS; c++) {
			if (columns[c].rank > rank)
				width[c] = 0;
			sum += width[c] ? width[c] + 2 : 0;
		}
	} while (sum > cols + 2 && rank-- > 0);
}

static void
node_lines(struct buf *b, const struct rows *r, const int width[COLUMNS])
{
	for (int i = -1; i < r->count; i++) {
		struct row row = { 0 };
		if (i >= 0)
			row = row_at(r, i);
		if (i < 0)
			buf_char(b, SCREEN_REVERSE);
		else if (row_bool(&row, "alarm"))
			buf_char(b, SCREEN_ALARM);
		else if (row_bool(&row, "writer"))
			buf_char(b, SCREEN_BOLD);
		for (int c = 0; c < COLUMNS; c++) {
			if (!width[c])
				continue;
			screen_cell(b, i < 0 ? columns[c].title : cell(&row, c), width[c],
			    columns[c].left);
			buf_str(b, "  ");
		}
		buf_char(b, '\n');
	}
}

static int
lines_of(struct cmd_ctx *x, struct buf *b, const char *sql)
{
	struct rows r = { 0 };

	if (db_query(&x->monitor, &x->err, &r, sql, buf_peek(&x->formation),
		x->args.group, DB_END))
		return -1;
	for (int i = 0; i < r.count; i++) {
		struct row row = row_at(&r, i);
		screen_text(b, row_text(&row, "line"));
		buf_char(b, '\n');
	}
	rows_drop(&r);
	return 0;
}

static int
ask(struct cmd_ctx *x, const struct screen *s, struct buf *b)
{
	struct rows r = { 0 };
	int width[COLUMNS];

	if (cmd_try_monitor(x))
		return -1;
	x->monitor.statement_ms = STATEMENT_MS;
	if (lines_of(x, b, notes_sql) ||
	    db_query(&x->monitor, &x->err, &r, nodes_sql, buf_peek(&x->formation),
		x->args.group, DB_END))
		return -1;
	buf_char(b, '\n');
	choose(&r, s->cols, width);
	node_lines(b, &r, width);
	rows_drop(&r);
	buf_str(b, "\n\001Events, the last one first (q: quit)\n");
	return lines_of(x, b, events_sql);
}

/* What was seen last stays, below the word that the monitor is not heard. */
static void
renew(struct cmd_ctx *x, const struct screen *s, struct buf *page)
{
	struct buf fresh = { 0 };

	if (ask(x, s, &fresh) == 0) {
		buf_drop(page);
		*page = fresh;
		return;
	}
	buf_reset(&fresh);
	buf_char(&fresh, SCREEN_ALARM);
	screen_text(&fresh, x->err.msg);
	buf_char(&fresh, '\n');
	if (buf_peek(page)[0] == SCREEN_ALARM)
		buf_str(&fresh, buf_peek(page) + strcspn(buf_peek(page), "\n") + 1);
	else
		buf_str(&fresh, buf_peek(page));
	buf_drop(page);
	*page = fresh;
	err_clear(&x->err);
	if (db_is_bad(&x->monitor))
		db_close(&x->monitor);
}

/* With --wait the screen is there at once, and says who is awaited: for what time will
 * not mend there is no screen. */
static int
open_first(struct cmd_ctx *x)
{
	if (!x->args.wait_monitor)
		return cmd_open_monitor(x);
	if (cmd_try_monitor(x) && x->err.kind != ERR_MONITOR)
		return -1;
	err_clear(&x->err);
	return 0;
}

int
cmd_watch(struct cmd_ctx *x)
{
	struct mono next = { 0 };
	struct buf page = { 0 };
	struct screen s;
	int rc;

	if (open_first(x) || screen_open(&s, &x->err))
		return -1;
	for (;;) {
		int64_t left = mono_between(clock_mono(), next);
		if (left <= 0) {
			renew(x, &s, &page);
			next = mono_after(clock_mono(), EVERY_MS);
			left = EVERY_MS;
		}
		rc = screen_draw(&s, &page, &x->err);
		enum screen_event e = rc ? SCREEN_QUIT : screen_wait(&s, -1, left);
		if (e == SCREEN_QUIT)
			break;
		if (e == SCREEN_RESIZED)
			next = clock_mono();
	}
	screen_close(&s);
	buf_drop(&page);
	return rc;
}
