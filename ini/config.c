/* The settings of a node or a monitor: one table of keys, and the file they live in. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/ini.h"
#include "ini/mem.h"
#include "ini/str.h"

#include "ini/ban.h"

/* clang-format off */
#define K CONFIG_KEEPER
#define M CONFIG_MONITOR
#define AT(field) offsetof(struct config, field)
#define RELOAD CONFIG_RELOAD
#define FIXED CONFIG_FIXED
#define REQUIRED CONFIG_REQUIRED
#define SECRET CONFIG_SECRET
#define INTERNAL CONFIG_INTERNAL
#define KINDS "standalone|coordinator|worker"
#define SSLMODES "disable|allow|prefer|require|verify-ca|verify-full"
#define HOURS24 "0..86400"

/* section, name, roles, type, field, default, range, flags, help */
const struct config_key config_keys[] = {
{ "pg_autoctl", "role",                  K,     CONFIG_CHOICE,  AT(role),                "keeper",  "keeper", REQUIRED | FIXED | INTERNAL, "what this file is for" },
{ "pg_autoctl", "role",                  M,     CONFIG_CHOICE,  AT(role),                "monitor", "monitor", REQUIRED | FIXED | INTERNAL, "what this file is for" },
{ "pg_autoctl", "monitor",               K,     CONFIG_STRING,  AT(monitor),             NULL, NULL, RELOAD | SECRET,  "connection string of the monitor, or PG_AUTOCTL_DISABLED" },
{ "pg_autoctl", "formation",             K,     CONFIG_NAME,    AT(formation),           "default", NULL, REQUIRED | FIXED, "formation this node belongs to" },
{ "pg_autoctl", "group",                 K,     CONFIG_INT,     AT(group),               NULL, "0..2147483647", FIXED, "group of the formation, given by the monitor" },
{ "pg_autoctl", "name",                  K,     CONFIG_NAME,    AT(name),                NULL, NULL, RELOAD,           "name of this node on the monitor" },
{ "pg_autoctl", "hostname",              K | M, CONFIG_HOST,    AT(hostname),            NULL, NULL, RELOAD,           "name or address by which the other nodes reach this one" },
{ "pg_autoctl", "nodekind",              K,     CONFIG_CHOICE,  AT(nodekind),            "standalone", KINDS, 0,       "kind of node" },
{ "pg_autoctl", "monitor_password",      K | M, CONFIG_STRING,  AT(monitor_password),    NULL, NULL, RELOAD | SECRET,  "password of the monitor's health check user" },
{ "pg_autoctl", "autoctl_node_password", M,     CONFIG_STRING,  AT(autoctl_node_password), NULL, NULL, RELOAD | SECRET, "password of the user that nodes connect with" },
{ "pg_autoctl", "dburi",                 M,     CONFIG_STRING,  AT(dburi),               NULL, NULL, FIXED | SECRET,   "an existing database that holds the metadata" },

{ "postgresql", "pgdata",                K | M, CONFIG_PATH,    AT(pgdata),              NULL, NULL, REQUIRED | FIXED | INTERNAL, "data directory" },
{ "postgresql", "pg_ctl",                K | M, CONFIG_PATH,    AT(pg_ctl),              NULL, NULL, 0,                "pg_ctl of the Postgres to run" },
{ "postgresql", "username",              K,     CONFIG_STRING,  AT(username),            NULL, NULL, 0,                "user for local connections" },
{ "postgresql", "username",              M,     CONFIG_STRING,  AT(username),            "autoctl_node", NULL, 0,      "user that nodes connect with" },
{ "postgresql", "dbname",                K,     CONFIG_STRING,  AT(dbname),              "postgres", NULL, 0,          "database for local connections" },
{ "postgresql", "dbname",                M,     CONFIG_STRING,  AT(dbname),              "pg_auto_failover", NULL, 0,  "database of the monitor" },
{ "postgresql", "host",                  K | M, CONFIG_STRING,  AT(host),                NULL, NULL, 0,                "socket directory or host for local connections" },
{ "postgresql", "port",                  K | M, CONFIG_INT,     AT(port),                "5432", "1..65535", REQUIRED, "port Postgres listens on" },
{ "postgresql", "proxyport",             K,     CONFIG_INT,     AT(proxyport),           "0", "0..65535", 0,           "port to register instead, behind a proxy; 0 for none" },
{ "postgresql", "listen_addresses",      K | M, CONFIG_STRING,  AT(listen_addresses),    "*", NULL, 0,                 "addresses Postgres listens on" },
{ "postgresql", "auth_method",           K | M, CONFIG_METHOD,  AT(auth_method),         "trust", NULL, 0,             "authentication method in pg_hba.conf" },
{ "postgresql", "hba_level",             M,     CONFIG_CHOICE,  AT(hba_level),           "app", "skip|app", 0,        "how much of pg_hba.conf is edited" },
{ "postgresql", "hba_level",             K,     CONFIG_CHOICE,  AT(hba_level),           "minimal", "skip|minimal|app", 0, "how much of pg_hba.conf is edited" },

{ "ssl", "sslmode",                      M,     CONFIG_CHOICE,  AT(sslmode),             "prefer", SSLMODES, RELOAD,   "sslmode of connections" },
{ "ssl", "active",                       K | M, CONFIG_BOOL,    AT(ssl_active),          "0", NULL, RELOAD,            "Postgres offers SSL" },
{ "ssl", "sslmode",                      K,     CONFIG_CHOICE,  AT(sslmode),             "prefer", SSLMODES, RELOAD,   "sslmode of connections" },
{ "ssl", "ca_file",                      K | M, CONFIG_STRING,  AT(ca_file),             NULL, NULL, RELOAD,           "certificates of authorities" },
{ "ssl", "crl_file",                     K | M, CONFIG_STRING,  AT(crl_file),            NULL, NULL, RELOAD,           "revoked certificates" },
{ "ssl", "cert_file",                    K | M, CONFIG_STRING,  AT(cert_file),           NULL, NULL, RELOAD,           "certificate of this server" },
{ "ssl", "key_file",                     K | M, CONFIG_STRING,  AT(key_file),            NULL, NULL, RELOAD,           "private key of this server" },

{ "replication", "maximum_backup_rate",  K,     CONFIG_RATE,    AT(maximum_backup_rate), "100M", NULL, RELOAD,         "limit of a base backup, per second" },
{ "replication", "backup_directory",     K,     CONFIG_PATH,    AT(backup_directory),    NULL, NULL, RELOAD,           "where a base backup is received, on the file system of pgdata" },
{ "replication", "password",             K,     CONFIG_STRING,  AT(replication_password), NULL, NULL, RELOAD | SECRET, "password of the replication user" },

{ "timeout", "network_partition_timeout",                K, CONFIG_SECONDS, AT(network_partition_ms),             "20",    "1..86400", RELOAD, "a primary alone this long stops taking writes" },
{ "timeout", "prepare_promotion_catchup",                K, CONFIG_SECONDS, AT(prepare_promotion_catchup_ms),     "30",    HOURS24, RELOAD, "how long a candidate may catch up" },
{ "timeout", "prepare_promotion_walreceiver",            K, CONFIG_SECONDS, AT(prepare_promotion_walreceiver_ms), "5",     HOURS24, RELOAD, "how long a candidate may wait for its WAL receiver" },
{ "timeout", "postgresql_restart_failure_timeout",       K, CONFIG_SECONDS, AT(restart_failure_ms),               "20",    HOURS24, RELOAD, "after failing to start Postgres this long, say so" },
{ "timeout", "postgresql_restart_failure_max_retries",   K, CONFIG_INT,     AT(restart_failure_max_retries),      "3",     "0..1000000", RELOAD, "after failing to start Postgres this often, say so" },
{ "timeout", "listen_notifications_timeout",             K, CONFIG_SECONDS, AT(listen_notifications_ms),          "60",    HOURS24, 0,      "how long commands wait for the monitor's news" },
{ "timeout", "report_interval",                          K, CONFIG_MS,      AT(report_interval_ms),               "500",   "100..10000", RELOAD, "how often the node reports to the monitor" },
{ "timeout", "restart_grace",                            K, CONFIG_SECONDS, AT(restart_grace_ms),                 "3",     "0..600", RELOAD, "how long Postgres may be away while it restarts" },
{ "timeout", "citus_master_update_node_lock_cooldown",   K, CONFIG_MS,      AT(citus_lock_cooldown_ms),           "10000", "0..86400000", 0,  "kept for Citus" },
{ "timeout", "citus_coordinator_wait_max_retries",       K, CONFIG_INT,     AT(citus_wait_max_retries),           "100",   "0..1000000", 0,   "kept for Citus" },
{ "timeout", "citus_coordinator_wait_timeout",           K, CONFIG_SECONDS, AT(citus_wait_ms),                    "300",   HOURS24, 0,      "kept for Citus" },

{ "citus", "role",                       K,     CONFIG_CHOICE,  AT(citus_role),          "primary", "primary|secondary", 0, "kept for Citus" },
{ "citus", "cluster_name",               K,     CONFIG_STRING,  AT(citus_cluster_name),  NULL, NULL, 0,                "kept for Citus" },
};
/* clang-format on */

