/* Snapshots as text: every field of every struct goes there and comes back. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fsm/snapshot.h"
#include "ini/buf.h"
#include "ini/file.h"
#include "test/tap.h"

#include "ini/ban.h"

static char text[FSM_SNAPSHOT_MAX];
static struct fsm_record in, out;
static struct fsm_snapshot_wrong why;

/* fsm.h is the truth about what there is: a field that the table does not name. */
static bool
named(const struct fsm_section *x, const char *field)
{
	for (size_t i = 0; i < x->nfields; i++)
		if (strcmp(x->field[i].name, field) == 0)
			return true;
	for (size_t i = 0; i < fsm_section_count;
	     i++) { /* parts with lines of their own */
		const struct fsm_section *s = &fsm_section_list[i];

		if (strcmp(x->word, "group") == 0 && s != x &&
		    strcmp(s->word, field) == 0)
			return true;
	}
	return false;
}

static void
strip_comments(char *from)
{
	char *to = from;

	while (*from) {
		if (from[0] == '/' && from[1] == '*') {
			char *end = strstr(from, "*/");

			from = end ? end + 2 : from + strlen(from);
		} else
			*to++ = *from++;
	}
	*to = '\0';
}

/* The names a struct declares: before each ; or , or [ of its body. */
static int
check_struct(const char *header, const struct fsm_section *x)
{
	char head[80];
	const char *p;
	int unnamed = 0;

	snprintf(head, sizeof head, "struct %s {\n", x->type);
	p = strstr(header, head);
	if (!p)
		return -1;
	for (p += strlen(head); *p != '}'; p++) {
		const char *end = p + strcspn(p, ";}");
		const char *last = p + strcspn(p, ";[}");
		char name[80];
		int n = 0;

		if (*end != ';')
			break;
		while (last > p && strchr("\n\t ", last[-1]))
			last--;
		while (last - n > p && !strchr("\n\t *", last[-n - 1]))
			n++;
		snprintf(name, sizeof name, "%.*s", n, last - n);
		if (!named(x, name)) {
			tap_note("%s.%s has no row", x->type, name);
			unnamed++;
		}
		p = end;
	}
	return unnamed;
}

static void
check_header(void)
{
	struct buf b = { 0 };
	char *header;

	OK(file_read("fsm/fsm.h", &b, NULL) == 0, "fsm.h can be read");
	header = buf_take(&b);
	strip_comments(header);
	for (size_t i = 0; i < fsm_section_count; i++) {
		const struct fsm_section *x = &fsm_section_list[i];

		if (strcmp(x->word, "decision") == 0 || strcmp(x->word, "settings") == 0)
			continue; /* snapshot.h's; all from settings.def */
		IS_INT(check_struct(header, x), 0, x->type);
	}
	free(header);
}

/* A table that lacks a row is seen. */
static void
check_the_check(void)
{
	struct fsm_section x = fsm_section_list[1];

	x.nfields--;
	IS_INT(
	    check_struct("struct fsm_op {\n\tbool planned;\n\tchar what[3];\n\tint64_t\n"
			 "\t    phase;\n};\n",
		&x),
	    2, "two that have no row");
}

/* Fields and the padding that must be between them fill the struct. */
static void
check_sizes(const struct fsm_section *x)
{
	size_t end = 0;
	size_t nested = 0;

	for (size_t i = 0; i < x->nfields; i++) {
		const struct fsm_field *f = &x->field[i];

		if (strcmp(x->word, "group") != 0)
			OK(f->offset >= end && f->offset - end < 8, "%s.%s follows %zu",
			    x->word, f->name, end);
		end = f->offset + f->size;
		nested += f->size;
	}
	for (size_t i = 1; strcmp(x->word, "group") == 0 && i < 7; i++)
		nested += fsm_section_list[i].size * (size_t)fsm_section_list[i].max;
	OK(x->size - nested < 8 * x->nfields && x->size >= nested,
	    "%s: %zu bytes of %zu are in the table", x->word, nested, x->size);
	if (strcmp(x->word, "group") != 0)
		OK(x->size - end < 8, "%s ends with its last field", x->word);
}

