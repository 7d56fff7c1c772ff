/* Our block in pg_hba.conf: who may come in, and the door that can be closed. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/hba.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "ini/buf.h"
#include "ini/clock.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/db.h"
#include "pg/host.h"
#include "pg/postmaster.h"
#include "pg/report.h"

#include "ini/ban.h"

#define BEGIN "# begin autoctl\n"
#define END "# end autoctl\n"
#define CLOSED "# the door is closed: a promotion is under way\n"
#define MODE 0600
#define GONE_MS 5000

/* -- pure text -- */

void
hba_rule_format(struct buf *b, const struct hba_rule *r)
{
	buf_printf(b, "%s ", r->type);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? r->user : r->dbname;
		bool keyword = strcmp(name, "all") == 0 ||
			       (i == 0 && strcmp(name, "replication") == 0);
		if (keyword)
			buf_str(b, name);
		else {
			buf_char(b, '"');
			for (; *name; name++) {
				if (*name == '"')
					buf_char(b, '"');
				buf_char(b, *name);
			}
			buf_char(b, '"');
		}
		buf_char(b, ' ');
	}
	if (r->address)
		buf_printf(b, "%s ", r->address);
	buf_printf(b, "%s\n", r->method);
}

/* The text with our block replaced, or put at the top; an empty block leaves no trace. */
void
hba_edit(const char *text, const char *block, struct buf *to)
{
	const char *begin = strstr(text, BEGIN);
	const char *end = begin ? strstr(begin, END) : NULL;

	while (
	    begin && begin != text && begin[-1] != '\n') { /* inside a line: not ours */
		begin = strstr(begin + 1, BEGIN);
		end = begin ? strstr(begin, END) : NULL;
	}
	if (*block) {
		buf_str(to, BEGIN);
		buf_str(to, block);
		buf_str(to, END);
	}
	if (!begin || !end) {
		buf_str(to, text);
		return;
	}
	buf_add(to, text, (size_t)(begin - text));
	buf_str(to, end + strlen(END));
}

/* What stands between the marks now, "" when there are none. */
static void
block_of(const char *text, struct buf *to)
{
	const char *begin = strstr(text, BEGIN);
	const char *end = begin ? strstr(begin, END) : NULL;

	if (begin && end)
		buf_add(to, begin + strlen(BEGIN), (size_t)(end - begin) - strlen(BEGIN));
}

/* The rules of a block, without those of a closed door. */
static const char *
open_part(const char *block)
{
	const char *closed = strstr(block, CLOSED);

	return closed ? closed + strlen(CLOSED) : block;
}

/* -- the file -- */

static int
read_file(const struct host *h, char **path, struct buf *text, struct err *e)
{
	*path = xasprintf("%s/pg_hba.conf", h->pgdata);
	if (file_read(*path, text, e) == 0)
		return 0;
	free(*path);
	*path = NULL;
	return -1;
}

/* 1: changed and told to Postgres, 0: the same. */
static int
write_block(const struct host *h, const char *block, struct err *e)
{
	struct buf text = { 0 }, new = { 0 };
	struct postmaster pm;
	char *path;
	int rc;

	if (read_file(h, &path, &text, e))
		return -1;
	hba_edit(buf_peek(&text), block, &new);
	rc = file_update(path, &new, MODE, e);
	free(path);
	buf_drop(&text);
	buf_drop(&new);
	postmaster_find(h, &pm);
	if (rc == 1 && pm.pid && host_reload(h, e))
		return -1;
	return rc;
}

static int
read_block(const struct host *h, struct buf *block, struct err *e)
{
	struct buf text = { 0 };
	char *path;

	if (read_file(h, &path, &text, e))
		return -1;
	block_of(buf_peek(&text), block);
	free(path);
	buf_drop(&text);
	return 0;
}

int
hba_take(const struct host *h, struct buf *block, struct err *e)
{
	char *path = xasprintf("%s/pg_hba.conf", h->pgdata);
	bool there = file_exists(path);

	free(path);
	buf_reset(block);
	return there ? read_block(h, block, e) : 0;
}

int
hba_put(const struct host *h, const struct buf *block, struct err *e)
{
	return write_block(h, open_part(buf_peek(block)), e) < 0 ? -1 : 0;
}

/* -- addresses -- */

static bool
is_address(const char *host)
{
	unsigned char any[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, any) == 1 || inet_pton(AF_INET6, host, any) == 1;
}

static void
address_text(const struct sockaddr *a, struct buf *b)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (a->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)a;
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		buf_printf(b, "%s/32", text);
	} else if (a->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)a;
		inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
		buf_printf(b, "%s/128", text);
	}
}

/* One rule for each address a host has; its name where it has none (yet): Postgres looks
 * it up when somebody connects. */
