/* A keeper without a monitor: its goal is the operator's, its peers are in a file. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/node.h"
#include "cmd/node_alone.h"
#include "cmd/json.h"
#include "ini/buf.h"
#include "ini/file.h"
#include "ini/str.h"

#include "ini/ban.h"

#define ANYBODY "*" /* the names while nobody says which */

/* -- the file -- */

static int
member(const char *object, const char *key, struct buf *value, struct err *e)
{
	buf_reset(value);
	if (cmd_json_member(object, key, value))
		return 0;
	return err_set(e, ERR_CONFIG, "a node has no \"%s\"", key);
}

static int
number(const char *object, const char *key, int64_t *to, struct err *e)
{
	struct buf v = { 0 };
	int rc = member(object, key, &v, e);

	if (rc == 0 && str_i64(buf_peek(&v), to, e) == -1)
		rc = err_wrap(e, "%s", key);
	buf_drop(&v);
	return rc;
}

static int
text(const char *object, const char *key, char *to, size_t size, struct err *e)
{
	struct buf v = { 0 };
	int rc = member(object, key, &v, e);

	if (rc == 0 && str_copy(to, size, buf_peek(&v), e) == -1)
		rc = err_wrap(e, "%s", key);
	buf_drop(&v);
	return rc;
}

static int
read_peer(const char *object, struct alone_peer *p, struct err *e)
{
	struct buf v = { 0 };
	int64_t port = 0;
	int rc;

	memset(p, 0, sizeof *p);
	if (number(object, "node_id", &p->peer.id, e) == -1 ||
	    number(object, "node_port", &port, e) == -1 ||
	    text(object, "node_name", p->peer.name, sizeof p->peer.name, e) == -1 ||
	    text(object, "node_host", p->peer.host, sizeof p->peer.host, e) == -1)
		return -1;
	if (p->peer.id < 1 || port < 1 || port > 65535 ||
	    str_name(p->peer.name, e) == -1 || str_host(p->peer.host, e) == -1)
		return err_set(e, ERR_CONFIG, "node %lld: id, name, host or port is none",
		    (long long)p->peer.id);
	p->peer.port = (int)port;
	rc = member(object, "node_lsn", &v, e);
	if (rc == 0)
		rc = str_lsn(buf_peek(&v), &p->peer.lsn, e);
	if (rc == 0)
		rc = member(object, "node_is_primary", &v, e);
	if (rc == 0 && str_bool(buf_peek(&v), &p->primary, e) == -1)
		rc = err_wrap(e, "node_is_primary");
	buf_drop(&v);
	return rc;
}

/* In the order of ids; none twice. */
static int
insert(struct alone *a, const struct alone_peer *p, struct err *e)
{
	int i = a->n;

	for (int j = 0; j < a->n; j++)
		if (a->peer[j].peer.id == p->peer.id)
			return err_set(e, ERR_CONFIG, "node %lld is there twice",
			    (long long)p->peer.id);
		else if (p->primary && a->peer[j].primary)
			return err_set(e, ERR_CONFIG, "there are two primaries");
	if (a->n == FSM_NODES_MAX)
		return err_set(
		    e, ERR_CONFIG, "there are more than %d nodes", FSM_NODES_MAX);
	for (; i > 0 && a->peer[i - 1].peer.id > p->peer.id; i--)
		a->peer[i] = a->peer[i - 1];
	a->peer[i] = *p;
	a->n++;
	return 0;
}

int
node_alone_parse(const char *json, struct alone *a, struct err *e)
{
	const char *at = json;
	const char *object;
	struct alone_peer p;

	a->n = 0;
	if (!cmd_json_valid(json) || json[strspn(json, " \t\r\n")] != '[')
		return err_set(e, ERR_CONFIG, "this is no JSON array of nodes");
	while ((object = cmd_json_next(&at)) != NULL)
		if (read_peer(object, &p, e) == -1 || insert(a, &p, e) == -1)
			return -1;
	return 0;
}

static void
take(struct node *n, const struct alone *a)
{
	struct reply *r = &n->reply;

	n->npeers = 0;
	r->upstream_id = 0;
	for (int i = 0; i < a->n; i++) {
		const struct peer *p = &a->peer[i].peer;

		if (p->id == n->k->node_id)
			continue;
		n->peer[n->npeers++] = *p;
		if (!a->peer[i].primary)
			continue;
		r->upstream_id = p->id;
		r->upstream_port = p->port;
		snprintf(r->upstream_host, sizeof r->upstream_host, "%s", p->host);
	}
	n->has_peers = true;
	n->chore_due = true;
	n->slots_at = n->loop.now;
	node_hurry(n);
}

/* Where there is no file the peers stay who they were. */
static void
look_at_file(struct node *n)
{
	struct buf path = { 0 }, json = { 0 };
	struct alone a = { 0 };
	struct err e = { 0 };
	struct stat st;

	if (n->k->current == FSM_INIT ||
	    config_path(n->cfg.pgdata, CONFIG_FILE_NODES, &path, &e) == -1 ||
	    stat(buf_peek(&path), &st) ||
	    (st.st_ino == n->nodes_ino &&
		st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == n->nodes_ns)) {
		buf_drop(&path);
		return;
	}
	n->nodes_ino = st.st_ino;
	n->nodes_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (file_read(buf_peek(&path), &json, &e) == 0 &&
	    node_alone_parse(buf_peek(&json), &a, &e) == 0) {
		log_info("%d nodes are in %s", a.n, buf_peek(&path));
		take(n, &a);
	} else
		log_err(LOG_LEVEL_ERROR, &e);
	buf_drop(&path);
	buf_drop(&json);
}

/* -- the goal -- */

/* As the monitor would answer: all that is needed to go to the standing goal. */
static void
answer(struct node *n)
{
	struct reply *r = &n->reply;
	struct keeper *k = n->k;
	bool sync = k->goal == FSM_PRIMARY || k->goal == FSM_APPLY_SETTINGS;

	if (!n->has_reply) {
		r->gen = k->applied_gen;
		n->has_reply = true;
	}
	r->goal = k->goal;
	r->goal_seq = k->goal_seq;
	r->term = k->term;
	r->epoch = k->epoch;
	r->planned = false;
	r->target_lsn = 0;
	r->lease_ms = -1;
	if (n->work.pid == 0) {
		snprintf(r->names, sizeof r->names, "%s", sync ? ANYBODY : "");
		r->gen_k = sync;
	}
	/* what is wanted is new when it is not what new sessions see */
	if (n->work.pid == 0 && n->seen.valid && n->seen.fresh && n->seen.has_names &&
	    n->pg == FSM_PG_RW)
		r->gen = k->applied_gen + (strcmp(n->seen.names, r->names) != 0);
	k->wanted_gen = r->gen;
	k->planned = false;
}

void
node_alone_turn(struct node *n)
{
	n->k->contact = true;
	n->contact = n->loop.now;
	n->told = n->k->current;
	if (n->lease_limited) /* whoever granted it may not renew it any more */
		node_lease_set(n, -1, n->loop.now);
	look_at_file(n);
	answer(n);
}
