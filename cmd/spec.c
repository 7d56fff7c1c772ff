/* The spec file of "node run": the table of its keys, and what reads it. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/file.h"
#include "ini/ini.h"
#include "ini/log.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "pg/uri.h"

#include "ini/ban.h"

/* clang-format off */

#define AT(field) offsetof(struct spec, field)
#define IN(field) offsetof(struct spec_formation, field)
#define M SPEC_MONITOR
#define N SPEC_NODE
#define B (SPEC_MONITOR | SPEC_NODE)
#define LIVE SPEC_LIVE
#define SECRET SPEC_SECRET
#define SSL_WORDS "self-signed|off|disable|allow|prefer|require|verify-ca|verify-full"

const struct spec_key spec_keys[] = {
{ "node", "kind", SPEC_CHOICE, "postgres", "monitor|postgres|coordinator|worker", B, AT(kind), NULL, NULL, "what is created" },
{ "node", "name", SPEC_NAME, "", NULL, N, AT(name), "name", "pg_autoctl.name", "name of the node" },
{ "node", "hostname", SPEC_TEXT, "", NULL, B, AT(hostname), "hostname", "pg_autoctl.hostname", "name or address by which the other hosts reach this one" },
{ "node", "port", SPEC_INT, "5432", "1..65535", B, AT(port), "pgport", "postgresql.port", "port of Postgres" },
{ "postgresql", "pgdata", SPEC_TEXT, "", NULL, B, AT(pgdata), NULL, NULL, "data directory" },
{ "postgresql", "pg_ctl", SPEC_TEXT, "", NULL, B, AT(pg_ctl), "pgctl", NULL, "pg_ctl of the Postgres version to use" },
{ "postgresql", "listen", SPEC_TEXT, "", NULL, B, AT(listen), "listen", "postgresql.listen_addresses", "listen_addresses of Postgres" },
{ "postgresql", "username", SPEC_TEXT, "", NULL, N, AT(username), "username", "postgresql.username", "superuser to create for the application" },
{ "postgresql", "dbname", SPEC_TEXT, "", NULL, N, AT(dbname), "dbname", "postgresql.dbname", "database to create for the application" },
{ "monitor", "pguri", SPEC_TEXT, "", NULL, N, AT(pguri), "monitor", "pg_autoctl.monitor", "connection string of the monitor" },
{ "monitor", "no_monitor", SPEC_BOOL, "false", NULL, N, AT(no_monitor), "disable-monitor", NULL, "run without a monitor" },
{ "monitor", "node_id", SPEC_INT, "", "0..2147483647", N, AT(node_id), NULL, NULL, "node id, without a monitor" },
{ "monitor", "dburi", SPEC_TEXT, "", NULL, M, AT(dburi), "dburi", NULL, "keep the monitor's metadata in this existing database" },
{ "formation", "name", SPEC_NAME, "default", NULL, N, AT(formation_name), "formation", "pg_autoctl.formation", "formation of the node" },
{ "formation", "group", SPEC_INT, "0", "0..1000000", N, AT(group), NULL, NULL, "group of a Citus worker" },
{ "settings", "candidate_priority", SPEC_INT, "50", "0..100", N | LIVE, AT(priority), "candidate-priority", NULL, "who is promoted first; 0: never" },
{ "settings", "replication_quorum", SPEC_BOOL, "true", NULL, N | LIVE, AT(quorum), "replication-quorum", NULL, "whether commits wait for this node" },
{ "settings", "region", SPEC_TEXT, "", NULL, N | LIVE, AT(region), "region", NULL, "region of the node" },
{ "options", "ssl", SPEC_CHOICE, "self-signed", SSL_WORDS, B, AT(ssl), NULL, NULL, "how connections are encrypted" },
{ "options", "auth", SPEC_TEXT, "trust", NULL, B, AT(auth), NULL, NULL, "pg_hba.conf method for the connections between hosts" },
{ "options", "pg_hba_lan", SPEC_BOOL, "true", NULL, N, AT(hba_lan), NULL, NULL, "also let the local network connect to the database" },
{ "options", "skip_pg_hba", SPEC_BOOL, "false", NULL, B, AT(skip_hba), NULL, NULL, "leave pg_hba.conf alone" },
{ "options", "debian_cluster", SPEC_TEXT, "", NULL, B, AT(debian), NULL, NULL, "make this cluster with pg_createcluster first" },
{ "ssl", "ca_file", SPEC_TEXT, "", NULL, B, AT(ca_file), NULL, "ssl.ca_file", "certificate authorities to trust" },
{ "ssl", "crl_file", SPEC_TEXT, "", NULL, B, AT(crl_file), NULL, "ssl.crl_file", "revoked certificates" },
{ "ssl", "cert_file", SPEC_TEXT, "", NULL, B, AT(cert_file), NULL, NULL, "certificate of this host" },
{ "ssl", "key_file", SPEC_TEXT, "", NULL, B, AT(key_file), NULL, NULL, "key of that certificate" },
{ "launch", "create", SPEC_CHOICE, "immediate", "immediate|deferred", B, AT(create), NULL, NULL, "deferred: wait for \"node start\" before creating" },
{ "launch", "run", SPEC_CHOICE, "immediate", "immediate|deferred", B, AT(run), NULL, NULL, "deferred: create, then wait for \"node start\" before running" },
{ "pg_auto_failover", "autoctl_node_password", SPEC_TEXT, "", NULL, M | SECRET, AT(node_password), "autoctl-node-password", NULL, "password of autoctl_node" },
{ "pg_auto_failover", "monitor_password", SPEC_TEXT, "", NULL, N | SECRET, AT(monitor_password), "monitor-password", NULL, "password of pgautofailover_monitor" },
{ "replication", "password", SPEC_TEXT, "", NULL, N | SECRET, AT(replication_password), "replication-password", NULL, "password of pgautofailover_replicator" },
{ "replication", "maximum_backup_rate", SPEC_TEXT, "", NULL, N, AT(backup_rate), "maximum-backup-rate", "replication.maximum_backup_rate", "limit of a base backup" },
{ "citus", "role", SPEC_TEXT, "", NULL, N, AT(citus_role), NULL, NULL, "not supported yet" },
{ "citus", "cluster_name", SPEC_TEXT, "", NULL, N, AT(citus_cluster), NULL, NULL, "not supported yet" },
};
const size_t spec_key_count = sizeof spec_keys / sizeof spec_keys[0];