static void
add_rules(struct buf *b, const struct hba_rule *rule, const char *host)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	struct hba_rule r = *rule;
	struct buf address = { 0 };
	struct buf line = { 0 };

	if (is_address(host)) {
		buf_printf(&address, "%s/%d", host, strchr(host, ':') ? 128 : 32);
		r.address = buf_peek(&address);
		hba_rule_format(b, &r);
		buf_drop(&address);
		return;
	}
	if (getaddrinfo(host, NULL, &hints, &all))
		all = NULL;
	if (!all) {
		r.address = host;
		hba_rule_format(b, &r);
	}
	for (struct addrinfo *a = all; a; a = a->ai_next) {
		buf_reset(&address);
		buf_reset(&line);
		address_text(a->ai_addr, &address);
		r.address = buf_peek(&address);
		hba_rule_format(&line, &r);
		if (!strstr(buf_peek(b), buf_peek(&line)))
			buf_str(b, buf_peek(&line));
	}
	if (all)
		freeaddrinfo(all);
	buf_drop(&address);
	buf_drop(&line);
}

static int
mask_bits(const struct sockaddr *mask)
{
	const unsigned char *p;
	int n, bits = 0;

	if (mask->sa_family == AF_INET) {
		p = (const void *)&((const struct sockaddr_in *)(const void *)mask)
			->sin_addr;
		n = 4;
	} else {
		p = (const void *)&((const struct sockaddr_in6 *)(const void *)mask)
			->sin6_addr;
		n = 16;
	}
	for (int i = 0; i < n; i++)
		bits += __builtin_popcount(p[i]);
	return bits;
}

static bool
same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		   &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
		   sizeof(struct in6_addr)) == 0;
}

/* The network of the interface that has the address of --hostname; "" when unknown. */
static void
local_network(const char *hostname, struct buf *to)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	struct ifaddrs *ifs = NULL;

	if (str_empty(hostname) || getaddrinfo(hostname, NULL, &hints, &all))
		return;
	if (getifaddrs(&ifs))
		ifs = NULL;
	for (struct ifaddrs *i = ifs; i && !buf_len(to); i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN] = "";
		if (!i->ifa_addr || !i->ifa_netmask ||
		    !same_address(i->ifa_addr, all->ai_addr))
			continue;
		const void *p =
		    i->ifa_addr->sa_family == AF_INET
			? (const void *)&((struct sockaddr_in *)(void *)i->ifa_addr)
			      ->sin_addr
			: (const void *)&((struct sockaddr_in6 *)(void *)i->ifa_addr)
			      ->sin6_addr;
		inet_ntop(i->ifa_addr->sa_family, p, text, sizeof text);
		buf_printf(to, "%s/%d", text, mask_bits(i->ifa_netmask));
	}
	if (ifs)
		freeifaddrs(ifs);
	freeaddrinfo(all);
}

/* -- what the block says -- */

static const char *
type_of(const struct host *h)
{
	return h->cfg->ssl_active ? "hostssl" : "host";
}

static const char *
method_of(const struct host *h)
{
	const char *m = h->cfg->auth_method;

	if (str_empty(m))
		return "trust";
	return strcmp(m, "cert") == 0 ? "cert map=pgautofailover" : m;
}

static void
format_rules(const struct host *h, const struct hba *a, struct buf *b)
{
	const char *dbname = str_empty(h->cfg->dbname) ? "postgres" : h->cfg->dbname;
	struct hba_rule r = { .type = type_of(h), .method = method_of(h) };
	struct hba_rule probe = { .type = type_of(h),
		.dbname = "all",
		.user = HOST_HEALTH,
		.method = "trust" };
	struct buf net = { 0 };

	if (a->monitor_host)
		add_rules(b, &probe, a->monitor_host);
	for (int i = 0; i < a->npeers; i++) {
		r.user = HOST_REPLICATOR;
		r.dbname = "replication";
		add_rules(b, &r, a->peer[i].host);
		r.dbname = dbname;
		add_rules(b, &r, a->peer[i].host);
	}
	if (!str_empty(h->cfg->username)) {
		r.dbname = dbname;
		r.user = h->cfg->username;
		if (!str_empty(h->cfg->hostname))
			add_rules(b, &r, h->cfg->hostname);
	}
	if (str_eq(h->cfg->hba_level, "app")) {
		local_network(h->cfg->hostname, &net);
		r.dbname = dbname;
		r.user = str_empty(h->cfg->username) ? "all" : h->cfg->username;
		r.address = buf_peek(&net);
		if (buf_len(&net))
			hba_rule_format(b, &r);
	}
	buf_drop(&net);
}

static bool
skipped(const struct host *h, const struct buf *rules)
{
	static bool told;

	if (!str_eq(h->cfg->hba_level, "skip"))
		return false;
	if (!told)
		log_warn(
		    "pg_hba.conf is left alone (--skip-pg-hba); it needs lines like: %s",
		    buf_peek(rules));
	told = true;
	return true;
}

