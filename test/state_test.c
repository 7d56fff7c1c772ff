/* The state file: what is written is read, and what is broken is refused. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/buf.h"
#include "ini/err.h"
#include "ini/file.h"
#include "ini/mem.h"
#include "pg/statefile.h"
#include "test/tap.h"

#include "ini/ban.h"

static char dir[] = "/tmp/autoctl_state.XXXXXX";
static char *path;

static struct statefile
sample(void)
{
	struct statefile s;

	statefile_init(&s);
	s.pg_version = 1500;
	s.control_version = 1300;
	s.catalog_version = 202209061;
	s.monitor_contact_s = 1700000000;
	s.keeper.system_identifier = UINT64_C(7300000000000000001);
	s.keeper.node_id = 3;
	s.keeper.group_id = 0;
	s.keeper.current = FSM_REPORT_LSN;
	s.keeper.goal = FSM_PREPARE_PROMOTION;
	s.keeper.goal_seq = 17;
	s.keeper.term = 5;
	s.keeper.epoch = 2;
	s.keeper.promise_term = 5;
	s.keeper.promise_tli = 3;
	s.keeper.promise_lsn = UINT64_C(0x123456789A);
	s.keeper.stopped_term = 4;
	s.keeper.final_lsn = UINT64_C(0x1234500000);
	s.keeper.applied_gen = 9;
	s.keeper.lease_gen = 7;
	s.keeper.rewinding = true;
	s.keeper.parked = true;
	return s;
}

static bool
same(const struct statefile *a, const struct statefile *b)
{
	const struct keeper *x = &a->keeper;
	const struct keeper *y = &b->keeper;

	return a->pg_version == b->pg_version &&
	       a->control_version == b->control_version &&
	       a->catalog_version == b->catalog_version &&
	       a->monitor_contact_s == b->monitor_contact_s && x->node_id == y->node_id &&
	       x->group_id == y->group_id &&
	       x->system_identifier == y->system_identifier && x->current == y->current &&
	       x->goal == y->goal && x->goal_seq == y->goal_seq && x->term == y->term &&
	       x->epoch == y->epoch && x->promise_term == y->promise_term &&
	       x->promise_tli == y->promise_tli && x->promise_lsn == y->promise_lsn &&
	       x->stopped_term == y->stopped_term && x->final_lsn == y->final_lsn &&
	       x->applied_gen == y->applied_gen && x->lease_gen == y->lease_gen &&
	       x->rewinding == y->rewinding && x->parked == y->parked;
}

static void
test_round_trip(void)
{
	struct statefile s = sample();
	struct statefile t;
	struct err e = { 0 };
	struct stat st;

	OK(statefile_read(path, &t, &e) == -1 && errno == ENOENT,
	    "no file is told apart from a bad one");
	OK(t.keeper.node_id == -1 && t.keeper.current == FSM_INIT,
	    "and leaves an unregistered node");
	OK(statefile_write(path, &s, &e) == 0, "written");
	OK(stat(path, &st) == 0 && st.st_size == 1024 && (st.st_mode & 0777) == 0600,
	    "1024 bytes for the owner alone");
	OK(statefile_read(path, &t, &e) == 0 && same(&s, &t), "read back the same");
	for (int i = 0; i < FSM_STATE_COUNT; i++) {
		s.keeper.current = (enum fsm_state)i;
		s.keeper.goal = (enum fsm_state)(FSM_STATE_COUNT - 1 - i);
		if (statefile_write(path, &s, &e) == -1 ||
		    statefile_read(path, &t, &e) == -1 || !same(&s, &t))
			break;
	}
	OK(t.keeper.current == FSM_STATE_COUNT - 1, "every state survives");
}

/* The published offsets and numbers, byte by byte. */
static void
test_layout(void)
{
	struct statefile s = sample();
	struct err e = { 0 };
	struct buf b = { 0 };
	int32_t v;

	s.keeper.current = FSM_PRIMARY;
	s.keeper.goal = FSM_WAIT_PRIMARY;
	OK(statefile_write(path, &s, &e) == 0 && file_read(path, &b, &e) == 0, "written");
	memcpy(&v, b.data, sizeof(v));
	IS_INT(v, 2, "version at 0");
	memcpy(&v, b.data + 24, sizeof(v));
	IS_INT(v, 3, "node at 24");
	memcpy(&v, b.data + 40, sizeof(v));
	IS_INT(v, 3, "primary is 3 in the file");
	memcpy(&v, b.data + 44, sizeof(v));
	IS_INT(v, 4, "wait_primary is 4 in the file");
	IS_INT(b.data[76], 1, "maintenance entered on shutdown at 76");
	buf_drop(&b);
}

