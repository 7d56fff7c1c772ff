/* ini/config: the table of keys, files in and out, reload, and where files live. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/config.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/ini.h"
#include "ini/mem.h"
#include "ini/str.h"
#include "test/tap.h"

#include "ini/ban.h"

static char *top, *file;

static void
write_file(const char *content)
{
	struct buf b = { 0 };
	struct err e;

	buf_str(&b, content);
	if (file_replace(file, &b, 0644, &e))
		die("%s", e.msg);
	buf_drop(&b);
}

/* The contents of the file, until the next call. */
static const char *
read_back(void)
{
	static struct buf b;
	struct err e;

	buf_drop(&b);
	if (file_read(file, &b, &e))
		die("%s", e.msg);
	return buf_peek(&b);
}

static const char *
get(const struct config *c, const char *name)
{
	static struct buf b;
	static struct err e;

	buf_drop(&b);
	if (config_get(c, name, &b, &e))
		return e.msg;
	return buf_peek(&b);
}

/* The rows of the table make sense, and are where the contract has them. */
static void
test_table(void)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = config_keys + i;
		int twins = 0;

		for (size_t j = 0; j < config_key_count; j++)
			twins += (config_keys[j].roles & k->roles) &&
				 strcmp(config_keys[j].section, k->section) == 0 &&
				 strcmp(config_keys[j].name, k->name) == 0;
		OK(twins == 1 && k->help && *k->help && k->roles &&
			(k->type != CONFIG_CHOICE || k->range),
		    "%s.%s is one row per role, with help", k->section, k->name);
	}
}

static const char keeper_defaults[] = "[pg_autoctl]\n"
				      "role = keeper\n"
				      "formation = default\n"
				      "nodekind = standalone\n"
				      "\n"
				      "[postgresql]\n"
				      "pgdata = /data\n"
				      "dbname = postgres\n"
				      "port = 5432\n"
				      "proxyport = 0\n"
				      "listen_addresses = *\n"
				      "auth_method = trust\n"
				      "hba_level = minimal\n"
				      "\n"
				      "[ssl]\n"
				      "active = 0\n"
				      "sslmode = prefer\n"
				      "\n"
				      "[replication]\n"
				      "maximum_backup_rate = 100M\n"
				      "\n"
				      "[timeout]\n"
				      "network_partition_timeout = 20\n"
				      "prepare_promotion_catchup = 30\n"
				      "prepare_promotion_walreceiver = 5\n"
				      "postgresql_restart_failure_timeout = 20\n"
				      "postgresql_restart_failure_max_retries = 3\n"
				      "listen_notifications_timeout = 60\n"
				      "report_interval = 500\n"
				      "restart_grace = 3\n"
				      "citus_master_update_node_lock_cooldown = 10000\n"
				      "citus_coordinator_wait_max_retries = 100\n"
				      "citus_coordinator_wait_timeout = 300\n"
				      "\n"
				      "[citus]\n"
				      "role = primary\n";

static const char monitor_json[] = "{\n"
				   "    \"pg_autoctl\": {\n"
				   "        \"role\": \"monitor\"\n"
				   "    },\n"
				   "    \"postgresql\": {\n"
				   "        \"pgdata\": \"/m\",\n"
				   "        \"username\": \"autoctl_node\",\n"
				   "        \"dbname\": \"pg_auto_failover\",\n"
				   "        \"port\": 5432,\n"
				   "        \"listen_addresses\": \"*\",\n"
				   "        \"auth_method\": \"trust\",\n"
				   "        \"hba_level\": \"app\"\n"
				   "    },\n"
				   "    \"ssl\": {\n"
				   "        \"sslmode\": \"prefer\",\n"
				   "        \"active\": 0\n"
				   "    }\n"
				   "}\n";