const struct spec_key spec_formation_keys[] = {
{ "formation NAME", "kind", SPEC_CHOICE, "pgsql", "pgsql|citus", M, IN(kind), NULL, NULL, "kind of the formation" },
{ "formation NAME", "secondary", SPEC_BOOL, "true", NULL, M | LIVE, IN(secondary), NULL, NULL, "whether it may have standbys" },
{ "formation NAME", "num_sync_standbys", SPEC_INT, "", "0..100", M | LIVE, IN(nss), NULL, NULL, "how many standbys a commit waits for" },
};
const size_t spec_formation_key_count = sizeof spec_formation_keys / sizeof spec_formation_keys[0];

/* clang-format on */

/* -- values -- */

static char **
field(void *base, const struct spec_key *k)
{
	return (char **)(void *)((char *)base + k->offset);
}

static const char *
value_of(const void *base, const struct spec_key *k)
{
	const char *v =
	    *(const char *const *)(const void *)((const char *)base + k->offset);

	return v ? v : "";
}

const char *
spec_value(const struct spec *s, const struct spec_key *k)
{
	return value_of(s, k);
}

static void
set_initial(void *base, const struct spec_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		*field(base, &keys[i]) =
		    *keys[i].initial ? xstrdup(keys[i].initial) : NULL;
}

static void
drop_fields(void *base, const struct spec_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(*field(base, &keys[i]));
		*field(base, &keys[i]) = NULL;
	}
}

void
spec_drop(struct spec *s)
{
	drop_fields(s, spec_keys, spec_key_count);
	for (int i = 0; i < s->nformations; i++) {
		drop_fields(
		    &s->formation[i], spec_formation_keys, spec_formation_key_count);
		free(s->formation[i].name);
	}
	memset(s, 0, sizeof *s);
}

bool
spec_true(const char *value)
{
	return str_eq(value, "true");
}

bool
spec_is_monitor(const struct spec *s)
{
	return str_eq(s->kind, "monitor");
}

/* -- reading -- */

static bool
is_one_of(const char *words, const char *value)
{
	size_t n = strlen(value);

	for (const char *w = words; n > 0; w = strchr(w, '|') + 1) {
		if (strncmp(w, value, n) == 0 && (w[n] == '|' || w[n] == '\0'))
			return true;
		if (!strchr(w, '|'))
			break;
	}
	return false;
}

static int
check_int(const struct spec_key *k, const char *value, struct err *e)
{
	const char *dots = strstr(k->range, "..");
	char low[16] = "";
	int min, max, n;

	memcpy(low, k->range, (size_t)(dots - k->range));
	if (str_int(low, &min, e) || str_int(dots + 2, &max, e))
		return -1;
	return str_int_between(value, min, max, &n, e);
}

