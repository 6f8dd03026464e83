/* librdkafka configuration shared by producer and consumer: tables of properties, the
 * "name=value,…" extras of settings and tests, and its log lines.
 *
 * Threads: any; plain functions. */
#ifndef TG_KAFKA_CONF_H
#define TG_KAFKA_CONF_H

#include <librdkafka/rdkafka.h>

#include "common/base/str.h"

#define TG_KAFKA_EXTRA_MAX 4096 /* bytes of extra properties */

typedef struct tg_kafka_property {
    const char *name, *value;
} tg_kafka_property_t;

/* Sets `count` properties and then those of `extra` (NULL is allowed), which win. TG_INVALID with
 * librdkafka's own words for an unknown name or a bad value. */
TG_NODISCARD tg_status_t tg_kafka_conf_set(rd_kafka_conf_t *conf,
                                           const tg_kafka_property_t *properties, size_t count,
                                           const char *extra, tg_error_t *error);

/* Decimal text of a number, for a property's value. */
typedef struct tg_kafka_number {
    char text[24];
} tg_kafka_number_t;
tg_kafka_number_t tg_kafka_number(uint64_t value);

/* log_cb: librdkafka's lines as debug lines of ours; what matters reaches the owner as an event. */
void tg_kafka_log(const rd_kafka_t *rk, int level, const char *facility, const char *line);

#endif