static void
test_defaults(void)
{
	const struct config_key *k;
	struct config c, again;
	struct buf b = { 0 };
	struct err e;

	config_init(&c, CONFIG_KEEPER);
	OK(config_check(&c, &e) == -1, "pgdata is required");
	IS_STR(e.msg, "postgresql.pgdata must be set", "and missed by name");
	if (config_find(CONFIG_KEEPER, "postgresql.pgdata", &k, &e) ||
	    config_set_key(&c, k, "/data", &e))
		die("%s", e.msg);
	config_dump_ini(&c, &b);
	IS_STR(buf_peek(&b), keeper_defaults, "a keeper's defaults");
	OK(config_save(&c, file, &e) == 0 && config_load(&again, file, &e) == 0,
	    "saved and loaded");
	buf_reset(&b);
	config_dump_ini(&again, &b);
	IS_STR(buf_peek(&b), keeper_defaults, "the same comes back");
	OK(c.network_partition_ms == 20000 && c.citus_lock_cooldown_ms == 10000 &&
		c.group == -1 && c.report_interval_ms == 500,
	    "units in memory are milliseconds");
	config_drop(&c);
	config_drop(&again);
	config_init(&c, CONFIG_MONITOR);
	if (config_find(CONFIG_MONITOR, "postgresql.pgdata", &k, &e) ||
	    config_set_key(&c, k, "/m", &e))
		die("%s", e.msg);
	buf_reset(&b);
	config_dump_json(&c, &b);
	IS_STR(buf_peek(&b), monitor_json, "a monitor's defaults as JSON");
	config_drop(&c);
	buf_drop(&b);
}

static const struct set_case {
	const char *name, *value, *want; /* want NULL: refused */
	const char *msg;
} sets[] = {
	{ "pg_autoctl.name", "node_7", "node_7", NULL },
	{ "pg_autoctl.name", "no de", NULL,
	    "pg_autoctl.name: name \"no de\" must be made of letters, digits, '_', '-', "
	    "'.', "
	    "and begin with a letter, a digit or '_'" },
	{ "pg_autoctl.name", "", "", NULL },
	{ "pg_autoctl.group", "2", "2", NULL },
	{ "pg_autoctl.group", "-1", "", NULL },
	{ "pg_autoctl.group", "-2", NULL,
	    "pg_autoctl.group: -2 is not between 0 and 2147483647" },
	{ "pg_autoctl.role", "monitor", NULL, "pg_autoctl.role cannot be changed" },
	{ "postgresql.pgdata", "/x", NULL, "postgresql.pgdata cannot be changed" },
	{ "pg_autoctl.monitor", "postgres://u:p w@h/db?a=b#c",
	    "postgres://u:p w@h/db?a=b#c", NULL },
	{ "pg_autoctl.monitor", "a\nb", NULL,
	    "pg_autoctl.monitor: a control character is not allowed" },
	{ "postgresql.port", "5433", "5433", NULL },
	{ "postgresql.port", "", "5432", NULL },
	{ "postgresql.port", "0", NULL, "postgresql.port: 0 is not between 1 and 65535" },
	{ "postgresql.port", "x", NULL, "postgresql.port: \"x\" is not a whole number" },
	{ "postgresql.pg_ctl", "pg_ctl", NULL,
	    "postgresql.pg_ctl: \"pg_ctl\" is not an absolute path" },
	{ "postgresql.hba_level", "app", "app", NULL },
	{ "postgresql.hba_level", "ap", NULL,
	    "postgresql.hba_level: \"ap\" is not one of skip|minimal|app" },
	{ "postgresql.hba_level", "minimal|app", NULL,
	    "postgresql.hba_level: \"minimal|app\" is not one of skip|minimal|app" },
	{ "ssl.active", "true", "1", NULL },
	{ "ssl.active", "maybe", NULL,
	    "ssl.active: \"maybe\" is not a boolean (true or false)" },
	{ "ssl.sslmode", "verify-full", "verify-full", NULL },
	{ "replication.maximum_backup_rate", "32k", "32k", NULL },
	{ "replication.maximum_backup_rate", "2048", "2048", NULL },
	{ "replication.maximum_backup_rate", "1G", NULL,
	    "replication.maximum_backup_rate: \"1G\" is not a rate between 32k and "
	    "1024M" },
	{ "replication.maximum_backup_rate", "31", NULL,
	    "replication.maximum_backup_rate: \"31\" is not a rate between 32k and "
	    "1024M" },
	{ "timeout.network_partition_timeout", "1min", "60", NULL },
	{ "timeout.network_partition_timeout", "1500ms", "1500ms", NULL },
	{ "timeout.network_partition_timeout", "0", NULL,
	    "timeout.network_partition_timeout: 0 is not between 1 and 86400 seconds" },
	{ "timeout.report_interval", "1s", "1000", NULL },
	{ "timeout.report_interval", "50", NULL,
	    "timeout.report_interval: 50 is not between 100 and 10000 milliseconds" },
	{ "timeout.nothing", "1", NULL, "there is no setting \"timeout.nothing\"" },
	{ "port", "1", NULL, "there is no setting \"port\"" },
};