const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

/* The field of a key: by its type a char *, an int, a bool or an int64_t. */
static void *
field(struct config *c, const struct config_key *k)
{
	return (char *)c + k->offset;
}

static const void *
const_field(const struct config *c, const struct config_key *k)
{
	return (const char *)c + k->offset;
}

static bool
is_string(const struct config_key *k)
{
	return k->type <= CONFIG_RATE;
}

/* Milliseconds in a bare number. */
static int64_t
unit(const struct config_key *k)
{
	return k->type == CONFIG_SECONDS ? 1000 : 1;
}

int
config_find(unsigned role, const char *name, const struct config_key **out, struct err *e)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; dot && i < config_key_count; i++) {
		const struct config_key *k = config_keys + i;

		if ((k->roles & role) && strlen(k->section) == (size_t)(dot - name) &&
		    strncmp(k->section, name, (size_t)(dot - name)) == 0 &&
		    strcmp(k->name, dot + 1) == 0) {
			*out = k;
			return 0;
		}
	}
	err_set(e, ERR_USAGE, "there is no setting \"%s\"", name);
	if (strcmp(name, "pg_autoctl.region") == 0)
		err_hint(e, "the monitor holds the region: see \"set node region\"");
	return -1;
}

/* The variable's directory when it is one to use, else NULL (an XDG rule: relative
 * paths are ignored). */