static int
set_value(void *base, const struct spec_key *k, const char *value, struct err *e)
{
	bool on = false;
	int rc = 0;

	if (!*value)
		value = k->initial; /* "name =" is as good as no line */
	if (*value && k->type == SPEC_NAME)
		rc = str_name(value, e);
	else if (*value && k->type == SPEC_INT)
		rc = check_int(k, value, e);
	else if (*value && k->type == SPEC_BOOL)
		rc = str_bool(value, &on, e);
	else if (k->type == SPEC_CHOICE && !is_one_of(k->range, value))
		rc = err_set(e, ERR_CONFIG, "\"%s\" is not one of %s", value, k->range);
	if (rc) {
		err_wrap(e, "%s", k->name);
		if (e)
			e->kind = ERR_CONFIG;
		return -1;
	}
	if (*value && k->type == SPEC_BOOL)
		value = on ? "true" : "false";
	free(*field(base, k));
	*field(base, k) = *value ? xstrdup(value) : NULL;
	return 0;
}

static const struct spec_key *
find_key(const struct spec_key *keys, size_t n, const char *section, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(keys[i].name, name) == 0 &&
		    (!section || strcmp(keys[i].section, section) == 0))
			return &keys[i];
	return NULL;
}

static struct spec_formation *
formation(struct spec *s, const char *name, struct err *e)
{
	struct spec_formation *f = s->formation;

	for (int i = 0; i < s->nformations; i++, f++)
		if (strcmp(f->name, name) == 0)
			return f;
	if (str_name(name, e)) {
		err_wrap(e, "name of a formation");
		return NULL;
	}
	if (s->nformations == SPEC_FORMATIONS_MAX) {
		err_set(e, ERR_CONFIG, "more than %d formations", SPEC_FORMATIONS_MAX);
		return NULL;
	}
	s->nformations++;
	f->name = xstrdup(name);
	set_initial(f, spec_formation_keys, spec_formation_key_count);
	return f;
}

struct reading {
	struct spec *spec;
	const char *file;
};

static int
take_section(void *arg, const struct ini_line *l, struct err *e)
{
	struct reading *r = arg;
	const char *name = l->section + strcspn(l->section, " \t");

	if (!*name || !str_starts(l->section, "formation"))
		return 0;
	if (formation(r->spec, name + strspn(name, " \t"), e))
		return 0;
	e->kind = ERR_CONFIG;
	return -1;
}

static int
take_line(void *arg, const struct ini_line *l, struct err *e)
{
	struct reading *r = arg;
	const struct spec_key *k =
	    find_key(spec_keys, spec_key_count, l->section, l->name);
	const char *name = l->section + strcspn(l->section, " \t");
	void *base = r->spec;

	if (*name && str_starts(l->section, "formation")) {
		base = formation(r->spec, name + strspn(name, " \t"), e);
		assert(base); /* take_section has made it */
		k = find_key(
		    spec_formation_keys, spec_formation_key_count, NULL, l->name);
	}
	if (!k) {
		log_warn(
		    "%s:%d: unknown key %s.%s", r->file, l->line, l->section, l->name);
		return 0;
	}
	return set_value(base, k, l->value, e);
}

static int
missing(const char *file, const char *key, struct err *e)
{
	return err_set(e, ERR_CONFIG, "%s: %s is missing", file, key);
}

/* What belongs together. */
static int
check(const struct spec *s, const char *file, struct err *e)
{
	bool own = !str_eq(s->ssl, "self-signed") && !str_eq(s->ssl, "off");
	bool alone = spec_true(s->no_monitor);

	if (str_eq(s->kind, "coordinator") || str_eq(s->kind, "worker") ||
	    !str_empty(s->citus_role) || !str_empty(s->citus_cluster))
		return err_set(
		    e, ERR_CONFIG, "%s: Citus formations are not supported yet", file);
	if (str_empty(s->pgdata))
		return missing(file, "postgresql.pgdata", e);
	for (int i = 0; i < s->nformations; i++)
		if (!str_eq(s->formation[i].kind, "pgsql"))
			return err_set(e, ERR_CONFIG,
			    "%s: formation %s: Citus formations are not supported yet",
			    file, s->formation[i].name);
	if (own && (str_empty(s->cert_file) || str_empty(s->key_file)))
		return missing(
		    file, str_empty(s->cert_file) ? "ssl.cert_file" : "ssl.key_file", e);
	if (spec_is_monitor(s))
		return 0;
	if (alone && str_eq(s->node_id ? s->node_id : "0", "0"))
		return missing(file, "monitor.node_id (no_monitor wants it)", e);
	if (!alone && str_empty(s->pguri))
		return missing(file, "monitor.pguri", e);
	if (!alone && uri_check(s->pguri, e)) {
		err_wrap(e, "%s: monitor.pguri", file);
		e->kind = ERR_CONFIG;
		return -1;
	}
	return 0;
}

