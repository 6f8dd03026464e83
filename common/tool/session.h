/* A blocking PostgreSQL connection for command-line tools: one statement, one answer, one error
 * text for the operator.
 *
 * Why not the pool: a tool does one thing after the other and may wait. Services never use this.
 *
 * Threads: one. */
#ifndef TG_SESSION_H
#define TG_SESSION_H

#include <libpq-fe.h>

#include "common/base/str.h"

typedef struct tg_session tg_session_t;

/* Connects (10 s unless the DSN says otherwise). The error never shows the DSN, which may hold a
 * password. */
TG_NODISCARD tg_status_t tg_session_open(const char *dsn, const char *program,
                                         tg_session_t **out_session, tg_error_t *error);
void tg_session_close(tg_session_t *session); /* NULL is allowed */

/* Runs one statement with text parameters (NULL is SQL NULL). Gives the result through out_result
 * (PQclear it; NULL when the caller does not care). Refusals: SQLSTATE class 23 is TG_CONFLICT,
 * 42501 TG_DENIED, 55P03 TG_TIMEOUT, TG404
 * TG_NOT_FOUND, TG409 TG_CONFLICT, TG4xx TG_DENIED (in the words of our functions, as they are), a
 * lost connection TG_UNAVAILABLE, the rest TG_INTERNAL. */
TG_NODISCARD tg_status_t tg_session_query(tg_session_t *session, const char *sql, size_t count,
                                          const char *const *params, PGresult **out_result,
                                          tg_error_t *error);

/* The SCRAM-SHA-256 verifier that stands for a role's password in CREATE ROLE: made here, so that
 * the password itself is neither sent nor logged. Gives it owned (PQfreemem). */
TG_NODISCARD tg_status_t tg_session_verifier(tg_session_t *session, const char *role,
                                             const char *password, char **out_verifier,
                                             tg_error_t *error);

/* Runs a whole file's text, several statements; the error starts with "name:line: ". */
TG_NODISCARD tg_status_t tg_session_script(tg_session_t *session, const char *name,
                                           const char *text, tg_error_t *error);

/* Whether a transaction is open and sound. */
bool tg_session_in_transaction(const tg_session_t *session);

#endif