static const char *
from_env(const char *name)
{
	const char *dir = getenv(name);

	return dir && *dir == '/' ? dir : NULL;
}

int
config_path(const char *pgdata, enum config_file which, struct buf *out, struct err *e)
{
	static const struct {
		const char *env, *below_home, *name;
	} files[] = {
		[CONFIG_FILE_CFG] = { "XDG_CONFIG_HOME", ".config", "pg_autoctl.cfg" },
		[CONFIG_FILE_STATE] = { "XDG_DATA_HOME", ".local/share",
		    "pg_autoctl.state" },
		[CONFIG_FILE_INIT] = { "XDG_DATA_HOME", ".local/share",
		    "pg_autoctl.init" },
		[CONFIG_FILE_NODES] = { "XDG_DATA_HOME", ".local/share", "nodes.json" },
		[CONFIG_FILE_PID] = { "XDG_RUNTIME_DIR", NULL, "pg_autoctl.pid" },
		[CONFIG_FILE_PG] = { "XDG_RUNTIME_DIR", NULL, "pg_autoctl.pg" },
	};
	const char *home = getenv("HOME");
	const char *top;
	struct buf data = { 0 };

	assert(which < CONFIG_FILE_COUNT);
	if (str_empty(home))
		return err_set(e, ERR_SYSTEM, "the environment variable HOME is not set");
	if (file_absolute(pgdata, &data, e))
		return -1;
	buf_reset(out);
	top = from_env(files[which].env);
	if (files[which].below_home == NULL)
		buf_str(out, top && file_is_dir(top) ? top : "/tmp");
	else if (top)
		buf_str(out, top);
	else
		buf_printf(out, "%s/%s", home, files[which].below_home);
	buf_printf(out, "/pg_autoctl%s/%s", buf_peek(&data), files[which].name);
	buf_drop(&data);
	return 0;
}

