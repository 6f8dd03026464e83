/* An example of common/avro as a library: JSON lines in, Avro out, and what a newer schema makes of
 * it.
 *
 *     avro-convert order-v1.avsc order-v2.avsc < orders.jsonl
 *
 * prints for each line the bytes by the first schema as hex, and the JSON that a reader with the
 * second one sees. A line that does not fit is refused with the place and the reason. */
#include <stdio.h>
#include <stdlib.h>

#include "common/avro/avro.h"

#define BYTES_MAX  ((size_t)1 << 20) /* of one line, and of one result */
#define SCHEMA_MAX 65536

struct convert {
    tg_json_parser_t *parser;
    tg_avro_codec_t *codec;
    const tg_avro_type_t *writer;
    const tg_avro_plan_t *plan; /* writer to reader */
    tg_buf_t bytes, json;       /* used again for each line */
};

static tg_avro_schema_t *load_schema(const char *path)
{
    static char text[SCHEMA_MAX];
    tg_avro_schema_t *schema = NULL;
    tg_error_t error = {.text = "cannot be read"};
    FILE *file = fopen(path, "rb");
    size_t len = file == NULL ? 0 : fread(text, 1, sizeof(text), file);
    if (file != NULL)
        fclose(file);
    if (len == 0 || tg_avro_schema_parse((tg_str_t){text, len}, &schema, &error) != TG_OK)
        fprintf(stderr, "%s: %s\n", path, error.text);
    return schema;
}

static void print_hex(const tg_buf_t *bytes)
{
    for (size_t i = 0; i < bytes->len; i++)
        printf("%02x", (unsigned)(uint8_t)bytes->data[i]);
    putchar('\n');
}

/* One line of JSON: false when it was refused. */
static bool convert_line(struct convert *c, tg_str_t line)
{
    const tg_json_node_t *nodes;
    size_t count;
    tg_error_t error;
    tg_avro_error_t why;
    tg_buf_clear(&c->bytes);
    tg_buf_clear(&c->json);
    if (tg_json_parse(c->parser, line, &nodes, &count, &error) != TG_OK) {
        printf("refused: %s\n", error.text);
        return false;
    }
    tg_status_t status = tg_avro_encode(c->codec, c->writer, nodes, 0, 0, &c->bytes, &why);
    if (status == TG_OK)
        status = tg_avro_resolve_json(c->codec, c->plan, tg_buf_view(&c->bytes), 0, &c->json, &why);
    if (status != TG_OK) {
        printf("refused: %s%s%s\n", why.path, why.path[0] == '\0' ? "" : ": ",
               status == TG_INVALID ? why.message : tg_status_name(status));
        return false;
    }
    print_hex(&c->bytes);
    printf(TG_STR_FMT "\n", TG_STR_ARG(tg_buf_view(&c->json)));
    return true;
}

static int convert_all(struct convert *c)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    int refused = 0;
    while ((len = getline(&line, &room, stdin)) > 0)
        refused += !convert_line(c, (tg_str_t){line, (size_t)len});
    free(line);
    return refused == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    tg_error_t error;
    tg_avro_plan_t *plan = NULL;
    int result = 2;
    if (argc != 3) {
        fprintf(stderr, "usage: avro-convert WRITER.avsc READER.avsc < lines of JSON\n");
        return 2;
    }
    tg_avro_schema_t *writer = load_schema(argv[1]), *reader = load_schema(argv[2]);
    struct convert c = {.parser = tg_json_parser_create(BYTES_MAX, TG_AVRO_DEPTH_MAX),
                        .codec = tg_avro_codec_create()};
    c.bytes = c.json = tg_buf_make(BYTES_MAX);
    if (writer == NULL || reader == NULL || c.parser == NULL || c.codec == NULL)
        goto done;
    c.writer = tg_avro_schema_root(writer);
    if (tg_avro_plan_create(c.writer, tg_avro_schema_root(reader), &plan, &error) != TG_OK) {
        fprintf(stderr, "%s cannot read %s: %s\n", argv[2], argv[1], error.text);
        goto done;
    }
    c.plan = plan;
    result = convert_all(&c);

done:
    tg_avro_plan_destroy(plan);
    tg_avro_schema_destroy(writer);
    tg_avro_schema_destroy(reader);
    tg_json_parser_destroy(c.parser);
    tg_avro_codec_destroy(c.codec);
    tg_buf_dispose(&c.bytes);
    tg_buf_dispose(&c.json);
    return result;
}
