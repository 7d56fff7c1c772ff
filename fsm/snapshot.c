/* A snapshot and what was decided on it, as text: one table of fields, both ways. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ini/ban.h"

_Static_assert(
    sizeof(enum fsm_state) == sizeof(int), "enums are read and written as int");

/* clang-format off */
#define AT(strct, type, field) \
	{ #field, FSM_FIELD_##type, offsetof(struct strct, field), sizeof ((struct strct *)0)->field },

static const struct fsm_field group_fields[] = {
	AT(fsm_group, TEXT, formation)
	AT(fsm_group, INT, group_id)
	AT(fsm_group, BOOL, secondary_allowed)
	AT(fsm_group, INT, nss)
	AT(fsm_group, I64, writer)
	AT(fsm_group, I64, term)
	AT(fsm_group, BOOL, dirty)
	AT(fsm_group, BOOL, learning)
	AT(fsm_group, INT, strangers)
	AT(fsm_group, INT, nconfigs)
	AT(fsm_group, INT, lease_gen)
	AT(fsm_group, I64, lease_age_ms)
	AT(fsm_group, INT, accepted_tli)
	AT(fsm_group, INT, writer_tli)
	AT(fsm_group, LSN, floor_lsn)
	AT(fsm_group, INT, nlineage)
	AT(fsm_group, I64, watch_age_ms)
	AT(fsm_group, INT, recent_failovers)
	AT(fsm_group, INT, said)
	AT(fsm_group, INT, n)
};

static const struct fsm_field op_fields[] = {
	AT(fsm_op, OP, kind)
	AT(fsm_op, BOOL, planned)
	AT(fsm_op, BOOL, maintenance)
	AT(fsm_op, BOOL, allow_loss)
	AT(fsm_op, BOOL, writer_gone)
	AT(fsm_op, BOOL, revoked)
	AT(fsm_op, I64, since)
	AT(fsm_op, I64, old_writer)
	AT(fsm_op, I64, candidate)
	AT(fsm_op, I64, preferred)
	AT(fsm_op, I64, excluded)
	AT(fsm_op, I64, source)
	AT(fsm_op, LSN, target_lsn)
	AT(fsm_op, I64, age_ms)
	AT(fsm_op, I64, phase_age_ms)
	AT(fsm_op, INT, phase)
};

static const struct fsm_field settings_fields[] = {
#define SETTING(field, name, unit, dflt, min, text) AT(fsm_settings, I64, field)
#include "fsm/settings.def"
#undef SETTING
};

static const struct fsm_field request_fields[] = {
	AT(fsm_request, I64, id)
	AT(fsm_request, REQUEST, kind)
	AT(fsm_request, I64, node)
	AT(fsm_request, BOOL, allow_loss)
	AT(fsm_request, BOOL, force)
	AT(fsm_request, OUTCOME, outcome)
	AT(fsm_request, TEXT, sqlstate)
	AT(fsm_request, TEXT, text)
};

static const struct fsm_field config_fields[] = {
	AT(fsm_config, I64, gen)
	AT(fsm_config, INT, k)
	AT(fsm_config, INT, n)
	AT(fsm_config, IDS, member)
};

static const struct fsm_field lineage_fields[] = {
	AT(fsm_lineage, INT, tli)
	AT(fsm_lineage, INT, parent)
	AT(fsm_lineage, LSN, switch_lsn)
};

static const struct fsm_field node_fields[] = {
	AT(fsm_node, I64, id)
	AT(fsm_node, TEXT, name)
	AT(fsm_node, INT, priority)
	AT(fsm_node, BOOL, quorum)
	AT(fsm_node, STATE, reported)
	AT(fsm_node, STATE, goal)
	AT(fsm_node, I64, goal_seq)
	AT(fsm_node, I64, seen_seq)
	AT(fsm_node, I64, seen_term)
	AT(fsm_node, I64, goal_age_ms)
	AT(fsm_node, I64, state_age_ms)
	AT(fsm_node, PG, pg)
	AT(fsm_node, BOOL, pg_retrying)
	AT(fsm_node, I64, pg_down_age_ms)
	AT(fsm_node, BOOL, has_data)
	AT(fsm_node, INT, tli)
	AT(fsm_node, LSN, lsn)
	AT(fsm_node, I64, promise_term)
	AT(fsm_node, INT, promise_tli)
	AT(fsm_node, LSN, promise_lsn)
	AT(fsm_node, I64, stopped_term)
	AT(fsm_node, LSN, final_lsn)
	AT(fsm_node, I64, applied_gen)
	AT(fsm_node, INT, lease_gen)
	AT(fsm_node, I64, upstream_id)
	AT(fsm_node, BOOL, streaming)
	AT(fsm_node, BOOL, attached)
	AT(fsm_node, I64, detached_age_ms)
	AT(fsm_node, I64, ack_age_ms)
	AT(fsm_node, INT, fork_tli)
	AT(fsm_node, LSN, fork_lsn)
	AT(fsm_node, BOOL, lost)
	AT(fsm_node, WITNESS, heard)
	AT(fsm_node, I64, heard_age_ms)
	AT(fsm_node, I64, report_age_ms)
	AT(fsm_node, BOOL, session)
	AT(fsm_node, WITNESS, probe)
	AT(fsm_node, I64, probe_ok_age_ms)
	AT(fsm_node, INT, probe_failed)
	AT(fsm_node, INT, fails)
	AT(fsm_node, BOOL, dead)
};

static const struct fsm_field step_fields[] = {
	AT(fsm_step, INT, rule)
	AT(fsm_step, I64, node)
	AT(fsm_step, STATE, from)
	AT(fsm_step, STATE, to)
	AT(fsm_step, TEXT, text)
};

static const struct fsm_field decision_fields[] = {
	AT(fsm_decision, I64, wake_in_ms)
	AT(fsm_decision, U64, next)
};

#define FIELDS(name) name##_fields, sizeof name##_fields / sizeof *name##_fields
#define REC(member) offsetof(struct fsm_record, member)

/* one; as many as the int says; at most as many as there is room for */
#define ONE(word, strct, member) \
	{ #word, #strct, FIELDS(word), REC(member), sizeof(struct strct), 0, 1 },
#define MANY(word, strct, member, count, max) \
	{ #word, #strct, FIELDS(word), REC(member), sizeof(struct strct), REC(count), max },

const struct fsm_section fsm_section_list[] = {
	ONE(group, fsm_group, group)
	ONE(op, fsm_op, group.op)
	ONE(settings, fsm_settings, group.settings)
	ONE(request, fsm_request, group.request)
	MANY(config, fsm_config, group.config, group.nconfigs, FSM_CONFIGS_MAX)
	MANY(lineage, fsm_lineage, group.lineage, group.nlineage, FSM_LINEAGE_MAX)
	MANY(node, fsm_node, group.node, group.n, FSM_NODES_MAX)
	MANY(step, fsm_step, step, nsteps, FSM_STEPS_MAX)
	MANY(decision, fsm_decision, decision, ndecisions, 1)
};
/* clang-format on */
const size_t fsm_section_count = sizeof fsm_section_list / sizeof *fsm_section_list;
#define GROUP_SECTIONS 7 /* those before the decision */

static const char *const outcome_name[] = { [FSM_OUTCOME_PENDING] = "pending",
	[FSM_OUTCOME_DONE] = "done",
	[FSM_OUTCOME_REFUSED] = "refused" };
#define OUTCOMES ((int)(sizeof outcome_name / sizeof *outcome_name))

static const char *
outcome_text(enum fsm_outcome o)
{
	return outcome_name[o];
}

static int
outcome_find(const char *name)
{
	for (int i = 0; i < OUTCOMES; i++)
		if (strcmp(outcome_name[i], name) == 0)
			return i;
	return -1;
}

/* ---- writing ---- */

/* Where the text goes, as far as there is room, and its sum (FNV-1a). */
struct sink {
	char *to;
	size_t size;
	size_t used;
	uint64_t sum;
};

static void
put(struct sink *s, const char *text)
{
	for (; *text; text++) {
		if (s->used + 1 < s->size)
			s->to[s->used] = *text;
		s->used++;
		s->sum = (s->sum ^ (unsigned char)*text) * UINT64_C(1099511628211);
	}
}

/* printf's own conversions would do, were it not for what the standard says of int64_t */
static void
put_i64(struct sink *s, int64_t v)
{
	char text[24];

	if (v == FSM_NEVER) {
		put(s, "never");
		return;
	}
	snprintf(text, sizeof text, "%" PRId64, v);
	put(s, text);
}

static void
put_u64(struct sink *s, uint64_t v)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRIx64, v);
	put(s, text);
}

static void
put_lsn(struct sink *s, uint64_t v)
{
	char text[24];

	snprintf(
	    text, sizeof text, "%" PRIX32 "/%" PRIX32, (uint32_t)(v >> 32), (uint32_t)v);
	put(s, text);
}

static void
put_text(struct sink *s, const char *v, size_t size)
{
	put(s, "\"");
	for (size_t i = 0; i < size && v[i]; i++) {
		unsigned char c = (unsigned char)v[i];
		char one[8];

		if (c < ' ' || c == 127 || c == '"' || c == '\\')
			snprintf(one, sizeof one, "\\x%02x", c);
		else
			snprintf(one, sizeof one, "%c", c);
		put(s, one);
	}
	put(s, "\"");
}

static void
put_ids(struct sink *s, const int64_t *v, size_t n)
{
	while (n && v[n - 1] == 0)
		n--;
	for (size_t i = 0; i < n; i++) {
		put(s, i ? "," : "");
		put_i64(s, v[i]);
	}
}

static const char *
enum_name(enum fsm_field_type t, int v)
{
	if (t == FSM_FIELD_STATE)
		return fsm_state_name((enum fsm_state)v);
	if (t == FSM_FIELD_PG)
		return fsm_pg_name((enum fsm_pg)v);
	if (t == FSM_FIELD_WITNESS)
		return fsm_witness_name((enum fsm_witness)v);
	if (t == FSM_FIELD_OP)
		return fsm_op_name((enum fsm_op_kind)v);
	if (t == FSM_FIELD_REQUEST)
		return fsm_request_name((enum fsm_request_kind)v);
	return outcome_text((enum fsm_outcome)v);
}

static void
put_value(struct sink *s, const struct fsm_field *f, const void *at)
{
	if (f->type == FSM_FIELD_TEXT)
		put_text(s, at, f->size);
	else if (f->type == FSM_FIELD_IDS)
		put_ids(s, at, f->size / sizeof(int64_t));
	else if (f->type == FSM_FIELD_I64)
		put_i64(s, *(const int64_t *)at);
	else if (f->type == FSM_FIELD_U64)
		put_u64(s, *(const uint64_t *)at);
	else if (f->type == FSM_FIELD_LSN)
		put_lsn(s, *(const uint64_t *)at);
	else if (f->type == FSM_FIELD_BOOL)
		put(s, *(const bool *)at ? "1" : "0");
	else if (f->type == FSM_FIELD_INT)
		put_i64(s, *(const int *)at);
	else
		put(s, enum_name(f->type, *(const int *)at));
}

static int
how_many(const struct fsm_section *x, const struct fsm_record *r)
{
	int n;

	if (!x->count)
		return 1;
	memcpy(&n, (const char *)r + x->count, sizeof n);
	return n;
}

static void
put_section(struct sink *s, const struct fsm_section *x, const struct fsm_record *r)
{
	int n = how_many(x, r);

	for (int i = 0; i < n; i++) {
		const char *base = (const char *)r + x->offset + (size_t)i * x->size;

		put(s, x->word);
		for (size_t f = 0; f < x->nfields; f++) {
			put(s, " ");
			put(s, x->field[f].name);
			put(s, "=");
			put_value(s, &x->field[f], base + x->field[f].offset);
		}
		put(s, "\n");
	}
}

size_t
fsm_snapshot_format(const struct fsm_record *r, char *to, size_t size)
{
	struct sink s = { .to = to, .size = size };

	put(&s, FSM_SNAPSHOT_FIRST "\n");
	for (size_t i = 0; i < fsm_section_count; i++)
		put_section(&s, &fsm_section_list[i], r);
	put(&s, "end\n");
	if (size)
		to[s.used < size ? s.used : size - 1] = '\0';
	return s.used;
}

uint64_t
fsm_snapshot_sum(const struct fsm_group *g)
{
	struct sink s = { .sum = UINT64_C(14695981039346656037) };

	_Static_assert(
	    offsetof(struct fsm_record, group) == 0, "a group begins a record");
	for (size_t i = 0; i < GROUP_SECTIONS; i++)
		put_section(&s, &fsm_section_list[i], (const struct fsm_record *)g);
	return s.sum;
}

void
fsm_snapshot_fill(
    struct fsm_record *r, const struct fsm_group *g, const struct fsm_plan *plan)
{
	memset(r, 0, sizeof *r);
	r->group = *g;
	if (!plan)
		return;
	r->nsteps = plan->nsteps;
	memcpy(r->step, plan->step, (size_t)plan->nsteps * sizeof plan->step[0]);
	r->ndecisions = 1;
	r->decision.wake_in_ms = plan->wake_in_ms;
	r->decision.next = fsm_snapshot_sum(&plan->next);
}

/* ---- reading ---- */

struct reader {
	const char *at; /* of the line that is read */
	int line;
	struct fsm_snapshot_wrong *wrong;
};

static int
wrong(const struct reader *r, const char *what, const char *name)
{
	r->wrong->line = r->line;
	snprintf(r->wrong->text, sizeof r->wrong->text, "%s%s%s", what, *name ? " " : "",
	    name);
	return -1;
}

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

/* A number up to the first other character; false: none, or too big. */
static bool
take_number(const char **at, int base, uint64_t max, uint64_t *v)
{
	const char *begin = *at;

	for (*v = 0; digit(**at) < base; ++*at) {
		uint64_t d = (uint64_t)digit(**at);

		if (*v > (max - d) / (uint64_t)base)
			return false;
		*v = *v * (uint64_t)base + d;
	}
	return *at > begin;
}

static bool
take_i64(const char **at, int64_t *v)
{
	bool minus = **at == '-';
	uint64_t u;

	if (strncmp(*at, "never", 5) == 0) {
		*at += 5;
		*v = FSM_NEVER;
		return true;
	}
	*at += minus;
	if (!take_number(at, 10, (uint64_t)INT64_MAX + minus, &u))
		return false;
	*v = !minus ? (int64_t)u : u ? -(int64_t)(u - 1) - 1 : 0;
	return true;
}

static bool
take_lsn(const char **at, uint64_t *v)
{
	uint64_t high;
	uint64_t low;

	if (!take_number(at, 16, UINT32_MAX, &high) || *(*at)++ != '/' ||
	    !take_number(at, 16, UINT32_MAX, &low))
		return false;
	*v = high << 32 | low;
	return true;
}

static bool
take_text(const char **at, char *to, size_t size)
{
	size_t n = 0;

	memset(to, 0, size);
	if (*(*at)++ != '"')
		return false;
	for (; **at != '"'; ++*at) {
		char c = **at;

		if (c == '\\') {
			if ((*at)[1] != 'x' || digit((*at)[2]) > 15 ||
			    digit((*at)[3]) > 15)
				return false;
			c = (char)(digit((*at)[2]) * 16 + digit((*at)[3]));
			*at += 3;
		} else if ((unsigned char)c < ' ')
			return false;
		if (!c || n == size - 1)
			return false;
		to[n++] = c;
	}
	++*at;
	return true;
}

static bool
take_ids(const char **at, int64_t *to, size_t max)
{
	memset(to, 0, max * sizeof *to);
	if (**at == ' ' || **at == '\n')
		return true;
	for (size_t i = 0; i < max; i++) {
		if (!take_i64(at, &to[i]))
			return false;
		if (**at != ',')
			return true;
		++*at;
	}
	return false;
}

static int
enum_find(enum fsm_field_type t, const char *name)
{
	if (t == FSM_FIELD_STATE)
		return fsm_state_find(name);
	if (t == FSM_FIELD_PG)
		return fsm_pg_find(name);
	if (t == FSM_FIELD_WITNESS)
		return fsm_witness_find(name);
	if (t == FSM_FIELD_OP)
		return fsm_op_find(name);
	if (t == FSM_FIELD_REQUEST)
		return fsm_request_find(name);
	return outcome_find(name);
}

static bool
take_enum(const char **at, enum fsm_field_type t, int *to)
{
	char name[FSM_NAME_MAX];
	size_t len = strcspn(*at, " \n");

	if (len >= sizeof name)
		return false;
	memcpy(name, *at, len);
	name[len] = '\0';
	*at += len;
	*to = enum_find(t, name);
	return *to >= 0;
}

static bool
take_value(const char **at, const struct fsm_field *f, void *to)
{
	int64_t v = 0;

	if (f->type == FSM_FIELD_TEXT)
		return take_text(at, to, f->size);
	if (f->type == FSM_FIELD_IDS)
		return take_ids(at, to, f->size / sizeof(int64_t));
	if (f->type == FSM_FIELD_I64)
		return take_i64(at, to);
	if (f->type == FSM_FIELD_U64)
		return take_number(at, 16, UINT64_MAX, to);
	if (f->type == FSM_FIELD_LSN)
		return take_lsn(at, to);
	if (f->type == FSM_FIELD_BOOL) {
		*(bool *)to = **at == '1';
		return **at == '0' || **at == '1' ? ++*at, true : false;
	}
	if (f->type != FSM_FIELD_INT)
		return take_enum(at, f->type, to);
	if (!take_i64(at, &v) || v < INT32_MIN || v > INT32_MAX)
		return false;
	*(int *)to = (int)v;
	return true;
}

/* Every field, in the order of the table, and nothing else. */
static int
take_fields(struct reader *r, const struct fsm_section *x, char *base)
{
	for (size_t i = 0; i < x->nfields; i++) {
		const struct fsm_field *f = &x->field[i];
		size_t len = strlen(f->name);

		if (r->at[0] != ' ' || strncmp(r->at + 1, f->name, len) != 0 ||
		    r->at[1 + len] != '=')
			return wrong(r, "here should be the field", f->name);
		r->at += len + 2;
		if (!take_value(&r->at, f, base + f->offset) ||
		    (*r->at != ' ' && *r->at != '\n'))
			return wrong(r, "not a value of", f->name);
	}
	if (*r->at++ != '\n')
		return wrong(r, "more fields than there are of a", x->word);
	r->line++;
	return 0;
}

static bool
is_word(const char *at, const char *word)
{
	size_t len = strlen(word);

	return strncmp(at, word, len) == 0 && (at[len] == ' ' || at[len] == '\n');
}

static int
take_section(struct reader *r, const struct fsm_section *x, struct fsm_record *to)
{
	int n = 0;
	int want = how_many(x, to);

	while (is_word(r->at, x->word)) {
		char *base = (char *)to + x->offset + (size_t)n * x->size;

		if (n == x->max)
			return wrong(r, "too many lines of", x->word);
		r->at += strlen(x->word);
		if (take_fields(r, x, base))
			return -1;
		n++;
	}
	/* those of a group are counted in its first line, those of a decision are not */
	if (x < fsm_section_list + GROUP_SECTIONS && n != want)
		return wrong(r, "missing or too many lines of", x->word);
	if (x->count)
		memcpy((char *)to + x->count, &n, sizeof n);
	return 0;
}

/* Counts that are facts, not lines: who decides on it goes through as many. */
static int
check_counts(const struct reader *r, const struct fsm_group *g)
{
	for (int i = 0; i < g->nconfigs; i++)
		if (g->config[i].n < 0 || g->config[i].n > FSM_NODES_MAX)
			return wrong(r, "more members than there may be in a", "config");
	return 0;
}

/* The first line of a record, from the beginning of a line on; lines are counted. */
static const char *
find_first(const char *at, int *line)
{
	while (*at && !is_word(at, FSM_SNAPSHOT_FIRST)) {
		at += strcspn(at, "\n");
		at += *at == '\n';
		++*line;
	}
	return *at ? at : NULL;
}

int
fsm_snapshot_parse(const char **at, struct fsm_record *to, struct fsm_snapshot_wrong *why)
{
	int line = 1;
	const char *first = find_first(*at, &line);
	struct reader r = { first, line + 1, why };

	memset(to, 0, sizeof *to);
	if (!first) {
		*at += strlen(*at);
		return 0;
	}
	r.at += strlen(FSM_SNAPSHOT_FIRST);
	*at = r.at;
	if (*r.at++ != '\n')
		return wrong(&r, "a first line with more than the version", "");
	for (size_t i = 0; i < fsm_section_count; i++)
		if (take_section(&r, &fsm_section_list[i], to))
			return -1;
	if (check_counts(&r, &to->group))
		return -1;
	if (!is_word(r.at, "end"))
		return wrong(&r, "here should be the line", "end");
	*at = r.at + strlen("end");
	*at += **at == '\n';
	return 1;
}