/* "min..max" of a key without one is everything from 0 up. */
static void
get_range(const struct config_key *k, int64_t *min, int64_t *max)
{
	char *end;

	*min = 0;
	*max = INT_MAX;
	if (!k->range)
		return;
	*min = strtoll(k->range, &end, 10);
	assert(end[0] == '.' && end[1] == '.');
	*max = strtoll(end + 2, NULL, 10);
}

/* Is value one of "a|b|c"? */
static bool
is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	while (*choices) {
		size_t len = strcspn(choices, "|");

		if (len == n && strncmp(choices, value, n) == 0)
			return true;
		choices += len + (choices[len] == '|');
	}
	return false;
}

/* What pg_basebackup accepts: 32 kB to 1024 MB per second, with k, M, or bare for kB. */
static int
check_rate(const char *value, struct err *e)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(value, &end, 10);
	if (*end == 'M' && n <= 1024)
		n *= 1024;
	if (*value < '0' || *value > '9' || errno || n < 32 || n > 1024 * 1024 ||
	    (*end && ((*end != 'k' && *end != 'M') || end[1])))
		return err_set(
		    e, ERR_CONFIG, "\"%s\" is not a rate between 32k and 1024M", value);
	return 0;
}

/* One that works between hosts. It is written into pg_hba.conf, which a running Postgres
 * ignores, and a starting one dies of, when a word in it is wrong. */
static int
check_method(const char *value, struct err *e)
{
	size_t len = strcspn(value, " \t");
	char word[32] = "";

	if (len < sizeof word)
		memcpy(word, value, len);
	if (!*word || strchr(value, '#') ||
	    !is_choice("scram-sha-256|md5|password|cert|trust|gss|ldap|radius|pam|bsd|"
		       "ident",
		word))
		return err_set(e, ERR_CONFIG,
		    "\"%s\" is no method of pg_hba.conf for connections between hosts",
		    value);
	return 0;
}

