//! What flows: the overview, events, deliveries, endpoints, replays.

use super::super::page::{Page, Whom, optional, read};

pub(in super::super) const PAGES: &[Page] = &[
    Page {
        path: "/",
        template: "overview.html",
        whom: Whom::Tenant,
        live: Some("recent"),
        defaults: &[("since", "-24h"), ("step", "1800")],
        reads: &[
            optional("activity", "/v1/activity{?since,step}"),
            optional("attention", "/v1/attention"),
            optional("endpoints", "/v1/endpoints?limit=1"),
            optional("sources", "/v1/sources?limit=1"),
            optional("recent", "/v1/deliveries?limit=8"),
        ],
    },
    Page {
        path: "/events",
        template: "events.html",
        whom: Whom::Tenant,
        live: Some("events"),
        defaults: &[],
        reads: &[
            read("events", "/v1/events{?type,tag,subject,account,after,before,cursor}"),
            optional("types", "/v1/event-types"),
        ],
    },
    Page {
        path: "/events/{id}",
        template: "event.html",
        whom: Whom::Tenant,
        live: Some("deliveries"),
        defaults: &[],
        reads: &[
            read("event", "/v1/events/{id}"),
            optional("explanation", "/v1/events/{id}/explain"),
            optional("deliveries", "/v1/deliveries?event={id}{?cursor}"),
        ],
    },
    Page {
        path: "/deliveries",
        template: "deliveries.html",
        whom: Whom::Tenant,
        live: Some("deliveries"),
        defaults: &[],
        reads: &[
            read("deliveries", "/v1/deliveries{?state,endpoint,event,type,after,before,text,cursor}"),
            optional("endpoints", "/v1/endpoints?limit=250"),
            optional("types", "/v1/event-types"),
        ],
    },
    Page {
        path: "/deliveries/{id}",
        template: "delivery.html",
        whom: Whom::Tenant,
        live: Some("delivery"),
        defaults: &[],
        reads: &[
            read("delivery", "/v1/deliveries/{id}"),
            optional("event", "/v1/events/{delivery.event_id}"),
            optional("endpoint", "/v1/endpoints/{delivery.endpoint_id}"),
        ],
    },
    Page {
        path: "/endpoints",
        template: "endpoints.html",
        whom: Whom::Tenant,
        live: Some("endpoints"),
        defaults: &[],
        reads: &[read("endpoints", "/v1/endpoints{?cursor}")],
    },
    Page {
        path: "/endpoints/new",
        template: "endpoint_new.html",
        whom: Whom::Tenant,
        live: None,
        defaults: &[],
        reads: &[read("types", "/v1/event-types"), read("dialects", "/v1/dialects")],
    },
    Page {
        path: "/endpoints/{id}",
        template: "endpoint.html",
        whom: Whom::Tenant,
        live: Some("deliveries"),
        defaults: &[],
        reads: &[
            read("endpoint", "/v1/endpoints/{id}"),
            optional("dialect", "/v1/dialects/{endpoint.dialect}"),
            optional("deliveries", "/v1/deliveries?endpoint={id}&limit=30"),
            optional("pending", "/v1/deliveries?endpoint={id}&state=pending&limit=250"),
            optional("replays", "/v1/replays?endpoint={id}&limit=3"),
        ],
    },
    Page {
        path: "/endpoints/{id}/edit",
        template: "endpoint_edit.html",
        whom: Whom::Tenant,
        live: None,
        defaults: &[],
        reads: &[
            read("endpoint", "/v1/endpoints/{id}"),
            optional("dialect", "/v1/dialects/{endpoint.dialect}"),
            optional("types", "/v1/event-types"),
        ],
    },
    Page {
        path: "/replays",
        template: "replays.html",
        whom: Whom::Tenant,
        live: Some("replays"),
        defaults: &[],
        reads: &[read("replays", "/v1/replays{?endpoint,cursor}"), optional("endpoints", "/v1/endpoints?limit=250")],
    },
];

pub(in super::super) const TEMPLATES: &[(&str, &str)] = &[
    ("overview.html", include_str!("../templates/overview.html")),
    ("events.html", include_str!("../templates/events.html")),
    ("event.html", include_str!("../templates/event.html")),
    ("deliveries.html", include_str!("../templates/deliveries.html")),
    ("delivery.html", include_str!("../templates/delivery.html")),
    ("delivery_list.html", include_str!("../templates/delivery_list.html")),
    ("endpoints.html", include_str!("../templates/endpoints.html")),
    ("endpoint_new.html", include_str!("../templates/endpoint_new.html")),
    ("endpoint.html", include_str!("../templates/endpoint.html")),
    ("endpoint_edit.html", include_str!("../templates/endpoint_edit.html")),
    ("endpoint_fields.html", include_str!("../templates/endpoint_fields.html")),
    ("endpoint_access.html", include_str!("../templates/endpoint_access.html")),
    ("replays.html", include_str!("../templates/replays.html")),
];
