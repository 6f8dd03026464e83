/* Compiling a pair of schemas into a plan.
 *
 * Each pair of types that meet gets one node, found again by the pair, so that recursion ends and
 * shared types are compiled once. A node is in the table before its parts are made. At the end,
 * pairs that write alike are told from those that only might: all start as "same", and passes over
 * the nodes, parts before wholes, take the mark away until nothing changes. */
#include "common/avro/value/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/avro/internal.h"
#include "common/base/table.h"

#define WORDS_MAX  160
#define PASSES_MAX 32

struct compile {
    tg_avro_plan_t *plan;
    tg_table_t *seen; /* by pair */
    tg_error_t *error;
    unsigned depth;
};

static tg_status_t compile_pair(struct compile *c, const tg_avro_type_t *writer,
                                const tg_avro_type_t *reader, const tg_avro_plan_node_t **out_node);

/* --- nodes --- */

static tg_status_t no_memory(struct compile *c)
{
    return tg_error_set(c->error, TG_TOO_LARGE,
                        "the pair of schemas needs more than %zu bytes of plan or out of memory",
                        TG_AVRO_PLAN_BYTES_MAX);
}

/* "record a.R", "int". */
static void put_type(const tg_avro_type_t *type, char *out, size_t size)
{
    bool named = type->name.len > 0;
    snprintf(out, size, "%s%s%.*s", tg_avro_kind_name(type->kind), named ? " " : "",
             (int)(type->name.len > 100 ? 100 : type->name.len), named ? type->name.ptr : "");
}

/* Turns the node into one that refuses each value, for the reason in `format`'s words. */
static tg_status_t refuse(struct compile *c, tg_avro_plan_node_t *node, const char *what,
                          tg_str_t name)
{
    char reader[WORDS_MAX], writer[WORDS_MAX], text[3 * WORDS_MAX];
    put_type(node->reader, reader, sizeof(reader));
    put_type(node->writer, writer, sizeof(writer));
    int len = snprintf(text, sizeof(text), "expected %s, got %s%s%s%.*s%s", reader, writer,
                       what[0] == '\0' ? "" : ": ", what,
                       (int)(name.len > WORDS_MAX ? WORDS_MAX : name.len),
                       name.len > 0 ? name.ptr : "", name.len > 0 ? "\"" : "");
    size_t used = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
    node->action = TG_AVRO_ACT_REFUSE;
    node->same = false;
    node->as.why = tg_arena_copy(c->plan->arena, (tg_str_t){text, used}).ptr;
    return node->as.why != NULL ? TG_OK : no_memory(c);
}

static tg_status_t refuse_types(struct compile *c, tg_avro_plan_node_t *node)
{
    return refuse(c, node, "", (tg_str_t){NULL, 0});
}

/* --- names --- */

static bool has_alias(const tg_avro_type_t *reader, tg_str_t name)
{
    for (uint32_t i = 0; i < reader->alias_count; i++) {
        if (tg_str_eq(reader->aliases[i], name))
            return true;
    }
    return false;
}

static bool same_short_name(const tg_avro_type_t *writer, const tg_avro_type_t *reader)
{
    return tg_str_eq(tg_avro_short_name(writer->name), tg_avro_short_name(reader->name));
}

static bool same_name(const tg_avro_type_t *writer, const tg_avro_type_t *reader)
{
    return same_short_name(writer, reader) || has_alias(reader, writer->name);
}

/* --- records --- */

/* Which fields belong together, for one pair of records. */
struct match {
    int32_t *sources; /* by the reader's field: the writer's, or -1 */
    int32_t *targets; /* by the writer's field: the reader's, or -1 */
};

/* An alias of the reader wins over a name, as if the writer's field had been renamed; of two equal
 * ones the last. */
static void match_aliases(const tg_avro_plan_node_t *node, struct match *m)
{
    for (uint32_t i = 0; i < node->reader->count; i++) {
        const tg_avro_field_t *field = &node->reader->fields[i];
        for (uint32_t j = 0; j < field->alias_count; j++) {
            int writer = tg_avro_type_find(node->writer, field->aliases[j]);
            if (writer >= 0)
                m->targets[writer] = (int32_t)i;
        }
    }
}

