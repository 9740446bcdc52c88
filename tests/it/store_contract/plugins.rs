//! Plugin versions never change, and components are kept while they are used.

use bytes::Bytes;
use hookyard::domain::id::TenantId;
use hookyard::domain::pipeline::Pipeline;
use hookyard::domain::place::PlaceId;
use hookyard::domain::plugin::{Description, Digest, Example, Job, Owner, PluginName, PluginVersion, Stock};
use hookyard::domain::upgrade::{Moved, Repinned};
use hookyard::store::StoreError;
use hookyard::store::catalog::{MoveLog, PluginUpload, StepMove};
use serde_json::json;

use super::given::{NOW, a_tenant, endpoint, id, source};

fn upload(owner: Owner, name: &str, component: &[u8]) -> PluginUpload {
    let example = Example {
        name: "one".to_owned(),
        job: Job::Filter,
        config: json!({"a": 1}),
        input: json!([1, 2.50]),
        output: json!(null),
    };
    PluginUpload {
        owner,
        name: name.parse().expect("a plugin name"),
        digest: Digest::of(component),
        component: Bytes::copy_from_slice(component),
        jobs: vec![Job::Mapper, Job::Filter],
        description: Description {
            name: "says its author".to_owned(),
            version: "1.2.3".to_owned(),
            summary: "does".to_owned(),
            config_schema: json!({"type": "object"}),
            capabilities: vec!["history".to_owned()],
            examples: vec![example],
        },
        compile_ms: 280,
        uploaded_by: Some(id()),
        created_at: NOW,
        most: None,
    }
}

fn numbers(versions: &[PluginVersion]) -> Vec<(String, u32)> {
    let mut numbers: Vec<_> = versions.iter().map(|version| (version.name.to_string(), version.version)).collect();
    numbers.sort();
    numbers
}

