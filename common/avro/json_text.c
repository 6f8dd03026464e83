/* The digits of a real come from printf and strtod: the fewest that read back the same. That is
 * slow, and happens once for each real in a schema. */
#include "common/avro/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#define DIGITS_MAX   17 /* of a double */
#define PLAIN_LOWEST -3 /* exponents that are written without E: 0.001 … */
#define PLAIN_LIMIT  7  /* … up to 9999999.9 */

void tg_avro_json_text_string(tg_buf_t *out, tg_str_t text)
{
    assert(text.ptr != NULL || text.len == 0);
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    tg_buf_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            tg_buf_byte(out, (char)c);
        else if (c >= 0x20)
            tg_buf_append(out, (char[]){'\\', (char)c}, 2);
        else if (letters[c] != 0)
            tg_buf_append(out, (char[]){'\\', letters[c]}, 2);
        else
            tg_buf_printf(out, "\\u%04X", (unsigned)c);
    }
    tg_buf_byte(out, '"');
}

/* --- reals --- */

/* Decimal digits d1 d2 … with the value d1.d2… × 10^exponent. */
struct digits {
    char text[DIGITS_MAX + 1];
    int count, exponent;
};

/* Reads "d.ddde±xx". */
static void read_digits(const char *printed, struct digits *out)
{
    const char *at = printed;
    out->count = 0;
    for (; *at != 'e'; at++) {
        if (*at != '.')
            out->text[out->count++] = *at;
    }
    out->exponent = atoi(at + 1);
    while (out->count > 1 && out->text[out->count - 1] == '0')
        out->count--;
    assert(out->count <= DIGITS_MAX);
}

static struct digits shortest(double magnitude, bool single)
{
    assert(magnitude >= 0);
    char printed[40];
    struct digits digits;
    for (int precision = 0; precision < DIGITS_MAX; precision++) {
        snprintf(printed, sizeof(printed), "%.*e", precision, magnitude);
        bool same =
            single ? strtof(printed, NULL) == (float)magnitude : strtod(printed, NULL) == magnitude;
        if (same)
            break;
    }
    read_digits(printed, &digits);
    return digits;
}

/* Digits from `from` up to `to`, zeros where there are none. */
static void put_digits(tg_buf_t *out, const struct digits *digits, int from, int to)
{
    assert(from <= to);
    for (int i = from; i < to; i++)
        tg_buf_byte(out, i >= 0 && i < digits->count ? digits->text[i] : '0');
}

static void put_real(tg_buf_t *out, double value, bool single)
{
    if (!isfinite(value)) {
        tg_buf_printf(out, "\"%s\"", isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (signbit(value))
        tg_buf_byte(out, '-');
    struct digits digits = shortest(fabs(value), single);
    int count = digits.count, exponent = value == 0 ? 0 : digits.exponent;
    if (exponent < PLAIN_LOWEST || exponent >= PLAIN_LIMIT) {
        put_digits(out, &digits, 0, 1);
        tg_buf_byte(out, '.');
        put_digits(out, &digits, 1, count > 1 ? count : 2);
        tg_buf_printf(out, "E%d", exponent);
        return;
    }
    put_digits(out, &digits, exponent < 0 ? -1 : 0, exponent < 0 ? 0 : exponent + 1);
    tg_buf_byte(out, '.');
    int first = exponent + 1; /* digit behind the point; negative ones are zeros */
    put_digits(out, &digits, first, count > first ? count : first + 1);
}

void tg_avro_json_text_double(tg_buf_t *out, double value)
{
    put_real(out, value, false);
}

void tg_avro_json_text_float(tg_buf_t *out, float value)
{
    put_real(out, (double)value, true);
}

/* --- any value --- */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **tg_avro_json_text_keys(const struct json_t *object, bool sorted)
{
    assert(json_is_object(object));
    size_t size = json_object_size(object), count = 0;
    const char **keys = calloc(size + 1, sizeof(*keys));
    if (keys == NULL)
        return NULL;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        keys[count++] = key;
    }
    assert(count == size);
    if (sorted)
        qsort(keys, count, sizeof(*keys), compare_keys);
    return keys;
}

static tg_status_t put_object(tg_buf_t *out, const json_t *json, bool sorted)
{
    assert(json_is_object(json));
    const char **keys = tg_avro_json_text_keys(json, sorted);
    if (keys == NULL)
        return TG_NOMEM;
    tg_status_t status = TG_OK;
    tg_buf_byte(out, '{');
    for (size_t i = 0; keys[i] != NULL && status == TG_OK; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        tg_avro_json_text_string(out, tg_str_from(keys[i]));
        tg_buf_byte(out, ':');
        status = tg_avro_json_text_value(out, json_object_get(json, keys[i]), sorted);
    }
    tg_buf_byte(out, '}');
    free(keys);
    return status;
}

static tg_status_t put_array(tg_buf_t *out, const json_t *json, bool sorted)
{
    assert(json_is_array(json));
    tg_status_t status = TG_OK;
    tg_buf_byte(out, '[');
    for (size_t i = 0; i < json_array_size(json) && status == TG_OK; i++) {
        if (i > 0)
            tg_buf_byte(out, ',');
        status = tg_avro_json_text_value(out, json_array_get(json, i), sorted);
    }
    tg_buf_byte(out, ']');
    return status;
}

tg_status_t tg_avro_json_text_value(tg_buf_t *out, const struct json_t *json, bool sorted)
{
    assert(json != NULL);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return put_object(out, json, sorted);
    case JSON_ARRAY:
        return put_array(out, json, sorted);
    case JSON_STRING:
        tg_avro_json_text_string(out,
                                 (tg_str_t){json_string_value(json), json_string_length(json)});
        return TG_OK;
    case JSON_INTEGER:
        tg_buf_i64(out, json_integer_value(json));
        return TG_OK;
    case JSON_REAL:
        tg_avro_json_text_double(out, json_real_value(json));
        return TG_OK;
    default:
        tg_buf_str(out, json_is_null(json)   ? TG_STR("null")
                        : json_is_true(json) ? TG_STR("true")
                                             : TG_STR("false"));
        return TG_OK;
    }
}