static void
test_set(void)
{
	struct config c;
	struct err e;

	config_init(&c, CONFIG_KEEPER);
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		const struct set_case *s = sets + i;
		char *before = xstrdup(get(&c, s->name));
		int rc = config_set(&c, s->name, s->value, &e);

		OK(rc == (s->want ? 0 : -1), "set %s to \"%s\"", s->name, s->value);
		IS_STR(get(&c, s->name), s->want ? s->want : before, "and get");
		if (!s->want) {
			IS_STR(e.msg, s->msg, "the reason");
			IS_INT(err_exit(&e), 2, "its exit code");
		}
		free(before);
	}
	OK(config_set(&c, "pg_autoctl.region", "eu", &e) == -1 && err_exit(&e) == 1 &&
		e.hint[0],
	    "the region is elsewhere, says a hint");
	OK(strstr(get(&c, "nope"), "there is no setting") != NULL, "get of nothing");
	config_drop(&c);
}

/* A file people have worked on keeps what they did. */
static void
test_edit(void)
{
	struct config c;
	struct err e;
	struct stat st;

	write_file("; mine\n[timeout]\n# shorter\nnetwork_partition_timeout=10\n"
		   "[pg_autoctl]\nrole = keeper\nnodename = old.host\nfuture = x\n"
		   "[postgresql]\npgdata = /data\n[else]\nkey = \"v \"\n");
	OK(config_load(&c, file, &e) == 0, "a file by hand");
	IS_STR(c.hostname, "old.host", "the key of old versions is read");
	IS_STR(c.formation, "default", "what it lacks has its default");
	OK(config_set(&c, "timeout.network_partition_timeout", "15", &e) == 0 &&
		config_set(&c, "pg_autoctl.name", "n1", &e) == 0 &&
		config_save(&c, file, &e) == 0,
	    "changed and saved");
	OK(strncmp(read_back(),
	       "; mine\n[timeout]\n# shorter\nnetwork_partition_timeout=15\n", 56) == 0,
	    "comments, order and manner stay");
	OK(strstr(read_back(), "\nfuture = x\n") && strstr(read_back(), "key = \"v \"\n"),
	    "and what we do not know");
	OK(strstr(read_back(), "\nhostname = old.host\n") &&
		!strstr(read_back(), "nodename"),
	    "the old key has its new name");
	OK(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600,
	    "for nobody else to read");
	config_drop(&c);
	OK(config_load(&c, file, &e) == 0 && str_eq(c.name, "n1"), "it loads again");
	config_drop(&c);
}