contract! {
    async fn a_plugin_version_reads_back_whole(store: &Store) -> Kept {
        let tenant: TenantId = a_tenant(store, "acme").await?;
        let owner = Owner::Tenant(tenant);
        let answered = store.catalog.add_plugin(upload(owner, "mine", b"first")).await?;
        let stored = store.catalog.plugins(owner).await?;
        assert_eq!(format!("{stored:?}"), format!("{:?}", [&answered]));

        let sent = upload(owner, "mine", b"first");
        assert_eq!(answered.owner, owner);
        assert_eq!((answered.name, answered.version, answered.digest), (sent.name, 1, sent.digest));
        assert_eq!(answered.compile_ms, sent.compile_ms);
        assert!(answered.uploaded_by.is_some());
        assert_eq!((answered.size, answered.jobs, answered.created_at), (5, sent.jobs, sent.created_at));
        assert_eq!(format!("{:?}", answered.description), format!("{:?}", sent.description));
        assert_eq!(store.catalog.component(sent.digest).await?.as_deref(), Some(b"first".as_slice()));

        let picture = store.catalog.picture(tenant).await?.expect("the tenant exists");
        assert_eq!(picture.plugins.values().flat_map(|versions| versions.keys()).copied().collect::<Vec<_>>(), [1]);
        Ok(())
    }

    async fn the_same_component_is_the_same_version(store: &Store) -> Kept {
        let owner = Owner::Tenant(a_tenant(store, "acme").await?);
        let add = async |component: &[u8]| store.catalog.add_plugin(upload(owner, "mine", component)).await;
        assert_eq!(add(b"first").await?.version, 1);
        assert_eq!(add(b"second").await?.version, 2);
        assert_eq!(add(b"first").await?.version, 1);
        assert_eq!(add(b"third").await?.version, 3);
        assert_eq!(store.catalog.add_plugin(upload(owner, "other", b"first")).await?.version, 1);
        let stored = numbers(&store.catalog.plugins(owner).await?);
        let expected = [("mine", 1), ("mine", 2), ("mine", 3), ("other", 1)];
        assert_eq!(stored, expected.map(|(name, version)| (name.to_owned(), version)));
        Ok(())
    }

    async fn an_owner_has_no_more_versions_and_bytes_than_it_may(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (owner, other) = (Owner::Tenant(tenant), Owner::Tenant(a_tenant(store, "other").await?));
        let most = Some(Stock { versions: 3, bytes: 20, described: 10_000 });
        let add = async |owner: Owner, name: &str, component: &[u8]| {
            store.catalog.add_plugin(PluginUpload { most, ..upload(owner, name, component) }).await
        };
        add(owner, "mine", b"ten bytes.").await?;
        let too_large = add(owner, "mine", b"eleven byte").await;
        assert!(matches!(too_large, Err(StoreError::OverLimit)), "{too_large:?}");
        let mut wordy = upload(owner, "mine", b"tiny");
        wordy.description.summary = "x".repeat(10_000);
        wordy.most = most;
        let too_long = store.catalog.add_plugin(wordy).await;
        assert!(matches!(too_long, Err(StoreError::OverLimit)), "{too_long:?}");
        add(owner, "other", b"5 is.").await?;
        add(owner, "mine", b"small").await?;
        let too_many = add(owner, "mine", b"").await;
        assert!(matches!(too_many, Err(StoreError::OverLimit)), "{too_many:?}");

        assert_eq!(add(owner, "mine", b"small").await?.version, 2, "it is there already, and nothing was counted");
        add(other, "mine", b"ten bytes.").await?;
        let name = "other".parse().expect("a plugin name");
        store.catalog.delete_plugin(tenant, &name, None).await?;
        add(owner, "mine", b"fits").await?;
        Ok(())
    }

    async fn a_component_goes_with_its_last_version(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let name = "mine".parse().expect("a plugin name");
        store.catalog.add_plugin(upload(Owner::Tenant(tenant), "mine", b"own")).await?;
        store.catalog.add_plugin(upload(Owner::Tenant(tenant), "mine", b"shared")).await?;
        store.catalog.add_plugin(upload(Owner::House, "house", b"shared")).await?;

        store.catalog.delete_plugin(tenant, &name, None).await?;

        assert!(store.catalog.plugins(Owner::Tenant(tenant)).await?.is_empty());
        assert_eq!(store.catalog.component(Digest::of(b"own")).await?, None);
        assert!(store.catalog.component(Digest::of(b"shared")).await?.is_some());
        assert_eq!(numbers(&store.catalog.plugins(Owner::House).await?), [("house".to_owned(), 1)]);
        Ok(())
    }

    async fn a_versions_number_is_never_given_again(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let name = "mine".parse().expect("a plugin name");
        let add = async |component: &[u8]| store.catalog.add_plugin(upload(Owner::Tenant(tenant), "mine", component)).await;
        add(b"first").await?;
        add(b"second").await?;
        store.catalog.delete_plugin(tenant, &name, Some(2)).await?;
        assert_eq!(add(b"second").await?.version, 3);
        store.catalog.delete_plugin(tenant, &name, None).await?;
        assert_eq!(add(b"first").await?.version, 4);
        let missing = store.catalog.delete_plugin(tenant, &name, Some(1)).await;
        assert!(matches!(missing, Err(StoreError::NotFound)), "{missing:?}");
        Ok(())
    }

    async fn a_version_that_a_step_pins_stays(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let name = "field-mapper".parse().expect("a plugin name");
        for component in ["one", "two", "three"] {
            store.catalog.add_plugin(upload(Owner::Tenant(tenant), "field-mapper", component.as_bytes())).await?;
        }
        // It has a step with version 3.
        store.catalog.create_source(&source(tenant, "in")).await?;
        for version in [None, Some(3)] {
            let kept = store.catalog.delete_plugin(tenant, &name, version).await;
            assert!(matches!(kept, Err(StoreError::InUse)), "{kept:?}");
        }
        store.catalog.delete_plugin(tenant, &name, Some(2)).await?;
        assert_eq!(numbers(&store.catalog.plugins(Owner::Tenant(tenant)).await?).len(), 2);
        Ok(())
    }

    async fn steps_move_together_or_not_at_all_and_back(store: &Store) -> Kept {
        let tenant = a_tenant(store, "acme").await?;
        let (source, endpoint) = (source(tenant, "in"), endpoint(tenant, "out"));
        store.catalog.create_source(&source).await?;
        store.catalog.create_endpoint(&endpoint, None, None).await?;
        let repinned = |whose, before: &Pipeline| {
            let mut after = before.clone();
            after.steps[0].version = 4;
            Repinned { whose, before: before.clone(), after }
        };
        let both = || vec![
            repinned(PlaceId::Source(source.id), &source.pipeline),
            repinned(PlaceId::Endpoint(endpoint.id), &endpoint.pipeline),
        ];
        let plugin: PluginName = "field-mapper".parse().expect("a plugin name");
        let moved = vec![Moved { whose: PlaceId::Source(source.id), step: 0, from: 3, to: 4 }];
        let add = |pipelines| StepMove {
            plugin: plugin.clone(),
            pipelines,
            log: MoveLog::Add { moved: moved.clone(), at: NOW },
        };
        let mut stale = both();
        stale[1].before.steps[0].config = "{}".to_owned();
        let refused = store.catalog.move_steps(tenant, add(stale)).await;
        assert!(matches!(refused, Err(StoreError::Changed)), "{refused:?}");
        assert_eq!(store.catalog.last_move(tenant, &plugin).await?, None);
        let picture = store.catalog.picture(tenant).await?.expect("the tenant exists");
        assert_eq!(picture.sources[&source.id].pipeline, source.pipeline, "the first of the two has not moved");

        store.catalog.move_steps(tenant, add(both())).await?;
        let picture = store.catalog.picture(tenant).await?.expect("the tenant exists");
        assert_eq!(picture.sources[&source.id].pipeline.steps[0].version, 4);
        assert_eq!(picture.endpoints[&endpoint.id].endpoint.pipeline.steps[0].version, 4);
        let (number, last) = store.catalog.last_move(tenant, &plugin).await?.expect("there is one");
        assert_eq!(last, moved);
        assert_eq!(store.catalog.last_move(a_tenant(store, "other").await?, &plugin).await?, None);

        let back = || StepMove { plugin: plugin.clone(), pipelines: Vec::new(), log: MoveLog::TakeBack { number } };
        store.catalog.move_steps(tenant, back()).await?;
        assert_eq!(store.catalog.last_move(tenant, &plugin).await?, None);
        let twice = store.catalog.move_steps(tenant, back()).await;
        assert!(matches!(twice, Err(StoreError::Changed)), "{twice:?}");
        Ok(())
    }
}
