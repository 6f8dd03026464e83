/* The schemas that the fuzz targets of values share: every kind and logical type, recursion, items
 * of no bytes, and pairs of which one can read some of the other's values. Plain JSON leads back to
 * the same bytes for those that are `clear`: no union of theirs has two branches for one value. */
#ifndef TG_FUZZ_SCHEMAS_H
#define TG_FUZZ_SCHEMAS_H

#include <stdlib.h>

#include "common/avro/schema.h"

// clang-format off
static const struct {
    const char *text;
    bool clear;
} fuzz_schemas[] = {
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"i\",\"type\":\"int\"},"
     "{\"name\":\"l\",\"type\":\"long\"},{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"y\",\"type\":\"bytes\"},"
     "{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},"
     "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\",\"size\":3}},{\"name\":\"u\",\"type\":[\"null\",\"long\",\"string\"]}]}", true},
    {"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"u\",\"type\":[\"string\",\"double\",\"null\"]},{\"name\":\"new\",\"type\":\"string\",\"default\":\"n\"},"
     "{\"name\":\"i\",\"type\":\"long\"},{\"name\":\"l\",\"type\":\"float\"},{\"name\":\"f\",\"type\":\"double\"},"
     "{\"name\":\"text\",\"type\":\"string\",\"aliases\":[\"y\"]},{\"name\":\"s\",\"type\":\"bytes\"},"
     "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\",\"C\"],\"default\":\"C\"}},"
     "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"X\",\"size\":3}}]}", false},
    {"{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"L\"]},{\"name\":\"a\",\"type\":{\"type\":\"array\",\"items\":\"L\"}},"
     "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"L\"]}}]}", true},
    {"{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"L\",\"null\"]}},"
     "{\"name\":\"v\",\"type\":\"int\",\"default\":3},{\"name\":\"n\",\"type\":[\"L\",\"null\"]}]}", true},
    {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"null\"}}", true},
    {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":[\"int\",\"null\"]}}", true},
    {"{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"T\",\"fields\":["
     "{\"name\":\"a\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},{\"name\":\"b\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
     "{\"name\":\"d\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},{\"name\":\"e\",\"type\":{\"type\":\"int\",\"logicalType\":\"time-millis\"}},"
     "{\"name\":\"f\",\"type\":{\"type\":\"long\",\"logicalType\":\"local-timestamp-micros\"}},"
     "{\"name\":\"g\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":15,\"scale\":3}}]}}", true},
    {"{\"type\":\"map\",\"values\":{\"type\":\"record\",\"name\":\"F\",\"fields\":["
     "{\"name\":\"d\",\"type\":{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}},"
     "{\"name\":\"u\",\"type\":{\"type\":\"fixed\",\"name\":\"U\",\"size\":16,\"logicalType\":\"uuid\"}},"
     "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"N\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}}]}}", true},
    {"[\"null\",\"bytes\",\"string\",\"int\",\"long\",\"float\",\"double\",{\"type\":\"map\",\"values\":\"double\"},"
     "{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"}]},{\"type\":\"record\",\"name\":\"B\",\"fields\":["
     "{\"name\":\"v\",\"type\":\"long\"},{\"name\":\"w\",\"type\":\"int\",\"default\":0}]}]", false},
    {"[{\"type\":\"record\",\"name\":\"n.B\",\"fields\":[{\"name\":\"w\",\"type\":\"double\"},{\"name\":\"v\",\"type\":\"double\"}]},\"double\",\"bytes\","
     "{\"type\":\"map\",\"values\":[\"null\",\"double\"]}]", false},
};
// clang-format on

#define FUZZ_SCHEMAS TG_ARRAY_LEN(fuzz_schemas)

static inline void fuzz_parse_schemas(tg_avro_schema_t *out[FUZZ_SCHEMAS])
{
    tg_error_t error;
    for (size_t i = 0; i < FUZZ_SCHEMAS; i++) {
        if (tg_avro_schema_parse(tg_str_from(fuzz_schemas[i].text), &out[i], &error) != TG_OK)
            abort();
    }
}

#endif