int
spec_parse(struct spec *s, const char *file, const struct buf *text, struct err *e)
{
	struct reading r = { s, file };
	struct err own = { 0 };

	memset(s, 0, sizeof *s);
	set_initial(s, spec_keys, spec_key_count);
	if (ini_sections(file, text, take_section, &r, &own) ||
	    ini_parse(file, text, take_line, &r, &own) || check(s, file, &own)) {
		spec_drop(s);
		if (e)
			*e = own;
		return -1;
	}
	return 0;
}

int
spec_load(struct spec *s, const char *file, struct err *e)
{
	struct buf text = { 0 };
	int rc = file_read(file, &text, e);

	if (rc && e)
		e->kind = ERR_CONFIG;
	if (rc == 0)
		rc = spec_parse(s, file, &text, e);
	buf_drop(&text);
	return rc;
}

/* -- what becomes of it -- */

static void
ssl_options(const struct spec *s, struct cmd_args *a)
{
	a->ssl_self_signed = str_eq(s->ssl, "self-signed");
	a->no_ssl = str_eq(s->ssl, "off");
	if (a->ssl_self_signed || a->no_ssl)
		return;
	a->ssl_mode = s->ssl;
	a->ssl_ca_file = s->ca_file;
	a->ssl_crl_file = s->crl_file;
	a->server_cert = s->cert_file;
	a->server_key = s->key_file;
}

void
spec_options(const struct spec *s, struct cmd_args *a)
{
	unsigned kind = spec_is_monitor(s) ? SPEC_MONITOR : SPEC_NODE;

	for (size_t i = 0; i < spec_key_count; i++) {
		const struct spec_key *k = &spec_keys[i];
		const char *value = spec_value(s, k);
		const struct cmd_opt *o;

		if (!k->option || !(k->flags & kind) || !*value)
			continue;
		o = cmd_opt_find(k->option, strlen(k->option));
		if (o->type == CMD_FLAG)
			*(bool *)((char *)a + o->offset) = spec_true(value);
		else
			*(const char **)(void *)((char *)a + o->offset) = value;
	}
	a->skip_pg_hba = spec_true(s->skip_hba);
	a->auth = a->skip_pg_hba ? NULL : s->auth;
	a->pg_hba_lan = kind == SPEC_NODE && !a->skip_pg_hba && spec_true(s->hba_lan);
	if (a->disable_monitor) {
		a->monitor = NULL;
		a->node_id = s->node_id;
	}
	ssl_options(s, a);
	for (int i = 0; kind == SPEC_MONITOR && i < s->nformations; i++)
		if (a->nformations < SPEC_FORMATIONS_MAX)
			a->formations[a->nformations++] = s->formation[i].name;
}

void
spec_compare(const struct spec *s, const struct config *c, spec_differs_fn *fn, void *arg)
{
	unsigned kind = spec_is_monitor(s) ? SPEC_MONITOR : SPEC_NODE;

	for (size_t i = 0; i < spec_key_count; i++) {
		const struct spec_key *k = &spec_keys[i];
		const char *value = spec_value(s, k);
		struct buf is = { 0 };

		if (!k->setting || !(k->flags & kind) || !*value ||
		    (spec_true(s->no_monitor) && str_eq(k->option, "monitor")))
			continue;
		if (config_get(c, k->setting, &is, NULL) == 0 &&
		    strcmp(buf_peek(&is), value) != 0 &&
		    (!str_eq(k->option, "monitor") || !uri_same(value, buf_peek(&is))))
			fn(arg, k, buf_peek(&is));
		buf_drop(&is);
	}
}

static void
format_keys(struct buf *b, const void *base, const struct spec_key *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*value_of(base, &keys[i]))
			buf_printf(
			    b, "%s = %s\n", keys[i].name, value_of(base, &keys[i]));
}

void
spec_format(const struct spec *s, bool secrets, struct buf *b)
{
	unsigned kind = spec_is_monitor(s) ? SPEC_MONITOR : SPEC_NODE;
	const char *section = "";

	for (size_t i = 0; i < spec_key_count; i++) {
		const struct spec_key *k = &spec_keys[i];
		const char *value = spec_value(s, k);

		if (!*value || !(k->flags & kind) ||
		    ((k->flags & SPEC_SECRET) && !secrets))
			continue;
		if (strcmp(section, k->section) != 0)
			buf_printf(b, "%s[%s]\n", *section ? "\n" : "", k->section);
		section = k->section;
		buf_printf(b, "%s = %s\n", k->name, value);
	}
	for (int i = 0; i < s->nformations; i++) {
		buf_printf(b, "\n[formation %s]\n", s->formation[i].name);
		format_keys(
		    b, &s->formation[i], spec_formation_keys, spec_formation_key_count);
	}
}