/* A value like no default, as valid as it can be. */
static void
fill(const struct fsm_field *f, char *at)
{
	static const char odd[] = "a \"quoted\" \\ node\n\t= \xc3\xa9";
	bool count = strcmp(f->name, "n") == 0; /* has limits */
	int one = f->type == FSM_FIELD_INT && !count ? -2147483647 - 1 : 1;
	int64_t i = INT64_MIN;
	uint64_t u = UINT64_C(0xFEDCBA9876543210);
	bool yes = true;

	if (f->type == FSM_FIELD_TEXT)
		memcpy(at, odd, f->size < sizeof odd ? f->size - 1 : sizeof odd);
	else if (f->type == FSM_FIELD_IDS)
		for (size_t n = 0; n < f->size / sizeof i; n++)
			memcpy(at + n * sizeof i, &(int64_t){ (int64_t)n % 3 - 1 + 7 },
			    sizeof i);
	else if (f->type == FSM_FIELD_BOOL)
		memcpy(at, &yes, sizeof yes);
	else if (f->type == FSM_FIELD_I64)
		memcpy(at, &i, sizeof i);
	else if (f->type == FSM_FIELD_LSN || f->type == FSM_FIELD_U64)
		memcpy(at, &u, sizeof u);
	else
		memcpy(at, &one, sizeof one);
}

static int
round_trip(void)
{
	const char *at = text;
	size_t len = fsm_snapshot_format(&in, text, sizeof text);
	int rc = fsm_snapshot_parse(&at, &out, &why);

	if (rc < 0)
		tap_note("line %d: %s", why.line, why.text);
	return rc == 1 && len == strlen(text) && !*at &&
	       memcmp(&in, &out, sizeof in) == 0;
}

/* One element of everything, then each field alone with a value of its own. */
static void
check_fields(const struct fsm_section *x)
{
	for (size_t i = 0; i < x->nfields; i++) {
		const struct fsm_field *f = &x->field[i];

		memset(&in, 0, sizeof in);
		in.group.n = in.group.nlineage = in.group.nconfigs = 1;
		in.nsteps = in.ndecisions = 1;
		if (strcmp(x->word, "group") == 0 &&
		    (strcmp(f->name, "n") == 0 || strcmp(f->name, "nlineage") == 0 ||
			strcmp(f->name, "nconfigs") == 0))
			continue;
		fill(f, (char *)&in + x->offset + f->offset);
		OK(round_trip(), "%s.%s comes back", x->word, f->name);
	}
}

static void
full(void)
{
	memset(&in, 0, sizeof in);
	in.group.n = FSM_NODES_MAX;
	in.group.nlineage = FSM_LINEAGE_MAX;
	in.group.nconfigs = FSM_CONFIGS_MAX;
	in.nsteps = FSM_STEPS_MAX;
	in.ndecisions = 1;
	for (size_t s = 1; s < fsm_section_count; s++)
		for (int i = 0; i < fsm_section_list[s].max; i++)
			for (size_t f = 0; f < fsm_section_list[s].nfields; f++) {
				const struct fsm_section *x = &fsm_section_list[s];

				fill(&x->field[f], (char *)&in + x->offset +
						       (size_t)i * x->size +
						       x->field[f].offset);
			}
	for (int i = 0; i < FSM_STEPS_MAX; i++)
		memset(in.step[i].text, 1, FSM_TEXT_MAX - 1);
}

static void
refuse(const char *from, const char *to, const char *what)
{
	static char changed[FSM_SNAPSHOT_MAX];
	const char *at = changed;
	const char *p = strstr(text, from);

	if (!OK(p != NULL, "%s: there is something to change", what))
		return;
	snprintf(changed, sizeof changed, "%.*s%s%s", (int)(p - text), text, to,
	    p + strlen(from));
	IS_INT(fsm_snapshot_parse(&at, &out, &why), -1, what);
}

static void
check_refusals(void)
{
	memset(&in, 0, sizeof in);
	in.group.n = 2;
	memcpy(in.group.node[0].name, "node_1", 7);
	OK(round_trip(), "two nodes");
	refuse("\nend", "\nEND", "no end");
	refuse("\nop ", "\nopp ", "a word that is none");
	refuse(" term=0", "", "a field that is missing");
	refuse(" term=0", " term=0 more=1", "a field that is unknown");
	refuse(" term=0", " term=", "no value");
	refuse(" term=0", " term=99999999999999999999", "a number that is too big");
	refuse(" nss=0", " nss=2147483648", "an int that is too big");
	refuse(" reported=init", " reported=inits", "a state that is none");
	refuse("name=\"node_1\"", "name=node_1", "a text without quotes");
	refuse("name=\"node_1\"", "name=\"node_1", "a text without an end");
	refuse("name=\"node_1\"", "name=\"\\x00\"", "a text with a NUL");
	refuse(" n=2", " n=3", "a node that is missing");
	refuse(" n=2", " n=1", "a node too many");
	refuse(" dirty=0", " dirty=2", "neither true nor false");
	in.group.nconfigs = 1;
	OK(round_trip(), "a configuration");
	refuse(" k=0 n=0", " k=0 n=33", "too many members");
	refuse(" k=0 n=0", " k=0 n=-1", "less than none");
	refuse(" k=0 n=0 member=", " k=0 n=0 member=1,", "a member that is missing");
}

