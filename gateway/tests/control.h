/* Throw-away control tables, made by the migrations, for the gateway's tests.
 *
 * Threads: one. */
#ifndef TG_GATEWAY_TESTS_CONTROL_H
#define TG_GATEWAY_TESTS_CONTROL_H

#include "common/auth/key.h"
#include "common/base/status.h"
#include "common/pg/tests/server.h"

typedef struct control {
    tg_pg_server_t server;
    char dsn[160]; /* of the gateway's own role */
} control_t;

int control_create(control_t *control); /* 0 on success */
int control_destroy(control_t *control);

/* Runs SQL as the superuser; what fails fails the test. */
void control_sql(const control_t *control, const char *format, ...) TG_PRINTF(2, 3);

/* Stores a new key and writes its text. `scopes` is "ingest,read"; `expires` is SQL ("null"). */
void control_key(const control_t *control, const char *tenant, const char *scopes,
                 const char *expires, char out_text[TG_KEY_LEN + 1]);

#endif
