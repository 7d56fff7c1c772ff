/* cmd/line: the table itself, and sentences with their options taken apart. */
/* SPDX-License-Identifier: PostgreSQL */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "test/tap.h"

#include "ini/ban.h"

#define ARGS_MAX 40

/* A line split at blanks. */
struct input {
	char text[512];
	char *argv[ARGS_MAX];
};

static char **
split(struct input *in, const char *line)
{
	char *s = in->text;
	int n = 0;

	snprintf(in->text, sizeof in->text, "autoctl %s", line);
	while (*s && n < ARGS_MAX - 1) {
		in->argv[n++] = s;
		s += strcspn(s, " ");
		if (*s)
			*s++ = '\0';
	}
	in->argv[n] = NULL;
	return in->argv;
}

/* As cmd_main does it: find the words, then read the options as the row means them. */
static int
parse(struct cmd_ctx *x, struct input *in, const char *line)
{
	struct cmd_line l = { 0 };
	int best;

	memset(x, 0, sizeof *x);
	split(in, line);
	if (cmd_read(NULL, in->argv, &l, &x->args, &x->err))
		return -1;
	x->cmd = cmd_find(&l, &best);
	if (!x->cmd)
		return err_set(&x->err, ERR_USAGE, "no row, %d words fit", best);
	memset(&x->args, 0, sizeof x->args);
	if (cmd_read(x->cmd, in->argv, &l, &x->args, &x->err))
		return -1;
	return cmd_bind(x, &l);
}

/* -- the table -- */

static bool
is_usage(const char *u)
{
	for (; *u; u++)
		if (!islower((unsigned char)*u) && !isdigit((unsigned char)*u) &&
		    !strchr(" -_<>[].", *u))
			return false;
	return true;
}

static void
test_rows(void)
{
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		size_t n = strlen(c->text);
		OK(is_usage(c->usage), "\"%s\" is a usage", c->usage);
		OK(c->run != NULL, "... with a function");
		OK(n > 10 && c->text[n - 1] != '.' && islower((unsigned char)c->text[0]),
		    "... and a sentence without a full stop: %s", c->text);
	}
}

/* Each row is found by its own words: no earlier one hides it. */
static void
test_reachable(void)
{
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		struct cmd_ctx x;
		struct input in;
		char line[200];
		size_t n = 0;
		for (const char *u = c->usage; *u; u++)
			if (!strchr("<>[]", *u))
				line[n++] = *u;
		line[n] = '\0';
		parse(&x, &in, line);
		OK(x.cmd == c, "found by its words: %s", line);
	}
}

static void
test_options_of_rows(void)
{
	for (const struct cmd *c = cmd_table; c->usage; c++) {
		char letters[128] = "vqhVJ";
		for (const char *p = c->opts; *p; p += strcspn(p, " "), p += *p == ' ') {
			size_t len = strcspn(p, " /");
			const struct cmd_opt *o = cmd_opt_find(p, len);
			char letter = 0;
			OK(o != NULL, "%s: --%.*s is an option", c->usage, (int)len, p);
			if (!o || strcmp(o->name, "json") == 0)
				continue;
			letter = p[len] == '/' ? p[len + 1] : o->letter;
			if (letter == 0 || letter == '0')
				continue;
			OK(!strchr(letters, letter), "%s: -%c means one thing", c->usage,
			    letter);
			letters[strlen(letters) + 1] = '\0';
			letters[strlen(letters)] = letter;
		}
	}
	for (const struct cmd_opt *o = cmd_options; o->name; o++) {
		bool used = o < cmd_options + 5;
		for (const struct cmd *c = cmd_table; c->usage && !used; c++)
			used = cmd_takes(c, o);
		OK(used, "--%s belongs to a command", o->name);
		OK(o->arg ? o->type == CMD_TEXT || o->type == CMD_LIST
			  : o->type == CMD_FLAG || o->type == CMD_COUNT,
		    "... and has a value if it should");
		OK(o->offset < sizeof(struct cmd_args), "... and a place");
	}
}

/* -- sentences -- */

