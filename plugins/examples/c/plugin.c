// A plugin to copy: makes orders of a shop's webhooks, keeps the large ones and
// greets who ordered. What each function is given and gives back is in `wit/`,
// and as C in `build/full_plugin.h`.
//
//     head build.sh       # what it needs
//     ./build.sh
//     hookyard plugin test plugin.wasm tests/*.json
//
// A function that answers `false` refuses, and says why in its last argument. A
// trap is the plugin's fault.

#include "full_plugin.h"
#include "json.h"

typedef full_plugin_string_t string;
typedef hookyard_plugin_types_refusal_t refusal;

// Run by the host when the plugin is uploaded, and shown to whoever uses it.
#define CONFIG "{\"greeting\": \"Hello\", \"min_total\": 10}"
#define ORDER "{\"order\": 7, \"total\": 25, \"customer\": {\"name\": \"Jane\"}}"
#define QUOTED_ORDER "{\\\"order\\\": 7, \\\"total\\\": 25, \\\"customer\\\": {\\\"name\\\": \\\"Jane\\\"}}"
#define AT "2026-11-21T08:30:00.000Z"
#define GREETED "{\\\"text\\\": \\\"Hello, Jane! Order 7 came to 25.\\\", \\\"shop\\\": \\\"shop-1\\\", \\\"at\\\": \\\"" AT "\\\"}"