static const struct load_case {
	const char *text, *msg; /* what follows the file's name */
} loads[] = {
	{ "", ": pg_autoctl.role must be set" },
	{ "[pg_autoctl]\nrole = x\n",
	    ": pg_autoctl.role: \"x\" is not one of keeper|monitor" },
	{ "[pg_autoctl]\nrole = keeper\n", ": postgresql.pgdata must be set" },
	{ "[pg_autoctl]\nrole = keeper\n[postgresql]\npgdata = /d\nport = many\n",
	    ":5: postgresql.port: \"many\" is not a whole number" },
	{ "[pg_autoctl]\nrole = keeper\n[citus]\nrole = x\n",
	    ":4: citus.role: \"x\" is not one of primary|secondary" },
	{ "[pg_autoctl]\nrole = keeper\n[ssl]\nactive = 2\n",
	    ":4: ssl.active: \"2\" is not a boolean (true or false)" },
	{ "[pg_autoctl]\nrole = keeper\nrubbish\n",
	    ":3: expected \"[section]\" or \"name = value\"" },
	{ "[pg_autoctl]\nrole = keeper\n[postgresql]\npgdata = /d\n[ssl]\ncert_file = "
	  "/c\n",
	    ": ssl.cert_file and ssl.key_file need each other" },
};

static void
test_load(void)
{
	struct config c;
	struct err e;

	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
		write_file(loads[i].text);
		OK(config_load(&c, file, &e) == -1 && e.kind == ERR_CONFIG,
		    "bad file %zu", i);
		OK(strncmp(e.msg, file, strlen(file)) == 0, "the file is named");
		IS_STR(
		    e.msg + strlen(file), loads[i].msg, "line, key and value are named");
	}
	/* as older versions wrote it: two sections of one name, zeros */
	write_file(
	    "[pg_autoctl]\nrole = keeper\ngroup = -1\n\n[postgresql]\npgdata = /d\n\n"
	    "[pg_autoctl]\nmonitor_password = secret\n\n[timeout]\n"
	    "listen_notifications_timeout = 0\ncitus_coordinator_wait_timeout = 0\n");
	OK(config_load(&c, file, &e) == 0 && str_eq(c.monitor_password, "secret") &&
		c.group == -1 && c.listen_notifications_ms == 0,
	    "an older version's file");
	config_drop(&c);
	write_file("[pg_autoctl]\nrole = monitor\n[postgresql]\npgdata = /d\n"
		   "[timeout]\nreport_interval = rubbish\n");
	OK(config_load(&c, file, &e) == 0 && c.kind == CONFIG_MONITOR &&
		str_eq(c.dbname, "pg_auto_failover"),
	    "a monitor does not read a keeper's keys");
	OK(config_set(&c, "timeout.report_interval", "500", &e) == -1, "nor has them");
	config_drop(&c);
	OK(file_unlink(file, &e) == 0 && config_load(&c, file, &e) == -1 &&
		errno == ENOENT && e.kind == ERR_CONFIG,
	    "no file");
}

static void
note_change(void *arg, const struct config_key *k, enum config_outcome outcome,
    const char *before, const char *after)
{
	static const char *const names[] = { "applied", "later", "refused" };

	buf_printf(
	    arg, "%s.%s %s->%s %s\n", k->section, k->name, before, after, names[outcome]);
}

static void
test_reload(void)
{
	struct config running, next;
	struct buf seen = { 0 };
	struct err e;

	write_file("[pg_autoctl]\nrole = keeper\nname = a\n[postgresql]\npgdata = /d\n");
	if (config_load(&running, file, &e))
		die("%s", e.msg);
	config_copy(&next, &running);
	IS_INT(config_reload(&running, &next, note_change, &seen, &e), 0, "no change");
	IS_STR(buf_peek(&seen), "", "nothing to tell");
	if (config_set(&next, "pg_autoctl.name", "b", &e) ||
	    config_set(&next, "pg_autoctl.formation", "other", &e) ||
	    config_set(&next, "postgresql.port", "5433", &e) ||
	    config_set(&next, "ssl.active", "on", &e) ||
	    config_set(&next, "replication.password", "secret", &e))
		die("%s", e.msg);
	IS_INT(
	    config_reload(&running, &next, note_change, &seen, &e), 3, "three applied");
	IS_STR(buf_peek(&seen),
	    "pg_autoctl.formation default->other refused\n"
	    "pg_autoctl.name a->b applied\n"
	    "postgresql.port 5432->5433 later\n"
	    "ssl.active 0->1 applied\n"
	    "replication.password ****->**** applied\n",
	    "each told, without passwords");
	OK(str_eq(running.name, "b") && running.ssl_active && running.port == 5432 &&
		str_eq(running.formation, "default") &&
		str_eq(running.replication_password, "secret"),
	    "and done");
	free(next.pgdata);
	next.pgdata = xstrdup("/e");
	OK(config_set(&next, "pg_autoctl.name", "c", &e) == 0 &&
		config_reload(&running, &next, NULL, NULL, &e) == -1 &&
		str_eq(running.name, "b"),
	    "another pgdata refuses the whole");
	config_drop(&running);
	config_drop(&next);
	buf_drop(&seen);
}

