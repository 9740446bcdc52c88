//! What `wit-bindgen` makes of `wit/`. One world for each interface, so that
//! a plugin exports any combination of jobs: the linker unites the worlds of
//! all the `export!` macros that it meets.

/// The records that cross the border, and the host's log.
#[expect(missing_docs, reason = "generated; `wit/` says what each thing is")]
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package hookyard:sdk;
            world imports {
                import hookyard:plugin/types@0.1.0;
                import hookyard:plugin/log@0.1.0;
            }
        ",
        world: "hookyard:sdk/imports",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
        additional_type_attributes: {
            "hookyard:plugin/types@0.1.0/request": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "hookyard:plugin/types@0.1.0/draft": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "hookyard:plugin/types@0.1.0/event": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "hookyard:plugin/types@0.1.0/message": [#[derive(Default)] #[serde(default, deny_unknown_fields)]],
            "hookyard:plugin/types@0.1.0/verdict": [#[serde(rename_all = "snake_case")]],
        },
        additional_member_attributes: {
            "hookyard:plugin/types@0.1.0/request.body": [#[serde(with = "crate::json::text")]],
            "hookyard:plugin/types@0.1.0/draft.type": [#[serde(rename = "type", skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/draft.occurred-at": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/draft.subject": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/draft.account": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/draft.data": [#[serde(with = "crate::json::document")]],
            "hookyard:plugin/types@0.1.0/event.type": [#[serde(rename = "type")]],
            "hookyard:plugin/types@0.1.0/event.subject": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/event.account": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/event.data": [#[serde(with = "crate::json::document")]],
            "hookyard:plugin/types@0.1.0/message.target": [#[serde(skip_serializing_if = "Option::is_none")]],
            "hookyard:plugin/types@0.1.0/message.body": [#[serde(with = "crate::json::text")]],
        },
    });
}

/// The capabilities, each in a world of its own: what a plugin does not call
/// is not imported, and what it does not import it need not declare.
macro_rules! capabilities {
    ($($module:ident: $world:literal imports $interface:literal with { $($with:tt)* })*) => {$(
        #[expect(missing_docs, reason = "generated; `wit/` says what each thing is")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                inline: $interface,
                world: $world,
                generate_all,
                ownership: Borrowing { duplicate_if_necessary: false },
                with: { $($with)* },
            });
        }
    )*};
}

capabilities! {
    history: "hookyard:sdk/history"
        imports "package hookyard:sdk; world history { import hookyard:plugin/history@0.1.0; }"
        with { "hookyard:plugin/types@0.1.0": crate::bindings::imports::hookyard::plugin::types }
    summaries: "hookyard:sdk/summaries"
        imports "package hookyard:sdk; world summaries { import hookyard:plugin/summaries@0.1.0; }"
        with {}
    secrets: "hookyard:sdk/secrets"
        imports "package hookyard:sdk; world secrets { import hookyard:plugin/secrets@0.1.0; }"
        with {}
    state: "hookyard:sdk/state"
        imports "package hookyard:sdk; world state { import hookyard:plugin/state@0.1.0; }"
        with {}
    http: "hookyard:sdk/http"
        imports "package hookyard:sdk; world http { import hookyard:plugin/http@0.1.0; }"
        with { "hookyard:plugin/types@0.1.0": crate::bindings::imports::hookyard::plugin::types }
}

/// One module and one `export!` for each interface that a plugin may export.
/// `$with` is where the records are that the interface uses.
macro_rules! exported {
    ($($module:ident: $world:literal exports $interface:literal with { $($with:tt)* })*) => {$(
        #[expect(missing_docs, reason = "generated; `wit/` says what each thing is")]
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit",
                inline: $interface,
                world: $world,
                pub_export_macro: true,
                default_bindings_module: "hookyard_plugin::bindings",
                additional_derives: [PartialEq, Eq],
                with: { $($with)* },
            });
        }
    )*};
}

exported! {
    settings: "hookyard:sdk/settings"
        exports "package hookyard:sdk; world settings { export hookyard:plugin/settings@0.1.0; }"
        with {}
    mapper: "hookyard:sdk/mapper"
        exports "package hookyard:sdk; world mapper { export hookyard:plugin/mapper@0.1.0; }"
        with { "hookyard:plugin/types@0.1.0": crate::bindings::imports::hookyard::plugin::types }
    filter: "hookyard:sdk/filter"
        exports "package hookyard:sdk; world filter { export hookyard:plugin/filter@0.1.0; }"
        with { "hookyard:plugin/types@0.1.0": crate::bindings::imports::hookyard::plugin::types }
    prepare: "hookyard:sdk/prepare"
        exports "package hookyard:sdk; world prepare { export hookyard:plugin/prepare@0.1.0; }"
        with {}
    transformer: "hookyard:sdk/transformer"
        exports "package hookyard:sdk; world transformer { export hookyard:plugin/transformer@0.1.0; }"
        with { "hookyard:plugin/types@0.1.0": crate::bindings::imports::hookyard::plugin::types }
}