static void
test_places(void)
{
	struct cmd_ctx x;
	struct input in;
	static const char *const same[] = { "config get a.b -D /x --json",
		"-D /x --json config get a.b", "config --json get -D/x a.b",
		"--pgdata=/x config get --json a.b", "config get --pgdata /x -J -- a.b",
		"-JD /x config get a.b" };

	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		OK(parse(&x, &in, same[i]) == 0, "reads: %s", same[i]);
		IS_STR(x.cmd ? x.cmd->usage : "", "config get [key]", "... the row");
		IS_STR(x.args.pgdata, "/x", "... the directory");
		OK(x.args.json, "... the flag");
		OK(x.nwords == 1 && strcmp(x.word[0], "a.b") == 0, "... the word");
	}
}

static void
test_values(void)
{
	struct cmd_ctx x;
	struct input in;

	OK(parse(&x, &in, "config set a.b -1") == 0 && x.nwords == 2,
	    "a number is a word");
	IS_STR(x.nwords == 2 ? x.word[1] : "", "-1", "... bound");
	OK(parse(&x, &in, "config set a.b -- --x") == 0, "a word behind --");
	IS_STR(x.nwords == 2 ? x.word[1] : "", "--x", "... bound");
	OK(parse(&x, &in, "show events --count=0 -vvq") == 0, "options together");
	IS_INT(x.args.verbose, 2, "... counted");
	OK(x.args.quiet, "... the last one");
	IS_STR(x.args.count, "0", "... with =");
	OK(parse(&x, &in, "create monitor --formation a -f b") == 0, "a list");
	IS_INT(x.args.nformations, 2, "... of two");
	OK(!x.args.formation, "... which is another option");
	OK(parse(&x, &in, "create postgres -f a") == 0 && x.args.formation, "not there");
	OK(parse(&x, &in, "run -n a -H b") == 0, "letters of run");
	IS_STR(x.args.name, "a", "... -n is the name");
	IS_STR(x.args.hostname, "b", "... -H the host");
	OK(parse(&x, &in, "show events -n 3") == 0 && x.args.count, "-n elsewhere");
	OK(parse(&x, &in, "create postgres -n h") == 0 && x.args.hostname,
	    "... or there");
}

static void
test_refused(void)
{
	static const struct {
		const char *line, *message;
	} row[] = { { "show events --count -1", "--count: -1 is not between" },
		{ "show events --count=1x", "--count: \"1x\" is not a whole number" },
		{ "drop node --wait 5m5", "--wait: " },
		{ "create postgres --pgport 65536", "--pgport: 65536 is not between" },
		{ "create postgres --name a;b", "--name: " },
		{ "create postgres -r maybe", "--replication-quorum: " },
		{ "create postgres -P 101", "--candidate-priority: " },
		{ "create monitor -f a/b", "--formation: " },
		{ "set node candidate-priority 101", "candidate-priority: 101 is not" },
		{ "set node replication-quorum x", "replication-quorum: \"x\" is not" },
		{ "stop --json=1", "--json takes no value" },
		{ "stop --wait 1", "--wait: not an option of \"stop\"" },
		{ "stop --fas", "--fas: unknown option" },
		{ "stop -", "no row, 1 words fit" }, { "", "no row, 0 words fit" },
		{ "stop now", "no row, 1 words fit" }, { "set node", "no row, 2" } };
	struct cmd_ctx x;
	struct input in;

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		OK(parse(&x, &in, row[i].line) == -1 && x.err.kind == ERR_USAGE,
		    "refuses: %s", row[i].line);
		if (!OK(strncmp(x.err.msg, row[i].message, strlen(row[i].message)) == 0,
			"... and says: %s", row[i].message))
			tap_note("got: %s", x.err.msg);
	}
}

static void
test_too_many(void)
{
	struct cmd_ctx x;
	struct input in;
	struct buf line = { 0 };

	buf_str(&line, "create monitor");
	for (int i = 0; i < 16; i++)
		buf_str(&line, " -fa");
	OK(parse(&x, &in, buf_peek(&line)) == 0 && x.args.nformations == 16,
	    "16 formations");
	buf_str(&line, " -fa");
	OK(parse(&x, &in, buf_peek(&line)) == -1, "... and not 17");
	buf_drop(&line);
}

int
main(void)
{
	test_rows();
	test_reachable();
	test_options_of_rows();
	test_places();
	test_values();
	test_refused();
	test_too_many();
	return tap_done();
}
