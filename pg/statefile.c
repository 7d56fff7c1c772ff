/* What a keeper remembers over a restart: the two files of 1024 bytes. */
/* SPDX-License-Identifier: PostgreSQL */
#include "pg/statefile.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"

#include "ini/ban.h"

#define VERSION 2
#define VERSION_OLDEST 1
#define EXTRA_AT 512 /* ours begins here, in what was padding */

/* The published half, in native order and alignment. */
struct front {
	int32_t version;
	int32_t pg_version;
	uint32_t control_version;
	uint32_t catalog_version;
	uint64_t system_identifier;
	int32_t node_id;
	int32_t group;
	uint64_t nodes_version;
	int32_t current;
	int32_t goal;
	uint64_t monitor_contact;
	uint64_t secondary_contact;
	int64_t xlog_lag;
	int32_t paused;
	bool parked;
};
_Static_assert(sizeof(struct front) <= EXTRA_AT, "the published half fits");

/* Our half. sum covers all 1024 bytes, itself taken as 0. */
struct extra {
	char magic[8];
	uint64_t sum;
	int64_t goal_seq;
	int64_t term;
	int64_t epoch;
	int64_t promise_term;
	uint64_t promise_lsn;
	int64_t stopped_term;
	uint64_t final_lsn;
	int64_t applied_gen;
	int32_t promise_tli;
	int32_t lease_gen;
	uint8_t rewinding;
	char key[STATEFILE_KEY]; /* hexadecimal, or zeros */
};
_Static_assert(EXTRA_AT + sizeof(struct extra) <= STATEFILE_SIZE, "our half fits");

static const char magic[8] = { 'a', 'u', 't', 'o', 'c', 't', 'l', 1 };

/* The file has its own numbers for the states: this is their order in it. */
static const enum fsm_state numbers[] = { FSM_UNKNOWN, FSM_INIT, FSM_SINGLE, FSM_PRIMARY,
	FSM_WAIT_PRIMARY, FSM_WAIT_STANDBY, FSM_DEMOTED, FSM_DEMOTE_TIMEOUT, FSM_DRAINING,
	FSM_SECONDARY, FSM_CATCHINGUP, FSM_PREPARE_PROMOTION, FSM_STOP_REPLICATION,
	FSM_MAINTENANCE, FSM_JOIN_PRIMARY, FSM_APPLY_SETTINGS, FSM_PREPARE_MAINTENANCE,
	FSM_WAIT_MAINTENANCE, FSM_REPORT_LSN, FSM_FAST_FORWARD, FSM_JOIN_SECONDARY,
	FSM_DROPPED };
#define NUMBERS (sizeof(numbers) / sizeof(numbers[0]))
_Static_assert(NUMBERS == FSM_STATE_COUNT, "every state has a number");

static int32_t
number_of(enum fsm_state s)
{
	size_t i = 0;

	while (i < NUMBERS && numbers[i] != s)
		i++;
	assert(i < NUMBERS);
	return (int32_t)i;
}

/* FNV-1a, 64 bits: against torn and stray bytes, not against malice. */
static uint64_t
sum_of(const unsigned char *bytes, size_t n)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < n; i++)
		h = (h ^ bytes[i]) * UINT64_C(1099511628211);
	return h;
}

void
statefile_init(struct statefile *s)
{
	memset(s, 0, sizeof(*s));
	s->keeper.node_id = -1;
	s->keeper.group_id = 1;
	s->keeper.current = FSM_INIT;
	s->keeper.goal = FSM_UNKNOWN;
}

int
statefile_key(struct statefile *s, struct err *e)
{
	unsigned char random[STATEFILE_KEY / 2];

	if (s->key[0])
		return 0;
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_sys(e, "make a key");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(s->key + 2 * i, 3, "%02x", random[i]);
	return 1;
}

static void
pack(const struct statefile *s, unsigned char bytes[STATEFILE_SIZE])
{
	const struct keeper *k = &s->keeper;
	struct front f;
	struct extra x;

	/* padding between the members must not carry what was on the stack */
	memset(&f, 0, sizeof(f));
	memset(&x, 0, sizeof(x));
	f.version = VERSION;
	f.pg_version = s->pg_version;
	f.control_version = s->control_version;
	f.catalog_version = s->catalog_version;
	f.system_identifier = k->system_identifier;
	f.node_id = (int32_t)k->node_id;
	f.group = k->group_id;
	f.current = number_of(k->current);
	f.goal = number_of(k->goal);
	f.monitor_contact = (uint64_t)s->monitor_contact_s;
	f.secondary_contact = (uint64_t)s->secondary_contact_s;
	f.xlog_lag = -1;
	f.parked = k->parked;
	memcpy(x.magic, magic, sizeof(magic));
	x.goal_seq = k->goal_seq;
	x.term = k->term;
	x.epoch = k->epoch;
	x.promise_term = k->promise_term;
	x.promise_lsn = k->promise_lsn;
	x.stopped_term = k->stopped_term;
	x.final_lsn = k->final_lsn;
	x.applied_gen = k->applied_gen;
	x.promise_tli = k->promise_tli;
	x.lease_gen = k->lease_gen;
	x.rewinding = k->rewinding;
	memcpy(x.key, s->key, sizeof(x.key));
	memset(bytes, 0, STATEFILE_SIZE);
	memcpy(bytes, &f, sizeof(f));
	memcpy(bytes + EXTRA_AT, &x, sizeof(x));
	x.sum = sum_of(bytes, STATEFILE_SIZE);
	memcpy(bytes + EXTRA_AT, &x, sizeof(x));
}

