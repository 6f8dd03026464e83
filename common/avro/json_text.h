/* JSON values as Java's Jackson writes them: reals as Double.toString() has them ("1.0E10", "0.5"),
 * control characters with upper-case digits. Texts of schemas are compared byte by byte across
 * implementations, so their numbers must be spelt alike.
 *
 * Threads: any. */
#ifndef TG_AVRO_JSON_TEXT_H
#define TG_AVRO_JSON_TEXT_H

#include "common/avro/schema.h"

/* Appends a string with its quotes; `text` must be UTF-8. */
void tg_avro_json_text_string(tg_buf_t *out, tg_str_t text);

/* Appends the shortest number that reads back as the same double (or float), with ".0" or an
 * exponent; not finite ones as strings. */
void tg_avro_json_text_double(tg_buf_t *out, double value);
void tg_avro_json_text_float(tg_buf_t *out, float value);

/* Appends any value, members in their order or (`sorted`) by name. TG_NOMEM when out of memory;
 * nesting is the caller's bound. */
TG_NODISCARD tg_status_t tg_avro_json_text_value(tg_buf_t *out, const struct json_t *json,
                                                 bool sorted);

/* The names of an object's members, in their order or by name: an owned array that ends in NULL
 * (the names are borrowed); NULL when out of memory. */
const char **tg_avro_json_text_keys(const struct json_t *object, bool sorted);

#endif