/* Fills both maps, or refuses the pair. */
static tg_status_t match_fields(struct compile *c, tg_avro_plan_node_t *node, struct match *m)
{
    const tg_avro_type_t *writer = node->writer, *reader = node->reader;
    memset(m->sources, 0xff, reader->count * sizeof(*m->sources));
    memset(m->targets, 0xff, writer->count * sizeof(*m->targets));
    match_aliases(node, m);
    for (uint32_t i = 0; i < writer->count; i++) {
        if (m->targets[i] < 0)
            m->targets[i] = tg_avro_type_find(reader, writer->fields[i].name);
        if (m->targets[i] < 0)
            continue;
        if (m->sources[m->targets[i]] >= 0)
            return refuse(c, node, "several fields of the writer match \"",
                          reader->fields[m->targets[i]].name);
        m->sources[m->targets[i]] = (int32_t)i;
    }
    for (uint32_t i = 0; i < reader->count; i++) {
        if (m->sources[i] < 0 && !reader->fields[i].has_default)
            return refuse(c, node, "the writer has no field, and the reader no default for \"",
                          reader->fields[i].name);
    }
    return TG_OK;
}

static bool in_order(const tg_avro_type_t *reader, const int32_t *sources)
{
    int32_t last = -1;
    for (uint32_t i = 0; i < reader->count; i++) {
        if (sources[i] < 0)
            continue;
        if (sources[i] < last)
            return false;
        last = sources[i];
    }
    return true;
}

static tg_status_t add_field(struct compile *c, const tg_avro_plan_node_t *node, uint32_t reader,
                             uint32_t writer, tg_avro_step_t *step)
{
    *step = (tg_avro_step_t){.op = TG_AVRO_STEP_FIELD, .field = reader};
    return compile_pair(c, node->writer->fields[writer].type, node->reader->fields[reader].type,
                        &step->node);
}

/* The reader's order is the writer's with gaps: one pass from left to right. */
static tg_status_t steps_in_order(struct compile *c, tg_avro_plan_node_t *node,
                                  const int32_t *sources, tg_avro_step_t *steps)
{
    uint32_t at = 0, count = 0;
    for (uint32_t i = 0; i < node->reader->count; i++) {
        if (sources[i] < 0) {
            steps[count++] = (tg_avro_step_t){.op = TG_AVRO_STEP_DEFAULT, .field = i};
            continue;
        }
        while (at < (uint32_t)sources[i])
            steps[count++] = (tg_avro_step_t){.op = TG_AVRO_STEP_SKIP, .field = at++};
        tg_status_t status = add_field(c, node, i, at++, &steps[count++]);
        if (status != TG_OK)
            return status;
    }
    while (at < node->writer->count)
        steps[count++] = (tg_avro_step_t){.op = TG_AVRO_STEP_SKIP, .field = at++};
    node->as.record.count = count;
    return TG_OK;
}