static void
check_stream(void)
{
	static char two[3 * FSM_SNAPSHOT_MAX];
	const char *at = two;

	memset(&in, 0, sizeof in);
	in.group.term = 7;
	fsm_snapshot_format(&in, text, sizeof text);
	snprintf(two, sizeof two, "# something\n%s\nautoctl-snapshot 1\nbroken\n%s", text,
	    text);
	IS_INT(fsm_snapshot_parse(&at, &out, &why), 1, "the first of a file");
	IS_INT(out.group.term, 7, "with its term");
	IS_INT(fsm_snapshot_parse(&at, &out, &why), -1, "one that is broken");
	IS_INT(fsm_snapshot_parse(&at, &out, &why), 1, "the one behind it");
	IS_INT(fsm_snapshot_parse(&at, &out, &why), 0, "and no more");
	IS_INT(fsm_snapshot_format(&in, two, 10), (long long)strlen(text),
	    "the length that was needed");
	IS_STR(two, "autoctl-s", "and what there was room for");
}

static void
check_sum(void)
{
	static struct fsm_group a, b;

	memset(&a, 0, sizeof a);
	a.n = 2;
	b = a;
	OK(fsm_snapshot_sum(&a) == fsm_snapshot_sum(&b), "equal groups have equal sums");
	b.node[1].goal_seq++;
	OK(fsm_snapshot_sum(&a) != fsm_snapshot_sum(&b), "others have others");
	b = a;
	b.node[2].id = 9; /* behind the last: left by somebody */
	OK(fsm_snapshot_sum(&a) == fsm_snapshot_sum(&b),
	    "what is not there does not count");
}

/* For test/replay.t: a pair at work, and its primary lost, each with its decision. */
static void
sample_node(struct fsm_node *n, int64_t id, enum fsm_state state)
{
	n->id = id;
	snprintf(n->name, sizeof n->name, "node_%d", (int)id);
	n->priority = 50;
	n->quorum = n->has_data = n->session = true;
	n->reported = n->goal = state;
	n->pg = state == FSM_PRIMARY ? FSM_PG_RW : FSM_PG_STANDBY;
	n->state_age_ms = n->goal_age_ms = 60000;
	n->tli = 1;
	n->lsn = 0x3000000;
	n->probe = FSM_WITNESS_OK;
	n->attached = n->streaming = state == FSM_SECONDARY;
	n->upstream_id = state == FSM_SECONDARY ? 1 : 0;
	n->applied_gen = state == FSM_PRIMARY;
}

static int
sample(void)
{
	static struct fsm_group g;
	static struct fsm_plan plan;

	fsm_settings_default(&g.settings);
	snprintf(g.formation, sizeof g.formation, "default");
	g.n = 2;
	sample_node(&g.node[0], 1, FSM_PRIMARY);
	sample_node(&g.node[1], 2, FSM_SECONDARY);
	g.secondary_allowed = true;
	g.writer = g.term = g.writer_tli = g.nconfigs = 1;
	g.config[0] = (struct fsm_config){ .gen = 1, .k = 1, .n = 1, .member = { 2 } };
	g.watch_age_ms = 60000;
	for (int i = 0; i < 2; i++) {
		monitor_decide(&g, &plan);
		fsm_snapshot_fill(&in, &g, &plan);
		fsm_snapshot_format(&in, text, sizeof text);
		fputs(text, stdout);
		g.node[0].session = false;
		g.node[0].report_age_ms = 1000;
		g.node[0].probe = g.node[1].heard = FSM_WITNESS_REFUSED;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "sample") == 0)
		return sample();
	check_header();
	check_the_check();
	for (size_t i = 0; i < fsm_section_count; i++) {
		check_sizes(&fsm_section_list[i]);
		check_fields(&fsm_section_list[i]);
	}
	full();
	OK(round_trip(), "the biggest there is comes back");
	OK(fsm_snapshot_format(&in, text, sizeof text) < sizeof text, "and fits");
	check_refusals();
	check_stream();
	check_sum();
	return tap_done();
}
