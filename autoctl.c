/* The program: safe descriptors, then the command table. */
/* SPDX-License-Identifier: PostgreSQL */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cmd/cmd.h"

#include "ini/ban.h"

/*
 * A closed 0, 1 or 2 would be given to the next file or socket opened, and a stray
 * message would land in it. Each gets /dev/null the wrong way round: reading or writing
 * what was closed must go on being an error. Without /dev (an empty chroot) they must
 * be open already.
 */
static int
keep_standard_fds(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
			return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (keep_standard_fds())
		return 12;
	/* a peer that went away is an error of write, not our end */
	sigaction(SIGPIPE, &ignore, NULL);
	return cmd_main(argc, argv);
}