/* The writer's order; the results are put in the reader's afterwards. */
static tg_status_t steps_reordered(struct compile *c, tg_avro_plan_node_t *node,
                                   const int32_t *targets, tg_avro_step_t *steps)
{
    node->as.record.reordered = true;
    node->as.record.count = node->writer->count;
    for (uint32_t i = 0; i < node->writer->count; i++) {
        steps[i] = (tg_avro_step_t){.op = TG_AVRO_STEP_SKIP, .field = i};
        tg_status_t status = TG_OK;
        if (targets[i] >= 0)
            status = add_field(c, node, (uint32_t)targets[i], i, &steps[i]);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

static tg_status_t compile_record(struct compile *c, tg_avro_plan_node_t *node)
{
    assert(node->writer->kind == TG_AVRO_RECORD);
    assert(node->reader->kind == TG_AVRO_RECORD);
    size_t most = (size_t)node->writer->count + node->reader->count;
    int32_t *map = calloc(most + 1, sizeof(*map));
    tg_avro_step_t *steps = tg_arena_array(c->plan->arena, most + 1, sizeof(*steps));
    if (map == NULL || steps == NULL) {
        free(map);
        return no_memory(c);
    }
    struct match m = {.sources = map, .targets = map + node->reader->count};
    tg_status_t status = match_fields(c, node, &m);
    if (status == TG_OK && node->action != TG_AVRO_ACT_REFUSE) {
        node->action = TG_AVRO_ACT_RECORD;
        node->as.record.steps = steps;
        status = in_order(node->reader, m.sources) ? steps_in_order(c, node, m.sources, steps)
                                                   : steps_reordered(c, node, m.targets, steps);
    }
    free(map);
    return status;
}

/* --- the other kinds --- */

static tg_status_t compile_enum(struct compile *c, tg_avro_plan_node_t *node)
{
    const tg_avro_type_t *writer = node->writer;
    if (!same_name(writer, node->reader))
        return refuse_types(c, node);
    int32_t *symbols = tg_arena_array(c->plan->arena, writer->count + 1, sizeof(*symbols));
    if (symbols == NULL)
        return no_memory(c);
    for (uint32_t i = 0; i < writer->count; i++) {
        int symbol = tg_avro_type_find(node->reader, writer->symbols[i]);
        symbols[i] = symbol >= 0 ? symbol : node->reader->default_symbol;
    }
    node->action = TG_AVRO_ACT_ENUM;
    node->as.symbols = symbols;
    return TG_OK;
}

static tg_status_t compile_fixed(struct compile *c, tg_avro_plan_node_t *node)
{
    node->action = TG_AVRO_ACT_COPY;
    if (!same_name(node->writer, node->reader))
        return refuse_types(c, node);
    if (node->writer->size != node->reader->size)
        return refuse(c, node, "of another size", (tg_str_t){NULL, 0});
    return TG_OK;
}

static tg_status_t compile_items(struct compile *c, tg_avro_plan_node_t *node)
{
    node->action = TG_AVRO_ACT_ITEMS;
    return compile_pair(c, node->writer->items, node->reader->items, &node->as.items);
}

static tg_status_t compile_writer_union(struct compile *c, tg_avro_plan_node_t *node)
{
    const tg_avro_type_t *writer = node->writer;
    node->action = TG_AVRO_ACT_WRITER_UNION;
    node->as.branches =
        tg_arena_array(c->plan->arena, writer->count + 1, sizeof(tg_avro_plan_node_t *));
    if (node->as.branches == NULL)
        return no_memory(c);
    for (uint32_t i = 0; i < writer->count; i++) {
        tg_status_t status =
            compile_pair(c, writer->branches[i], node->reader, &node->as.branches[i]);
        if (status != TG_OK)
            return status;
    }
    return TG_OK;
}

/* --- the reader's unions --- */

static bool is_named(const tg_avro_type_t *type)
{
    return type->name.len > 0;
}

/* How a value of one kind becomes one of another; COPY also for the same kind. REFUSE: not at all.
 */
static tg_avro_action_t promotion(tg_avro_kind_t writer, tg_avro_kind_t reader)
{
    bool integer = writer == TG_AVRO_INT || writer == TG_AVRO_LONG;
    switch (reader) {
    case TG_AVRO_LONG:
        return writer == TG_AVRO_INT ? TG_AVRO_ACT_COPY : TG_AVRO_ACT_REFUSE;
    case TG_AVRO_FLOAT:
        return integer ? TG_AVRO_ACT_FLOAT : TG_AVRO_ACT_REFUSE;
    case TG_AVRO_DOUBLE:
        return integer || writer == TG_AVRO_FLOAT ? TG_AVRO_ACT_DOUBLE : TG_AVRO_ACT_REFUSE;
    case TG_AVRO_BYTES:
        return writer == TG_AVRO_STRING ? TG_AVRO_ACT_COPY : TG_AVRO_ACT_REFUSE;
    case TG_AVRO_STRING:
        return writer == TG_AVRO_BYTES ? TG_AVRO_ACT_TEXT : TG_AVRO_ACT_REFUSE;
    default:
        return TG_AVRO_ACT_REFUSE;
    }
}

/* Whether the pair, or a field of it, can't be read at all. */
static bool has_error(const tg_avro_plan_node_t *node)
{
    if (node->action != TG_AVRO_ACT_RECORD)
        return node->action == TG_AVRO_ACT_REFUSE;
    for (uint32_t i = 0; i < node->as.record.count; i++) {
        const tg_avro_step_t *step = &node->as.record.steps[i];
        if (step->node != NULL && step->node->action == TG_AVRO_ACT_REFUSE)
            return true;
    }
    return false;
}

/* The branch of the same kind and name, else one that has the name as an alias. */
static int find_exact(const tg_avro_type_t *writer, const tg_avro_type_t *reader)
{
    int alias = -1;
    for (uint32_t i = 0; i < reader->count; i++) {
        const tg_avro_type_t *branch = reader->branches[i];
        if (branch->kind != writer->kind)
            continue;
        if (!is_named(writer) || tg_str_eq(writer->name, branch->name))
            return (int)i;
        if (alias < 0 && has_alias(branch, writer->name))
            alias = (int)i;
    }
    return alias;
}

/* A branch of another name: an enum or fixed type by its unqualified name, a record by what it is
 * made of, one of the same unqualified name before others. */
static tg_status_t find_alike(struct compile *c, const tg_avro_type_t *writer,
                              const tg_avro_type_t *reader, int *out_branch)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        const tg_avro_type_t *branch = reader->branches[i];
        const tg_avro_plan_node_t *node;
        if (branch->kind != writer->kind)
            continue;
        bool same = same_short_name(writer, branch);
        if (writer->kind != TG_AVRO_RECORD) {
            if (same && *out_branch < 0)
                *out_branch = (int)i;
            continue;
        }
        tg_status_t status = compile_pair(c, writer, branch, &node);
        if (status != TG_OK)
            return status;
        if (!has_error(node) && (*out_branch < 0 || same))
            *out_branch = (int)i;
    }
    return TG_OK;
}

