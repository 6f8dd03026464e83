/* See status.h. Events are counted from the minute aggregate, which is exact on commit and a
 * fraction of the rows. */
#include "cli/status.h"

static const struct section {
    const char *title, *sql;
} sections[] = {
    {"store", "SELECT (SELECT name FROM migrate.engine) AS engine,"
              " (SELECT count(*) FROM migrate.applied) AS migrations,"
              " (SELECT count(*) FROM control.tenants) AS tenants,"
              " (SELECT count(*) FROM control.api_keys WHERE revoked_at IS NULL) AS keys,"
              " (SELECT count(*) FROM data.dead_letters) AS dead_letters,"
              " (SELECT count(*) FROM data.touched_hours) AS touched_hours,"
              " pg_size_pretty(pg_database_size(current_database())) AS size"},
    {"events", "SELECT tenant_id AS tenant, type, sum(count) AS events,"
               " max(bucket) AS newest_minute"
               " FROM data.metric_minute GROUP BY 1, 2 ORDER BY 1, 2"},
    {"offsets", "SELECT topic, partition, next_offset, epoch, owner,"
                " updated_at::timestamptz(0) AS updated"
                " FROM data.consumer_offsets ORDER BY topic, partition"},
    {"leases", "SELECT name, owner, epoch, expires_at::timestamptz(0) AS expires"
               " FROM data.leases ORDER BY name"},
};

tg_status_t tg_status_show(tg_cli_t *cli, tg_args_t *args, tg_error_t *error)
{
    assert(cli != NULL);
    tg_status_t status = tg_args_done(args, error);

    for (size_t i = 0; status == TG_OK && i < TG_ARRAY_LEN(sections); i++) {
        (void)fprintf(cli->out, "%s== %s\n", i == 0 ? "" : "\n", sections[i].title);
        status = tg_cli_list(cli, sections[i].sql, 0, NULL, error);
    }
    return status;
}
