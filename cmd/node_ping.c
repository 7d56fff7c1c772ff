/* A standby listens for its writer: it is a witness when the monitor hears nothing. */
/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "cmd/node.h"
#include "ini/buf.h"
#include "pg/conf.h"
#include "pg/uri.h"

#include "ini/ban.h"

#define CONNECT_MS 1000
#define STATEMENT_MS 1000
#define PING_MS 500

static bool
wants_ping(const struct node *n)
{
	return n->has_reply && n->reply.upstream_id != 0 &&
	       n->reply.upstream_id != n->k->node_id &&
	       (fsm_state_flags(n->k->current) & ST_STANDBY);
}

static void
hear(struct node *n, enum fsm_witness w)
{
	n->heard = w;
	/* how long ago it was last well, whatever came later */
	if (w == FSM_WITNESS_OK || w == FSM_WITNESS_REJECT)
		n->heard_at = n->loop.now;
}

static void
lost(struct node *n)
{
	enum watch_lost why = n->ping.w.lost;

	if (why == WATCH_LOST_REFUSED)
		hear(n, FSM_WITNESS_REFUSED);
	else if (why == WATCH_LOST_REJECT)
		hear(n, FSM_WITNESS_REJECT);
	else if (why == WATCH_LOST_OTHER)
		hear(n, FSM_WITNESS_OK); /* it lets us not in, but it lives */
	else if (why == WATCH_LOST_SILENT)
		hear(n, FSM_WITNESS_SILENT);
	node_session_lost(n, &n->ping, PING_MS);
}

static void
begin_connect(struct node *n)
{
	struct buf uri = { 0 };
	struct db_target t = { .password = n->cfg.replication_password,
		.connect_ms = CONNECT_MS };
	const char *host = n->reply.upstream_host;
	enum node_name_is is = node_name_find(&n->ping_name, &n->loop, host);

	if (is == NODE_NAME_SOON) {
		n->ping.retry_at = mono_after(n->loop.now, 20);
		return;
	}
	conf_conninfo(&n->host, host, n->reply.upstream_port, "autoctl ping", &uri);
	if (is == NODE_NAME_KNOWN)
		uri_word(&uri, "hostaddr", n->ping_name.address);
	t.uri = buf_peek(&uri);
	if (watch_open(&n->ping.w, &t, NULL) == -1)
		node_session_lost(n, &n->ping, PING_MS);
	buf_drop(&uri);
}

static void
forget(struct node *n)
{
	watch_close(&n->ping.w);
	n->ping.fails = 0;
	n->ping.retry_at = n->loop.now;
	n->ping_id = wants_ping(n) ? n->reply.upstream_id : 0;
	n->heard = FSM_WITNESS_NONE;
	n->heard_at = n->loop.now;
}

void
node_ping_turn(struct node *n)
{
	enum watch_event event;

	if (n->ping_id != (wants_ping(n) ? n->reply.upstream_id : 0))
		forget(n);
	if (n->ping_id != 0 && n->ping.w.state == WATCH_CLOSED &&
	    mono_reached(n->loop.now, n->ping.retry_at))
		begin_connect(n);
	while ((event = watch_step(&n->ping.w, n->loop.now, NULL)) != WATCH_NOTHING) {
		if (event == WATCH_LOST) {
			lost(n);
			break;
		}
		if (event == WATCH_OPEN)
			n->ping_at = n->loop.now;
		hear(n, FSM_WITNESS_OK);
		n->ping.fails = 0;
	}
	if (n->ping.w.state == WATCH_IDLE && mono_reached(n->loop.now, n->ping_at)) {
		n->ping_at = mono_after(n->loop.now, PING_MS);
		if (watch_send(&n->ping.w, "select 1", db_args(0, NULL), STATEMENT_MS,
			NULL) == -1)
			lost(n);
	}
	node_session_watch(n, &n->ping);
}

int64_t
node_ping_wait_ms(const struct node *n)
{
	int64_t ms;

	if (n->ping_id == 0)
		return 500;
	ms = node_session_wait_ms(n, &n->ping);
	if (n->ping.w.state == WATCH_IDLE) {
		int64_t left = mono_between(n->loop.now, n->ping_at);

		if (left < ms)
			ms = left;
	}
	return ms;
}
