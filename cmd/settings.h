/* Options of create monitor and create postgres that become settings. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SETTINGS_H
#define CMD_SETTINGS_H

struct cmd_ctx;

/*
 * --ssl-self-signed, --no-ssl, or --ssl-ca-file and friends, into ctx->config: exactly
 * one family, ERR_USAGE else. When none is given: what the settings say stays, if they
 * say anything (a file was loaded); a new file wants one.
 */
int settings_ssl(struct cmd_ctx *) __attribute__((warn_unused_result));

/* --auth, --skip-pg-hba (and --pg-hba-lan): one of the first two is wanted for a new
 * file. */
int settings_auth(struct cmd_ctx *) __attribute__((warn_unused_result));

/* --pgctl, --pgport (else PGPORT), --listen, --hostname. */
int settings_common(struct cmd_ctx *) __attribute__((warn_unused_result));

#endif
