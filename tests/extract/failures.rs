use super::*;

/// One stream of 8 rows in 3 pages; the numbered data requests (1 is the first) get these answers.
fn faulty(script: impl Fn(u64) -> Option<Result<Response>> + 'static) -> (World, Machine) {
    faulty_with(Options::default(), script)
}

fn faulty_with(
    options: Options,
    script: impl Fn(u64) -> Option<Result<Response>> + 'static,
) -> (World, Machine) {
    let mut world = World::new(Fake::new((0..8).map(|i| row(i, T0 - 9))));
    world.fake.intercept = Box::new(move |n, _, _| script(n));
    let mut machine = machine(vec![(windowed("invoices", false), None)], options);
    world.run(&mut machine);
    (world, machine)
}

fn status(code: u16) -> Option<Result<Response>> {
    Some(answer(code, &[], r#"{"message":"because","api_error_code":"x"}"#))
}

#[test]
fn a_failure_that_passes_costs_time_but_no_row() {
    type Script = fn(u64) -> Option<Result<Response>>;
    let cases: [(&str, Script, u64); 6] = [
        ("connection refused", |n| (n < 5).then(broken), 5),
        ("503", |n| (2..9).contains(&n).then(|| status(503)).flatten(), 7),
        ("one 401 in the middle of the scan", |n| (n == 2).then(|| status(401)).flatten(), 1),
        ("two HTML pages", |n| (1..3).contains(&n).then(|| answer(200, &[], "<html>maintenance</html>")), 2),
        ("a cut body", |n| (n == 2).then(|| answer(200, &[], r#"{"list":[{"row":{"id"#)), 1),
        ("the list is missing", |n| (n == 2).then(|| answer(200, &[], r#"{"error":"x"}"#)), 1),
    ];
    for (name, script, retries) in cases {
        let (world, machine) = faulty(script);
        assert!(world.failed.is_empty(), "{name}: {:?}", world.failed);
        assert_eq!(world.ids(), (1..=8).collect(), "{name}");
        assert_eq!(machine.budget().retries, retries, "{name}");
    }
}

#[test]
fn a_failure_that_stays_ends_the_stream_after_a_known_number_of_tries() {
    type Script = fn(u64) -> Option<Result<Response>>;
    let cases: [(&str, Script, Kind, usize); 7] = [
        ("no connection", |n| (n >= 2).then(broken), Kind::Transient, 8),
        ("503", |n| (n >= 2).then(|| status(503)).flatten(), Kind::Transient, 8),
        ("401", |n| (n >= 2).then(|| status(401)).flatten(), Kind::Denied, 2),
        ("403", |n| (n >= 2).then(|| status(403)).flatten(), Kind::Denied, 2),
        ("404", |n| (n >= 2).then(|| status(404)).flatten(), Kind::Invalid, 1),
        ("a redirect", |n| (n >= 2).then(|| status(302)).flatten(), Kind::Invalid, 1),
        ("HTML", |n| (n >= 2).then(|| answer(200, &[], "<html>")), Kind::Drift, 5),
    ];
    for (name, script, kind, tries) in cases {
        let (world, _) = faulty(script);
        assert_eq!(world.failure(), ("invoices", kind), "{name}");
        // Probe and first page come before.
        assert_eq!(world.seen.len(), 2 + tries, "{name}");
        assert_eq!(world.emitted.len(), 1, "{name}: what was read before is kept");
        assert!(world.failed[0].1.next().is_some(), "{name}: no hint");
    }
}

#[test]
fn tries_are_counted_per_request_not_per_stream() {
    // Seven failures before each page.
    let (world, machine) = faulty(|n| (n > 0 && n % 8 != 0).then(broken));
    assert!(world.failed.is_empty(), "{:?}", world.failed);
    assert_eq!(machine.budget().retries, 21);
}

#[test]
fn throttling_between_failures_neither_counts_nor_forgives() {
    let (world, machine) = faulty(|n| match n {
        0 => None,
        n if n % 2 == 0 => Some(answer(429, &[("retry-after", "1")], "")),
        _ => Some(broken()),
    });
    assert_eq!(world.failure(), ("invoices", Kind::Transient));
    assert_eq!((machine.budget().throttles, machine.budget().retries), (7, 7));
}

#[test]
fn a_503_with_retry_after_is_not_asked_again_before_that() {
    let (world, _) = faulty(|n| (n == 1).then(|| answer(503, &[("retry-after", "100")], "")));
    assert!(world.seen[2].sent.since(world.seen[1].arrived) >= Duration::from_secs(100));
}

/// Streams `a` and `b`; every request of `a` is answered so.
fn a_fails(code: u16, body: &'static str) -> World {
    let mut world = World::new(Fake::new((0..8).map(|i| row(i, T0 - 9))));
    world.latency = Box::new(|| (Duration::from_secs(1), Duration::from_secs(1)));
    world.fake.intercept = Box::new(move |_, _, r| r.url.ends_with("/a").then(|| answer(code, &[], body)));
    let streams = vec![(windowed("a", false), None), (windowed("b", false), None)];
    world.run(&mut machine(streams, Options::default()));
    world
}

#[test]
fn a_stream_that_cannot_be_read_leaves_the_others_alone() {
    for (code, body, kind) in [
        (400, r#"{"api_error_code":"param_wrong_value"}"#, Kind::Invalid),
        (403, "{}", Kind::Denied),
        (503, "", Kind::Transient),
        (200, "[]", Kind::Drift),
    ] {
        let world = a_fails(code, body);
        assert_eq!(world.failure(), ("a", kind), "{code} {body}");
        assert_eq!(world.ids().len(), 8);
        assert!(world.last().end);
    }
}

#[test]
fn an_unavailable_stream_is_told_apart_from_a_refused_request_by_the_error_body() {
    let unavailable = a_fails(400, r#"{"api_error_code":"configuration_incompatible"}"#);
    assert!(unavailable.failed.is_empty());
    assert_eq!(unavailable.passed, [("a".to_owned(), "this account does not offer the stream".to_owned())]);
    assert_eq!(unavailable.ids().len(), 8, "the other stream is read");
    let refused = a_fails(400, r#"{"api_error_code":"param_wrong_value"}"#);
    assert_eq!(refused.failed[0].1.what(), "the provider refused the request");
}

#[test]
fn refused_credentials_end_every_stream() {
    let world = a_fails(401, "{}");
    let mut names: Vec<_> = world.failed.iter().map(|(s, e)| (s.as_str(), e.kind())).collect();
    names.sort_by_key(|(s, _)| *s);
    assert_eq!(names, [("a", Kind::Denied), ("b", Kind::Denied)]);
}

#[test]
fn the_probe_fails_fast_for_every_stream() {
    for (code, kind, requests) in [(401, Kind::Denied, 2), (403, Kind::Denied, 2), (404, Kind::Invalid, 1)] {
        let mut world = World::new(Fake::new([]));
        world.fake.intercept = Box::new(move |_, _, _| Some(answer(code, &[], "{}")));
        let streams = vec![(windowed("a", false), None), (scanned("b"), None)];
        world.run(&mut machine(streams, Options::default()));
        assert_eq!(world.seen.len(), requests, "{code}");
        assert!(world.failed.len() == 2 && world.failed.iter().all(|(_, e)| e.kind() == kind), "{code}");
    }
}

#[test]
fn an_error_names_status_place_and_the_providers_words_but_never_a_secret() {
    let (world, _) = faulty(|n| {
        let body = json!({"message": format!("no such\nsite for {SECRET} {}", "x".repeat(400))});
        (n > 0).then(|| answer(404, &[("x-echo", SECRET)], body.to_string()))
    });
    let text = format!("{} {:?}", world.failed[0].1, world.failed[0].1);
    assert!(text.contains("status 404") && text.contains("https://acme.fake.test/api/invoices?"), "{text}");
    assert!(text.contains("no such site for ***") && !text.contains(&"x".repeat(200)), "{text}");
    assert!(!text.contains(SECRET) && !text.contains("cGxhbnRlZC1z"), "{text}");
}

#[test]
fn a_page_that_is_none_says_where_and_why() {
    let (world, _) = faulty(|n| (n > 0).then(|| answer(200, &[], "<!doctype html>")));
    let text = world.failed[0].1.to_string();
    assert!(
        text.starts_with("the answer is not a page of records (url https://acme.fake.test/api/invoices?"),
        "{text}"
    );
    assert!(text.contains("reason ") && text.contains("tries 5, stream invoices)"), "{text}");
}

#[test]
fn transport_errors_keep_their_place_and_reason() {
    let (world, _) = faulty(|n| {
        let refused = || {
            Error::new(Kind::Transient, "refused").with("url", "h:1/").hint("look").because("os error 111")
        };
        (n > 0).then(|| Err(refused()))
    });
    let error = &world.failed[0].1;
    assert_eq!(error.to_string(), "refused (url h:1/, cause os error 111, tries 8, stream invoices)");
    assert_eq!(error.next(), Some("look"));
}

fn listed(ids: std::ops::Range<u32>, next: Option<&str>) -> Option<Result<Response>> {
    let list: Vec<_> = ids.map(|id| json!({"row": {"id": id, "v": 1}})).collect();
    Some(answer(200, &[], json!({"list": list, "next_offset": next}).to_string()))
}

#[test]
fn pages_that_cannot_be_are_drift() {
    type Script = fn(u64) -> Option<Result<Response>>;
    let cases: [(&str, Script, usize); 4] = [
        ("the same token again", |n| if n == 0 { None } else { listed(0..3, Some("t")) }, 2),
        (
            "two tokens in a circle",
            |n| if n == 0 { None } else { listed(0..3, Some(["a", "b"][usize::try_from(n % 2).unwrap()])) },
            3,
        ),
        ("empty pages for ever", |n| if n == 0 { None } else { listed(0..0, Some(&n.to_string())) }, 101),
        ("full pages without a next one", |n| if n == 0 { None } else { listed(0..3, None) }, 2),
    ];
    for (name, script, pages) in cases {
        let (world, _) = faulty(script);
        assert_eq!(world.failure(), ("invoices", Kind::Drift), "{name}");
        assert_eq!(world.seen.len(), 1 + pages, "{name}");
        assert!(!world.last().end, "{name}");
    }
}

#[test]
fn a_slice_of_too_many_pages_is_drift() {
    let mut options = Options::default();
    options.limits.pages = 10;
    let (world, _) = faulty_with(options, |n| if n == 0 { None } else { listed(0..3, Some(&n.to_string())) });
    assert_eq!(world.failure(), ("invoices", Kind::Drift));
    assert_eq!(world.emitted.len(), 10);
}

#[test]
fn short_and_empty_pages_do_not_end_a_walk_that_names_a_next_page() {
    let (world, _) = faulty(|n| match n {
        0 => None,
        1 => listed(1..2, Some("a")),
        2 => listed(0..0, Some("b")),
        3 => listed(2..5, Some("c")),
        _ => listed(5..6, None),
    });
    assert!(world.failed.is_empty());
    assert_eq!(world.ids(), (1..=5).collect());
}

#[test]
fn a_full_last_page_is_believed_once_a_smaller_one_names_its_next() {
    let mut world = World::new(Fake::new((0..6).map(|i| row(i, T0 - 9))));
    world.run(&mut machine(vec![(windowed("invoices", false), None)], Options::default()));
    assert!(world.failed.is_empty());
    assert_eq!(world.ids().len(), 6);
    let limits: Vec<_> = world.sent("limit").into_iter().flatten().collect();
    assert_eq!(limits, ["3", "3", "1", "3"]);
    assert!(world.last().end);
}

#[test]
fn a_resumed_token_that_the_provider_refuses_restarts_its_slice() {
    let slices = vec![Slice { from: None, to: None, absent: false, progress: token("1/2", T0 - 60) }];
    let checkpoint = stored(Phase::FirstLoad { signpost: at(T0 - 3), slices });
    let mut world = World::new(Fake::new((0..8).map(|i| row(i, T0 - 9))));
    world.fake.intercept =
        Box::new(|_, _, r| (param(r, "offset") == Some("1/2")).then(|| answer(400, &[], "{}")));
    world.run(&mut machine(vec![(windowed("invoices", false), checkpoint)], Options::default()));
    assert!(world.failed.is_empty(), "{:?}", world.failed);
    assert_eq!(world.ids().len(), 8);
}

#[test]
fn a_used_up_request_budget_ends_the_streams_and_keeps_their_progress() {
    for max in [0, 1, 2, 3] {
        let options = Options { requests_max: Some(max), ..Options::default() };
        let (world, machine) = faulty_with(options, |_| None);
        assert_eq!(world.failure(), ("invoices", Kind::Budget));
        assert_eq!(machine.budget().requests, max);
        assert_eq!(world.emitted.len(), usize::try_from(max.saturating_sub(1)).unwrap());
    }
    let options = Options { requests_max: Some(4), ..Options::default() };
    assert!(faulty_with(options, |_| None).0.failed.is_empty());
}

#[test]
fn a_setup_that_cannot_work_is_refused_with_the_name_of_what_is_wrong() {
    let good = || setup(connector(), Options::default());
    let put = |name: &str, value: InputValue| {
        let mut setup = good();
        setup.inputs.insert(name.into(), value);
        setup
    };
    let text = |t: &str| InputValue::Text(t.into());
    let cases = [
        (Setup { inputs: BTreeMap::new(), ..good() }, "`site` is missing"),
        (put("site", text("a.b")), "`site` must be one host label"),
        (put("site", text("")), "`site` is empty"),
        (put("site", InputValue::Secret(Secret::new("acme"))), "`site` appears in URLs"),
        (put("api_key", text("visible")), "`api_key` is a secret"),
        (put("api_key", InputValue::Secret(Secret::new("a\nb"))), "`api_key` holds a line break"),
        (Setup { base_url: Some("ftp://x".into()), ..good() }, "`ftp://x` is not a base URL"),
        (Setup { base_url: Some("http://u:p@x".into()), ..good() }, "is not a base URL"),
        (
            setup(
                Connector { base_url: Template("https://{nope}".into()), ..connector() },
                Options::default(),
            ),
            "`{nope}` is not a text input",
        ),
        (
            setup(
                Connector { base_url: Template("https://{api_key}".into()), ..connector() },
                Options::default(),
            ),
            "`{api_key}` is not a text input",
        ),
    ];
    for (setup, expected) in cases {
        let error = Machine::new(setup, vec![]).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.to_string().contains("visible"));
    }
}

#[test]
fn requests_carry_the_credentials_in_one_header_and_inputs_encoded_in_the_path() {
    let mut connector = connector();
    connector.inputs.push(Input { name: "company".into(), kind: InputKind::Text, meaning: String::new() });
    connector.probe.path = Template("/{company}/probe".into());
    let mut setup = setup(connector, Options::default());
    setup.inputs.insert("company".into(), InputValue::Text("a/b ü?".into()));
    setup.base_url = Some("http://127.0.0.1:8080/".into());
    let start = StreamStart { stream: windowed("invoices", false), checkpoint: None };
    let mut machine = Machine::new(setup, vec![start]).unwrap();
    let Step::Send { request, .. } = machine.step(at(T0)) else { panic!("no probe") };
    assert_eq!(request.url, "http://127.0.0.1:8080/a%2Fb%20%C3%BC%3F/probe");
    let headers: Vec<_> = request.headers.iter().map(|(k, v)| (k.as_str(), v.expose())).collect();
    // `planted-secret-key:` in base64.
    assert_eq!(
        headers,
        [("accept", "application/json"), ("authorization", "Basic cGxhbnRlZC1zZWNyZXQta2V5Og==")]
    );
    assert!(!format!("{machine:?} {request:?}").contains(SECRET));
}

#[test]
fn without_streams_there_is_nothing_to_do() {
    assert!(matches!(machine(vec![], Options::default()).step(at(T0)), Step::Done));
}

#[test]
fn a_second_reply_to_a_ticket_changes_nothing() {
    let mut machine = machine(vec![(windowed("a", false), None)], Options::default());
    let Step::Send { ticket, .. } = machine.step(at(T0)) else { panic!("no probe") };
    machine.reply(ticket, at(T0), answer(200, &[], "{}"));
    machine.reply(ticket, at(T0), answer(401, &[], "{}"));
    assert_eq!(machine.budget().retries, 0);
    assert!(matches!(machine.step(at(T0)), Step::Send { stream: Some(_), .. }));
}

#[test]
fn runs_with_fewer_requests_than_streams_reach_every_stream_in_turn() {
    let names: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
    let mut reached: BTreeMap<String, Checkpoint> = BTreeMap::new();
    for run in 0..4 {
        let mut world = World::new(Fake::new([row(T0 - 50, T0 - 50)]));
        world.now = at(T0 + 3_600 * run);
        let streams = names.iter().map(|name| (windowed(name, false), reached.get(name).cloned()));
        let options = Options { requests_max: Some(4), ..Options::default() };
        world.run(&mut machine(streams.collect(), options));
        reached.extend(world.emitted.iter().map(|e| (e.stream.clone(), e.checkpoint.clone())));
    }
    assert_eq!(reached.keys().collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
}
