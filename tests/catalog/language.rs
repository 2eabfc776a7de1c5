use std::{fs, path::Path, time::Duration};
use tidegate::{
    decode::Mark,
    error::Result,
    manifest::{self, Connector, Cursor, Stream},
    yaml::File,
};

fn streams() -> Vec<Stream> {
    let catalog = manifest::catalog(None).unwrap();
    catalog.connectors["chargebee"].streams.iter().map(|s| s.as_ref().clone()).collect()
}

fn stream(name: &str) -> Stream {
    streams().into_iter().find(|s| s.name == name).unwrap()
}

/// The connector with one text of its YAML replaced.
fn with(from: &str, to: &str) -> Result<Connector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors/chargebee");
    let read = |name: String| File { text: fs::read_to_string(folder.join(&name)).unwrap(), path: name };
    let mut yaml = read("connector.yaml".into());
    assert!(yaml.text.contains(from), "{from}");
    yaml.text = yaml.text.replacen(from, to, 1);
    let names = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let sql: Vec<File> = names.filter(|n| n.ends_with(".sql")).map(read).collect();
    manifest::load("chargebee", &yaml, &sql, &manifest::catalog(None).unwrap().entities)
}

#[test]
fn each_list_of_the_catalog_is_sorted_as_it_allows_and_takes_what_it_knows() {
    let expected = [
        ("item_families", None, false, "v2"),
        ("items", Some("id"), false, "v2"),
        ("item_prices", Some("id"), false, "v2"),
        ("coupons", Some("created_at"), false, ""),
        ("plans", None, true, "v1"),
        ("addons", None, true, "v1"),
    ];
    for (name, by, include_deleted, catalog) in expected {
        let stream = stream(name);
        let Cursor::Window { send, overlap, lag, sort, slices, .. } = &stream.cursor else {
            panic!("{name}")
        };
        assert_eq!(send, "updated_at[between]", "{name}");
        assert!(*overlap >= Duration::from_secs(300) && *lag >= Duration::from_secs(120), "{name}");
        let sort = sort.as_ref().map(|(parameter, by)| (parameter.as_str(), by.as_str()));
        assert_eq!(sort, by.map(|by| ("sort_by[asc]", by)), "{name}");
        assert!(slices.is_none(), "{name}: no immutable time can be filtered on");
        assert_eq!(stream.query.iter().any(|(n, _)| n == "include_deleted"), include_deleted, "{name}");
        assert_eq!(stream.version.as_deref(), Some("resource_version"), "{name}");
        assert_eq!(
            stream.deleted,
            Some(Mark::Word { field: "status".into(), is: "deleted".into() }),
            "{name}"
        );
        let required = stream.requires.map(|r| (r.pointer, r.any_of));
        let pointer = "/configurations/0/product_catalog_version".to_owned();
        let wanted = (!catalog.is_empty()).then(|| (pointer, vec![catalog.to_owned()]));
        assert_eq!(required, wanted, "{name}");
    }
}

#[test]
fn every_list_that_hides_its_deleted_records_asks_the_log_for_their_events() {
    let singular = [
        ("item_families", "item_family"),
        ("items", "item"),
        ("item_prices", "item_price"),
        ("coupons", "coupon"),
        ("plans", "plan"),
        ("addons", "addon"),
    ];
    for (name, record) in singular {
        let stream = stream(name);
        let deletes = stream.deletes.unwrap();
        assert_eq!(deletes.told.field, "event_type", "{name}");
        assert_eq!(deletes.told.any_of, [format!("{record}_deleted")], "{name}");
        assert_eq!(deletes.told.record, ["content".to_owned(), record.to_owned()], "{name}");
        let walk = deletes.walk;
        assert_eq!((walk.name.as_str(), walk.path.0.as_str()), (name, "/events"));
        assert_eq!(walk.records, "/list/*/event");
        let sent = ("event_type[in]".to_owned(), format!("[\"{record}_deleted\"]"));
        assert!(walk.query.contains(&sent), "{name}: {:?}", walk.query);
        let Cursor::Window { send, sort, slices, .. } = &walk.cursor else { panic!("{name}") };
        assert_eq!(send, "occurred_at[between]");
        assert_eq!(sort, &Some(("sort_by[asc]".to_owned(), "occurred_at".to_owned())));
        assert!(slices.is_none());
    }
    let told: Vec<String> = streams().into_iter().filter(|s| s.deletes.is_some()).map(|s| s.name).collect();
    assert_eq!(told.len(), singular.len(), "{told:?}");
}

#[test]
fn the_log_is_walked_and_cut_by_the_time_that_never_changes() {
    let events = stream("events");
    let Cursor::Window { send, sort, slices, .. } = &events.cursor else { panic!("no window") };
    assert_eq!((send.as_str(), sort.as_ref().unwrap().1.as_str()), ("occurred_at[between]", "occurred_at"));
    assert_eq!(slices.as_ref().unwrap().send, "occurred_at[between]");
    assert_eq!((events.version, events.updated, events.deleted), (None, None, None));
    let fed: Vec<&str> = events.feeds.iter().map(|f| f.entity.name.as_str()).collect();
    assert_eq!(fed, ["events", "subscription_events"]);
}

#[test]
fn a_mistake_about_deletes_or_offers_is_told_with_what_is_right() {
    let items = "deletes: { from: events, field: event_type, any_of: [item_deleted], send: \"event_type[in]\", record: /content/item }";
    let mistakes = [
        (items, items.replace("from: events", "from: event"), "did you mean `events`"),
        (items, items.replace("from: events", "from: items"), "is no other stream"),
        (items, items.replace("field: event_type", "field: event_typ"), "not a text field of `events`"),
        (items, items.replace("field: event_type", "field: occurred_at"), "not a text field of `events`"),
        (items, items.replace("field: event_type", "field: id"), "is a field of this stream's records too"),
        (items, items.replace("[item_deleted]", "[]"), "at least one text"),
        (items, items.replace("event_type[in]", "occurred_at[between]"), "sends the parameter"),
        (items, items.replace("/content/item", "content.item"), "not a JSON pointer"),
        (items, items.replace("send:", "sent:"), "did you mean `send`"),
        (
            "deleted: { field: status, is: deleted }",
            "deleted: { field: statu, is: deleted }".into(),
            "`status`",
        ),
        ("deleted: { field: status, is: deleted }", "deleted: status".into(), "must be declared as bool"),
        ("any_of: [v2], otherwise", "any_of: [], otherwise".into(), "at least one text"),
        ("/configurations/0/product_catalog_version", "configurations".into(), "not a JSON pointer"),
    ];
    for (from, to, expected) in mistakes {
        let error = with(from, &to).expect_err(&to);
        let said = format!("{error}\n{}", error.next().unwrap_or_default());
        assert!(said.contains(expected), "`{to}` says:\n{said}\nwithout `{expected}`");
    }
}
