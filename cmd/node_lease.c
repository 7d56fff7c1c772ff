/* The writer's lease: how long it may go on without a word from the monitor. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cmd/node.h"
#include "ini/buf.h"
#include "ini/file.h"
#include "pg/postmaster.h"

#include "ini/ban.h"

/*
 * The end of the lease lies in a small shared file, next to the pid file. The keeper
 * stops Postgres when it comes near; a second process, which does nothing else, watches
 * the file and stops Postgres when the keeper could not: killed, stopped, swapped out. A
 * keeper that starts anew reads from it what its predecessor was granted.
 */

#define GUARD_MS 500 /* the keeper acts this long before the end */
#define POLL_MS 100
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

struct shared {
	char boot[40];            /* the times are of this boot of the machine */
	_Atomic int64_t until_ms; /* INT64_MAX: no end */
};

static struct shared *shared;
static int shared_fd = -1;

/* -- the watching process -- */

static void
watch(const struct host *host, pid_t parent)
{
	static const struct postmaster_stop how = { .mode = POSTMASTER_IMMEDIATE,
		.deadline_ms = GUARD_MS };

	/* a page fault at the wrong moment may take as long as the lease */
	(void)mlockall(MCL_CURRENT | MCL_FUTURE);
	for (;;) {
		int64_t until = atomic_load(&shared->until_ms);
		int64_t left = until == INT64_MAX ? INT64_MAX : until - clock_mono().ms;

		if (left <= 0 && postmaster_stop(host, &how, NULL) == -1)
			left = 0; /* tried again at once */
		if (getppid() != parent && (until == INT64_MAX || left <= 0))
			_exit(0);
		clock_nap_ms(left > 0 && left < POLL_MS ? left : POLL_MS);
	}
}

/* One for each data directory, whoever started it: the lock tells. */
static void
spawn(struct node *n)
{
	pid_t parent = getpid();
	int fd = open(n->lease_path, O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 || fork() != 0) {
		close(fd);
		return;
	}
	for (int s = 1; s < 32; s++)
		if (s != SIGPIPE)
			sigaction(s, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	/* a terminal's ^C is for the keeper: it decides what is left running */
	setsid();
	prctl(PR_SET_NAME, "autoctl: lease");
	for (int i = 3; i < 1024; i++)
		if (i != fd)
			close(i);
	watch(&n->host, parent);
}

/* -- the keeper's side -- */

static void
read_boot(char boot[40])
{
	struct buf b = { 0 };
	size_t len;

	memset(boot, 0, 40);
	if (file_read(BOOT_ID, &b, NULL) == 0) {
		len = buf_len(&b) < 39 ? buf_len(&b) : 39;
		memcpy(boot, buf_peek(&b), len);
	}
	buf_drop(&b);
}

int
node_lease_open(struct node *n, struct err *e)
{
	char boot[40];
	bool known;

	if (file_mkdir_above(n->lease_path, 0755, e) == -1)
		return -1;
	shared_fd = open(n->lease_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (shared_fd == -1 || ftruncate(shared_fd, sizeof *shared) == -1)
		return err_sys(e, "open %s", n->lease_path);
	shared =
	    mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	if (shared == MAP_FAILED)
		return err_sys(e, "mmap %s", n->lease_path);
	read_boot(boot);
	known = boot[0] != '\0' && memcmp(shared->boot, boot, sizeof boot) == 0;
	n->lease_limited = n->k->lease_gen % 2 != 0;
	/* a lease that nobody can tell the end of is over */
	n->lease_until = clock_mono();
	if (known)
		n->lease_until.ms = atomic_load(&shared->until_ms);
	if (known && n->lease_until.ms != INT64_MAX)
		n->lease_limited = true;
	memcpy(shared->boot, boot, sizeof boot);
	node_lease_turn(n);
	return 0;
}

void
node_lease_set(struct node *n, int64_t lease_ms, struct mono asked)
{
	n->lease_limited = lease_ms > 0;
	if (lease_ms > 0)
		n->lease_until = mono_after(asked, lease_ms);
	node_lease_turn(n);
}

/* Only who may write can write too long. */
static bool
is_bound(const struct node *n)
{
	enum fsm_act act = n->work.job.act;

	if (!n->lease_limited)
		return false;
	if (fsm_state_flags(n->k->current) & ST_RW)
		return true;
	return n->work.pid != 0 && (act == FSM_ACT_RESUME || act == FSM_ACT_OPEN);
}

void
node_lease_turn(struct node *n)
{
	int64_t until = is_bound(n) ? n->lease_until.ms : INT64_MAX;

	if (shared == NULL)
		return;
	atomic_store(&shared->until_ms, until);
	if (until == INT64_MAX || mono_between(n->lease_spawned, n->loop.now) < 1000)
		return;
	n->lease_spawned = n->loop.now;
	spawn(n);
}

int64_t
node_lease_left_ms(const struct node *n)
{
	if (!n->lease_limited)
		return FSM_NEVER;
	return mono_between(n->loop.now, n->lease_until) - GUARD_MS;
}

void
node_lease_close(struct node *n)
{
	if (!n->keeps_lease) {
		n->lease_limited = false;
		node_lease_turn(n);
	}
	if (shared != NULL)
		munmap(shared, sizeof *shared);
	if (shared_fd >= 0)
		close(shared_fd);
	shared = NULL;
	shared_fd = -1;
}