static int find_promotion(const tg_avro_type_t *writer, const tg_avro_type_t *reader)
{
    for (uint32_t i = 0; i < reader->count; i++) {
        if (promotion(writer->kind, reader->branches[i]->kind) != TG_AVRO_ACT_REFUSE)
            return (int)i;
    }
    return -1;
}

static tg_status_t compile_reader_union(struct compile *c, tg_avro_plan_node_t *node)
{
    assert(node->reader->kind == TG_AVRO_UNION);
    int branch = find_exact(node->writer, node->reader);
    if (branch < 0 && is_named(node->writer)) {
        tg_status_t status = find_alike(c, node->writer, node->reader, &branch);
        if (status != TG_OK)
            return status;
    }
    if (branch < 0)
        branch = find_promotion(node->writer, node->reader);
    if (branch < 0)
        return refuse(c, node, "no branch takes it", (tg_str_t){NULL, 0});
    node->action = TG_AVRO_ACT_READER_UNION;
    node->as.chosen.branch = (uint32_t)branch;
    return compile_pair(c, node->writer, node->reader->branches[branch], &node->as.chosen.value);
}

/* --- one pair --- */

static tg_status_t compile_kind(struct compile *c, tg_avro_plan_node_t *node)
{
    tg_avro_kind_t writer = node->writer->kind, reader = node->reader->kind;
    if (writer == TG_AVRO_UNION)
        return compile_writer_union(c, node);
    if (reader == TG_AVRO_UNION)
        return compile_reader_union(c, node);
    if (writer != reader) {
        node->action = promotion(writer, reader);
        return node->action == TG_AVRO_ACT_REFUSE ? refuse_types(c, node) : TG_OK;
    }
    switch (writer) {
    case TG_AVRO_RECORD:
        return compile_record(c, node);
    case TG_AVRO_ENUM:
        return compile_enum(c, node);
    case TG_AVRO_FIXED:
        return compile_fixed(c, node);
    case TG_AVRO_ARRAY:
    case TG_AVRO_MAP:
        return compile_items(c, node);
    default:
        node->action = TG_AVRO_ACT_COPY;
        return TG_OK;
    }
}

static tg_status_t add_node(struct compile *c, const tg_avro_type_t *writer,
                            const tg_avro_type_t *reader, tg_str_t key,
                            tg_avro_plan_node_t **out_node)
{
    tg_avro_plan_node_t *node = tg_arena_alloc(c->plan->arena, sizeof(*node));
    tg_status_t status = node == NULL ? TG_NOMEM : tg_table_put(c->seen, key, node);
    if (status == TG_FULL)
        return tg_error_set(c->error, TG_TOO_LARGE, "more than %d pairs of types meet",
                            TG_AVRO_PLAN_NODES_MAX);
    if (status != TG_OK)
        return no_memory(c);
    node->writer = writer;
    node->reader = reader;
    node->same = true;
    node->older = c->plan->newest;
    c->plan->newest = node;
    *out_node = node;
    return TG_OK;
}

static tg_status_t compile_pair(struct compile *c, const tg_avro_type_t *writer,
                                const tg_avro_type_t *reader, const tg_avro_plan_node_t **out_node)
{
    const tg_avro_type_t *pair[2] = {writer, reader};
    tg_str_t key = {(const char *)pair, sizeof(pair)};
    tg_avro_plan_node_t *node = tg_table_get(c->seen, key);
    *out_node = node;
    if (node != NULL)
        return TG_OK;
    if (c->depth == TG_AVRO_PLAN_DEPTH_MAX)
        return tg_error_set(c->error, TG_TOO_LARGE, "types nested deeper than %d levels",
                            TG_AVRO_PLAN_DEPTH_MAX);
    tg_status_t status = add_node(c, writer, reader, key, &node);
    if (status != TG_OK)
        return status;
    assert(node != NULL);
    *out_node = node;
    c->depth++;
    status = compile_kind(c, node);
    c->depth--;
    return status;
}