static int
check_string(const struct config_key *k, const char *value, struct err *e)
{
	for (const char *s = value; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return err_set(
			    e, ERR_CONFIG, "a control character is not allowed");
	if (k->type == CONFIG_NAME)
		return str_name(value, e);
	if (k->type == CONFIG_HOST)
		return str_host(value, e);
	if (k->type == CONFIG_METHOD)
		return check_method(value, e);
	if (k->type == CONFIG_PATH && *value != '/')
		return err_set(e, ERR_CONFIG, "\"%s\" is not an absolute path", value);
	if (k->type == CONFIG_CHOICE && !is_choice(k->range, value))
		return err_set(e, ERR_CONFIG, "\"%s\" is not one of %s", value, k->range);
	if (k->type == CONFIG_RATE)
		return check_rate(value, e);
	return 0;
}

static int
set_number(struct config *c, const struct config_key *k, const char *value, struct err *e)
{
	int64_t min, max, v;
	bool duration = k->type != CONFIG_INT;

	get_range(k, &min, &max);
	if (duration ? str_ms(value, unit(k), &v, e) : str_i64(value, &v, e))
		return -1;
	if (v < min * unit(k) || v > max * unit(k))
		return err_set(e, ERR_CONFIG, "%s is not between %lld and %lld%s", value,
		    (long long)min, (long long)max,
		    k->type == CONFIG_SECONDS ? " seconds"
		    : duration                ? " milliseconds"
					      : "");
	if (duration)
		*(int64_t *)field(c, k) = v;
	else
		*(int *)field(c, k) = (int)v;
	return 0;
}

/* From text; NULL is "not set". On -1 nothing changed. */
static int
set_text(struct config *c, const struct config_key *k, const char *value, struct err *e)
{
	if (is_string(k)) {
		char **at = field(c, k);

		if (value && check_string(k, value, e))
			return -1;
		free(*at);
		*at = value ? xstrdup(value) : NULL;
		return 0;
	}
	if (k->type == CONFIG_BOOL) {
		assert(value);
		return str_bool(value, field(c, k), e);
	}
	if (!value) {
		assert(k->type == CONFIG_INT); /* durations have defaults, all of them */
		*(int *)field(c, k) = -1;
		return 0;
	}
	return set_number(c, k, value, e);
}

static void
set_default(struct config *c, const struct config_key *k)
{
	struct err e;

	if (set_text(c, k, k->initial, &e))
		die("the default of %s.%s: %s", k->section, k->name, e.msg);
}

int
config_set_key(
    struct config *c, const struct config_key *k, const char *value, struct err *e)
{
	if (!*value || (k->type == CONFIG_INT && strcmp(value, "-1") == 0)) {
		if ((k->flags & CONFIG_REQUIRED) && !k->initial)
			return err_set(e, ERR_CONFIG, "%s.%s must not be empty",
			    k->section, k->name);
		set_default(c, k);
		return 0;
	}
	if (set_text(c, k, value, e)) {
		if (e)
			e->kind = ERR_CONFIG;
		return err_wrap(e, "%s.%s", k->section, k->name);
	}
	return 0;
}

int
config_set(struct config *c, const char *name, const char *value, struct err *e)
{
	const struct config_key *k;

	if (config_find(c->kind, name, &k, e)) {
		/* the contract: an unknown key is usage for get, settings for set */
		if (e && !e->hint[0])
			e->kind = ERR_CONFIG;
		return -1;
	}
	if (k->flags & CONFIG_INTERNAL)
		return err_set(e, ERR_CONFIG, "%s cannot be changed", name);
	return config_set_key(c, k, value, e);
}

void
config_get_key(const struct config *c, const struct config_key *k, struct buf *out)
{
	const void *at = const_field(c, k);

	if (is_string(k)) {
		const char *s = *(char *const *)at;

		buf_str(out, s ? s : "");
	} else if (k->type == CONFIG_BOOL)
		buf_char(out, *(const bool *)at ? '1' : '0');
	else if (k->type == CONFIG_INT) {
		if (*(const int *)at != -1)
			buf_printf(out, "%d", *(const int *)at);
	} else if (*(const int64_t *)at % unit(k) == 0)
		buf_printf(out, "%lld", (long long)(*(const int64_t *)at / unit(k)));
	else
		buf_printf(out, "%lldms", (long long)*(const int64_t *)at);
}

int
config_get(const struct config *c, const char *name, struct buf *out, struct err *e)
{
	const struct config_key *k;

	if (config_find(c->kind, name, &k, e))
		return -1;
	config_get_key(c, k, out);
	return 0;
}

/* The rows of this role, in file order: k = NULL starts, NULL ends. */
static const struct config_key *
next_key(unsigned role, const struct config_key *k)
{
	for (k = k ? k + 1 : config_keys; k < config_keys + config_key_count; k++)
		if (k->roles & role)
			return k;
	return NULL;
}

void
config_init(struct config *c, enum config_role role)
{
	const struct config_key *k = NULL;

	*c = (struct config){ .kind = role };
	while ((k = next_key(role, k)))
		set_default(c, k);
}

void
config_drop(struct config *c)
{
	for (size_t i = 0; i < config_key_count; i++)
		if (is_string(config_keys + i)) {
			char **at = field(c, config_keys + i);

			free(*at);
			*at = NULL;
		}
	*c = (struct config){ 0 };
}

static void
copy_key(struct config *to, const struct config *from, const struct config_key *k)
{
	if (is_string(k)) {
		char **at = field(to, k);
		const char *s = *(char *const *)const_field(from, k);

		free(*at);
		*at = s ? xstrdup(s) : NULL;
	} else if (k->type == CONFIG_BOOL)
		*(bool *)field(to, k) = *(const bool *)const_field(from, k);
	else if (k->type == CONFIG_INT)
		*(int *)field(to, k) = *(const int *)const_field(from, k);
	else
		*(int64_t *)field(to, k) = *(const int64_t *)const_field(from, k);
}

void
config_copy(struct config *to, const struct config *from)
{
	const struct config_key *k = NULL;

	*to = (struct config){ .kind = from->kind };
	while ((k = next_key(from->kind, k)))
		copy_key(to, from, k);
}

bool
config_no_monitor(const struct config *c)
{
	return str_eq(c->monitor, CONFIG_NO_MONITOR);
}

int
config_check(const struct config *c, struct err *e)
{
	const struct config_key *k = NULL;
	struct buf text = { 0 };

	while ((k = next_key(c->kind, k))) {
		buf_reset(&text);
		config_get_key(c, k, &text);
		if ((k->flags & CONFIG_REQUIRED) && buf_len(&text) == 0) {
			buf_drop(&text);
			return err_set(
			    e, ERR_CONFIG, "%s.%s must be set", k->section, k->name);
		}
	}
	buf_drop(&text);
	if (str_empty(c->cert_file) != str_empty(c->key_file))
		return err_set(
		    e, ERR_CONFIG, "ssl.cert_file and ssl.key_file need each other");
	if (str_eq(c->auth_method, "cert") && !c->ssl_active)
		return err_set(e, ERR_CONFIG,
		    "postgresql.auth_method cert needs ssl.active: certificates are only "
		    "shown on encrypted connections");
	return 0;
}

/* One line of a file: what is no key of this role is left alone. */
static int
load_line(void *arg, const struct ini_line *l, struct err *e)
{
	struct config *c = arg;
	const struct config_key *k = NULL;
	const char *name = l->name;

	/* written up to version 1.3 */
	if (strcmp(l->section, "pg_autoctl") == 0 && strcmp(name, "nodename") == 0 &&
	    !c->hostname)
		name = "hostname";
	while ((k = next_key(c->kind, k)))
		if (strcmp(k->section, l->section) == 0 && strcmp(k->name, name) == 0)
			return config_set_key(c, k, l->value, e);
	return 0;
}

static int
find_role(const struct ini_doc *d, enum config_role *role, struct err *e)
{
	const char *name = ini_get(d, "pg_autoctl", "role");

	if (!name)
		return err_set(e, ERR_CONFIG, "pg_autoctl.role must be set");
	if (strcmp(name, "keeper") == 0)
		*role = CONFIG_KEEPER;
	else if (strcmp(name, "monitor") == 0)
		*role = CONFIG_MONITOR;
	else
		return err_set(e, ERR_CONFIG,
		    "pg_autoctl.role: \"%s\" is not one of keeper|monitor", name);
	return 0;
}

static int
load_text(struct config *c, const char *file, const struct buf *text, struct err *e)
{
	struct ini_doc doc = { 0 };
	enum config_role role = CONFIG_KEEPER;
	int rc;

	if (ini_read(&doc, file, text, e))
		return -1;
	rc = find_role(&doc, &role, e);
	ini_drop(&doc);
	if (rc)
		return err_wrap(e, "%s", file);
	config_init(c, role);
	if (ini_parse(file, text, load_line, c, e))
		rc = -1;
	else if (config_check(c, e))
		rc = err_wrap(e, "%s", file);
	if (rc)
		config_drop(c);
	return rc;
}

int
config_load(struct config *c, const char *file, struct err *e)
{
	struct buf text = { 0 };
	int rc;

	*c = (struct config){ 0 };
	if (file_read(file, &text, e)) {
		if (e)
			e->kind = ERR_CONFIG;
		return -1;
	}
	rc = load_text(c, file, &text, e);
	buf_drop(&text);
	if (rc)
		errno = EINVAL;
	return rc;
}

/* Put every key into the document; what is not set is not written. */
static int
fill_doc(const struct config *c, struct ini_doc *d, struct err *e)
{
	const struct config_key *k = NULL;
	struct buf text = { 0 };
	int rc = 0;

	while (rc == 0 && (k = next_key(c->kind, k))) {
		buf_reset(&text);
		config_get_key(c, k, &text);
		if (buf_len(&text))
			rc = ini_set(d, k->section, k->name, buf_peek(&text), e);
		else
			ini_unset(d, k->section, k->name);
	}
	if (c->hostname)
		ini_unset(d, "pg_autoctl", "nodename");
	buf_drop(&text);
	return rc;
}

int
config_save(const struct config *c, const char *file, struct err *e)
{
	struct ini_doc doc = { 0 };
	struct buf text = { 0 };
	int rc = -1;

	if (config_check(c, e) || file_mkdir_above(file, 0755, e))
		goto out;
	if (file_read(file, &text, e) && errno != ENOENT)
		goto out;
	if (ini_read(&doc, file, &text, e) || fill_doc(c, &doc, e))
		goto out;
	buf_reset(&text);
	ini_format(&doc, &text);
	rc = file_replace(file, &text, 0600, e);
out:
	ini_drop(&doc);
	buf_drop(&text);
	if (rc == 0)
		err_clear(e);
	return rc;
}

void
config_dump_ini(const struct config *c, struct buf *out)
{
	struct ini_doc doc = { 0 };
	struct err e;

	/* every value was checked when it was set */
	if (fill_doc(c, &doc, &e))
		die("%s", e.msg);
	ini_format(&doc, out);
	ini_drop(&doc);
}

/* Does the text of this key stand in JSON as a number? */
static bool
is_number(const struct config_key *k, const char *text)
{
	return !is_string(k) && text[strspn(text, "-0123456789")] == '\0';
}

void
config_dump_json(const struct config *c, struct buf *out)
{
	const struct config_key *k = NULL;
	const char *section = NULL;
	struct buf text = { 0 };

	buf_char(out, '{');
	while ((k = next_key(c->kind, k))) {
		buf_reset(&text);
		config_get_key(c, k, &text);
		if (buf_len(&text) == 0)
			continue;
		if (!section || strcmp(section, k->section) != 0) {
			buf_str(out, section ? "\n    },\n    " : "\n    ");
			buf_json(out, k->section);
			buf_str(out, ": {\n        ");
		} else
			buf_str(out, ",\n        ");
		section = k->section;
		buf_json(out, k->name);
		buf_str(out, ": ");
		if (is_number(k, buf_peek(&text)))
			buf_str(out, buf_peek(&text));
		else
			buf_json(out, buf_peek(&text));
	}
	buf_str(out, section ? "\n    }\n}\n" : "}\n");
	buf_drop(&text);
}

static bool
same(const struct config *a, const struct config *b, const struct config_key *k)
{
	struct buf x = { 0 }, y = { 0 };
	bool equal;

	config_get_key(a, k, &x);
	config_get_key(b, k, &y);
	equal = strcmp(buf_peek(&x), buf_peek(&y)) == 0;
	buf_drop(&x);
	buf_drop(&y);
	return equal;
}

static void
tell(const struct config *old, const struct config *new, const struct config_key *k,
    config_change_fn *fn, void *arg)
{
	struct buf before = { 0 }, after = { 0 };
	enum config_outcome outcome = k->flags & CONFIG_RELOAD  ? CONFIG_APPLIED
				      : k->flags & CONFIG_FIXED ? CONFIG_REFUSED
								: CONFIG_LATER;

	config_get_key(old, k, &before);
	config_get_key(new, k, &after);
	if (k->flags & CONFIG_SECRET)
		fn(arg, k, outcome, "****", "****");
	else
		fn(arg, k, outcome, buf_peek(&before), buf_peek(&after));
	buf_drop(&before);
	buf_drop(&after);
}

int
config_reload(struct config *running, const struct config *file, config_change_fn *fn,
    void *arg, struct err *e)
{
	const struct config_key *k = NULL;
	int applied = 0;

	if (file->kind != running->kind)
		return err_set(e, ERR_CONFIG, "pg_autoctl.role cannot change to %s",
		    file->role ? file->role : "nothing");
	if (!str_eq(running->pgdata, file->pgdata))
		return err_set(e, ERR_CONFIG,
		    "postgresql.pgdata cannot change from %s to %s", running->pgdata,
		    file->pgdata);
	while ((k = next_key(running->kind, k))) {
		if (same(running, file, k))
			continue;
		if (fn)
			tell(running, file, k, fn, arg);
		if (k->flags & CONFIG_RELOAD) {
			copy_key(running, file, k);
			applied++;
		}
	}
	return applied;
}
