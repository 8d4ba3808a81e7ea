//! Topics are built and parsed alike, and the access rules let nobody near another's topics.

use crate::strategies::slug;
use chiasm_proto::{
    Down, GatewayId, TenantId, Topic, Up,
    topic::{self, Leaf, may_publish, may_subscribe},
};
use proptest::{prelude::*, sample::select};

type Owner = (TenantId, GatewayId);

fn owner() -> impl Strategy<Value = Owner> {
    (slug(), slug()).prop_map(|(tenant, gateway)| {
        (TenantId::new(tenant).expect("a slug"), GatewayId::new(gateway).expect("a slug"))
    })
}

fn leaf() -> impl Strategy<Value = Leaf> {
    prop_oneof![
        select(Up::ALL).prop_map(Leaf::Up),
        select(Down::ALL).prop_map(Leaf::Down),
        Just(Leaf::State),
    ]
}

fn topic_of((tenant, gateway): &Owner, leaf: Leaf) -> Topic {
    Topic { tenant: tenant.clone(), gateway: gateway.clone(), leaf }
}

/// Text made of the pieces that matter to a broker, to find odd filters that random text would not.
fn odd_filter((tenant, gateway): Owner) -> impl Strategy<Value = String> {
    let pieces = vec![
        tenant.to_string(),
        gateway.to_string(),
        "chiasm".into(),
        "v1".into(),
        "up".into(),
        "down".into(),
        "state".into(),
        "ack".into(),
        "reading".into(),
        "+".into(),
        "#".into(),
        String::new(),
        "$share".into(),
        "$SYS".into(),
        "..".into(),
        "other".into(),
        "+x".into(),
    ];
    proptest::collection::vec(select(pieces), 1..8).prop_map(|levels| levels.join("/"))
}

/// MQTT's own matching of a filter with a topic.
fn matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

proptest! {
    #[test]
    fn a_topic_round_trips(owner in owner(), leaf in leaf()) {
        let topic = topic_of(&owner, leaf);
        prop_assert_eq!(topic.to_string().parse::<Topic>(), Ok(topic));
    }

    #[test]
    fn only_topics_written_as_we_write_them_are_read(
        text in owner().prop_flat_map(odd_filter)
    ) {
        if let Ok(topic) = text.parse::<Topic>() {
            prop_assert_eq!(topic.to_string(), text);
        }
    }

    #[test]
    fn no_text_panics(owner in owner(), text in any::<String>()) {
        let _ = text.parse::<Topic>();
        let _ = may_publish(&owner.0, &owner.1, &text);
        let _ = may_subscribe(&owner.0, &owner.1, &text);
    }

    /// May publish: all of its own `up/…` and `state`, nothing else.
    #[test]
    fn a_gateway_publishes_its_own_only(me in owner(), other in owner(), leaf in leaf()) {
        let may = |topic: &Topic| may_publish(&me.0, &me.1, &topic.to_string());
        let own_allowed = !matches!(leaf, Leaf::Down(_));
        prop_assert_eq!(may(&topic_of(&me, leaf)), own_allowed);
        for stranger in [
            other.clone(), (me.0.clone(), other.1.clone()), (other.0, me.1.clone()),
        ] {
            prop_assert!(stranger == me || !may(&topic_of(&stranger, leaf)));
        }
    }

    #[test]
    fn nothing_odd_is_published(
        (me, text) in owner().prop_flat_map(|me| (Just(me.clone()), odd_filter(me)))
    ) {
        if may_publish(&me.0, &me.1, &text) {
            let topic: Topic = text.parse().expect("only a topic of ours may be published");
            prop_assert_eq!((topic.tenant, topic.gateway), me);
            prop_assert!(!matches!(topic.leaf, Leaf::Down(_)));
        }
    }

    /// Whatever filter is allowed matches no topic of anybody else, and of its own only `down/…`.
    #[test]
    fn a_filter_reaches_own_down_topics_only(
        (me, filter) in owner().prop_flat_map(|me| (Just(me.clone()), odd_filter(me))),
        other in owner(),
        leaf in leaf(),
    ) {
        let own = topic_of(&me, leaf).to_string();
        if may_subscribe(&me.0, &me.1, &filter) {
            prop_assert!(!matches(&filter, &own) || matches!(leaf, Leaf::Down(_)));
            for stranger in [
                other.clone(), (me.0.clone(), other.1.clone()), (other.0, me.1.clone()),
            ] {
                let theirs = topic_of(&stranger, leaf).to_string();
                prop_assert!(stranger == me || !matches(&filter, &theirs), "{filter} {theirs}");
            }
        }
    }

    #[test]
    fn a_gateway_subscribes_to_its_own_only(me in owner(), other in owner()) {
        let wanted = |(tenant, gateway): &Owner| topic::down_filter(tenant, gateway);
        prop_assert!(may_subscribe(&me.0, &me.1, &wanted(&me)));
        for down in Down::ALL {
            let topic = topic_of(&me, Leaf::Down(*down)).to_string();
            prop_assert!(may_subscribe(&me.0, &me.1, &topic));
            prop_assert!(matches(&wanted(&me), &topic));
        }
        prop_assert!(me == other || !may_subscribe(&me.0, &me.1, &wanted(&other)));
        for filter in ["#", "+", "chiasm/#", "chiasm/v1/#", topic::UP_FILTER, topic::STATE_FILTER] {
            prop_assert!(!may_subscribe(&me.0, &me.1, filter), "{}", filter);
            prop_assert!(!may_subscribe(&me.0, &me.1, &topic::shared("g", filter)));
        }
        let shared = topic::shared("g", &wanted(&me));
        prop_assert!(!may_subscribe(&me.0, &me.1, &shared));
    }

    /// The cloud's filters reach every gateway and nothing that is sent down.
    #[test]
    fn the_cloud_hears_all_that_goes_up(owner in owner(), leaf in leaf()) {
        let topic = topic_of(&owner, leaf).to_string();
        prop_assert_eq!(matches(topic::UP_FILTER, &topic), matches!(leaf, Leaf::Up(_)));
        prop_assert_eq!(matches(topic::STATE_FILTER, &topic), matches!(leaf, Leaf::State));
    }
}
