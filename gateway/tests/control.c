/* The server and its tables live as long as the test program. */
#include "gateway/tests/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

int control_create(control_t *control)
{
    if (tg_pg_server_create(&control->server) != 0)
        return -1;
    (void)snprintf(control->dsn, sizeof(control->dsn),
                   "host=%s user=tidegate_gateway dbname=postgres", control->server.dir);
    return tg_pg_server_migrate(&control->server);
}

int control_destroy(control_t *control)
{
    return tg_pg_server_do(&control->server, "destroy");
}

void control_sql(const control_t *control, const char *format, ...)
{
    char sql[2048];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    assert_in_range(len, 1, sizeof(sql) - 1);
    assert_int_equal(tg_pg_server_sql(&control->server, sql), 0);
}

void control_key(const control_t *control, const char *tenant, const char *scopes,
                 const char *expires, char out_text[TG_KEY_LEN + 1])
{
    tg_key_t key;
    char hex[2 * TG_SHA256_LEN + 1];
    tg_key_generate(out_text, &key);
    tg_hash_hex(key.sha256, sizeof(key.sha256), hex);
    hex[sizeof(hex) - 1] = '\0';
    control_sql(control,
                "insert into control.api_keys (id, tenant_id, secret_sha256, scopes, expires_at)"
                " values ('%s', '%s', '\\x%s', string_to_array('%s', ','), %s)",
                key.id, tenant, hex, scopes, expires);
}