/* Write the file with one byte changed or with another size, and read it. */
static int
read_spoiled(size_t at, char value, size_t size, struct statefile *t, struct err *e)
{
	struct statefile s = sample();
	struct buf b = { 0 };
	int rc = -2;

	if (statefile_write(path, &s, e) == 0 && file_read(path, &b, e) == 0) {
		b.data[at] = value;
		while (buf_len(&b) < size)
			buf_char(&b, '\0');
		buf_cut(&b, size);
		if (file_replace(path, &b, 0600, e) == 0)
			rc = statefile_read(path, t, e);
	}
	buf_drop(&b);
	return rc;
}

static void
test_broken(void)
{
	struct statefile t;
	struct err e = { 0 };

	OK(read_spoiled(0, 2, 1023, &t, &e) == -1 && e.kind == ERR_STATE, "short: %s",
	    e.msg);
	OK(errno != ENOENT, "a short file is not a missing one");
	OK(read_spoiled(0, 2, 1025, &t, &e) == -1 && e.kind == ERR_STATE, "long");
	OK(read_spoiled(0, 2, 0, &t, &e) == -1 && e.kind == ERR_STATE, "empty");
	OK(read_spoiled(0, 3, 1024, &t, &e) == -1 && strstr(e.msg, "version 3"),
	    "a later version: %s", e.msg);
	OK(read_spoiled(0, 0, 1024, &t, &e) == -1 && e.kind == ERR_STATE, "version 0");
	OK(read_spoiled(40, 99, 1024, &t, &e) == -1 && strstr(e.msg, "state 99"),
	    "a state that is none: %s", e.msg);
	OK(read_spoiled(552, 0x7f, 1024, &t, &e) == -1 && strstr(e.msg, "check sum"),
	    "a flipped byte of a promise: %s", e.msg);
	OK(read_spoiled(1000, 1, 1024, &t, &e) == -1, "a flipped byte of the padding");
	OK(read_spoiled(512, 0, 1024, &t, &e) == 0 && t.keeper.node_id == 3 &&
		t.keeper.promise_term == 0 && t.keeper.term == 0,
	    "another program's file is taken, without promises");
}

/* A writer killed at any moment leaves the old contents or the new ones. */
static void
test_killed_writer(void)
{
	struct statefile s = sample();
	struct statefile t;
	struct err e = { 0 };
	int bad = 0;

	for (int round = 0; round < 30; round++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;) {
				s.keeper.term++;
				s.keeper.promise_term = s.keeper.term;
				if (statefile_write(path, &s, &e) == -1)
					_exit(1);
			}
		for (int i = 0; i < 20 + round; i++)
			if (statefile_read(path, &t, &e) == -1 ||
			    t.keeper.term != t.keeper.promise_term)
				bad++;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (statefile_read(path, &t, &e) == -1)
			bad++;
		s = t;
	}
	OK(bad == 0, "killed 30 times while writing, readable each time");
}

static void
test_init_file(void)
{
	char *init = xasprintf("%s/pg_autoctl.init", dir);
	enum statefile_found found = STATEFILE_FOUND_UNKNOWN;
	struct err e = { 0 };

	OK(statefile_init_read(init, &found, &e) == -1 && errno == ENOENT,
	    "no init file");
	OK(statefile_init_write(init, STATEFILE_FOUND_STOPPED, &e) == 0, "made");
	OK(statefile_init_write(init, STATEFILE_FOUND_NOTHING, &e) == -1 &&
		errno == EEXIST,
	    "never over another one");
	OK(statefile_init_read(init, &found, &e) == 0 && found == STATEFILE_FOUND_STOPPED,
	    "read back");
	free(init);
}

int
main(void)
{
	struct err e = { 0 };

	if (mkdtemp(dir) == NULL)
		return 1;
	path = xasprintf("%s/deep/er/pg_autoctl.state", dir);
	test_round_trip();
	test_layout();
	test_broken();
	test_killed_writer();
	test_init_file();
	OK(file_rmtree(dir, &e) == 0, "nothing is left");
	free(path);
	return tap_done();
}
