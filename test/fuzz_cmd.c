/* Any bytes as a command line, one word each line: taken apart without a stumble. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "ini/mem.h"
#include "test/fuzz.h"

#include "ini/ban.h"

#define WORDS_MAX 100

const char *const fuzz_seeds[] = {
	"",
	"show\nstate\n--json\n-D\n/x\n--group=1",
	"create\npostgres\n--name\nnode_1\n-rfalse\n--ssl-self-signed\n-P\n50\n--\n-x",
	"config\nset\npostgresql.port\n-1\n-vvq",
	"create\nmonitor\n-fa\n--formation\nb\n--dburi=postgres://a@b:1/c",
	"set\nnode\ncandidate-priority\n--name=a\n--\n-1",
	"complete\n--\nshow\nst",
	NULL,
};

/* What was read lies within the words, and within the limits. */
static void
check(const struct cmd_ctx *x, const struct cmd_line *l)
{
	assert(l->n >= 0 && l->n <= CMD_LINE_MAX);
	assert(x->nwords <= l->n);
	for (int i = 0; i < x->nwords; i++)
		assert(x->word[i] == l->word[l->n - x->nwords + i]);
	assert(x->args.nformations <= 16);
}

static void
take_apart(char **argv)
{
	static struct cmd_ctx x;
	struct cmd_line l = { 0 };
	int best = 0;

	memset(&x, 0, sizeof x);
	if (cmd_read(NULL, argv, &l, &x.args, &x.err))
		assert(x.err.kind == ERR_USAGE && x.err.msg[0]);
	x.cmd = cmd_find(&l, &best);
	assert(best >= 0 && best <= l.n);
	if (!x.cmd) {
		help_wrong_words(&x, &l, best);
		assert(x.err.kind == ERR_USAGE && x.err.msg[0]);
		return;
	}
	memset(&x.args, 0, sizeof x.args);
	if (cmd_read(x.cmd, argv, &l, &x.args, &x.err) || cmd_bind(&x, &l))
		assert(x.err.kind == ERR_USAGE && x.err.msg[0]);
	else
		check(&x, &l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmalloc(size + 1);
	char *argv[WORDS_MAX + 2];
	int n = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	argv[n++] = text + size;
	for (char *s = text; s && n <= WORDS_MAX;) {
		argv[n++] = s;
		s = strchr(s, '\n');
		if (s)
			*s++ = '\0';
	}
	argv[n] = NULL;
	take_apart(argv);
	free(text);
	return 0;
}
