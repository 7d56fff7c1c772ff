/* The files of a node or a monitor: where they are, what is in them. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "cmd/setup.h"
#include "ini/file.h"
#include "pg/statefile.h"

#include "ini/ban.h"

static const struct {
	const char *title, *json;
	enum config_file file;
	bool keeper_only;
} files[] = { { "Config", "config", CONFIG_FILE_CFG, false },
	{ "State", "state", CONFIG_FILE_STATE, true },
	{ "Init", "init", CONFIG_FILE_INIT, true },
	{ "Pid", "pid", CONFIG_FILE_PID, false } };

static int
show_all(struct cmd_ctx *x)
{
	static const struct out_column columns[] = { { "File", 7, false },
		{ "Path", 0, true } };
	struct out o;
	struct buf path = { 0 }, json = { 0 };

	out_init(&o, columns, 2);
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (files[i].keeper_only && x->config.kind != CONFIG_KEEPER)
			continue;
		if (config_path(buf_peek(&x->pgdata), files[i].file, &path, &x->err)) {
			out_drop(&o);
			return -1;
		}
		out_cell(&o, "%s", files[i].title);
		out_cell(&o, "%s", buf_peek(&path));
		buf_printf(&json, "%s    \"%s\": ", buf_len(&json) ? ",\n" : "{\n",
		    files[i].json);
		buf_json(&json, buf_peek(&path));
	}
	if (x->args.json) {
		printf("%s\n}\n", buf_peek(&json));
		out_drop(&o);
	} else
		out_print(&o);
	buf_drop(&json);
	buf_drop(&path);
	return 0;
}

static void
time_text(int64_t s, char out[32])
{
	time_t t = (time_t)s;
	struct tm tm;

	snprintf(out, 32, "0");
	if (s && gmtime_r(&t, &tm))
		strftime(out, 32, "%a %b %e %H:%M:%S %Y", &tm);
}

static void
state_text(const struct statefile *s)
{
	const struct keeper *k = &s->keeper;
	char monitor[32], secondary[32];

	time_text(s->monitor_contact_s, monitor);
	time_text(s->secondary_contact_s, secondary);
	printf("Current Role:             %s\n", fsm_state_name(k->current));
	printf("Assigned Role:            %s\n", fsm_state_name(k->goal));
	printf("Last Monitor Contact:     %s\n", monitor);
	printf("Last Secondary Contact:   %s\n", secondary);
	printf("pg_autoctl state version: 2\n");
	printf("group:                    %d\n", k->group_id);
	printf("node id:                  %lld\n", (long long)k->node_id);
	printf("nodes version:            0\n");
	printf("term:                     %lld\n", (long long)k->term);
	printf("promised term:            %lld\n", (long long)k->promise_term);
	printf("PostgreSQL Version:       %u\n", s->control_version);
	printf("PostgreSQL CatVersion:    %u\n", s->catalog_version);
	printf(
	    "PostgreSQL System Id:     %llu\n", (unsigned long long)k->system_identifier);
}

static int
contents(struct cmd_ctx *x, enum config_file which, const char *path)
{
	struct buf b = { 0 };
	struct statefile s;
	enum statefile_found found;
	int rc = -1;

	switch (which) {
	case CONFIG_FILE_STATE:
		if ((rc = statefile_read(path, &s, &x->err)) == -1)
			break;
		if (x->args.json) {
			show_state_json(&s, "", &b);
			puts(buf_peek(&b));
		} else
			state_text(&s);
		break;
	case CONFIG_FILE_INIT:
		if ((rc = statefile_init_read(path, &found, &x->err)) == 0)
			printf("creation began and is not finished; found then: %d\n",
			    (int)found);
		break;
	case CONFIG_FILE_CFG:
	case CONFIG_FILE_NODES:
	case CONFIG_FILE_PID:
	case CONFIG_FILE_PG:
	case CONFIG_FILE_COUNT:
		if (which == CONFIG_FILE_CFG && x->args.json) {
			config_dump_json(&x->config, &b);
			rc = 0;
		} else if (which == CONFIG_FILE_PID && x->args.json) {
			pid_t pid = 0;
			rc = file_pid(path, &pid, &x->err);
			show_pid_json(path, false, pid, "", &b);
			buf_char(&b, '\n');
		} else
			rc = file_read(path, &b, &x->err);
		if (rc == 0)
			fputs(buf_peek(&b), stdout);
		break;
	}
	buf_drop(&b);
	return rc;
}

int
cmd_show_file(struct cmd_ctx *x)
{
	struct cmd_args *a = &x->args;
	int n = a->file_config + a->file_state + a->file_init + a->file_pid;
	enum config_file which = a->file_state  ? CONFIG_FILE_STATE
				 : a->file_init ? CONFIG_FILE_INIT
				 : a->file_pid  ? CONFIG_FILE_PID
						: CONFIG_FILE_CFG;
	struct buf path = { 0 };
	int rc;

	if (n + a->file_all > 1)
		return err_set(&x->err, ERR_USAGE,
		    "one of --all, --config, --state, --init, --pid at a time");
	if (x->config.kind != CONFIG_KEEPER && (a->file_state || a->file_init))
		return err_set(&x->err, ERR_USAGE, "a monitor has no such file");
	if (n == 0)
		return show_all(x);
	if (config_path(buf_peek(&x->pgdata), which, &path, &x->err))
		return -1;
	if (a->contents)
		rc = contents(x, which, buf_peek(&path));
	else {
		puts(buf_peek(&path));
		rc = 0;
	}
	buf_drop(&path);
	return rc;
}
