/* fsm replay: decide recorded snapshots again, compare with what was decided then. */
/* SPDX-License-Identifier: PostgreSQL */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/steps.h"
#include "fsm/snapshot.h"
#include "ini/file.h"

#include "ini/ban.h"

struct replay {
	bool json;
	int records;
	int different;
	int broken;
	int line; /* of the file, where the record begins */
	struct buf out;
};

static void
steps_json(struct buf *b, const struct fsm_group *g, const struct fsm_step *s, int nsteps)
{
	buf_char(b, '[');
	for (int i = 0; i < nsteps; i++) {
		buf_str(b, i ? ", {" : "{");
		show_step_json(b, g, &s[i]);
		buf_char(b, '}');
	}
	buf_char(b, ']');
}

static void
step_line(
    struct buf *b, const char *mark, const struct fsm_group *g, const struct fsm_step *s)
{
	buf_printf(b, "%s ", mark);
	show_step_text(b, g, s);
	buf_char(b, '\n');
}

/* NULL when it is the same decision, else in what it is another one. */
static const char *
difference(const struct fsm_record *r, const struct fsm_plan *plan)
{
	if (r->nsteps != plan->nsteps)
		return "the number of steps";
	for (int i = 0; i < r->nsteps; i++) {
		const struct fsm_step *a = &r->step[i];
		const struct fsm_step *b = &plan->step[i];

		if (a->rule != b->rule || a->node != b->node || a->from != b->from ||
		    a->to != b->to || strcmp(a->text, b->text) != 0)
			return "a step";
	}
	if (r->decision.next != fsm_snapshot_sum(&plan->next))
		return "what is stored";
	if (r->decision.wake_in_ms != plan->wake_in_ms)
		return "when to look again";
	return NULL;
}

static void
show_text(struct replay *p, const struct fsm_record *r, const struct fsm_plan *plan,
    const char *other)
{
	const struct fsm_group *g = &r->group;

	buf_printf(&p->out, "line %d: %s/%d, term %" PRId64 ": %s%s\n", p->line,
	    g->formation, g->group_id, g->term,
	    !r->ndecisions ? "nothing is recorded beside it"
	    : other        ? "DIFFERENT in "
			   : "the same",
	    r->ndecisions && other ? other : "");
	for (int i = 0; other && i < r->nsteps; i++)
		step_line(&p->out, "  was:", g, &r->step[i]);
	for (int i = 0; i < plan->nsteps; i++)
		step_line(&p->out, other ? "  is: " : "  ", g, &plan->step[i]);
}

static void
show_json(struct replay *p, const struct fsm_record *r, const struct fsm_plan *plan,
    const char *other)
{
	const struct fsm_group *g = &r->group;
	struct buf *b = &p->out;

	buf_printf(b, "%s\n    {\"line\": %d, \"formation\": ", p->records > 1 ? "," : "",
	    p->line);
	buf_json(b, g->formation);
	buf_printf(b, ", \"group\": %d, \"term\": %" PRId64 ", \"same\": %s", g->group_id,
	    g->term,
	    !r->ndecisions ? "null"
	    : other        ? "false"
			   : "true");
	if (other) {
		buf_str(b, ", \"different\": ");
		buf_json(b, other);
	}
	buf_str(b, ",\n     \"steps\": ");
	steps_json(b, g, plan->step, plan->nsteps);
	if (r->ndecisions) {
		buf_str(b, ",\n     \"recorded\": ");
		steps_json(b, g, r->step, r->nsteps);
	}
	buf_char(b, '}');
}

static void
again(struct replay *p, const struct fsm_record *r)
{
	static struct fsm_plan plan;
	const char *other;

	monitor_decide(&r->group, &plan);
	other = r->ndecisions ? difference(r, &plan) : NULL;
	p->records++;
	p->different += other != NULL;
	if (p->json)
		show_json(p, r, &plan, other);
	else
		show_text(p, r, &plan, other);
}

static int
lines(const char *from, const char *to)
{
	int n = 0;

	for (; from < to; from++)
		n += *from == '\n';
	return n;
}

/* A record that does not read, as the last one of a full disk, is named and left out. */
static void
read_all(struct replay *p, const char *text)
{
	static struct fsm_record r;
	struct fsm_snapshot_wrong wrong = { .line = 0 };
	const char *at = text;

	for (;;) {
		const char *first = strstr(at, FSM_SNAPSHOT_FIRST);
		int before = lines(text, at);
		int rc = fsm_snapshot_parse(&at, &r, &wrong);

		if (rc == 0)
			return;
		p->line = 1 + lines(text, first);
		if (rc > 0) {
			again(p, &r);
			continue;
		}
		p->broken++;
		fprintf(stderr, "line %d: %s\n", before + wrong.line, wrong.text);
	}
}

int
cmd_fsm_replay(struct cmd_ctx *x)
{
	struct replay p = { .json = x->args.json };
	struct buf text = { 0 };

	if (file_read(x->word[0], &text, &x->err)) {
		buf_drop(&text);
		x->err.kind = ERR_USAGE;
		return -1;
	}
	read_all(&p, buf_peek(&text));
	buf_drop(&text);
	if (p.json)
		printf("[%s\n]\n", buf_peek(&p.out));
	else
		printf("%s%d snapshots, %d decided differently\n", buf_peek(&p.out),
		    p.records, p.different);
	buf_drop(&p.out);
	x->exit = p.different || p.broken ? 1 : 0;
	if (p.records || p.broken)
		return 0;
	return err_set(&x->err, ERR_USAGE, "%s: no snapshot in it", x->word[0]);
}