/* --- which pairs write alike --- */

static bool record_same(const tg_avro_plan_node_t *node)
{
    if (node->as.record.reordered)
        return false;
    for (uint32_t i = 0; i < node->as.record.count; i++) {
        const tg_avro_step_t *step = &node->as.record.steps[i];
        if (step->op != TG_AVRO_STEP_FIELD || !step->node->same)
            return false;
    }
    return true;
}

static bool enum_same(const tg_avro_plan_node_t *node)
{
    for (uint32_t i = 0; i < node->writer->count; i++) {
        if (node->as.symbols[i] != (int32_t)i)
            return false;
    }
    return true;
}

/* Both unions, and each branch goes to the branch of the same index. */
static bool union_same(const tg_avro_plan_node_t *node)
{
    for (uint32_t i = 0; i < node->writer->count; i++) {
        const tg_avro_plan_node_t *branch = node->as.branches[i];
        if (branch->action != TG_AVRO_ACT_READER_UNION || branch->as.chosen.branch != i ||
            !branch->as.chosen.value->same)
            return false;
    }
    return true;
}

static bool still_same(const tg_avro_plan_node_t *node)
{
    switch (node->action) {
    case TG_AVRO_ACT_COPY:
        return true;
    case TG_AVRO_ACT_RECORD:
        return record_same(node);
    case TG_AVRO_ACT_ENUM:
        return enum_same(node);
    case TG_AVRO_ACT_ITEMS:
        return node->as.items->same;
    case TG_AVRO_ACT_WRITER_UNION:
        return union_same(node);
    default:
        return false;
    }
}

/* One pass over all nodes, parts mostly before wholes; whether it took a mark away. */
static bool unmark_once(tg_avro_plan_t *plan)
{
    bool changed = false;
    for (tg_avro_plan_node_t *node = plan->newest; node != NULL; node = node->older) {
        if (node->same && !still_same(node)) {
            node->same = false;
            changed = true;
        }
    }
    return changed;
}

/* Schemas made for it could need as many passes as there are nodes. A mark too few costs only time,
 * so after some passes every pair that is made of others goes without. */
static void mark_same(tg_avro_plan_t *plan)
{
    for (unsigned i = 0; i < PASSES_MAX; i++) {
        if (!unmark_once(plan))
            return;
    }
    for (tg_avro_plan_node_t *node = plan->newest; node != NULL; node = node->older)
        node->same = node->action == TG_AVRO_ACT_COPY;
}

/* --- the whole --- */

static tg_status_t compile_root(tg_avro_plan_t *plan, const tg_avro_type_t *writer,
                                const tg_avro_type_t *reader, tg_error_t *error)
{
    struct compile c = {.plan = plan, .error = error};
    c.seen = tg_table_create(TG_AVRO_PLAN_NODES_MAX, NULL);
    plan->arena = tg_arena_create(TG_AVRO_PLAN_BYTES_MAX);
    tg_status_t status = c.seen == NULL || plan->arena == NULL
                             ? no_memory(&c)
                             : compile_pair(&c, writer, reader, &plan->root);
    tg_table_destroy(c.seen);
    if (status != TG_OK)
        return status;
    assert(plan->root != NULL);
    if (plan->root->action == TG_AVRO_ACT_REFUSE)
        return tg_error_set(error, TG_INVALID, "%s", plan->root->as.why);
    mark_same(plan);
    return TG_OK;
}

tg_status_t tg_avro_plan_create(const tg_avro_type_t *writer, const tg_avro_type_t *reader,
                                tg_avro_plan_t **out_plan, tg_error_t *error)
{
    assert(writer != NULL);
    assert(reader != NULL);
    assert(out_plan != NULL);
    tg_avro_plan_t *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return tg_error_set(error, TG_NOMEM, "out of memory for a plan");
    tg_status_t status = compile_root(plan, writer, reader, error);
    if (status != TG_OK) {
        tg_avro_plan_destroy(plan);
        return status;
    }
    *out_plan = plan;
    return TG_OK;
}

void tg_avro_plan_destroy(tg_avro_plan_t *plan)
{
    if (plan == NULL)
        return;
    tg_arena_destroy(plan->arena);
    free(plan);
}

const tg_avro_type_t *tg_avro_plan_reader(const tg_avro_plan_t *plan)
{
    assert(plan != NULL);
    return plan->root->reader;
}

bool tg_avro_plan_is_copy(const tg_avro_plan_t *plan)
{
    assert(plan != NULL);
    return plan->root->same;
}
