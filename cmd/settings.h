/* Options of create monitor and create postgres that become settings. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef CMD_SETTINGS_H
#define CMD_SETTINGS_H

struct cmd_ctx;

/*
 * Who is let in, and how what they say is encrypted, into ctx->config. --auth or
 * --skip-pg-hba (and --pg-hba-lan); --ssl-self-signed, --no-ssl, or --ssl-ca-file and
 * friends: exactly one family, ERR_USAGE else. When none is given: what the settings say
 * stays, if they say anything (a file was loaded); a new file wants one of each.
 */
int settings_access(struct cmd_ctx *) __attribute__((warn_unused_result));

/* The second half of it alone, for a service that is there. */
int settings_ssl(struct cmd_ctx *) __attribute__((warn_unused_result));

/* --pgctl, --pgport (else PGPORT), --listen, --hostname. */
int settings_common(struct cmd_ctx *) __attribute__((warn_unused_result));

/* The text of an option, for a setting; NULL or "": not given. ERR_USAGE. */
int settings_text(struct cmd_ctx *, const char *key, const char *value)
    __attribute__((warn_unused_result));
/* The same of a secret, which may be given in the environment instead. */
int settings_secret(struct cmd_ctx *, const char *key, const char *value,
    const char *env_name) __attribute__((warn_unused_result));

#endif