#define S(literal) ((string){(uint8_t *)(literal), sizeof(literal) - 1})
#define EXAMPLE(named, kind, in, out) \
    { .name = S(named), .job = EXPORTS_HOOKYARD_PLUGIN_SETTINGS_JOB_##kind, .config = S(CONFIG), .input = S(in), .output = S(out) }

static const char SCHEMA[] =
    "{\"type\": \"object\", \"properties\": {"
    "\"greeting\": {\"type\": \"string\", \"minLength\": 1, \"description\": \"What stands before the name.\"},"
    "\"min_total\": {\"type\": \"integer\", \"minimum\": 0, \"description\": \"Orders below this are dropped.\"}"
    "}, \"required\": [\"greeting\"], \"additionalProperties\": false}";

void exports_hookyard_plugin_settings_describe(exports_hookyard_plugin_settings_description_t *made) {
    static exports_hookyard_plugin_settings_example_t examples[3];
    examples[0] = (exports_hookyard_plugin_settings_example_t)EXAMPLE(
        "An order becomes an event", MAPPER,
        "{\"request\": {\"headers\": [{\"name\": \"x-shop\", \"value\": \"shop-1\"}], \"body\": \"" QUOTED_ORDER "\"}}",
        "[{\"type\": \"order.placed\", \"subject\": \"order:7\", \"account\": \"shop-1\", \"data\": " ORDER "}]");
    examples[1] = (exports_hookyard_plugin_settings_example_t)EXAMPLE(
        "A small order is dropped", FILTER,
        "{\"event\": {\"type\": \"order.placed\", \"data\": {\"order\": 8, \"total\": 5, \"customer\": {\"name\": \"Joe\"}}}}",
        "{\"drop\": \"order 8: a total of 5 is below 10\"}");
    examples[2] = (exports_hookyard_plugin_settings_example_t)EXAMPLE(
        "Who ordered is greeted", TRANSFORMER,
        "{\"event\": {\"type\": \"order.placed\", \"account\": \"shop-1\", \"occurred_at\": \"" AT "\", \"data\": " ORDER
        "}, \"message\": {\"body\": \"{}\"}}",
        "{\"method\": \"POST\", \"target\": \"orders/7\", \"headers\": [{\"name\": \"x-order\", \"value\": \"7\"}],"
        " \"body\": \"" GREETED "\"}");
    made->name = S("order-greeter");
    made->version = S("1.0.0");
    made->summary = S("Greets who ordered something.");
    made->config_schema = S(SCHEMA);
    made->capabilities.len = 0;
    made->examples.ptr = examples;
    made->examples.len = 3;
}

typedef struct {
    slice greeting;
    int64_t min_total;
} settings;

static slice of(string given) { return (slice){(const char *)given.ptr, given.len}; }

static string finished(text made) { return (string){(uint8_t *)made.at, made.len}; }

// What is absent has its default; `false` is for what has the wrong type.
static bool read_settings(string config, settings *read, bool wrong[2]) {
    slice value;
    *read = (settings){{"", 0}, 0};
    if (json_get(of(config), "greeting", &value)) json_text(value, &read->greeting);
    wrong[0] = read->greeting.len == 0;
    wrong[1] = json_get(of(config), "min_total", &value) && (!json_int(value, &read->min_total) || read->min_total < 0);
    return !wrong[0] && !wrong[1];
}

bool exports_hookyard_plugin_settings_check(string *config, exports_hookyard_plugin_settings_list_issue_t *issues) {
    static exports_hookyard_plugin_settings_issue_t found[2];
    settings read;
    bool wrong[2];
    if (read_settings(*config, &read, wrong)) return true;
    *issues = (exports_hookyard_plugin_settings_list_issue_t){found, 0};
    if (wrong[0]) {
        found[issues->len++] =
            (exports_hookyard_plugin_settings_issue_t){S("greeting"), S("must be text that is not empty")};
    }
    if (wrong[1]) {
        found[issues->len++] = (exports_hookyard_plugin_settings_issue_t){S("min_total"), S("must not be negative")};
    }
    return false;
}

typedef struct {
    int64_t order, total;
    slice name;
} order;

// The order that JSON text holds; anything else is refused.
static bool read_order(const char *what, slice document, order *read, refusal *refused) {
    slice number, total, customer, name;
    if (json_get(document, "order", &number) && json_int(number, &read->order) &&
        json_get(document, "total", &total) && json_int(total, &read->total) &&
        json_get(document, "customer", &customer) && json_get(customer, "name", &name) && json_text(name, &read->name))
        return true;
    text message = {0};
    add(&message, what);
    add(&message, ": an order has whole numbers `order` and `total`, and a text `customer.name`");
    *refused = (refusal){S("bad-input"), finished(message)};
    return false;
}

static bool is(string given, const char *name) {
    return given.len == strlen(name) && memcmp(given.ptr, name, given.len) == 0;
}

bool exports_hookyard_plugin_mapper_map(hookyard_plugin_types_request_t *request, string *config,
                                        exports_hookyard_plugin_mapper_list_draft_t *drafts, refusal *refused) {
    static hookyard_plugin_types_draft_t draft;
    (void)config;
    // Understood, and no event: none is made, and nothing is refused.
    *drafts = (exports_hookyard_plugin_mapper_list_draft_t){&draft, 0};
    for (size_t at = 0; at < request->query.len; at++) {
        if (is(request->query.ptr[at].name, "test")) return true;
    }
    order read;
    slice body = {(const char *)request->body.ptr, request->body.len};
    if (!read_order("body", body, &read, refused)) return false;
    text subject = {0};
    add(&subject, "order:");
    add_number(&subject, read.order);
    draft.type = (full_plugin_option_string_t){true, S("order.placed")};
    draft.subject = (full_plugin_option_string_t){true, finished(subject)};
    for (size_t at = request->headers.len; at-- > 0;) {
        hookyard_plugin_types_field_t header = request->headers.ptr[at];
        if (is(header.name, "x-shop")) draft.account = (full_plugin_option_string_t){true, header.value};
    }
    draft.data = (string){request->body.ptr, request->body.len};
    drafts->len = 1;
    return true;
}

bool exports_hookyard_plugin_filter_keep(hookyard_plugin_types_event_t *event, string *config,
                                         hookyard_plugin_types_verdict_t *verdict, refusal *refused) {
    order read;
    settings set;
    bool wrong[2];
    if (!read_order("data", of(event->data), &read, refused)) return false;
    read_settings(*config, &set, wrong);
    verdict->tag = HOOKYARD_PLUGIN_TYPES_VERDICT_KEEP;
    if (read.total >= set.min_total) return true;
    text reason = {0};
    add(&reason, "order ");
    add_number(&reason, read.order);
    add(&reason, ": a total of ");
    add_number(&reason, read.total);
    add(&reason, " is below ");
    add_number(&reason, set.min_total);
    verdict->tag = HOOKYARD_PLUGIN_TYPES_VERDICT_DROP;
    verdict->val.drop = finished(reason);
    return true;
}

// The greeting, as a JSON document.
static text greet(const hookyard_plugin_types_event_t *event, const settings *set, const order *read) {
    text body = {0};
    add(&body, "{\"text\": \"");
    add_slice(&body, set->greeting);
    add(&body, ", ");
    add_slice(&body, read->name);
    add(&body, "! Order ");
    add_number(&body, read->order);
    add(&body, " came to ");
    add_number(&body, read->total);
    add(&body, ".\", \"shop\": ");
    if (event->account.is_some) add_quoted(&body, of(event->account.val));
    else add(&body, "null");
    add(&body, ", \"at\": ");
    add_quoted(&body, of(event->occurred_at));
    add(&body, "}");
    return body;
}

bool exports_hookyard_plugin_transformer_transform(hookyard_plugin_types_event_t *event,
                                                   hookyard_plugin_types_message_t *message, string *config,
                                                   hookyard_plugin_types_message_t *made, refusal *refused) {
    order read;
    settings set;
    bool wrong[2];
    if (!read_order("data", of(event->data), &read, refused)) return false;
    read_settings(*config, &set, wrong);
    text number = {0}, said = {0}, target = {0};
    add_number(&number, read.order);
    add(&said, "greeting for order ");
    add_number(&said, read.order);
    string line = finished(said);
    hookyard_plugin_log_write(HOOKYARD_PLUGIN_LOG_LEVEL_INFO, &line);
    add(&target, "orders/");
    add_number(&target, read.order);
    text body = greet(event, &set, &read);

    *made = *message;
    made->target = (full_plugin_option_string_t){true, finished(target)};
    made->body = (full_plugin_list_u8_t){(uint8_t *)body.at, body.len};
    made->headers.ptr = malloc((message->headers.len + 1) * sizeof *made->headers.ptr);
    made->headers.len = 0;
    for (size_t at = 0; at < message->headers.len; at++) {
        if (!is(message->headers.ptr[at].name, "x-order")) made->headers.ptr[made->headers.len++] = message->headers.ptr[at];
    }
    made->headers.ptr[made->headers.len++] = (hookyard_plugin_types_field_t){S("x-order"), finished(number)};
    return true;
}
