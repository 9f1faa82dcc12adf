/* What one thread of C can do with librabbitmq on this broker: the limit that Python is held against.
 *
 *   limit publish WINDOW COUNT BYTES   confirmed, persistent, mandatory; WINDOW in flight
 *   limit drain EVERY COUNT            prefetch 500, an ack for each EVERY messages
 *
 * The address comes from BENCH_HOST, BENCH_PORT, BENCH_USER, BENCH_PASSWORD, BENCH_VHOST.
 * Each prints one line of JSON: count, seconds, and CPU seconds of this process.
 */
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static const char *queue_name = "bench";
static amqp_connection_state_t connection;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec + usage.ru_utime.tv_usec / 1e6 + usage.ru_stime.tv_sec +
           usage.ru_stime.tv_usec / 1e6;
}

static void check(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "limit: %s failed\n", what);
        exit(1);
    }
}

static void check_reply(const char *what) {
    check(amqp_get_rpc_reply(connection).reply_type == AMQP_RESPONSE_NORMAL, what);
}

static const char *setting(const char *name, const char *otherwise) {
    const char *value = getenv(name);
    return value ? value : otherwise;
}

static void connect_to_broker(void) {
    connection = amqp_new_connection();
    amqp_socket_t *sock = amqp_tcp_socket_new(connection);
    int port = atoi(setting("BENCH_PORT", "5672"));
    check(sock && !amqp_socket_open(sock, setting("BENCH_HOST", "127.0.0.1"), port), "connect");
    amqp_rpc_reply_t reply =
        amqp_login(connection, setting("BENCH_VHOST", "/"), 0, 131072, 60, AMQP_SASL_METHOD_PLAIN,
                   setting("BENCH_USER", "guest"), setting("BENCH_PASSWORD", "guest"));
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login");
    amqp_channel_open(connection, 1);
    check_reply("channel.open");
    amqp_table_entry_t type = {.key = amqp_cstring_bytes("x-queue-type"),
                               .value = {.kind = AMQP_FIELD_KIND_UTF8}};
    type.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_table_t arguments = {.num_entries = 1, .entries = &type};
    amqp_queue_declare(connection, 1, amqp_cstring_bytes(queue_name), 0, 1, 0, 0, arguments);
    check_reply("queue.declare");
}

/* Read one confirm; returns how many publications it settles. RabbitMQ confirms in order where one
 * queue takes them all, so that the tag says it. */
static int confirmed(uint64_t *settled) {
    amqp_frame_t frame;
    amqp_maybe_release_buffers(connection);
    check(amqp_simple_wait_frame(connection, &frame) == AMQP_STATUS_OK, "reading");
    check(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == AMQP_BASIC_ACK_METHOD,
          "a confirm");
    amqp_basic_ack_t *ack = frame.payload.method.decoded;
    int count = ack->multiple ? (int)(ack->delivery_tag - *settled) : 1;
    if (ack->delivery_tag > *settled) *settled = ack->delivery_tag;
    return count;
}

static void publish(int window, int count, int size) {
    amqp_confirm_select(connection, 1);
    check_reply("confirm.select");
    char *body = malloc(size + 64);
    memset(body, 'x', size + 64);
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                  AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_APP_ID_FLAG |
                  AMQP_BASIC_TIMESTAMP_FLAG,
        .content_type = amqp_cstring_bytes("application/json"),
        .delivery_mode = 2,
        .type = amqp_cstring_bytes("noop"),
        .app_id = amqp_cstring_bytes("bench"),
        .timestamp = (uint64_t)time(NULL),
    };
    int in_flight = 0;
    uint64_t settled = 0;
    double start = now(), used = cpu();
    for (int n = 0; n < count; n++) {
        char id[40];
        snprintf(id, sizeof id, "%036d", n);
        properties.message_id = amqp_cstring_bytes(id);
        amqp_bytes_t bytes = {.len = size + snprintf(body, 32, "{\"n\":%d}", n), .bytes = body};
        check(!amqp_basic_publish(connection, 1, amqp_empty_bytes, amqp_cstring_bytes(queue_name), 1,
                                  0, &properties, bytes), "basic.publish");
        in_flight++;
        while (in_flight >= window) in_flight -= confirmed(&settled);
    }
    while (in_flight > 0) in_flight -= confirmed(&settled);
    printf("{\"count\": %d, \"seconds\": %f, \"cpu\": %f}\n", count, now() - start, cpu() - used);
    free(body);
}

static void drain(int every, int count) {
    amqp_basic_qos(connection, 1, 0, 500, 0);
    check_reply("basic.qos");
    amqp_basic_consume(connection, 1, amqp_cstring_bytes(queue_name), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    check_reply("basic.consume");
    double start = 0, used = 0;
    for (int n = 0; n < count; n++) {
        amqp_envelope_t envelope;
        amqp_maybe_release_buffers(connection);
        check(amqp_consume_message(connection, &envelope, NULL, 0).reply_type ==
                  AMQP_RESPONSE_NORMAL, "consuming");
        if (n == 0) {
            start = now();
            used = cpu();
        }
        if ((n + 1) % every == 0 || n + 1 == count)
            amqp_basic_ack(connection, 1, envelope.delivery_tag, every > 1);
        amqp_destroy_envelope(&envelope);
    }
    printf("{\"count\": %d, \"seconds\": %f, \"cpu\": %f}\n", count, now() - start, cpu() - used);
}

int main(int argc, char **argv) {
    check(argc >= 4, "usage: limit publish WINDOW COUNT BYTES | limit drain EVERY COUNT");
    connect_to_broker();
    if (!strcmp(argv[1], "publish"))
        publish(atoi(argv[2]), atoi(argv[3]), argc > 4 ? atoi(argv[4]) : 0);
    else
        drain(atoi(argv[2]), atoi(argv[3]));
    return 0;
}
