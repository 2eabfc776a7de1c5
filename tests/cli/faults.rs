//! Providers that are not what they should be, files with mistakes: each answer says what, where, and what to do.
use super::{
    site::{Fixed, Served, reply},
    stage::{KEY, Stage},
};
use std::fs;
use tidegate::wire::Response;

fn text_of(stage: &Stage, arguments: &[&str], code: i32) -> String {
    let done = stage.run(arguments).expect(code);
    format!("{}{}", done.out, done.err)
}

#[track_caller]
fn says(text: &str, all: &[&str]) {
    for part in all {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[test]
fn a_refused_connection_says_where_and_what_to_look_at() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let stage = Stage::new(&format!("http://127.0.0.1:{free}/api/v2"));
    let text = text_of(&stage, &["check"], 4);
    says(
        &text,
        &["the connection was refused", &format!("127.0.0.1:{free}/api/v2"), "next: look at `base_url`"],
    );
}

#[test]
fn an_html_page_with_status_200_is_named_as_one() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    site.hook(|_, request| {
        let headers = [("content-type".to_owned(), "text/html".to_owned())].into();
        let body = "<!DOCTYPE html><html><body>Please wait</body></html>".into();
        (!request.url.ends_with("/configurations")).then_some(Response { status: 200, headers, body })
    });
    let text = text_of(&stage, &["sync"], 4);
    says(&text, &["a web page or XML, not JSON", "/api/v2/customers", "next: open the URL"]);
}

#[test]
fn a_key_that_is_refused_says_so_once_for_all_streams() {
    let site = Served::company(3);
    let stage = Stage::new(&site.chargebee());
    let text = text_of(&stage, &["sync"], 3);
    says(&text, &["the provider refused the credentials", "status 401", "next: The API key is wrong"]);
    assert_eq!(
        text.matches("status 401").count(),
        3,
        "once where it happened, once in the summary, once at the end: {text}"
    );
}

#[test]
fn a_secret_is_in_no_file_but_its_own_and_on_no_stream() {
    let site = Served::new(Fixed(Vec::new()));
    let stage = Stage::new(&site.chargebee());
    let echo = format!(r#"{{"message":"key {KEY} is unknown","api_error_code":"x"}}"#);
    let mut said = String::new();
    for status in [200, 400, 401, 403] {
        let echo = echo.clone();
        site.hook(move |_, request| {
            // Whatever was sent is sent back, and only lists go wrong.
            let list = !request.url.ends_with("/configurations");
            (status != 200 && list).then(|| reply(status, echo.clone()))
        });
        for arguments in [
            &["check", "-vvv", "--log-format", "json"][..],
            &["sync", "-vvv", "-o", "json", "--max-requests", "12"],
            &["sync", "-vvv", "--log-format", "json", "--max-requests", "12"],
        ] {
            let done = stage.run(arguments);
            said.push_str(&done.out);
            said.push_str(&done.err);
        }
    }
    for arguments in [&["status"][..], &["state", "list"], &["plan", "-vvv", "-o", "json"]] {
        let done = stage.run(arguments);
        said.push_str(&(done.out + &done.err));
    }
    assert!(said.contains("is unknown"), "the provider's message is not shown at all");
    let basic = "cGxhbnRlZF9rZXlfNWYyYzlhNzE"; // base64 of the key, as Basic auth sends it
    for secret in [KEY, basic] {
        assert!(!said.contains(secret), "{secret} was printed");
        for file in stage.files().iter().filter(|f| !f.ends_with(".env")) {
            let bytes = fs::read(file).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", file.display());
        }
    }
}

#[test]
fn a_mistake_in_a_pipeline_is_answered_with_line_and_nearest_word() {
    let mistakes: [(&str, &str, &[&str]); 8] = [
        ("connector: chargebee", "connector: chargbee", &["acme.yaml:4", "chargbee", "`chargebee`"]),
        ("    site:", "    sight:", &["acme.yaml:6", "sight", "site"]),
        ("tenant: acme", "tennant: acme", &["acme.yaml:2", "tennant", "`tenant`"]),
        ("lake: ./lake", "lak: ./lake", &["acme.yaml:10", "lak", "`lake`"]),
        ("Europe/Berlin", "Europe/Berln", &["acme.yaml:8", "Europe/Berln", "Europe/Berlin"]),
        ("{ env: ACME_KEY }", "ACME_KEY", &["acme.yaml:7", "env"]),
        ("requests_per_minute: 590", "requests_per_minute: many", &["acme.yaml:11", "a whole number"]),
        ("pipeline: acme", "pipeline: acme\nschedule: { cron: \"61 * * * *\" }", &["acme.yaml:2", "61"]),
    ];
    for (from, to, expected) in mistakes {
        let stage = Stage::new("http://127.0.0.1:9/api/v2");
        stage.edit(from, to);
        says(&text_of(&stage, &["sync"], 2), expected);
    }
}

#[test]
fn a_mistake_in_a_connector_is_answered_with_line_and_nearest_word() {
    let own = include_str!("../../connectors/billsby/connector.yaml");
    let sql = include_str!("../../connectors/billsby/customers.sql");
    let mistakes = [("kind: snapshot", "kind: snapshoot", "snapshot"), ("streams:", "streems:", "streams")];
    for (from, to, expected) in mistakes {
        let stage = Stage::new("http://127.0.0.1:9/api/v2");
        assert!(own.contains(from));
        stage.write("connectors/billsby/connector.yaml", &own.replacen(from, to, 1));
        stage.write("connectors/billsby/customers.sql", sql);
        let line = own.lines().position(|l| l.contains(from)).unwrap() + 1;
        let text = text_of(&stage, &["connectors", "lint"], 2);
        says(&text, &[&format!("connectors/billsby/connector.yaml:{line}"), expected]);
    }
}

/// The first answer tells which streams the account has: half of it tells nothing.
#[test]
fn a_probe_whose_answer_is_cut_short_is_asked_again() {
    let site = Served::company(3);
    let stage = Stage::simulated(&site.chargebee());
    site.hook(|number, _| (number == 1).then(|| reply(200, r#"{"configurations":[{"#)));
    let summary = stage.run(&["sync", "-o", "json"]).expect(0).json();
    let streams = summary["streams"].as_array().unwrap();
    assert!(streams.iter().all(|s| s["error"].is_null()), "{summary}");
    assert!(
        streams.iter().any(|s| s["stream"] == "item_prices" && s["read"].as_u64() > Some(0)),
        "{summary}"
    );
}
