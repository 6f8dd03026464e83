/* Commands on Kafka's topics. Creating is idempotent: what exists stays as it is.
 *
 * Partition counts of a live topic never change (a series would move to another consumer), so this
 * only creates.
 *
 * Threads: one, besides librdkafka's own. */
#ifndef TG_CLI_TOPICS_H
#define TG_CLI_TOPICS_H

#include "cli/cli.h"

#define TG_TOPICS_REPLICATION_MAX 9

/* topics create [--replication N] */
TG_NODISCARD tg_status_t tg_topics_create(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* topics list: partitions and replicas of each of our topics; TG_NOT_FOUND when one is missing */
TG_NODISCARD tg_status_t tg_topics_list(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);
/* topics offsets: first and next offset of each partition */
TG_NODISCARD tg_status_t tg_topics_offsets(tg_cli_t *cli, tg_args_t *args, tg_error_t *error);

#endif
