/* librdkafka configuration: property tables, extras, log lines.
 *
 * Why a table: the properties of a producer are read as one list with their reasons beside them,
 * and a refused one is reported by name instead of being lost in a chain of calls. */
#include "common/kafka/conf.h"

#include <stdio.h>

#include "common/observe/log.h"

static tg_status_t set_one(rd_kafka_conf_t *conf, const char *name, const char *value,
                           tg_error_t *error)
{
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
        return TG_OK;
    return tg_error_set(error, TG_INVALID, "kafka property %s=%s: %s", name, value, reason);
}

/* Walks "name=value,name=value" in a copy that it may cut into pieces. */
static tg_status_t set_extra(rd_kafka_conf_t *conf, const char *extra, tg_error_t *error)
{
    char text[TG_KAFKA_EXTRA_MAX];
    size_t len = strlen(extra);
    if (len >= sizeof(text))
        return tg_error_set(error, TG_TOO_LARGE, "extra kafka properties exceed %zu bytes",
                            sizeof(text) - 1);
    memcpy(text, extra, len + 1);

    char *rest = text;
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        if (*item == '\0')
            continue;
        char *equals = strchr(item, '=');
        if (equals == NULL)
            return tg_error_set(error, TG_INVALID, "extra kafka property '%s' is not name=value",
                                item);
        *equals = '\0';
        tg_status_t status = set_one(conf, item, equals + 1, error);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

tg_status_t tg_kafka_conf_set(rd_kafka_conf_t *conf, const tg_kafka_property_t *properties,
                              size_t count, const char *extra, tg_error_t *error)
{
    assert(conf != NULL);
    assert(properties != NULL);
    for (size_t i = 0; i < count; i++) {
        tg_status_t status = set_one(conf, properties[i].name, properties[i].value, error);
        if (status != TG_OK)
            return status;
    }
    return extra == NULL ? TG_OK : set_extra(conf, extra, error);
}

tg_kafka_number_t tg_kafka_number(uint64_t value)
{
    tg_kafka_number_t number;
    int len = snprintf(number.text, sizeof(number.text), "%llu", (unsigned long long)value);
    assert(len > 0 && (size_t)len < sizeof(number.text));
    return number;
}

void tg_kafka_log(const rd_kafka_t *rk, int level, const char *facility, const char *line)
{
    tg_log_debug("kafka_client", TG_F_TEXT("client", rk == NULL ? "" : rd_kafka_name(rk)),
                 TG_F_INT("severity", level), TG_F_TEXT("facility", facility),
                 TG_F_TEXT("text", line));
}
