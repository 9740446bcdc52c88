//! What admins and the operator look after: members and keys, the audit log,
//! tenants, the operator's own people, the server itself.

use super::super::page::{Page, Whom, optional, read};

pub(in super::super) const PAGES: &[Page] = &[
    Page {
        path: "/members",
        template: "members.html",
        // Keys and users are for admins, portals' links for members too.
        whom: Whom::Member,
        live: None,
        defaults: &[],
        reads: &[optional("keys", "/v1/keys?limit=250"), optional("users", "/v1/users?limit=250")],
    },
    Page {
        path: "/audit",
        template: "audit.html",
        whom: Whom::Tenant,
        live: Some("audit"),
        defaults: &[],
        reads: &[
            read("audit", "/v1/audit?limit=50{?target,action,by,after,before,cursor}"),
            optional("keys", "/v1/keys?limit=250"),
            optional("users", "/v1/users?limit=250"),
        ],
    },
    Page {
        path: "/operator",
        template: "operator.html",
        whom: Whom::Anybody,
        live: Some("server"),
        defaults: &[],
        reads: &[read("tenants", "/v1/tenants?limit=10"), optional("server", "/v1/operator/status")],
    },
    Page {
        path: "/operator/users",
        template: "operators.html",
        whom: Whom::Anybody,
        live: None,
        defaults: &[],
        reads: &[read("users", "/v1/operator/users?limit=250"), optional("audit", "/v1/operator/audit?limit=20")],
    },
    Page {
        path: "/operator/tenants",
        template: "tenants.html",
        whom: Whom::Anybody,
        live: None,
        defaults: &[],
        reads: &[read("tenants", "/v1/tenants?limit=50{?cursor}")],
    },
    Page {
        path: "/operator/tenants/new",
        template: "tenant_new.html",
        whom: Whom::Anybody,
        live: None,
        defaults: &[],
        // The list is read for who may: the dialects are for anybody.
        reads: &[read("tenants", "/v1/tenants?limit=1"), read("dialects", "/v1/dialects")],
    },
    Page {
        path: "/operator/tenants/{id}",
        template: "tenant.html",
        whom: Whom::Anybody,
        live: None,
        defaults: &[],
        reads: &[
            read("tenant", "/v1/tenants/{id}"),
            read("keys", "/v1/tenants/{id}/keys?limit=250"),
            optional("users", "/v1/tenants/{id}/users?limit=250"),
            optional("audit", "/v1/tenants/{id}/audit?limit=20"),
            read("dialects", "/v1/dialects"),
        ],
    },
];

pub(in super::super) const TEMPLATES: &[(&str, &str)] = &[
    ("admin_macros.html", include_str!("../templates/admin_macros.html")),
    ("members.html", include_str!("../templates/members.html")),
    ("audit.html", include_str!("../templates/audit.html")),
    ("operator.html", include_str!("../templates/operator.html")),
    ("operators.html", include_str!("../templates/operators.html")),
    ("tenants.html", include_str!("../templates/tenants.html")),
    ("tenant_new.html", include_str!("../templates/tenant_new.html")),
    ("tenant.html", include_str!("../templates/tenant.html")),
];