static void
test_paths(void)
{
	static const char *const xdg[] = { "XDG_CONFIG_HOME", "XDG_DATA_HOME",
		"XDG_RUNTIME_DIR" };
	struct buf b = { 0 };
	char *want;
	struct err e;

	setenv("HOME", "/h", 1);
	for (int i = 0; i < 3; i++)
		unsetenv(xdg[i]);
	OK(config_path("/no/data/", CONFIG_FILE_CFG, &b, &e) == 0, "the settings");
	IS_STR(
	    buf_peek(&b), "/h/.config/pg_autoctl/no/data/pg_autoctl.cfg", "below HOME");
	OK(config_path("/no/data", CONFIG_FILE_STATE, &b, &e) == 0, "the state");
	IS_STR(
	    buf_peek(&b), "/h/.local/share/pg_autoctl/no/data/pg_autoctl.state", "too");
	OK(config_path("/no/data", CONFIG_FILE_PID, &b, &e) == 0, "the pid");
	IS_STR(buf_peek(&b), "/tmp/pg_autoctl/no/data/pg_autoctl.pid", "in /tmp");
	setenv("XDG_CONFIG_HOME", "/c", 1);
	setenv("XDG_DATA_HOME", "relative", 1);
	setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
	OK(config_path("/no/data", CONFIG_FILE_CFG, &b, &e) == 0, "the variable's place");
	IS_STR(buf_peek(&b), "/c/pg_autoctl/no/data/pg_autoctl.cfg", "is taken");
	OK(config_path("/no/data", CONFIG_FILE_NODES, &b, &e) == 0, "a relative one");
	IS_STR(buf_peek(&b), "/h/.local/share/pg_autoctl/no/data/nodes.json", "is not");
	OK(config_path("/no/data", CONFIG_FILE_PG, &b, &e) == 0, "a missing runtime dir");
	IS_STR(buf_peek(&b), "/tmp/pg_autoctl/no/data/pg_autoctl.pg", "is /tmp");
	setenv("XDG_RUNTIME_DIR", top, 1);
	OK(config_path(top, CONFIG_FILE_PG, &b, &e) == 0, "one that is there");
	want = xasprintf("%s/pg_autoctl%s/pg_autoctl.pg", top, top);
	IS_STR(buf_peek(&b), want, "is taken");
	free(want);
	want = xasprintf("%s/pg_autoctl", top);
	OK(!file_exists(want), "nothing was created");
	free(want);
	unsetenv("HOME");
	OK(config_path("/d", CONFIG_FILE_CFG, &b, &e) == -1 && err_exit(&e) == 12,
	    "no HOME");
	buf_drop(&b);
}

int
main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	top = xasprintf("%s/autoctl-config.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(top))
		return 1;
	file = xasprintf("%s/deep/down/x.cfg", top);
	if (file_mkdir_above(file, 0755, &e))
		die("%s", e.msg);
	test_table();
	test_defaults();
	test_set();
	test_edit();
	test_load();
	test_reload();
	test_paths();
	OK(file_rmtree(top, &e) == 0, "cleaned up");
	free(top);
	free(file);
	return tap_done();
}
