//! No list reads a whole table or sorts one.

mod delivery_log {
    use crate::domain::delivery::State;
    use crate::domain::id::{DeliveryId, TenantId};
    use crate::domain::id::{EndpointId, EventId};
    use crate::domain::time::Timestamp;
    use crate::store::ledger::LogQuery;
    use crate::store::sqlite::keeping_tests::{database, plan};
    use crate::store::sqlite::sql::delivery_log::{LOOKED_AT, READ, Way, end, list};

    /// Every way to ask, with everything that can be asked beside.
    fn questions() -> Vec<LogQuery> {
        let at = Timestamp::from_millis(1_763_700_000_000);
        let mut questions = Vec::new();
        for ways in 0..16 {
            for state in [None, Some(State::Pending), Some(State::Delivered), Some(State::Dead)] {
                questions.push(LogQuery {
                    event: (ways & 1 > 0).then(|| EventId::floor(at)),
                    endpoint: (ways & 2 > 0).then(|| EndpointId::floor(at)),
                    text: (ways & 4 > 0).then(|| "a_b%".to_owned()),
                    event_type: (ways & 4 > 0).then(|| "order.*".parse().unwrap()),
                    account: (ways & 8 > 0).then(|| "berlin".to_owned()),
                    endpoints_of_text: vec![EndpointId::floor(at); ways],
                    state,
                    since: Some(at),
                    until: Some(at),
                    older_than: Some(DeliveryId::floor(at)),
                    limit: 50,
                    only: None,
                });
            }
        }
        questions.push(LogQuery { only: Some(DeliveryId::floor(at)), limit: 1, ..LogQuery::default() });
        questions
    }

    #[tokio::test]
    async fn no_question_reads_a_whole_table_or_sorts_one() {
        let mut conn = database().await;
        let tenant = TenantId::floor(Timestamp::from_millis(1));
        for wanted in questions() {
            for query in [list(tenant, &wanted), end(tenant, &wanted, 10)] {
                let sql = query.sql().as_str().to_owned();
                let steps = plan(&mut conn, &sql).await;
                let is_slow = |step: &String| {
                    let table = ["deliveries", "events", "attempts"].iter().any(|table| step.contains(table));
                    step.starts_with("SCAN") && table
                };
                assert!(!steps.iter().any(is_slow), "{wanted:?}\n{sql}\n{steps:#?}");
                let led_to = steps.iter().any(|step| step.starts_with("SEARCH deliveries USING"));
                assert!(led_to, "{wanted:?}\n{sql}\n{steps:#?}");
            }
            // What is looked at comes in its order: it ends after so many.
            let steps = plan(&mut conn, end(tenant, &wanted, 10).sql().as_str()).await;
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{wanted:?}\n{steps:#?}");
        }
    }

    #[test]
    fn what_has_no_index_is_bounded() {
        for wanted in questions() {
            let way = Way::of(&wanted);
            let bound = way.bound(&wanted);
            match (wanted.text.is_some() || wanted.account.is_some(), wanted.only, way) {
                (_, Some(_), _) => assert_eq!(bound, None),
                (true, ..) => assert_eq!(bound, Some(READ)),
                (false, _, Way::All | Way::Endpoint) if wanted.state.is_none() => assert_eq!(bound, None),
                (false, ..) => assert!(bound.is_none_or(|bound| bound == LOOKED_AT)),
            }
        }
    }
}

mod event_log {
    use crate::domain::id::{EventId, TenantId};
    use crate::domain::time::Timestamp;
    use crate::store::ledger::{EventQuery, MAX_PAGE};
    use crate::store::sqlite::keeping_tests::{database, plan};
    use crate::store::sqlite::sql::event_log::{Found, bound, end, fitting, list};

    fn questions() -> impl Iterator<Item = EventQuery> {
        let at = Timestamp::from_millis(1_763_700_000_000);
        (0..128).map(move |ways| {
            let some = |bit: u32| (ways & bit > 0).then(|| "x".to_owned());
            EventQuery {
                event_type: some(1).map(|_| "order.*".parse().unwrap()),
                tag: some(2),
                subject: some(4),
                account: some(8),
                without_account: ways & 64 > 0,
                with_data: ways & 16 > 0,
                max_data: (ways & 16 > 0).then_some(10),
                after: (ways & 32 > 0).then_some(at),
                before: (ways & 32 > 0).then_some(at),
                older_than: (ways & 1 > 0).then(|| EventId::floor(at)),
                limit: 50,
            }
        })
    }

    #[tokio::test]
    async fn no_question_reads_all_events_or_sorts_them() {
        let mut conn = database().await;
        let tenant = TenantId::floor(Timestamp::from_millis(1));
        for wanted in questions() {
            for query in [list(tenant, &wanted), end(tenant, &wanted, 10)] {
                let steps = plan(&mut conn, query.sql().as_str()).await;
                assert!(steps.iter().any(|step| step.starts_with("SEARCH events USING")), "{wanted:?}\n{steps:#?}");
                assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{wanted:?}\n{steps:#?}");
            }
            let by_account = wanted.account.is_some() || wanted.without_account;
            let is_bounded = wanted.event_type.is_some() || wanted.tag.is_some() || by_account;
            assert_eq!(bound(&wanted).is_some(), is_bounded);
        }
    }

    #[test]
    fn a_page_ends_where_its_data_would_be_too_many_bytes() {
        let found = |sizes: &[usize]| {
            let found: Vec<Found> = sizes
                .iter()
                .map(|bytes| Found { id: EventId::floor(Timestamp::from_millis(1)), bytes: *bytes })
                .collect();
            fitting(&found)
        };
        assert_eq!(found(&[]), 0);
        assert_eq!(found(&[MAX_PAGE + 1, 1]), 1);
        assert_eq!(found(&[1, MAX_PAGE - 1, 1]), 2);
        assert_eq!(found(&[1, 2, 3]), 3);
    }
}

mod request_log {
    use crate::domain::id::SourceId;
    use crate::domain::id::{RequestId, TenantId};
    use crate::domain::time::Timestamp;
    use crate::store::ledger::RequestQuery;
    use crate::store::sqlite::keeping_tests::{database, plan};
    use crate::store::sqlite::sql::request_log::{end, list};

    #[tokio::test]
    async fn no_question_reads_requests_to_find_some() {
        let mut conn = database().await;
        let at = Timestamp::from_millis(1_763_700_000_000);
        let tenant = TenantId::floor(at);
        for ways in 0..8 {
            let wanted = RequestQuery {
                source: (ways & 1 > 0).then(|| SourceId::floor(at)),
                state: (ways & 2 > 0).then(|| "accepted".to_owned()),
                older_than: (ways & 4 > 0).then(|| RequestId::floor(at)),
                limit: 50,
            };
            let steps = plan(&mut conn, end(tenant, &wanted, 10).sql().as_str()).await;
            assert!(steps.iter().all(|step| step.contains("SEARCH requests USING COVERING INDEX")), "{steps:#?}");
            let steps = plan(&mut conn, list(tenant, &wanted).sql().as_str()).await;
            assert!(!steps.iter().any(|step| step.contains("SCAN requests")), "{wanted:?}\n{steps:#?}");
        }
    }
}