static int
unpack_front(struct statefile *s, const struct front *f, struct err *e)
{
	struct keeper *k = &s->keeper;

	if (f->version < VERSION_OLDEST || f->version > VERSION)
		return err_set(e, ERR_STATE, "broken or wrong version %d, expected %d",
		    (int)f->version, VERSION);
	if (f->current < 0 || (size_t)f->current >= NUMBERS || f->goal < 0 ||
	    (size_t)f->goal >= NUMBERS)
		return err_set(e, ERR_STATE, "unknown state %d or %d", (int)f->current,
		    (int)f->goal);
	s->pg_version = f->pg_version;
	s->control_version = f->control_version;
	s->catalog_version = f->catalog_version;
	s->monitor_contact_s = (int64_t)f->monitor_contact;
	s->secondary_contact_s = (int64_t)f->secondary_contact;
	k->system_identifier = f->system_identifier;
	k->node_id = f->node_id;
	k->group_id = f->group;
	k->current = numbers[f->current];
	k->goal = numbers[f->goal];
	return 0;
}

static int
unpack_extra(struct statefile *s, unsigned char bytes[STATEFILE_SIZE], struct err *e)
{
	struct keeper *k = &s->keeper;
	struct extra x;
	uint64_t sum;

	memcpy(&x, bytes + EXTRA_AT, sizeof(x));
	if (memcmp(x.magic, magic, sizeof(magic)) != 0)
		return 0; /* written by another program: nothing is promised */
	sum = x.sum;
	memset(bytes + EXTRA_AT + offsetof(struct extra, sum), 0, sizeof(x.sum));
	if (sum_of(bytes, STATEFILE_SIZE) != sum)
		return err_set(e, ERR_STATE, "broken: its check sum does not match");
	k->goal_seq = x.goal_seq;
	k->term = x.term;
	k->epoch = x.epoch;
	k->promise_term = x.promise_term;
	k->promise_lsn = x.promise_lsn;
	k->stopped_term = x.stopped_term;
	k->final_lsn = x.final_lsn;
	k->applied_gen = x.applied_gen;
	k->promise_tli = x.promise_tli;
	k->lease_gen = x.lease_gen;
	k->rewinding = x.rewinding != 0;
	memcpy(s->key, x.key, sizeof(x.key));
	s->key[STATEFILE_KEY] = '\0';
	return 0;
}

/* The whole file, which has one size only. */
static int
slurp(const char *path, unsigned char bytes[STATEFILE_SIZE], struct err *e)
{
	struct buf b = { 0 };
	size_t n;

	if (file_read(path, &b, e) == -1)
		return -1;
	n = buf_len(&b);
	if (n == STATEFILE_SIZE)
		memcpy(bytes, buf_peek(&b), STATEFILE_SIZE);
	buf_drop(&b);
	if (n == STATEFILE_SIZE)
		return 0;
	errno = 0;
	return err_set(e, ERR_STATE, "%s: broken or wrong version: %zu bytes, not %d",
	    path, n, STATEFILE_SIZE);
}

int
statefile_read(const char *path, struct statefile *s, struct err *e)
{
	unsigned char bytes[STATEFILE_SIZE];
	struct front f;

	statefile_init(s);
	if (slurp(path, bytes, e) == -1)
		return -1;
	memcpy(&f, bytes, offsetof(struct front, parked));
	/* any byte but 0 is true: a bool read from a file must not be trusted to be one
	 */
	s->keeper.parked = bytes[offsetof(struct front, parked)] != 0;
	if (unpack_front(s, &f, e) == -1 || unpack_extra(s, bytes, e) == -1) {
		errno = 0;
		return err_wrap(e, "%s", path);
	}
	return 0;
}

int
statefile_write(const char *path, const struct statefile *s, struct err *e)
{
	unsigned char bytes[STATEFILE_SIZE];
	struct buf b = { 0 };
	int rc;

	pack(s, bytes);
	buf_add(&b, bytes, sizeof(bytes));
	rc = file_mkdir_above(path, 0755, e);
	if (rc == 0)
		rc = file_replace(path, &b, 0600, e);
	buf_drop(&b);
	return rc;
}

int
statefile_init_read(const char *path, enum statefile_found *found, struct err *e)
{
	unsigned char bytes[STATEFILE_SIZE];
	int32_t v[2];

	if (slurp(path, bytes, e) == -1)
		return -1;
	memcpy(v, bytes, sizeof(v));
	errno = 0;
	if (v[0] < VERSION_OLDEST || v[0] > VERSION || v[1] < 0 ||
	    v[1] >= STATEFILE_FOUND_COUNT)
		return err_set(
		    e, ERR_STATE, "%s: broken or wrong version %d", path, (int)v[0]);
	*found = (enum statefile_found)v[1];
	return 0;
}

int
statefile_init_write(const char *path, enum statefile_found found, struct err *e)
{
	unsigned char bytes[STATEFILE_SIZE] = { 0 };
	int32_t v[2] = { VERSION, (int32_t)found };
	struct buf b = { 0 };
	int rc;

	memcpy(bytes, v, sizeof(v));
	buf_add(&b, bytes, sizeof(bytes));
	rc = file_mkdir_above(path, 0755, e);
	if (rc == 0)
		rc = file_write_new(path, &b, 0600, e);
	buf_drop(&b);
	return rc;
}