/* Keep the door as it is in front of new rules. */
static int
replace_rules(const struct host *h, const struct buf *rules, struct err *e)
{
	struct buf old = { 0 }, new = { 0 };
	int rc = -1;

	if (read_block(h, &old, e) == 0) {
		const char *open = open_part(buf_peek(&old));
		buf_add(&new, buf_peek(&old), (size_t)(open - buf_peek(&old)));
		buf_str(&new, buf_peek(rules));
		rc = write_block(h, buf_peek(&new), e);
	}
	buf_drop(&old);
	buf_drop(&new);
	return rc;
}

int
hba_update(const struct host *h, const struct hba *a, struct err *e)
{
	struct buf rules = { 0 };
	int rc;

	format_rules(h, a, &rules);
	rc = skipped(h, &rules) ? 0 : replace_rules(h, &rules, e);
	buf_drop(&rules);
	return rc < 0 ? err_wrap(e, "pg_hba.conf") : rc;
}

int
hba_monitor(const struct host *h, struct err *e)
{
	struct hba_rule r = { .type = type_of(h),
		.dbname = "pg_auto_failover",
		.user = "autoctl_node",
		.method = method_of(h) };
	struct buf rules = { 0 }, net = { 0 };
	int rc;

	local_network(h->cfg->hostname, &net);
	r.address = buf_len(&net) ? buf_peek(&net) : "all";
	hba_rule_format(&rules, &r);
	rc = str_eq(h->cfg->hba_level, "skip") ? 0 : replace_rules(h, &rules, e);
	buf_drop(&net);
	buf_drop(&rules);
	return rc < 0 ? err_wrap(e, "pg_hba.conf") : rc;
}

/* -- the door -- */

/*
 * The first line that matches decides. Ours, the probes and the standbys come in by the
 * rules below, everybody else is turned away by these. reject needs no other lines.
 */
static void
closed_rules(const struct host *h, const char *rules, struct buf *b)
{
	struct hba_rule own = {
		.type = "local", .dbname = "all", .user = h->osuser, .method = "trust"
	};
	static const char *const ours[] = { HOST_REPLICATOR, HOST_HEALTH };

	hba_rule_format(b, &own);
	if (h->no_socket) {
		own.type = "host";
		own.method = "trust";
		own.address = "127.0.0.1/32";
		hba_rule_format(b, &own);
	}
	while (*rules) { /* the rules of the block for our own roles */
		size_t len = strcspn(rules, "\n");
		for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
			const char *at = strstr(rules, ours[i]);
			if (at && at < rules + len) {
				buf_add(b, rules, len);
				buf_char(b, '\n');
			}
		}
		rules += len + (rules[len] == '\n');
	}
	buf_str(b, "local all all reject\nhost all all all reject\n");
}

static const char others_sql[] =
    "select count(pg_catalog.pg_terminate_backend(pid)) as n from "
    "pg_catalog.pg_stat_activity where backend_type = 'client backend' and pid <> "
    "pg_catalog.pg_backend_pid() and not (usename = $1 and application_name = 'autoctl') "
    "and usename not in ('" HOST_HEALTH "', '" HOST_REPLICATOR "')";

/* Nobody comes in any more: now those who are in go out. */
static int
clear_out(const struct host *h, struct err *e)
{
	struct mono deadline = mono_after(clock_mono(), GONE_MS);
	struct db d = { 0 };
	struct rows r = { 0 };
	int64_t left = 0;
	int rc;

	if (host_open(h, &d, 0, e))
		return -1;
	do {
		rc = db_query(&d, e, &r, others_sql, h->user, DB_END);
		if (rc == 0) {
			struct row row = row_at(&r, 0);
			left = row_i64(&row, "n");
		}
		rows_drop(&r);
	} while (rc == 0 && left && clock_nap_until(deadline, 5));
	db_close(&d);
	if (rc == 0 && left)
		rc = err_set(e, ERR_POSTGRES, "%lld sessions of clients do not end",
		    (long long)left);
	return rc;
}

bool
hba_is_closed(const struct host *h)
{
	struct buf block = { 0 };
	bool closed =
	    read_block(h, &block, NULL) == 0 && strstr(buf_peek(&block), CLOSED) != NULL;

	buf_drop(&block);
	return closed;
}

int
hba_close(const struct host *h, struct err *e)
{
	struct buf old = { 0 }, new = { 0 };
	struct postmaster pm;
	int rc = -1;

	if (read_block(h, &old, e) == 0) {
		const char *rules = open_part(buf_peek(&old));
		closed_rules(h, rules, &new);
		buf_str(&new, CLOSED);
		buf_str(&new, rules);
		rc = write_block(h, buf_peek(&new), e);
	}
	buf_drop(&old);
	buf_drop(&new);
	postmaster_find(h, &pm);
	if (rc >= 0 && pm.pid)
		rc = clear_out(h, e);
	return rc < 0 ? err_wrap(e, "close the door") : 0;
}

int
hba_open(const struct host *h, struct err *e)
{
	struct buf block = { 0 };
	int rc = -1;

	if (read_block(h, &block, e) == 0)
		rc = write_block(h, open_part(buf_peek(&block)), e);
	buf_drop(&block);
	return rc < 0 ? err_wrap(e, "open the door") : 0;
}
