/* What tests of values share: a parser, a codec, two buffers, and schemas that must parse. */
#ifndef TG_AVRO_TESTS_FIXTURE_H
#define TG_AVRO_TESTS_FIXTURE_H

#include "common/avro/codec.h"

struct fixture {
    tg_json_parser_t *parser;
    tg_avro_codec_t *codec;
    tg_buf_t bytes, json;
    tg_avro_error_t error;
    tg_error_t why; /* of a plan that is refused */
};

/* For cmocka: setup and teardown of a group. */
int open_fixture(void **state);
int close_fixture(void **state);

/* Fails the test when the text is no schema. */
tg_avro_schema_t *parse_schema(const char *text);

#endif
