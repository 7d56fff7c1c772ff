/* config keys: every setting there is, of nodes, of monitors, and in the monitor's
 * database. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/out.h"
#include "fsm/fsm.h"

#include "ini/ban.h"

/* One key, from either table. */
struct key {
	const char *where; /* whose it is */
	char name[128];
	const char *type;
	char initial[64];
	const char *range; /* or NULL */
	const char *change;
	const char *help;
};

typedef void key_fn(const struct key *, void *arg);

static const char *
type_name(enum config_type t)
{
	static const char *const name[] = { "text", "name", "host", "method", "path",
		"choice", "rate", "number", "boolean", "seconds", "milliseconds" };

	return name[t];
}

static const char *
change_name(const struct config_key *k)
{
	return k->flags & CONFIG_FIXED    ? "never"
	       : k->flags & CONFIG_RELOAD ? "reload"
					  : "restart";
}

static void
file_key(const struct config_key *k, key_fn *fn, void *arg)
{
	struct key out = { .where = k->roles == (CONFIG_KEEPER | CONFIG_MONITOR) ? "both"
				    : k->roles == CONFIG_KEEPER                  ? "node"
								: "monitor",
		.type = type_name(k->type),
		.range = k->range,
		.change = change_name(k),
		.help = k->help };

	snprintf(out.name, sizeof out.name, "%s.%s", k->section, k->name);
	snprintf(out.initial, sizeof out.initial, "%s", k->initial ? k->initial : "");
	fn(&out, arg);
}

static void
database_key(const struct fsm_setting_info *s, key_fn *fn, void *arg)
{
	bool is_bool = strcmp(s->unit, "bool") == 0;
	struct key out = { .where = "database",
		.type = is_bool                      ? "boolean"
			: strcmp(s->unit, "ms") == 0 ? "milliseconds"
			: strcmp(s->unit, "B") == 0  ? "bytes"
						     : "number",
		.change = "at once",
		.help = s->text };

	snprintf(out.name, sizeof out.name, "pgautofailover.%s", s->name);
	if (is_bool)
		snprintf(out.initial, sizeof out.initial, "%s", s->dflt ? "on" : "off");
	else
		snprintf(out.initial, sizeof out.initial, "%" PRId64, s->dflt);
	fn(&out, arg);
}

static void
each_key(key_fn *fn, void *arg)
{
	for (size_t i = 0; i < config_key_count; i++)
		file_key(&config_keys[i], fn, arg);
	for (size_t i = 0; i < fsm_setting_count; i++)
		database_key(&fsm_setting_list[i], fn, arg);
}

static void
row(const struct key *k, void *arg)
{
	struct out *o = arg;

	out_cell(o, "%s", k->where);
	out_cell(o, "%s", k->name);
	out_cell(o, "%s", k->initial);
	out_cell(o, "%s", k->change);
	out_cell(o, "%s", k->help);
}

static void
json(const struct key *k, void *arg)
{
	struct buf *b = arg;

	buf_printf(b, "%s\n    {\"where\": \"%s\", \"name\": \"%s\", \"type\": \"%s\", ",
	    buf_len(b) > 1 ? "," : "", k->where, k->name, k->type);
	buf_str(b, "\"default\": ");
	buf_json(b, k->initial);
	buf_str(b, ", \"range\": ");
	if (k->range)
		buf_json(b, k->range);
	else
		buf_str(b, "null");
	buf_printf(b, ", \"change\": \"%s\", \"help\": ", k->change);
	buf_json(b, k->help);
	buf_str(b, "}");
}

/* The list between two words of the manual: "where" picks the rows. */
static void
mdoc(const struct key *k, void *arg)
{
	const char *where = arg;
	bool ours = strcmp(k->where, where) == 0;

	if (!ours && (strcmp(k->where, "both") != 0 || strcmp(where, "database") == 0))
		return;
	printf(".It Ic %s\n%c%s.\n", k->name, k->help[0] & ~0x20, k->help + 1);
	printf("%c%s%s", k->type[0] & ~0x20, k->type + 1, k->range ? ": " : "");
	for (const char *c = k->range ? k->range : ""; *c; c++)
		printf(*c == '|' ? ", " : "%c", *c);
	if (k->initial[0])
		printf("; default %s", k->initial);
	printf("; changed: %s.\n", k->change);
}

static void
all_mdoc(void)
{
	static const struct {
		const char *where, *title;
	} part[] = { { "node", "Settings of a node" },
		{ "monitor", "Settings of a monitor" },
		{ "database", "Settings in the monitor's database" } };

	for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
		char where[16];

		snprintf(where, sizeof where, "%s", part[i].where);
		printf(".Ss %s\n.Bl -tag -width Ds\n", part[i].title);
		each_key(mdoc, where);
		puts(".El");
	}
}

int
cmd_config_keys(struct cmd_ctx *x)
{
	static const struct out_column columns[] = { { "Of", 8, true },
		{ "Key", 0, true }, { "Default", 0, true }, { "Changed", 8, true },
		{ "Meaning", 0, true } };
	struct buf b = { 0 };
	struct out o;

	if (x->args.json && x->args.mdoc)
		return err_set(&x->err, ERR_USAGE, "one form at a time");
	if (x->args.mdoc)
		all_mdoc();
	else if (x->args.json) {
		buf_str(&b, "[");
		each_key(json, &b);
		printf("%s\n]\n", buf_peek(&b));
	} else {
		out_init(&o, columns, 5);
		each_key(row, &o);
		out_print(&o);
	}
	buf_drop(&b);
	return 0;
}
