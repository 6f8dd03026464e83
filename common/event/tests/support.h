/* What tests of events share: a parser, a codec, the rules that decide what an event is, and types
 * that must compile.
 *
 * Threads: one. */
#ifndef TG_EVENT_TESTS_SUPPORT_H
#define TG_EVENT_TESTS_SUPPORT_H

#include "common/event/event.h"

#define NOW (INT64_C(1770112810) * TG_US_PER_SECOND) /* 2026-02-03T10:00:10Z */

/* Bodies of built-in types; `rest` begins with a comma. */
#define ORDER(rest)                                                                                \
    "{\"customer_id\":\"c\",\"amount\":1,\"currency\":\"USD\",\"channel\":\"web\"" rest "}"
#define SIGNAL(rest)                                                                               \
    "{\"user_id\":\"u\",\"source\":\"web\",\"type\":\"t\",\"event_ts\":1770112800" rest "}"

struct fixture {
    tg_json_parser_t *parser;
    tg_event_codec_t *codec;
    tg_event_rules_t rules;
    tg_buf_t out, payload;
    tg_event_t event, stored;
    tg_event_error_t error;
};

/* For cmocka: setup and teardown of a group, and the setup of each of its tests. */
int open_fixture(void **state);
int close_fixture(void **state);
int set_rules(void **state);

/* Fail the test when there is no such type, or the schema is none. The caller owns the type. */
tg_event_type_t *compile(const char *name, tg_str_t schema);
tg_event_type_t *builtin(const char *name);

/* From JSON, which must parse, into f->out and f->event, or f->error. */
tg_status_t encode(struct fixture *f, const tg_event_type_t *type, tg_str_t json);

/* Through the codec and back; the texts of f->event live in the parser until the next call. */
void pass(struct fixture *f, const tg_event_type_t *type, const char *json);
tg_uuid_t id_of(struct fixture *f, const tg_event_type_t *type, const char *json);
bool same_id(tg_uuid_t a, tg_uuid_t b);

void assert_text(tg_str_t text, const char *wanted);
void assert_payload(struct fixture *f, const char *wanted); /* of what `pass` has decoded */
void assert_id(const tg_event_t *event, const char *wanted);

/* A test of the group. */
#define CASE(test) cmocka_unit_test_setup(test, set_rules)

#endif
